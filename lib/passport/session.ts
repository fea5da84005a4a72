import { types } from 'node:util'
import { IDPartnerError, isError } from '../errors.js'
import { within } from '../net/deadline.js'

type Session = Record<string, unknown>

/** What is read of a request and its session, whatever framework they are of. */
export interface SessionRequest {
  session?: (Session & { save?: unknown; regenerate?: unknown }) | null
  sessionID?: unknown
  sessionStore?: unknown
  headers?: { cookie?: string | undefined }
  /** Whom Passport found in the session when the request began; `null` after a logout. */
  user?: unknown
}

/** What a session store says of a session: what it is now, that it is gone, or nothing at all. */
type Stored = { type: 'found'; session: Session } | { type: 'gone' } | { type: 'unknown' }

/** Milliseconds after which a turn is over for a request that does not come to an end. */
const MAX_TURN = 5000

/**
 * @throws {IDPartnerError} `config_invalid` when no middleware made a session
 */
export function sessionOf(req: SessionRequest): Session {
  if (typeof req.session !== 'object' || req.session === null) {
    throw new IDPartnerError(
      'config_invalid',
      'the request has no session: add a session middleware such as express-session before passport.authenticate()',
    )
  }
  return req.session
}

/** The session's name in its store; none where the session lives in a cookie. */
export function sessionIdOf({ sessionID, session }: SessionRequest): string | undefined {
  const id = sessionID ?? session?.['sessionId']
  return typeof id === 'string' && id !== '' ? id : undefined
}

/** Asks what other requests have made of this session since this one began. */
export async function askStore(req: SessionRequest): Promise<Stored> {
  const id = sessionIdOf(req)
  const store = req.sessionStore as { get?: unknown } | undefined
  const get = store?.get
  if (id === undefined || typeof get !== 'function') return { type: 'unknown' }
  const found = await called((done) => get.call(store, id, done))
  if (typeof found === 'object' && found !== null) return { type: 'found', session: found as Session }
  // A session that was made for this request is in no store yet, and its id in no cookie.
  const { cookie = '' } = req.headers ?? {}
  return cookie.includes(id) || cookie.includes(encodeURIComponent(id))
    ? { type: 'gone' }
    : { type: 'unknown' }
}

export async function saveSession({ session }: SessionRequest): Promise<void> {
  const save = session?.save
  if (typeof save === 'function') await called((done) => save.call(session, done))
}

/** Lets those in that have the same name one after the other, so that none reads what another is about to write. */
export class Turns {
  readonly #busy = new Map<string, Promise<unknown>>()

  take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const run = this.#busy.get(name)?.then(work) ?? work()
    const end = within(MAX_TURN, () => run).catch(() => undefined)
    this.#busy.set(name, end)
    void end.then(() => {
      if (this.#busy.get(name) === end) this.#busy.delete(name)
    })
    return run
  }
}

/** Each store of sessions has its own, whichever strategies use it. */
const turns = new WeakMap<object, Turns>()

/** Waits until no other request of this process changes the same session. Where there is no store there is no session to share. */
export function sessionTurn<T>(req: SessionRequest, work: () => Promise<T>): Promise<T> {
  const id = sessionIdOf(req)
  const { sessionStore: store } = req
  if (id === undefined || typeof store !== 'object' || store === null) return work()
  const own = turns.get(store) ?? new Turns()
  turns.set(store, own)
  return own.take(id, work)
}

/**
 * Calls `then` with the session that follows this one, when Passport or the application renews it.
 *
 * Where `regenerate` is not a function, there is nothing to wait for.
 */
export function onRenewal(req: SessionRequest, then: (session: Session) => void): void {
  const { session } = req
  const regenerate = session?.regenerate
  if (!session || typeof regenerate !== 'function') return
  const carry = (): void => {
    if (typeof req.session === 'object' && req.session !== null) then(req.session)
  }
  const value = (...args: unknown[]): unknown => {
    const done = args.at(-1) as ((err: unknown, ...rest: unknown[]) => void) | undefined
    if (typeof done === 'function') {
      args[args.length - 1] = (err: unknown, ...rest: unknown[]): void => {
        if (err === undefined || err === null) carry()
        done(err, ...rest)
      }
      return regenerate.apply(session, args) as unknown
    }
    const renewed: unknown = regenerate.apply(session, args)
    if (!types.isPromise(renewed)) carry()
    return types.isPromise(renewed) ? renewed.then(carry) : renewed
  }
  // Not enumerable, so that no store and no keepSessionInfo takes it for a value of the session.
  Object.defineProperty(session, 'regenerate', {
    value,
    configurable: true,
    writable: true,
    enumerable: false,
  })
}

/** A function that takes a callback, as Express has them, or returns a promise, as others do. */
function called(call: (done: (err?: unknown, value?: unknown) => void) => unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const done = (err?: unknown, value?: unknown): void => {
      if (err === undefined || err === null) resolve(value)
      else reject(isError(err) ? err : new Error('the session store failed'))
    }
    const returned = call(done)
    if (types.isPromise(returned)) {
      returned.then((value) => {
        done(undefined, value)
      }, done)
    }
  })
}
