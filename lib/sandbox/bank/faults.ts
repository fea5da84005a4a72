import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { KoaContextWithOIDC, Provider } from 'oidc-provider'
import { plainAnswerIn } from './answers.js'
import { BENDS, OTHER_ISSUER, signJwt } from '../bent-jwt.js'
import type { Flow } from '../../client/config.js'
import type { Fault, Faults } from '../faults.js'
import type { SigningKey } from '../keys.js'
import type { RelyingParty } from '../platform/relying-party.js'

export interface AnswerBending {
  issuer: string
  keys: readonly SigningKey[]
  faults: Faults
  flow: Flow
  relyingParty: RelyingParty
  /** Makes the bank ask for a new nonce in each proof, where it has asked before. */
  renewNonces: () => void
}

/** Bends what a bank answers in a login that a fault befell, and leaves all others to oidc-provider. */
export function bendAnswers(provider: Provider, input: AnswerBending): void {
  const { faults, renewNonces } = input
  bendJwts(provider, input)
  // The code, and what is asked for with its tokens, are of the same login.
  provider.on('authorization_code.saved', ({ nonce, jti, grantId }) => {
    faults.follow(nonce, jti)
    faults.follow(nonce, grantId)
    if (faults.at('nonces', nonce)) renewNonces()
  })
  provider.use(async (context, next) => {
    await next()
    const ctx = context as KoaContextWithOIDC
    // oidc is there on the provider's own routes alone.
    if (!('oidc' in ctx)) return
    bendPlainAnswer(ctx, input)
    const { route, params, entities } = ctx.oidc
    if (route === 'token') await bendTokenResponse(ctx, input)
    if (route === 'pushed_authorization_request' && ctx.status === 201) {
      const nonce = nonceOf(ctx)
      // In the direct flow a login begins here.
      faults.begin(nonce)
      bendPushed(ctx, faults.at('pushed_request', nonce))
    }
    // Whoever was given a nonce is asked once.
    const asked = { token: params?.code, userinfo: entities.AccessToken?.grantId }[route]
    if (ctx.status === 200 && faults.at('nonces', asked)) renewNonces()
  })
}

/** oidc-provider has read it out of a signed request by then. */
function nonceOf({ oidc }: KoaContextWithOIDC): string {
  return String(oidc.params?.nonce)
}

/** What a bank says to a request that it does not take. */
function bendPushed(ctx: KoaContextWithOIDC, fault: Fault | undefined): void {
  if (fault === 'unknown_parameter') {
    ctx.status = 400
    ctx.body = { error: 'invalid_request', error_description: 'unknown parameter, as sandbox.next asked for' }
  }
  if (fault === 'client_refused') {
    ctx.status = 401
    ctx.body = { error: 'invalid_client', error_description: 'refused, as sandbox.next asked for' }
  }
}

/** An answer that nobody signs, where the fault bends what a signature would else hold. */
function bendPlainAnswer(ctx: KoaContextWithOIDC, { issuer, faults }: AnswerBending): void {
  const answer = plainAnswerIn(ctx)
  const fault = answer && faults.at('answer', ctx.oidc.params?.nonce)
  if (!fault) return
  const { searchParams } = answer
  switch (fault) {
    case 'other_state':
      searchParams.set('state', 'of-another-login')
      break
    case 'wrong_iss':
      searchParams.set('iss', OTHER_ISSUER)
      break
    case 'missing_iss':
      searchParams.delete('iss')
      break
    case 'doubled_iss':
      searchParams.set('iss', issuer)
      searchParams.append('iss', OTHER_ISSUER)
      break
    default:
  }
  ctx.set('location', answer.href)
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
  const refuse = (error: string, description: string) => {
    ctx.status = 400
    ctx.body = { error, error_description: `${description}, as sandbox.next asked for` }
  }
  switch (faults.at('token_endpoint', ctx.oidc.params?.code)) {
    case 'bank_down':
      ctx.status = 503
      ctx.body = 'Service Unavailable'
      break
    case 'token_error':
      refuse('invalid_grant', 'refused')
      break
    case 'slow':
      await ended(ctx.res)
      break
    case 'other_token_type': {
      const body = ctx.body as { token_type?: string }
      if (ctx.status === 200)
        ctx.body = { ...body, token_type: body.token_type === 'DPoP' ? 'Bearer' : 'DPoP' }
      break
    }
    case 'dpop_endless_nonces':
      refuse('use_dpop_nonce', 'another nonce is wanted')
      ctx.set('dpop-nonce', randomUUID())
      break
    case 'dpop_no_nonce':
      refuse('use_dpop_nonce', 'a nonce is wanted')
      ctx.remove('dpop-nonce')
      break
    case 'dpop_replayed':
      refuse('invalid_dpop_proof', 'the proof was used before')
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
