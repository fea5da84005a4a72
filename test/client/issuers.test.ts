import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { Http } from '../../lib/net/http.js'
import type { ResolvedConfig } from '../../lib/client/config.js'
import { Issuers } from '../../lib/client/issuers.js'
import type { Change } from '../support/bends.js'
import { set, without } from '../support/bends.js'
import { HOUR, MINUTE, travel, useClock } from '../support/clock.js'
import { answer, empty, hang, html, json, redirect, reset, truncated, type Fault } from '../support/faults.js'
import { publicJwk, rsaKey } from '../support/key-pairs.js'
import { firstOf } from '../support/published-keys.js'
import { Wire, startServer, unusedOrigin, type Running } from '../support/loopback-server.js'
import { refusal } from '../support/settle.js'

useClock()

const PROXY = 'https://proxy.example'

let wire: Wire
let server: Running
let bend: Change
let issuer: string
let issuers: Issuers

beforeEach(async () => {
  const key = publicJwk(await rsaKey('bank'))
  wire = new Wire()
  bend = (document) => document
  const document = (): unknown =>
    bend({ issuer, jwks_uri: `${server.origin}/keys`, authorization_endpoint: `${server.origin}/auth` })
  server = await startServer(
    'bank',
    {
      'discovery /bank/.well-known/openid-configuration': () => json(document()),
      'slash /slash/.well-known/openid-configuration': () => json(document()),
      'jwks /keys': () => json({ keys: [key] }),
    },
    wire,
  )
  issuer = `${server.origin}/bank`
  issuers = new Issuers(new Http({ timeout: 20_000 }), { oidc_proxy_service_url: PROXY })
})

afterEach(() => server.close())

const seen = (): string[] => wire.requests.map(({ endpoint }) => endpoint)

describe("a bank's discovery document", () => {
  test('is what the bank says of itself', async () => {
    bend = set({ payment_processing_endpoint: 'https://bank.example/pay' })
    expect(await issuers.metadata(issuer)).toMatchObject({
      issuer,
      authorization_endpoint: `${server.origin}/auth`,
      payment_processing_endpoint: 'https://bank.example/pay',
    })
  })

  test('is kept without what nobody uses, which openid-client would copy for each request', async () => {
    bend = set({ branches: Array.from({ length: 50_000 }, (_, i) => String(i).padStart(13, '0')) })
    const metadata = await issuers.metadata(issuer)
    expect(Object.keys(metadata).sort()).toEqual(['authorization_endpoint', 'issuer', 'jwks_uri'])
  })

  test('is fetched once by all who wait for it', async () => {
    await Promise.all(Array.from({ length: 20 }, () => issuers.metadata(issuer)))
    expect(seen()).toEqual(['bank.discovery'])
  })

  test('is fetched again after ten minutes', async () => {
    await issuers.metadata(issuer)
    travel(9.9 * MINUTE)
    await issuers.metadata(issuer)
    expect(seen()).toHaveLength(1)
    travel(0.2 * MINUTE)
    bend = set({ token_endpoint: 'https://bank.example/new' })
    await expect(issuers.metadata(issuer)).resolves.not.toHaveProperty('token_endpoint')
    while (!('token_endpoint' in (await issuers.metadata(issuer)))) await setImmediate()
    expect(seen()).toHaveLength(2)
  })

  test('that is merely old costs nobody a moment', async () => {
    await issuers.metadata(issuer)
    wire.plan('bank.discovery', hang, Infinity)
    travel(11 * MINUTE)
    // They would wait for twenty seconds.
    await expect(issuers.metadata(issuer)).resolves.toHaveProperty('issuer', issuer)
    await expect(issuers.metadata(issuer)).resolves.toHaveProperty('issuer', issuer)
  })

  test('is that of an issuer that ends with a slash', async () => {
    issuer = `${server.origin}/slash/`
    await expect(issuers.metadata(issuer)).resolves.toHaveProperty('issuer', issuer)
    expect(seen()).toEqual(['bank.slash'])
  })

  test('is asked for a second time when the connection broke', async () => {
    wire.plan('bank.discovery', reset, 1)
    await expect(issuers.metadata(issuer)).resolves.toHaveProperty('issuer', issuer)
  })

  test.each<{ name: string; fault: Fault; status: number; message: RegExp }>([
    {
      name: 'HTTP 404',
      fault: answer(404),
      status: 502,
      message: /^the discovery document of the bank [\w.]+:\d+ answered with HTTP 404/,
    },
    { name: 'HTTP 401', fault: answer(401), status: 502, message: /discovery document .*HTTP 401/ },
    {
      name: 'HTTP 500',
      fault: answer(500),
      status: 502,
      message: /^the discovery document of the bank [\w.]+:\d+ answered with HTTP 500/,
    },
    {
      name: 'HTTP 503',
      fault: answer(503),
      status: 503,
      message: /^the discovery document of the bank [\w.]+:\d+ answered with HTTP 503/,
    },
    { name: 'a redirect', fault: redirect('/bank'), status: 502, message: /discovery document .*HTTP 302/ },
    {
      name: 'a page',
      fault: html,
      status: 502,
      message: /^the discovery document of the bank [\w.]+:\d+ answered with something else/,
    },
    { name: 'nothing', fault: empty, status: 502, message: /discovery document/ },
    { name: 'half of it', fault: truncated, status: 502, message: /discovery document/ },
    { name: 'a list', fault: answer(200, []), status: 502, message: /discovery document/ },
  ])('is unavailable: $name', async ({ fault, status, message }) => {
    wire.plan('bank.discovery', fault, Infinity)
    const err = await refusal(issuers.metadata(issuer))
    expect(err).toMatchObject({ code: 'provider_unavailable', status })
    expect(err.message).toMatch(message)
    wire.heal()
    await expect(issuers.metadata(issuer)).resolves.toHaveProperty('issuer', issuer)
  })

  test('is unavailable: silence', async () => {
    wire.plan('bank.discovery', hang, Infinity)
    const impatient = new Issuers(new Http({ timeout: 100 }), { oidc_proxy_service_url: PROXY })
    expect(await refusal(impatient.metadata(issuer))).toMatchObject({
      code: 'provider_unavailable',
      status: 504,
      message: expect.stringContaining('gave no whole answer in time'),
    })
  })

  test.each<{ name: string; change: Change }>([
    { name: 'another issuer', change: set({ issuer: 'https://evil.example' }) },
    {
      name: 'the issuer and more',
      change: ({ issuer: one, ...rest }) => ({ ...rest, issuer: `${String(one)}1` }),
    },
    { name: 'the issuer with a slash', change: (document) => ({ ...document, issuer: `${issuer}/` }) },
    { name: 'no issuer', change: without('issuer') },
    { name: 'the issuer in a list', change: (document) => ({ ...document, issuer: [issuer] }) },
  ])('is not usable when it names $name', async ({ change }) => {
    bend = change
    const err = await refusal(issuers.metadata(issuer))
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 502 })
    expect(err.message).toMatch(/discovery document/)
    expect(seen()).toEqual(['bank.discovery'])
  })

  test('is covered by the last good copy for a day', async () => {
    await issuers.metadata(issuer)
    wire.plan('bank.discovery', answer(503), Infinity)
    travel(24 * HOUR)
    await expect(issuers.metadata(issuer)).resolves.toHaveProperty('issuer', issuer)
    travel(24 * HOUR + 11 * MINUTE)
    expect(await refusal(issuers.metadata(issuer))).toMatchObject({ status: 503 })
  })

  test('of a bank that is not there does not stop another', async () => {
    const gone = await unusedOrigin()
    const [, there] = await Promise.all([refusal(issuers.metadata(gone)), issuers.metadata(issuer)])
    expect(there.issuer).toBe(issuer)
  })
})

describe("a bank's keys", () => {
  const find = async (): Promise<unknown> => firstOf(issuers.keys(issuer)('PS256', 'bank'))

  test('are where its discovery document says', async () => {
    await expect(find()).resolves.toBeDefined()
    expect(seen()).toEqual(['bank.discovery', 'bank.jwks'])
  })

  test('are fetched once for many logins, and so is the document', async () => {
    await Promise.all(Array.from({ length: 20 }, find))
    await issuers.metadata(issuer)
    expect(seen()).toEqual(['bank.discovery', 'bank.jwks'])
  })

  test.each<{ name: string; change: Change; message: RegExp }>([
    { name: 'nowhere', change: without('jwks_uri'), message: /names no jwks_uri/ },
    { name: 'at a text', change: set({ jwks_uri: 'undefined/keys' }), message: /that is not an https: URL/ },
    {
      name: 'over http',
      change: set({ jwks_uri: 'http://bank.example/keys' }),
      message: /that is not an https: URL/,
    },
    { name: 'in a private network', change: set({ jwks_uri: 'https://10.0.0.1/keys' }), message: /private/ },
  ])('cannot be had when they are $name', async ({ change, message }) => {
    bend = change
    const err = await refusal(find())
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 502 })
    expect(err.message).toMatch(message)
    expect(seen()).toEqual(['bank.discovery'])
  })
})

describe('banks that are remembered', () => {
  test('are the same for each login', () => {
    expect(issuers.keys('https://bank.example')).toBe(issuers.keys('https://bank.example'))
    expect(issuers.keys('https://bank.example')).not.toBe(issuers.keys('https://bank.example/'))
  })

  test('are a thousand at most, and the oldest goes', () => {
    const first = issuers.keys('https://first.example')
    const second = issuers.keys('https://second.example')
    for (let more = 0; more < 998; more++) issuers.keys(`https://bank${String(more)}.example`)
    expect(issuers.keys('https://first.example')).toBe(first)
    issuers.keys('https://one-too-many.example')
    expect(issuers.keys('https://second.example')).toBe(second)
    expect(issuers.keys('https://first.example')).not.toBe(first)
  })
})

describe('a discovery document of an issuer that is nearly the right one', () => {
  const other: [string, (issuer: string) => string][] = [
    ['with a slash at its end', (issuer) => `${issuer}/`],
    ['with two of them', (issuer) => `${issuer}//`],
    ['over https', (issuer) => issuer.replace('http:', 'https:')],
    ['at localhost', (issuer) => issuer.replace('127.0.0.1', 'localhost')],
    ['in another case', (issuer) => issuer.replace('/bank', '/Bank')],
  ]

  test.each(other)('is refused with both spellings: %s', async (_name, change) => {
    const found = change(issuer)
    bend = set({ issuer: found })
    const host = new URL(issuer).host
    const message = async (config: Partial<ResolvedConfig>): Promise<string> => {
      const asking = new Issuers(new Http({ timeout: 20_000 }), { oidc_proxy_service_url: PROXY, ...config })
      const err = await refusal(asking.metadata(issuer))
      expect(err).toMatchObject({ code: 'provider_unavailable', status: 502 })
      return err.message
    }
    expect(await message({ trusted_issuers: [issuer] })).toBe(
      `the discovery document of the bank ${host} says that its issuer is ${found}, but "trusted_issuers" has ${issuer}: spell it as the bank does`,
    )
    expect(await message({ oidc_proxy_service_url: issuer })).toBe(
      `the discovery document of IDPartner's proxy says that its issuer is ${found}, but "oidc_proxy_service_url" has ${issuer}: spell it as IDPartner does`,
    )
    expect(await message({ trusted_issuers: () => true })).toBe(
      `the discovery document of the bank ${host} says that its issuer is ${found}, but it was asked for as ${issuer}`,
    )
  })

  test.each([
    ['another', 'https://evil.example'],
    ['with a line break', 'LINE\n'],
    ['with markup', 'https://evil.example/<b>'],
    ['without end', `https://bank.example/${'x'.repeat(100_000)}`],
  ])('but never repeated when it is %s', async (_name, found) => {
    bend = set({ issuer: found.replace('LINE', issuer) })
    const { message } = await refusal(issuers.metadata(issuer))
    expect(message).toBe(
      `the discovery document of the bank ${new URL(issuer).host} is that of another issuer`,
    )
  })
})
