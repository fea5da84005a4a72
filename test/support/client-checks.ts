import { createHash } from 'node:crypto'
import {
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  jwtVerify,
  type JWK,
  type JWTPayload,
} from 'jose'
import type { IncomingHttpHeaders } from 'node:http'
import type { Profile } from 'passport-idpartner'
import type { Members } from './jws.js'
import { clientJwksFor } from './key-pairs.js'
import { keepSecret } from './secrets.js'

export const CLIENT_ID = 'test-app'
export const CLIENT_SECRET = 'a-secret-of-the-application'
export const CALLBACK = 'https://app.example/callback?tenant=a%20b'

/** An authorization request, as a bank sees it. */
export interface AuthorizationRequest {
  state: string
  nonce: string
  code_challenge: string
  interactionId: string
}

/** What IDPartner and banks check on an application, as the OpenID Foundation's suite does. */
export class ClientChecks {
  readonly #complaints: string[]
  readonly #seen = new Set<string>()
  /** The state of each request's code_challenge. */
  readonly #challenges = new Map<string, string>()
  readonly #profile: Profile
  readonly #responseMode: 'jwt' | 'query'
  readonly #alg: 'PS256' | 'ES256'

  constructor(
    complaints: string[],
    {
      profile,
      responseMode,
      alg,
    }: { profile: Profile; responseMode: 'jwt' | 'query'; alg: 'PS256' | 'ES256' },
  ) {
    this.#complaints = complaints
    this.#profile = profile
    this.#responseMode = responseMode
    this.#alg = alg
  }

  /** What a pushed request looks like, as the profile has it (RFC 9126, section 3). */
  pushed(params: URLSearchParams, auth: string): void {
    const signed = params.has('request')
    if (this.#profile === 'fapi2-security') this.#assert(!signed, 'the request is signed')
    if (this.#profile !== 'fapi2-message-signing') return
    this.#assert(signed, 'the request is not signed')
    const authentication =
      auth === 'private_key_jwt' ? ['client_assertion', 'client_assertion_type'] : ['client_id']
    this.#assert(
      [...params.keys()].sort().join() === [...authentication, 'request'].sort().join(),
      `beside the request are ${[...params.keys()].join()}`,
    )
  }

  /** The URL that the browser is sent to holds nothing that was pushed. */
  pushedUrl({ searchParams }: URL): void {
    this.#assert([...searchParams.keys()].sort().join() === 'client_id,request_uri', 'the URL holds too much')
  }

  /** FAPI 1.0 Advanced has the interaction id as IDPartner does; in FAPI 2.0 it is a header alone. */
  interactionId(headers: IncomingHttpHeaders, inRequest: string): string {
    const header = String(headers['x-fapi-interaction-id'])
    const isUuid = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/.test(header)
    this.#assert(isUuid || header === inRequest, `the interaction id of the header is ${header}`)
    const expected = this.#profile === 'fapi1-advanced' ? header : ''
    this.#assert(inRequest === expected, `the interaction id of the request is ${inRequest}`)
    return header
  }

  async requestObject(jwt: string, audience: string, now: number): Promise<AuthorizationRequest> {
    const claims = await this.#signed(jwt, 'request object', audience, now)
    const { typ } = decodeProtectedHeader(jwt)
    this.#assert(typ === 'oauth-authz-req+jwt', `request object has typ ${String(typ)}`)
    this.#assert(claims.exp !== undefined && claims.exp - now <= 300, 'request object lives too long')
    this.#assert(claims.iss === CLIENT_ID, 'request object has a wrong iss')
    for (const name of ['sub', 'request', 'request_uri']) {
      this.#assert(!(name in claims), `request object holds ${name}`)
    }
    return this.request(claims)
  }

  /** The parameters of a request, from wherever they came. */
  request(params: Members): AuthorizationRequest {
    const expected = {
      client_id: CLIENT_ID,
      redirect_uri: CALLBACK,
      response_type: 'code',
      response_mode: this.#responseMode === 'jwt' ? 'jwt' : undefined,
      scope: 'openid email profile',
      code_challenge_method: 'S256',
    }
    for (const [name, value] of Object.entries(expected)) {
      this.#assert(params[name] === value, `the request's ${name} is ${String(params[name])}`)
    }
    const { state, nonce, code_challenge } = params as unknown as AuthorizationRequest
    // A request that is pushed again after a failure is the same login.
    if (this.#challenges.get(code_challenge) !== state) this.#once(code_challenge, 'code_challenge')
    this.#challenges.set(code_challenge, state)
    this.#assert(/^[\w-]{43}$/.test(nonce), 'the nonce is weak or has other characters')
    this.#assert(/^[\w-]{43,128}$/.test(state), 'the state is weak or has other characters')
    keepSecret(state)
    keepSecret(nonce)
    return { state, nonce, code_challenge, interactionId: textOf(params['x-fapi-interaction-id']) }
  }

  async assertion(params: URLSearchParams, issuer: string, now: number): Promise<void> {
    const jwt = params.get('client_assertion') ?? ''
    if (jwt === '') {
      this.#complaints.push('no client assertion')
      return
    }
    const claims = await this.#signed(jwt, 'client assertion', issuer, now)
    this.#assert(
      claims.iss === CLIENT_ID && claims.sub === CLIENT_ID,
      'client assertion is of another client',
    )
    this.#assert(claims.aud === issuer, 'client assertion has no single aud')
    this.#assert(
      Object.keys(claims).sort().join() === 'aud,exp,iat,iss,jti,nbf,sub',
      `client assertion has ${Object.keys(claims).join()}`,
    )
    const { typ, kid } = decodeProtectedHeader(jwt)
    this.#assert(typ === 'JWT' && kid !== undefined, 'client assertion has no typ or no kid')
    this.#assert(Number(claims.exp) - Number(claims.iat) <= 120, 'client assertion lives too long')
    this.#assert(!params.has('client_secret'), 'the client secret was sent as well')
  }

  /** With one way to authenticate configured, no other is used. */
  otherAuthentication(method: string, params: URLSearchParams, authorization: string | undefined): void {
    const credentials = Buffer.from(authorization?.replace(/^Basic /, '') ?? '', 'base64').toString()
    const expected = method === 'client_secret_basic' ? `${CLIENT_ID}:${CLIENT_SECRET}` : ''
    // RFC 6749, section 2.3.1: form-encoded before they are joined.
    this.#assert(decodeURIComponent(credentials) === expected, `${method}: wrong authorization`)
    for (const name of ['client_secret', 'client_assertion']) {
      this.#assert(!params.has(name), `${method}: ${name} was sent as well`)
    }
    this.#assert(method !== 'tls_client_auth' || params.get('client_id') === CLIENT_ID, 'no client_id')
  }

  verifier(params: URLSearchParams, { code_challenge }: AuthorizationRequest): boolean {
    const verifier = keepSecret(params.get('code_verifier') ?? 'none')
    this.#assert(params.get('redirect_uri') === CALLBACK, 'the redirect_uri of the token request differs')
    return createHash('sha256').update(verifier).digest('base64url') === code_challenge
  }

  async #signed(jwt: string, what: string, audience: string, now: number): Promise<JWTPayload> {
    const { keys: own } = await clientJwksFor(this.#alg)
    const keys = createLocalJWKSet({
      keys: own.map(
        ({ kty, n, e, crv, x, y, kid, use, alg }) =>
          JSON.parse(JSON.stringify({ kty, n, e, crv, x, y, kid, use, alg })) as JWK,
      ),
    })
    const currentDate = new Date(now * 1000)
    await jwtVerify(jwt, keys, { algorithms: [this.#alg], audience, currentDate, clockTolerance: 30 }).catch(
      (err: unknown) => this.#complaints.push(`${what}: ${String(err)}`),
    )
    const claims = decodeJwt(jwt)
    this.#assert(claims.nbf !== undefined && claims.nbf <= now, `${what} begins in the bank's future`)
    this.#assert(claims.exp !== undefined && claims.exp > now, `${what} has a wrong exp`)
    this.#once(String(claims.jti), `jti of the ${what}`)
    return claims
  }

  #once(value: string, what: string): void {
    this.#assert(!this.#seen.has(value), `the ${what} was used before`)
    this.#seen.add(value)
  }

  #assert(condition: boolean, complaint: string): void {
    if (!condition) this.#complaints.push(complaint)
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
