import dns from 'node:dns'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import type { LoginStore, PendingLogin } from 'passport-idpartner'
import { fromNow } from '../support/bends.js'
import { HOUR, MINUTE, travel } from '../support/clock.js'
import { expectLoggedIn, expectRefused, type Refusal } from '../support/expectations.js'
import { hang, late, mislabelled, send, type Fault } from '../support/faults.js'
import { unusedOrigin } from '../support/loopback-server.js'
import { startScene, type Scene, useScenes } from '../support/scene.js'
import { settle, type Settled } from '../support/settle.js'

useScenes()

afterEach(() => {
  jest.restoreAllMocks()
})

const unavailable = (status: number): Refusal => ({ code: 'provider_unavailable', status })

/** Short, where a request waits for it, and else long enough for a busy machine. */
const SHORT = 1200

describe('nobody listens', () => {
  test('at the proxy', async () => {
    const { victim, platform } = await startScene()
    await platform.proxy.close()
    expectRefused(await victim.login({}), { ...unavailable(502), message: /ECONNREFUSED/ })
  })

  test('at the trust directory', async () => {
    const { victim, platform } = await startScene()
    const login = await victim.begin()
    await platform.directory.close()
    expectRefused(await victim.finish(login), { ...unavailable(502), message: /ECONNREFUSED/ })
  })

  test('at the bank', async () => {
    const { victim, platform } = await startScene()
    const login = await victim.begin()
    await platform.bankA.close()
    expectRefused(await victim.finish(login), { ...unavailable(502), message: /ECONNREFUSED/ })
  })

  test.each(['jwks_uri', 'token_endpoint', 'userinfo_endpoint'])("at the bank's %s", async (name) => {
    const { victim, platform } = await startScene()
    const origin = await unusedOrigin()
    platform.bankA.metadata = (document) => ({ ...document, [name]: `${origin}/somewhere` })
    expectRefused(await victim.finish(await victim.begin()), { ...unavailable(502), message: /ECONNREFUSED/ })
  })

  test('because its name does not resolve', async () => {
    const { victim } = await startScene({
      flow: 'direct',
      strategy: { trusted_issuers: ['https://bank.example'] },
    })
    jest.spyOn(dns, 'lookup').mockImplementation(((
      _host: string,
      _options: object,
      callback: (err: Error) => void,
    ) => {
      callback(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }))
    }) as never)
    expectRefused(await victim.login({ iss: 'https://bank.example' }), {
      ...unavailable(502),
      message: /bank\.example.*ENOTFOUND/,
    })
  })
})

describe('JSON that is nested too deeply', () => {
  const deep: Fault = (res, genuine) => {
    const body = genuine.body.replace('{', `{"deep":${'['.repeat(5000)}${']'.repeat(5000)},`)
    send(res, { ...genuine, body })
  }

  test.each(['proxy.discovery', 'bankA.discovery', 'bankA.token'])('is refused: %s', async (endpoint) => {
    const scene = await startScene()
    if (endpoint === 'proxy.discovery') {
      scene.platform.fault(endpoint, deep)
      expectRefused(await scene.victim.login({}), unavailable(502))
      return
    }
    const login = await scene.victim.begin()
    scene.platform.fault(endpoint, deep)
    expectRefused(await scene.victim.finish(login), unavailable(502))
  })
})

describe('one time budget for a callback', () => {
  const slow = ['directory.jwks', 'bankA.discovery', 'bankA.jwks']

  test('ends it, although each request alone is in time, and leaves the login pending', async () => {
    const scene = await startScene({ strategy: { timeout: SHORT } })
    const login = await scene.victim.begin()
    for (const endpoint of slow) scene.platform.fault(endpoint, late(950))
    expectRefused(await scene.victim.finish(login), unavailable(504))
    expect(scene.platform.requests).not.toContain('bankA.token')
    scene.platform.wire.heal()
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test('covers token and userinfo together', async () => {
    const scene = await startScene({ strategy: { timeout: SHORT } })
    const login = await scene.victim.begin()
    for (const endpoint of ['bankA.jwks', 'bankA.token', 'bankA.userinfo'])
      scene.platform.fault(endpoint, late(950))
    expectRefused(await scene.victim.finish(login), unavailable(504))
    expect(scene.logins).toEqual([])
  })

  test('is long enough for a platform that is only slow', async () => {
    const scene = await startScene({ strategy: { timeout: 2000 } })
    for (const endpoint of ['proxy.discovery', ...slow, 'bankA.token', 'bankA.userinfo']) {
      scene.platform.fault(endpoint, late(50))
    }
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
  })

  test.each([
    { name: 'after a quarter of an hour', silence: 15 * MINUTE },
    { name: 'after a night', silence: 8 * HOUR },
  ])('is not spent on documents that hang while there are copies: $name', async ({ silence }) => {
    const scene = await startScene({ strategy: { timeout: 600 } })
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    for (const endpoint of ['proxy.discovery', ...slow]) scene.platform.fault(endpoint, hang, Infinity)
    travel(silence)
    for (let login = 0; login < 3; login++) {
      expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
      travel(MINUTE)
    }
  })

  test('covers a login as well', async () => {
    const { victim, platform } = await startScene({ flow: 'direct', strategy: { timeout: SHORT } })
    platform.fault('bankA.par', hang)
    expectRefused(await victim.login({ iss: platform.bankA.issuer }), {
      ...unavailable(504),
      message: /timeout/,
    })
  })
})

describe('an application that decides too late about a bank', () => {
  test.each([
    { step: 'at the login', questions: 0, asked: 'bankA.par' },
    { step: 'at the answer', questions: 1, asked: 'bankA.jwks' },
    { step: 'before the code is sent', questions: 2, asked: 'bankA.token' },
  ])('$step: nothing more is asked for a login that was given up', async ({ questions, asked }) => {
    let decide = (): void => undefined
    const slow = new Promise<boolean>((resolve) => {
      decide = () => {
        resolve(true)
      }
    })
    const verdicts: (boolean | Promise<boolean>)[] = [...Array<boolean>(questions).fill(true), slow]
    const decided = (): boolean | Promise<boolean> => verdicts.shift() ?? true
    const scene = await startScene({
      flow: 'direct',
      strategy: { timeout: SHORT, trusted_issuers: decided, acceptProvider: decided },
    })
    const { victim, platform } = scene
    const login = questions === 0 ? undefined : await victim.begin()
    const settled = login ? await victim.finish(login) : await victim.login({ iss: platform.bankA.issuer })
    expectRefused(settled, unavailable(504))
    decide()
    // Long enough for a request to bank A, if there were one.
    expectLoggedIn(await victim.finish(await victim.begin('bankB')), scene)
    expect(platform.requests).not.toContain(asked)
    expect(scene.logins).toHaveLength(1)
    const usedUp = questions > 1
    if (login && usedUp)
      expectRefused(await victim.finish(login), { code: 'login_missing', reason: 'already_used' })
    if (login && !usedUp) expectLoggedIn(await victim.finish(login), scene)
  })
})

describe.each([{ flow: 'proxy' }, { flow: 'direct' }] as const)('clocks ($flow flow)', ({ flow }) => {
  test.each([{ skew: -20 }, { skew: 20 }])('$skew seconds apart are fine', async ({ skew }) => {
    const scene = await startScene({ flow })
    scene.platform.skew = skew
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
  })

  test.each([{ skew: -90 }, { skew: 90 }])(
    '$skew seconds apart are fine where 120 are configured',
    async ({ skew }) => {
      const scene = await startScene({ flow, strategy: { clock_tolerance: 120 } })
      const login = await scene.victim.begin()
      scene.platform.skew = skew
      expectLoggedIn(await scene.victim.finish(login), scene)
      // The bank tolerates less.
      scene.platform.wire.complaints.length = 0
    },
  )

  test('are taken into account for an ID token that expired a minute ago', async () => {
    const scene = await startScene({ flow, strategy: { clock_tolerance: 120 } })
    const idToken = { claims: fromNow({ exp: -60 }) }
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin(), { idToken }), scene)
  })

  test('10 seconds apart are refused where none are configured', async () => {
    const scene = await startScene({ flow, strategy: { clock_tolerance: 0 } })
    const login = await scene.victim.begin()
    scene.platform.skew = 10
    expectRefused(await scene.victim.finish(login), {
      code: flow === 'proxy' ? 'response_invalid' : 'token_invalid',
      message: /clock/,
    })
  })

  test.each([{ skew: -600 }, { skew: 600 }])(
    '$skew seconds apart are refused, and the message says so',
    async ({ skew }) => {
      const scene = await startScene({ flow })
      const login = await scene.victim.begin()
      scene.platform.skew = skew
      expectRefused(await scene.victim.finish(login), {
        code: flow === 'proxy' ? 'response_invalid' : 'token_invalid',
        message: /clock/,
      })
      // The bank, too, finds our clock wrong.
      scene.platform.wire.complaints.length = 0
    },
  )
})

describe('a mislabelled answer', () => {
  test.each([
    'proxy.discovery',
    'directory.jwks',
    'bankA.discovery',
    'bankA.jwks',
    'bankA.token',
    'bankA.userinfo',
  ])('of %s ends the login or is taken for what it is, and never hangs', async (endpoint) => {
    const scene = await startScene()
    const { victim, platform } = scene
    platform.fault(endpoint, mislabelled)
    const begun = await victim.login({})
    const last: Settled =
      begun.via === 'redirect'
        ? await victim.finish({
            url: begun.value as string,
            request: await platform.request(begun.value as string),
            bank: 'bankA',
          })
        : begun
    if (last.via === 'success') expectLoggedIn(last, scene)
    else expectRefused(last, unavailable(502))
  })
})

/** Runs both passes with whatever the request offers for a session. */
async function withSession(
  scene: Scene,
  session: PropertyDescriptor,
): Promise<{ login: Settled; callback: Settled }> {
  const { victim, strategy } = scene
  const response = await victim.answer(await victim.begin())
  const request = (path: string, query: Record<string, string>): object =>
    Object.defineProperty(victim.get(path, new URLSearchParams(query)), 'session', session)
  return {
    login: await settle(strategy, request('/login', {})),
    callback: await settle(strategy, request('/callback', { response })),
  }
}

describe('a session', () => {
  const noSession: Refusal = { code: 'config_invalid', message: /session middleware/ }
  const broken: Refusal = { code: 'config_invalid', message: /session or login store failed/ }

  test.each<{ name: string; session: PropertyDescriptor; refusal: Refusal }>([
    { name: 'is not there', session: { value: undefined }, refusal: noSession },
    { name: 'is null', session: { value: null }, refusal: noSession },
    { name: 'is a text', session: { value: 'session' }, refusal: noSession },
    {
      name: 'throws',
      session: {
        get() {
          throw new Error('the store is down')
        },
      },
      refusal: broken,
    },
    {
      name: 'throws something that is no error',
      session: {
        get() {
          // eslint-disable-next-line @typescript-eslint/only-throw-error -- applications do
          throw 'down'
        },
      },
      refusal: broken,
    },
  ])('that $name ends in an error of the application', async ({ session, refusal }) => {
    const scene = await startScene()
    const { login, callback } = await withSession(scene, session)
    expectRefused(login, refusal)
    expectRefused(callback, refusal)
    expect(scene.platform.requests).not.toContain('bankA.token')
  })

  test.each([
    { flow: 'proxy', url: '/login' },
    { flow: 'proxy', url: '/callback?response=x' },
    { flow: 'proxy', url: '/callback?error=access_denied' },
    { flow: 'direct', url: '/login' },
    { flow: 'direct', url: '/login?iss=' },
    { flow: 'direct', url: '/callback?response=x' },
  ] as const)('that is not there is found before anybody is asked: $url, $flow', async ({ flow, url }) => {
    const { strategy, platform } = await startScene({ flow })
    const at = url.endsWith('iss=') ? url + encodeURIComponent(platform.bankA.issuer) : url
    expectRefused(await settle(strategy, { method: 'GET', url: at, headers: {} }), noSession)
    expect(platform.requests).toEqual([])
  })

  test('that is not there is no matter to a store of the application', async () => {
    const { strategy } = await startScene({
      strategy: { store: { save: () => Promise.resolve(), take: () => Promise.resolve('no_login') } },
    })
    expect((await settle(strategy, { method: 'GET', url: '/login', headers: {} })).via).toBe('redirect')
  })

  test('that cannot be written to begins no login', async () => {
    const scene = await startScene()
    const { login } = await withSession(scene, { value: Object.freeze({}) })
    expectRefused(login, broken)
  })

  type Save = (done: (err?: unknown) => void) => unknown

  test.each<{ name: string; save: Save }>([
    {
      name: 'reports an error',
      save: (done) => {
        done(new Error('the store is down'))
      },
    },
    {
      name: 'reports something that is no error',
      save: (done) => {
        done('down')
      },
    },
    {
      name: 'throws',
      save: () => {
        throw new Error('the store is down')
      },
    },
    { name: 'rejects', save: () => Promise.reject(new Error('the store is down')) },
    { name: 'never answers', save: () => undefined },
  ])('whose save $name: no redirect, and no code is sent', async ({ save }) => {
    const scene = await startScene({ strategy: { timeout: SHORT } })
    const { victim, platform } = scene
    const login = await victim.begin()
    victim.session['save'] = save
    expectRefused(await victim.login({}), broken)
    expectRefused(await victim.finish(login), broken)
    expect(platform.requests).not.toContain('bankA.token')
    expect(scene.logins).toEqual([])
  })

  test('whose save is slow is waited for', async () => {
    const scene = await startScene()
    const order: string[] = []
    scene.victim.session['save'] = (done: () => void) =>
      setTimeout(() => {
        order.push('saved')
        done()
      }, 50)
    const login = await scene.victim.begin()
    order.push('redirected')
    expectLoggedIn(await scene.victim.finish(login), scene)
    expect(order).toEqual(['saved', 'redirected', 'saved'])
  })

  test('whose save returns a promise is waited for', async () => {
    const scene = await startScene()
    scene.victim.session['save'] = () => Promise.resolve()
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
  })
})

describe('a store of the application', () => {
  const held: PendingLogin = {
    ...{ nonce: 'n', codeVerifier: 'v', interactionId: 'i' },
    ...{ strategy: 's', begun: 1_760_000_000 },
  }
  const never = new Promise<never>(() => undefined)

  test.each<{ name: string; store: Partial<LoginStore<object>>; refusal: Refusal }>([
    {
      name: 'rejects',
      store: { take: () => Promise.reject(new Error('down')) },
      refusal: { code: 'config_invalid' },
    },
    {
      name: 'throws',
      store: {
        take: () => {
          throw new Error('down')
        },
      },
      refusal: { code: 'config_invalid' },
    },
    { name: 'never answers', store: { take: () => never }, refusal: { code: 'config_invalid' } },
    { name: 'never answers a look', store: { peek: () => never }, refusal: { code: 'config_invalid' } },
    {
      name: 'returns something else',
      store: { take: () => Promise.resolve({ nonce: 1 } as unknown as PendingLogin) },
      refusal: { code: 'config_invalid' },
    },
    {
      name: 'returns nothing',
      store: { take: () => Promise.resolve(undefined as unknown as PendingLogin) },
      refusal: { code: 'login_missing', reason: 'no_login' },
    },
    {
      name: 'has forgotten',
      store: { take: () => Promise.resolve('expired') },
      refusal: { code: 'login_missing', reason: 'expired' },
    },
    {
      name: 'returns the login of another bank',
      store: { take: () => Promise.resolve({ ...held, issuer: 'https://other.example' }) },
      refusal: { code: 'response_invalid' },
    },
  ])('that $name: no code is sent', async ({ store, refusal }) => {
    const empty: LoginStore<object> = {
      save: () => Promise.resolve(),
      take: () => Promise.resolve(held),
    }
    const scene = await startScene({ strategy: { timeout: SHORT, store: { ...empty, ...store } } })
    expectRefused(await scene.victim.finish(await scene.victim.begin()), refusal)
    expect(scene.platform.requests).not.toContain('bankA.token')
  })
})
