import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { types } from 'node:util'
import * as v from 'valibot'
import { IDPartnerError, isError, type MissingReason } from '../errors.js'

/** A login that was begun and not yet answered. It holds secrets: keep it on the server. Plain JSON. */
export interface PendingLogin {
  nonce: string
  codeVerifier: string
  interactionId: string
  /** The bank this login went to; only known in the direct flow. */
  issuer?: string | undefined
  max_age?: number | undefined
  acr_values?: string | undefined
  /** The application's own value; comes back in `req.authInfo.state`. */
  state?: unknown
}

/**
 * Where pending logins are kept; the session by default.
 *
 * `take` forgets as it reads, also when two requests take at once, and says why when there is nothing.
 */
export interface LoginStore<Req = unknown> {
  save(req: Req, state: string, login: PendingLogin, ttlSeconds: number): Promise<void>
  take(req: Req, state: string): Promise<PendingLogin | MissingReason>
  /** Looks without taking, at any login when no state is given. Without it, an unsigned error is taken at its word. */
  peek?(req: Req, state: string | undefined): Promise<PendingLogin | MissingReason>
}

/** Enough for every tab a person opens, and little enough for any session store. */
const MAX_PENDING = 10

/** The shape of a {@link PendingLogin}, wherever it was kept. */
export const pendingLogin = v.object({
  nonce: v.pipe(v.string(), v.minLength(1)),
  codeVerifier: v.pipe(v.string(), v.minLength(1)),
  interactionId: v.string(),
  issuer: v.optional(v.string()),
  max_age: v.optional(v.number()),
  acr_values: v.optional(v.string()),
  state: v.optional(v.unknown()),
})

const slot = v.object({
  logins: v.array(v.object({ key: v.string(), expires: v.number(), login: pendingLogin })),
  used: v.array(v.string()),
})
type Slot = v.InferOutput<typeof slot>

/** What is read of a request and its session, whatever framework they are of. */
interface SessionRequest {
  session?: (Record<string, unknown> & { save?: unknown }) | null
}

/**
 * Pending logins in the session, keyed by `state`, so that several tabs do not disturb each other.
 *
 * A used state is remembered twice: in the session, for other processes, and in this process, since Passport renews
 * the session at login and a session may be read by two requests at once.
 */
export class SessionLogins implements LoginStore<SessionRequest> {
  readonly #sessionKey: string
  readonly #used = new UsedStates()

  constructor(sessionKey: string) {
    this.#sessionKey = sessionKey
  }

  async save(req: SessionRequest, state: string, login: PendingLogin, ttlSeconds: number): Promise<void> {
    const { logins, used } = this.#read(req) ?? { logins: [], used: [] }
    const entry = { key: state, expires: Date.now() + ttlSeconds * 1000, login }
    const others = logins.filter(({ key }) => key !== state)
    this.#write(req, { logins: [...others, entry].slice(-MAX_PENDING), used })
    // The browser is faster than some stores: without this it would be back before its login is.
    await saved(req)
  }

  async take(req: SessionRequest, state: string): Promise<PendingLogin | MissingReason> {
    const taken = this.#take(req, state)
    // Used up means: for every process, and before the code is sent.
    if (typeof taken === 'object') await saved(req)
    return taken
  }

  peek(req: SessionRequest, state: string | undefined): Promise<PendingLogin | MissingReason> {
    const found = this.#read(req)
    const entry = found?.logins.find(
      ({ key, expires }) => expires > Date.now() && (state === undefined || key === state),
    )
    return Promise.resolve(entry?.login ?? (found ? 'no_login' : 'no_session'))
  }

  /** Reads and forgets in one go, without a moment in which another request could read the same. */
  #take(req: SessionRequest, state: string): PendingLogin | MissingReason {
    const hash = hashOf(state)
    const found = this.#read(req)
    if (this.#used.has(hash) || found?.used.includes(hash)) return 'already_used'
    if (!found) return 'no_session'
    const entry = found.logins.find(({ key }) => key === state)
    if (!entry) return 'no_login'
    const expired = entry.expires <= Date.now()
    this.#write(req, {
      logins: found.logins.filter((one) => one !== entry),
      used: expired ? found.used : [...found.used, hash].slice(-MAX_PENDING),
    })
    if (expired) return 'expired'
    this.#used.add(hash, entry.expires)
    return entry.login
  }

  /** A session is as trustworthy as its store: what does not look like ours is as good as not there. */
  #read(req: SessionRequest): Slot | undefined {
    const value = session(req)[this.#sessionKey]
    return v.is(slot, value) ? value : undefined
  }

  /** Whole values only: some session plugins see no change inside a value. */
  #write(req: SessionRequest, value: Slot): void {
    session(req)[this.#sessionKey] = value
  }
}

/** States used up in this process, as long as their logins would have lived. */
class UsedStates {
  readonly #expires = new Map<string, number>()

  has(hash: string): boolean {
    return (this.#expires.get(hash) ?? 0) > Date.now()
  }

  add(hash: string, expires: number): void {
    for (const [old, at] of this.#expires) {
      // In order of use, and all live equally long: behind the first live one there is none to drop.
      if (at > Date.now()) break
      this.#expires.delete(old)
    }
    this.#expires.set(hash, expires)
  }
}

const MISSING: Record<MissingReason, string> = {
  no_session: 'this browser came back without the session in which the login began',
  no_login: 'no login is waiting for this answer in this session',
  expired: 'this login took too long; please begin again',
  already_used: 'this login was answered before',
}

/** A failure that says why no login is waiting, and what setting is the likeliest reason. */
export function loginMissing(answer: string | undefined, req: object): IDPartnerError {
  // A store of the application's own may give any answer.
  const reason = Object.hasOwn(MISSING, String(answer)) ? (answer as MissingReason) : 'no_login'
  const message = reason === 'no_session' ? `${MISSING[reason]}. ${sessionHint(req)}` : MISSING[reason]
  return new IDPartnerError('login_missing', message, { reason })
}

/** The likeliest setting behind a lost session. */
function sessionHint(req: object): string {
  const { session, headers } = req as {
    session?: { cookie?: { secure?: unknown } }
    headers?: IncomingHttpHeaders
  }
  const insecure = (req as { protocol?: string }).protocol === 'http'
  if (session?.cookie?.secure === true && insecure) {
    return 'The session cookie is Secure, but the request arrived as http: set "trust proxy" behind a TLS proxy'
  }
  if (headers?.cookie === undefined) {
    return "It sent no cookie: check SameSite (lax, not strict), the cookie's path, and that login and callback have the same host"
  }
  return 'Another login may have renewed it (see keepSessionInfo), or the processes do not share one session store'
}

function session(req: SessionRequest): Record<string, unknown> {
  if (typeof req.session !== 'object' || req.session === null) {
    throw new IDPartnerError(
      'config_invalid',
      'the request has no session: add a session middleware such as express-session before passport.authenticate()',
    )
  }
  return req.session
}

async function saved({ session }: SessionRequest): Promise<void> {
  const save = session?.save
  if (typeof save !== 'function') return
  await new Promise<void>((resolve, reject) => {
    const done = (err?: unknown): void => {
      if (err === undefined || err === null) resolve()
      else reject(isError(err) ? err : new Error('the session store failed'))
    }
    const returned: unknown = save.call(session, done)
    // Express takes a callback; others ignore it and return a promise.
    if (types.isPromise(returned))
      returned.then(() => {
        done()
      }, done)
  })
}

function hashOf(state: string): string {
  return createHash('sha256').update(state).digest('base64url')
}
