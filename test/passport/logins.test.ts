import { describe, expect, jest, test } from '@jest/globals'
import * as v from 'valibot'
import type { IDPartnerError, LoginStore, MissingReason, PendingLogin } from 'passport-idpartner'
import { loginMissing, pendingLogin } from '../../lib/passport/logins.js'
import { SessionLogins } from '../../lib/passport/session-logins.js'
import { MINUTE, travel, useClock } from '../support/clock.js'
import {
  STRATEGY,
  loginStoreContract,
  pending,
  type StoreUnderTest,
} from '../support/login-store-contract.js'
import { refusal } from '../support/settle.js'

useClock()

const KEY = 'idpartner'
const TTL = 600

interface Request {
  session?: (Record<string, unknown> & { save?: unknown }) | null
}

/** What a browser's session is to each of its requests. */
type SessionPlugin = () => () => Request

/** The same object for each request, as a session in memory is. */
const sharedObject: SessionPlugin = () => {
  const session = {}
  return () => ({ session })
}

/** A copy for each request, which counts only when it is saved: express-session with a store elsewhere. */
function storedSession(
  save: (write: () => void) => (done: (err?: unknown) => void) => unknown,
): SessionPlugin {
  return () => {
    let stored = '{}'
    return () => {
      const session = JSON.parse(stored) as Record<string, unknown>
      const write = (): void => {
        stored = JSON.stringify(session)
      }
      Object.defineProperty(session, 'save', { value: save(write) })
      return { session }
    }
  }
}

const calledBack = storedSession((write) => (done) => {
  setImmediate(() => {
    write()
    done()
  })
})

const promised = storedSession((write) => async () => {
  await new Promise(setImmediate)
  write()
})

const both = storedSession((write) => (done) => {
  write()
  done(null)
  return Promise.resolve()
})

/**
 * As \@fastify/secure-session has it: only whole values are read and written, a change inside a value is lost, and
 * `delete` does nothing.
 */
const secureSession: SessionPlugin = () => {
  const stored = new Map<PropertyKey, string>()
  return () => ({
    session: new Proxy<Record<string, unknown>>(
      {},
      {
        get: (_target, name) => (JSON.parse(stored.get(name) ?? 'null') as unknown) ?? undefined,
        set: (_target, name, value) => Boolean(stored.set(name, JSON.stringify(value))),
        deleteProperty: () => true,
      },
    ),
  })
}

describe('pending logins in a session', () => {
  describe.each<[string, SessionPlugin]>([
    ['that is an object in memory', sharedObject],
    ['that is saved with a callback', calledBack],
    ['that is saved with a promise', promised],
    ['that is saved with both', both],
    ['without nested writes and without delete', secureSession],
  ])('%s', (_name, plugin) => {
    loginStoreContract(() => ({
      store: new SessionLogins(KEY, STRATEGY),
      request: plugin(),
      other: plugin(),
    }))
  })

  test('are ten at most, and the oldest goes', async () => {
    const logins = new SessionLogins(KEY, STRATEGY)
    const request = sharedObject()
    for (let tab = 0; tab < 11; tab++) await logins.save(request(), `state ${String(tab)}`, pending('a'), TTL)
    await expect(logins.take(request(), 'state 0')).resolves.toBe('no_login')
    for (let tab = 1; tab < 11; tab++) {
      await expect(logins.take(request(), `state ${String(tab)}`)).resolves.toEqual(pending('a'))
    }
  })

  test('are replaced under the same state', async () => {
    const logins = new SessionLogins(KEY, STRATEGY)
    const request = sharedObject()
    for (let round = 0; round < 11; round++) await logins.save(request(), 'state', pending('a'), TTL)
    await logins.save(request(), 'state', pending('b'), TTL)
    await expect(logins.peek(request(), 'state')).resolves.toEqual(pending('b'))
    await expect(logins.take(request(), 'state')).resolves.toEqual(pending('b'))
    await expect(logins.take(request(), 'state')).resolves.toBe('already_used')
  })

  test('are under their own key, and leave the rest of the session alone', async () => {
    const session: Record<string, unknown> = { cart: ['book'] }
    const logins = new SessionLogins('bank', STRATEGY)
    await logins.save({ session }, 'state', pending('a'), TTL)
    await logins.take({ session }, 'state')
    expect(Object.keys(session).sort()).toEqual(['bank', 'cart'])
    expect(session['cart']).toEqual(['book'])
  })

  test('leave nothing secret behind when they are used', async () => {
    const session = {}
    const logins = new SessionLogins(KEY, STRATEGY)
    await logins.save({ session }, 'state-of-this-login', pending('nonce'), TTL)
    await logins.take({ session }, 'state-of-this-login')
    expect(JSON.stringify(session)).not.toMatch(/state-of|nonce|verifier/)
  })

  test('are plain JSON', async () => {
    const session = {}
    const logins = new SessionLogins(KEY, STRATEGY)
    await logins.save({ session }, 'state', { ...pending('a'), state: { a: [1] } }, TTL)
    const restored = JSON.parse(JSON.stringify(session)) as Record<string, unknown>
    await expect(logins.take({ session: restored }, 'state')).resolves.toEqual({
      ...pending('a'),
      state: { a: [1] },
    })
  })
})

describe('why no login is waiting', () => {
  const begun = async (): Promise<{ logins: SessionLogins; session: Record<string, unknown> }> => {
    const logins = new SessionLogins(KEY, STRATEGY)
    const session = {}
    await logins.save({ session }, 'state', pending('a'), TTL)
    return { logins, session }
  }

  test('no_session: the session is another one', async () => {
    const { logins } = await begun()
    await expect(logins.take({ session: {} }, 'state')).resolves.toBe('no_session')
    await expect(logins.peek({ session: {} }, 'state')).resolves.toBe('no_session')
    await expect(logins.peek({ session: {} }, undefined)).resolves.toBe('no_session')
  })

  test('no_login: the session knows other logins only', async () => {
    const { logins, session } = await begun()
    await expect(logins.take({ session }, 'other')).resolves.toBe('no_login')
    await expect(logins.peek({ session }, 'other')).resolves.toBe('no_login')
  })

  test('expired: it took too long, is then forgotten, and stays known as expired', async () => {
    const { logins, session } = await begun()
    travel(10 * MINUTE + 1000)
    for (let reload = 0; reload < 3; reload++) {
      await expect(logins.peek({ session }, 'state')).resolves.toBe('expired')
      await expect(logins.peek({ session }, undefined)).resolves.toBe('expired')
      await expect(logins.take({ session }, 'state')).resolves.toBe('expired')
    }
    expect(JSON.stringify(session)).not.toContain('verifier')
  })

  test('already_used: in the same session', async () => {
    const { logins, session } = await begun()
    await logins.take({ session }, 'state')
    await expect(logins.take({ session }, 'state')).resolves.toBe('already_used')
  })

  test('already_used: in another process that shares the session', async () => {
    const { logins, session } = await begun()
    await logins.take({ session }, 'state')
    await expect(new SessionLogins(KEY, STRATEGY).take({ session }, 'state')).resolves.toBe('already_used')
  })

  test('already_used: in a copy of the session from before, in the same process', async () => {
    const { logins, session } = await begun()
    const copy = structuredClone(session)
    await logins.take({ session }, 'state')
    await expect(logins.take({ session: copy }, 'state')).resolves.toBe('already_used')
  })

  test('already_used: in a session that was renewed, until the login would have ended', async () => {
    const { logins, session } = await begun()
    await logins.take({ session }, 'state')
    travel(9.9 * MINUTE)
    await expect(logins.take({ session: {} }, 'state')).resolves.toBe('already_used')
    travel(0.2 * MINUTE)
    await expect(logins.take({ session: {} }, 'state')).resolves.toBe('no_session')
  })

  test('already_used: of the last ten logins of a session, in another process', async () => {
    const { logins, session } = await begun()
    await logins.take({ session }, 'state')
    for (let more = 0; more < 10; more++) {
      await logins.save({ session }, `state ${String(more)}`, pending('a'), TTL)
      await logins.take({ session }, `state ${String(more)}`)
    }
    const elsewhere = new SessionLogins(KEY, STRATEGY)
    await expect(elsewhere.take({ session }, 'state 0')).resolves.toBe('already_used')
    await expect(elsewhere.take({ session }, 'state')).resolves.toBe('no_login')
  })

  test('already_used is remembered for logins used long after others', async () => {
    const logins = new SessionLogins(KEY, STRATEGY)
    const session = {}
    for (const state of ['first', 'second', 'third']) {
      await logins.save({ session }, state, pending('a'), TTL)
      await logins.take({ session }, state)
      travel(6 * MINUTE)
    }
    await expect(logins.take({ session: {} }, 'first')).resolves.toBe('no_session')
    await expect(logins.take({ session: {} }, 'third')).resolves.toBe('already_used')
  })
})

describe('garbage in the session', () => {
  const good = { k: 'state', v: 'verifier', b: 9e9, t: 600, o: STRATEGY }

  test.each<[string, unknown]>([
    ['a text', 'garbage'],
    ['null', null],
    ['a number', 42],
    ['a list', []],
    ['an empty object', {}],
    ['no list of logins', { p: {} }],
    ['used states that are no list', { p: [good], u: 'x' }],
    ['used states that are no texts', { p: [good], u: [1] }],
    ['expired states that are no texts', { p: [good], x: [{}] }],
    ['a login that is a text', { p: ['x'] }],
    ['a login that is null', { p: [null] }],
    ['a login without an end', { p: [{ ...good, t: 'never' }] }],
    ['a login without a beginning', { p: [{ ...good, b: undefined }] }],
    ['a login with an empty nonce', { p: [{ ...good, n: '' }] }],
    ['a login without a verifier', { p: [{ ...good, v: '' }] }],
    ['a login of nobody', { p: [{ ...good, o: undefined }] }],
    ['logins in the form of an earlier version', { logins: [], used: [] }],
  ])('is as good as nothing: %s', async (_name, garbage) => {
    const logins = new SessionLogins(KEY, STRATEGY)
    const session = { [KEY]: garbage }
    await expect(logins.take({ session }, 'state')).resolves.toBe('no_session')
    await expect(logins.peek({ session }, 'state')).resolves.toBe('no_session')
    await logins.save({ session }, 'state', pending('b'), TTL)
    await expect(logins.take({ session }, 'state')).resolves.toEqual(pending('b'))
  })

  test('that every object has is nothing special', async () => {
    const logins = new SessionLogins('toString', STRATEGY)
    const session = {}
    await expect(logins.take({ session }, 'state')).resolves.toBe('no_session')
    await logins.save({ session }, 'state', pending('a'), TTL)
    await expect(logins.take({ session }, 'state')).resolves.toEqual(pending('a'))
  })
})

describe('a session that is missing', () => {
  test.each<[string, Request]>([
    ['not there', {}],
    ['undefined', { session: undefined as unknown as null }],
    ['null', { session: null }],
    ['a text', { session: 'session' as unknown as null }],
  ])('names the middleware: %s', async (_name, req) => {
    const logins = new SessionLogins(KEY, STRATEGY)
    const expected = {
      code: 'config_invalid',
      status: 500,
      message: expect.stringMatching(
        /no session: add a session middleware such as express-session before passport/,
      ),
    }
    expect(await refusal(logins.save(req, 'state', pending('a'), TTL))).toMatchObject(expected)
    expect(await refusal(logins.take(req, 'state'))).toMatchObject(expected)
    expect(await refusal(Promise.resolve().then(() => logins.peek(req, 'state')))).toMatchObject(expected)
  })
})

describe('a session is saved', () => {
  /** A session whose save does so, and the order in which things happened. */
  const saving = (
    save: (done: (err?: unknown) => void) => unknown,
  ): { session: Record<string, unknown>; logins: SessionLogins } => ({
    session: Object.defineProperty({}, 'save', { value: save }),
    logins: new SessionLogins(KEY, STRATEGY),
  })

  test('before a login counts as begun, however long that takes', async () => {
    let finish: (() => void) | undefined
    const { session, logins } = saving((done) => {
      finish = done
    })
    const then = jest.fn()
    const beginning = logins.save({ session }, 'state', pending('a'), TTL).then(then)
    await new Promise(setImmediate)
    expect(then).not.toHaveBeenCalled()
    finish?.()
    await beginning
    expect(then).toHaveBeenCalled()
  })

  test('before a login counts as taken, so that no other process can take it', async () => {
    const order: string[] = []
    const { session, logins } = saving((done) => {
      order.push(`saved with ${String((session[KEY] as { p: unknown[] }).p.length)}`)
      setImmediate(done)
    })
    await logins.save({ session }, 'state', pending('a'), TTL)
    await logins.take({ session }, 'state')
    order.push('taken')
    expect(order).toEqual(['saved with 1', 'saved with 0', 'taken'])
  })

  test('not when there was nothing to take, or to look at', async () => {
    const save = jest.fn((done: () => void) => {
      done()
    })
    const { session, logins } = saving(save)
    await logins.take({ session }, 'state')
    await logins.peek({ session }, 'state')
    expect(save).not.toHaveBeenCalled()
  })

  test('as a method of the session', async () => {
    let self: unknown
    const { session, logins } = saving(function (this: unknown, done) {
      // eslint-disable-next-line @typescript-eslint/no-this-alias -- what it is called on is the point
      self = this
      done()
    })
    await logins.save({ session }, 'state', pending('a'), TTL)
    expect(self).toBe(session)
  })

  test.each<[string, (done: (err?: unknown) => void) => unknown, string]>([
    [
      'an error',
      (done) => {
        done(new Error('store down'))
      },
      'store down',
    ],
    ['a rejection', () => Promise.reject(new Error('store down')), 'store down'],
    [
      'a throw',
      () => {
        throw new Error('store down')
      },
      'store down',
    ],
    [
      'a text',
      (done) => {
        done('store down')
      },
      'the session store failed',
    ],
    [
      'a rejection with nothing but a text',
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- stores do
      () => Promise.reject('x'),
      'the session store failed',
    ],
  ])('or it fails with what the store failed with: %s', async (_name, save, message) => {
    const { session, logins } = saving(save)
    await expect(logins.save({ session }, 'state', pending('a'), TTL)).rejects.toThrow(message)
  })

  test('or the login is not used up: only what is written down counts', async () => {
    const session = {}
    const logins = new SessionLogins(KEY, STRATEGY)
    await logins.save({ session }, 'state', pending('a'), TTL)
    let broken = true
    Object.defineProperty(session, 'save', {
      value: () => (broken ? Promise.reject(new Error('store down')) : Promise.resolve()),
    })
    const both = await Promise.allSettled([
      logins.take({ session }, 'state'),
      logins.take({ session }, 'state'),
    ])
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    broken = false
    await expect(logins.take({ session }, 'state')).resolves.toEqual(pending('a'))
    await expect(logins.take({ session }, 'state')).resolves.toBe('already_used')
  })

  test.each([undefined, null, true, 'save'])(
    'unless it has no such function, as cookie-session: %p',
    async (save) => {
      const { session, logins } = { session: { save }, logins: new SessionLogins(KEY, STRATEGY) }
      await logins.save({ session }, 'state', pending('a'), TTL)
      await expect(logins.take({ session }, 'state')).resolves.toEqual(pending('a'))
    },
  )
})

/** A store as an application might write it, for browsers known by some name. */
class MapStore implements LoginStore<{ browser: string }> {
  readonly #logins = new Map<string, { login: PendingLogin; expires: number }>()

  save(
    { browser }: { browser: string },
    state: string,
    login: PendingLogin,
    ttlSeconds: number,
  ): Promise<void> {
    this.#logins.set(`${browser} ${state}`, { login, expires: Date.now() + ttlSeconds * 1000 })
    return Promise.resolve()
  }

  take({ browser }: { browser: string }, state: string): Promise<PendingLogin | MissingReason> {
    const found = this.#logins.get(`${browser} ${state}`)
    this.#logins.delete(`${browser} ${state}`)
    if (!found) return Promise.resolve('no_login')
    return Promise.resolve(found.expires > Date.now() ? found.login : 'expired')
  }
}

/** The same, that can also be looked into. */
class PeekingStore extends MapStore {
  readonly #begun = new Map<string, PendingLogin>()

  override async save(
    req: { browser: string },
    state: string,
    login: PendingLogin,
    ttlSeconds: number,
  ): Promise<void> {
    this.#begun.set(state, login)
    await super.save(req, state, login, ttlSeconds)
  }

  override take(req: { browser: string }, state: string): Promise<PendingLogin | MissingReason> {
    this.#begun.delete(state)
    return super.take(req, state)
  }

  peek(_req: { browser: string }, state: string | undefined): Promise<PendingLogin | MissingReason> {
    const found = state === undefined ? [...this.#begun.values()][0] : this.#begun.get(state)
    return Promise.resolve(found ?? 'no_login')
  }
}

describe.each<[string, () => LoginStore<{ browser: string }>]>([
  ["a store of the application's own", () => new MapStore()],
  ["a store of the application's own that can be looked into", () => new PeekingStore()],
])('%s', (_name, make) => {
  loginStoreContract((): StoreUnderTest<{ browser: string }> => ({
    store: make(),
    request: () => ({ browser: 'one' }),
    other: () => ({ browser: 'other' }),
  }))
})

describe('a pending login', () => {
  test.each<[string, object]>([
    ['what every login has', pending('a')],
    ['what a login may have', { ...pending('a'), issuer: 'i', max_age: 1, acr_values: 'x', state: { a: 1 } }],
  ])('is %s', (_name, login) => {
    expect(v.parse(pendingLogin, login)).toEqual(login)
  })

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['without a nonce', { ...pending('a'), nonce: undefined }],
    ['with an empty nonce', { ...pending('a'), nonce: '' }],
    ['with an empty verifier', { ...pending('a'), codeVerifier: '' }],
    ['with a number as interaction id', { ...pending('a'), interactionId: 1 }],
    ['with a list of issuers', { ...pending('a'), issuer: ['i'] }],
    ['with a text as max_age', { ...pending('a'), max_age: '1' }],
    ['with a list of acr values', { ...pending('a'), acr_values: ['x'] }],
  ])('is not %s', (_name, login) => {
    expect(v.is(pendingLogin, login)).toBe(false)
  })
})

describe('the failure for a missing login', () => {
  test.each<[MissingReason, object, RegExp]>([
    ['no_login', {}, /^no login is waiting for this answer in this session$/],
    ['expired', {}, /^this login took too long; please begin again$/],
    ['already_used', {}, /^this login was answered before$/],
    [
      'no_session',
      { headers: {}, session: {} },
      /^it sent no cookie: check that the login begins at the callback's host \(localhost is not 127\.0\.0\.1\), SameSite .* and the cookie's path$/,
    ],
    ['no_session', {}, /it sent no cookie/],
    ['no_session', { headers: { cookie: '' } }, /it sent no cookie/],
    [
      'no_session',
      { headers: { cookie: 'another-app=1' } },
      /its cookie may not have come \(SameSite, or another host than the callback's\)/,
    ],
    [
      'no_session',
      { protocol: 'http', session: { cookie: { secure: true } }, headers: {} },
      /^the session cookie is Secure, but the request arrived as http: set "trust proxy"/,
    ],
    [
      'no_session',
      { protocol: 'https', session: { cookie: { secure: true } }, headers: { cookie: 'sid=1' } },
      /^another login may have renewed it \(see keepSessionInfo\)/,
    ],
    [
      'no_session',
      { protocol: 'http', session: { cookie: { secure: false } }, headers: { cookie: 'sid=1' } },
      /do not share one session store$/,
    ],
    ['no_session', { session: null, headers: { cookie: 'sid=1' } }, /keepSessionInfo/],
  ])('says why, and which setting is likely behind it: %s %j', (reason, req, message) => {
    const err = loginMissing(reason, req)
    expect(err).toMatchObject({ code: 'login_missing', status: 401, reason })
    // What a person cannot change is for the log alone.
    const shown = 'this browser came back without the session in which the login began; please begin again'
    if (reason === 'no_session') expect(err.message).toBe(shown)
    const says = reason === 'no_session' ? (err.cause as IDPartnerError).message : err.message
    expect(says).toMatch(message)
  })

  test.each(['gone', '', 'constructor', '__proto__', undefined])(
    'takes any other answer of a store for no_login: %j',
    (answer) => {
      expect(loginMissing(answer, {})).toMatchObject({ code: 'login_missing', reason: 'no_login' })
    },
  )
})

test('of whom came back without a cookie the log says where the callback is', () => {
  const { cause } = loginMissing('no_session', {}, 'http://localhost:3000/login/callback')
  expect((cause as IDPartnerError).message).toContain(
    "that the login begins at the callback's host, localhost:3000 (localhost is not 127.0.0.1)",
  )
})
