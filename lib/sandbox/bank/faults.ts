import type { ServerResponse } from 'node:http'
import type { KoaContextWithOIDC, Provider } from 'oidc-provider'
import { BENDS, signJwt } from '../bent-jwt.js'
import type { Flow } from '../../client/config.js'
import type { Faults } from '../faults.js'
import type { SigningKey } from '../keys.js'
import type { RelyingParty } from '../platform/relying-party.js'

export interface AnswerBending {
  issuer: string
  keys: readonly SigningKey[]
  faults: Faults
  flow: Flow
  relyingParty: RelyingParty
}

/** Bends what a bank answers in a login that a fault befell, and leaves all others to oidc-provider. */
export function bendAnswers(provider: Provider, input: AnswerBending): void {
  bendJwts(provider, input)
  provider.use(async (context, next) => {
    await next()
    const ctx = context as KoaContextWithOIDC
    // oidc is there on the provider's own routes alone.
    if (!('oidc' in ctx)) return
    const { route, params } = ctx.oidc
    if (route === 'token') await bendTokenResponse(ctx, input)
    // In the direct flow a login begins here.
    if (route === 'pushed_authorization_request' && ctx.status === 201) {
      input.faults.begin(String(params?.nonce))
    }
  })
}

function bendJwts(provider: Provider, { issuer, keys, faults, flow, relyingParty }: AnswerBending): void {
  const Honest = provider.IdToken
  class IdToken extends Honest {
    // oidc-provider finds the lifetime by the name of the class, which a bundler may change.
    static override readonly name = 'IdToken'

    override async issue(context: Parameters<InstanceType<typeof Honest>['issue']>[0]): Promise<string> {
      const fault = this.#fault(context.use)
      if (!fault) return super.issue(context)
      const { clientId, authorizationSignedResponseAlg, idTokenSignedResponseAlg } = this.client
      const isAnswer = context.use === 'authorization'
      const iat = Math.floor(Date.now() / 1000)
      const claims = { ...(await this.payload()), iss: issuer, aud: clientId, exp: iat + 120 }
      return signJwt(isAnswer ? claims : { ...claims, iat }, {
        key: keyFor(keys, isAnswer ? authorizationSignedResponseAlg : idTokenSignedResponseAlg),
        encryptTo: await relyingParty.recipient(isAnswer ? 'authorization' : 'id_token'),
        bend: BENDS[fault],
      })
    }

    #fault(use: string) {
      // A logout token is made without a request of the app, and so without a login.
      if (use !== 'idtoken' && use !== 'authorization') return undefined
      const { oidc } = this.ctx
      if (use === 'idtoken') return faults.at('id_token', oidc.entities.AuthorizationCode?.nonce)
      const nonce = oidc.params?.nonce
      // There is no document in the direct flow; the answer stands in for it.
      return faults.at('answer', nonce) ?? (flow === 'direct' ? faults.at('document', nonce) : undefined)
    }
  }
  Object.defineProperty(provider, 'IdToken', { value: IdToken })
}

/** The token endpoint as it is when a fault befalls it: down, refusing, or silent. */
async function bendTokenResponse(ctx: KoaContextWithOIDC, { faults }: AnswerBending): Promise<void> {
  switch (faults.at('token_endpoint', ctx.oidc.entities.AuthorizationCode?.nonce)) {
    case 'bank_down':
      ctx.status = 503
      ctx.body = 'Service Unavailable'
      break
    case 'token_error':
      ctx.status = 400
      ctx.body = { error: 'invalid_grant', error_description: 'refused, as sandbox.next asked for' }
      break
    case 'slow':
      await ended(ctx.res)
      break
    default:
  }
}

/** Until the app gives up, or the sandbox is closed. */
function ended(res: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    if (res.destroyed) resolve()
    else res.once('close', resolve)
  })
}

function keyFor(keys: readonly SigningKey[], alg: unknown): SigningKey {
  const key = keys.find((one) => one.alg === alg)
  if (!key) throw new Error('The bank has no key for this algorithm')
  return key
}
