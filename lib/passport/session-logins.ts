import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import { interactionIdFrom } from '../client/interaction-id.js'
import type { MissingReason } from '../errors.js'
import { intrusionOf } from './fetch-site.js'
import {
  loginMissing,
  nonceFrom,
  proofsOf,
  shortHash,
  stateFrom,
  type LoginStore,
  type PendingLogin,
} from './logins.js'
import {
  Turns,
  askStore,
  onRenewal,
  saveSession,
  sessionOf,
  sessionTurn,
  type SessionRequest,
} from './session.js'
import { UsedStates } from './used-states.js'

/** Enough for every tab a person opens. */
const MAX_PENDING = 10

/** A session may be a cookie, of which browsers take 4 kB in all, a third of it for the encoding. */
const MAX_BYTES = 1500

/** Milliseconds to wait for other processes, at most. */
const MAX_PAUSE = 250

/** How often a change is made again that another process has overwritten. */
const MAX_ROUNDS = 3

const optional = v.optional(v.string())
/** A pending login in short; what follows from its verifier is left out. */
const entry = v.object({
  /** Code verifier. */
  v: v.pipe(v.string(), v.minLength(1)),
  /** Begun, and how many seconds after that it ends. */
  b: v.number(),
  t: v.number(),
  /** Of which strategy. */
  o: v.string(),
  /** State, nonce and interaction id, where they are not those of {@link proofsOf}. */
  k: optional,
  n: v.optional(v.pipe(v.string(), v.minLength(1))),
  d: optional,
  i: optional,
  m: v.optional(v.number()),
  a: optional,
  f: optional,
  /** The key that binds its tokens. */
  j: optional,
  r: v.optional(v.literal(1)),
  /** How little the person is known to have wanted it: {@link intrusionOf}. */
  e: v.optional(v.picklist([1, 2])),
  s: v.optional(v.unknown()),
})
type Entry = v.InferOutput<typeof entry>

const slot = v.object({
  p: v.array(entry),
  /** Used states: eleven letters of a hash, and who used them. */
  u: v.optional(v.array(v.string()), []),
  /** Those of expired logins, so that they are known for what they are. */
  x: v.optional(v.array(v.string()), []),
  /** There when all of this comes from the session before this one, whose pending logins are gone. */
  c: v.optional(v.literal(1)),
})
type Slot = v.InferOutput<typeof slot>

const EMPTY: Slot = { p: [], u: [], x: [] }

/** What a process remembers of its logins: those of several tenants have it together, as they share sessions. */
export class Memory {
  readonly used = new UsedStates()
  readonly turns = new Turns()
}

/** A change of the slot; made again when it turns out that another process has overwritten it. */
interface Change {
  /** What to write, and why there is nothing to have. */
  apply: (now: Slot | undefined) => { write?: Slot; missing?: MissingReason }
  /** Whether what the store has a moment later still holds it, or why it never will. */
  holds: (later: Slot) => boolean | MissingReason
}

/** Members of a session that other requests may have changed, and this one has not. */
const shared = new Set(['passport'])

/**
 * Pending logins in the session, keyed by `state`, so that several tabs do not disturb each other.
 *
 * A session is read when a request begins and written when that has asked a bank, so two requests of one browser would
 * overwrite each other. Where the session's store can be asked, each change is made to what the store has now, looked
 * at again a moment later, and made again if another process was faster; within one process they queue.
 *
 * A used state is remembered twice: in the session, for other processes, and in this process, since a session may be
 * replayed by its owner where it is a cookie.
 */
export class SessionLogins implements LoginStore<SessionRequest> {
  readonly #sessionKey: string
  readonly #strategy: string
  readonly #used: UsedStates
  readonly #turns: Turns

  /** @param strategy whose logins these are; those of others in the same place stay as they are, and are not found */
  constructor(sessionKey: string, strategy: string, { used, turns } = new Memory()) {
    this.#sessionKey = sessionKey
    this.#strategy = strategy
    this.#used = used
    this.#turns = turns
    shared.add(sessionKey)
  }

  async save(req: SessionRequest, state: string, login: PendingLogin, ttlSeconds: number): Promise<void> {
    const intrusion = intrusionOf(req)
    const added = { ...shorten(state, login, ttlSeconds), ...(intrusion !== 0 && { e: intrusion }) }
    const missing = await this.#change(req, {
      apply: (now = EMPTY) => ({
        write: { ...now, p: [...now.p.filter((one) => stateOf(one) !== state), added] },
      }),
      holds: ({ p, u }) => p.some((one) => stateOf(one) === state) || u.some(isOf(state)),
    })
    // A logout was faster: to write now would bring back the session that it has ended.
    if (missing) throw loginMissing(missing, req)
  }

  /** A login is used up once that is written down, and not by a write that failed. */
  take(req: SessionRequest, state: string): Promise<PendingLogin | MissingReason> {
    return this.#turns.take(state, async () => {
      if (this.#used.has(state)) return 'already_used'
      const mark = hashOf(state) + randomBytes(3).toString('base64url')
      let taken: Entry | undefined
      let marks: string[] = []
      const missing = await this.#change(req, {
        apply: (now) => {
          const found = now ? this.#find(now, state) : 'no_session'
          if (!now || typeof found === 'string') return { missing: found as MissingReason }
          const p = now.p.filter((one) => one !== found)
          if (!isLive(found))
            return { missing: 'expired', write: { ...now, p, x: [...now.x, hashOf(state)] } }
          taken = found
          marks = [...now.u, mark]
          return { write: { ...now, p, u: marks } }
        },
        holds: ({ u }) => {
          const used = u.find(isOf(state))
          return used === undefined || used === mark ? used === mark : 'already_used'
        },
      })
      if (missing) return missing
      if (!taken) return 'no_login'
      this.#used.add(state, endOf(taken))
      // Passport renews the session at login, and the Back button may bring the same answer to another process.
      onRenewal(req, (session) => {
        // Not over what is there: some renew nothing, or take all of it along.
        session[this.#sessionKey] ??= { ...compact({ ...EMPTY, u: marks }), c: 1 }
      })
      return lengthen(taken)
    })
  }

  peek(req: SessionRequest, state: string | undefined): Promise<PendingLogin | MissingReason> {
    const now = this.#read(sessionOf(req))
    if (!now) return Promise.resolve('no_session')
    const mine = now.p.filter((one) => one.o === this.#strategy)
    const asked = state === undefined ? mine : mine.filter((one) => stateOf(one) === state)
    const live = asked.find(isLive)
    if (live) return Promise.resolve(lengthen(live))
    const expired = asked.length > 0 || now.x.some((hash) => state === undefined || isOf(state)(hash))
    return Promise.resolve(expired ? 'expired' : now.c ? 'no_session' : 'no_login')
  }

  #find({ p, u, x, c }: Slot, state: string): Entry | MissingReason {
    if (u.some(isOf(state))) return 'already_used'
    if (x.some(isOf(state))) return 'expired'
    const found = p.find((one) => one.o === this.#strategy && stateOf(one) === state)
    return found ?? (c ? 'no_session' : 'no_login')
  }

  /** Makes a change to what the store has now and writes it down; gives the reason when there is none to make. */
  async #change(req: SessionRequest, { apply, holds }: Change): Promise<MissingReason | undefined> {
    const session = sessionOf(req)
    const run = async (): Promise<MissingReason | undefined> => {
      for (let round = 1; ; round++) {
        const began = performance.now()
        const stored = await askStore(req)
        if (stored.type === 'gone') return 'no_session'
        if (stored.type === 'found') refresh(req, session, stored.session)
        const before = session[this.#sessionKey]
        const { write, missing } = apply(this.#read(session))
        if (!write) return missing
        // Whole values only: some session plugins see no change inside a value.
        session[this.#sessionKey] = compact(bounded(write))
        try {
          // The browser is faster than some stores: without this it would be back before its login is.
          await saveSession(req)
        } catch (err) {
          session[this.#sessionKey] = before
          throw err
        }
        if (missing !== undefined || stored.type === 'unknown') return missing
        // Whoever read before this was written has written after that time.
        await sleep(Math.min(MAX_PAUSE, 5 + 2 * (performance.now() - began)))
        const later = await askStore(req)
        // Ended meanwhile: by a logout, or renewed by another process that has finished the same login.
        if (later.type === 'gone') return 'no_session'
        if (later.type !== 'found') return undefined
        const kept = holds(this.#read(later.session) ?? EMPTY)
        if (typeof kept === 'string') return kept
        if (kept || round === MAX_ROUNDS) return undefined
      }
    }
    return sessionTurn(req, run)
  }

  /** A session is as trustworthy as its store: what does not look like ours is as good as not there. */
  #read(session: Record<string, unknown>): Slot | undefined {
    const value = session[this.#sessionKey]
    if (typeof value !== 'object' || value === null) return undefined
    const parsed = v.safeParse(slot, value)
    return parsed.success ? parsed.output : undefined
  }
}

/**
 * What this request read of the session is old: other requests of the same browser may have changed it since.
 *
 * A user whom this very request has taken out of the session, and not yet written so, does not come back.
 */
function refresh(
  { user }: SessionRequest,
  session: Record<string, unknown>,
  stored: Record<string, unknown>,
): void {
  const { user: present } = (session['passport'] ?? {}) as { user?: unknown }
  const loggedOut = user !== undefined && present === undefined
  for (const key of shared) {
    if (loggedOut && key === 'passport') continue
    if (key in stored) session[key] = stored[key]
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- the names are the application's
    else if (Object.hasOwn(session, key)) delete session[key]
  }
}

/**
 * Without what has expired, and within the bounds, for which the oldest go, those first that another site began.
 *
 * The newest login always stays, and one that another site began puts none out that this site began: any page could
 * end the logins that wait otherwise, by opening the login route a few times.
 */
function bounded({ p, u, x }: Slot): Slot {
  const expired = p.filter((one) => !isLive(one)).map((one) => hashOf(stateOf(one)))
  const kept = {
    p: p.filter(isLive),
    u: u.slice(-MAX_PENDING),
    x: [...x, ...expired].slice(-MAX_PENDING),
  }
  const isTooMuch = (): boolean =>
    kept.p.length > MAX_PENDING || Buffer.byteLength(JSON.stringify(compact(kept))) > MAX_BYTES
  for (let out = firstOut(kept.p); out && isTooMuch(); out = firstOut(kept.p)) {
    kept.p = kept.p.filter((one) => one !== out)
  }
  return kept
}

function firstOut(pending: Entry[]): Entry | undefined {
  const least = pending.at(-1)?.e ?? 0
  const [first] = pending
    .slice(0, -1)
    .filter(({ e = 0 }) => e >= least)
    .sort((one, another) => (another.e ?? 0) - (one.e ?? 0))
  return first
}

function compact({ p, u, x }: Slot): Partial<Slot> {
  return { p, ...(u.length > 0 && { u }), ...(x.length > 0 && { x }) }
}

function shorten(state: string, login: PendingLogin, ttlSeconds: number): Entry {
  const { codeVerifier, nonce, interactionId, begun } = login
  const derived = proofsOf(codeVerifier)
  const ends = Math.ceil(Date.now() / 1000 + ttlSeconds)
  return {
    v: codeVerifier,
    b: begun,
    t: ends - begun,
    o: login.strategy,
    ...(state !== derived.state && { k: state }),
    ...(nonce !== derived.nonce && { n: nonce }),
    ...(interactionId !== derived.interactionId && { d: interactionId }),
    ...(login.issuer !== undefined && { i: login.issuer }),
    ...(login.max_age !== undefined && { m: login.max_age }),
    ...(login.acr_values !== undefined && { a: login.acr_values }),
    ...(login.floor !== undefined && { f: login.floor }),
    ...(login.dpopKey !== undefined && { j: login.dpopKey }),
    ...(login.sameRoute === true && { r: 1 }),
    ...(login.state !== undefined && { s: login.state }),
  }
}

function lengthen({ v, b, o, n, d, i, m, a, f, j, r, s }: Entry): PendingLogin {
  return {
    codeVerifier: v,
    nonce: n ?? nonceFrom(v),
    interactionId: d ?? interactionIdFrom(v),
    strategy: o,
    begun: b,
    ...(i !== undefined && { issuer: i }),
    ...(m !== undefined && { max_age: m }),
    ...(a !== undefined && { acr_values: a }),
    ...(f !== undefined && { floor: f }),
    ...(j !== undefined && { dpopKey: j }),
    ...(r !== undefined && { sameRoute: true }),
    ...(s !== undefined && { state: s }),
  }
}

function stateOf({ k, v }: Entry): string {
  return k ?? stateFrom(v)
}

function endOf({ b, t }: Entry): number {
  return b + t
}

function isLive(one: Entry): boolean {
  return endOf(one) * 1000 > Date.now()
}

function hashOf(state: string): string {
  return shortHash([state])
}

function isOf(state: string): (mark: string) => boolean {
  const hash = hashOf(state)
  return (mark) => mark.startsWith(hash)
}
