import * as oidc from 'openid-client'
import type { IDPartnerClaims, UserInfo } from '../jwt/claims.js'
import type { ResolvedConfig } from './config.js'
import { dpopHandle, dpopProof, type DpopNonces } from './dpop.js'
import { decryptionOf, type Encrypted } from './encryption.js'
import { IDPartnerError, type ErrorCode } from '../errors.js'
import { loginStep, trace, type StepEvent } from '../events.js'
import { INTERACTION_ID } from './interaction-id.js'
import { isLoopback } from '../net/addresses.js'
import { parseEndpoint, type Http } from '../net/http.js'
import { jsonOf, shallow, shallowText } from '../net/json.js'
import { verifyIdToken, type IdTokenChecks, type IdTokenExpected } from '../jwt/id-token.js'
import type { DpopKey } from '../jwt/dpop-key.js'
import { signingKey, type ClientKeys } from '../jwt/keys.js'
import type { LoginRecord } from './login-record.js'
import { partyOf } from './party.js'
import { issuerHint } from './networks.js'
import { PROFILES } from './profile.js'
import { unsupported, type Endpoint, type Need, type ProviderMetadata } from './provider-metadata.js'
import { leaveTransportToHttp } from './openid-client-settings.js'
import { badMetadata, errorResponse, providerFailure, type Asked } from './provider-failure.js'
import type { FindKeys } from '../jwt/remote-keys.js'
import { asksForNonce, checkedRequest, type ResourceRequest } from './resource-request.js'
import { readUserInfo } from '../jwt/userinfo.js'
import { clientAssertion, requestObject } from './statements.js'
import { readTokenResponse, tokenSet, type TokenSet } from './tokens.js'

interface ProviderContext {
  config: ResolvedConfig
  http: Http
  keys: ClientKeys
  issuerKeys: FindKeys
  metadata: ProviderMetadata
  /** Of the login that it is about. */
  interactionId: string
  /** What binds its tokens to the application. */
  dpop?: DpopKey | undefined
  nonces: DpopNonces
  signal: AbortSignal | undefined
  /** Keeps what is signed of this login, for a receipt. */
  record?: LoginRecord | undefined
}

/** Endpoints that IDPartner's banks have beside those of OpenID. */
type ResourceEndpoint = Extract<Endpoint, `payment_${string}`>

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

  get #step(): StepEvent {
    return loginStep(this.#context.interactionId, this.issuer)
  }

  /** Where to send the browser with a signed request in the URL (RFC 9101). */
  async signedAuthorizationUrl(parameters: Record<string, string>): Promise<URL> {
    const { config, keys } = this.#context
    const signer = signingKey(keys, config.request_object_signing_alg)
    if (!signer) throw new IDPartnerError('config_invalid', 'option "jwks" needs a signing key')
    this.#browserEndpoint('authorization_endpoint')
    this.#assertSupports([...askedFor(config), ['request_object_signing_alg_values_supported', [signer.alg]]])
    const request = await requestObject(config, signer, this.issuer, parameters)
    return oidc.buildAuthorizationUrl(configuration(this.#context), { request })
  }

  /** Pushes an authorization request and returns where to send the browser (RFC 9126). */
  async pushedAuthorizationUrl(parameters: Record<string, string>): Promise<URL> {
    const { config, keys } = this.#context
    this.#browserEndpoint('authorization_endpoint')
    this.#assertComplete()
    const { signedRequests } = PROFILES[config.profile]
    const signed = signedRequests === 'always' || (signedRequests === 'with a key' && keys.signing.length > 0)
    return this.#ask(
      'pushed_authorization_request_endpoint',
      async (client, options) => {
        // Anew for each try, since banks refuse what they have seen.
        const request = signed && (await this.signedAuthorizationUrl(parameters)).searchParams.get('request')
        return oidc.buildAuthorizationUrlWithPAR(client, request ? { request } : parameters, options)
      },
      {
        sent: secretsOf(parameters),
        twice: true,
        // An assertion names the client, and a certificate does not (RFC 8705, section 2).
        requestAlone:
          signed &&
          !config.pushed_request_client_id &&
          config.token_endpoint_auth_method === 'private_key_jwt',
      },
    )
  }

  /** Exchanges a code that an authentic answer brought. */
  async exchange(
    code: string,
    login: IdTokenChecks & { codeVerifier: string },
  ): Promise<TokenSet & { claims: IDPartnerClaims }> {
    return trace('exchange', this.#step, () => this.#exchange(code, login))
  }

  async #exchange(
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
    if (!claims) throw new IDPartnerError('token_invalid', `${this.#party} issued no ID token`)
    return { ...tokens, claims }
  }

  refresh(refreshToken: string): Promise<TokenSet> {
    return this.#grant('refresh_token', { refresh_token: refreshToken })
  }

  async userInfo(accessToken: string, subject: string): Promise<UserInfo> {
    return trace('userinfo', this.#step, () =>
      this.#ask(
        'userinfo_endpoint',
        (client, options) => oidc.fetchUserInfo(client, accessToken, subject, options),
        {
          otherwise: 'token_invalid',
          twice: true,
          read: (response) => this.#openUserInfo(response),
        },
      ),
    )
  }

  async revoke(token: string): Promise<void> {
    await this.#ask('revocation_endpoint', (client) => oidc.tokenRevocation(client, token), { proven: true })
  }

  /** Asks one of the bank's own endpoints with the person's token; JSON in, JSON out, never repeated. */
  async resource(endpoint: ResourceEndpoint, accessToken: string, body?: unknown): Promise<unknown> {
    return this.json(this.#endpoint(endpoint), nameOf(endpoint), accessToken, body)
  }

  async json(url: URL, name: string, accessToken: string, body?: unknown): Promise<unknown> {
    const headers = new Headers({ accept: 'application/json' })
    if (body !== undefined) headers.set('content-type', 'application/json')
    const [method, text] = body === undefined ? ['GET', undefined] : ['POST', JSON.stringify(body)]
    const asked = this.#asked(name, { content: body })
    const response = await this.#send(asked, configuration(this.#context), (client, options) =>
      oidc.fetchProtectedResource(client, accessToken, url, method, text, headers, options),
    )
    return jsonOf(response, asked.what)
  }

  /** Fetches a public document at the issuer's own host, which may be asked for twice. */
  async document(url: URL, name: string): Promise<unknown> {
    const { http, signal } = this.#context
    const what = this.#what(name)
    const response = await http.get(url, { what, headers: { accept: 'application/json' }, signal })
    return jsonOf(response, what)
  }

  /**
   * Calls an API with the person's token. Whatever it answers is the application's to judge, a redirect or a refusal too.
   *
   * @throws {IDPartnerError} `config_invalid` for a request that a token must not go with
   */
  async request(target: unknown, accessToken: string, init: ResourceRequest): Promise<Response> {
    const { config, metadata } = this.#context
    const { url, method, headers, body } = checkedRequest(target, init, {
      metadata,
      listed: config.resource_servers,
      certificate: config.tls.cert !== undefined,
    })
    let whole: Response | undefined
    const read = (response: Response): Response => {
      whole = response
      // openid-client gets nothing to judge.
      return new Response(null)
    }
    const asked = this.#asked('API', { content: body })
    const answer = await this.#send(
      asked,
      configuration(this.#context),
      (client, options) =>
        oidc.fetchProtectedResource(client, accessToken, url, method, body, new Headers(headers), options),
      { readAny: read },
    )
    return whole ?? answer
  }

  async #grant(type: string, parameters: Record<string, string>, login?: IdTokenChecks): Promise<TokenSet> {
    let verified: Awaited<ReturnType<typeof verifyIdToken>> | undefined
    // openid-client does not get to see the ID token: it does not insist on encryption, knows a key by its kid alone,
    // fetches rotated keys a minute late, and takes null for a value.
    const read = async (response: Response): Promise<Response> => {
      const text = await shallowText(response, this.#what('token response'))
      const issued = readTokenResponse(
        parseJson(text),
        this.#what('token response'),
        this.#context.dpop !== undefined,
      )
      // What else is wrong with it, openid-client finds.
      if (!issued) return new Response(text, response)
      const { id_token, ...others } = issued
      if (id_token !== undefined) {
        verified = await verifyIdToken(id_token, {
          ...this.#expected('id_token', 'ID token'),
          alg: this.#context.config.id_token_signed_response_alg,
          accessToken: issued.access_token,
          login,
        })
      }
      return new Response(JSON.stringify(others), response)
    }
    const tokens = await this.#ask(
      'token_endpoint',
      (client, options) => oidc.genericGrantRequest(client, type, parameters, options),
      { otherwise: 'token_invalid', read },
    )
    const { interactionId } = this.#context
    return tokenSet(
      {
        ...tokens,
        token_type: this.#context.dpop ? 'dpop' : 'bearer',
        ...(verified && { id_token: verified.jws }),
      },
      verified?.claims,
      interactionId,
    )
  }

  /**
   * The endpoint's URL; where the application has a certificate, one that can be shown it: the alias for mutual TLS, or
   * else the endpoint itself (RFC 8705, section 5).
   *
   * An alias that is no https: URL is as good as none. Over plain http there is nothing to show a certificate to, and a
   * token that should be bound to it would turn into one that anybody can use.
   */
  #endpoint(name: Endpoint): URL {
    const { config, metadata } = this.#context
    const ordinary = parseEndpoint(metadata[name])
    if (config.tls.cert === undefined) {
      if (!ordinary) {
        // Another issuer of the same bank has documents without.
        const hint = name === 'pushed_authorization_request_endpoint' ? issuerHint(config.network) : ''
        throw badMetadata(this.#party, `names no usable ${name}${hint}`)
      }
      return ordinary
    }
    const alias = parseEndpoint(metadata.mtls_endpoint_aliases?.[name])
    const url = [alias, ordinary].find((one) => one?.protocol === 'https:')
    if (url) return url
    throw new IDPartnerError(
      'config_invalid',
      `"tls_client_cert" cannot be used: in the discovery document of ${this.#party} neither mtls_endpoint_aliases.${name} nor ${name} is an https: URL`,
    )
  }

  /** What a login needs at its end has to be there before the person is sent to the bank. */
  #assertComplete(): void {
    const { config, keys, metadata, dpop } = this.#context
    this.#endpoint('pushed_authorization_request_endpoint')
    if (!parseEndpoint(metadata.jwks_uri)) throw badMetadata(this.#party, 'names no usable jwks_uri')
    this.#endpoint('token_endpoint')
    const method = config.token_endpoint_auth_method
    const signer = method === 'private_key_jwt' && signingKey(keys, config.token_endpoint_auth_signing_alg)
    this.#assertSupports([
      ...askedFor(config),
      ['token_endpoint_auth_methods_supported', [method]],
      ...(signer ? [['token_endpoint_auth_signing_alg_values_supported', [signer.alg]] as const] : []),
      ...(config.response_mode === 'jwt' ? this.#signedAnswer() : []),
      ['id_token_signing_alg_values_supported', [config.id_token_signed_response_alg]],
      ['id_token_encryption_alg_values_supported', this.#encryptionAlgs('id_token')],
      ['userinfo_signing_alg_values_supported', [config.userinfo_signed_response_alg ?? []].flat()],
      ...(dpop ? [['dpop_signing_alg_values_supported', [dpop.alg]] as const] : []),
    ])
  }

  #signedAnswer(): Need[] {
    return [
      [
        'authorization_signing_alg_values_supported',
        [this.#context.config.authorization_signed_response_alg],
      ],
      ['authorization_encryption_alg_values_supported', this.#encryptionAlgs('authorization')],
    ]
  }

  #assertSupports(needs: readonly Need[]): void {
    const why = unsupported(
      this.#context.metadata,
      needs.filter(([, oneOf]) => oneOf.length > 0),
    )
    if (why !== undefined) throw badMetadata(this.#party, why)
  }

  /** What a bank has to be able to encrypt with, where it has to encrypt. */
  #encryptionAlgs(kind: Encrypted): string[] {
    const { config, keys } = this.#context
    return config.encryption[kind].alg.filter((alg) => keys.decryption.some((one) => one.alg === alg))
  }

  /** Where a session at the bank ends, if it has such a page. */
  endSessionEndpoint(): URL | undefined {
    const name = 'end_session_endpoint'
    return this.#context.metadata[name] === undefined ? undefined : this.#browserEndpoint(name)
  }

  /** A page the browser is sent to: openid-client would let any scheme pass. */
  #browserEndpoint(name: 'authorization_endpoint' | 'end_session_endpoint'): URL {
    const url = parseEndpoint(this.#context.metadata[name])
    if (!url || (isLoopback(url) && !isLoopback(new URL(this.issuer)))) {
      throw badMetadata(this.#party, `names no usable ${name}`)
    }
    return url
  }

  /** An endpoint or a document of this provider, for messages. */
  #what(name: string): string {
    return `the ${name} of ${this.#party}`
  }

  get #party(): string {
    return partyOf(this.issuer, this.#context.config)
  }

  #asked(name: string, more: Partial<Asked> = {}): Asked {
    return { what: this.#what(name), sent: [], ...more }
  }

  /**
   * Asks an endpoint that openid-client knows.
   *
   * @param call.otherwise the code when the provider answered, but wrongly; `provider_unavailable` by default
   * @param call.read opens the JWTs of a good answer, more strictly than openid-client would, before it sees them; by
   *   default nothing in an answer is opened
   * @param call.sent secrets that are inside what is sent
   * @param call.twice whether it may be sent again where the server failed
   * @param call.requestAlone whether a signed request is to stand alone beside the authentication
   */
  #ask<T>(
    endpoint: Endpoint,
    call: Call<T>,
    { sent = [], ...how }: How & { sent?: string[] } = {},
  ): Promise<T> {
    const { config, metadata } = this.#context
    const url = this.#endpoint(endpoint).href
    // Which of two endpoints it is was decided here.
    const client = configuration({ ...this.#context, metadata: { ...metadata, [endpoint]: url } })
    const auth = endpoint === 'userinfo_endpoint' ? undefined : config.token_endpoint_auth_method
    // It goes along in an encoding, and a bank would repeat it as it was before that.
    const secrets = config.client_secret ? [config.client_secret] : []
    const asked = this.#asked(nameOf(endpoint), { auth, sent: [...sent, ...secrets] })
    return this.#send(asked, client, call, how)
  }

  /**
   * Sends a single request with openid-client, and turns what goes wrong into our own error.
   *
   * It is sent a second time for two reasons alone, and never a third: a server that wants another nonce in the proof has done
   * nothing with it (RFC 9449, section 8); and what may be done twice, where the server has failed. The call makes all of it
   * anew, the client assertion too.
   */
  async #send<T>(
    asked: Asked,
    client: oidc.Configuration,
    call: Call<T>,
    {
      otherwise = 'provider_unavailable',
      read,
      readAny,
      requestAlone = false,
      twice = false,
      proven = false,
    }: How = {},
  ): Promise<T> {
    const { http, interactionId, signal, metadata, dpop, nonces } = this.#context
    const options = dpop ? { DPoP: dpopHandle(client, dpop, nonces) } : {}
    let wantsNonce = false
    let hasFailed = false
    // Looked for only when something went wrong.
    let secrets = (): string[] => []
    client[oidc.customFetch] = async (url, { method, headers, ...init }) => {
      const body = init.body as string | URLSearchParams | null | undefined
      if (requestAlone && body instanceof URLSearchParams) body.delete('client_id')
      secrets = () => [
        ...secretsOf(Object.fromEntries(body instanceof URLSearchParams ? body : [])),
        ...secretsOf({
          authorization: headers['authorization']?.split(' ')[1] ?? '',
          proof: headers['dpop'] ?? '',
        }),
      ]
      const shown = dpop && nonces.of(url)
      const proof = proven && dpop && { dpop: await dpopProof(dpop, method, url, nonces) }
      const namedBy = metadata.issuer
      const response = await http.fetch(url, {
        what: asked.what,
        method,
        headers: { ...headers, ...proof, [INTERACTION_ID]: interactionId },
        body,
        signal,
        namedBy,
        mutualTls: true,
      })
      const nonce = dpop && nonces.note(url, response)
      hasFailed = twice && SERVER_FAILED.includes(response.status)
      if (readAny) {
        if (!wantsNonce && nonce !== undefined && nonce !== shown && asksForNonce(response)) {
          wantsNonce = true
          throw new IDPartnerError('provider_error', `${asked.what} asked for another DPoP nonce`)
        }
        return readAny(response)
      }
      if (response.status >= 400) {
        wantsNonce = [400, 401].includes(response.status) && nonce !== undefined && nonce !== shown
        const failure = await errorResponse(response, withSent(asked, secrets()))
        if (failure && dpop && nonce === undefined && failure.providerError === 'use_dpop_nonce') {
          const { cause, providerError } = failure
          const why = 'asked for a DPoP nonce, and sent no nonce'
          throw new IDPartnerError('provider_error', `${asked.what} ${why}`, { cause, providerError })
        }
        if (failure) throw failure
      }
      return read && response.status === 200 ? read(response) : shallow(response, asked.what)
    }
    try {
      return await call(client, options).catch((err: unknown) => {
        if (wantsNonce || hasFailed) return call(client, options)
        throw err
      })
    } catch (err) {
      throw providerFailure(err, withSent(asked, secrets()), otherwise)
    }
  }

  /** Replaces userinfo by its checked claims; what is no userinfo at all is left to openid-client. */
  async #openUserInfo(response: Response): Promise<Response> {
    const {
      encryption,
      id_token_signed_response_alg,
      userinfo_signed_response_alg: alg,
    } = this.#context.config
    const claims = await readUserInfo(response, {
      ...this.#expected('userinfo', 'userinfo'),
      encrypted: encryption.userinfo.asked,
      alg: alg ?? id_token_signed_response_alg,
      signed: alg !== undefined,
    })
    return claims ? Response.json(claims) : response
  }

  /** What ID tokens and userinfo of this provider have in common. */
  #expected(
    kind: Extract<Encrypted, 'id_token' | 'userinfo'>,
    name: string,
  ): Omit<IdTokenExpected, 'alg' | 'accessToken' | 'login'> {
    const { config, keys, issuerKeys, record } = this.#context
    return {
      what: this.#what(name),
      decryption: decryptionOf(config.encryption[kind], keys),
      keys: issuerKeys,
      issuer: this.issuer,
      clientId: config.client_id,
      clockTolerance: config.clock_tolerance,
      witness: record?.witness(kind),
    }
  }
}

/** How an answer is read, and a request sent. */
interface How {
  otherwise?: ErrorCode
  read?: Read
  /** Reads an answer of any status in place of that. */
  readAny?: Read
  requestAlone?: boolean
  /** Whether it may be sent again where the server failed. */
  twice?: boolean
  /** Whether a proof goes along that openid-client does not make. */
  proven?: boolean
}

/** What says that a server has failed at the moment. */
const SERVER_FAILED = [500, 502, 503, 504]

/** A call of openid-client, which may be made twice. */
type Call<T> = (client: oidc.Configuration, options: oidc.DPoPOptions) => Promise<T>

type Read = (response: Response) => Response | Promise<Response>

/** What every authorization request asks for. */
function askedFor({ response_mode }: ResolvedConfig): Need[] {
  return [
    ['response_modes_supported', [response_mode]],
    ['code_challenge_methods_supported', ['S256']],
  ]
}

/** An endpoint as messages call it. */
function nameOf(endpoint: Endpoint): string {
  return endpoint.replace('pushed_', '').replaceAll('_', ' ')
}

/** Parameters that are no secret: an error that repeats one of them says something. */
const PUBLIC = [
  'client_id',
  'redirect_uri',
  'response_type',
  'response_mode',
  'scope',
  'grant_type',
  'client_assertion_type',
  'code_challenge_method',
  'prompt',
  'acr_values',
  'ui_locales',
]

function secretsOf(parameters: Record<string, string>): string[] {
  return Object.entries(parameters).flatMap(([name, value]) =>
    // What is shorter is no secret, and may be part of any word.
    PUBLIC.includes(name) || value.length < 8 ? [] : [value],
  )
}

function withSent(asked: Asked, secrets: string[]): Asked {
  return { ...asked, sent: [...asked.sent, ...secrets] }
}

function configuration({ config, keys, metadata }: ProviderContext): oidc.Configuration {
  const client = new oidc.Configuration(
    metadata,
    config.client_id,
    // It gets no JWT to see, and without an algorithm it would refuse ours.
    undefined,
    authentication(config, keys),
  )
  leaveTransportToHttp(client)
  // A timer of its own would tell Http nothing.
  client.timeout = undefined
  return client
}

function authentication(config: ResolvedConfig, keys: ClientKeys): oidc.ClientAuth {
  switch (config.token_endpoint_auth_method) {
    case 'client_secret_basic':
      return oidc.ClientSecretBasic(config.client_secret)
    case 'tls_client_auth':
      return oidc.TlsClientAuth()
    case 'private_key_jwt':
      return clientAssertion(config, keys)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
