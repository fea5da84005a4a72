import { randomUUID } from 'node:crypto'
import type { IDPartnerConfig, Profile, TokenEndpointAuthMethod } from 'passport-idpartner'
import { Bank, type BankBends, type Person } from './bank.js'
import type { JwtBend } from './bends.js'
import { tlsCertificates } from './certificates.js'
import {
  CALLBACK,
  CLIENT_ID,
  CLIENT_SECRET,
  ClientChecks,
  type AuthorizationRequest,
} from './client-checks.js'
import { DIRECTORY_ISSUER, TrustDirectory } from './directory.js'
import type { Fault } from './faults.js'
import { clientJwksFor } from './key-pairs.js'
import { Wire, startServer, type Running } from './loopback-server.js'
import { Proxy } from './proxy.js'
import { keepSecret } from './secrets.js'

export interface PlatformOptions {
  flow?: 'proxy' | 'direct'
  /** Whether the application has an encryption key; `true` by default. */
  encrypted?: boolean
  /** How the application authenticates; `private_key_jwt` by default. */
  auth?: TokenEndpointAuthMethod
  /** Whether it has a client certificate as well. */
  mutual?: boolean
  /** Whether all of IDPartner, and bank A, is there over TLS alone, asks for a certificate, and goes on without one. */
  everywhere?: boolean
  /** What all of IDPartner, and bank A, is called and there under over TLS alone; a test leads that name to loopback. */
  hostname?: string
  /** What the banks follow; FAPI 1.0 Advanced by default. */
  profile?: Profile
  /** Whether tokens are bound by DPoP. */
  dpop?: boolean
  /** As the profile has it by default. */
  responseMode?: 'jwt' | 'query'
  /** What the application signs with; PS256 by default. */
  alg?: 'PS256' | 'ES256'
}

/** How an answer differs from a genuine one. */
export interface AnswerBends extends BankBends {
  /** Proxy flow only. */
  document?: JwtBend
}

export type BankName = 'bankA' | 'bankB'

/**
 * A whole IDPartner on loopback that does as it is told: every artefact can be bent, every endpoint can fail, and
 * every request is remembered.
 */
export class Platform {
  /** Seconds by which the platform's clocks are ahead of ours. */
  skew = 0
  readonly flow: 'proxy' | 'direct'
  readonly #options: PlatformOptions
  readonly wire: Wire
  readonly checks: ClientChecks
  person = newPerson()
  readonly proxy: Proxy
  readonly directory: TrustDirectory
  readonly bankA: Bank
  readonly bankB: Bank
  /** A server that nothing here should ever talk to. */
  readonly evil: Running

  private constructor(
    options: PlatformOptions,
    wire: Wire,
    checks: ClientChecks,
    [proxy, directory, bankA, bankB, evil]: [Proxy, TrustDirectory, Bank, Bank, Running],
    clock: { now: () => number },
  ) {
    this.flow = options.flow ?? 'proxy'
    this.#options = options
    this.wire = wire
    this.checks = checks
    ;[this.proxy, this.directory, this.bankA, this.bankB, this.evil] = [proxy, directory, bankA, bankB, evil]
    clock.now = () => this.now()
  }

  static async start(options: PlatformOptions = {}): Promise<Platform> {
    const wire = new Wire()
    const { profile = 'fapi1-advanced', alg = 'PS256' } = options
    const { responseMode = profile === 'fapi2-security' ? 'query' : 'jwt' } = options
    const checks = new ClientChecks(wire.complaints, { profile, responseMode, alg })
    const clock = { now: () => 0 }
    const { auth, encrypted = true, mutual, everywhere, hostname } = options
    const shared = {
      wire,
      checks,
      now: () => clock.now(),
      encrypted,
      responseMode,
      ...(auth && { auth }),
      ...(options.dpop && { dpop: true }),
    }
    const { client, server } = await tlsCertificates()
    const tls = mutual && { ...server, ca: client.cert, requestCert: true, rejectUnauthorized: true }
    const asking = everywhere && tls ? { ...tls, rejectUnauthorized: false } : undefined
    const ordinary = asking ?? (hostname === undefined ? undefined : server)
    const place = { ...(hostname !== undefined && { hostname }), ...(ordinary && { tls: ordinary }) }
    const parties = await Promise.all([
      Proxy.start(wire, place),
      TrustDirectory.start(wire, place),
      Bank.start('bankA', {
        ...shared,
        ...place,
        path: '/a',
        ...(tls && { mutual: tls }),
      }),
      // Another spelling of this machine, and an issuer that ends with a slash.
      Bank.start('bankB', { ...shared, path: '/b/', host: 'localhost', ...(tls && { mutual: tls }) }),
      startServer('evil', {}, wire),
    ])
    return new Platform(options, wire, checks, parties, clock)
  }

  now(): number {
    return Math.floor(Date.now() / 1000) + this.skew
  }

  /** What an application on this platform is configured with. */
  async config(): Promise<IDPartnerConfig> {
    const { auth, encrypted = true, mutual, hostname, profile, responseMode, dpop, alg } = this.#options
    const { keys } = await clientJwksFor(alg ?? 'PS256')
    const { client, server } = await tlsCertificates()
    return {
      client_id: CLIENT_ID,
      callback: CALLBACK,
      jwks: { keys: encrypted ? keys : keys.filter(({ use }) => use === 'sig') },
      flow: this.flow,
      ...(profile && { profile }),
      ...(alg && { request_object_signing_alg: alg, token_endpoint_auth_signing_alg: alg }),
      ...(dpop && { dpop_bound_access_tokens: true }),
      ...(responseMode && { response_mode: responseMode }),
      oidc_proxy_service_url: this.proxy.issuer,
      trust_directory_service_url: this.directory.url,
      trust_directory_issuer: DIRECTORY_ISSUER,
      ...(auth && { token_endpoint_auth_method: auth }),
      ...(auth === 'client_secret_basic' && { client_secret: keepSecret(CLIENT_SECRET) }),
      ...(mutual && { tls_client_cert: client.cert, tls_client_key: client.key }),
      ...((mutual || hostname !== undefined) && { tls_server_ca: server.cert }),
      ...(this.flow === 'direct' && { trusted_issuers: [this.bankA.issuer, this.bankB.issuer] }),
    }
  }

  /** Makes an endpoint such as `bankA.token` fail, for good or a number of times. */
  fault(endpoint: string, fault: Fault, times = Infinity): void {
    this.wire.plan(endpoint, fault, times)
  }

  /** The requests so far, as `bankA.token`, oldest first. */
  get requests(): string[] {
    return this.wire.requests.map(({ endpoint }) => endpoint)
  }

  count(endpoint: string): number {
    return this.requests.filter((one) => one === endpoint).length
  }

  /** Which endpoint of bank A this platform's application asks: with a certificate, the one that asks for it. */
  endpoint(name: 'par' | 'token' | 'userinfo'): string {
    return `${this.#options.mutual ? 'bankA+mtls' : 'bankA'}.${name}`
  }

  /** Ready for another test, with another person. */
  reset(): void {
    this.skew = 0
    this.wire.forget()
    this.bankA.reset()
    this.bankB.reset()
    this.person = newPerson()
  }

  /** The request that brought the browser here. */
  async request(url: string): Promise<AuthorizationRequest> {
    const { searchParams } = new URL(url)
    if (this.flow === 'proxy') {
      return this.checks.requestObject(searchParams.get('request') ?? '', this.proxy.issuer, this.now())
    }
    this.checks.pushedUrl(new URL(url))
    const uri = searchParams.get('request_uri') ?? ''
    const request = this.bankA.pushed(uri) ?? this.bankB.pushed(uri)
    if (!request) throw new Error(`no request was pushed for ${url}`)
    return request
  }

  /** What the browser brings back: in the proxy flow IDPartner's document, in the direct flow the bank's answer. */
  async answer(
    request: AuthorizationRequest,
    { document, ...bends }: AnswerBends = {},
    { bank = 'bankA', person = this.person }: { bank?: BankName; person?: Person } = {},
  ): Promise<string> {
    const answer = await this[bank].answer(request, person, bends)
    if (this.flow === 'direct') return answer
    return this.wrap(answer, request.interactionId, bank, document)
  }

  /** The same as the parameters of the callback. */
  async answerParams(
    request: AuthorizationRequest,
    bends: AnswerBends = {},
    by: { bank?: BankName; person?: Person } = {},
  ): Promise<Record<string, string>> {
    const { bank = 'bankA', person = this.person } = by
    return this.flow === 'direct'
      ? this[bank].answerParams(request, person, bends)
      : { response: await this.answer(request, bends, by) }
  }

  wrap(answer: string, interactionId: string, bank: BankName, bend?: JwtBend): Promise<string> {
    const { name, issuer } = this[bank]
    return this.directory.document(
      { audience: CLIENT_ID, interactionId, bank: { name, issuer_url: issuer }, answer },
      this.now(),
      bend,
    )
  }

  async close(): Promise<void> {
    await Promise.all(
      [this.proxy, this.directory, this.bankA, this.bankB, this.evil].map((one) => one.close()),
    )
  }
}

export function newPerson(): Person {
  const id = randomUUID()
  return {
    sub: keepSecret(`sub-${id}`),
    name: keepSecret(`Name ${id}`),
    email: keepSecret(`${id}@example.test`),
  }
}
