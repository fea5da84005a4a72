import { describe, expect, test } from '@jest/globals'
import type { EndSessionParams, EndedLogin } from 'passport-idpartner'
import { set } from '../support/bends.js'
import { startScene, useScenes, type Scene } from '../support/scene.js'
import { CLIENT_ID } from '../support/client-checks.js'

useScenes()

/** Somebody has logged in at a bank with such metadata. */
async function loggedIn(metadata: object): Promise<Scene & { login: EndedLogin }> {
  const scene = await startScene()
  scene.platform.bankA.metadata = set({ ...metadata })
  await scene.visitor.finish(await scene.visitor.begin())
  const [login] = scene.logins
  if (!login) throw new Error('nobody was logged in')
  return Object.assign(scene, { login })
}

const thrownBy = (call: () => Promise<unknown>): Promise<unknown> => call().catch((err: unknown) => err)

const same = (login: EndedLogin): unknown => login

const endpoint = { end_session_endpoint: 'https://bank.example/bye?of=a%20b' }

describe('the URL that ends a session at the bank', () => {
  test('has what was asked for in it, and whose session it is', async () => {
    const { strategy, login } = await loggedIn(endpoint)
    const url = await strategy.client.endSessionUrl(login, {
      post_logout_redirect_uri: 'https://app.example/bye',
      state: 'a b&c',
      ui_locales: 'nl en',
    })
    expect(url).toMatch('https://bank.example/bye?of=a')
    expect(Object.fromEntries(new URL(url ?? '').searchParams)).toEqual({
      of: 'a b',
      client_id: CLIENT_ID,
      id_token_hint: login.tokens?.id_token,
      post_logout_redirect_uri: 'https://app.example/bye',
      state: 'a b&c',
      ui_locales: 'nl en',
    })
  })

  test('holds nothing of a person where the tokens are left out', async () => {
    const { strategy, login } = await loggedIn(endpoint)
    const url = await strategy.client.endSessionUrl({ issuer: login.issuer })
    expect(url).toBe(`https://bank.example/bye?of=a+b&client_id=${CLIENT_ID}`)
  })

  test('is not there where the bank has none', async () => {
    const { strategy, login } = await loggedIn({})
    expect(await strategy.client.endSessionUrl(login)).toBeUndefined()
  })
})

describe('is refused', () => {
  test.each(['javascript:alert(1)', 'http://bank.example/bye', 'https://me:you@bank.example/', '/bye', ''])(
    'where the bank names %j',
    async (end_session_endpoint) => {
      const { strategy, login } = await loggedIn({ end_session_endpoint })
      expect(await thrownBy(() => strategy.client.endSessionUrl(login))).toMatchObject({
        code: 'provider_unavailable',
      })
    },
  )

  test('for a bank that nobody vouched for, which is asked nothing', async () => {
    const { strategy, platform } = await loggedIn(endpoint)
    const { issuer } = platform.bankB
    expect(await thrownBy(() => strategy.client.endSessionUrl({ issuer }))).toMatchObject({
      code: 'provider_refused',
    })
    expect(platform.requests.filter((one) => one.startsWith('bankB'))).toEqual([])
  })

  test('with the ID token of another bank', async () => {
    const { strategy, platform, login } = await loggedIn(endpoint)
    const other = { ...login, issuer: platform.bankB.issuer }
    expect(await thrownBy(() => strategy.client.endSessionUrl(other))).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('another bank'),
    })
  })

  test.each<[string, (login: EndedLogin) => unknown, unknown, RegExp]>([
    ['no login', () => undefined, {}, /"issuer"/],
    ['a login without an issuer', ({ tokens }) => ({ tokens }), {}, /"issuer"/],
    ['an ID token that is none', (login) => ({ ...login, tokens: { id_token: 'x' } }), {}, /first argument/],
    [
      'an encrypted ID token',
      (login) => ({ ...login, tokens: { id_token: 'a.b.c.d.e' } }),
      {},
      /first argument/,
    ],
    [
      'a relative URI',
      same,
      { post_logout_redirect_uri: '/bye' },
      /"post_logout_redirect_uri" must be an absolute https: URL/,
    ],
    [
      'a script',
      same,
      { post_logout_redirect_uri: 'javascript:alert(1)' },
      /"post_logout_redirect_uri" must be an absolute https: URL/,
    ],
    ['a state without a URI', same, { state: 'x' }, /"state" needs/],
    [
      'a state that is no text',
      same,
      { post_logout_redirect_uri: 'https://app.example/', state: {} },
      /"state" must be a text/,
    ],
    [
      'a parameter of its own',
      same,
      { client_id: 'another' },
      /can only be asked for with post_logout_redirect_uri, state/,
    ],
    [
      'a parameter that nobody knows',
      same,
      { redirect_uri: 'https://app.example/' },
      /can only be asked for with post_logout_redirect_uri, state/,
    ],
    ['parameters that are none', same, null, /can only be asked for with/],
  ])('with %s', async (_what, bend, params, message) => {
    const { strategy, login } = await loggedIn(endpoint)
    expect(
      await thrownBy(() =>
        strategy.client.endSessionUrl(bend(login) as EndedLogin, params as EndSessionParams),
      ),
    ).toMatchObject({ code: 'config_invalid', message: expect.stringMatching(message) })
  })
})
