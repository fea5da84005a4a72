import { describe, expect, test } from '@jest/globals'
import { expectLoggedIn, expectRefused, type Refusal } from '../support/expectations.js'
import {
  answer,
  brokenOff,
  drip,
  empty,
  hang,
  hangInBody,
  html,
  huge,
  redirect,
  reset,
  truncated,
  type Fault,
} from '../support/faults.js'
import { tokenSetups } from '../support/profiles.js'
import { nextScene, startScene, useScenes } from '../support/scene.js'

useScenes()

const unavailable = (status: number): Refusal => ({ code: 'provider_unavailable', status })

/** Short, where a request waits for it, and else long enough for a busy machine. */
const SHORT = 1200

interface Row {
  fault: string
  make: (evil: string) => Fault
  refusal: Refusal
  /** Where the application shows who it is, if that makes a difference. */
  authenticated?: Refusal
  timeout?: number
}

/** A 401 is no broken bank there, whatever its body: it says that the bank does not know us, or the token. */
const AUTHENTICATED: readonly string[] = ['bankA.par', 'bankA.token', 'bankA.userinfo']

function refusalAt(endpoint: string, { refusal, authenticated = refusal }: Row): Refusal {
  return AUTHENTICATED.includes(endpoint) ? authenticated : refusal
}

/** What any endpoint can do to us. A redirect leads where nothing may ever go. */
const rows: Row[] = [
  { fault: 'resets the connection', make: () => reset, refusal: unavailable(502) },
  { fault: 'never answers', make: () => hang, refusal: unavailable(504), timeout: SHORT },
  { fault: 'stops in the body', make: () => hangInBody, refusal: unavailable(504), timeout: SHORT },
  { fault: 'drips for ever', make: () => drip, refusal: unavailable(504), timeout: SHORT },
  { fault: 'answers 10 MB', make: () => huge, refusal: unavailable(502) },
  { fault: 'answers half of its JSON', make: () => truncated, refusal: unavailable(502) },
  { fault: 'breaks off in the body', make: () => brokenOff, refusal: unavailable(502) },
  { fault: 'answers a page', make: () => html, refusal: unavailable(502) },
  { fault: 'answers nothing', make: () => empty, refusal: unavailable(502) },
  { fault: 'redirects (301)', make: (evil) => redirect(evil, 301), refusal: unavailable(502) },
  { fault: 'redirects (302)', make: (evil) => redirect(evil), refusal: unavailable(502) },
  { fault: 'redirects (307)', make: (evil) => redirect(evil, 307), refusal: unavailable(502) },
  {
    fault: 'answers 401',
    make: () => answer(401),
    refusal: unavailable(502),
    authenticated: { code: 'provider_error', status: 502 },
  },
  { fault: 'answers 403', make: () => answer(403), refusal: unavailable(502) },
  { fault: 'answers 404', make: () => answer(404), refusal: unavailable(502) },
  { fault: 'answers 429', make: () => answer(429), refusal: unavailable(503) },
  { fault: 'answers 500', make: () => answer(500, '<h1>', 'text/html'), refusal: unavailable(502) },
  { fault: 'answers 503', make: () => answer(503, '<h1>', 'text/html'), refusal: unavailable(503) },
]

/** Before the login is used up, the same login goes on as soon as the endpoint is well. */
const callbackEndpoints = [
  { endpoint: 'directory.jwks', flow: 'proxy', usedUp: false },
  { endpoint: 'bankA.discovery', flow: 'proxy', usedUp: false },
  { endpoint: 'bankA.jwks', flow: 'proxy', usedUp: false },
  { endpoint: 'bankA.jwks', flow: 'direct', usedUp: false },
  { endpoint: 'bankA.token', flow: 'proxy', usedUp: true },
  { endpoint: 'bankA.userinfo', flow: 'proxy', usedUp: true },
] as const

describe.each(callbackEndpoints)(
  'a callback ($flow flow) survives that $endpoint',
  ({ endpoint, flow, usedUp }) => {
    test.each(rows)('$fault', async (row) => {
      const { make, timeout = 5000 } = row
      const scene = await startScene({ flow, strategy: { timeout } })
      const { platform, victim } = scene
      const login = await victim.begin()
      platform.fault(endpoint, make(platform.evil.origin))
      expectRefused(await victim.finish(login), refusalAt(endpoint, row))
      expect(scene.logins).toEqual([])
      platform.wire.heal()
      expectLoggedIn(await victim.finish(usedUp ? await victim.begin() : login), scene)
    })
  },
)

describe.each([
  { endpoint: 'proxy.discovery', flow: 'proxy' },
  { endpoint: 'bankA.discovery', flow: 'direct' },
  { endpoint: 'bankA.par', flow: 'direct' },
] as const)('a login ($flow flow) survives that $endpoint', ({ endpoint, flow }) => {
  test.each(rows)('$fault', async (row) => {
    const { make, timeout = 5000 } = row
    const scene = await startScene({ flow, strategy: { timeout } })
    const { platform, victim } = scene
    platform.fault(endpoint, make(platform.evil.origin))
    const began = await victim.login(flow === 'direct' ? { iss: platform.bankA.issuer } : {})
    expectRefused(began, refusalAt(endpoint, row))
    expect(victim.session).toEqual({})
    platform.wire.heal()
    expectLoggedIn(await victim.finish(await victim.begin()), scene)
  })
})

describe.each(
  tokenSetups.flatMap(({ setup, options }) =>
    (['par', 'token', 'userinfo'] as const).map((name) => ({ setup, options, name })),
  ),
)('with $setup a login survives that $name', ({ options, name }) => {
  // Who waits, waits as long with any of them.
  test.each(rows.filter(({ timeout }) => timeout === undefined))('$fault', async (row) => {
    const scene = await nextScene(options)
    const { platform, victim } = scene
    platform.fault(platform.endpoint(name), row.make(platform.evil.origin))
    const settled =
      name === 'par'
        ? await victim.login({ iss: platform.bankA.issuer })
        : await victim.finish(await victim.begin())
    expectRefused(settled, refusalAt(`bankA.${name}`, row))
    expect([scene.logins, victim.session]).toEqual([[], name === 'par' ? {} : expect.anything()])
    platform.wire.heal()
    expectLoggedIn(await victim.finish(await victim.begin()), scene)
  })
})
