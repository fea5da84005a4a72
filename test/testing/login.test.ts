import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import express, { type Express, type RequestHandler } from 'express'
import session from 'express-session'
import passport from 'passport'
import {
  IDPartnerStrategy,
  generateJwks,
  jwksRouter,
  type IDPartnerStrategyOptions,
} from 'passport-idpartner'
import { requireLogin } from 'passport-idpartner/guards'
import { startSandbox, type Sandbox, type SandboxOptions } from 'passport-idpartner/sandbox'
import { login, loginOnPage } from 'passport-idpartner/testing'
import { freePort } from '../support/free-port.js'

const open: (() => Promise<unknown>)[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map((close) => close()))
})

async function listen(server: Server, port = 0): Promise<Server> {
  server.listen(port, 'localhost')
  await once(server, 'listening')
  open.push(async () => {
    server.closeAllConnections()
    server.close()
    if (server.listening) await once(server, 'close')
  })
  return server
}

interface Tried {
  app: Express
  sandbox: Sandbox
  origin: string
}

/** An application as its developer tests it: it does not listen. */
async function makeApp(
  options: Partial<SandboxOptions> = {},
  strategy: Partial<IDPartnerStrategyOptions> = {},
): Promise<Tried> {
  const origin = `http://localhost:${String(await freePort())}`
  const sandbox = await startSandbox({
    client_id: 'tested',
    callback: `${origin}/login/callback`,
    jwks_uri: `${origin}/jwks`,
    ...options,
  })
  open.push(() => sandbox.close())
  const authenticator = new passport.Passport()
  const idpartner = new IDPartnerStrategy(
    { ...sandbox.config, jwks: await generateJwks(), ...strategy, passReqToCallback: false },
    (one) => Promise.resolve(one.claims),
  )
  authenticator.use(idpartner)
  authenticator.serializeUser((user, done) => {
    done(null, user)
  })
  authenticator.deserializeUser((user: object, done) => {
    done(null, user)
  })
  const app = express()
  app.use(jwksRouter(idpartner.client))
  app.use(session({ secret: 'a test', resave: false, saveUninitialized: false }))
  app.use(authenticator.session())
  const authenticate = (options: object): RequestHandler =>
    authenticator.authenticate('idpartner', { failWithError: true, ...options }) as RequestHandler
  app.get('/login', authenticate({}))
  app.get('/login/callback', authenticate({ successRedirect: '/me' }))
  app.get('/me', (req, res) => {
    res.status(req.user ? 200 : 401).json(req.user ?? {})
  })
  return { app, sandbox, origin }
}

const claimsOf = (page: { text: string }) => JSON.parse(page.text) as Record<string, unknown>

describe.each(['proxy', 'direct'] as const)('a login without a browser (%s flow)', (flow) => {
  test('logs in at an app that does not listen, and brings its cookies', async () => {
    const { app, sandbox, origin } = await makeApp({ flow })
    const { page, cookie, jar } = await login(app, { sandbox })
    expect(page).toMatchObject({ url: `${origin}/me`, status: 200 })
    // So that no later login is sent into a connection that has ended with this one.
    expect(page.headers.get('connection')).toBe('close')
    expect(claimsOf(page)).toMatchObject({ iss: sandbox.banks[0]?.issuer, name: 'Philip Lindqvist' })
    expect(cookie).toMatch(/^connect\.sid=/)
    await listen(createServer(app), Number(new URL(origin).port))
    const again = await fetch(`${origin}/me`, { headers: { cookie } })
    expect(await again.json()).toEqual(claimsOf(page))
    expect(await jar.getCookieString(origin)).toBe(cookie)
  })

  test('at the bank and as the person that the test names', async () => {
    const { app, sandbox } = await makeApp({ flow })
    const { page } = await login(app, { sandbox, bank: 'Harbour Savings', persona: 'mikomo_30' })
    expect(claimsOf(page)).toMatchObject({ iss: sandbox.banks[1]?.issuer, name: 'Ines Ferreira' })
    const other = await login(app, { sandbox, bank: 'cedar' })
    expect(claimsOf(other.page)).toMatchObject({ name: 'Eleanor Whitcombe' })
  })

  test('ends where the app leads when the login goes wrong', async () => {
    const { app, sandbox, origin } = await makeApp({ flow })
    sandbox.next({ fault: 'access_denied' })
    const { page } = await login(app, { sandbox })
    expect(page.status).toBe(401)
    expect(page.url).toContain(`${origin}/login/callback`)
  })
})

describe('an app that listens is taken', () => {
  test.each([
    ['as its server', (server: Server) => server],
    ['by its URL', (_: Server, origin: string) => origin],
    ['by its URL as an object', (_: Server, origin: string) => new URL('/somewhere', origin)],
  ])('%s, and goes on', async (_name, given) => {
    const { app, sandbox, origin } = await makeApp({ banks: [{ name: 'A Bank' }] })
    const server = await listen(createServer(app), Number(new URL(origin).port))
    const one = await login(given(server, origin), { sandbox })
    expect(one.page.status).toBe(200)
    const again = await one.fetch('/me')
    expect(await again.json()).toEqual(claimsOf(one.page))
  })

  test('but not where something else listens', async () => {
    const { app, sandbox, origin } = await makeApp({ banks: [{ name: 'A Bank' }] })
    await listen(createServer(), Number(new URL(origin).port))
    await expect(login(app, { sandbox })).rejects.toThrow(`login: the app cannot listen at ${origin}`)
  })
})

test.each([
  [{ bank: 'nobody' }, /option "bank" is "nobody"; there are mikomo, Mikomo Bank, .*Cedar & Finch$/],
  [{ persona: 'nobody' }, /option "persona" is "nobody"; there are mikomo_10, .*mikomo_40$/],
])('whom the sandbox does not have is refused: %j', async (whom, message) => {
  const { app, sandbox } = await makeApp()
  await expect(login(app, { sandbox, ...whom })).rejects.toThrow(message)
})

test('a page of the sandbox from which nobody gets on is an error that repeats it', async () => {
  const { app, sandbox } = await makeApp({
    banks: [{ name: 'A Bank' }],
    jwks_uri: 'http://localhost:1/jwks',
  })
  await expect(login(app, { sandbox })).rejects.toThrow(/^login: the sandbox does not go on at .*jwks/)
})

test('a login begins where the test says', async () => {
  const { app, sandbox } = await makeApp({ banks: [{ name: 'A Bank' }] })
  app.get('/join', (_req, res) => {
    res.redirect('/login')
  })
  const { page } = await login(app, { sandbox, path: '/join' })
  expect(page.status).toBe(200)
  // As a browser, which a guard sends to log in.
  app.get('/orders', requireLogin(), (_req, res) => {
    res.send('no orders yet')
  })
  expect((await login(app, { sandbox, path: '/orders' })).page.status).toBe(200)
})

describe("people and banks of the app's own", () => {
  const banks = [
    { name: 'Zürich & Söhne', personas: [{ login: 'anna', password: 'geheim', claims: { name: 'Anna' } }] },
    { name: 'Other Bank', id: 'other', tagline: 'The other one' },
  ]

  test('take the place of those of the sandbox', async () => {
    const { app, sandbox } = await makeApp({ banks })
    expect(sandbox.banks).toMatchObject([
      { id: 'zurich-sohne', name: 'Zürich & Söhne', personas: [{ login: 'anna', password: 'geheim' }] },
      { id: 'other', personas: [{ login: 'mikomo_10' }, {}, {}, {}] },
    ])
    const { page } = await login(app, { sandbox, persona: 'anna' })
    expect(claimsOf(page)).toMatchObject({ iss: sandbox.banks[0]?.issuer, name: 'Anna' })
    expect(claimsOf(page)).not.toHaveProperty('email')
  })

  test('are at every bank, each of which knows them by a sub of its own', async () => {
    const personas = [
      { login: 'mikomo_10', claims: { name: 'Somebody Else' } },
      { login: 'minor', claims: { age_over_21: false, 'vc.Club': { since: 2020 }, sub: 'the-minor' } },
    ]
    const scope = ['openid', 'age_over_21', 'vc.Club']
    const { app, sandbox } = await makeApp({ personas }, { scope })
    const [first, second] = sandbox.banks
    expect(first?.personas).toMatchObject([
      { login: 'mikomo_10', claims: { name: 'Somebody Else' } },
      { login: 'minor' },
      { login: 'mikomo_20' },
      {},
      {},
    ])
    expect(first?.personas[0]?.claims.sub).not.toBe(second?.personas[0]?.claims.sub)
    const { page } = await login(app, { sandbox, persona: 'minor' })
    expect(claimsOf(page)).toMatchObject({
      sub: 'the-minor',
      age_over_21: false,
      'vc.Club': { since: 2020 },
    })
  })

  test.each<[string, Partial<SandboxOptions>, string]>([
    ['no bank', { banks: [] }, 'option "banks" must not be an empty list'],
    ['a bank without a name', { banks: [{}] as never }, 'option "banks"'],
    [
      'two banks of one id',
      { banks: [{ name: 'A B' }, { name: 'A-B' }] },
      'option "banks" must not have an id twice',
    ],
    [
      'a name that leaves no id',
      { banks: [{ name: '銀行' }] },
      'option "banks" must have an id of small letters',
    ],
    [
      'an id with a slash',
      { banks: [{ name: 'A', id: 'a/b' }] },
      'option "banks" must have an id of small letters',
    ],
    ['a person without a login', { personas: [{ login: '' }] }, 'option "personas" must not be empty'],
    [
      'a login twice',
      { personas: [{ login: 'a' }, { login: 'a' }] },
      'option "personas" must not have a login twice',
    ],
    [
      'a sub twice',
      {
        personas: [
          { login: 'a', claims: { sub: '1' } },
          { login: 'b', claims: { sub: '1' } },
        ],
      },
      'option "personas" must not have a sub twice',
    ],
    [
      'claims that are none',
      { personas: [{ login: 'a', claims: 'x' as never }] },
      'option "personas" must hold claims',
    ],
    ['what is not known', { personas: [{ login: 'a', clams: {} } as never] }, 'option "personas"'],
  ])('are refused: %s', async (_name, options, message) => {
    const started = startSandbox({
      client_id: 'x',
      callback: 'http://localhost:1/cb',
      jwks_uri: 'http://localhost:1/jwks',
      ...options,
    })
    await expect(started).rejects.toThrow(message)
  })
})

test.each(['proxy', 'direct'] as const)(
  'a scope or claim that no bank knows is warned of, once (%s flow)',
  async (flow) => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    try {
      const claims = { id_token: { nickname: null, email: null } }
      const asked = { scope: ['openid', 'age_over_12', 'profile', 'offline_access'], claims }
      const { app, sandbox } = await makeApp({ flow, banks: [{ name: 'A Bank' }] }, asked)
      await login(app, { sandbox })
      await login(app, { sandbox })
      const options = { type: 'SandboxWarning', code: 'SANDBOX_UNKNOWN_CLAIM' }
      expect(
        warn.mock.calls.filter(([, given]) => (given as { type?: string }).type === options.type),
      ).toEqual(
        ['age_over_12', 'nickname'].map((name) => [expect.stringContaining(`A Bank for "${name}"`), options]),
      )
    } finally {
      warn.mockRestore()
    }
  },
)

test('in a browser it presses the same buttons', async () => {
  const { sandbox } = await makeApp({
    banks: [{ name: 'A Bank', personas: [{ login: 'anna', password: 'b' }] }],
  })
  const done: string[] = []
  await loginOnPage(
    {
      getByRole: (role, { name }) => ({
        click: () => Promise.resolve(void done.push(`${role} ${String(name)}`)),
      }),
      getByLabel: (label) => ({ fill: (value) => Promise.resolve(void done.push(`${label}: ${value}`)) }),
    },
    { sandbox },
  )
  expect(done).toEqual([
    'button A Bank',
    'Login: anna',
    'Password: b',
    'button Log in',
    'button Share and continue',
  ])
})
