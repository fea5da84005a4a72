import * as oidc from 'openid-client'
import type { IDPartnerClaims, UserInfo } from '../jwt/claims.js'
import { personalParameters, textParameters, type RequestParameters } from './authorization-request.js'
import { decryptionOf, type Encrypted } from './encryption.js'
import { IDPartnerError } from '../errors.js'
import { loginStep, trace, type StepEvent } from '../events.js'
import type { Http } from '../net/http.js'
import { jsonOf, shallowText } from '../net/json.js'
import { verifyIdToken, type IdTokenChecks, type IdTokenExpected } from '../jwt/id-token.js'
import { signingKey } from '../jwt/keys.js'
import { PROFILES } from './profile.js'
import { configuration, secretsOf, send, type Call, type How, type ProviderContext } from './provider-call.js'
import {
  askedFor,
  assertComplete,
  assertSupports,
  browserEndpoint,
  endpointUrl,
  partyNamed,
} from './provider-endpoints.js'
import type { Asked } from './provider-failure.js'
import type { Endpoint } from './provider-metadata.js'
import { checkedRequest, type CheckedRequest, type ResourceRequest } from './resource-request.js'
import { readUserInfo } from '../jwt/userinfo.js'
import { requestObject } from './statements.js'
import { readTokenResponse, tokenSet, type TokenSet } from './tokens.js'

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

  /** The connections of this operation. */
  get http(): Http {
    return this.#context.http
  }

  get #step(): StepEvent {
    return loginStep(this.#context.interactionId, this.issuer)
  }

  /** Where to send the browser with a signed request in the URL (RFC 9101). */
  async signedAuthorizationUrl(parameters: RequestParameters): Promise<URL> {
    const { config, keys } = this.#context
    const signer = signingKey(keys, config.request_object_signing_alg)
    if (!signer) throw new IDPartnerError('config_invalid', 'option "jwks" needs a signing key')
    browserEndpoint(this.#context, 'authorization_endpoint')
    assertSupports(this.#context, [
      ...askedFor(config),
      ['request_object_signing_alg_values_supported', [signer.alg]],
    ])
    const request = await requestObject(config, signer, this.issuer, parameters)
    return oidc.buildAuthorizationUrl(configuration(this.#context), { request })
  }

  /** Pushes an authorization request and returns where to send the browser (RFC 9126). */
  async pushedAuthorizationUrl(parameters: RequestParameters): Promise<URL> {
    const { config, keys } = this.#context
    browserEndpoint(this.#context, 'authorization_endpoint')
    assertComplete(this.#context)
    const texts = textParameters(parameters)
    const { signedRequests } = PROFILES[config.profile]
    const signed = signedRequests === 'always' || (signedRequests === 'with a key' && keys.signing.length > 0)
    return this.#ask(
      'pushed_authorization_request_endpoint',
      async (client, options) => {
        // Anew for each try, since banks refuse what they have seen.
        const request = signed && (await this.signedAuthorizationUrl(parameters)).searchParams.get('request')
        return oidc.buildAuthorizationUrlWithPAR(client, request ? { request } : texts, options)
      },
      {
        sent: secretsOf(texts),
        content: personalParameters(parameters),
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
    if (!claims) throw new IDPartnerError('token_invalid', `${partyNamed(this.#context)} issued no ID token`)
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
    return this.json(endpointUrl(this.#context, endpoint), nameOf(endpoint), accessToken, body)
  }

  async json(url: URL, name: string, accessToken: string, body?: unknown): Promise<unknown> {
    const headers = new Headers({ accept: 'application/json' })
    if (body !== undefined) headers.set('content-type', 'application/json')
    const [method, text] = body === undefined ? ['GET', undefined] : ['POST', JSON.stringify(body)]
    const asked = this.#asked(name, { content: body })
    const response = await send(this.#context, asked, configuration(this.#context), (client, options) =>
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

  /** @throws {IDPartnerError} `config_invalid` for a request that a token must not go with */
  checkRequest(target: unknown, init: ResourceRequest): CheckedRequest {
    const { config, metadata } = this.#context
    return checkedRequest(target, init, {
      metadata,
      listed: config.resource_servers,
      certificate: config.tls.cert !== undefined,
    })
  }

  /** Calls an API with the person's token. Whatever it answers is the application's to judge, a redirect or a refusal too. */
  async request({ url, method, headers, body }: CheckedRequest, accessToken: string): Promise<Response> {
    let whole: Response | undefined
    const read = (response: Response): Response => {
      whole = response
      // openid-client gets nothing to judge.
      return new Response(null)
    }
    const asked = this.#asked('API', { content: body })
    const answer = await send(
      this.#context,
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

  /** Where a session at the bank ends, if it has such a page. */
  endSessionEndpoint(): URL | undefined {
    const name = 'end_session_endpoint'
    return this.#context.metadata[name] === undefined ? undefined : browserEndpoint(this.#context, name)
  }

  /** An endpoint or a document of this provider, for messages. */
  #what(name: string): string {
    return `the ${name} of ${partyNamed(this.#context)}`
  }

  #asked(name: string, more: Partial<Asked> = {}): Asked {
    return { what: this.#what(name), sent: [], ...more }
  }

  /**
   * Asks an endpoint that openid-client knows.
   *
   * @param call.sent secrets that are inside what is sent
   * @param call.content what is about a person there
   */
  #ask<T>(
    endpoint: Endpoint,
    call: Call<T>,
    { sent = [], content, ...how }: How & Partial<Pick<Asked, 'sent' | 'content'>> = {},
  ): Promise<T> {
    const { config, metadata } = this.#context
    const url = endpointUrl(this.#context, endpoint).href
    // Which of two endpoints it is was decided here.
    const client = configuration({ ...this.#context, metadata: { ...metadata, [endpoint]: url } })
    const auth = endpoint === 'userinfo_endpoint' ? undefined : config.token_endpoint_auth_method
    // It goes along in an encoding, and a bank would repeat it as it was before that.
    const secrets = config.client_secret ? [config.client_secret] : []
    const asked = this.#asked(nameOf(endpoint), { auth, sent: [...sent, ...secrets], content })
    return send(this.#context, asked, client, call, how)
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

/** An endpoint as messages call it. */
function nameOf(endpoint: Endpoint): string {
  return endpoint.replace('pushed_', '').replaceAll('_', ' ')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
