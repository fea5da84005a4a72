import { createHash, randomUUID } from 'node:crypto'
import type { ServerOptions } from 'node:https'
import type { JWK } from 'jose'
import type { TokenEndpointAuthMethod } from 'passport-idpartner'
import { encryptionKid, mint, type Change, type JwtBend } from './bends.js'
import { CLIENT_ID, type AuthorizationRequest, type ClientChecks } from './client-checks.js'
import { DpopChecks, type Proof } from './dpop-checks.js'
import { json, type Reply } from './faults.js'
import type { Members } from './jws.js'
import { ecKey, ed25519Key, extraKey, publicJwk, rsaKey } from './key-pairs.js'
import { startServer, type Handler, type Running, type SeenRequest, type Wire } from './loopback-server.js'
import { keepSecret } from './secrets.js'

export interface Person {
  sub: string
  name: string
  email: string
}

/** How the bank's side of one login differs from a genuine one. */
export interface BankBends {
  answer?: JwtBend
  idToken?: JwtBend
  /** Bends the body of the token response. */
  tokens?: Change
  userInfo?: Change
  /** Makes the userinfo a JWT. */
  userInfoJwt?: JwtBend
  /** The same, for what a refresh token brings. */
  refreshed?: Pick<BankBends, 'idToken' | 'tokens'>
}

interface Grant {
  request: AuthorizationRequest
  person: Person
  bends: BankBends
}

export interface BankOptions {
  wire: Wire
  checks: ClientChecks
  now: () => number
  /** Whether the application has an encryption key. */
  encrypted: boolean
  host?: string
  /** What its origins call it, where a test leads that name to loopback. */
  hostname?: string
  path: string
  auth?: TokenEndpointAuthMethod
  responseMode?: 'jwt' | 'query'
  /** Whether tokens have to be bound by DPoP. */
  dpop?: boolean
  /** Has its endpoints at a second host too, which asks for a client certificate. */
  mutual?: ServerOptions
  /** Over TLS alone. */
  tls?: ServerOptions
}

/** An OpenID Provider that behaves, apart from what a test bends. */
export class Bank {
  /** The name of the key it signs with; another name is a rotation. */
  signer: string
  metadata: Change = (document) => document
  jwks: (keys: JWK[]) => JWK[] = (keys) => keys
  /** Its side of DPoP. */
  dpop: DpopChecks
  readonly name: string
  readonly issuer: string
  readonly #options: BankOptions
  readonly #server: Running
  readonly #mutual: Running | undefined
  readonly #grants = new Map<string, Grant>()
  readonly #pushed = new Map<string, AuthorizationRequest>()

  private constructor(name: string, options: BankOptions, server: Running, mutual?: Running) {
    this.#mutual = mutual
    this.name = name
    this.signer = name
    this.#options = options
    this.#server = server
    this.issuer = `${server.origin}${options.path}`
    this.dpop = new DpopChecks(options.wire.complaints, Boolean(options.dpop))
  }

  static async start(name: string, options: BankOptions): Promise<Bank> {
    const base = options.path.replace(/\/$/, '')
    const routes: Record<string, Handler> = {
      [`discovery ${base}/.well-known/openid-configuration`]: () => json(bank.document()),
      [`jwks ${base}/jwks`]: async () => json({ keys: await bank.keys() }),
      [`par ${base}/par`]: (request) => bank.#push(request),
      [`token ${base}/token`]: (request) => bank.#token(request),
      [`userinfo ${base}/userinfo`]: (request) => bank.#userInfo(request),
      [`payment ${base}/payment`]: (request) => bank.#resource(request, { status: 'accepted' }),
      [`paymentDetails ${base}/payment-details`]: (request) => bank.#resource(request, { account: 'DE00' }),
      [`revocation ${base}/revocation`]: () => json({}),
      [`credentialIssuer ${base}/.well-known/openid-credential-issuer`]: () =>
        json({ credential_issuer: bank.issuer, credential_endpoint: bank.#url('credential') }),
      [`credential ${base}/credential`]: () => json({ credential: 'vc' }),
    }
    const { host, hostname, tls: ordinary, mutual: tls, wire } = options
    const known = hostname !== undefined && { hostname }
    const server = await startServer(name, routes, wire, {
      ...known,
      ...(host !== undefined && { host }),
      ...(ordinary && { tls: ordinary }),
    })
    const mutual = tls && (await startServer(`${name}+mtls`, routes, wire, { ...known, tls }))
    const bank = new Bank(name, options, server, mutual)
    return bank
  }

  /** As it was when it began, but for what it remembers of old logins. */
  reset(): void {
    const { wire, dpop } = this.#options
    this.signer = this.name
    this.metadata = (document) => document
    this.jwks = (keys) => keys
    this.dpop = new DpopChecks(wire.complaints, Boolean(dpop))
  }

  get origin(): string {
    return this.#server.origin
  }

  document(): Members {
    return this.metadata({
      issuer: this.issuer,
      authorization_endpoint: this.#url('auth'),
      pushed_authorization_request_endpoint: this.#url('par'),
      token_endpoint: this.#url('token'),
      userinfo_endpoint: this.#url('userinfo'),
      jwks_uri: this.#url('jwks'),
      payment_processing_endpoint: this.#url('payment'),
      payment_details_info_endpoint: this.#url('payment-details'),
      revocation_endpoint: this.#url('revocation'),
      response_types_supported: ['code'],
      response_modes_supported: ['jwt', 'query'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['PS256', 'ES256'],
      authorization_signing_alg_values_supported: ['PS256', 'ES256'],
      authorization_response_iss_parameter_supported: true,
      mtls_endpoint_aliases: this.#aliases(),
    })
  }

  /** With the decoys that real and hostile key sets hold. */
  async keys(): Promise<JWK[]> {
    const key = await rsaKey(this.signer)
    return this.jwks([
      publicJwk(await ecKey('decoy'), { kid: key.kid, use: 'sig' }),
      publicJwk(key, { use: 'sig', alg: 'PS256' }),
      publicJwk(await extraKey(this.name), { use: 'sig' }),
      publicJwk(await ecKey(this.name), { use: 'sig' }),
      publicJwk(await ecKey('decoy', 'secp256k1'), { use: 'sig' }),
      publicJwk(await ed25519Key('decoy'), { use: 'sig' }),
      publicJwk(await rsaKey('extra'), { use: 'enc' }),
    ])
  }

  /** The request that a PAR answer's `request_uri` stands for. */
  pushed(requestUri: string): AuthorizationRequest | undefined {
    return this.#pushed.get(requestUri)
  }

  /** Answers an authorization request as JARM has it. */
  async answer(request: AuthorizationRequest, person: Person, bends: BankBends = {}): Promise<string> {
    const code = keepSecret(`code-${randomUUID()}`)
    this.#grants.set(code, { request, person, bends })
    const claims = {
      iss: this.issuer,
      aud: CLIENT_ID,
      code,
      state: request.state,
      exp: this.#options.now() + 600,
    }
    return this.#mint(claims, bends.answer)
  }

  /** What the browser brings back: a signed answer, or plain parameters. */
  async answerParams(
    request: AuthorizationRequest,
    person: Person,
    bends: BankBends = {},
  ): Promise<Record<string, string>> {
    if (this.#options.responseMode !== 'query') return { response: await this.answer(request, person, bends) }
    const code = keepSecret(`code-${randomUUID()}`)
    this.#grants.set(code, { request, person, bends })
    const params = { code, state: request.state, iss: this.issuer }
    return { ...((bends.answer?.claims ?? ((members) => members))(params) as Record<string, string>) }
  }

  /** Says that somebody logged out here. */
  async logoutToken(members: Members, bend: JwtBend = {}): Promise<string> {
    const now = this.#options.now()
    const claims = {
      iss: this.issuer,
      aud: CLIENT_ID,
      iat: now,
      exp: now + 120,
      jti: randomUUID(),
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
      ...members,
    }
    const header = (given: Members): Members =>
      (bend.header ?? ((one) => one))({ ...given, typ: 'logout+jwt' })
    return this.#mint(claims, { ...bend, header })
  }

  #aliases(): Members {
    // A bank without such a host was seen to publish this.
    if (!this.#mutual) return { token_endpoint: 'undefined/token' }
    const url = (path: string): string => this.#url(path).replace(this.origin, this.#mutual?.origin ?? '')
    return {
      pushed_authorization_request_endpoint: url('par'),
      token_endpoint: url('token'),
      userinfo_endpoint: url('userinfo'),
      payment_processing_endpoint: url('payment'),
      payment_details_info_endpoint: url('payment-details'),
      revocation_endpoint: url('revocation'),
    }
  }

  async #push(seen: SeenRequest): Promise<Reply> {
    const { body, headers } = seen
    const { checks, now } = this.#options
    const params = new URLSearchParams(body)
    await this.#authenticate(params, headers.authorization)
    const proof = await this.dpop.proof('par', seen)
    if ('refusal' in proof) return proof.refusal
    checks.pushed(params, this.#options.auth ?? 'private_key_jwt')
    const jwt = params.get('request')
    const asked =
      jwt === null
        ? checks.request(Object.fromEntries(params))
        : await checks.requestObject(jwt, this.issuer, now())
    const request = { ...asked, interactionId: checks.interactionId(headers, asked.interactionId) }
    const request_uri = `urn:ietf:params:oauth:request_uri:${randomUUID()}`
    this.#pushed.set(request_uri, request)
    this.dpop.bind(request.state, proof)
    return this.dpop.withNonce('par', json({ request_uri, expires_in: 600 }, 201))
  }

  async #token(seen: SeenRequest): Promise<Reply> {
    const { body, headers } = seen
    const params = new URLSearchParams(body)
    await this.#authenticate(params, headers.authorization)
    const proof = await this.dpop.proof('token', seen)
    if ('refusal' in proof) return proof.refusal
    const handle = params.get('code') ?? params.get('refresh_token') ?? ''
    const grant = this.#grants.get(handle)
    // A code is good for one try.
    this.#grants.delete(handle)
    const refreshing = params.get('grant_type') === 'refresh_token'
    if (!grant || (!refreshing && !this.#options.checks.verifier(params, grant.request))) {
      return json({ error: 'invalid_grant', error_description: 'no such grant' }, 400)
    }
    // Of a bare refresh token nobody knows the login.
    if (!refreshing) this.#sameInteraction(headers, grant)
    this.dpop.bind(refreshing ? handle : grant.request.state, proof)
    return this.dpop.withNonce('token', json(await this.#tokens(grant, refreshing, proof)))
  }

  async #tokens(grant: Grant, refreshing: boolean, proof: Proof): Promise<unknown> {
    const { request, person, bends } = grant
    const { idToken, tokens } = refreshing ? (bends.refreshed ?? {}) : bends
    const access_token = this.#issue('access', grant)
    this.dpop.bind(access_token, proof)
    const now = this.#options.now()
    const claims = {
      iss: this.issuer,
      aud: CLIENT_ID,
      iat: now,
      exp: now + 300,
      ...(!refreshing && { nonce: request.nonce }),
      at_hash: createHash('sha256').update(access_token).digest().subarray(0, 16).toString('base64url'),
      ...person,
    }
    const id_token = await this.#mint(claims, idToken)
    const body = {
      access_token,
      token_type: this.dpop.type,
      expires_in: 900,
      refresh_token: this.#issue('refresh', grant),
      scope: 'openid email profile',
      id_token: keepSecret(id_token),
    }
    return tokens ? tokens(body) : body
  }

  async #resource(seen: SeenRequest, body: unknown): Promise<Reply> {
    const proof = await this.dpop.resourceProof('resource', seen)
    return 'refusal' in proof ? proof.refusal : this.dpop.withNonce('resource', json(body))
  }

  async #userInfo(seen: SeenRequest): Promise<Reply> {
    const { method, headers, url } = seen
    const token = headers.authorization?.replace(/^\w+ /, '') ?? ''
    const grant = this.#grants.get(token)
    const proof = await this.dpop.resourceProof('userinfo', seen)
    if ('refusal' in proof) return proof.refusal
    this.#sameInteraction(headers, grant)
    if (!grant || method !== 'GET' || url.includes('?')) {
      return {
        ...json({}, 401),
        headers: { 'www-authenticate': 'Bearer error="invalid_token", error_description="unknown"' },
      }
    }
    const { userInfo, userInfoJwt } = grant.bends
    const claims = (userInfo ?? ((members) => members))({ ...grant.person })
    if (!userInfoJwt) return this.dpop.withNonce('userinfo', json(claims))
    const signed = await mint(
      { claims: { iss: this.issuer, aud: CLIENT_ID, ...claims }, key: await rsaKey(this.signer) },
      userInfoJwt,
    )
    return { status: 200, headers: { 'content-type': 'application/jwt' }, body: signed }
  }

  #sameInteraction(headers: SeenRequest['headers'], grant: Grant | undefined): void {
    const id = headers['x-fapi-interaction-id']
    if (grant && id !== grant.request.interactionId)
      this.#options.wire.complaints.push('another interaction id')
  }

  #issue(kind: string, grant: Grant): string {
    const token = keepSecret(`${kind}-${randomUUID()}`)
    this.#grants.set(token, grant)
    return token
  }

  async #mint(claims: Members, bend?: JwtBend): Promise<string> {
    const key = await rsaKey(this.signer)
    if (!this.#options.encrypted) return mint({ claims, key }, bend)
    const seal = {
      alg: 'RSA-OAEP',
      enc: 'A256CBC-HS512',
      cty: 'JWT',
      kid: await encryptionKid(),
      iss: this.issuer,
      aud: CLIENT_ID,
    }
    return mint({ claims, key, seal }, bend)
  }

  async #authenticate(params: URLSearchParams, authorization: string | undefined): Promise<void> {
    const { auth = 'private_key_jwt', checks, now } = this.#options
    if (auth === 'private_key_jwt') await checks.assertion(params, this.issuer, now())
    else checks.otherAuthentication(auth, params, authorization)
  }

  #url(path: string): string {
    return `${this.issuer.replace(/\/$/, '')}/${path}`
  }

  async close(): Promise<void> {
    await Promise.all([this.#server.close(), this.#mutual?.close()])
  }
}
