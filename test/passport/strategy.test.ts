import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import express, { type ErrorRequestHandler, type RequestHandler } from 'express'
import session from 'express-session'
import passport from 'passport'
import {
  IDPartner,
  IDPartnerError,
  IDPartnerStrategy,
  type AuthenticateOptions,
  type Done,
  type IDPartnerLogin,
  type LoginStore,
  type PendingLogin,
  type Verify,
  type VerifyWithRequest,
} from 'passport-idpartner'
import { without } from '../support/bends.js'
import { tlsCertificates } from '../support/certificates.js'
import { expectLoggedIn, expectRefused } from '../support/expectations.js'
import { answer, hang } from '../support/faults.js'
import { clientJwks } from '../support/key-pairs.js'
import type { AnswerBends, Platform } from '../support/platform.js'
import { startScene, type Begun, type Scene, type SceneOptions, useScenes } from '../support/scene.js'
import { settle, type Settled } from '../support/settle.js'
import { thrown } from '../support/thrown.js'

useScenes()

const options = {
  client_id: 'app',
  callback: 'https://app.example/callback',
}
const verify: Verify = () => Promise.resolve({ id: 1 })

const loggingIn = async (scene: Scene, asked: AuthenticateOptions = {}): Promise<Settled> =>
  scene.visitor.finish(await scene.visitor.begin('bankA', asked))

/** How the callback pass ends with a verify of its own. */
async function settledBy(verifying: Verify): Promise<Settled> {
  const { platform, visitor } = await startScene()
  const strategy = new IDPartnerStrategy(
    { ...(await platform.config()), passReqToCallback: false },
    verifying,
  )
  const response = await visitor.answer(await visitor.begin())
  return settle(strategy, visitor.get('/callback', new URLSearchParams({ response })))
}

describe('a strategy is made', () => {
  test('with a client, and with the name of the package', async () => {
    const strategy = new IDPartnerStrategy({ ...options, jwks: await clientJwks() }, verify)
    expect(strategy.name).toBe('idpartner')
    expect(strategy.client).toBeInstanceOf(IDPartner)
    expect(strategy).toBeInstanceOf(passport.Strategy)
  })

  test('with another name and place in the session, so that there can be several', async () => {
    const { platform, visitor } = await startScene()
    const config = await platform.config()
    const names = ['one', 'other']
    for (const name of names) {
      const strategy = new IDPartnerStrategy({ ...config, name, sessionKey: `bank of ${name}` }, verify)
      expect(strategy.name).toBe(name)
      expect(await settle(strategy, visitor.get('/login', new URLSearchParams()))).toMatchObject({
        via: 'redirect',
      })
    }
    expect(Object.keys(visitor.session)).toEqual(['bank of one', 'bank of other'])
  })

  test.each<[string, object | undefined, unknown, RegExp]>([
    ['options', undefined, verify, /options are required/],
    ['a verify function', options, undefined, /second argument must be the verify function/],
    [
      'the right name of an option',
      { ...options, clientID: 'x' },
      verify,
      /option "clientID" is not a known option/,
    ],
    ['a client id', { callback: options.callback }, verify, /option "client_id" is required/],
    ['keys', options, verify, /option "jwks" needs a signing key/],
    ['a scope with openid', { ...options, scope: 'email' }, verify, /must include "openid"/],
    ['sense in its own options', { ...options, loginTtl: -1 }, verify, /option "loginTtl" must be at least/],
  ])('but not without %s', (_name, given, verifying, message) => {
    const err = thrown(() => new IDPartnerStrategy(given as typeof options, verifying as Verify))
    expect(err).toMatchObject({ code: 'config_invalid', status: 500 })
    expect(err.message).toMatch(message)
  })

  test('that shows no key, secret or certificate', async () => {
    const pem = await tlsCertificates()
    const jwks = await clientJwks()
    const strategy = new IDPartnerStrategy(
      {
        ...options,
        jwks,
        token_endpoint_auth_method: 'client_secret_basic',
        client_secret: 'a-client-secret',
        tls_client_cert: pem.client.cert,
        tls_client_key: pem.client.key,
      },
      verify,
    )
    const shown = [inspect(strategy, { depth: Infinity, showHidden: true }), JSON.stringify(strategy)].join()
    const [key] = jwks.keys
    for (const secret of ['a-client-secret', 'BEGIN ', String(key?.d), String(key?.p)]) {
      expect(shown).not.toContain(secret)
    }
  })
})

describe('verify', () => {
  test('is given the whole login', async () => {
    const { platform, visitor, logins } = await startScene()
    const begun = await visitor.begin('bankA', { state: { returnTo: '/orders' } })
    await visitor.finish(begun)
    expect(logins).toEqual([
      {
        claims: expect.objectContaining(platform.person),
        identityProvider: { name: 'bankA', issuer_url: platform.bankA.issuer },
        issuer: platform.bankA.issuer,
        tokens: expect.objectContaining({
          access_token: expect.any(String),
          refresh_token: expect.any(String),
        }),
        userInfo: platform.person,
        interactionId: begun.request.interactionId,
        state: { returnTo: '/orders' },
      },
    ])
  })

  test('is given no userinfo that nobody asked for', async () => {
    const scene = await startScene({ strategy: { fetchUserInfo: false } })
    await loggingIn(scene)
    expect(scene.logins[0]).not.toHaveProperty('userInfo')
    expect(scene.platform.requests).not.toContain('bankA.userinfo')
  })

  test('is given a name for the bank in the direct flow too', async () => {
    const scene = await startScene({ flow: 'direct' })
    await loggingIn(scene)
    const { issuer } = scene.platform.bankA
    expect(scene.logins[0]?.identityProvider).toEqual({ name: new URL(issuer).host, issuer_url: issuer })
  })

  test.each<[string, Verify]>([
    [
      'through done',
      (_login, done) => {
        done(null, { id: 1 }, { remember: true })
      },
    ],
    [
      'through done, from an async function',
      async (_login, done) => {
        await Promise.resolve()
        done(null, { id: 1 }, { remember: true })
      },
    ],
  ])('logs a person in %s, and its info is beside ours', async (_name, verifying) => {
    const settled = await settledBy(verifying)
    expect(settled).toMatchObject({ via: 'success', value: { id: 1 } })
    expect(settled.info).toEqual({
      remember: true,
      identityProvider: { name: 'bankA', issuer_url: expect.any(String) },
      interactionId: expect.any(String),
      state: undefined,
    })
  })

  test('cannot take the place of our info', async () => {
    const { info } = await settledBy((_login, done) => {
      done(null, { id: 1 }, { interactionId: 'forged', identityProvider: 'forged', state: 'forged' })
    })
    expect(JSON.stringify(info)).not.toContain('forged')
  })

  test.each<[string, Verify, object]>([
    ['a promise of false', () => Promise.resolve(false), {}],
    ['false', () => false, {}],
    [
      'done',
      (_login, done) => {
        done(null, false)
      },
      {},
    ],
    [
      'done, and why',
      (_login, done) => {
        done(null, false, { message: 'blocked' })
      },
      { message: 'blocked' },
    ],
  ])('refuses a person with %s, in its own words', async (_name, verifying, info) => {
    expect(await settledBy(verifying)).toEqual({ via: 'fail', value: info, status: undefined })
  })

  const failure = new RangeError('database down')

  test.each<[string, Verify]>([
    [
      'throws',
      () => {
        throw failure
      },
    ],
    ['rejects', () => Promise.reject(failure)],
    [
      'calls back with an error',
      (_login, done) => {
        done(failure)
      },
    ],
  ])('that %s ends in that error', async (_name, verifying) => {
    expect(await settledBy(verifying)).toMatchObject({ via: 'error', value: failure })
  })

  test.each<[string, Verify]>([
    [
      'throws a text',
      () => {
        throw 'route' as unknown as Error
      },
    ],
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- applications do
    ['rejects with nothing', () => Promise.reject(undefined)],
    [
      'calls back with a text',
      (_login, done) => {
        done('route')
      },
    ],
  ])('that %s lets nobody through', async (_name, verifying) => {
    expectRefused(await settledBy(verifying), { code: 'config_invalid', message: /is no error/ })
  })

  test('wrapped as Nest wraps it, with no parameters to count, logs a person in', async () => {
    const validate = (login: IDPartnerLogin): object => ({ sub: login.claims.sub })
    const wrapped = async (...params: unknown[]): Promise<void> => {
      const done = params.at(-1) as Done
      const validated = await Promise.resolve(validate(params[0] as IDPartnerLogin))
      done(null, validated)
    }
    expect(wrapped).toHaveLength(0)
    expect(await settledBy(wrapped)).toMatchObject({ via: 'success', value: { sub: expect.any(String) } })
  })

  test('with passReqToCallback gets the request first', async () => {
    const { platform, visitor } = await startScene()
    const verifying = jest.fn<VerifyWithRequest<object>>(() => Promise.resolve({ id: 1 }))
    const strategy = new IDPartnerStrategy<object>(
      { ...(await platform.config()), passReqToCallback: true },
      verifying,
    )
    const response = await visitor.answer(await visitor.begin())
    const req = visitor.get('/callback', new URLSearchParams({ response }))
    expect(await settle(strategy, req)).toMatchObject({ via: 'success' })
    expect(verifying.mock.calls).toEqual([
      [req, expect.objectContaining({ issuer: platform.bankA.issuer }), expect.any(Function)],
    ])
  })
})

describe("the application's own state", () => {
  test.each<[string, unknown]>([
    ['a text', '/orders?page=2'],
    ['an object', { returnTo: '/orders', items: [1, 2], nothing: null }],
    ['a list', ['a']],
    ['a number', 0],
    ['false', false],
    ['an empty text', ''],
  ])('comes back as it was: %s', async (_name, state) => {
    const scene = await startScene()
    const settled = await loggingIn(scene, { state })
    expect(settled.info).toHaveProperty('state', state)
    expect(scene.logins[0]?.state).toEqual(state)
  })

  test('does not leave the application', async () => {
    const { visitor } = await startScene()
    const { url } = await visitor.begin('bankA', { state: '/orders' })
    expect(decodeURIComponent(url)).not.toContain('/orders')
  })

  describe('at the account selector', () => {
    /** Goes there, and comes back with what it sends back. */
    const visit = async (
      { visitor, platform }: Scene,
      asked: AuthenticateOptions,
      query: Record<string, string> = {},
    ): Promise<() => Promise<Settled>> => {
      const { value } = await visitor.login(query, asked)
      const id = new URL(value as string).searchParams.get('visitor_id')
      const back = { iss: platform.bankA.issuer, ...(id !== null && { visitor_id: id }) }
      return async () => {
        const { value: url } = await visitor.login(back)
        const request = await platform.request(url as string)
        return visitor.finish({ url: url as string, request, bank: 'bankA' })
      }
    }

    test.each([{}, { visitor_id: 'visitor' }, { visitor_id: 'a.visitor' }])(
      'it is that of each visit, in whichever order they come back: %j',
      async (query) => {
        const scene = await startScene({ flow: 'direct' })
        const first = await visit(scene, { state: '/first' }, query)
        const second = await visit(scene, { state: '/second' }, query)
        const third = await visit(scene, {}, query)
        expect((await second()).info).toHaveProperty('state', '/second')
        expect((await third()).info).toHaveProperty('state', undefined)
        expect((await first()).info).toHaveProperty('state', '/first')
      },
    )

    test('it does not go to a login that begins elsewhere', async () => {
      const scene = await startScene({ flow: 'direct' })
      await visit(scene, { state: '/abandoned' })
      expect((await loggingIn(scene)).info).toHaveProperty('state', undefined)
    })

    test('it goes to one login only', async () => {
      const scene = await startScene({ flow: 'direct' })
      const back = await visit(scene, { state: '/orders' })
      expect((await back()).info).toHaveProperty('state', '/orders')
      expect((await back()).info).toHaveProperty('state', undefined)
    })

    test("it stays in its browser: another's visit brings nothing", async () => {
      const scene = await startScene({ flow: 'direct' })
      const { value } = await scene.newVisitor().login({}, { state: '/attacker' })
      const visitor_id = new URL(value as string).searchParams.get('visitor_id') ?? ''
      const { value: url } = await scene.visitor.login({ iss: scene.platform.bankA.issuer, visitor_id })
      const request = await scene.platform.request(url as string)
      const settled = await scene.visitor.finish({ url: url as string, request, bank: 'bankA' })
      expect(settled.info).toHaveProperty('state', undefined)
    })

    test('a visit without it leaves the visitor as it was', async () => {
      const { visitor } = await startScene({ flow: 'direct' })
      const { value } = await visitor.login({ visitor_id: 'visitor' })
      expect(new URL(value as string).searchParams.get('visitor_id')).toBe('visitor')
    })
  })
})

describe('what a request asks for', () => {
  test('goes before what all ask for', async () => {
    const { platform, visitor } = await startScene({
      strategy: { prompt: 'login', claims: { userinfo: { email: null } } },
    })
    const { url } = await visitor.begin('bankA', { prompt: 'consent', max_age: 60, acr_values: 'gold' })
    const [, payload = ''] = (new URL(url).searchParams.get('request') ?? '').split('.')
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({
      prompt: 'consent',
      max_age: 60,
      acr_values: 'gold',
      claims: { userinfo: { email: null } },
      scope: 'openid email profile',
    })
    expect(platform.requests).toEqual(['proxy.discovery'])
  })

  const asked = {
    login_hint: 'person@bank.example',
    ui_locales: 'de-CH en',
    id_token_hint: 'e30.e30.c2ln',
    display: 'touch',
    authorization_details: [{ type: 'payment_initiation', amount: { value: '10.00' } }],
    purpose: 'to open an account',
  } as const satisfies AuthenticateOptions

  test.each(Object.entries(asked))(
    'reaches the bank, for all logins and for one: %s',
    async (name, value) => {
      const one = await startScene()
      const { url } = await one.visitor.begin('bankA', { [name]: value })
      const all = await startScene({ strategy: { [name]: value }, platform: one.platform })
      for (const begun of [url, (await all.visitor.begin()).url]) {
        const [, payload = ''] = (new URL(begun).searchParams.get('request') ?? '').split('.')
        expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toHaveProperty(name, value)
      }
    },
  )

  test.each<[string, AuthenticateOptions, boolean]>([
    ['max_age', { max_age: 600 }, false],
    ['acr_values', { acr_values: 'gold' }, false],
    ['nothing', {}, true],
  ])('is checked on the way back: %s', async (_name, asked, passes) => {
    const scene = await startScene()
    const settled = await loggingIn(scene, asked)
    if (passes) expectLoggedIn(settled, scene)
    else
      expectRefused(settled, {
        code: 'token_invalid',
        via: 'fail',
        status: 401,
        message: /(max_age|acr_values).*log in again/,
      })
  })

  test.each<[string, object, RegExp]>([
    ['max_age', { max_age: '600' }, /option "max_age" must be a whole number/],
    ['max_age', { max_age: -1 }, /option "max_age" must not be negative/],
    ['claims', { claims: 'email' }, /option "claims" must be an object/],
    ['claims', { claims: ['email'] }, /option "claims" must be an object/],
    ['prompt', { prompt: 1 }, /option "prompt" must be a string/],
    ['acr_values', { acr_values: ['gold'] }, /option "acr_values" must be a string/],
    ['scope', { scope: 1 }, /option "scope" must be a string or a list/],
    ['scope', { scope: 'email' }, /must include "openid"/],
  ])('is refused at once when it is wrong: %s', async (_name, asked, message) => {
    const scene = await startScene()
    const login = await scene.visitor.begin()
    expectRefused(await scene.visitor.login({}, asked), { code: 'config_invalid', message })
    expectLoggedIn(await scene.visitor.finish(login), scene)
  })
})

describe('acceptProvider', () => {
  const asking = (accept: () => unknown): SceneOptions => ({
    strategy: { acceptProvider: accept as () => boolean },
  })

  test.each<[string, () => unknown]>([
    ['true', () => true],
    ['a promise of true', () => Promise.resolve(true)],
  ])('accepts with %s', async (_name, accept) => {
    const scene = await startScene(asking(accept))
    expectLoggedIn(await loggingIn(scene), scene)
  })

  test.each<[string, () => unknown]>([
    ['false', () => false],
    ['a promise of false', () => Promise.resolve(false)],
    ['undefined', () => undefined],
    ['a text', () => 'yes'],
    ['a number', () => 1],
    ['a promise of an object', () => Promise.resolve({})],
  ])('refuses with %s, and no code is sent', async (_name, accept) => {
    const scene = await startScene(asking(accept))
    expectRefused(await loggingIn(scene), { code: 'provider_refused', message: /"acceptProvider" said no/ })
    expect(scene.platform.requests).not.toContain('bankA.token')
  })

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new RangeError('down')
      },
    ],
    ['rejects', () => Promise.reject(new RangeError('down'))],
  ])('that %s ends in that error, and no code is sent', async (_name, accept) => {
    const scene = await startScene(asking(accept))
    expect(await loggingIn(scene)).toMatchObject({
      via: 'error',
      value: { name: 'RangeError', message: 'down' },
    })
    expect(scene.platform.requests).not.toContain('bankA.token')
  })

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ["a word that Express would take for 'go on elsewhere'", 'route'],
  ])('that throws %s ends in an error all the same', async (_name, thrown) => {
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- applications do
    const scene = await startScene(asking(() => Promise.reject(thrown)))
    expectRefused(await loggingIn(scene), { code: 'config_invalid', message: /something that is no error/ })
    expect(scene.platform.requests).not.toContain('bankA.token')
  })

  test('is given the bank and the request, and asked once', async () => {
    const accept = jest.fn(() => true)
    const scene = await startScene(asking(accept))
    await loggingIn(scene)
    expect(accept.mock.calls).toEqual([
      [
        { name: 'bankA', issuer_url: scene.platform.bankA.issuer },
        expect.objectContaining({ session: scene.visitor.session }),
      ],
    ])
  })

  test('is not asked when the person said no already', async () => {
    const accept = jest.fn(() => true)
    const scene = await startScene(asking(accept))
    const denied: AnswerBends = {
      answer: { claims: (c) => ({ ...without('code')(c), error: 'access_denied' }) },
    }
    expectRefused(await scene.visitor.finish(await scene.visitor.begin(), denied), {
      code: 'access_denied',
      providerError: 'access_denied',
    })
    expect(accept).not.toHaveBeenCalled()
  })
})

describe('a store of the application', () => {
  class MapStore implements LoginStore<object> {
    readonly saved = new Map<string, PendingLogin>()
    readonly ttls: number[] = []

    save(_req: object, state: string, login: PendingLogin, ttlSeconds: number): Promise<void> {
      this.saved.set(state, JSON.parse(JSON.stringify(login)) as PendingLogin)
      this.ttls.push(ttlSeconds)
      return Promise.resolve()
    }

    take(_req: object, state: string): ReturnType<LoginStore['take']> {
      const found = this.saved.get(state)
      this.saved.delete(state)
      return Promise.resolve(found ?? 'no_login')
    }
  }

  test('takes the place of the session', async () => {
    const store = new MapStore()
    const scene = await startScene({ strategy: { store, loginTtl: 300 } })
    Object.defineProperty(scene.visitor, 'session', { value: undefined })
    const begun = await scene.visitor.begin()
    expect([...store.saved.keys()]).toEqual([begun.request.state])
    expect(store.ttls).toEqual([300])
    expectLoggedIn(await scene.visitor.finish(begun), scene)
    expect(store.saved.size).toBe(0)
    expectRefused(await scene.visitor.finish(begun), { code: 'login_missing', reason: 'no_login' })
  })

  test('is not asked for anything when a login begins at the proxy', async () => {
    const store = new MapStore()
    const peek = jest.fn(() => Promise.resolve('no_login' as const))
    const scene = await startScene({ strategy: { store: Object.assign(store, { peek }) } })
    await scene.visitor.begin()
    expect(store.saved.size).toBe(1)
    expect(peek).not.toHaveBeenCalled()
  })

  test('works in the direct flow, with the account selector, without peek', async () => {
    const store = new MapStore()
    const scene = await startScene({ flow: 'direct', strategy: { store } })
    expect(await scene.visitor.login({})).toMatchObject({ via: 'redirect' })
    expect(store.saved.size).toBe(0)
    expectLoggedIn(await loggingIn(scene), scene)
  })

  test('that cannot be looked into takes an unsigned error at its word', async () => {
    const store = new MapStore()
    const scene = await startScene({ strategy: { store } })
    const begun = await scene.visitor.begin()
    expectRefused(await scene.visitor.bring({ error: 'access_denied' }), { code: 'access_denied' })
    expectLoggedIn(await scene.visitor.finish(begun), scene)
  })

  test.each<[string, (login: PendingLogin) => unknown, Parameters<typeof expectRefused>[1]]>([
    ['nothing', () => undefined, { code: 'login_missing', reason: 'no_login' }],
    ['null', () => null, { code: 'login_missing', reason: 'no_login' }],
    ['a reason', () => 'already_used', { code: 'login_missing', reason: 'already_used' }],
    ['a text that is no reason', () => 'gone', { code: 'login_missing', reason: 'no_login' }],
    [
      'an empty object',
      () => ({}),
      { code: 'config_invalid', message: /store returned something that is no/ },
    ],
    [
      'half a login',
      ({ nonce }) => ({ nonce }),
      { code: 'config_invalid', message: /store returned something that is no pending login/ },
    ],
    [
      'the login at another bank',
      (login) => ({ ...login, issuer: 'https://other.example' }),
      {
        code: 'response_invalid',
        message: /from another bank than the login went to: http\S+ and https:\/\/other\.example$/,
      },
    ],
  ])('may take %s, and no code is sent', async (_name, change, refused) => {
    const store = new MapStore()
    const take = store.take.bind(store)
    jest.spyOn(store, 'take').mockImplementation(async (req, state) => {
      const taken = await take(req, state)
      return change(taken as PendingLogin) as PendingLogin
    })
    const scene = await startScene({ strategy: { store } })
    expectRefused(await loggingIn(scene), refused)
    expect(scene.platform.requests).not.toContain('bankA.token')
  })

  test('that is called synchronously may throw', async () => {
    const store = new MapStore()
    jest.spyOn(store, 'save').mockImplementation(() => {
      throw new Error('down')
    })
    const { visitor } = await startScene({ strategy: { store } })
    const settled = await visitor.login({})
    expectRefused(settled, { code: 'config_invalid', message: /login store failed/ })
    expect(settled.value).toMatchObject({ cause: { message: 'down' } })
  })
})

describe('a request of any framework', () => {
  const callbackOf = async ({ visitor }: Scene): Promise<URLSearchParams> =>
    new URLSearchParams({ response: await visitor.answer(await visitor.begin()) })

  test('that has only url, method, headers and session, as in Koa, logs in', async () => {
    const scene = await startScene()
    const { visitor, strategy } = scene
    const bare = (url: string): object => ({ url, method: 'GET', headers: {}, session: visitor.session })
    const first = await settle(strategy, bare('/login'))
    expect(first.via).toBe('redirect')
    const request = await scene.platform.request(first.value as string)
    const response = await visitor.answer({ url: first.value as string, request, bank: 'bankA' })
    expectLoggedIn(await settle(strategy, bare(`/callback?response=${response}`)), scene)
  })

  test('whose router cut the path off logs in', async () => {
    const scene = await startScene()
    const params = await callbackOf(scene)
    const req = {
      ...scene.visitor.get('/callback', params),
      originalUrl: `/auth/callback?${String(params)}`,
      url: '/',
    }
    expectLoggedIn(await settle(scene.strategy, req), scene)
  })

  test('that posts its answer in a parsed form logs in', async () => {
    const scene = await startScene()
    const response = (await callbackOf(scene)).get('response')
    const req = {
      method: 'POST',
      url: '/callback?tenant=a',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '999' },
      body: { response },
      session: scene.visitor.session,
    }
    expectLoggedIn(await settle(scene.strategy, req), scene)
  })

  test('that posts its answer in a form nobody parsed names the middleware, and can be repeated', async () => {
    const scene = await startScene()
    const response = (await callbackOf(scene)).get('response')
    const req = {
      method: 'POST',
      url: '/callback',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      session: scene.visitor.session,
    }
    expectRefused(await settle(scene.strategy, req), {
      code: 'config_invalid',
      message: /express\.urlencoded/,
    })
    expectLoggedIn(await settle(scene.strategy, { ...req, body: { response } }), scene)
  })

  test('without a session names the middleware, in both passes', async () => {
    const scene = await startScene()
    const refused = {
      code: 'config_invalid',
      message: /express-session before passport\.authenticate/,
    } as const
    const params = await callbackOf(scene)
    for (const url of ['/login', `/callback?${String(params)}`]) {
      expectRefused(await settle(scene.strategy, { method: 'GET', url, headers: {} }), refused)
    }
    expect(scene.platform.requests).not.toContain('bankA.token')
  })

  test('is answered once, although Passport calls a strategy that many requests share', async () => {
    const scene = await startScene()
    const begun = await Promise.all(
      Array.from({ length: 5 }, () => scene.newVisitor()).map((v) => v.begin().then((b) => [v, b] as const)),
    )
    const settled = await Promise.all(begun.map(([visitor, login]) => visitor.finish(login)))
    expect(settled.map(({ via }) => via)).toEqual(['success', 'success', 'success', 'success', 'success'])
  })
})

describe('the redirect', () => {
  test('waits until the session is saved', async () => {
    const order: string[] = []
    const { strategy } = await startScene()
    const save = (done: () => void): void => {
      setImmediate(() => {
        order.push('saved')
        done()
      })
    }
    const req = { method: 'GET', url: '/login', headers: {}, session: { save } }
    const settled = await settle(strategy, req)
    order.push(settled.via)
    expect(order).toEqual(['saved', 'redirect'])
  })
})

describe('a failure', () => {
  test('is told without members that do not apply to it', async () => {
    const { visitor } = await startScene()
    const missing = await visitor.bring({ error: 'access_denied' })
    expect(Object.keys(missing.value as object)).toEqual(['code', 'message', 'reason'])
    const { request } = await visitor.begin()
    const denied = await visitor.bring({ error: 'access_denied', state: request.state })
    expect(Object.keys(denied.value as object)).toEqual(['code', 'message', 'providerError', 'interactionId'])
  })

  test('leaves no timer behind', async () => {
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
    const { visitor } = await startScene()
    const before = timers()
    expectRefused(await visitor.bring({ error: 'access_denied' }), {
      code: 'login_missing',
      reason: 'no_session',
    })
    expect(timers()).toBe(before)
  })
})

describe('an interaction id', () => {
  test("is the login's own where no document of IDPartner names it", async () => {
    const { visitor, platform } = await startScene({ flow: 'direct' })
    const begun = await visitor.begin()
    platform.fault('bankA.token', answer(400, { error: 'invalid_grant' }))
    expect((await visitor.finish(begun)).value).toMatchObject({
      code: 'provider_error',
      interactionId: begun.request.interactionId,
    })
  })

  test('is told when the bank refuses to begin a login', async () => {
    const { visitor, platform } = await startScene({ flow: 'direct' })
    platform.fault('bankA.par', answer(400, { error: 'invalid_request' }))
    expect((await visitor.login({ iss: platform.bankA.issuer })).value).toMatchObject({
      code: 'provider_error',
      interactionId: expect.stringMatching(
        /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/,
      ),
    })
  })

  test('is told for each login, whatever becomes of it', async () => {
    const { visitor, platform } = await startScene()
    const begun = await visitor.begin()
    platform.fault('bankA.token', answer(400, { error: 'invalid_grant' }))
    const { value } = await visitor.finish(begun)
    expect(value).toMatchObject({ code: 'provider_error', interactionId: begun.request.interactionId })
    expect((await visitor.finish(begun)).value).toMatchObject({
      code: 'login_missing',
      interactionId: begun.request.interactionId,
    })
  })

  test('is that of the login, also when many fail at the same thing at once', async () => {
    const scene = await startScene()
    const begun: Begun[] = []
    for (let tab = 0; tab < 3; tab++) begun.push(await scene.visitor.begin())
    scene.platform.fault('bankA.discovery', answer(503))
    const failed = await Promise.all(begun.map((login) => scene.visitor.finish(login)))
    expect(failed.map(({ value }) => (value as IDPartnerError).interactionId)).toEqual(
      begun.map(({ request }) => request.interactionId),
    )
  })
})

describe('a platform that says nothing', () => {
  test.each(['directory.jwks', 'bankA.discovery', 'bankA.jwks', 'bankA.token'])(
    'keeps nobody waiting: %s',
    async (endpoint) => {
      const { platform, visitor } = await startScene()
      const begun = await visitor.begin()
      const response = await visitor.answer(begun)
      platform.fault(endpoint, hang)
      const impatient = new IDPartnerStrategy({ ...(await platform.config()), timeout: 100 }, verify)
      const settled = await settle(impatient, visitor.get('/callback', new URLSearchParams({ response })))
      expectRefused(settled, { code: 'provider_unavailable', status: 504, message: /"timeout"/ })
    },
  )
})

describe('a request that nobody has asked for', () => {
  const speculative: [string, object][] = [
    ['a HEAD', { method: 'HEAD' }],
    ['an OPTIONS', { method: 'OPTIONS' }],
    ['a prefetch', { headers: { 'sec-purpose': 'prefetch' } }],
    ['a prerender', { headers: { 'sec-purpose': 'prefetch;prerender' } }],
    ['a prefetch by a proxy', { headers: { 'sec-purpose': 'prefetch;anonymous-client-ip' } }],
    ['an older prefetch', { headers: { purpose: 'prefetch' } }],
    ['a prefetch of older Firefox', { headers: { 'x-moz': 'prefetch' } }],
    ['a preview', { headers: { 'x-purpose': 'preview' } }],
    ['a preview in capitals', { headers: { purpose: 'Preview' } }],
  ]
  const refused = { code: 'response_invalid', via: 'error', status: 503 } as const

  test.each(speculative)('begins no login: %s', async (_name, more) => {
    const { visitor, strategy, platform } = await startScene()
    const req = { ...visitor.get('/login', new URLSearchParams()), ...more }
    const settled = await settle(strategy, req)
    expectRefused(settled, refused)
    expect(settled.value).toMatchObject({ headers: { 'Retry-After': '5', 'Cache-Control': 'no-store' } })
    expect(platform.requests).toEqual([])
    expect(visitor.session).toEqual({})
  })

  test.each(speculative)('ends no login: %s', async (_name, more) => {
    const scene = await startScene()
    const response = await scene.visitor.answer(await scene.visitor.begin())
    const req = scene.visitor.get('/callback', new URLSearchParams({ response }))
    expectRefused(await settle(scene.strategy, { ...req, ...more }), refused)
    expect(scene.platform.requests).not.toContain('bankA.token')
    expectLoggedIn(await settle(scene.strategy, req), scene)
  })

  test('is not what a mention of the word is taken for', async () => {
    const { visitor, strategy } = await startScene()
    const req = { ...visitor.get('/login', new URLSearchParams()), headers: { purpose: 'prefetching' } }
    expect((await settle(strategy, req)).via).toBe('redirect')
  })
})

describe('a callback without an answer', () => {
  const refused = { code: 'response_invalid', message: /came back without an answer/ } as const

  test.each([
    '/callback',
    '/callback?tenant=a%20b',
    '/callback/',
    '/CALLBACK',
    '/app/callback',
    '/callback?state=x',
    '/callback?visitor_id=1',
  ])('begins no login where logins begin elsewhere: %s', async (url) => {
    const scene = await startScene()
    const login = await scene.visitor.begin()
    const req = { method: 'GET', url, headers: {}, session: scene.visitor.session }
    expectRefused(await settle(scene.strategy, req), refused)
    expectLoggedIn(await scene.visitor.finish(login), scene)
    expectRefused(await settle(scene.strategy, { ...req, session: {} }), refused)
  })

  test('begins no login in a process that has seen none begin', async () => {
    const scene = await startScene()
    await scene.visitor.begin()
    const other = await startScene({ platform: scene.platform })
    other.visitor.session = scene.visitor.session
    expectRefused(await other.visitor.bring({}), refused)
  })

  test.each(['proxy', 'direct'] as const)(
    'begins one where that is the only route (%s flow)',
    async (flow) => {
      const scene = await startScene({ flow })
      const query = flow === 'direct' ? { iss: scene.platform.bankA.issuer } : {}
      if (flow === 'direct') expect((await scene.visitor.bring({})).via).toBe('redirect')
      for (let tab = 0; tab < 2; tab++) {
        const { value } = await scene.visitor.bring(query)
        const request = await scene.platform.request(value as string)
        expectLoggedIn(await scene.visitor.finish({ url: value as string, request, bank: 'bankA' }), scene)
      }
    },
  )

  test.each([undefined, 'none', 'same-origin', 'same-site', 'cross-site'])(
    'begins one although a stranger has begun another below that route: Sec-Fetch-Site %s',
    async (site) => {
      const scene = await startScene()
      const below = scene.newVisitor().get('/callback/elsewhere', new URLSearchParams())
      expect((await settle(scene.strategy, below)).via).toBe('redirect')
      const headers = site === undefined ? {} : { 'sec-fetch-site': site }
      const wish = { ...scene.visitor.get('/callback', new URLSearchParams()), headers }
      expect((await settle(scene.strategy, wish)).via).toBe('redirect')
    },
  )

  test.each(['none', 'same-origin'])(
    'begins one although others are finished that began elsewhere, where no other site can have sent it: %s',
    async (site) => {
      const scene = await startScene()
      expectLoggedIn(await scene.visitor.finish(await scene.visitor.begin()), scene)
      const from = (where: string): object => ({
        ...scene.newVisitor().get('/callback', new URLSearchParams()),
        headers: { 'sec-fetch-site': where },
      })
      expect((await settle(scene.strategy, from(site))).via).toBe('redirect')
      expectRefused(await settle(scene.strategy, from('cross-site')), refused)
    },
  )

  test('begins none even there when another site sent the browser while a login waits', async () => {
    const scene = await startScene()
    expect((await scene.visitor.bring({})).via).toBe('redirect')
    const req = scene.visitor.get('/callback', new URLSearchParams())
    const from = (site: string): object => ({ ...req, headers: { 'sec-fetch-site': site } })
    expect((await settle(scene.strategy, from('same-origin'))).via).toBe('redirect')
    expectRefused(await settle(scene.strategy, from('cross-site')), refused)
  })
})

describe('a login belongs to its strategy', () => {
  const pair = async (first: SceneOptions, second: SceneOptions): Promise<[Scene, Scene]> => {
    const one = await startScene(first)
    const other = await startScene({ ...second, platform: one.platform })
    other.visitor.session = one.visitor.session
    return [one, other]
  }

  test('and is not finished by one of another name in the same place of the session', async () => {
    const [one, other] = await pair(
      { strategy: { sessionKey: 'shared' } },
      { strategy: { name: 'step-up', sessionKey: 'shared' } },
    )
    const login = await one.visitor.begin()
    expectRefused(await other.visitor.finish(login), { code: 'login_missing', reason: 'no_login' })
    expect(one.platform.requests).not.toContain('bankA.token')
    expectLoggedIn(await one.visitor.finish(login), one)
  })

  test('of which the place in the session follows the name', async () => {
    const [one, other] = await pair({ strategy: { name: 'one' } }, { strategy: { name: 'passport' } })
    await one.visitor.begin()
    await other.visitor.begin()
    expect(Object.keys(one.visitor.session)).toEqual(['one', 'idpartner-passport'])
  })

  test.each([
    { acr_values: 'gold' },
    { max_age: 60 },
    { claims: { id_token: { acr: { essential: true, value: 'gold' } } } },
  ])('of which the own demands are the least, whoever began it: %j', async (demand) => {
    const [one, other] = await pair({}, { strategy: demand })
    const login = await one.visitor.begin('bankA', { acr_values: 'silver' })
    const silver: AnswerBends = { idToken: { claims: (c) => ({ ...c, acr: 'silver' }) } }
    expectRefused(await other.visitor.finish(login, silver), {
      code: 'token_invalid',
      via: 'fail',
      status: 401,
      message: /please log in again$/,
    })
  })

  test('of which one login may ask for something else', async () => {
    const scene = await startScene({ strategy: { acr_values: 'silver' } })
    const login = await scene.visitor.begin('bankA', { acr_values: 'gold' })
    const gold: AnswerBends = { idToken: { claims: (c) => ({ ...c, acr: 'gold' }) } }
    expectLoggedIn(await scene.visitor.finish(login, gold), scene)
  })

  test('and in the direct flow to a bank: a record without one is refused', async () => {
    const kept = new Map<string, PendingLogin>()
    const store: LoginStore<object> = {
      save: (_req, state, login) => {
        kept.set(state, { ...login, issuer: undefined })
        return Promise.resolve()
      },
      take: (_req, state) => Promise.resolve(kept.get(state) ?? 'no_login'),
    }
    const scene = await startScene({ flow: 'direct', strategy: { store } })
    expectRefused(await scene.visitor.finish(await scene.visitor.begin()), { code: 'config_invalid' })
    expect(scene.platform.requests).not.toContain('bankA.token')
  })
})

describe('no answer may be kept', () => {
  test.each(['/login', '/callback?response=garbage', '/callback?error=access_denied'])('%s', async (url) => {
    const { strategy, visitor } = await startScene()
    const setHeader = jest.fn()
    await settle(strategy, { method: 'GET', url, headers: {}, session: visitor.session, res: { setHeader } })
    expect(setHeader.mock.calls).toEqual([['Cache-Control', 'no-store']])
  })

  test.each<[string, unknown]>([
    ['no response', undefined],
    ['null', null],
    ['a response without headers', {}],
    [
      'an answer that has gone',
      {
        headersSent: true,
        setHeader: () => {
          throw new Error('sent')
        },
      },
    ],
  ])('and a host that has %s is none the worse for it', async (_name, res) => {
    const { strategy, visitor } = await startScene()
    const req = { ...visitor.get('/login', new URLSearchParams()), res }
    expect((await settle(strategy, req)).via).toBe('redirect')
  })
})

/** A whole application with Passport and sessions, and the browser of one person. */
class App {
  readonly #server = createServer()
  readonly #cookies = new Map<string, string>()
  readonly platform: Platform

  constructor(platform: Platform) {
    this.platform = platform
  }

  async start(
    strategy: IDPartnerStrategy,
    { callback = {}, store, csrf }: { callback?: object; store?: session.Store; csrf?: RequestHandler } = {},
  ): Promise<void> {
    const app = express()
    const passports = new passport.Passport()
    passports.use(strategy)
    passports.serializeUser((user, done) => {
      done(null, user)
    })
    passports.deserializeUser((user: Express.User, done) => {
      done(null, user)
    })
    app.use(session({ secret: 's', resave: false, saveUninitialized: false, ...(store && { store }) }))
    app.use(passports.session())
    if (csrf) app.use(csrf)
    const authenticate = (more: object): RequestHandler =>
      passports.authenticate('idpartner', more) as RequestHandler
    app.get('/login', authenticate({ state: '/orders' }))
    app.all('/callback', express.urlencoded({ extended: false }), authenticate(callback), (req, res) => {
      res.json({ user: req.user, authInfo: req.authInfo })
    })
    app.get('/me', (req, res) => {
      res.json({ user: req.user ?? null })
    })
    app.get('/failed', (req, res) => {
      res.json({ messages: (req.session as unknown as { messages?: string[] }).messages })
    })
    const onError: ErrorRequestHandler = (err: IDPartnerError, _req, res, next) => {
      if (res.headersSent) next(err)
      else res.status(err.status).json({ error: err.code, message: err.message })
    }
    app.use(onError)
    this.#server.on('request', app as RequestListener)
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  async visit(
    path: string,
    init: RequestInit = {},
  ): Promise<{ status: number; location: string; body: string; cache: string | null }> {
    const { port } = this.#server.address() as AddressInfo
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(`http://127.0.0.1:${String(port)}${path}`, {
      redirect: 'manual',
      ...init,
      headers: { cookie },
    })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      this.#cookies.set(name, value)
    }
    return {
      status: response.status,
      location: response.headers.get('location') ?? '',
      cache: response.headers.get('cache-control'),
      body: await response.text(),
    }
  }

  /** Begins a login, and returns what the browser would bring back. */
  async answered(bends: AnswerBends = {}): Promise<string> {
    const { location } = await this.visit('/login')
    return this.platform.answer(await this.platform.request(location), bends)
  }

  async bring(response: string): Promise<{ status: number; location: string; body: string }> {
    return this.visit(`/callback?${String(new URLSearchParams({ response }))}`)
  }

  /** The same browser at another process of the application. */
  shareCookies(other: App): void {
    for (const [name, value] of other.#cookies) this.#cookies.set(name, value)
  }

  async me(): Promise<unknown> {
    return (JSON.parse((await this.visit('/me')).body) as { user: unknown }).user
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

describe('with Passport, Express and express-session', () => {
  const apps: App[] = []

  afterEach(() => {
    for (const app of apps.splice(0)) app.close()
  })

  const startApp = async (options: Parameters<App['start']>[1] = {}): Promise<App> => {
    const { platform, strategy } = await startScene()
    const app = new App(platform)
    apps.push(app)
    await app.start(strategy, options)
    return app
  }

  test('a person logs in and stays logged in', async () => {
    const app = await startApp()
    const { status, body } = await app.bring(await app.answered())
    expect(status).toBe(200)
    const { sub } = app.platform.person
    expect(JSON.parse(body)).toEqual({
      user: { sub },
      authInfo: {
        identityProvider: { name: 'bankA', issuer_url: app.platform.bankA.issuer },
        interactionId: expect.any(String),
        state: '/orders',
      },
    })
    expect(await app.me()).toEqual({ sub })
  })

  test('a person logs in with a posted form', async () => {
    const app = await startApp()
    const body = new URLSearchParams({ response: await app.answered() })
    expect((await app.visit('/callback', { method: 'POST', body })).status).toBe(200)
  })

  test('successRedirect and failureRedirect are followed', async () => {
    const app = await startApp({
      callback: { successRedirect: '/home', failureRedirect: '/failed', failureMessage: true },
    })
    const denied: AnswerBends = {
      answer: { claims: (c) => ({ ...without('code')(c), error: 'access_denied' }) },
    }
    expect(await app.bring(await app.answered(denied))).toMatchObject({ status: 302, location: '/failed' })
    expect(JSON.parse((await app.visit('/failed')).body)).toEqual({
      messages: [`the login was cancelled or refused at the bank ${new URL(app.platform.bankA.issuer).host}`],
    })
    expect(await app.me()).toBeNull()
    expect(await app.bring(await app.answered())).toMatchObject({ status: 302, location: '/home' })
  })

  test('a failure is a plain 401 without a challenge in the header, or a 403', async () => {
    const app = await startApp()
    expect(await app.visit('/callback?response=garbage')).toMatchObject({ status: 401, body: 'Unauthorized' })
    expect(await app.me()).toBeNull()
  })

  test('an error goes to the error handler with its status', async () => {
    const app = await startApp()
    const response = await app.answered()
    app.platform.fault('bankA.token', answer(401, { error: 'invalid_client' }))
    const { status, body } = await app.bring(response)
    expect(status).toBe(502)
    expect(JSON.parse(body)).toMatchObject({
      error: 'provider_error',
      message: expect.stringMatching(/invalid_client/),
    })
  })

  test.each<{ name: string; queries: string[]; fail: () => unknown }>([
    {
      name: 'throws',
      queries: ['response=garbage', 'error=access_denied', 'code=x'],
      fail: () => {
        throw new RangeError('forgot that there may be nobody')
      },
    },
    {
      name: 'rejects with, of an error,',
      // Passport keeps the promise of a failure to itself.
      queries: ['prefetch'],
      fail: () => Promise.reject(new RangeError('forgot that there may be nobody')),
    },
  ])(
    'what the callback of the application $name goes to the error handler once',
    async ({ queries, fail }) => {
      const { platform, strategy } = await startScene()
      const unhandled = jest.fn()
      process.on('unhandledRejection', unhandled)
      const calls = jest.fn()
      const own = express()
      const passports = new passport.Passport()
      passports.use(strategy)
      own.use(session({ secret: 's', resave: false, saveUninitialized: false }))
      own.get('/callback', (req, res, next) => {
        const done = (...outcome: unknown[]): unknown => {
          calls(...outcome)
          return fail()
        }
        ;(passports.authenticate('idpartner', done as passport.AuthenticateCallback) as RequestHandler)(
          req,
          res,
          next,
        )
      })
      const handled: unknown[] = []
      own.use(((err, _req, res, next) => {
        handled.push(err)
        if (res.headersSent) next(err)
        else res.status(500).end()
      }) as ErrorRequestHandler)
      const server = own.listen(0, '127.0.0.1')
      await new Promise((resolve) => server.once('listening', resolve))
      const { port } = server.address() as AddressInfo
      for (const query of queries) {
        const headers = query === 'prefetch' ? { purpose: 'prefetch' } : {}
        const { status } = await fetch(`http://127.0.0.1:${String(port)}/callback?${query}`, { headers })
        expect(status).toBe(500)
      }
      await new Promise(setImmediate)
      server.closeAllConnections()
      server.close()
      process.off('unhandledRejection', unhandled)
      expect(calls).toHaveBeenCalledTimes(queries.length)
      expect(handled).toEqual(Array(queries.length).fill(expect.any(RangeError)))
      expect(unhandled).not.toHaveBeenCalled()
      expect(platform.requests).toEqual([])
    },
  )

  test('the login redirect and each failure are not kept, nor is an error', async () => {
    const app = await startApp()
    const response = await app.answered()
    app.platform.fault('bankA.token', answer(503))
    for (const path of ['/login', '/callback?response=garbage', `/callback?response=${response}`]) {
      expect((await app.visit(path)).cache).toBe('no-store')
    }
  })

  test('the Back button after a login finds it answered, also in another process', async () => {
    const store = new session.MemoryStore()
    const { platform, strategy } = await startScene()
    const second = await startScene({ platform })
    const [first, other] = [new App(platform), new App(platform)]
    apps.push(first, other)
    await first.start(strategy, { store })
    await other.start(second.strategy, { store, callback: { failureMessage: true } })
    const response = await first.answered()
    expect(await first.bring(response)).toMatchObject({ status: 200 })
    other.shareCookies(first)
    expect(await other.bring(response)).toMatchObject({ status: 401 })
    expect((await other.visit('/failed')).body).toContain('answered before')
    expect(await other.me()).toEqual({ sub: platform.person.sub })
    expect(platform.count('bankA.token')).toBe(1)
  })

  test('two logins begun at once in one session both finish', async () => {
    const app = await startApp({ callback: { keepSessionInfo: true } })
    await app.answered()
    for (let pair = 0; pair < 3; pair++) {
      const both = await Promise.all([app.answered(), app.answered()])
      for (const response of both) expect(await app.bring(response)).toMatchObject({ status: 200 })
    }
  })

  test('the same answer again logs nobody in, and sends no second code', async () => {
    const app = await startApp({ callback: { failureRedirect: '/failed', failureMessage: true } })
    const response = await app.answered()
    await app.bring(response)
    expect(await app.bring(response)).toMatchObject({ location: '/failed' })
    expect((await app.visit('/failed')).body).toContain('answered before')
    expect(app.platform.count('bankA.token')).toBe(1)
    expect(await app.me()).not.toBeNull()
  })

  describe('two tabs', () => {
    test.each([{ order: [0, 1] }, { order: [1, 0] }])(
      'both log in with keepSessionInfo, in the order $order',
      async ({ order }) => {
        const app = await startApp({ callback: { keepSessionInfo: true } })
        const answers = [await app.answered(), await app.answered()]
        for (const tab of order) expect(await app.bring(answers[tab] ?? '')).toMatchObject({ status: 200 })
        expect(app.platform.count('bankA.token')).toBe(2)
      },
    )

    test.each([{ order: [0, 1] }, { order: [1, 0] }])(
      'without it the second ends in login_missing, in the order $order',
      async ({ order }) => {
        const app = await startApp({ callback: { failureMessage: true } })
        const answers = [await app.answered(), await app.answered()]
        const [first = 0, second = 1] = order
        expect(await app.bring(answers[first] ?? '')).toMatchObject({ status: 200 })
        expect(await app.bring(answers[second] ?? '')).toMatchObject({ status: 401 })
        expect((await app.visit('/failed')).body).toContain('came back without the session')
        expect(await app.me()).toEqual({ sub: app.platform.person.sub })
        expect(app.platform.count('bankA.token')).toBe(1)
      },
    )
  })

  test('a session store that is slow is waited for', async () => {
    class SlowStore extends session.MemoryStore {
      pending = 0

      override set(...[sid, data, callback]: Parameters<session.MemoryStore['set']>): void {
        this.pending++
        setTimeout(() => {
          this.pending--
          super.set(sid, data, callback)
        }, 50)
      }
    }
    const store = new SlowStore()
    const app = await startApp({ store })
    const response = await app.answered()
    expect(store.pending).toBe(0)
    expect(await app.bring(response)).toMatchObject({ status: 200 })
  })

  test('a session store that fails ends in an error, and in no login', async () => {
    class BrokenStore extends session.MemoryStore {
      override set(...[, , callback]: Parameters<session.MemoryStore['set']>): void {
        callback?.(new Error('redis down'))
      }
    }
    const app = await startApp({ store: new BrokenStore() })
    const { status, body } = await app.visit('/login')
    expect(status).toBe(500)
    expect(JSON.parse(body)).toMatchObject({
      error: 'config_invalid',
      message: expect.stringMatching(/store failed/),
    })
  })
})
