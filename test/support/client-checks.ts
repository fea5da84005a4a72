import { createHash } from 'node:crypto'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, type JWTPayload } from 'jose'
import type { Members } from './jws.js'
import { clientJwks } from './key-pairs.js'
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

  constructor(complaints: string[]) {
    this.#complaints = complaints
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
      response_mode: 'jwt',
      scope: 'openid email profile',
      code_challenge_method: 'S256',
    }
    for (const [name, value] of Object.entries(expected)) {
      this.#assert(params[name] === value, `the request's ${name} is ${String(params[name])}`)
    }
    const { state, nonce, code_challenge } = params as unknown as AuthorizationRequest
    this.#once(code_challenge, 'code_challenge')
    this.#assert(/^[\w-]{43}$/.test(nonce), 'the nonce is weak or has other characters')
    this.#assert(/^[\w-]{43,128}$/.test(state), 'the state is weak or has other characters')
    keepSecret(state)
    keepSecret(nonce)
    return { state, nonce, code_challenge, interactionId: String(params['x-fapi-interaction-id']) }
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
    const keys = createLocalJWKSet(await clientJwksForVerification())
    const currentDate = new Date(now * 1000)
    await jwtVerify(jwt, keys, { algorithms: ['PS256'], audience, currentDate, clockTolerance: 30 }).catch(
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

async function clientJwksForVerification(): Promise<Awaited<ReturnType<typeof clientJwks>>> {
  const { keys } = await clientJwks()
  return { keys: keys.map(({ kty, n, e, kid, use, alg }) => ({ kty, n, e, kid, use, alg })) as typeof keys }
}
