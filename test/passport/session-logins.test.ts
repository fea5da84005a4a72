import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from '@jest/globals'
import type { PendingLogin } from 'passport-idpartner'
import { proofsOf } from '../../lib/passport/logins.js'
import { SessionLogins } from '../../lib/passport/session-logins.js'
import { travel, useClock } from '../support/clock.js'
import { refusal } from '../support/settle.js'

useClock()

const KEY = 'idpartner'
const STRATEGY = 'a-strategy1'
const TTL = 600

type Data = Record<string, unknown>

/** What a store of sessions holds; each process has a store object of its own on it, which takes a moment. */
class Backing {
  readonly sessions = new Map<string, string>()
  broken = false

  process(): { store: object; logins: SessionLogins } {
    const later = async (
      done: (err?: unknown, value?: unknown) => void,
      work: () => unknown,
    ): Promise<void> => {
      await sleep(1)
      if (this.broken) done(new Error('store down'))
      else done(null, work())
    }
    const store = {
      get: (id: string, done: () => void) =>
        void later(done, () => JSON.parse(this.sessions.get(id) ?? 'null')),
      set: (id: string, value: Data, done: () => void) => {
        const text = JSON.stringify(value)
        void later(done, () => this.sessions.set(id, text))
      },
    }
    return { store, logins: new SessionLogins(KEY, STRATEGY) }
  }

  /** A request that has read its session, as express-session does before anything else. */
  request(store: object, id: string): Request {
    const session = JSON.parse(this.sessions.get(id) ?? '{}') as Data
    const { set } = store as { set: (id: string, value: Data, done: unknown) => void }
    Object.defineProperty(session, 'save', {
      value: (done: unknown) => {
        set(id, session, done)
      },
    })
    return { session, sessionID: id, sessionStore: store, headers: { cookie: `sid=s%3A${id}.signature` } }
  }

  read(id: string): Data {
    return JSON.parse(this.sessions.get(id) ?? '{}') as Data
  }
}

interface Request {
  session: Data
  sessionID: string
  sessionStore: object
  headers: { cookie: string }
}

const begun = (): number => Math.floor(Date.now() / 1000)

const newLogin = (more: Partial<PendingLogin> = {}): { state: string; login: PendingLogin } => {
  const { state, ...proofs } = proofsOf(randomBytes(32).toString('base64url'))
  return { state, login: { ...proofs, strategy: STRATEGY, begun: begun(), ...more } }
}

describe.each([
  { where: 'in one process', processes: 1 },
  { where: 'in two processes', processes: 2 },
])('two requests of one session $where', ({ processes }) => {
  const start = (): {
    backing: Backing
    id: string
    one: ReturnType<Backing['process']>
    other: ReturnType<Backing['process']>
  } => {
    const backing = new Backing()
    const id = randomUUID()
    backing.sessions.set(id, JSON.stringify({ cookie: {} }))
    const one = backing.process()
    return { backing, id, one, other: processes === 1 ? one : backing.process() }
  }

  test('begin two logins, and both can be finished', async () => {
    const { backing, id, one, other } = start()
    const requests = [backing.request(one.store, id), backing.request(other.store, id)] as const
    const [first, second] = [newLogin(), newLogin()]
    await Promise.all([
      one.logins.save(requests[0], first.state, first.login, TTL),
      other.logins.save(requests[1], second.state, second.login, TTL),
    ])
    await expect(other.logins.take(backing.request(other.store, id), first.state)).resolves.toEqual(
      first.login,
    )
    await expect(one.logins.take(backing.request(one.store, id), second.state)).resolves.toEqual(second.login)
  })

  test('begin a login each although one has read the session long before the other wrote it', async () => {
    const { backing, id, one, other } = start()
    const slow = backing.request(one.store, id)
    slow.session['cart'] = ['book']
    const [first, second] = [newLogin(), newLogin()]
    await other.logins.save(backing.request(other.store, id), second.state, second.login, TTL)
    await one.logins.save(slow, first.state, first.login, TTL)
    expect(backing.read(id)['cart']).toEqual(['book'])
    for (const { state, login } of [first, second]) {
      await expect(one.logins.take(backing.request(one.store, id), state)).resolves.toEqual(login)
    }
  })

  test('bring the same answer, and exactly one finishes it', async () => {
    const { backing, id, one, other } = start()
    const { state, login } = newLogin()
    await one.logins.save(backing.request(one.store, id), state, login, TTL)
    const requests = [backing.request(one.store, id), backing.request(other.store, id)] as const
    const taken = await Promise.all([
      one.logins.take(requests[0], state),
      other.logins.take(requests[1], state),
    ])
    expect(taken.filter((one) => typeof one === 'object')).toEqual([login])
    expect(taken.filter((one) => typeof one === 'string')).toEqual(['already_used'])
  })

  test('finish two logins at once, and neither can be finished again', async () => {
    const { backing, id, one, other } = start()
    const [first, second] = [newLogin(), newLogin()]
    for (const { state, login } of [first, second])
      await one.logins.save(backing.request(one.store, id), state, login, TTL)
    const requests = [backing.request(one.store, id), backing.request(other.store, id)] as const
    const taken = await Promise.all([
      one.logins.take(requests[0], first.state),
      other.logins.take(requests[1], second.state),
    ])
    expect(taken).toEqual([first.login, second.login])
    const third = backing.process()
    for (const { state } of [first, second]) {
      await expect(third.logins.take(backing.request(third.store, id), state)).resolves.toBe('already_used')
    }
  })

  test('of which one logs out: the other does not bring the session back', async () => {
    const { backing, id, one, other } = start()
    const { state, login } = newLogin()
    await one.logins.save(backing.request(one.store, id), state, login, TTL)
    const [begins, finishes] = [backing.request(one.store, id), backing.request(other.store, id)]
    backing.sessions.delete(id)
    const next = newLogin()
    expect(await refusal(one.logins.save(begins, next.state, next.login, TTL))).toMatchObject({
      code: 'login_missing',
      reason: 'no_session',
    })
    await expect(other.logins.take(finishes, state)).resolves.toBe('no_session')
    expect([...backing.sessions]).toEqual([])
  })

  test('of which one takes the user out: the other does not put them back', async () => {
    const { backing, id, one } = start()
    backing.sessions.set(id, JSON.stringify({ passport: { user: 1 } }))
    const slow = backing.request(one.store, id)
    backing.sessions.set(id, JSON.stringify({}))
    const { state, login } = newLogin()
    await one.logins.save(slow, state, login, TTL)
    expect(Object.keys(backing.read(id))).toEqual([KEY])
  })

  test.each<[string, unknown]>([
    ['took out of the session', { id: 1 }],
    ['logged out', null],
  ])('of which one begins a login: the user whom it %s before stays out', async (_name, user) => {
    const { backing, id, one } = start()
    backing.sessions.set(id, JSON.stringify({ passport: { user: 1 } }))
    const req = Object.assign(backing.request(one.store, id), { user })
    delete req.session['passport']
    const { state, login } = newLogin()
    await one.logins.save(req, state, login, TTL)
    expect(Object.keys(backing.read(id))).toEqual([KEY])
  })

  test('of which one belongs to another strategy: neither loses what the other wrote', async () => {
    const { backing, id, one, other } = start()
    const stepUp = new SessionLogins('step-up', 'b-strategy1')
    const requests = [backing.request(one.store, id), backing.request(other.store, id)] as const
    const [first, second] = [newLogin(), newLogin({ strategy: 'b-strategy1' })]
    await one.logins.save(requests[0], first.state, first.login, TTL)
    await stepUp.save(requests[1], second.state, second.login, TTL)
    await expect(one.logins.take(backing.request(one.store, id), first.state)).resolves.toEqual(first.login)
    await expect(stepUp.take(backing.request(one.store, id), second.state)).resolves.toEqual(second.login)
  })
})

test('a session that ends while a change is written down finishes no login and begins none', async () => {
  const backing = new Backing()
  const { store, logins } = backing.process()
  const { state, login } = newLogin()
  const next = newLogin()
  const { set } = store as { set: (id: string, value: Data, done: () => void) => void }
  const ending = (id: string, value: Data, done: () => void): void => {
    set(id, value, () => {
      backing.sessions.delete(id)
      done()
    })
  }
  const ended = (): Request => {
    backing.sessions.set('id', session)
    return backing.request({ ...store, set: ending }, 'id')
  }
  backing.sessions.set('id', '{}')
  await logins.save(backing.request(store, 'id'), state, login, TTL)
  const session = backing.sessions.get('id') ?? ''
  await expect(logins.take(ended(), state)).resolves.toBe('no_session')
  expect(await refusal(logins.save(ended(), next.state, next.login, TTL))).toMatchObject({
    reason: 'no_session',
  })
})

test('of two logins begun at once in a cookie the earlier one is not there, and nothing else is said of it', async () => {
  const logins = new SessionLogins(KEY, STRATEGY)
  const [first, second] = [newLogin(), newLogin()]
  const [earlier, later]: [Data, Data] = [{}, {}]
  await logins.save({ session: earlier }, first.state, first.login, TTL)
  await logins.save({ session: later }, second.state, second.login, TTL)
  await expect(logins.take({ session: later }, first.state)).resolves.toBe('no_login')
  await expect(logins.take({ session: later }, second.state)).resolves.toEqual(second.login)
})

test('a login counts as used only once that is written down', async () => {
  const backing = new Backing()
  const { store, logins } = backing.process()
  backing.sessions.set('id', '{}')
  const { state, login } = newLogin()
  await logins.save(backing.request(store, 'id'), state, login, TTL)
  backing.broken = true
  await expect(logins.take(backing.request(store, 'id'), state)).rejects.toThrow('store down')
  backing.broken = false
  await expect(logins.take(backing.request(store, 'id'), state)).resolves.toEqual(login)
})

describe('a session that is renewed at login', () => {
  type Renew = (done?: (err?: unknown) => void) => unknown

  test.each<{
    name: string
    regenerate: (renew: () => void) => Renew
    call: (renew: Renew) => Promise<unknown>
  }>([
    {
      name: 'with a callback',
      regenerate: (renew) => (done) => {
        renew()
        setImmediate(() => done?.())
      },
      call: (renew) => new Promise((resolve) => renew(resolve)),
    },
    {
      name: 'with a promise',
      regenerate: (renew) => async () => {
        await sleep(1)
        renew()
      },
      call: (renew) => Promise.resolve(renew()),
    },
    {
      name: 'at once',
      regenerate: (renew) => renew,
      call: (renew) => Promise.resolve(renew()),
    },
  ])('knows the answer on every process: $name', async ({ regenerate, call }) => {
    const { state, login } = newLogin()
    const logins = new SessionLogins(KEY, STRATEGY)
    const req: { session: Data } = { session: {} }
    await logins.save(req, state, login, TTL)
    const renew = regenerate(() => {
      req.session = {}
    })
    Object.defineProperty(req.session, 'regenerate', { value: renew, configurable: true })
    await logins.take(req, state)
    await call(req.session['regenerate'] as Renew)
    const session = JSON.parse(JSON.stringify(req.session)) as Data
    const elsewhere = new SessionLogins(KEY, STRATEGY)
    await expect(elsewhere.take({ session }, state)).resolves.toBe('already_used')
    await expect(elsewhere.take({ session }, 'another')).resolves.toBe('no_session')
    await expect(elsewhere.peek({ session }, undefined)).resolves.toBe('no_session')
    expect(Object.keys(session)).toEqual([KEY])
  })
})

describe('what a session keeps', () => {
  const direct = { issuer: 'https://bank.example/oidc' }
  const size = (session: Data): number => JSON.stringify(session[KEY] ?? null).length

  test.each<[string, Partial<PendingLogin>]>([
    ['in the proxy flow', {}],
    ['in the direct flow', direct],
    [
      'that asks for all there is',
      { ...direct, max_age: 600, acr_values: 'urn:acr:gold', floor: 'elevenchars', sameRoute: true },
    ],
  ])('of a login is at most 350 bytes: %s', async (_name, more) => {
    const session: Data = {}
    const { state, login } = newLogin(more)
    await new SessionLogins(KEY, STRATEGY).save({ session }, state, login, TTL)
    expect(size(session)).toBeLessThan(230)
    expect(JSON.stringify(session)).not.toContain(state)
    expect(JSON.stringify(session)).not.toContain(login.nonce)
  })

  test('of ten logins is at most 1.5 kB', async () => {
    const session: Data = {}
    const logins = new SessionLogins(KEY, STRATEGY)
    const all = Array.from({ length: 10 }, () => newLogin(direct))
    for (const { state, login } of all) await logins.save({ session }, state, login, TTL)
    expect(size(session)).toBeLessThanOrEqual(1500)
    for (const { state, login } of all) await expect(logins.take({ session }, state)).resolves.toEqual(login)
    expect(size(session)).toBeLessThan(300)
  })

  test("stays below that with the application's values, and the oldest goes first", async () => {
    const session: Data = {}
    const logins = new SessionLogins(KEY, STRATEGY)
    const all = Array.from({ length: 8 }, () => newLogin({ ...direct, state: 'x'.repeat(216) }))
    for (const { state, login } of all) await logins.save({ session }, state, login, TTL)
    expect(size(session)).toBeLessThanOrEqual(1500)
    const found = await Promise.all(all.map(({ state }) => logins.peek({ session }, state)))
    expect(found.map((one) => typeof one)).toEqual([
      ...Array<string>(4).fill('string'),
      ...Array<string>(4).fill('object'),
    ])
  })

  test('is always the newest login, whatever the application carries through it', async () => {
    const session: Data = {}
    const logins = new SessionLogins(KEY, STRATEGY)
    const { state, login } = newLogin({ state: 'x'.repeat(3000) })
    await logins.save({ session }, state, login, TTL)
    await expect(logins.take({ session }, state)).resolves.toEqual(login)
  })

  test('no longer is what has expired, from the next write on', async () => {
    const session: Data = {}
    const logins = new SessionLogins(KEY, STRATEGY)
    const old = Array.from({ length: 9 }, () => newLogin(direct))
    for (const { state, login } of old) await logins.save({ session }, state, login, TTL)
    travel(3_600_000)
    const { state, login } = newLogin(direct)
    await logins.save({ session }, state, login, TTL)
    expect(session[KEY]).toMatchObject({ p: [expect.anything()] })
    expect((session[KEY] as { p: unknown[] }).p).toHaveLength(1)
    for (const { state: expired } of old) {
      await expect(logins.take({ session }, expired)).resolves.toBe('expired')
      await expect(logins.peek({ session }, expired)).resolves.toBe('expired')
    }
  })
})

describe('logins of two strategies in one place', () => {
  test('are not found by the other, and stay as they are', async () => {
    const session: Data = {}
    const weak = new SessionLogins(KEY, 'weak')
    const strong = new SessionLogins(KEY, 'strong')
    const { state, login } = newLogin({ strategy: 'weak' })
    await weak.save({ session }, state, login, TTL)
    await expect(strong.peek({ session }, state)).resolves.toBe('no_login')
    await expect(strong.peek({ session }, undefined)).resolves.toBe('no_login')
    await expect(strong.take({ session }, state)).resolves.toBe('no_login')
    const own = newLogin({ strategy: 'strong' })
    await strong.save({ session }, own.state, own.login, TTL)
    await expect(weak.take({ session }, state)).resolves.toEqual(login)
    await expect(strong.take({ session }, own.state)).resolves.toEqual(own.login)
  })
})
