import { UnsecuredJWT } from 'jose'
import type { ClientMetadata, KoaContextWithOIDC } from 'oidc-provider'
import type * as OidcProvider from 'oidc-provider'
import Router from 'router'
import { bankConfiguration } from './bank-configuration.js'
import { bankInteractions } from './bank-interactions.js'
import { errorPage } from './error-page.js'
import { generateSigningKey, type SigningKey } from './keys.js'
import { logo } from './logo.js'
import { personasOf, type BankData, type Persona } from './personas.js'
import { PAGE_HEADERS } from './reply.js'
import type { AuthorizationRequest } from './request-object.js'
import type { RelyingParty } from './relying-party.js'
import type { IdentityProvider } from './trust-directory.js'

const PUSHED_REQUEST_SECONDS = 60

const REQUEST_URI_PREFIX = 'urn:ietf:params:oauth:request_uri:'

export interface BankOptions {
  data: BankData
  baseUrl: string
  appName: string
  relyingParty: RelyingParty
  registration: ClientMetadata
}

/** Takes the bank's answer to a request that came through the proxy, and says where the browser goes with it. */
export type ProxyReturn = (transaction: string, answer: string) => string | undefined

/** One bank: an OpenID Provider of its own, mounted below the sandbox's URL. */
export class Bank {
  readonly id: string
  readonly name: string
  readonly issuer: string
  readonly personas: readonly Persona[]
  readonly #data: BankData
  readonly #provider: OidcProvider.Provider
  readonly #relyingParty: RelyingParty
  readonly #appName: string

  private constructor(
    oidcProvider: typeof OidcProvider,
    keys: readonly SigningKey[],
    { data, baseUrl, appName, relyingParty, registration }: BankOptions,
  ) {
    this.id = data.id
    this.name = data.name
    this.issuer = `${baseUrl}/banks/${data.id}`
    this.personas = personasOf(data)
    this.#data = data
    this.#relyingParty = relyingParty
    this.#appName = appName
    const configuration = bankConfiguration(oidcProvider, {
      id: data.id,
      issuer: this.issuer,
      keys,
      personas: this.personas,
      client: async (clientId) => {
        if (clientId !== relyingParty.clientId) return undefined
        try {
          return withKeys(registration, await relyingParty.publicKeys())
        } catch (err) {
          throw new oidcProvider.errors.InvalidClientMetadata(
            err instanceof Error ? err.message : String(err),
          )
        }
      },
      renderError: (ctx, out, err) => {
        this.#showError(ctx, [`${out.error}: ${out.error_description ?? err.message}`])
      },
    })
    this.#provider = new oidcProvider.Provider(this.issuer, configuration)
    // Koa prints errors otherwise; here a page shows them.
    this.#provider.silent = true
    this.#revealDetails()
  }

  static async create(oidcProvider: typeof OidcProvider, options: BankOptions): Promise<Bank> {
    const keys = await Promise.all([generateSigningKey('PS256'), generateSigningKey('ES256')])
    return new Bank(oidcProvider, keys, options)
  }

  get logo(): string {
    return `${new URL(this.issuer).pathname}/logo.svg`
  }

  get tagline(): string {
    return this.#data.tagline
  }

  /** What the proxy's document says about this bank. */
  get identityProvider(): IdentityProvider {
    return {
      name: this.name,
      issuer_url: this.issuer,
      logo_uri: `${this.issuer}/logo.svg`,
      country: this.#data.country,
      legal_name: this.#data.legalName,
      legal_entity_identifier: this.#data.legalEntityIdentifier,
    }
  }

  /**
   * Takes over a request that the proxy has verified, and returns where the person logs in.
   *
   * The bank gets the parameters as a pushed request: it could not check the app's own request object, which is meant
   * for the proxy, and in the browser's hands plain parameters could be changed.
   */
  async beginProxied(request: AuthorizationRequest, transaction: string): Promise<string> {
    const { clientId } = this.#relyingParty
    const pushed = new this.#provider.PushedAuthorizationRequest({
      request: new UnsecuredJWT({ ...parametersOf(request), proxy_transaction: transaction })
        .setIssuer(clientId)
        .setAudience(this.issuer)
        .setIssuedAt()
        .setNotBefore('0s')
        .setExpirationTime(`${String(PUSHED_REQUEST_SECONDS)}s`)
        .encode(),
    })
    const id = await pushed.save(PUSHED_REQUEST_SECONDS)
    const query = new URLSearchParams({ client_id: clientId, request_uri: `${REQUEST_URI_PREFIX}${id}` })
    return `${this.issuer}/auth?${query.toString()}`
  }

  router(returnToProxy: ProxyReturn): Router.Router {
    this.#provider.use(async (ctx, next) => {
      ctx.set(PAGE_HEADERS)
      const interactionId = ctx.get('x-fapi-interaction-id')
      if (interactionId !== '') ctx.set('x-fapi-interaction-id', interactionId)
      try {
        await next()
      } catch (err) {
        ctx.status = 500
        this.#showError(ctx, [err instanceof Error ? err.message : String(err)])
      }
      this.#deliverAnswer(ctx as KoaContextWithOIDC, returnToProxy)
    })
    const router = Router()
    router.get('/logo.svg', (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'image/svg+xml', 'Cache-Control': 'public, max-age=3600' })
      res.end(logo(this.id))
    })
    router.use(
      bankInteractions(this.#provider, {
        bank: { id: this.id, name: this.name, tagline: this.tagline, logo: this.logo },
        appName: this.#appName,
        personas: this.personas,
      }),
    )
    const handle = this.#provider.callback()
    router.use((req, res) => handle(req, res))
    return router
  }

  /** Sends the browser with the bank's answer to the proxy, when the request came from there, else to the app. */
  #deliverAnswer(ctx: KoaContextWithOIDC, returnToProxy: ProxyReturn): void {
    const location = ctx.response.get('location')
    const answer = URL.canParse(location) ? new URL(location).searchParams.get('response') : null
    // oidc is there on the provider's own routes alone.
    const params = (ctx as Partial<KoaContextWithOIDC>).oidc?.params
    if (answer === null || !params) return
    const transaction = params.proxy_transaction
    if (typeof transaction !== 'string') {
      // oidc-provider spells the callback's own query anew.
      ctx.set('location', this.#relyingParty.callbackWith({ response: answer }))
      return
    }
    const next = returnToProxy(transaction, answer)
    if (next === undefined)
      this.#showError(ctx, ['The account selector no longer knows this login. Start again.'])
    else ctx.set('location', next)
  }

  #showError(ctx: Pick<KoaContextWithOIDC, 'body' | 'type' | 'status' | 'remove'>, problems: string[]): void {
    if (ctx.status < 400) ctx.status = 400
    ctx.remove('location')
    ctx.type = 'html'
    ctx.body = String(
      errorPage({
        title: `${this.name} cannot go on`,
        problems,
        advice:
          'Go back to the app and start the login again. If this stays, the app has to send another request.',
        theme: this.id,
      }),
    )
  }

  /** Says why a client was refused; a real bank keeps that to itself, but here it is what one is looking for. */
  #revealDetails(): void {
    const reveal = (ctx: { body: unknown }, err: Error) => {
      const detail = 'error_detail' in err ? err.error_detail : undefined
      const { body } = ctx
      if (typeof detail !== 'string' || typeof body !== 'object' || body === null) return
      const { error_description: description } = body as { error_description?: string }
      ctx.body = { ...body, error_description: [description, detail].filter(Boolean).join(': ') }
    }
    this.#provider.on('grant.error', reveal)
    this.#provider.on('pushed_authorization_request.error', reveal)
    this.#provider.on('userinfo.error', reveal)
    this.#provider.on('revocation.error', reveal)
    this.#provider.on('introspection.error', reveal)
  }
}

/** What makes a request object a JWT is not for the bank, which sets its own; the rest is the app's to choose. */
function parametersOf(request: AuthorizationRequest): Record<string, unknown> {
  const ownToTheProxy = ['iss', 'aud', 'sub', 'jti', 'iat', 'nbf', 'exp']
  return Object.fromEntries(Object.entries(request).filter(([name]) => !ownToTheProxy.includes(name)))
}

/** Answers are encrypted as soon as the app publishes a key for it. */
function withKeys(
  registration: ClientMetadata,
  keys: Awaited<ReturnType<RelyingParty['publicKeys']>>,
): ClientMetadata {
  if (!keys) return registration
  const encrypted = { alg: 'RSA-OAEP', enc: 'A256CBC-HS512' } as const
  const canEncrypt = keys.keys.some(
    ({ kty, use, alg }) => kty === 'RSA' && use === 'enc' && (alg ?? encrypted.alg) === encrypted.alg,
  )
  return {
    ...registration,
    jwks: { keys: keys.keys },
    ...(canEncrypt && {
      id_token_encrypted_response_alg: encrypted.alg,
      id_token_encrypted_response_enc: encrypted.enc,
      authorization_encrypted_response_alg: encrypted.alg,
      authorization_encrypted_response_enc: encrypted.enc,
    }),
  }
}
