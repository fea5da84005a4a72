import type { JSONWebKeySet, JWK } from 'jose'
import { isLoopback } from '../net/addresses.js'
import type { Http } from '../net/http.js'
import { jsonOf } from '../net/json.js'
import type { PreflightOptions } from './asked-for.js'
import { fail, ok, said, skip, warn, type Check } from './check.js'
import type { ResolvedConfig } from './config.js'
import { material } from './key-checks.js'

/** Whether the callback is a URL that people can come back to. */
export function callbackCheck({ callback }: ResolvedConfig): Check {
  return isLoopback(new URL(callback)) && process.env['NODE_ENV'] === 'production'
    ? warn(
        'callback',
        'the callback is on this machine, where nobody else comes back to',
        'set "callback" to the public URL, exactly as registered',
      )
    : ok('callback', 'the callback is a URL that may be one')
}

/** Whether the application answers there; a HEAD begins no login and ends none. */
export async function callbackChecks(http: Http, config: ResolvedConfig): Promise<Check[]> {
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

/** Whether the application shows the public half of its keys, and nothing else. */
export async function publishedCheck(
  http: Http,
  config: ResolvedConfig,
  publicKeys: JSONWebKeySet,
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

/** A name in a document that others may have written. */
function shown(kid: unknown): string {
  return typeof kid === 'string' && /^[\w.:=-]{1,64}$/.test(kid) ? kid : 'a key with an odd kid or none'
}
