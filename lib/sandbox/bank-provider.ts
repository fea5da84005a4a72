import type { ServerResponse } from 'node:http'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type * as OidcProvider from 'oidc-provider'
import { bankConfiguration, type BankConfigurationInput } from './bank-configuration.js'
import { BENDS, signJwt } from './bent-jwt.js'
import { errorPage } from './error-page.js'
import type { Faults } from './faults.js'
import { continuePage } from './continue-page.js'
import type { SigningKey } from './keys.js'
import type { SandboxFlow } from './options.js'
import type { RelyingParty } from './relying-party.js'
import { PAGE_HEADERS } from './reply.js'
import { certificateProblem } from './tls.js'

type Context = KoaContextWithOIDC

export interface BankProviderInput extends Omit<BankConfigurationInput, 'client' | 'renderError'> {
  name: string
  flow: SandboxFlow
  faults: Faults
  relyingParty: RelyingParty
  /** Takes an answer to a request that came through the proxy; says where the browser goes, unless it came too late. */
  returnToProxy: (transaction: string, answer: string) => string | undefined
}

/** Makes the OpenID Provider of a bank, with what the sandbox adds before and after it. */
export function createBankProvider(
  oidcProvider: typeof OidcProvider,
  input: BankProviderInput,
): OidcProvider.Provider {
  const { name, id, relyingParty, faults } = input
  const showError = (ctx: Context, problems: readonly string[]) => {
    if (ctx.status < 400) ctx.status = 400
    ctx.remove('location')
    ctx.type = 'html'
    const advice =
      'Go back to the app and start the login again. If this stays, the app has to ask otherwise.'
    ctx.body = String(errorPage({ title: `${name} cannot go on`, problems, advice, theme: id }))
  }
  const provider = new oidcProvider.Provider(
    input.issuer,
    bankConfiguration(oidcProvider, {
      ...input,
      client: async (clientId) => {
        if (clientId !== relyingParty.clientId) return undefined
        return relyingParty.registration().catch((err: unknown) => {
          throw new oidcProvider.errors.InvalidClientMetadata(messageOf(err))
        })
      },
      renderError: (ctx, out, err) => {
        showError(ctx, [`${out.error}: ${out.error_description ?? err.message}`])
      },
    }),
  )
  // Koa prints errors otherwise; here a page shows them.
  provider.silent = true
  revealDetails(provider)
  bendJwts(provider, input)

  provider.use(async (context, next) => {
    const ctx = context as Context
    ctx.set(PAGE_HEADERS)
    const interactionId = ctx.get('x-fapi-interaction-id')
    if (interactionId !== '') ctx.set('x-fapi-interaction-id', interactionId)
    const problem = certificateProblem(ctx.req)
    if (problem !== undefined) {
      refuseCertificate(ctx, problem)
      return
    }
    try {
      await next()
    } catch (err) {
      ctx.status = 500
      showError(ctx, [messageOf(err)])
    }
    // It is there on the provider's own routes alone.
    if (!('oidc' in ctx)) return
    const { route, params } = ctx.oidc
    if (route === 'token') await bendTokenResponse(ctx, faults)
    if (!params) return
    if (route === 'pushed_authorization_request' && ctx.status === 201) faults.begin(String(params.nonce))
    const answer = answerIn(ctx)
    if (answer === undefined) return
    if (typeof params.proxy_transaction === 'string') {
      const location = input.returnToProxy(params.proxy_transaction, answer)
      if (location === undefined) showError(ctx, ['The account selector no longer knows this login.'])
      else ctx.set('location', location)
    } else if (params.response_mode === 'form_post.jwt') {
      ctx.body = String(continuePage({ action: relyingParty.callback, fields: { response: answer } }))
    } else if (params.response_mode !== 'fragment.jwt') {
      // oidc-provider spells the callback's own query anew.
      ctx.set('location', relyingParty.callbackWith({ response: answer }))
    }
  })
  return provider
}

/** The bank's answer, when this response carries one to the app. */
function answerIn({ response, body }: Context): string | undefined {
  const location = response.get('location')
  const inQuery = URL.canParse(location) ? new URL(location).searchParams.get('response') : null
  if (inQuery !== null) return inQuery
  return typeof body === 'string' ? /name="response" value="([\w.-]+)"/.exec(body)?.[1] : undefined
}

/** Says why a client was refused; a real bank keeps that to itself, but here it is what one is looking for. */
function revealDetails(provider: OidcProvider.Provider): void {
  const reveal = (ctx: { body: unknown }, err: Error) => {
    const detail = 'error_detail' in err ? err.error_detail : undefined
    const { body } = ctx
    if (typeof detail !== 'string' || typeof body !== 'object' || body === null) return
    const { error_description: description } = body as { error_description?: string }
    ctx.body = { ...body, error_description: [description, detail].filter(Boolean).join(': ') }
  }
  provider.on('grant.error', reveal)
  provider.on('pushed_authorization_request.error', reveal)
  provider.on('userinfo.error', reveal)
  provider.on('revocation.error', reveal)
  provider.on('introspection.error', reveal)
}

/** RFC 8705 leaves open how; a certificate of the wrong kind is never treated as if there were none. */
function refuseCertificate(ctx: Context, problem: string): void {
  const error = /\/(me|payment_details|payment_processing|credential)$/.test(ctx.path)
    ? 'invalid_token'
    : 'invalid_client'
  ctx.status = 401
  ctx.body = { error, error_description: problem }
}

/** Signs the JWTs of a login that a fault bends; all others are left to oidc-provider. */
function bendJwts(
  provider: OidcProvider.Provider,
  { issuer, keys, faults, flow, relyingParty }: BankProviderInput,
) {
  const Honest = provider.IdToken
  // oidc-provider finds the lifetime by the name of the class.
  class IdToken extends Honest {
    override async issue(context: Parameters<InstanceType<typeof Honest>['issue']>[0]): Promise<string> {
      const fault = this.#fault(context.use)
      if (!fault) return super.issue(context)
      const { clientId, authorizationSignedResponseAlg, idTokenSignedResponseAlg } = this.client
      const isAnswer = context.use === 'authorization'
      const iat = Math.floor(Date.now() / 1000)
      return signJwt(
        {
          ...(await this.payload()),
          iss: issuer,
          aud: clientId,
          exp: iat + 120,
          ...(!isAnswer && { iat }),
        },
        {
          key: keyFor(keys, isAnswer ? authorizationSignedResponseAlg : idTokenSignedResponseAlg),
          encryptTo: await relyingParty.encryptionKey(),
          bend: BENDS[fault],
        },
      )
    }

    #fault(use: string) {
      const { oidc } = this.ctx
      if (use === 'idtoken') return faults.at('id_token', oidc.entities.AuthorizationCode?.nonce)
      if (use !== 'authorization') return undefined
      const nonce = oidc.params?.nonce
      return faults.at('answer', nonce) ?? (flow === 'direct' ? faults.at('document', nonce) : undefined)
    }
  }
  Object.defineProperty(provider, 'IdToken', { value: IdToken })
}

/** The token endpoint as it is when a fault befalls it: down, refusing, or silent. */
async function bendTokenResponse(ctx: Context, faults: Faults): Promise<void> {
  switch (faults.at('token_endpoint', ctx.oidc.entities.AuthorizationCode?.nonce)) {
    case 'bank_down':
      ctx.status = 503
      ctx.body = 'Service Unavailable'
      break
    case 'token_error':
      ctx.status = 400
      ctx.body = {
        error: 'invalid_grant',
        error_description: 'grant request is invalid: asked for by sandbox.next',
      }
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

function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err)
}
