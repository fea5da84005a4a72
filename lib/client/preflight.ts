import { X509Certificate } from 'node:crypto'
import type { JSONWebKeySet, JWK } from 'jose'
import { parametersOf, type PreflightOptions } from './asked-for.js'
import type { AuthorizationParams } from './authorization-request.js'
import { ownError } from '../errors.js'
import type { SigningAlg } from '../jwt/algorithms.js'
import { remoteKeys, type FindKeys } from '../jwt/remote-keys.js'
import { isLoopback } from '../net/addresses.js'
import { within } from '../net/deadline.js'
import { Http, joinUrl, type HttpRequest } from '../net/http.js'
import { jsonOf } from '../net/json.js'
import { NotReached } from '../net/request-failure.js'
import { fail, ok, skip, summary, warn, type Check, type Checks } from './check.js'
import type { ResolvedConfig } from './config.js'
import { Issuers } from './issuers.js'
import { keyChecks, material } from './key-checks.js'
import { metadataChecks } from './metadata-checks.js'
import { lackedOfNetwork } from './networks.js'
import { TRUST_DIRECTORY, partyOf } from './party.js'

interface Subject {
  config: ResolvedConfig
  /** What the application publishes, or should. */
  publicKeys: JSONWebKeySet
  /** Begins a login as the application does; the URL leads to the proxy or to the bank of that issuer. */
  begin: (
    query: { iss?: string },
    scope: string | readonly string[],
    asked: AuthorizationParams,
  ) => Promise<string>
}

/** Days before its end in which a certificate should be replaced. */
const SOON = 30

/** Like the client's own way out, and remembers what the answers say of the time. */
class WatchedHttp extends Http {
  /** Seconds by which servers are ahead of this machine. */
  readonly ahead: number[] = []
  /** Hosts to which nothing got through, and why. */
  readonly unreached = new Map<string, string>()

  override async fetch(target: string | URL, init: HttpRequest): Promise<Response> {
    const sent = Date.now()
    const response = await super.fetch(target, init).catch((err: unknown) => {
      const why = networkFailure(err)
      if (why !== undefined) this.unreached.set(new URL(target).host, why)
      throw err
    })
    const date = Date.parse(response.headers.get('date') ?? '')
    // It was written between the request and the answer, and has whole seconds.
    if (!Number.isNaN(date)) this.ahead.push((date + 500 - (sent + Date.now()) / 2) / 1000)
    return response
  }
}

/** Looks at everything that can be known before the first login; see `IDPartner.preflight`. */
export async function preflight(subject: Subject, options: PreflightOptions): Promise<Checks> {
  const { config } = subject
  const local = [nodeCheck(), ...keyChecks(config.keys), certificateCheck(config)]
  if (options.offline) {
    return summary([
      ...local,
      callbackCheck(config),
      skip('network', 'offline: nobody was asked for anything'),
    ])
  }
  const http = new WatchedHttp(config)
  const issuers = new Issuers(http, config)
  const listed = typeof config.trusted_issuers === 'object' ? config.trusted_issuers : []
  const proxy = config.flow === 'proxy'
  // A document may be asked for twice, and after it the keys or a request.
  const limit = 6 * config.timeout
  const bounded = (id: string, work: () => Promise<Check[]>): Promise<Check[]> =>
    within(limit, work).catch((err: unknown) => [fail(id, said(err), adviceFor(err))])
  const asked = await Promise.all([
    bounded('callback', () => callbackChecks(http, config)),
    bounded('published_keys', () => publishedCheck(http, subject, options)),
    ...(proxy
      ? [
          bounded('trust_directory', () => directoryCheck(http, config)),
          bounded('proxy', () => proxyCheck(http, issuers, subject, options)),
        ]
      : []),
    ...listed.map((issuer) =>
      bounded(`bank ${issuer}`, () => bankChecks(http, issuers, issuer, subject, options)),
    ),
  ])
  // Whether the application runs is a question of its own.
  http.unreached.delete(new URL(config.callback).host)
  const banks =
    listed.length > 0
      ? []
      : [skip('bank', 'which banks are met is not known beforehand: "trusted_issuers" lists none')]
  return summary([
    ...local,
    ...asked.flat(),
    ...banks,
    clockCheck(http.ahead, config),
    egressCheck(config, http.unreached),
  ])
}

/** What there is to say where keys or certificates are awaited from a function that gives none. */
export function withoutKeys(err: unknown): Checks {
  return summary([
    nodeCheck(),
    fail('own_keys', said(err), 'see what the function does: the options that come from it are read first'),
  ])
}

function nodeCheck(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  return major > 20 || (major === 20 && minor >= 19)
    ? ok('node', `Node ${process.versions.node}`)
    : fail('node', `Node ${process.versions.node} is too old`, 'use Node 20.19 or later')
}

function certificateCheck({ tls }: ResolvedConfig): Check {
  const id = 'certificate'
  if (tls.cert === undefined) return skip(id, 'no client certificate is configured')
  // That the key is its own, the constructor has seen.
  const { validTo } = new X509Certificate(tls.cert)
  const days = Math.floor((Date.parse(validTo) - Date.now()) / 86_400_000)
  const fix = 'ask IDPartner for a new one, and set tls_client_cert and tls_client_key'
  if (days < 0) return fail(id, `the client certificate expired on ${validTo}`, fix)
  const left = `the client certificate and its key match; it has ${String(days)} days left`
  return days < SOON ? warn(id, left, fix) : ok(id, left)
}

function callbackCheck({ callback }: ResolvedConfig): Check {
  return isLoopback(new URL(callback)) && process.env['NODE_ENV'] === 'production'
    ? warn(
        'callback',
        'the callback is on this machine, where nobody else comes back to',
        'set "callback" to the public URL, exactly as registered',
      )
    : ok('callback', 'the callback is a URL that may be one')
}

/** A HEAD begins no login and ends none. */
async function callbackChecks(http: Http, config: ResolvedConfig): Promise<Check[]> {
  const id = 'callback'
  const request = { what: 'the callback', method: 'HEAD' }
  const answer = await http.fetch(config.callback, request).catch((err: unknown) => said(err))
  if (typeof answer === 'string') {
    return [
      warn(
        id,
        `whether the application answers there could not be seen from here: ${answer}`,
        'start the application, and check "callback"',
      ),
      skip('cookies', 'the application did not answer'),
    ]
  }
  const found =
    answer.status === 404 || answer.status === 405
      ? fail(
          id,
          `no route of the application answers at the callback: HTTP ${String(answer.status)}`,
          'mount passport.authenticate() at the path of "callback", or correct "callback"; register the same URL at IDPartner',
        )
      : callbackCheck(config)
  return [found, cookieCheck(answer.headers.getSetCookie(), config)]
}

function cookieCheck(cookies: string[], { callback }: ResolvedConfig): Check {
  const id = 'cookies'
  const has = (attribute: RegExp): boolean => cookies.some((one) => attribute.test(one))
  if (has(/;\s*SameSite=Strict/i)) {
    return fail(
      id,
      'a cookie has SameSite=Strict, so that browsers do not bring it along from the bank',
      "set sameSite: 'lax' for the session's cookie",
    )
  }
  if (has(/;\s*Secure/i) && callback.startsWith('http:')) {
    return fail(
      id,
      'a cookie is Secure, and the callback is a plain http: URL, so that it may not be kept',
      'set secure: false for the cookie during development, or use https',
    )
  }
  if (cookies.length === 0) return skip(id, 'the callback set none, so that nothing can be said of them')
  return ok(id, 'cookies that the callback sets come back from the bank')
}

async function publishedCheck(
  http: Http,
  { config, publicKeys }: Subject,
  { jwks_uri }: PreflightOptions,
): Promise<Check[]> {
  const id = 'published_keys'
  if (publicKeys.keys.length === 0) return [skip(id, 'there are no keys to publish')]
  const url = jwks_uri ?? new URL('/jwks', config.callback).href
  const where = jwks_uri === undefined ? `at ${url} (say jwks_uri if they are elsewhere)` : `at ${url}`
  let found: unknown
  try {
    found = await jsonOf(await http.get(url, { what: 'the published JWKS' }), 'the published JWKS')
  } catch (err) {
    const fix = 'mount jwksRouter(strategy.client), start the application, and register this URL at IDPartner'
    return [fail(id, `${said(err)} ${where}`, fix)]
  }
  const list = (found as { keys?: unknown } | null)?.keys
  const entries = Array.isArray(list) ? (list as (JWK | null)[]).filter((one) => one !== null) : undefined
  if (!entries)
    return [fail(id, `what is published is no JWKS, ${where}`, 'mount jwksRouter(strategy.client)')]
  if (entries.some((one) => 'd' in one || 'k' in one)) {
    return [
      fail(
        id,
        `a private key is published, ${where}: everybody can have read it`,
        'publish with jwksRouter(strategy.client) alone, and make new keys at once',
      ),
    ]
  }
  const same = (one: JWK, other: JWK): boolean =>
    material(one) === material(other) && one.kid === other.kid && (one.use ?? other.use) === other.use
  const missing = publicKeys.keys.filter((key) => !entries.some((one) => same(one, key)))
  const extra = entries.filter((one) => !publicKeys.keys.some((key) => same(one, key)))
  const names = (keys: JWK[]): string => keys.map(({ kid }) => shown(kid)).join(', ')
  const fix = 'restart every process of the application with the file of keys that you checked'
  if (missing.length > 0) return [fail(id, `not published: ${names(missing)}, ${where}`, fix)]
  if (extra.length > 0) return [fail(id, `published, and not in "jwks": ${names(extra)}, ${where}`, fix)]
  return [ok(id, `the published keys are the application's, at ${url}`)]
}

async function directoryCheck(http: Http, config: ResolvedConfig): Promise<Check[]> {
  const url = joinUrl(config.trust_directory_service_url, 'jwks')
  const about = { issuer: config.trust_directory_issuer }
  await hasKey(remoteKeys(http, `the keys of ${TRUST_DIRECTORY}`, url, about), 'PS256')
  return [ok('trust_directory', `publishes keys for PS256, at ${url}`)]
}

async function proxyCheck(
  http: Http,
  issuers: Issuers,
  { config, begin }: Subject,
  asked: PreflightOptions,
): Promise<Check[]> {
  const { issuer } = await issuers.metadata(config.oidc_proxy_service_url)
  const found = ok('proxy', `${issuer} is reachable, and supports what is configured`)
  // As a browser would that goes no further; a proxy that refuses says so with its status.
  const answer = await http.fetch(await begin({}, asked.scope ?? 'openid', parametersOf(asked)), {
    what: "IDPartner's proxy",
  })
  if (answer.status < 400) return [found, ok('login_request', 'IDPartner takes a login request')]
  const refused = `IDPartner refuses a login request with HTTP ${String(answer.status)}`
  if (answer.status >= 500) return [found, warn('login_request', refused, 'try again later')]
  return [
    found,
    fail(
      'login_request',
      refused,
      'compare client_id and callback, byte for byte, with what is registered, and look at published_keys and clock',
    ),
  ]
}

async function bankChecks(
  http: Http,
  issuers: Issuers,
  issuer: string,
  { config, begin }: Subject,
  options: PreflightOptions,
): Promise<Check[]> {
  const id = `bank ${issuer}`
  await issuers.metadata(issuer)
  const what = `the discovery document of ${partyOf(issuer, config)}`
  const response = await http.get(joinUrl(issuer, '.well-known/openid-configuration'), { what })
  // That it is an object, and of this issuer, the client has seen.
  const document = (await jsonOf(response, what)) as Record<string, unknown>
  const found = metadataChecks(issuer, document, config, options)
  const algs = [
    config.id_token_signed_response_alg,
    ...(config.response_mode === 'jwt' ? [config.authorization_signed_response_alg] : []),
  ]
  try {
    for (const alg of new Set(algs)) await hasKey(issuers.keys(issuer), alg)
    if (config.flow === 'proxy') return [ok(id, 'is reachable, and has keys'), ...found]
    const { scope = 'openid' } = options
    const parameters = parametersOf(options)
    const lacked = lackedOfNetwork(config.network, parameters)
    if (lacked.length > 0) return [skip(id, untried(lacked, config)), ...found]
    await begin({ iss: issuer }, scope, parameters)
  } catch (err) {
    return [fail(id, said(err), adviceFor(err)), ...found]
  }
  return [ok(id, 'takes a login request'), ...found]
}

function untried(lacked: readonly string[], { network }: ResolvedConfig): string {
  return `is reachable, and has keys; no login request was tried, which at ${String(network)} needs ${lacked.join(', ')}`
}

async function hasKey(keys: FindKeys, alg: SigningAlg): Promise<void> {
  // It throws where there is none; the first is enough.
  await keys(alg, undefined)[Symbol.asyncIterator]().next()
}

function clockCheck(ahead: readonly number[], { clock_tolerance }: ResolvedConfig): Check {
  const id = 'clock'
  const [middle] = [...ahead].sort((one, other) => one - other).slice(Math.floor(ahead.length / 2))
  if (middle === undefined) return skip(id, 'no server said what time it is')
  const seconds = Math.round(Math.abs(middle))
  const found = `this machine's clock is ${String(seconds)} s ${middle > 0 ? 'behind' : 'ahead of'} that of others`
  const fix =
    "set the clock, and have it kept right (NTP); answers are refused that differ by more than 'clock_tolerance'"
  if (seconds > clock_tolerance) return fail(id, found, fix)
  return seconds > 5 ? warn(id, found, fix) : ok(id, 'the clock is right')
}

/** Why a request did not get through, where that is of the network. */
function networkFailure(err: unknown): string | undefined {
  const own = ownError(err)
  if (own?.code !== 'provider_unavailable') return undefined
  const between = NotReached.reasonOf(own.cause)
  if (between !== undefined) return between
  if (own.status === 504) return 'no answer in time'
  const { code } = (own.cause ?? {}) as { code?: unknown }
  return typeof code === 'string' && BLOCKED.has(code) ? code : undefined
}

const BLOCKED = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
  'EACCES',
  'EPERM',
  'ETIMEDOUT',
])

function egressCheck(config: ResolvedConfig, unreached: ReadonlyMap<string, string>): Check {
  const proxies = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy']
  const set = proxies.find((name) => process.env[name])
  const urls = [
    ...(config.flow === 'proxy' ? [config.oidc_proxy_service_url, config.trust_directory_service_url] : []),
    ...(typeof config.trusted_issuers === 'object' ? config.trusted_issuers : []),
  ]
  const hosts = [...new Set(urls.map((url) => new URL(url).host))].join(', ')
  if (unreached.size > 0) {
    const which = [...unreached].map(([host, why]) => `${host} (${why})`).join(', ')
    if (config.egress) {
      return fail(
        'egress',
        `nothing gets through from here to ${which}, through ${config.egress.name}`,
        'have it allow CONNECT to these hosts and ports, and check "egress_proxy"',
      )
    }
    const unused =
      set === undefined ? '' : `; ${set} is set, and requests of this package do not go through it`
    return fail(
      'egress',
      `nothing gets through from here to ${which}${unused}`,
      "check the names, this machine's DNS, and the firewall: it has to be let out straight, to these hosts and ports",
    )
  }
  if (config.egress) {
    return ok(
      'egress',
      `requests go through ${config.egress.name}, to ${hosts} and the hosts that the banks name`,
    )
  }
  return set === undefined
    ? ok('egress', `requests go straight to ${hosts}, and to the hosts that the banks name`)
    : warn(
        'egress',
        `${set} is set, and requests of this package do not go through it`,
        `set egress_proxy: 'env', or let this machine out to ${hosts} and to the hosts that the banks name`,
      )
}

/** Our own words alone: others may quote what they had in hand. */
function said(err: unknown): string {
  return ownError(err)?.message ?? 'it took too long, or failed in an unexpected way'
}

function adviceFor(err: unknown): string {
  const own = ownError(err)
  if (own?.code === 'provider_error') return 'compare the options with what is registered at the bank'
  if (own?.code === 'config_invalid' || own?.code === 'provider_refused') return 'correct the option it names'
  return 'check the spelling of its URL, and that this machine may reach it; if so, ask who runs it'
}

/** A name in a document that others may have written. */
function shown(kid: unknown): string {
  return typeof kid === 'string' && /^[\w.:=-]{1,64}$/.test(kid) ? kid : 'a key with an odd kid or none'
}
