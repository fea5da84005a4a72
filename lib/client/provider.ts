import * as oidc from 'openid-client'
import * as v from 'valibot'
import type { IDPartnerClaims, UserInfo } from '../jwt/claims.js'
import type { ResolvedConfig } from './config.js'
import { IDPartnerError, type ErrorCode } from '../errors.js'
import { isLoopback, parseEndpoint, type Http } from '../net/http.js'
import { jsonOf } from '../net/json.js'
import { verifyIdToken, type IdTokenChecks } from '../jwt/id-token.js'
import type { ClientKeys } from '../jwt/keys.js'
import { partyOf } from './party.js'
import { backdated, leaveTransportToHttp } from './openid-client-settings.js'
import { badMetadata, providerFailure } from './provider-failure.js'
import type { FindKey } from '../jwt/remote-keys.js'
import { verifyUserInfo, type UserInfoExpected } from '../jwt/userinfo.js'
import { tokenSet, type TokenSet } from './tokens.js'

export interface ProviderContext {
  config: ResolvedConfig
  http: Http
  keys: ClientKeys
  issuerKeys: FindKey
  metadata: oidc.ServerMetadata
  signal: AbortSignal | undefined
}

/** Members of {@link oidc.ServerMetadata} that IDPartner's banks add. */
export type ResourceEndpoint = 'payment_details_info_endpoint' | 'payment_processing_endpoint'
type Endpoint =
  | ResourceEndpoint
  | 'token_endpoint'
  | 'userinfo_endpoint'
  | 'revocation_endpoint'
  | 'pushed_authorization_request_endpoint'

/** A token response with an ID token, as far as it is read here. */
const issued = v.looseObject({ access_token: v.string(), id_token: v.string() })

/**
 * One OpenID Provider, a bank or the proxy, during one operation: every request that goes to it, with our
 * authentication and within our time.
 *
 * Made anew for each operation, so that nothing of one login can be seen by another.
 */
export class Provider {
  readonly #context: ProviderContext

  constructor(context: ProviderContext) {
    this.#context = context
  }

  get issuer(): string {
    return this.#context.metadata.issuer
  }

  /** Where to send the browser with a signed request in the URL (RFC 9101). */
  async signedAuthorizationUrl(parameters: Record<string, string>): Promise<URL> {
    const { keys } = this.#context
    if (!keys.signing) throw new IDPartnerError('config_invalid', 'option "jwks" needs a signing key')
    this.#assertBrowserEndpoint()
    return oidc.buildAuthorizationUrlWithJAR(
      this.#client('authorization endpoint'),
      parameters,
      keys.signing,
      {
        [oidc.modifyAssertion]: backdated,
      },
    )
  }

  /** Pushes an authorization request and returns where to send the browser (RFC 9126). */
  async pushedAuthorizationUrl(parameters: Record<string, string>): Promise<URL> {
    const { keys } = this.#context
    this.#endpoint('pushed_authorization_request_endpoint')
    this.#assertBrowserEndpoint()
    const request =
      keys.signing && (await this.signedAuthorizationUrl(parameters)).searchParams.get('request')
    return oidc
      .buildAuthorizationUrlWithPAR(
        this.#client('authorization request endpoint'),
        request ? { request } : parameters,
      )
      .catch(this.#failure('authorization request endpoint', 'provider_unavailable'))
  }

  /** Exchanges a code that an authentic answer brought. */
  async exchange(
    code: string,
    login: IdTokenChecks & { codeVerifier: string },
  ): Promise<TokenSet & { claims: IDPartnerClaims }> {
    const tokens = await this.#grant(
      'authorization_code',
      {
        code,
        // The grant of openid-client would cut the callback's own query off, and banks compare byte for byte.
        redirect_uri: this.#context.config.callback,
        code_verifier: login.codeVerifier,
      },
      login,
    )
    const { claims } = tokens
    if (!claims) throw new IDPartnerError('token_invalid', 'the bank issued no ID token')
    return { ...tokens, claims }
  }

  refresh(refreshToken: string): Promise<TokenSet> {
    return this.#grant('refresh_token', { refresh_token: refreshToken })
  }

  async userInfo(accessToken: string, subject: string): Promise<UserInfo> {
    this.#endpoint('userinfo_endpoint')
    return oidc
      .fetchUserInfo(
        this.#client('userinfo endpoint', (response) => this.#openUserInfo(response)),
        accessToken,
        subject,
      )
      .catch(this.#failure('userinfo endpoint', 'token_invalid'))
  }

  async revoke(token: string): Promise<void> {
    this.#endpoint('revocation_endpoint')
    await oidc
      .tokenRevocation(this.#client('revocation endpoint'), token)
      .catch(this.#failure('revocation endpoint', 'provider_unavailable'))
  }

  /** Asks one of the bank's own endpoints with the person's token; JSON in, JSON out, never repeated. */
  async resource(endpoint: ResourceEndpoint, accessToken: string, body?: unknown): Promise<unknown> {
    return this.json(this.#endpoint(endpoint), endpoint.replaceAll('_', ' '), accessToken, body)
  }

  async json(url: URL, name: string, accessToken: string, body?: unknown): Promise<unknown> {
    const headers = new Headers({ accept: 'application/json' })
    if (body !== undefined) headers.set('content-type', 'application/json')
    const text = body === undefined ? undefined : JSON.stringify(body)
    const response = await oidc
      .fetchProtectedResource(
        this.#client(name),
        accessToken,
        url,
        body === undefined ? 'GET' : 'POST',
        text,
        headers,
      )
      .catch(this.#failure(name, 'provider_unavailable'))
    return jsonOf(response, this.#what(name))
  }

  /** Fetches a public document at the issuer's own host, which may be asked for twice. */
  async document(url: URL, name: string): Promise<unknown> {
    const { http, signal } = this.#context
    const what = this.#what(name)
    const response = await http.get(url, { what, headers: { accept: 'application/json' }, signal })
    return jsonOf(response, what)
  }

  async #grant(type: string, parameters: Record<string, string>, login?: IdTokenChecks): Promise<TokenSet> {
    this.#endpoint('token_endpoint')
    let claims: IDPartnerClaims | undefined
    // openid-client gets the signed ID token from inside the sealed one: it does not insist on encryption, knows a key
    // by its kid alone, and fetches rotated keys a minute late.
    const client = this.#client('token endpoint', async (response) => {
      const body: unknown = await response
        .clone()
        .json()
        .catch(() => undefined)
      // What else is wrong with it, openid-client finds.
      if (!v.is(issued, body)) return response
      const expected = { ...this.#expected, accessToken: body.access_token, login }
      const verified = await verifyIdToken(body.id_token, expected)
      claims = verified.claims
      return new Response(JSON.stringify({ ...body, id_token: verified.jws }), response)
    })
    const tokens = await oidc
      .genericGrantRequest(client, type, parameters)
      .catch(this.#failure('token endpoint', 'token_invalid'))
    return tokenSet(tokens, claims)
  }

  /**
   * The endpoint's URL, over mutual TLS where the application has a certificate (RFC 8705, section 5).
   *
   * openid-client falls back to the ordinary host where an alias is missing; the bank would then see no certificate,
   * and a certificate-bound token would turn into one that anybody can use.
   */
  #endpoint(name: Endpoint): URL {
    const { config, metadata } = this.#context
    const mutual = config.tls.cert !== undefined
    const value: unknown = mutual
      ? (metadata.mtls_endpoint_aliases as Metadata | undefined)?.[name]
      : metadata[name]
    const url = parseEndpoint(value)
    if (url && (!mutual || url.protocol === 'https:')) return url
    if (mutual) {
      throw new IDPartnerError(
        'config_invalid',
        `a client certificate is configured, but in the discovery document of ${this.#party} mtls_endpoint_aliases.${name} is missing or not an https: URL`,
      )
    }
    throw badMetadata(this.#party, `names no usable ${name}`)
  }

  /** The page the browser is sent to: openid-client would let any scheme pass. */
  #assertBrowserEndpoint(): void {
    const url = parseEndpoint(this.#context.metadata.authorization_endpoint)
    if (!url || (isLoopback(url) && !isLoopback(new URL(this.issuer)))) {
      throw badMetadata(this.#party, 'names no usable authorization_endpoint')
    }
  }

  /** An endpoint or a document of this provider, for messages. */
  #what(name: string): string {
    return `the ${name} of ${this.#party}`
  }

  get #party(): string {
    return partyOf(this.issuer, this.#context.config)
  }

  #failure(name: string, otherwise: ErrorCode): (err: unknown) => never {
    return (err) => {
      throw providerFailure(err, this.#what(name), otherwise)
    }
  }

  /**
   * openid-client for a single request.
   *
   * @param name the endpoint that is asked, for messages
   * @param read opens the JWTs of a good answer, more strictly than openid-client would, before it sees them; by
   *   default nothing in an answer is opened
   */
  #client(
    name: string,
    read: (response: Response) => Response | Promise<Response> = (response) => response,
  ): oidc.Configuration {
    const { http, signal, metadata } = this.#context
    return configuration(this.#context, async (url, init) => {
      const response = await http.fetch(url, {
        what: this.#what(name),
        method: init.method,
        headers: init.headers,
        body: init.body as string | URLSearchParams | null | undefined,
        signal,
        namedBy: metadata.issuer,
      })
      return response.status === 200 ? read(response) : response
    })
  }

  /** Replaces userinfo that is a JWT by its verified claims (Core 5.3.2). */
  async #openUserInfo(response: Response): Promise<Response> {
    if (!/^application\/jwt\s*(;|$)/i.test(response.headers.get('content-type') ?? '')) return response
    return Response.json(await verifyUserInfo(await response.text(), this.#expected))
  }

  /** What ID tokens and userinfo of this provider have in common. */
  get #expected(): UserInfoExpected {
    const { config, keys, issuerKeys } = this.#context
    return {
      decryption: keys.decryption,
      keys: issuerKeys,
      alg: config.id_token_signed_response_alg,
      issuer: this.issuer,
      clientId: config.client_id,
      clockTolerance: config.clock_tolerance,
    }
  }
}

type Metadata = Record<string, unknown>

function configuration(
  { config, keys, metadata }: ProviderContext,
  fetch: oidc.CustomFetch,
): oidc.Configuration {
  const client = new oidc.Configuration(
    metadata,
    config.client_id,
    {
      id_token_signed_response_alg: config.id_token_signed_response_alg,
      use_mtls_endpoint_aliases: config.tls.cert !== undefined,
      [oidc.clockTolerance]: config.clock_tolerance,
    },
    authentication(config, keys),
  )
  client[oidc.customFetch] = fetch
  leaveTransportToHttp(client)
  return client
}

function authentication(config: ResolvedConfig, { signing }: ClientKeys): oidc.ClientAuth {
  switch (config.token_endpoint_auth_method) {
    case 'client_secret_basic':
      return oidc.ClientSecretBasic(config.client_secret)
    case 'tls_client_auth':
      return oidc.TlsClientAuth()
    case 'private_key_jwt':
      if (!signing)
        throw new IDPartnerError('config_invalid', 'private_key_jwt needs a signing key in "jwks"')
      return oidc.PrivateKeyJwt(signing, { [oidc.modifyAssertion]: backdated })
  }
}
