import { describe, expect, test } from '@jest/globals'
import { MINUTE, travel } from '../support/clock.js'
import { expectLoggedIn, expectOnly, expectRefused, type Refusal } from '../support/expectations.js'
import type { AnswerBends } from '../support/platform.js'
import { signedAnswers } from '../support/profiles.js'
import { nextScene, startScene, type Begun, type Scene, useScenes } from '../support/scene.js'
import { FREE_TEXT } from '../support/secrets.js'
import { settle, type Settled } from '../support/settle.js'

useScenes()

const flows = [{ flow: 'proxy' }, { flow: 'direct' }] as const

/** What a login asks for before it is answered. */
const BEGUN = ['proxy.discovery', 'bankA.discovery', 'bankA.par', 'bankA+mtls.par']

type Query = (login: Begun) => [string, string][]

const unsigned: { name: string; query: Query; refusal: Refusal }[] = [
  {
    name: 'a cancel',
    query: ({ request }) => [
      ['error', 'access_denied'],
      ['error_description', FREE_TEXT],
      ['state', request.state],
    ],
    refusal: { code: 'access_denied', providerError: 'access_denied' },
  },
  {
    name: 'a cancel without state',
    query: () => [['error', 'access_denied']],
    refusal: { code: 'access_denied' },
  },
  {
    name: 'another error',
    query: ({ request }) => [
      ['error', 'login_required'],
      ['error_description', `${FREE_TEXT}\nforged log line`],
      ['error_uri', 'https://evil.example'],
      ['state', request.state],
    ],
    refusal: { code: 'provider_error', via: 'fail', status: 401, providerError: 'login_required' },
  },
  {
    name: 'an error that would be ours, were it signed',
    query: ({ request }) => [
      ['error', 'server_error'],
      ['state', request.state],
    ],
    refusal: { code: 'provider_error', via: 'fail', status: 401, providerError: 'server_error' },
  },
  {
    name: 'an error whose name is a text',
    query: () => [['error', '<script>alert(1)</script>']],
    refusal: { code: 'provider_error', via: 'fail', status: 401, providerError: undefined },
  },
  {
    name: 'an error with line breaks in its name',
    query: () => [['error', 'x\r\nSet-Cookie: a=b']],
    refusal: { code: 'provider_error', via: 'fail', status: 401, providerError: undefined },
  },
  {
    name: 'an error of the length of a novel',
    query: () => [['error', 'x'.repeat(60_000)]],
    refusal: { code: 'provider_error', via: 'fail', status: 401, providerError: undefined },
  },
  {
    name: 'an empty error',
    query: () => [['error', '']],
    refusal: { code: 'provider_error', via: 'fail', status: 401, providerError: undefined },
  },
  {
    name: 'an error for a login that is not here',
    query: () => [
      ['error', 'access_denied'],
      ['state', 'another'],
    ],
    refusal: { code: 'login_missing', reason: 'no_login' },
  },
  {
    name: 'an error twice',
    query: () => [
      ['error', 'access_denied'],
      ['error', 'access_denied'],
    ],
    refusal: { code: 'response_invalid', message: /more than once/ },
  },
  {
    name: 'an error with two states',
    query: ({ request }) => [
      ['error', 'access_denied'],
      ['state', request.state],
      ['state', 'another'],
    ],
    refusal: { code: 'response_invalid', message: /more than once/ },
  },
  {
    name: 'an error longer than 64 KiB',
    query: () => [['error', 'x'.repeat(64 * 1024 + 1)]],
    refusal: { code: 'response_invalid', message: /64 KiB/ },
  },
  {
    name: 'a bare code',
    query: ({ request }) => [
      ['code', 'code'],
      ['state', request.state],
    ],
    refusal: { code: 'response_invalid', message: /bare code/ },
  },
  {
    name: 'a bare code with the issuer of a bank',
    query: ({ request }) => [
      ['code', 'code'],
      ['state', request.state],
      ['iss', 'https://bank.example'],
    ],
    refusal: { code: 'response_invalid', message: /bare code/ },
  },
  { name: 'an empty code', query: () => [['code', '']], refusal: { code: 'response_invalid' } },
  { name: 'an empty answer', query: () => [['response', '']], refusal: { code: 'response_invalid' } },
  {
    name: 'some text for an answer',
    query: () => [['response', 'hello']],
    refusal: { code: 'response_invalid' },
  },
  {
    name: 'an answer longer than 64 KiB',
    query: () => [['response', `${'x'.repeat(40_000)}.${'x'.repeat(40_000)}.x`]],
    refusal: { code: 'response_invalid', message: /64 KiB/ },
  },
  {
    name: 'an answer and an empty answer',
    query: () => [
      ['response', 'a.b.c'],
      ['response', ''],
    ],
    refusal: { code: 'response_invalid', message: /more than once/ },
  },
  {
    name: 'dots',
    query: () => [['response', '.'.repeat(60_000)]],
    refusal: { code: 'response_invalid' },
  },
  {
    name: 'characters that are none',
    query: () => [['response', '\u0000\ufffd.\u202e.😀']],
    refusal: { code: 'response_invalid' },
  },
]

/** It is refused, asks nothing of anybody, and the login goes on. */
async function expectLeftAlone(scene: Scene, query: Query, refusal: Refusal): Promise<void> {
  const login = await scene.victim.begin()
  const before = structuredClone(scene.victim.session)
  expectRefused(await scene.victim.bring(query(login)), refusal)
  expect(scene.victim.session).toEqual(before)
  expectOnly(scene.platform, BEGUN)
  expectLoggedIn(await scene.victim.finish(login), scene)
}

describe.each(signedAnswers)('with $setup, while a login is pending,', ({ options }) => {
  test.each(unsigned)('$name does not end it', async ({ query, refusal }) => {
    await expectLeftAlone(await nextScene(options), query, refusal)
  })
})

describe.each(flows)('while a login is pending ($flow flow)', ({ flow }) => {
  test.each(unsigned)('$name does not end it', async ({ query, refusal }) => {
    await expectLeftAlone(await startScene({ flow }), query, refusal)
  })

  test('the genuine answer twice in one query is refused, and once is accepted', async () => {
    const scene = await startScene({ flow })
    const response = await scene.victim.answer(await scene.victim.begin())
    const twice = await scene.victim.bring([
      ['response', response],
      ['response', response],
    ])
    expectRefused(twice, { code: 'response_invalid', message: /more than once/ })
    expectLoggedIn(await scene.victim.bring({ response }), scene)
  })
})

describe.each(flows)('while no login is pending ($flow flow)', ({ flow }) => {
  test.each(unsigned.filter(({ refusal }) => refusal.code !== 'response_invalid'))(
    '$name is no answer to anything',
    async ({ query }) => {
      const { victim, platform } = await startScene({ flow })
      const nobody = { request: { state: 'none' } } as Begun
      expectRefused(await victim.bring(query(nobody)), { code: 'login_missing', reason: 'no_session' })
      expect(platform.requests).toEqual([])
      expect(victim.session).toEqual({})
    },
  )

  test('because it took too long, an error finds one that has expired', async () => {
    const scene = await startScene({ flow })
    const login = await scene.victim.begin()
    travel(11 * MINUTE)
    for (const query of [
      { error: 'access_denied' },
      { error: 'access_denied', state: login.request.state },
    ]) {
      expectRefused(await scene.victim.bring(query), { code: 'login_missing', reason: 'expired' })
    }
  })

  test('but one was answered, an error finds none', async () => {
    const scene = await startScene({ flow })
    const login = await scene.victim.begin()
    expectLoggedIn(await scene.victim.finish(login), scene)
    const settled = await scene.victim.bring({ error: 'access_denied', state: login.request.state })
    expectRefused(settled, { code: 'login_missing', reason: 'no_login' })
  })
})

/** Posts to the callback route. */
function post(scene: Scene, rest: object, query = ''): Promise<Settled> {
  return settle(scene.strategy, {
    method: 'POST',
    url: `/callback${query}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '1000' },
    session: scene.victim.session,
    ...rest,
  })
}

describe('an answer that is posted', () => {
  async function pending(bends?: AnswerBends): Promise<{ scene: Scene; login: Begun; response: string }> {
    const scene = await startScene()
    const login = await scene.victim.begin()
    return { scene, login, response: await scene.victim.answer(login, bends) }
  }

  test('logs in when its form was parsed', async () => {
    const { scene, response } = await pending()
    expectLoggedIn(await post(scene, { body: { response } }), scene)
  })

  test('logs in when its form was parsed into URLSearchParams, or without a prototype', async () => {
    const first = await pending()
    const body = new URLSearchParams({ response: first.response })
    expectLoggedIn(await post(first.scene, { body }), first.scene)
    const second = await pending()
    const bare: unknown = Object.assign(Object.create(null) as object, { response: second.response })
    expectLoggedIn(await post(second.scene, { body: bare }), second.scene)
  })

  test('names the missing middleware when nobody parsed it, and begins no login', async () => {
    const { scene, login } = await pending()
    const before = scene.platform.requests.length
    for (const type of [
      'application/x-www-form-urlencoded',
      'Application/X-WWW-Form-URLencoded; charset=utf-8',
    ]) {
      const headers = { 'content-type': type, 'content-length': '1000' }
      for (const body of [undefined, {}]) {
        expectRefused(await post(scene, { headers, body }), {
          code: 'config_invalid',
          message: /express\.urlencoded\(\)/,
        })
      }
    }
    expect(scene.platform.requests).toHaveLength(before)
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test.each<{ name: string; body: (response: string) => object; query?: (response: string) => string }>([
    { name: 'it is there twice', body: (response) => ({ response: [response, response] }) },
    { name: 'it is an object', body: (response) => ({ response: { $ne: response } }) },
    {
      name: 'it is in the query as well',
      body: (response) => ({ response }),
      query: (response) => `?response=${response}`,
    },
    { name: 'it is a number', body: () => ({ response: 1 }) },
    { name: 'it is empty', body: () => ({ response: '' }) },
    { name: 'it is a list of nothing', body: () => ({ response: [null, null] }) },
    { name: 'its error is an object', body: () => ({ error: { $ne: 1 } }) },
    { name: 'its error is an empty list', body: () => ({ error: [] }) },
    { name: 'a bare code is posted', body: () => ({ code: 'code', state: 'state' }) },
  ])('is refused when $name', async ({ body, query }) => {
    const { scene, login, response } = await pending()
    const settled = await post(scene, { body: body(response) }, query?.(response))
    expectRefused(settled, { code: 'response_invalid' })
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test('with an error inside fails and leaves the login pending', async () => {
    const { scene, login } = await pending()
    const body = { error: 'login_required', error_description: FREE_TEXT, state: login.request.state }
    expectRefused(await post(scene, { body }), {
      code: 'provider_error',
      via: 'fail',
      status: 401,
      providerError: 'login_required',
    })
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test('without its cookie finds no session', async () => {
    const { scene, response } = await pending()
    const settled = await post(scene, { body: { response }, session: {} })
    expectRefused(settled, { code: 'login_missing', reason: 'no_session', message: /without the session/ })
  })
})

describe('what is no callback', () => {
  test.each([
    '/login',
    '/login?',
    '/login?visitor_id=1',
    '/login?responses=x',
    '/login?Response=x',
    '/login?iss=x',
  ])('%s begins a login, through the proxy', async (url) => {
    const { strategy, victim } = await startScene()
    const settled = await settle(strategy, { method: 'GET', url, headers: {}, session: victim.session })
    expect(settled.via).toBe('redirect')
  })

  test('a body that came with a GET is not looked at', async () => {
    const { strategy, victim } = await startScene()
    const req = {
      method: 'GET',
      url: '/login',
      headers: {},
      session: victim.session,
      body: { response: 'x' },
    }
    expect((await settle(strategy, req)).via).toBe('redirect')
  })
})
