import { inspect } from 'node:util'
import { afterEach, describe, expect, test } from '@jest/globals'
import { set, without, type Change, type JwtBend } from '../support/bends.js'
import { CALLBACK } from '../support/client-checks.js'
import { tlsCertificates } from '../support/certificates.js'
import { expectLoggedIn, expectOnly, expectRefused } from '../support/expectations.js'
import { answer } from '../support/faults.js'
import { payloadOf } from '../support/jws.js'
import { clientJwks } from '../support/key-pairs.js'
import { startScene, useScenes } from '../support/scene.js'
import { FREE_TEXT, keepSecret } from '../support/secrets.js'
import { settle } from '../support/settle.js'

useScenes()

/** Members of every object, which a careless look-up finds where nothing was put. */
const INHERITED = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf']

afterEach(() => {
  const polluted = Object.keys(Object.prototype)
  for (const name of polluted) Reflect.deleteProperty(Object.prototype, name)
  if (polluted.length > 0) throw new Error(`Object.prototype was polluted: ${polluted.join(', ')}`)
})

describe('a name that every object has is nothing special', () => {
  test.each(INHERITED)('as the state of an authentic answer: %s', async (state) => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    expectRefused(await scene.victim.finish(login, { answer: { claims: set({ state }) } }), {
      code: 'login_missing',
      reason: 'no_login',
    })
    expect(scene.platform.requests).not.toContain('bankA.token')
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test.each(INHERITED)('as the state of an unsigned error: %s', async (state) => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    expectRefused(await scene.victim.bring({ error: 'access_denied', state }), {
      code: 'login_missing',
      reason: 'no_login',
    })
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test.each(INHERITED)('as a parameter of either pass: %s', async (name) => {
    const scene = await startScene()
    const { victim, strategy } = scene
    const query = (more: [string, string][]): URLSearchParams =>
      new URLSearchParams([[name, 'x'], [`${name}[polluted]`, 'x'], [`a[${name}][polluted]`, 'x'], ...more])
    expect((await settle(strategy, victim.get('/login', query([])))).via).toBe('redirect')
    const response = await victim.answer(await victim.begin())
    expectLoggedIn(await settle(strategy, victim.get('/callback', query([['response', response]]))), scene)
  })

  test('as a member of a parsed body', async () => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    const response = await scene.victim.answer(login)
    const body: unknown = JSON.parse(
      `{"__proto__": {"polluted": "x", "response": "${response}"}, "constructor": {"x": "y"}}`,
    )
    const req = { ...scene.victim.get('/callback', new URLSearchParams()), method: 'POST', body }
    // What is inherited is not looked at, so this is a callback without an answer.
    expect(await settle(scene.strategy, req)).toMatchObject({
      via: 'fail',
      value: { code: 'response_invalid' },
      status: 401,
    })
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test.each(INHERITED)('as an error of the bank: %s', async (error) => {
    const scene = await startScene()
    const denial: JwtBend = { claims: (c) => ({ ...without('code')(c), error }) }
    expectRefused(await scene.victim.finish(await scene.victim.begin(), { answer: denial }), {
      code: 'provider_error',
      via: 'fail',
      status: 401,
      providerError: error,
    })
  })

  test.each(INHERITED)('as an error of its token endpoint: %s', async (error) => {
    const scene = await startScene()
    scene.platform.fault('bankA.token', answer(400, { error }))
    expectRefused(await scene.victim.finish(await scene.victim.begin()), {
      code: 'provider_error',
      providerError: error,
      message: new RegExp(`refused: ${error} \\(`),
    })
  })

  const own: Change = (members) =>
    JSON.parse(`{"__proto__": {"polluted": 1}, ${JSON.stringify(members).slice(1)}`) as typeof members

  test('as a member of document, ID token, token response and userinfo', async () => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    const polluted = (claims: Parameters<Change>[0]): string =>
      `{"__proto__": {"polluted": 1}, ${JSON.stringify(claims).slice(1)}`
    const settled = await scene.victim.finish(login, {
      document: { claims: polluted },
      answer: { claims: polluted },
      idToken: { claims: polluted },
      tokens: own,
      userInfo: own,
    })
    expectLoggedIn(settled, scene)
    expect((settled.info as { polluted?: unknown }).polluted).toBeUndefined()
    expect((scene.logins[0] as { polluted?: unknown } | undefined)?.polluted).toBeUndefined()
  })

  test("as the application's own state, which comes back as it was", async () => {
    const scene = await startScene()
    const state: unknown = JSON.parse('{"__proto__": {"polluted": 1}, "returnTo": "https://evil.example"}')
    const settled = await scene.victim.finish(await scene.victim.begin('bankA', { state }))
    expectLoggedIn(settled, scene)
    expect(settled.info).toMatchObject({ state: { returnTo: 'https://evil.example' } })
  })
})

const CRLF = 'x\r\nSet-Cookie: sid=evil\r\n\r\n<script>'

describe('the URL that the browser is sent to', () => {
  test('holds no line break, whatever came as visitor_id', async () => {
    const { victim, platform } = await startScene()
    const { via, value } = await victim.login({ visitor_id: CRLF })
    expect({ via, value }).toEqual({ via: 'redirect', value: expect.not.stringMatching(/[\r\n<>]/) })
    const url = new URL(value as string)
    expect(url.href.startsWith(`${platform.proxy.issuer}/auth?`)).toBe(true)
    expect(url.searchParams.get('visitor_id')).toBe(CRLF)
  })

  test('holds each parameter once, whatever came as visitor_id', async () => {
    const { victim } = await startScene()
    const { value } = await victim.login({ visitor_id: 'x&request=forged&client_id=evil#fragment' })
    const { searchParams, hash } = new URL(value as string)
    expect([...searchParams.keys()].sort()).toEqual(['client_id', 'request', 'visitor_id'])
    expect(hash).toBe('')
  })

  test('leaves a repeated visitor_id out', async () => {
    const { victim, strategy } = await startScene()
    const query = new URLSearchParams('visitor_id=1&visitor_id=2')
    const { value } = await settle(strategy, victim.get('/login', query))
    expect(new URL(value as string).searchParams.has('visitor_id')).toBe(false)
  })

  test('to the account selector is encoded', async () => {
    const { victim, platform } = await startScene({
      flow: 'direct',
      strategy: { account_selector_service_url: 'https://selector.example/v1' },
    })
    const { via, value } = await victim.login({ visitor_id: `${CRLF}&client_id=evil`, iss_: 'x' })
    expect(via).toBe('redirect')
    expect(value).not.toMatch(/[\r\n<>]|undefined/)
    const url = new URL(value as string)
    expect(url.origin + url.pathname).toBe('https://selector.example/v1/select-accounts')
    expect(url.searchParams.getAll('client_id')).toEqual(['test-app'])
    expect(platform.requests).toEqual([])
  })

  test('of the bank holds client_id and request_uri alone, and the rest is pushed as it is', async () => {
    const { victim, platform } = await startScene({ flow: 'direct' })
    const query = {
      iss: platform.bankA.issuer,
      idp_id: CRLF,
      idpartner_token: 'x&client_id=evil&scope=admin',
    }
    const { value } = await victim.login(query)
    expect([...new URL(value as string).searchParams.keys()].sort()).toEqual(['client_id', 'request_uri'])
    const pushed = platform.wire.requests.find(({ endpoint }) => endpoint === 'bankA.par')
    const params = new URLSearchParams(pushed?.body)
    expect(params.getAll('client_id')).toEqual(['test-app'])
    expect(payloadOf(params.get('request') ?? '')).toMatchObject({
      client_id: 'test-app',
      scope: 'openid email profile',
      identity_provider_id: CRLF,
      idpartner_token: query.idpartner_token,
    })
  })

  test.each([
    'redirect_uri',
    'returnTo',
    'return_to',
    'next',
    'url',
    'state',
    'request_uri',
    'client_id',
    'nonce',
    'scope',
  ])('is not the one that the browser asks for in %s', async (name) => {
    const scene = await startScene()
    const { value } = await scene.victim.login({ [name]: 'https://evil.example' })
    expect(value).toMatch(`${scene.platform.proxy.issuer}/auth?`)
    expect(value).not.toMatch('evil')
    const request = payloadOf(new URL(value as string).searchParams.get('request') ?? '')
    expect(request['redirect_uri']).toBe(CALLBACK)
    expect(JSON.stringify(request)).not.toMatch('evil')
    const response = await scene.victim.answer(await scene.victim.begin())
    // And after a login it is the application that redirects, not we.
    expectLoggedIn(await scene.victim.bring({ response, [name]: 'https://evil.example' }), scene)
  })
})

describe('what came from outside is in no message and no log', () => {
  test.each<{ name: string; bend: JwtBend }>([
    { name: 'a name of an algorithm', bend: { header: set({ alg: `PS256 ${FREE_TEXT}\nforged line` }) } },
    { name: 'a name of a key', bend: { header: set({ kid: `${FREE_TEXT}\nforged line` }) } },
    { name: 'an issuer', bend: { claims: set({ iss: `https://${FREE_TEXT}` }) } },
    { name: 'an audience', bend: { claims: set({ aud: FREE_TEXT }) } },
    { name: 'a state', bend: { claims: set({ state: FREE_TEXT, code: '' }) } },
    { name: 'a payload', bend: { claims: () => FREE_TEXT } },
    { name: 'a name of a key to decrypt with', bend: { seal: set({ kid: FREE_TEXT, enc: 'x' }) } },
    { name: 'a name of an encryption', bend: { seal: set({ enc: FREE_TEXT }) } },
  ])('$name in an answer', async ({ bend }) => {
    const { victim } = await startScene({ flow: 'direct' })
    const settled = await victim.finish(await victim.begin(), { answer: bend })
    expectRefused(settled, { code: 'response_invalid' })
    expect((settled.value as Error).message).not.toMatch(/\n/)
  })

  test('a description of an error, signed by the bank', async () => {
    const { victim } = await startScene()
    const denial: JwtBend = {
      claims: (c) => ({
        ...without('code')(c),
        error: 'access_denied',
        error_description: FREE_TEXT,
        error_uri: FREE_TEXT,
      }),
    }
    const settled = await victim.finish(await victim.begin(), { answer: denial })
    expectRefused(settled, { code: 'access_denied', providerError: 'access_denied' })
  })

  test.each([
    'proxy.discovery',
    'directory.jwks',
    'bankA.discovery',
    'bankA.jwks',
    'bankA.token',
    'bankA.userinfo',
  ])('what %s writes instead of an answer', async (endpoint) => {
    const { victim, platform } = await startScene()
    for (const body of [`{"error": "${FREE_TEXT}"}`, FREE_TEXT, `["${FREE_TEXT}"]`, `{"${FREE_TEXT}`]) {
      for (const status of [200, 400, 500]) {
        platform.fault(endpoint, answer(status, body))
        const begun = await victim.login({})
        // settle() looks for the text in whatever failed.
        if (begun.via === 'redirect') {
          const request = await platform.request(begun.value as string)
          const settled = await victim.finish({ url: '', request, bank: 'bankA' })
          expect(['fail', 'error']).toContain(settled.via)
        }
      }
    }
  })

  test('a challenge in a header', async () => {
    const { victim, platform } = await startScene()
    platform.fault('bankA.token', (res) => {
      res.writeHead(401, { 'www-authenticate': `Basic realm="${FREE_TEXT}", error="${FREE_TEXT}"` }).end()
    })
    expectRefused(await victim.finish(await victim.begin()), { code: 'provider_error' })
  })
})

describe('a strategy that is printed', () => {
  test('shows no key, secret or certificate', async () => {
    const { client: certificate } = await tlsCertificates()
    const jwks = await clientJwks()
    const client_secret = keepSecret('a-secret-of-the-application')
    const scene = await startScene({
      flow: 'direct',
      strategy: {
        token_endpoint_auth_method: 'client_secret_basic',
        client_secret,
        tls_client_cert: certificate.cert,
        tls_client_key: certificate.key,
      },
    })
    await scene.victim.login({ iss: scene.platform.bankA.issuer })
    const printed = [
      inspect(scene.strategy, { depth: Infinity, showHidden: true, maxStringLength: Infinity }),
      JSON.stringify(scene.strategy),
      inspect(scene.strategy.client, { depth: Infinity, showHidden: true }),
      JSON.stringify(scene.strategy.client),
    ].join('\n')
    const secrets = [
      client_secret,
      ...[certificate.cert, certificate.key].map((pem) => pem.split('\n')[1] ?? ''),
      ...jwks.keys.flatMap(({ d, p, q }) => [d, p, q]).map(String),
    ]
    for (const secret of secrets) expect(printed).not.toContain(secret)
    expectOnly(scene.platform, ['bankA.discovery'])
  })
})

describe('where the session keeps what', () => {
  test('nothing of a login is left after it, but that it was', async () => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    // The one secret that the others follow from.
    const [codeVerifier = ''] = /[\w-]{43}/.exec(JSON.stringify(scene.victim.session)) ?? []
    expect(codeVerifier).not.toBe('')
    expectLoggedIn(await scene.victim.finish(login), scene)
    const left = JSON.stringify(scene.victim.session)
    const { state, nonce } = login.request
    for (const secret of [codeVerifier, state, nonce, scene.platform.person.sub]) {
      expect(left).not.toContain(secret)
    }
  })
})
