import { spawn, type ChildProcess } from 'node:child_process'
import {
  constants,
  createPrivateKey,
  createPublicKey,
  privateDecrypt,
  sign,
  type KeyObject,
} from 'node:crypto'
import dns from 'node:dns'
import { once } from 'node:events'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { SpanStatusCode, metrics, trace } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
  type DataPoint,
} from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import cookieSession from 'cookie-session'
import RedisMock from 'ioredis-mock'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import session from 'express-session'
import passport from 'passport'
import type { Counter } from 'prom-client'
import {
  IDPartner,
  IDPartnerStrategy,
  generateJwks,
  jwksRouter,
  type ClientJwks,
  type IDPartnerConfig,
  type IDPartnerLogin,
  type IDPartnerStrategyOptions,
  type LoginStore,
} from 'passport-idpartner'
import { startSandbox, type Sandbox, type SandboxOptions } from 'passport-idpartner/sandbox'
import { startApp, type Ended, type TestApp, type TestAppOptions } from './support/app.js'
import { Browser, textOf, type Page } from './support/browser.js'
import { tlsCertificates } from './support/certificates.js'
import { ConnectProxy } from './support/connect-proxy.js'
import { pkcs12 } from './support/pkcs12.js'
import { SnippetFolder, snippetsOf, type Snippet } from './support/snippets.js'

const guides = readdirSync('docs').filter((name) => name.endsWith('.md'))
const pages = ['README.md', ...guides.map((name) => `docs/${name}`)]
const snippets = pages.flatMap(snippetsOf)
const programs = snippets.filter(({ language }) => language !== 'sh')

/** What test/networks.test.ts runs. */
const RUN_ELSEWHERE = programs
  .filter(({ page }) => page === 'docs/networks.md')
  .map(({ page, file }) => `${page} ${file}`)
const folder = new SnippetFolder('pages')

const codeOf = (page: string, file: string): string => {
  const found = programs.find((one) => one.page === page && one.file === file)
  if (!found) throw new Error(`${page} has no block ${file}`)
  return found.code
}

/** The exports of a block, with some of its text replaced by what it stands for here. */
async function load(page: string, file: string, replace: Record<string, string> = {}): Promise<unknown> {
  let code = codeOf(page, file)
  for (const [text, other] of Object.entries(replace)) {
    if (!code.includes(text)) throw new Error(`${page} ${file} does not say ${text}`)
    code = code.replaceAll(text, other)
  }
  return import(folder.write(file, code))
}

const closing: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const anyone = { login: 'mikomo_10', password: 'mikomo_10' }

/** Chooses a bank, logs in there and agrees; ends where the application sends the browser. */
async function logIn(browser: Browser, url: string, init?: { method: string }): Promise<Page> {
  return atBank(browser, await browser.open(url, init), 'Mikomo Bank')
}

/** The same from the account selector on. */
async function atBank(browser: Browser, selector: Page, bank: string): Promise<Page> {
  const login = await browser.press(selector, bank)
  return browser.press(await browser.press(login, 'Log in', anyone), 'Share and continue')
}

async function cancel(browser: Browser, url: string): Promise<Page> {
  return browser.press(await browser.press(await browser.open(url), 'Mikomo Bank'), 'Cancel')
}

const visitor = (): Browser => new Browser()

/** The address that brought an answer back, as the Back button would ask for it again. */
function answerOf({ visited }: Browser): string {
  const answer = visited.findLast((url) => url.includes('response='))
  if (answer === undefined) throw new Error(`no answer among ${visited.join(' ')}`)
  return answer
}

async function listen(app: Express): Promise<string> {
  const server = createServer(app as RequestListener)
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  closing.push(async () => {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  })
  return `http://localhost:${String((server.address() as AddressInfo).port)}`
}

async function sandboxFor(url: string, callback: string): Promise<Sandbox> {
  const sandbox = await startSandbox({
    client_id: 'my-app',
    callback: url + callback,
    jwks_uri: `${url}/jwks`,
  })
  closing.push(() => sandbox.close())
  return sandbox
}

/** A strategy for an application that listens there, with a sandbox as its banks. */
async function strategyAt(
  url: string,
  userOf: (login: IDPartnerLogin) => object,
): Promise<{ strategy: IDPartnerStrategy; sandbox: Sandbox }> {
  const sandbox = await sandboxFor(url, '/login/callback')
  const options = { ...sandbox.config, jwks: await generateJwks() }
  const strategy = new IDPartnerStrategy(options, (login) => Promise.resolve(userOf(login)))
  passport.use(strategy)
  keepWholeUsers()
  return { strategy, sandbox }
}

/** As they are, in the session. */
function keepWholeUsers(): void {
  passport.serializeUser((user, done) => {
    done(null, user)
  })
  passport.deserializeUser((user: Express.User, done) => {
    done(null, user)
  })
}

async function appWith(options: TestAppOptions): Promise<TestApp> {
  const app = await startApp(options)
  closing.push(() => app.close())
  return app
}

const sessions = (): RequestHandler => session({ secret: 'test', resave: false, saveUninitialized: false })

/** Logs in at an app of the test's own, which answers its callback route with what became of it. */
async function ended(app: TestApp): Promise<Ended> {
  const { html } = await logIn(visitor(), `${app.url}/login`)
  return JSON.parse(html) as Ended
}

/** A program that listens at port 3000, on a port of its own; resolves when it has said that it does. */
async function start(page: string, file: string): Promise<string> {
  const app = express()
  const port = new URL(await listen(app)).port
  await closing.pop()?.()
  const target = folder.write(file, codeOf(page, file).replaceAll('3000', port))
  const child = run(target)
  const lines: string[] = []
  for await (const line of createInterface({ input: child.stdout ?? process.stdin })) {
    lines.push(line)
    if (line.includes(`http://localhost:${port}/login`)) return `http://localhost:${port}`
  }
  throw new Error(`${file} ended before it listened: ${lines.join('\n')}`)
}

function run(file: string, stderr: 'inherit' | 'ignore' = 'inherit'): ChildProcess {
  const child = spawn(
    process.execPath,
    ['node_modules/tsx/dist/cli.mjs', '--tsconfig', path.join(folder.path, 'tsconfig.json'), file],
    { stdio: ['ignore', 'pipe', stderr] },
  )
  const gone = once(child, 'exit')
  closing.push(async () => {
    child.kill()
    await gone
  })
  return child
}

/** What the quick start promises, whatever it is written in. */
async function quickStart(page: string, file: string): Promise<void> {
  const url = await start(page, file)
  const browser = visitor()
  expect((await browser.open(url)).html).toContain('/login')
  const home = await logIn(browser, `${url}/login`)
  expect(home.url).toBe(`${url}/`)
  expect(JSON.parse(home.html)).toMatchObject({ claims: { name: 'Philip Lindqvist' } })

  const back = await browser.open(answerOf(browser))
  expect([back.url, back.html]).toEqual([`${url}/`, home.html])

  const denied = await cancel(visitor(), `${url}/login`)
  expect(denied.status).toBe(401)
  expect(textOf(denied.html)).toMatch(/cancel|said no/)
  expect(denied.html).toContain('href="/login"')

  const atLogin = await visitor().open(`${url}/login?error=access_denied`)
  expect(atLogin.status).toBe(401)
  expect(textOf(atLogin.html)).toBe(
    'this browser came back without the session in which the login began; please begin again. Try again',
  )

  const stranger = await visitor().open(answerOf(browser))
  expect(stranger.status).toBe(401)
  expect(textOf(stranger.html)).toMatch(/answered before|session/)
}

/** Names what stands in for the real platform in a block that has none: addresses and keys, nothing else. */
const PLATFORM = 'standInForThePlatform'
const standIn = (config: object): void => {
  Object.assign(globalThis, { [PLATFORM]: config })
}
const withPlatform = `...(globalThis as unknown as { ${PLATFORM}: object }).${PLATFORM},\n    client_id:`

/** What every block does when it is run; a block without a row here fails. */
const runs: Record<string, () => Promise<void>> = {
  'README.md app.js': () => quickStart('README.md', 'app.js'),
  'README.md app.ts': () => quickStart('README.md', 'app.ts'),
  'docs/quick-start.md app.cjs': () => quickStart('docs/quick-start.md', 'app.cjs'),

  'docs/registration.md real.ts': async () => {
    const app = express()
    const url = await listen(app)
    const sandbox = await sandboxFor(url, '/login/callback')
    writeFileSync(path.join(folder.path, 'jwks.json'), JSON.stringify(await generateJwks()))
    process.env['IDPARTNER_CLIENT_ID'] = 'my-app'
    standIn(sandbox.config)
    const { strategy } = (await load('docs/registration.md', 'real.ts', {
      'https://app.example': url,
      'client_id:': withPlatform,
      "'jwks.json'": JSON.stringify(path.join(folder.path, 'jwks.json')),
    })) as { strategy: IDPartnerStrategy }
    const passports = new passport.Passport()
    passports.use(strategy)
    const authenticate = passports.authenticate('idpartner', { session: false }) as RequestHandler
    app.use(jwksRouter(strategy.client), sessions())
    app.get('/login', authenticate)
    app.get('/login/callback', authenticate, (req, res) => {
      res.json(req.user)
    })
    const { html } = await logIn(visitor(), `${url}/login`)
    expect(html).toContain(sandbox.banks[0]?.issuer)
  },

  'docs/options.md set-ups.ts': async () => {
    const secret: Partial<SandboxOptions> = {
      flow: 'direct',
      token_endpoint_auth_method: 'client_secret_basic',
    }
    const mutualTls: Partial<SandboxOptions> = {
      flow: 'direct',
      token_endpoint_auth_method: 'tls_client_auth',
    }
    // The three blocks are read in one go, so what they need of the platform has to be there before.
    const apps = await Promise.all([
      appWith({ sandbox: {} }),
      appWith({ sandbox: secret, keys: false }),
      appWith({ sandbox: mutualTls, keys: false }),
    ])
    const { client_secret } = apps[1].sandbox.config
    const { tls_client_cert = '', tls_client_key = '' } = apps[2].sandbox.config
    process.env['IDPARTNER_CLIENT_SECRET'] = client_secret
    writeFileSync(path.join(folder.path, 'client.pem'), tls_client_cert)
    writeFileSync(path.join(folder.path, 'client-key.pem'), tls_client_key)
    const setUps = (await load('docs/options.md', 'set-ups.ts', {
      "'client.pem'": JSON.stringify(path.join(folder.path, 'client.pem')),
      "'client-key.pem'": JSON.stringify(path.join(folder.path, 'client-key.pem')),
    })) as Record<'proxy' | 'secret' | 'mutualTls', IDPartnerConfig>
    for (const [index, config] of [setUps.proxy, setUps.secret, setUps.mutualTls].entries()) {
      const app = apps[index]
      if (!app) throw new Error('no app')
      // Who we are is the block's to say; where the platform is, the sandbox's.
      const mine = [
        'flow',
        'token_endpoint_auth_method',
        'client_secret',
        'tls_client_cert',
        'tls_client_key',
      ]
      const platform = Object.fromEntries(
        Object.entries(app.sandbox.config).filter(([name]) => !mine.includes(name)),
      )
      app.use({ ...config, ...platform })
      expect(await ended(app)).toMatchObject({ user: { sub: expect.any(String) } })
    }
  },

  'docs/deployment.md behind-tls.ts': async () => {
    const { sessions } = (await load('docs/deployment.md', 'behind-tls.ts')) as {
      sessions: (store: session.Store, secret: string) => Express
    }
    const app = sessions(new session.MemoryStore(), 'secret')
    app.get('/', (req, res) => {
      Object.assign(req.session, { seen: true })
      res.end()
    })
    const url = await listen(app)
    const cookies = async (headers: Record<string, string>): Promise<string[]> =>
      (await fetch(url, { headers })).headers.getSetCookie()
    // haproxy.cfg of the same page says so: test/deployments.
    expect(await cookies({ 'x-forwarded-proto': 'https' })).toEqual([
      expect.stringMatching(/^__Host-session=.*; HttpOnly; Secure; SameSite=Lax$/),
    ])
    expect(await cookies({})).toEqual([])
  },

  'docs/deployment.md egress.ts': async () => {
    const proxy = await ConnectProxy.start()
    closing.push(() => {
      proxy.close()
      return Promise.resolve()
    })
    proxy.intervene = (socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    const { egress } = (await load('docs/deployment.md', 'egress.ts', {
      'proxy.internal:3128': new URL(proxy.url).host,
    })) as { egress: Partial<IDPartnerConfig> }
    const own = { client_id: 'my-app', callback: 'https://app.example/login/callback' }
    const client = new IDPartner({ ...own, ...egress, jwks: await generateJwks() })
    await expect(client.getAuthorizationUrl({}, client.generateProofs(), 'openid')).rejects.toMatchObject({
      code: 'provider_unavailable',
      status: 503,
      message: expect.stringContaining('it has to allow CONNECT'),
    })
    expect(proxy.asked[0]).toBe('auth-api.idpartner.com:443')
    expect(proxy.credentials[0]).toBe(`Basic ${btoa('app:password')}`)
  },

  'docs/deployment.md private-link.ts': async () => {
    const { network } = (await load('docs/deployment.md', 'private-link.ts')) as {
      network: Partial<IDPartnerConfig>
    }
    const lookup = jest.spyOn(dns, 'lookup').mockImplementation(((
      _name: string,
      _options: object,
      found: (err: null, all: object[]) => void,
    ) => {
      found(null, [{ address: '127.0.0.1', family: 4 }])
    }) as never)
    const own = { client_id: 'my-app', callback: 'https://app.example/login/callback' }
    const client = new IDPartner({ ...own, ...network, flow: 'direct', jwks: await generateJwks() })
    const [iss = ''] = network.trusted_issuers as string[]
    await expect(
      client.getAuthorizationUrl({ iss }, client.generateProofs(), 'openid'),
    ).rejects.toMatchObject({
      message: expect.stringContaining('private address'),
    })
    expect(lookup.mock.calls.map(([name]) => name)).toContain('bank.internal')
    lookup.mockRestore()
  },

  'docs/keys.md changing.ts': async () => {
    const app = await appWith({ sandbox: { flow: 'direct' } })
    const file = path.join(folder.path, 'jwks.json')
    writeFileSync(file, JSON.stringify(app.jwks))
    const authorities = (await tlsCertificates()).server.cert
    const vault = createServer((_, res) => res.end(authorities))
    await new Promise<void>((resolve) => vault.listen(0, 'localhost', resolve))
    closing.push(async () => {
      vault.closeAllConnections()
      await new Promise((resolve) => vault.close(resolve))
    })
    const { changing } = (await load('docs/keys.md', 'changing.ts', {
      "'jwks.json'": JSON.stringify(file),
      'localhost:8200': `localhost:${String((vault.address() as AddressInfo).port)}`,
    })) as { changing: Partial<IDPartnerConfig> }
    app.use({ ...app.sandbox.config, ...changing })
    expect(await ended(app)).toMatchObject({ user: { sub: expect.any(String) } })
    const client = new IDPartner({ ...app.sandbox.config, ...changing })
    const { keys } = await generateJwks()
    writeFileSync(file, JSON.stringify({ keys }))
    await client.reload()
    const published = (await client.getPublicJWKs()).keys.map(({ kid }) => kid)
    expect(published).toEqual(keys.map(({ kid }) => kid))
  },

  'docs/keys.md outside.ts': async () => {
    const app = await appWith({ sandbox: { flow: 'direct' } })
    const [sig, enc] = (app.jwks?.keys ?? []).map((jwk) =>
      createPrivateKey({ key: { ...jwk }, format: 'jwk' }),
    )
    if (!sig || !enc) throw new Error('no keys')
    const { outside } = (await load('docs/keys.md', 'outside.ts')) as {
      outside: (service: object, publicJwks: object) => ClientJwks
    }
    const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
    const service = {
      sign: (_: string, data: Uint8Array) => Promise.resolve(sign('sha256', data, { key: sig, ...pss })),
      decrypt: (_: string, data: Uint8Array) => Promise.resolve(privateDecrypt(enc, data)),
    }
    const publicJwkOf = (key: KeyObject): object => createPublicKey(key).export({ format: 'jwk' })
    const jwks = outside(service, { sig: publicJwkOf(sig), enc: publicJwkOf(enc) })
    // The app publishes the keys that it had, under their names.
    const named = jwks.keys.map((one, at) => ({ ...one, kid: app.jwks?.keys[at]?.kid ?? '' }))
    app.use({ ...app.sandbox.config, jwks: { keys: named } })
    expect(await ended(app)).toMatchObject({ user: { sub: expect.any(String) } })
  },

  'docs/keys.md client-pfx.ts': async () => {
    const app = await appWith({
      sandbox: { flow: 'direct', token_endpoint_auth_method: 'tls_client_auth' },
      keys: false,
    })
    const { tls_client_cert = '', tls_client_key = '', ...platform } = app.sandbox.config
    const file = path.join(folder.path, 'client.p12')
    const passphrase = 'not a secret'
    writeFileSync(file, await pkcs12({ keys: [tls_client_key], certificates: [tls_client_cert], passphrase }))
    process.env['CLIENT_PASSPHRASE'] = passphrase
    const { mutualTls } = (await load('docs/keys.md', 'client-pfx.ts', {
      "'client.p12'": JSON.stringify(file),
    })) as { mutualTls: IDPartnerConfig }
    app.use({ ...platform, ...mutualTls })
    expect(await ended(app)).toMatchObject({ user: { sub: expect.any(String) } })
  },

  'docs/options.md encryption.ts': async () => {
    const { encrypted } = (await load('docs/options.md', 'encryption.ts')) as {
      encrypted: Partial<IDPartnerConfig>
    }
    const app = await appWith({
      strategy: { ...encrypted, fetchUserInfo: true },
      sandbox: {
        flow: 'direct',
        id_token_signed_response_alg: 'ES256',
        id_token_encrypted_response_alg: 'ECDH-ES+A256KW',
        userinfo_signed_response_alg: 'ES256',
        userinfo_encrypted_response_alg: 'ECDH-ES+A256KW',
        userinfo_encrypted_response_enc: 'A256GCM',
      },
    })
    await ended(app)
    expect(app.logins[0]?.userInfo?.email).toMatch('@')
  },

  'docs/claims.md claims.ts': async () => {
    const { adultsOnly } = (await load('docs/claims.md', 'claims.ts')) as {
      adultsOnly: Partial<IDPartnerStrategyOptions>
    }
    const app = await appWith({ strategy: adultsOnly })
    await ended(app)
    expect(app.logins[0]?.claims).toMatchObject({ age_over_18: true, email: expect.any(String) })
  },

  'docs/errors.md callback.ts': async () => {
    const { callback, onError } = (await load('docs/errors.md', 'callback.ts')) as {
      callback: RequestHandler
      onError: ErrorRequestHandler
    }
    const app = express()
    const url = await listen(app)
    const { strategy, sandbox } = await strategyAt(url, ({ claims }) => ({ sub: claims.sub }))
    app.engine('txt', (_file, { info }: { info?: { code?: string } } & object, done) => {
      done(null, `failure: ${String(info?.code)}`)
    })
    app.set('view engine', 'txt').set('views', folder.path)
    folder.write('failure.txt', '')
    app.use(jwksRouter(strategy.client), sessions(), passport.session() as RequestHandler)
    app.get('/', (req, res) => {
      res.json(req.user ?? null)
    })
    app.get('/login', passport.authenticate('idpartner') as RequestHandler)
    app.get('/login/callback', callback)
    app.use(onError)

    const browser = visitor()
    expect((await logIn(browser, `${url}/login`)).html).toMatch(/"sub"/)
    expect((await browser.open(answerOf(browser))).html).toMatch(/"sub"/)
    expect(await cancel(visitor(), `${url}/login`)).toMatchObject({
      status: 401,
      html: 'failure: access_denied',
    })
    sandbox.next({ fault: 'bank_down' })
    const printed: unknown[] = []
    const error = console.error
    console.error = (...lines: unknown[]) => printed.push(...lines)
    try {
      expect(await logIn(visitor(), `${url}/login`)).toMatchObject({
        status: 503,
        html: 'failure: provider_unavailable',
      })
    } finally {
      console.error = error
    }
    expect(printed).toHaveLength(1)
  },

  'docs/errors.md async-callback.ts': async () => {
    const { logIn: route } = (await load('docs/errors.md', 'async-callback.ts')) as {
      logIn: (finish: () => Promise<void>) => RequestHandler
    }
    const app = express()
    const url = await listen(app)
    const sandbox = await sandboxFor(url, '/login/callback')
    passport.use(new IDPartnerStrategy({ ...sandbox.config, jwks: await generateJwks() }, () => false))
    const handler = route(() => Promise.reject(new Error('of the application')))
    app.use(sessions()).get('/login/callback', handler)
    const onError: ErrorRequestHandler = (err: Error, _req, res, next) => {
      if (res.headersSent) next(err)
      else res.status(500).send(err.message)
    }
    app.use(onError)
    const failed = await visitor().open(`${url}/login/callback?response=x`)
    expect(failed).toMatchObject({ status: 500, html: 'of the application' })
  },

  'docs/events.md pino.ts': async () => {
    const written: string[] = []
    Object.assign(globalThis, { destination: { write: (line: string) => written.push(line) } })
    const { options } = (await load('docs/events.md', 'pino.ts', {
      "pino({ name: 'login' })":
        "pino({ name: 'login' }, (globalThis as unknown as { destination: { write(line: string): void } }).destination)",
    })) as { options: Partial<IDPartnerStrategyOptions> }
    const app = await appWith({ strategy: options })
    await ended(app)
    expect(written).toEqual([])
    await cancel(visitor(), `${app.url}/login`)
    expect(written.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { name: 'login', level: 30, msg: expect.stringContaining('(access_denied)') },
    ])
  },

  'docs/events.md prometheus.ts': async () => {
    const { logins } = (await load('docs/events.md', 'prometheus.ts')) as { logins: Counter }
    const app = await appWith({})
    await ended(app)
    await cancel(visitor(), `${app.url}/login`)
    const bank = app.sandbox.banks[0]?.issuer
    const { values } = await logins.get()
    expect(values.filter(({ labels }) => labels['bank'] === bank)).toEqual([
      { value: 1, labels: { bank, outcome: 'success', code: '' } },
      { value: 1, labels: { bank, outcome: 'fail', code: 'access_denied' } },
    ])
  },

  'docs/events.md opentelemetry.ts': async () => {
    const spans = new InMemorySpanExporter()
    const sums = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
    const reader = new PeriodicExportingMetricReader({ exporter: sums, exportIntervalMillis: 3600_000 })
    const meters = new MeterProvider({ readers: [reader] })
    trace.setGlobalTracerProvider(
      new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }),
    )
    metrics.setGlobalMeterProvider(meters)
    closing.push(() => {
      trace.disable()
      metrics.disable()
      return meters.shutdown()
    })
    await load('docs/events.md', 'opentelemetry.ts')
    const app = await appWith({})
    await ended(app)
    await cancel(visitor(), `${app.url}/login`)
    app.sandbox.next({ fault: 'token_error' })
    await ended(app)
    const [{ issuer } = { issuer: '' }] = app.sandbox.banks
    const begun = { pass: 'begin', outcome: 'success' }
    const outcomes = [
      { issuer, outcome: 'success' },
      { issuer, outcome: 'fail', code: 'access_denied' },
      { issuer, outcome: 'error', code: 'provider_error' },
    ]
    const finished = spans.getFinishedSpans()
    expect(finished.map(({ attributes }) => attributes)).toMatchObject(
      outcomes.flatMap((outcome) => [
        begun,
        { pass: 'callback', interactionId: expect.any(String), ...outcome },
      ]),
    )
    expect(finished.filter(({ status }) => status.code === SpanStatusCode.ERROR)).toEqual(finished.slice(-1))
    await meters.forceFlush()
    const [{ scopeMetrics: [counted] } = { scopeMetrics: [] }] = sums.getMetrics()
    const points: DataPoint<unknown>[] = counted?.metrics[0]?.dataPoints ?? []
    expect(points).toMatchObject(outcomes.map((attributes) => ({ attributes, value: 1 })))
  },

  'docs/after-login.md later.ts': async () => {
    const { later } = (await load('docs/after-login.md', 'later.ts')) as {
      later: (strategy: IDPartnerStrategy, login: IDPartnerLogin) => Promise<Record<string, unknown>>
    }
    const scope = ['openid', 'email', 'offline_access', 'payment_details', 'payment_processing']
    const app = await appWith({ strategy: { scope: [...scope, 'vc.MockBankCredential'], prompt: 'consent' } })
    await ended(app)
    const [login] = app.logins
    if (!login) throw new Error('nobody was logged in')
    const found = await later(app.strategy, login)
    expect(found['email']).toBe('philip.lindqvist@example.com')
    expect(Object.values(found)).not.toContain(undefined)
  },

  'docs/after-login.md fresh.ts': async () => {
    const { emailOf } = (await load('docs/after-login.md', 'fresh.ts')) as {
      emailOf: (strategy: IDPartnerStrategy, account: object) => Promise<string>
    }
    const app = await appWith({
      strategy: { scope: ['openid', 'email', 'offline_access'], prompt: 'consent' },
    })
    await ended(app)
    const [{ issuer, tokens } = { issuer: '', tokens: {} }] = app.logins
    const saved: object[] = []
    const save = (one: object) => Promise.resolve(saved.push(one))
    expect(await emailOf(app.strategy, { issuer, save, tokens: { ...tokens, expires_at: 0 } })).toMatch('@')
    expect(saved).toHaveLength(1)
    await app.strategy.client.revokeToken(issuer, saved[0] as IDPartnerLogin['tokens'])
    const over = { issuer, save, tokens: { ...saved[0], expires_at: 0 } }
    expect(await emailOf(app.strategy, over)).toBe('please log in again')
  },

  'docs/after-login.md accounts.ts': async () => {
    const api = express()
    let calls = 0
    api.get('/accounts', ({ headers }, res) => {
      if (calls++ > 0) res.json([headers.authorization])
      else res.set('www-authenticate', 'Bearer error="invalid_token"').sendStatus(401)
    })
    const origin = await listen(api)
    const app = await appWith({
      strategy: {
        scope: ['openid', 'email', 'offline_access'],
        prompt: 'consent',
        resource_servers: [origin],
      },
    })
    await ended(app)
    const { accountsOf } = (await load('docs/after-login.md', 'accounts.ts', {
      "'https://api.bank.example/accounts'": `'${origin}/accounts'`,
    })) as { accountsOf: (...args: unknown[]) => Promise<unknown> }
    const saved: { access_token: string }[] = []
    const save = (one: { access_token: string }) => Promise.resolve(saved.push(one))
    const accounts = await accountsOf(app.strategy, app.logins[0], save)
    expect(accounts).toEqual([`Bearer ${saved[0]?.access_token ?? ''}`])
  },

  'docs/after-login.md alone.ts': async () => {
    const app = express()
    const url = await listen(app)
    const sandbox = await sandboxFor(url, '/auth/callback')
    standIn(sandbox.config)
    const { router } = (await load('docs/after-login.md', 'alone.ts', {
      'https://app.example': url,
      'client_id:': withPlatform,
    })) as { router: RequestHandler }
    app.use(sessions(), router)
    const browser = visitor()
    expect(JSON.parse((await logIn(browser, `${url}/auth`)).html)).toMatchObject({ name: 'Philip Lindqvist' })
    // An answer counts once.
    expect((await browser.open(answerOf(browser))).status).toBe(401)
  },

  'docs/checklist.md production.ts': async () => {
    const { useSessions } = (await load('docs/checklist.md', 'production.ts')) as {
      useSessions: (app: Express, store: session.Store) => void
    }
    delete process.env['SESSION_SECRET']
    const store = new session.MemoryStore()
    expect(() => {
      useSessions(express(), store)
    }).toThrow('SESSION_SECRET')
    process.env['SESSION_SECRET'] = 'test'
    const app = express()
    useSessions(app, store)
    app.get('/', (req, res) => {
      Object.assign(req.session, { visits: 1 })
      res.send('')
    })
    const { headers } = await fetch(await listen(app), { headers: { 'x-forwarded-proto': 'https' } })
    expect(headers.get('set-cookie')).toMatch(
      /^__Host-session=.*; Path=\/;.*; HttpOnly; Secure; SameSite=Lax$/,
    )
  },

  'docs/accounts.md identities.ts': async () => {
    const { accountRoutes } = (await load('docs/accounts.md', 'identities.ts')) as {
      accountRoutes: (
        options: object,
        accounts: object,
      ) => { router: RequestHandler; strategy: IDPartnerStrategy }
    }
    const identities = new Map<string, string>()
    const keyOf = (iss: string, sub: string): string => JSON.stringify([iss, sub])
    const accounts = {
      find: (iss: string, sub: string) => {
        const id = identities.get(keyOf(iss, sub))
        return Promise.resolve(id === undefined ? undefined : { id })
      },
      create: (iss: string, sub: string) => {
        const id = String(identities.size)
        identities.set(keyOf(iss, sub), id)
        return Promise.resolve({ id })
      },
      link: (id: string, iss: string, sub: string) => {
        if (identities.has(keyOf(iss, sub))) return Promise.resolve(false)
        identities.set(keyOf(iss, sub), id)
        return Promise.resolve(true)
      },
    }
    const app = express()
    const url = await listen(app)
    const sandbox = await sandboxFor(url, '/login/callback')
    const { router, strategy } = accountRoutes({ ...sandbox.config, jwks: await generateJwks() }, accounts)
    keepWholeUsers()
    app.use(jwksRouter(strategy.client), sessions(), passport.session() as RequestHandler, router)
    app.get('/login', passport.authenticate('idpartner') as RequestHandler)
    app.get(
      '/login/callback',
      passport.authenticate('idpartner', { successRedirect: '/', keepSessionInfo: true }) as RequestHandler,
    )
    app.get('/', (req, res) => {
      res.json(req.user ?? null)
    })
    const first = visitor()
    expect(JSON.parse((await logIn(first, `${url}/login`)).html)).toEqual({ id: '0' })
    const add = (browser: Browser): Promise<Page> => browser.open(`${url}/banks`, { method: 'POST' })
    expect((await atBank(first, await add(first), 'Harbour Savings')).html).toBe('{"id":"0"}')
    const second = visitor()
    const other = await atBank(second, await second.open(`${url}/login`), 'Northlight Credit Union')
    expect(other.html).toBe('{"id":"2"}')
    // What is another account's stays there.
    expect((await atBank(second, await add(second), 'Harbour Savings')).status).toBe(401)
    const third = visitor()
    expect((await atBank(third, await third.open(`${url}/login`), 'Harbour Savings')).html).toBe('{"id":"0"}')
    // Somebody else logs in while a bank is being added.
    const begun = await add(third)
    await atBank(third, await third.open(`${url}/login`), 'Northlight Credit Union')
    expect((await atBank(third, begun, 'Cedar & Finch')).status).toBe(401)
    expect(identities.size).toBe(3)
    expect((await add(visitor())).status).toBe(401)
  },

  'docs/step-up.md step-up.ts': async () => {
    const { payouts } = (await load('docs/step-up.md', 'step-up.ts')) as {
      payouts: (strategy: IDPartnerStrategy) => RequestHandler
    }
    const app = express()
    const url = await listen(app)
    const { strategy } = await strategyAt(url, ({ claims }) => ({ claims }))
    app.use(jwksRouter(strategy.client), sessions(), passport.session() as RequestHandler, payouts(strategy))
    const browser = visitor()
    const form = await logIn(browser, `${url}/payout`)
    expect(form).toMatchObject({ url: `${url}/payout`, status: 200 })
    expect((await browser.press(form, 'Pay out')).html).toBe('On its way')
    expect(await cancel(visitor(), `${url}/payout`)).toMatchObject({ status: 401 })
    expect(await visitor().open(`${url}/payout`, { method: 'POST' })).toMatchObject({ status: 401 })
  },

  'docs/age-gate.md shop.js': async () => {
    const url = await start('docs/age-gate.md', 'shop.js')
    const browser = visitor()
    expect((await logIn(browser, `${url}/tasting`)).url).toBe(`${url}/tasting`)
    // Who has just logged in pays at once.
    const pay = await browser.open(`${url}/pay`)
    expect((await browser.press(pay, 'Pay')).html).toBe('Thank you.')
    const young = visitor()
    const atLogin = await young.press(await young.open(`${url}/tasting`), 'Mikomo Bank')
    const twenty = { login: 'mikomo_20', password: 'mikomo_20' }
    const refused = await young.press(await young.press(atLogin, 'Log in', twenty), 'Share and continue')
    expect([refused.url, refused.status]).toEqual([`${url}/too-young`, 403])
    const bank = await browser.press(await browser.open(url), 'Log out')
    expect(textOf(bank.html)).toContain('Log out of Mikomo Bank?')
    expect((await browser.clone().open(url)).html).not.toContain('Log out')
    expect((await browser.press(bank, 'Log out')).url).toBe(`${url}/`)
    // And by a logout that begins at the bank.
    await logIn(browser, `${url}/login`)
    await browser.press(await browser.open(bank.url.replace(/\?.*/, '')), 'Log out')
    expect((await browser.open(url)).html).not.toContain('Log out')
    expect(await cancel(visitor(), `${url}/pay`)).toMatchObject({ status: 401 })
  },

  'docs/guards.md guards.ts': async () => {
    const { shop } = (await load('docs/guards.md', 'guards.ts')) as {
      shop: (strategy: IDPartnerStrategy) => RequestHandler
    }
    const app = express()
    const url = await listen(app)
    const { strategy } = await strategyAt(url, ({ claims }) => ({ claims }))
    app.use(jwksRouter(strategy.client), sessions(), passport.session() as RequestHandler, shop(strategy))
    const browser = visitor()
    expect(await logIn(browser, `${url}/orders`)).toMatchObject({ url: `${url}/orders`, html: 'Your orders' })
    expect(await logIn(browser, `${url}/wine`)).toMatchObject({ url: `${url}/wine`, html: 'Wine' })
    expect(await cancel(visitor(), `${url}/wine`)).toMatchObject({ status: 401 })
    expect(await browser.open(`${url}/payout`, { method: 'POST' })).toMatchObject({ status: 401 })
  },

  'docs/picker.md picker.ts': async () => {
    const { pickerRoutes } = (await load('docs/picker.md', 'picker.ts')) as {
      pickerRoutes: (strategy: IDPartnerStrategy) => RequestHandler
    }
    const app = express()
    const url = await listen(app)
    const sandbox = await startSandbox({
      client_id: 'my-app',
      callback: `${url}/login/callback`,
      jwks_uri: `${url}/jwks`,
      flow: 'direct',
    })
    closing.push(() => sandbox.close())
    const strategy = new IDPartnerStrategy({ ...sandbox.config, jwks: await generateJwks() }, (login) =>
      Promise.resolve({ bank: login.identityProvider.name }),
    )
    const passports = new passport.Passport()
    passports.use(strategy)
    const authenticate = passports.authenticate('idpartner', { session: false }) as RequestHandler
    app.use(jwksRouter(strategy.client), sessions(), pickerRoutes(strategy))
    app.get(['/login', '/login/callback'], authenticate, (req, res) => {
      res.json(req.user)
    })
    const browser = visitor()
    expect((await browser.open(url)).html).toContain('href="/banks"')
    expect((await browser.open(`${url}/bank-picker.css`)).headers.get('content-type')).toMatch('text/css')
    const { html } = await browser.open(`${url}/banks`)
    const [, href = ''] = /<a href="([^"]*)"><img src="[^"]*\/mikomo\/logo/.exec(html) ?? []
    expect(href).toMatch(/^\/login\?iss=/)
    const login = await browser.open(url + href)
    const home = await browser.press(await browser.press(login, 'Log in', anyone), 'Share and continue')
    expect(JSON.parse(home.html)).toEqual({ bank: 'Mikomo Bank' })
  },

  'docs/tenants.md named.ts': async () => {
    const { register } = (await load('docs/tenants.md', 'named.ts')) as {
      register: (tenants: Record<string, IDPartnerConfig>) => void
    }
    const app = await appWith({})
    register({ north: { ...app.sandbox.config, jwks: await generateJwks() } })
    const { _strategies: strategies } = passport as unknown as {
      _strategies: object
    }
    expect(Object.keys(strategies)).toContain('idpartner-north')
    passport.unuse('idpartner-north')
  },

  'docs/tenants.md tenants.ts': async () => {
    const { bankLogin } = (await load('docs/tenants.md', 'tenants.ts')) as {
      bankLogin: (find: (host: string) => Promise<IDPartnerConfig | undefined>) => { router: RequestHandler }
    }
    const app = express()
    const url = await listen(app)
    const sandbox = await sandboxFor(url, '/login/callback')
    const config = { ...sandbox.config, jwks: await generateJwks() }
    const { router } = bankLogin((host) => Promise.resolve(host === 'localhost' ? config : undefined))
    const authenticate = passport.authenticate('idpartner', { session: false }) as RequestHandler
    app.use(router, sessions())
    app.get(['/login', '/login/callback'], authenticate, (req, res) => {
      res.json(req.user)
    })
    expect(JSON.parse((await logIn(visitor(), `${url}/login`)).html)).toMatchObject({ tenant: 'localhost' })
    const error = console.error
    console.error = () => undefined
    const nobody = url.replace('localhost', '127.0.0.1')
    const { status } = await visitor()
      .open(`${nobody}/login`)
      .finally(() => {
        console.error = error
      })
    expect(status).toBe(404)
  },

  'docs/tenants.md deserialize.ts': async () => {
    await load('docs/tenants.md', 'deserialize.ts')
    const { _deserializers: known } = passport as unknown as {
      _deserializers: ((req: object, user: object, done: (err: unknown, user: unknown) => void) => void)[]
    }
    const found: unknown[] = []
    for (const hostname of ['north.example', 'south.example']) {
      known.at(-1)?.({ hostname }, { tenant: 'north.example' }, (_err, user) => found.push(user))
    }
    known.pop()
    expect(found).toEqual([{ tenant: 'north.example' }, false])
  },

  'docs/logout.md logout.ts': async () => {
    const { logoutRoutes, isLoggedOut, logouts } = (await load('docs/logout.md', 'logout.ts')) as {
      logoutRoutes: (strategy: IDPartnerStrategy) => RequestHandler
      isLoggedOut: (login: IDPartnerLogin) => boolean
      logouts: object[]
    }
    const app = express()
    const url = await listen(app)
    const sandbox = await startSandbox({
      client_id: 'my-app',
      callback: `${url}/login/callback`,
      jwks_uri: `${url}/jwks`,
      backchannel_logout_uri: `${url}/backchannel-logout`,
    })
    closing.push(() => sandbox.close())
    const strategy = new IDPartnerStrategy({ ...sandbox.config, jwks: await generateJwks() }, (login) =>
      Promise.resolve(login),
    )
    const passports = new passport.Passport()
    passports.use(strategy)
    passports.serializeUser((user, done) => {
      done(null, user)
    })
    passports.deserializeUser((user: Express.User, done) => {
      done(null, isLoggedOut(user as IDPartnerLogin) ? false : user)
    })
    app.use(jwksRouter(strategy.client), sessions(), passports.session() as RequestHandler)
    app.get('/', (req, res) => {
      res.send(req.user ? 'somebody' : 'nobody')
    })
    app.use(logoutRoutes(strategy))
    app.get('/login', passports.authenticate('idpartner') as RequestHandler)
    app.get(
      '/login/callback',
      passports.authenticate('idpartner', { successRedirect: '/' }) as RequestHandler,
    )
    const browser = visitor()
    expect((await logIn(browser, `${url}/login`)).html).toBe('somebody')
    const bank = await browser.open(`${url}/logout`, { method: 'POST' })
    expect(textOf(bank.html)).toContain('Log out of Mikomo Bank?')
    expect(logouts).toEqual([])
    expect((await browser.open(`${url}/`)).html).toBe('nobody')
    // In another tab the person is logged in again when the bank says so.
    await logIn(browser, `${url}/login`)
    const [{ issuer } = { issuer: '' }] = sandbox.banks
    await browser.press(await browser.open(`${issuer}/session/end`), 'Log out')
    expect(logouts).toHaveLength(1)
    expect((await browser.open(`${url}/`)).html).toBe('nobody')
  },

  'docs/receipt.md receipts.ts': async () => {
    const { file, prove } = (await load('docs/receipt.md', 'receipts.ts')) as {
      file: (login: object) => { vault: string; auditTrail: string }
      prove: (receipt: string, auditTrail: string, archive: object) => Promise<{ claims: object }>
    }
    const app = await appWith({ strategy: { receipt: true } })
    await ended(app)
    const [login] = app.logins
    const { vault, auditTrail } = file(login ?? {})
    const archive = await app.strategy.client.getPublicJWKs()
    expect(await prove(vault, auditTrail, archive)).toMatchObject({ claims: login?.claims })
    await expect(prove(`${vault} `, auditTrail, archive)).rejects.toThrow('not the receipt')
  },

  'docs/sandbox.md sandbox.ts': async () => {
    const child = run(folder.write('sandbox.ts', codeOf('docs/sandbox.md', 'sandbox.ts')))
    const lines: string[] = []
    for await (const line of createInterface({ input: child.stdout ?? process.stdin })) lines.push(line)
    expect(lines).toEqual([expect.stringMatching(/^http:\/\/localhost:\d+\/?$/), 'mikomo_10'])
  },

  'docs/sandbox.md next.ts': async () => {
    const { nextLoginIsCancelled } = (await load('docs/sandbox.md', 'next.ts')) as {
      nextLoginIsCancelled: (sandbox: Sandbox) => void
    }
    const app = await appWith({})
    nextLoginIsCancelled(app.sandbox)
    const browser = visitor()
    const { html } = await browser.press(await browser.open(`${app.url}/login`), 'Mikomo Bank')
    expect(JSON.parse(html)).toMatchObject({ failure: { code: 'access_denied' } })
    expect(await ended(app)).toMatchObject({ user: {} })
  },

  'docs/sessions.md cookie-session.ts': async () => {
    const { cookieSessionShim } = (await load('docs/sessions.md', 'cookie-session.ts')) as {
      cookieSessionShim: RequestHandler
    }
    const app = await appWith({ session: [cookieSession({ keys: ['secret'] }), cookieSessionShim] })
    expect(await ended(app)).toMatchObject({ user: {} })
  },

  'docs/testing.md own-people.ts': async () => {
    const { sandbox } = (await load('docs/testing.md', 'own-people.ts')) as { sandbox: Sandbox }
    closing.push(() => sandbox.close())
    expect(sandbox.banks).toMatchObject([
      { name: 'First Bank', personas: [{ login: 'minor', claims: { age_over_18: false } }, {}, {}, {}, {}] },
      { name: 'Club Bank', personas: [{ login: 'minor' }, { claims: { 'vc.Club': { since: 2020 } } }] },
    ])
  },

  'docs/testing.md of-a-network.ts': async () => {
    const { sandbox, refusals } = (await load('docs/testing.md', 'of-a-network.ts')) as {
      sandbox: Sandbox
      refusals: string[]
    }
    closing.push(() => sandbox.close())
    const body = new URLSearchParams({ client_id: 'my-app', scope: 'openid' })
    const { status } = await fetch(`${String(sandbox.banks[0]?.issuer)}/request`, { method: 'POST', body })
    expect(status).toBeGreaterThanOrEqual(400)
    expect(refusals).toEqual([
      expect.stringMatching(/^sandbox: Mikomo Bank refused a pushed request of my-app: /),
    ])
  },

  'docs/sessions.md redis-logins.ts': async () => {
    // A server of Redis is no part of these tests; test/deployments has one.
    const redis = new RedisMock()
    const { loginsInRedis } = (await load('docs/sessions.md', 'redis-logins.ts', {
      "import { createClient } from 'redis'": `const createClient = ({ url }) => globalThis.redisOf(url)`,
    })) as { loginsInRedis: (url: string) => Promise<LoginStore<object>> }
    Object.assign(globalThis, {
      redisOf: () => ({
        on: () => undefined,
        connect: () => Promise.resolve(),
        eval: (script: string, { keys, arguments: args }: { keys: string[]; arguments: string[] }) =>
          redis.eval(script, keys.length, ...keys, ...args),
      }),
    })
    const app = await appWith({ strategy: { store: await loginsInRedis('redis://redis.internal') } })
    const browser = visitor()
    expect(JSON.parse((await logIn(browser, `${app.url}/login`)).html)).toMatchObject({ user: {} })
    expect(JSON.parse((await browser.open(answerOf(browser))).html)).toMatchObject({
      failure: { code: 'login_missing', reason: 'already_used' },
    })
    redis.disconnect()
  },

  'docs/sessions.md store.ts': async () => {
    const { redisStore } = (await load('docs/sessions.md', 'store.ts')) as {
      redisStore: (redis: object) => LoginStore<object>
    }
    const kept = new Map<string, string>()
    const redis = {
      set: (key: string, value: string) => Promise.resolve(kept.set(key, value)),
      getDel: (key: string) => {
        const found = kept.get(key) ?? null
        kept.delete(key)
        return Promise.resolve(found)
      },
    }
    const app = await appWith({ strategy: { store: redisStore(redis) as never } })
    const browser = visitor()
    expect(JSON.parse((await logIn(browser, `${app.url}/login`)).html)).toMatchObject({ user: {} })
    expect(kept.size).toBe(0)
    expect(JSON.parse((await browser.open(answerOf(browser))).html)).toMatchObject({
      failure: { code: 'login_missing' },
    })
    // Another browser has no part in a login that waits.
    const begun = new Browser(`${app.url}/callback`)
    const { url: answer } = await logIn(begun, `${app.url}/login`)
    begun.stopAt = 'nowhere:'
    expect(JSON.parse((await visitor().open(answer)).html)).toMatchObject({
      failure: { code: 'login_missing' },
    })
    expect(JSON.parse((await begun.open(answer)).html)).toMatchObject({ user: {} })
  },
}

/** The examples are run as they stand, from the packed package: .ci/testing.mjs. */
for (const file of [
  'node.test.mjs',
  'esm.jest.mjs',
  'cjs.jest.cjs',
  'vitest.test.js',
  'playwright.spec.js',
]) {
  runs[`docs/testing.md ${file}`] = () => {
    expect(codeOf('docs/testing.md', file)).toBe(readFileSync(`examples/testing/${file}`, 'utf8'))
    return Promise.resolve()
  }
}

const nameOf = ({ page, file }: Snippet): string => `${page} ${file}`

test('every program of the pages has a file of its own, and is run here', () => {
  expect(programs.map(nameOf).sort()).toEqual([...Object.keys(runs), ...RUN_ELSEWHERE].sort())
})

describe('a block does what its page says', () => {
  test.each(Object.keys(runs))('%s', async (name) => {
    await runs[name]?.()
  })
})

test.each([
  ['README.md', 'app.js'],
  ['README.md', 'app.ts'],
  ['docs/quick-start.md', 'app.cjs'],
  ['docs/age-gate.md', 'shop.js'],
])(
  'the program of %s in %s ends where its port is taken, and does not say that it listens',
  async (page, file) => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, resolve))
    closing.push(() => once(other.close(), 'close'))
    const { port } = other.address() as AddressInfo
    const child = run(
      folder.write(`taken-${file}`, codeOf(page, file).replaceAll('3000', String(port))),
      'ignore',
    )
    let said = ''
    child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()))
    expect(await once(child, 'close')).toEqual([1, null])
    expect(said).toBe('')
  },
)

test('the TypeScript blocks compile', async () => {
  const compiled = new SnippetFolder('types')
  for (const { language, file, code } of programs)
    if (language === 'ts') compiled.write(file, `${code}\nexport {}\n`)
  const tsc = spawn(process.execPath, ['node_modules/typescript/bin/tsc', '-p', compiled.path])
  let problems = ''
  tsc.stdout.on('data', (chunk: Buffer) => (problems += chunk.toString()))
  await once(tsc, 'close')
  expect(problems).toBe('')
})
