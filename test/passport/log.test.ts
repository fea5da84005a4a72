import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import express from 'express'
import session from 'express-session'
import passport from 'passport'
import {
  IDPartnerError,
  IDPartnerStrategy,
  type IDPartnerStrategyOptions,
  type Log,
} from 'passport-idpartner'
import { FAULTS, type Fault } from 'passport-idpartner/sandbox'
import { faultsOf } from '../../lib/sandbox/faults.js'
import { startApp, type Ended, type TestApp } from '../support/app.js'
import { Browser } from '../support/browser.js'
import { MINUTE, travel } from '../support/clock.js'
import { json, reset, send } from '../support/faults.js'
import { settle } from '../support/settle.js'
import { startScene, useScenes, type Scene } from '../support/scene.js'

useScenes()

afterEach(() => {
  jest.restoreAllMocks()
})

/** A log that keeps its lines, each with its level. */
class Lines {
  readonly lines: string[] = []
  readonly info = (line: string): unknown => this.lines.push(`info ${line}`)
  readonly warn = (line: string): unknown => this.lines.push(`warn ${line}`)
  readonly error = (line: string): unknown => this.lines.push(`error ${line}`)

  get only(): string {
    expect(this.lines).toHaveLength(1)
    return this.lines[0] ?? ''
  }
}

const LINES: Record<Fault, [beginning: string, says: RegExp]> = {
  access_denied: ['info', /\(access_denied\)/],
  login_required: ['info', /\(provider_error\).*login_required/],
  server_error: ['error', /\(provider_error\).*server_error/],
  temporarily_unavailable: ['error', /\(provider_error\).*temporarily_unavailable/],
  unknown_parameter: ['error', /\(provider_error\).*invalid_request/],
  client_refused: ['error', /\(provider_error\).*invalid_client/],
  expired_document: ['warn', /\(response_invalid\).*(expired|clock)/],
  clock_off: ['warn', /\(response_invalid\).*clock/],
  rogue_key: ['warn', /\(response_invalid\).*signature/],
  wrong_audience: ['warn', /\(response_invalid\).*"aud"/],
  unencrypted: ['warn', /\(response_invalid\).*not encrypted/],
  forged_answer: ['warn', /\(response_invalid\).*signature/],
  other_state: ['info', /\(login_missing, no_login\)/],
  wrong_iss: ['warn', /\(response_invalid\).*iss/],
  missing_iss: ['warn', /\(response_invalid\).*iss/],
  doubled_iss: ['warn', /\(response_invalid\).*iss/],
  id_token_rogue_key: ['error', /\(token_invalid\).*signature/],
  id_token_wrong_nonce: ['error', /\(token_invalid\).*nonce/],
  id_token_unencrypted: ['error', /\(token_invalid\).*not encrypted/],
  id_token_expired: ['error', /\(token_invalid\).*(expired|clock)/],
  bank_down: ['error', /\(provider_unavailable\).*because HTTP 503/],
  token_error: ['error', /\(provider_error\).*because HTTP 400 invalid_grant/],
  slow: ['error', /\(provider_unavailable\).*in time/],
  other_token_type: ['error', /\(token_invalid\).*DPoP/],
  dpop_new_nonces: ['', /^$/],
  dpop_endless_nonces: ['error', /\(provider_error\).*use_dpop_nonce/],
  dpop_no_nonce: ['error', /\(provider_error\).*sent no nonce/],
  dpop_replayed: ['error', /\(provider_error\).*invalid_dpop_proof/],
  rotated_keys: ['', /^$/],
}

describe.each([
  { flow: 'proxy' },
  { flow: 'direct' },
  { flow: 'direct', profile: 'fapi2-security', dpop_bound_access_tokens: true },
] as const)('each fault of the sandbox leaves one line: $flow flow, $profile', (sandbox) => {
  let app: TestApp
  const log = jest.fn<(line: string, level: string) => void>()

  beforeAll(async () => {
    app = await startApp({ sandbox, strategy: { timeout: 4000, log } })
  })

  afterAll(() => app.close())

  async function logIn(): Promise<Ended> {
    const browser = new Browser()
    let page = await browser.press(await browser.open(`${app.url}/login`), 'Mikomo Bank')
    // The app's own page for a login that cannot begin.
    if (page.status >= 500) return {}
    if (page.html.includes('name="password"')) {
      page = await browser.press(page, 'Log in', { login: 'mikomo_10', password: 'mikomo_10' })
      page = await browser.press(page, 'Share and continue')
    }
    return JSON.parse(page.html) as Ended
  }

  const possible = faultsOf({
    response_mode: 'profile' in sandbox ? 'query' : 'jwt',
    dpop_bound_access_tokens: false,
    ...sandbox,
  })

  test.each(possible)('%s', async (fault) => {
    log.mockClear()
    app.sandbox.next({ fault })
    const ended = await logIn()
    const [usual, says] = LINES[fault]
    // What nobody has signed does not count against the bank.
    const unsigned = 'profile' in sandbox && /_error$|_unavailable$/.test(fault) && FAULTS[fault] === 'bank'
    const level = unsigned ? 'warn' : usual
    if (level === '') {
      expect(ended.user).toBeDefined()
      expect(log.mock.calls).toEqual([])
      return
    }
    expect(log.mock.calls).toHaveLength(1)
    const [[line, at] = []] = log.mock.calls
    expect(at).toBe(level)
    expect(line).toMatch(says)
    expect(line).toMatch(/^passport-idpartner: a login failed \(/)
    expect(line).toMatch(/^[\x20-\x7e]+$/)
    log.mockClear()
    expect((await logIn()).user).toBeDefined()
    expect(log.mock.calls).toEqual([])
  })
})

const scene = (log: Log, options: Partial<IDPartnerStrategyOptions<object>> = {}): Promise<Scene> =>
  startScene({ flow: 'direct', strategy: { log, ...options } as never })

describe('a line', () => {
  test('names the bank, the login and the words of the bank', async () => {
    const log = new Lines()
    const { platform, visitor } = await scene(log)
    const begun = await visitor.begin()
    const error_description = 'the code is too old\nERROR forged \u001b[31m'
    platform.fault('bankA.token', (res) => {
      send(res, json({ error: 'invalid_grant', error_description }, 400))
    })
    await visitor.finish(begun)
    expect(log.only).toContain(`[bank ${new URL(platform.bankA.issuer).host}, interaction `)
    expect(log.only).toContain(begun.request.interactionId)
    expect(log.only).toContain('because HTTP 400 invalid_grant: the code is too old?ERROR forged ?[31m')
    expect(log.only).toMatch(/^[\x20-\x7e]+$/)
  })

  test('of a function of the application has its name alone', async () => {
    const log = new Lines()
    const { visitor } = await scene(log, {
      acceptProvider: () => {
        throw Object.assign(new TypeError('no account of philip@example.com'), { code: 'ENOUSER' })
      },
    })
    await visitor.finish(await visitor.begin())
    expect(log.only).toMatch(
      /^error passport-idpartner: a login failed in a function of the application: TypeError ENOUSER \[bank \S+, interaction \S+\]$/,
    )
  })

  test('is of the same pass but once, also where it cannot begin', async () => {
    const log = new Lines()
    const { visitor } = await scene(log)
    await visitor.login({ iss: 'https://stranger.example' })
    expect(log.only).toMatch(/^warn .*\(provider_refused\): .*trusted_issuers/)
    expect(log.only).not.toContain('[bank')
  })

  test('says what to set up where a browser comes back without its session', async () => {
    const log = new Lines()
    const { platform, strategy, visitor } = await scene(log)
    const response = await visitor.answer(await visitor.begin())
    const url = `/callback?response=${encodeURIComponent(response)}`
    const settled = await settle(
      strategy,
      { method: 'GET', url, query: { response }, headers: {}, session: {} },
      {},
    )
    expect(settled).toMatchObject({
      value: { message: expect.stringMatching(/^this browser .* please begin again$/) },
    })
    expect(log.only).toMatch(
      /\(login_missing, no_session\): this browser .*; because it sent no cookie: check that .*SameSite/,
    )
    expect(platform.count('bankA.token')).toBe(0)
  })

  test('says which middleware is missing', async () => {
    const log = new Lines()
    const { strategy } = await scene(log)
    await settle(strategy, { method: 'GET', url: '/login', headers: {} }, {})
    expect(log.only).toMatch(/^error .*\(config_invalid\): .*express-session/)
    log.lines.splice(0)
    await settle(
      strategy,
      {
        method: 'POST',
        url: '/callback',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        session: {},
      },
      {},
    )
    expect(log.only).toMatch(/^error .*\(config_invalid\): .*express\.urlencoded\(\)/)
  })

  test.each<passport.AuthenticateOptions>([
    {},
    { failureRedirect: '/sorry' },
    { failureRedirect: '/sorry', failureMessage: true },
    { failureMessage: 'Not today' },
  ])('is written whatever becomes of the failure: %j', async (options) => {
    const log = new Lines()
    const { strategy } = await scene(log)
    const passports = new passport.Passport()
    passports.use(strategy)
    const app = express()
    app.use(session({ secret: 'of a test', resave: false, saveUninitialized: false }))
    app.get('/callback', passports.authenticate('idpartner', options) as express.RequestHandler)
    const server = app.listen(0, 'localhost')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const { status } = await fetch(`http://localhost:${String(port)}/callback?code=stray`, {
      redirect: 'manual',
      headers: { connection: 'close' },
    })
    server.close()
    expect(status).toBe(options.failureRedirect === undefined ? 401 : 302)
    expect(log.only).toMatch(/^warn .*\(response_invalid\): .*bare code/)
  })

  test('is written where verify refuses, and none where it says yes', async () => {
    const log = new Lines()
    const { strategy, visitor } = await scene(log)
    await visitor.finish(await visitor.begin())
    expect(log.lines).toEqual([])
    const { settings } = (strategy as never as { tenants: { settings: object } }).tenants
    Object.assign(strategy, {
      tenants: { client: strategy.client, settings: { ...settings, verifier: { verify: () => false } } },
    })
    await visitor.finish(await visitor.begin())
    expect(log.only).toMatch(/^info .* was refused by verify \[bank /)
  })

  test('is written where a copy serves on that could not be renewed, and not again at once', async () => {
    const log = new Lines()
    const { platform, visitor } = await scene(log)
    await visitor.finish(await visitor.begin())
    platform.fault('bankA.discovery', reset)
    travel(11 * MINUTE)
    const begun = await visitor.begin()
    while (log.lines.length === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    await visitor.begin()
    expect((await visitor.finish(begun)).via).toBe('success')
    expect(log.only).toMatch(
      /^warn passport-idpartner: could not renew the discovery document of the bank \S+, whose copy of 11 min ago serves on \(provider_unavailable\): /,
    )
  })

  test('is written where tokens cannot be refreshed', async () => {
    const log = new Lines()
    const { platform, strategy } = await scene(log)
    platform.fault('bankA.token', (res) => {
      send(res, json({ error: 'invalid_grant' }, 400))
    })
    const refreshing = strategy.client.refreshToken(platform.bankA.issuer, 'a refresh token')
    await expect(refreshing).rejects.toBeInstanceOf(IDPartnerError)
    expect(log.only).toMatch(
      /^error passport-idpartner: could not refresh tokens \(provider_error\): .* \[bank /,
    )
  })
})

describe.each(['fapi2-security', 'fapi2-message-signing'] as const)('with %s', (profile) => {
  test('a login that fails leaves one line, and none of what came with it', async () => {
    const log = new Lines()
    const { platform, visitor } = await startScene({
      flow: 'direct',
      profile,
      dpop: true,
      strategy: { log } as never,
    })
    const begun = await visitor.begin()
    platform.fault('bankA.token', (res) => {
      send(res, json({ error: 'invalid_grant' }, 400))
    })
    const params = await visitor.answerParams(begun)
    await visitor.bring(params)
    expect(log.only).toMatch(/^error passport-idpartner: a login failed \(provider_error\): .*invalid_grant/)
    expect(log.only).toContain(`[bank ${new URL(platform.bankA.issuer).host}, interaction `)
    for (const [name, value] of Object.entries(params))
      if (name !== 'iss') expect(log.only).not.toContain(value)
  })
})

describe('a log', () => {
  const broken: [string, Log][] = [
    ['throws', { info: fail, warn: fail, error: fail }],
    ['rejects', () => Promise.reject(new Error('the log is full'))],
  ]

  function fail(): never {
    throw new Error('the log is full')
  }

  test.each(broken)('that %s breaks no login', async (_how, log) => {
    const { visitor } = await scene(log)
    expect(await visitor.login({ iss: 'https://stranger.example' })).toMatchObject({ via: 'fail' })
    expect(await visitor.finish(await visitor.begin())).toMatchObject({ via: 'success' })
  })

  test('has its methods called as its own', async () => {
    class Own extends Lines {
      override readonly warn = function (this: Own, line: string): unknown {
        return this.lines.push(line)
      }
    }
    const log = new Own()
    const { visitor } = await scene(log)
    await visitor.login({ iss: 'https://stranger.example' })
    expect(log.only).toContain('provider_refused')
  })

  test.each([true, 'console', {}, { info() {}, warn() {} }, null])('%j is refused', (log) => {
    const options = { client_id: 'a', callback: 'https://app.example/cb', flow: 'direct' } as const
    expect(() => new IDPartnerStrategy({ ...options, log: log as never }, () => Promise.resolve({}))).toThrow(
      'option "log" must be a function, or an object with the functions info, warn and error',
    )
  })
})
