import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import type { MissingReason } from '../errors.js'
import { intrusionOf } from './fetch-site.js'
import { loginMissing, type LoginStore, type PendingLogin } from './logins.js'
import {
  Turns,
  askStore,
  onRenewal,
  saveSession,
  sessionOf,
  sessionTurn,
  type SessionRequest,
} from './session.js'
import {
  EMPTY,
  bounded,
  compact,
  endOf,
  hashOf,
  isLive,
  isOf,
  lengthen,
  shorten,
  slot,
  stateOf,
  type Entry,
  type Slot,
} from './session-slot.js'
import { UsedStates } from './used-states.js'

/** Milliseconds to wait for other processes, at most. */
const MAX_PAUSE = 250

/** How often a change is made again that another process has overwritten. */
const MAX_ROUNDS = 3

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
