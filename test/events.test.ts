import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import type { LoginEndedEvent } from 'passport-idpartner'
import { faultsOf } from '../lib/sandbox/faults.js'
import { ERROR_CODES } from '../lib/errors.js'
import { trace } from '../lib/events.js'
import { startApp, type TestApp } from './support/app.js'
import { Browser } from './support/browser.js'
import { MINUTE, travel } from './support/clock.js'
import { json, reset, send } from './support/faults.js'
import { startScene, useScenes } from './support/scene.js'
import { assertRedacted, keepSecret } from './support/secrets.js'
import { settle } from './support/settle.js'

useScenes()

const SPANS = ['pass', 'request', 'document', 'answer', 'exchange', 'userinfo', 'refresh', 'fetch']
// Those of keys and certificates are of no login, and may come from a client of another file in this process, which looks at
// its own files as long as it lives: client/credentials.
const MOMENTS = ['begun', 'ended', 'stale', 'refused']
const MEMBERS = [
  'interactionId',
  'issuer',
  'duration',
  'outcome',
  'code',
  'reason',
  'pass',
  'document',
  'renewal',
  'age',
]

type Seen = Record<string, unknown>

/** Everything that is emitted, each as it was at that moment. */
class Watch {
  readonly seen: { channel: string; payload: Seen }[] = []
  readonly #ends: (() => void)[] = []

  constructor() {
    for (const name of MOMENTS) this.#listen(`passport-idpartner:${name}`)
    for (const name of SPANS) {
      for (const when of ['start', 'end', 'asyncStart', 'asyncEnd', 'error']) {
        this.#listen(`tracing:passport-idpartner:${name}:${when}`)
      }
    }
  }

  #listen(channel: string): void {
    const listener = (payload: unknown): void => {
      this.seen.push({ channel, payload: { ...(payload as Seen) } })
    }
    subscribe(channel, listener)
    this.#ends.push(() => unsubscribe(channel, listener))
  }

  close(): void {
    for (const end of this.#ends) end()
  }

  moments(name: string): Seen[] {
    return this.seen
      .filter(({ channel }) => channel === `passport-idpartner:${name}`)
      .map((one) => one.payload)
  }

  spans(name: string, when = 'asyncEnd'): Seen[] {
    return this.seen
      .filter(({ channel }) => channel === `tracing:passport-idpartner:${name}:${when}`)
      .map((one) => one.payload)
  }
}

let watch: Watch | undefined

function watching(): Watch {
  watch = new Watch()
  return watch
}

afterEach(() => {
  watch?.close()
  watch = undefined
})

/** Nothing but the members that are documented, and no value that anybody else wrote. */
function expectNothingTold({ seen }: Watch, written: string[] = []): void {
  expect(seen.length).toBeGreaterThan(0)
  for (const { payload } of seen) {
    expect(MEMBERS).toEqual(expect.arrayContaining(Object.keys(payload)))
    for (const value of Object.values(payload))
      expect(['string', 'number', 'boolean']).toContain(typeof value)
    if ('code' in payload) expect(ERROR_CODES).toContain(payload['code'])
  }
  assertRedacted(seen)
  const told = JSON.stringify(seen)
  for (const value of written) if (value.length >= 8) expect(told).not.toContain(value)
}

describe.each(['proxy', 'direct'] as const)('a login of the %s flow', (flow) => {
  test('is told step by step, without anything of a person', async () => {
    const seen = watching()
    const { visitor, platform } = await startScene({ flow })
    const begun = await visitor.begin()
    const { interactionId } = begun.request
    expect(seen.moments('begun')).toMatchObject([{ pass: 'begin', outcome: 'success', interactionId }])
    expect(seen.moments('ended')).toEqual([])
    const params = await visitor.answerParams(begun)
    expect((await visitor.bring(params)).via).toBe('success')
    const { issuer } = platform.bankA
    const whole = { issuer, interactionId, outcome: 'success' }
    expect(seen.moments('ended')).toMatchObject([
      { ...whole, pass: 'callback', duration: expect.any(Number) },
    ])
    for (const name of ['exchange', 'userinfo']) expect(seen.spans(name)).toMatchObject([whole])
    expect(seen.spans('answer')).toMatchObject([{ issuer, outcome: 'success' }])
    expect(seen.spans('document')).toHaveLength(flow === 'proxy' ? 1 : 0)
    expect(seen.spans('request')).toMatchObject([{ interactionId, outcome: 'success' }])
    expect(seen.spans('pass')).toHaveLength(2)
    expect(seen.spans('fetch')).toContainEqual(
      expect.objectContaining({ issuer, document: 'metadata', renewal: false, outcome: 'success' }),
    )
    expectNothingTold(
      seen,
      Object.values(params).flatMap((value) => [value, ...value.split('.')]),
    )
  })

  test('that fails is told with its code, at its bank, and ends once', async () => {
    const { visitor, platform } = await startScene({ flow })
    const begun = await visitor.begin()
    const error_description = 'words of the bank alone'
    platform.fault('bankA.token', (res) => {
      send(res, json({ error: 'invalid_grant', error_description }, 400))
    })
    const seen = watching()
    await visitor.finish(begun)
    const { issuer } = platform.bankA
    const failed = { issuer, outcome: 'error', code: 'provider_error' }
    expect(seen.spans('exchange', 'error')).toMatchObject([failed])
    expect(seen.moments('ended')).toMatchObject([failed])
    await visitor.bring({ response: 'no.answer.' })
    expect(seen.moments('ended')).toHaveLength(2)
    expectNothingTold(seen, [error_description])
  })
})

describe.each(['proxy', 'direct'] as const)('a fault of the sandbox, %s flow', (flow) => {
  let app: TestApp

  beforeAll(async () => {
    app = await startApp({ sandbox: { flow }, strategy: { timeout: 4000, fetchUserInfo: true } })
  })

  afterAll(() => app.close())

  test.each(faultsOf({ flow, response_mode: 'jwt', dpop_bound_access_tokens: false }))(
    '%s is told once, without anything of a person',
    async (fault) => {
      const seen = watching()
      app.sandbox.next({ fault })
      const browser = new Browser()
      let page = await browser.press(await browser.open(`${app.url}/login`), 'Mikomo Bank')
      if (page.html.includes('name="password"')) {
        page = await browser.press(page, 'Log in', { login: 'mikomo_10', password: 'mikomo_10' })
        await browser.press(page, 'Share and continue')
      }
      expect(seen.moments('ended')).toHaveLength(1)
      const [ended] = seen.moments('ended') as unknown as [LoginEndedEvent]
      expect(ended.outcome === 'success').toBe(fault === 'rotated_keys')
      const values = browser.visited.flatMap((url) => [...new URL(url).searchParams.values()])
      const { tokens, claims, userInfo } = app.logins.at(-1) ?? {}
      const held = Object.values({ ...tokens, ...claims, ...userInfo }).filter(
        (value): value is string => typeof value === 'string',
      )
      const known = [...app.sandbox.banks.map(({ issuer }) => issuer), ended.interactionId]
      expectNothingTold(
        seen,
        [...values, ...held]
          .flatMap((value) => [value, ...value.split('.')])
          .filter((value) => !known.includes(value)),
      )
    },
  )
})

test('a copy that serves on is told, and that it could not be renewed', async () => {
  const { visitor, platform } = await startScene({ flow: 'direct' })
  await visitor.begin()
  platform.fault('bankA.discovery', reset)
  travel(11 * MINUTE)
  const seen = watching()
  await visitor.begin()
  while (seen.spans('fetch', 'error').length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  await visitor.begin()
  const { issuer } = platform.bankA
  const about = { issuer, document: 'metadata' }
  expect(seen.spans('fetch', 'error')).toMatchObject([
    { ...about, renewal: true, outcome: 'error', code: 'provider_unavailable' },
  ])
  expect(seen.moments('stale')).toMatchObject([about])
  expect(seen.moments('stale')[0]?.['age']).toBeGreaterThanOrEqual(11 * MINUTE)
})

test('a refresh is told, also where it is refused', async () => {
  const { platform, strategy } = await startScene({ flow: 'direct' })
  const seen = watching()
  platform.fault('bankA.token', (res) => {
    send(res, json({ error: 'invalid_grant' }, 400))
  })
  const token = keepSecret('a refresh token of this test')
  await expect(strategy.client.refreshToken(platform.bankA.issuer, token)).rejects.toThrow()
  expect(seen.spans('refresh')).toMatchObject([
    { issuer: platform.bankA.issuer, outcome: 'error', code: 'provider_error' },
  ])
  expectNothingTold(seen)
})

test('a bank that is not allowed has no name in events: anyone could make up thousands', async () => {
  const { visitor } = await startScene({ flow: 'direct' })
  const seen = watching()
  await visitor.login({ iss: 'https://stranger.example' })
  expect(seen.moments('ended')).toMatchObject([{ outcome: 'fail', code: 'provider_refused' }])
  expect(JSON.stringify(seen.seen)).not.toContain('stranger')
})

test('a prefetch is no pass', async () => {
  const { strategy } = await startScene({ flow: 'direct' })
  const seen = watching()
  await settle(strategy, {
    method: 'GET',
    url: '/login',
    headers: { 'sec-purpose': 'prefetch' },
    session: {},
  })
  expect(seen.seen).toEqual([])
})

test('a step is told in order, and what it returns or throws stays out', async () => {
  const seen = watching()
  await trace('exchange', {}, () => Promise.resolve('a token'))
  await expect(trace('exchange', {}, () => Promise.reject(new Error('a token')))).rejects.toThrow('a token')
  expect(seen.seen.map(({ channel }) => channel.split(':').at(-1))).toEqual([
    ...['start', 'end', 'asyncStart', 'asyncEnd'],
    ...['start', 'end', 'error', 'asyncStart', 'asyncEnd'],
  ])
  expect(JSON.stringify(seen.seen)).not.toContain('token')
})

test('nobody who listens, nothing that is done', async () => {
  const payload = {}
  await trace('exchange', payload, () => Promise.resolve())
  expect(payload).toEqual({})
  expect(tracingChannel('passport-idpartner:exchange').hasSubscribers).toBe(false)
})
