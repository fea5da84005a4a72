import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { Redis } from 'ioredis'
import RedisMock from 'ioredis-mock'
import { redisLogins, type RedisClient } from 'passport-idpartner/redis'
import { createClient } from 'redis'
import type { SessionRequest } from '../../lib/passport/session.js'
import { MINUTE, travel } from '../support/clock.js'
import { expectLoggedIn, expectRefused } from '../support/expectations.js'
import { loginStoreContract, pending, type StoreUnderTest } from '../support/login-store-contract.js'
import { startScene, useScenes } from '../support/scene.js'
import { refusal } from '../support/settle.js'

useScenes()

const TTL = 600

/** The URL of a real Redis, which CI starts; without it, one in memory that runs the same Lua. */
const url = process.env['REDIS_URL']

const io = url === undefined ? new RedisMock() : new Redis(url)
const node = createClient(url === undefined ? {} : { url })

interface Parameters {
  keys: string[]
  arguments: string[]
}

/** What of node-redis is used, on the Redis in memory. */
const likeNode = {
  eval: (script: string, { keys, arguments: args }: Parameters) =>
    io.eval(script, keys.length, ...keys, ...args),
}

const likeBytes: RedisClient = {
  async eval(script: string, options: Parameters) {
    const bytes = (value: unknown): unknown =>
      typeof value === 'string' ? Buffer.from(value) : Array.isArray(value) ? value.map(bytes) : value
    return bytes(await likeNode.eval(script, options))
  },
}

const clients: [string, RedisClient][] = [
  ['ioredis', io],
  ['node-redis', url === undefined ? likeNode : node],
]

beforeAll(async () => {
  if (url !== undefined) await node.connect()
})
afterEach(async () => {
  await io.flushall()
})
afterAll(async () => {
  if (url !== undefined) await node.close()
  io.disconnect()
})

interface Member extends SessionRequest {
  session: Record<string, unknown>
}

let ids = 0

/** What a browser's requests have of express-session. */
function browser(): () => Member {
  const member = { sessionID: `session-${String(ids++)}`, session: {} }
  return () => member
}

/** The same of a session that is a cookie and has no id: each request has a copy. */
function cookieBrowser(): () => Member {
  let cookie = '{}'
  return () => {
    const session = JSON.parse(cookie) as Record<string, unknown>
    Object.defineProperty(session, 'save', {
      value: (done: () => void) => {
        cookie = JSON.stringify(session)
        done()
      },
    })
    return { session }
  }
}

describe.each(clients)('logins in Redis, through %s', (_name, client) => {
  const start = (made: () => () => Member) => (): StoreUnderTest<SessionRequest> => ({
    store: redisLogins(client),
    request: made(),
    other: made(),
  })

  describe('with a session that has an id', () => {
    loginStoreContract(start(browser))
  })

  describe('with a session that is a cookie', () => {
    loginStoreContract(start(cookieBrowser))
  })

  test('of 50 requests at once, one has the login, and the others hear that it was used', async () => {
    const store = redisLogins(client)
    const request = browser()
    await store.save(request(), 'state', pending('a'), TTL)
    const taken = await Promise.all(Array.from({ length: 50 }, () => store.take(request(), 'state')))
    expect(taken.filter((one) => typeof one === 'object')).toHaveLength(1)
    expect(taken.filter((one) => one === 'already_used')).toHaveLength(49)
  })

  test('a login that took too long says so, and one that was used', async () => {
    const store = redisLogins(client)
    const request = browser()
    await store.save(request(), 'used', pending('a'), TTL)
    await store.save(request(), 'late', pending('b'), TTL)
    await store.take(request(), 'used')
    await expect(store.take(request(), 'used')).resolves.toBe('already_used')
    await expect(store.peek?.(request(), 'used')).resolves.toBe('already_used')
    travel(10.1 * MINUTE)
    await expect(store.peek?.(request(), undefined)).resolves.toBe('expired')
    await expect(store.take(request(), 'late')).resolves.toBe('expired')
    await expect(store.take(request(), 'late')).resolves.toBe('expired')
  })
})

test('a client may give bytes', async () => {
  const store = redisLogins(likeBytes)
  const request = browser()
  await store.save(request(), 'state', pending('ü'), TTL)
  await expect(store.peek?.(request(), undefined)).resolves.toEqual(pending('ü'))
  await expect(store.take(request(), 'state')).resolves.toEqual(pending('ü'))
})

describe('which browser it is', () => {
  const store = redisLogins(io)

  test('two logins that begin at once in one session can both be finished', async () => {
    const request = browser()
    // Each read the session before the other wrote to it.
    const [one, another] = [
      { ...request(), session: {} },
      { ...request(), session: {} },
    ]
    await Promise.all([
      store.save(one, 'first', pending('a'), TTL),
      store.save(another, 'second', pending('b'), TTL),
    ])
    expect(one.session).toEqual(another.session)
    await expect(store.take(one, 'second')).resolves.toEqual(pending('b'))
    await expect(store.take(another, 'first')).resolves.toEqual(pending('a'))
  })

  test.each<[string, Record<string, unknown>]>([
    ['is not there', {}],
    ['is a text', { 'idpartner-browser': 'x'.repeat(43) }],
    ['has another form', { 'idpartner-browser': { id: '../../etc/passwd' } }],
    ['is null', { 'idpartner-browser': null }],
  ])('a session in which it %s began no login', async (_what, session) => {
    await expect(store.take({ session }, 'state')).resolves.toBe('no_session')
    await expect(store.peek?.({ session }, 'state')).resolves.toBe('no_session')
  })

  test('a request without a session is refused', async () => {
    expect(await refusal(store.save({}, 'state', pending('a'), TTL))).toMatchObject({
      code: 'config_invalid',
    })
    await expect(store.take({}, 'state')).rejects.toMatchObject({ code: 'config_invalid' })
  })

  test('a session that was renewed at login knows what was used, and finishes nothing that began before', async () => {
    const request = browser()()
    request.session['regenerate'] = (done: () => void): void => {
      request.session = {}
      done()
    }
    await store.save(request, 'used', pending('a'), TTL)
    await store.save(request, 'waiting', pending('b'), TTL)
    await store.take(request, 'used')
    ;(request.session['regenerate'] as (done: () => void) => void)(() => undefined)
    await expect(store.take(request, 'used')).resolves.toBe('already_used')
    await expect(store.take(request, 'waiting')).resolves.toBe('no_session')
    await expect(store.peek?.(request, 'waiting')).resolves.toBe('no_session')
    request.sessionID = 'renewed'
    await store.save(request, 'next', pending('c'), TTL)
    await expect(store.take(request, 'next')).resolves.toEqual(pending('c'))
  })

  test('a session that renews nothing at login goes on with what began before', async () => {
    const request = browser()()
    request.session['regenerate'] = (done: () => void): void => {
      done()
    }
    await store.save(request, 'used', pending('a'), TTL)
    await store.save(request, 'waiting', pending('b'), TTL)
    await store.take(request, 'used')
    ;(request.session['regenerate'] as (done: () => void) => void)(() => undefined)
    await expect(store.take(request, 'waiting')).resolves.toEqual(pending('b'))
  })

  test('a session that was ended while its login began stays ended', async () => {
    const sessionStore = {
      get: (_id: string, done: (err: null, found: null) => void) => {
        done(null, null)
      },
    }
    const request = { ...browser()(), sessionStore, headers: { cookie: '' } }
    request.headers.cookie = `id=${String(request.sessionID)}`
    expect(await refusal(store.save(request, 'state', pending('a'), TTL))).toMatchObject({
      code: 'login_missing',
      reason: 'no_session',
    })
    expect(request.session).toEqual({})
  })
})

describe('what is in Redis', () => {
  const store = redisLogins(io)

  test('names neither a session nor a state, and is gone after twice the time of a login', async () => {
    const request = browser()
    await store.save(request(), 'state', pending('a'), TTL)
    const [key = ''] = await io.keys('*')
    const [field = ''] = await io.hkeys(key)
    expect(key).toMatch(/^idpartner:logins:[\w-]{43}$/)
    expect(field).toMatch(/^[\w-]{43}$/)
    expect(key).not.toContain((request().session['idpartner-browser'] as { id: string }).id)
    expect(await io.pttl(key)).toBeGreaterThan(TTL * 1000)
    expect(await io.pttl(key)).toBeLessThanOrEqual(2 * TTL * 1000)
    // A shorter one must not end the longer one early.
    await store.save(request(), 'another', pending('b'), 1)
    expect(await io.pttl(key)).toBeGreaterThan(TTL * 1000)
    await store.take(request(), 'state')
    expect(await io.hget(key, field)).toMatch(/^9:\d+:$/)
  })

  test('is twenty logins of one browser at most: the newest stays, used ones and the oldest go', async () => {
    const request = browser()
    for (let at = 0; at < 20; at++) await store.save(request(), `state-${String(at)}`, pending('a'), TTL + at)
    await store.take(request(), 'state-7')
    await store.save(request(), 'state-20', pending('a'), TTL + 20)
    await expect(store.peek?.(request(), 'state-7')).resolves.toBe('no_login')
    await store.save(request(), 'state-21', pending('a'), TTL + 21)
    await expect(store.peek?.(request(), 'state-0')).resolves.toBe('no_login')
    await expect(store.peek?.(request(), 'state-1')).resolves.toEqual(pending('a'))
    await expect(store.peek?.(request(), 'state-21')).resolves.toEqual(pending('a'))
  })

  test('has no room for what is no login: that goes before all others, those used included', async () => {
    const request = browser()
    for (let at = 0; at < 20; at++) await store.save(request(), `state-${String(at)}`, pending('a'), TTL)
    await store.take(request(), 'state-7')
    const [key = ''] = await io.keys('*')
    const before = await io.hkeys(key)
    const none = before[3] ?? ''
    await io.hset(key, none, 'garbage')
    await store.save(request(), 'state-20', pending('a'), TTL)
    const after = await io.hkeys(key)
    expect(before.filter((one) => !after.includes(one))).toEqual([none])
    await store.save(request(), 'state-21', pending('a'), TTL)
    await expect(store.peek?.(request(), 'state-7')).resolves.toBe('no_login')
  })

  test('has no room first for the login that ends first, whenever it began', async () => {
    const request = browser()
    for (let at = 0; at < 20; at++) {
      await store.save(request(), `state-${String(at)}`, pending('a'), at === 13 ? TTL - 60 : TTL + at)
    }
    await store.save(request(), 'state-20', pending('a'), TTL)
    await expect(store.peek?.(request(), 'state-13')).resolves.toBe('no_login')
    await expect(store.peek?.(request(), 'state-0')).resolves.toEqual(pending('a'))
  })

  test('has no room for what another site began before it has none for what ends first', async () => {
    const request = browser()()
    const foreign = { ...request, headers: { 'sec-fetch-site': 'cross-site' } }
    await store.save(request, 'first of its own', pending('a'), TTL)
    await store.save(foreign, 'foreign', pending('b'), TTL)
    for (let at = 0; at < 18; at++) await store.save(request, `own-${String(at)}`, pending('a'), TTL - 60)
    await store.save(request, 'own', pending('a'), TTL)
    await expect(store.peek?.(request, 'foreign')).resolves.toBe('no_login')
    for (const own of ['first of its own', 'own-0', 'own-17']) {
      await expect(store.peek?.(request, own)).resolves.toEqual(pending('a'))
    }
  })

  test('another site that begins a login puts out none where all are of this site, and has its own', async () => {
    const request = browser()()
    for (let at = 0; at < 20; at++) await store.save(request, `own-${String(at)}`, pending('a'), TTL)
    const foreign = { ...request, headers: { 'sec-fetch-site': 'cross-site' } }
    await store.save(foreign, 'foreign', pending('b'), TTL)
    await expect(store.peek?.(request, 'own-0')).resolves.toEqual(pending('a'))
    await expect(store.take(request, 'foreign')).resolves.toEqual(pending('b'))
  })

  test('another site that begins many logins puts out none that this site began', async () => {
    const request = browser()
    const headers = { 'sec-fetch-site': 'cross-site' }
    await store.save(request(), 'own', pending('own'), TTL)
    for (let at = 0; at < 25; at++) {
      await store.save({ ...request(), headers }, `theirs-${String(at)}`, pending('b'), TTL + at)
    }
    await expect(store.take(request(), 'own')).resolves.toEqual(pending('own'))
    const [key = ''] = await io.keys('*')
    expect(await io.hlen(key)).toBe(20)
  })

  test.each([
    ['garbage', 'garbage'],
    ['no JSON', `0:${String(Date.now() + 600_000)}:{"nonce":"secret`],
    ['no login', `0:${String(Date.now() + 600_000)}:[]`],
    ['of a time that is none', '0:x:{}'],
  ])('and %s is no login', async (_what, value) => {
    const request = browser()
    await store.save(request(), 'state', pending('a'), TTL)
    const [key = ''] = await io.keys('*')
    const [field = ''] = await io.hkeys(key)
    await io.hset(key, field, value)
    const taken = await store.take(request(), 'state')
    expect(taken).not.toEqual(pending('a'))
    expect(JSON.stringify(taken)).not.toContain('secret')
  })

  test('the login of one browser, moved to another, is not found there', async () => {
    const [one, another] = [browser(), browser()]
    await store.save(one(), 'state', pending('a'), TTL)
    await store.save(another(), 'other', pending('b'), TTL)
    await expect(store.take(another(), 'state')).resolves.toBe('no_login')
  })

  test.each(['*', 'a b\r\nFLUSHALL', '"]) redis.call("FLUSHALL") --', '\0', 'é'.repeat(5000)])(
    'a state of any characters is a state: %j',
    async (state) => {
      const request = browser()
      await store.save(request(), 'mine', pending('a'), TTL)
      await expect(store.take(request(), state)).resolves.toBe('no_login')
      await store.save(request(), state, pending('b'), TTL)
      await expect(store.take(request(), state)).resolves.toEqual(pending('b'))
      await expect(store.take(request(), 'mine')).resolves.toEqual(pending('a'))
    },
  )
})

test.each([undefined, null, {}, 'redis://localhost', { get: () => undefined }])(
  'a client that is none is refused: %j',
  async (client) => {
    expect(await refusal(Promise.resolve().then(() => redisLogins(client as never)))).toMatchObject({
      code: 'config_invalid',
      message: 'redisLogins() needs a client of node-redis or ioredis',
    })
  },
)

describe('a login whose waiting half is in Redis', () => {
  test('gets in once, and only where it began', async () => {
    const scene = await startScene({ strategy: { store: redisLogins(io) } })
    const { victim, platform } = scene
    const answer = await victim.answerParams(await victim.begin())
    const stranger = scene.newVisitor()
    expectRefused(await stranger.bring(answer), { code: 'login_missing', reason: 'no_session' })
    await stranger.begin()
    expectRefused(await stranger.bring(answer), { code: 'login_missing', reason: 'no_login' })
    expect(platform.count('bankA.token')).toBe(0)
    expectLoggedIn(await victim.bring(answer), scene)
    expectRefused(await victim.bring(answer), { code: 'login_missing', reason: 'already_used' })
    expect(platform.count('bankA.token')).toBe(1)
  })

  test('gets in once in two processes, with an answer that comes to both at once', async () => {
    const first = await startScene({ strategy: { store: redisLogins(io) } })
    const { platform } = first
    const second = await startScene({ platform, strategy: { store: redisLogins(likeNode) } })
    const there = second.newVisitor(platform.person)
    there.session = first.victim.session
    for (let round = 0; round < 5; round++) {
      const answer = await first.victim.answerParams(await first.victim.begin())
      const ends = await Promise.all([first.victim.bring(answer), there.bring(answer)])
      expect(ends.map(({ via }) => via).sort()).toEqual(['fail', 'success'])
    }
    expect(platform.count('bankA.token')).toBe(5)
  })

  describe('beside the logins of another strategy', () => {
    /** Two strategies of one application, with one store, and one browser that visits both. */
    const startTwo = async (flow: 'proxy' | 'direct') => {
      const store = redisLogins(io)
      const first = await startScene({ flow, strategy: { store } })
      const { platform } = first
      const second = await startScene({ platform, strategy: { store, name: 'second' } })
      const there = second.newVisitor(platform.person)
      there.session = first.victim.session
      return { first, platform, here: first.victim, second, there }
    }

    test.each(['proxy', 'direct'] as const)('is finished by its own alone (%s flow)', async (flow) => {
      const { first, platform, here, there } = await startTwo(flow)
      const answer = await here.answerParams(await here.begin())
      expectRefused(await there.bring(answer), { code: 'login_missing', reason: 'no_login' })
      expect(platform.count('bankA.token')).toBe(0)
      expectLoggedIn(await here.bring(answer), first)
    })

    test('is none that an unsigned error at the other could be meant for', async () => {
      const { first, here, there } = await startTwo('proxy')
      const begun = await here.begin()
      const { state } = begun.request
      for (const query of [{}, typeof state === 'string' ? { state } : {}]) {
        expectRefused(await there.bring({ error: 'access_denied', ...query }), {
          code: 'login_missing',
          reason: 'no_login',
        })
      }
      expectRefused(await here.bring({ error: 'access_denied' }), { code: 'access_denied' })
      await there.begin()
      expectRefused(await here.bring({ error: 'access_denied' }), { code: 'access_denied' })
      expectRefused(await there.bring({ error: 'access_denied' }), { code: 'access_denied' })
      expectLoggedIn(await here.finish(begun), first)
    })

    test('is no reason to refuse a login that begins at the callback of the other', async () => {
      const { here, there } = await startTwo('proxy')
      await here.begin()
      expect((await there.bring({})).via).toBe('redirect')
    })

    test('keeps what it carries to the account selector', async () => {
      const { platform, here, there } = await startTwo('direct')
      const { value } = await here.login({}, { state: '/orders' })
      const visitor_id = new URL(value as string).searchParams.get('visitor_id') ?? ''
      const back = { iss: platform.bankA.issuer, visitor_id }
      const finish = async (visitor: typeof here) => {
        const { value: url } = await visitor.login(back)
        const request = await platform.request(url as string)
        return visitor.finish({ url: url as string, request, bank: 'bankA' })
      }
      const other = await there.login(back)
      expect(other.via).toBe('redirect')
      expect((await finish(here)).info).toHaveProperty('state', '/orders')
    })
  })

  const failing = (evaluate: () => Promise<unknown>): RedisClient => ({ eval: evaluate })

  test.each([undefined, null, true, 'QUEUED'])(
    'begins nothing where a client answers %j by itself',
    async (answer) => {
      const store = redisLogins(failing(() => Promise.resolve(answer)))
      const { victim } = await startScene({ strategy: { store } })
      expectRefused(await victim.login({}), { code: 'config_invalid' })
    },
  )

  test.each<[string, RedisClient]>([
    ['is down', failing(() => Promise.reject(new Error('connect ECONNREFUSED')))],
    [
      'throws',
      failing(() => {
        throw new Error('The client is closed')
      }),
    ],
    ['never answers', failing(() => new Promise(() => undefined))],
  ])('begins nothing where Redis %s', async (_name, client) => {
    const { victim, platform } = await startScene({
      strategy: { store: redisLogins(client), timeout: 300 },
    })
    const { via, value } = await victim.login({})
    expect(via).toBe('error')
    expect(value).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('session or login store failed'),
    })
    expect(platform.requests).not.toContain('bankA.token')
  })

  test.each([
    ['is another value', 'x'],
    ['is half a login', `0:${String(Date.now() + 600_000)}:{"nonce":"n"`],
    ['is a login without a verifier', `0:${String(Date.now() + 600_000)}:{"nonce":"n"}`],
  ])('sends no code where what is in Redis %s', async (_name, value) => {
    const scene = await startScene({ strategy: { store: redisLogins(io) } })
    const { victim, platform } = scene
    const answer = await victim.answerParams(await victim.begin())
    const [key = ''] = await io.keys('*')
    const [field = ''] = await io.hkeys(key)
    await io.hset(key, field, value)
    expectRefused(await victim.bring(answer), { code: 'config_invalid' })
    expect(platform.requests).not.toContain('bankA.token')
  })
})
