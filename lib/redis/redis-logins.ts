import { createHash, randomBytes } from 'node:crypto'
import { IDPartnerError, type MissingReason } from '../errors.js'
import { intrusionOf } from '../passport/fetch-site.js'
import { loginMissing, type LoginStore, type PendingLogin } from '../passport/logins.js'
import {
  askStore,
  onRenewal,
  saveSession,
  sessionIdOf,
  sessionOf,
  type SessionRequest,
} from '../passport/session.js'
import { PEEK, SAVE, TAKE, USED } from './scripts.js'

/** What is asked of node-redis (`createClient`, `createCluster`). */
interface NodeRedis {
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>
}

/** What is asked of ioredis and iovalkey (`Redis`, `Cluster`). */
interface IoRedis {
  defineCommand: unknown
  eval(script: string, numberOfKeys: number, ...keysAndArguments: string[]): Promise<unknown>
}

/** The application's own client, connected; it stays the application's to watch and to close. */
export type RedisClient = NodeRedis | IoRedis

/** Logins of one browser, used ones with them: enough for every tab a person opens. */
const MAX_LOGINS = 20

/** The member of the session that says which browser it is. */
const PLACE = 'idpartner-browser'

/** Which browser it is; with `before`, it was that until its session was renewed, as Passport does at login. */
interface Place {
  id: string
  before?: true
}

/**
 * Keeps pending logins in Redis, where one step reads a login and marks it as used, whichever process asks.
 *
 * Does not keep the session: that holds which browser it is, and has to be one that all processes share, or a cookie. A
 * login stays in Redis for twice its time, so that one that is late or used is told for what it is.
 *
 * @param client of node-redis or ioredis; Redis 5 or later, or Valkey, where scripts may run (`EVAL`)
 * @throws {IDPartnerError} `config_invalid` where it is neither. Redis that fails or hangs ends a login in `config_invalid`
 *   as well, within the option `timeout`; where it was only slow, the login may be used up all the same
 * @see https://www.rfc-editor.org/rfc/rfc9700#section-2.1.1 (a transaction is bound to the browser in which it began)
 */
export function redisLogins(client: RedisClient): LoginStore<object> {
  const run = runner(client)
  const logins: LoginStore<SessionRequest> = {
    async save(req, state, login, ttlSeconds) {
      const session = sessionOf(req)
      const known = placeOf(session)
      const id = known && !known.before ? known.id : newId(req)
      const ends = Date.now() + ttlSeconds * 1000
      const value = `${String(intrusionOf(req))}:${String(Math.floor(ends))}:${JSON.stringify(login)}`
      const lasts = String(Math.ceil(2000 * ttlSeconds))
      const kept = await run(SAVE, keyOf(id), [fieldOf(state), value, lasts, String(MAX_LOGINS)])
      // Some clients ask nobody, and answer at once: each login would be missing when it comes back.
      if (String(kept) !== '1') {
        throw new IDPartnerError(
          'config_invalid',
          'Redis did not say that it keeps the login: redisLogins() needs a client whose eval() answers, not one in legacyMode',
        )
      }
      if (known?.id === id) return
      // A logout was faster: to write now would bring back the session that it has ended.
      if ((await askStore(req)).type === 'gone') throw loginMissing('no_session', req)
      session[PLACE] = { id } satisfies Place
      await saveSession(req)
    },

    async take(req, state) {
      const place = placeOf(sessionOf(req))
      if (!place) return 'no_session'
      if (place.before) return missing(await look(place, state), 'no_session')
      const found = read(await run(TAKE, keyOf(place.id), [fieldOf(state), String(Date.now())]))
      // Passport renews the session at login, and the Back button may bring the same answer again.
      if (typeof found === 'object') {
        onRenewal(req, (session) => {
          // Not over what is there: some renew nothing, or take all of it along.
          session[PLACE] ??= { id: place.id, before: true } satisfies Place
        })
      }
      return found
    },

    async peek(req, state, strategy) {
      const place = placeOf(sessionOf(req))
      if (!place) return 'no_session'
      const found = await look(place, state, strategy)
      return place.before ? missing(found, 'no_session') : found
    },
  }
  return logins

  async function look(
    { id }: Place,
    state: string | undefined,
    strategy?: string,
  ): Promise<PendingLogin | MissingReason> {
    const values = await run(PEEK, keyOf(id), [state === undefined ? '' : fieldOf(state)])
    const logins = (Array.isArray(values) ? values : []).map(read)
    const live = logins.find(
      (one) => typeof one === 'object' && (strategy === undefined || one.strategy === strategy),
    )
    if (live) return live
    // With a state there is one; without, that some were used says nothing of the one that is asked for.
    return (
      logins.find((one) => one === 'expired' || (state !== undefined && one === 'already_used')) ?? 'no_login'
    )
  }
}

/** The reason that is none of the session's own. */
function missing(found: PendingLogin | MissingReason, otherwise: MissingReason): MissingReason {
  return found === 'already_used' ? found : otherwise
}

/** Runs a script on one key, however this client is called. */
function runner(client: unknown): (script: string, key: string, args: string[]) => Promise<unknown> {
  if (typeof client !== 'object' || client === null || typeof (client as NodeRedis).eval !== 'function') {
    throw new IDPartnerError('config_invalid', 'redisLogins() needs a client of node-redis or ioredis')
  }
  if (typeof (client as IoRedis).defineCommand === 'function') {
    return (script, key, args) => (client as IoRedis).eval(script, 1, key, ...args)
  }
  return (script, key, args) => (client as NodeRedis).eval(script, { keys: [key], arguments: args })
}

/** Of the session's id where it has one: two logins that begin at once then agree, and neither overwrites the other. */
function newId(req: SessionRequest): string {
  const id = sessionIdOf(req)
  return id === undefined ? randomBytes(32).toString('base64url') : hash('browser', id)
}

function placeOf(session: Record<string, unknown>): Place | undefined {
  const { id, before } = (session[PLACE] ?? {}) as Partial<Place>
  if (typeof id !== 'string' || !/^[\w-]{43}$/.test(id)) return undefined
  return before ? { id, before: true } : { id }
}

/** Not the id itself, so that whoever reads names in Redis learns none. */
function keyOf(id: string): string {
  return `idpartner:logins:${hash('key', id)}`
}

function fieldOf(state: string): string {
  return hash('state', state)
}

function hash(of: string, text: string): string {
  return createHash('sha256').update(`idpartner ${of} ${text}`).digest('base64url')
}

/** @param value as the scripts have it; a client may be set to give bytes */
function read(value: unknown): PendingLogin | MissingReason {
  if (typeof value !== 'string' && !Buffer.isBuffer(value)) return 'no_login'
  const [, rank, ends, login = ''] = /^(\d):(\d+):(.*)$/s.exec(value.toString()) ?? []
  if (rank === USED) return 'already_used'
  if (Number(ends) <= Date.now()) return 'expired'
  try {
    return JSON.parse(login) as PendingLogin
  } catch {
    // Not the error, which quotes it: what is no login is refused where it is taken for one.
    return {} as PendingLogin
  }
}
