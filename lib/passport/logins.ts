import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import * as v from 'valibot'
import type { Proofs } from '../client/authorization-request.js'
import { derive, interactionIdFrom } from '../client/interaction-id.js'
import { IDPartnerError, type MissingReason } from '../errors.js'

/** A login that was begun and not yet answered. It holds secrets: keep it on the server. Plain JSON. */
export interface PendingLogin {
  nonce: string
  codeVerifier: string
  interactionId: string
  /** Of which strategy: a hash of its name, flow, client id and tenant. No other finishes this login. */
  strategy: string
  /** When it began, in seconds since 1970; `auth_time` is compared with it. */
  begun: number
  /** The bank this login went to; only known in the direct flow, and required there. */
  issuer?: string | undefined
  max_age?: number | undefined
  acr_values?: string | undefined
  /** A hash of what the strategy asks of every login, if it asks for `max_age` or `acr_values`. */
  floor?: string | undefined
  /** The private key that its tokens are bound to, with `dpop_bound_access_tokens`. */
  dpopKey?: string | undefined
  /** Whether it began on the callback's own route. */
  sameRoute?: boolean | undefined
  /** The application's own value; comes back in `req.authInfo.state`. */
  state?: unknown
}

/**
 * Where pending logins are kept; the session by default.
 *
 * `take` forgets as it reads, also when two requests take at once, and says why when there is nothing.
 */
export interface LoginStore<Req = unknown> {
  /** Keeps a login until its answer comes, for this browser alone and no longer than the seconds given. */
  save(req: Req, state: string, login: PendingLogin, ttlSeconds: number): Promise<void>
  /** Hands a login of this browser out and forgets it, in one step: an answer counts once. */
  take(req: Req, state: string): Promise<PendingLogin | MissingReason>
  /**
   * Looks without taking, at any login when no state is given, and where a strategy is given at its logins alone. Without it,
   * any unsigned error is reported, also where no login waits.
   */
  peek?(req: Req, state: string | undefined, strategy?: string): Promise<PendingLogin | MissingReason>
}

/** The shape of a {@link PendingLogin}, wherever it was kept. */
export const pendingLogin = v.object({
  nonce: v.pipe(v.string(), v.minLength(1)),
  codeVerifier: v.pipe(v.string(), v.minLength(1)),
  interactionId: v.string(),
  strategy: v.string(),
  begun: v.number(),
  issuer: v.optional(v.string()),
  max_age: v.optional(v.number()),
  acr_values: v.optional(v.string()),
  floor: v.optional(v.string()),
  dpopKey: v.optional(v.string()),
  sameRoute: v.optional(v.boolean()),
  state: v.optional(v.unknown()),
})

/**
 * What else a login needs, from its one secret, so that a session need not keep it: a session may be a cookie, and ten
 * logins have to fit. From `state` and `nonce`, which banks see, nothing can be learnt of the secret (RFC 5869, HMAC).
 */
export function proofsOf(codeVerifier: string): Proofs & { interactionId: string } {
  return {
    codeVerifier,
    state: stateFrom(codeVerifier),
    nonce: nonceFrom(codeVerifier),
    interactionId: interactionIdFrom(codeVerifier),
  }
}

export function stateFrom(codeVerifier: string): string {
  return derive(codeVerifier, 'state').toString('base64url')
}

export function nonceFrom(codeVerifier: string): string {
  return derive(codeVerifier, 'nonce').toString('base64url')
}

/** A short name for some values: enough to tell a handful apart, or ten thousands of random ones. */
export function shortHash(values: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(values)).digest().subarray(0, 8).toString('base64url')
}

const MISSING: Record<MissingReason, string> = {
  no_session: 'this browser came back without the session in which the login began; please begin again',
  no_login: 'no login is waiting for this answer in this session',
  expired: 'this login took too long; please begin again',
  already_used: 'this login was answered before',
}

/** A failure that says why no login is waiting; its cause, for the log, which setting is the likeliest reason. */
export function loginMissing(answer: string | undefined, req: object, callback?: string): IDPartnerError {
  // A store of the application's own may give any answer.
  const reason = Object.hasOwn(MISSING, String(answer)) ? (answer as MissingReason) : 'no_login'
  const cause =
    reason === 'no_session' ? new IDPartnerError('config_invalid', sessionHint(req, callback)) : undefined
  return new IDPartnerError('login_missing', MISSING[reason], { reason, cause })
}

/** The likeliest setting behind a lost session. */
function sessionHint(req: object, callback: string | undefined): string {
  const { session, headers } = req as {
    session?: { cookie?: { secure?: unknown } }
    headers?: IncomingHttpHeaders
  }
  const insecure = (req as { protocol?: string }).protocol === 'http'
  if (session?.cookie?.secure === true && insecure) {
    return 'the session cookie is Secure, but the request arrived as http: set "trust proxy" behind a TLS proxy'
  }
  if (!headers?.cookie) {
    const host = callback === undefined ? '' : `, ${new URL(callback).host}`
    return `it sent no cookie: check that the login begins at the callback's host${host} (localhost is not 127.0.0.1), SameSite (lax, not strict), and the cookie's path`
  }
  // Which of the cookies is the session's is not known here: all that came may be another app's on this host.
  return "another login may have renewed it (see keepSessionInfo), its cookie may not have come (SameSite, or another host than the callback's), or the processes do not share one session store"
}
