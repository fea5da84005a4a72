import type { RequestListener } from 'node:http'
import { afterEach, describe, expect, test } from '@jest/globals'
import express, { type Express, type RequestHandler } from 'express'
import session from 'express-session'
import { Passport } from 'passport'
import {
  IDPartnerError,
  IDPartnerStrategy,
  generateJwks,
  jwksRouter,
  type IDPartnerStrategyOptions,
} from 'passport-idpartner'
import { logIn, requireClaims, requireFresh, requireLogin } from 'passport-idpartner/guards'
import { startSandbox, type Sandbox } from 'passport-idpartner/sandbox'
import { createApp } from '../../examples/age-gate/app.js'
import { Browser, textOf, type Page } from '../support/browser.js'
import { listen } from '../support/listen.js'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

type Flow = 'proxy' | 'direct'

async function start(
  make: (config: IDPartnerStrategyOptions) => Express,
  flow: Flow = 'proxy',
): Promise<{ url: string; sandbox: Sandbox }> {
  const server = await listen()
  closing.push(() => server.close())
  const { url } = server
  const sandbox = await startSandbox({
    client_id: 'guarded',
    callback: `${url}/login/callback`,
    jwks_uri: `${url}/jwks`,
    flow,
  })
  closing.push(() => sandbox.close())
  server.serve(make({ ...sandbox.config, jwks: await generateJwks() }) as RequestListener)
  return { url, sandbox }
}

/** Goes through the selector, the bank's login and its consent page; returns that page and where it ends. */
async function visitBank(browser: Browser, selector: Page, as = 'mikomo_10'): Promise<[Page, Page]> {
  const login = await browser.press(selector, 'Mikomo Bank')
  const consent = await browser.press(login, 'Log in', { login: as, password: as })
  return [consent, await browser.press(consent, 'Share and continue')]
}

/** The same for somebody who is logged in; in the direct flow nobody asks them for their bank. */
async function logInAgain(browser: Browser, page: Page, flow: Flow, as = 'mikomo_10'): Promise<[Page, Page]> {
  if (flow === 'proxy') return visitBank(browser, page, as)
  const consent = await browser.press(page, 'Log in', { login: as, password: as })
  return [consent, await browser.press(consent, 'Share and continue')]
}

describe.each<Flow>(['proxy', 'direct'])('an age gate, in the %s flow', (flow) => {
  test('asks who comes along for their age, and brings them back to the page they opened', async () => {
    const { url } = await start(createApp, flow)
    const browser = new Browser()
    const [consent, page] = await visitBank(browser, await browser.open(`${url}/tasting?glass=2`))
    expect(textOf(consent.html)).toContain('21 or older')
    expect(page.url).toBe(`${url}/tasting?glass=2`)
    expect(page.html).toContain('A glass of red')
  })

  test('shows who is too young the page of the application, without another login', async () => {
    const { url } = await start(createApp, flow)
    const browser = new Browser()
    const [, page] = await visitBank(browser, await browser.open(`${url}/tasting`), 'mikomo_20')
    expect([page.url, page.status]).toEqual([`${url}/too-young`, 403])
  })

  test('asks somebody who is logged in without their age for one more login', async () => {
    const { url } = await start(createApp, flow)
    const browser = new Browser()
    const [consent, orders] = await visitBank(browser, await browser.open(`${url}/orders`))
    expect([textOf(consent.html).includes('21 or older'), orders.url]).toEqual([false, `${url}/orders`])
    const [again, page] = await logInAgain(browser, await browser.open(`${url}/tasting`), flow)
    expect([textOf(again.html).includes('21 or older'), page.url]).toEqual([true, `${url}/tasting`])
    // Two guards, of which the second wants a login of its own: with what the first one wants.
    const [third, pay] = await logInAgain(browser, await browser.open(`${url}/pay`), flow)
    expect([textOf(third.html).includes('21 or older'), pay.url]).toEqual([true, `${url}/pay`])
    expect((await browser.press(pay, 'Pay')).html).toContain('Thank you')
  })
})

describe('a login that a guard asked for', () => {
  test('keeps the user of the session: another person is refused', async () => {
    const { url } = await start(withGuards)
    const browser = new Browser()
    const [, first] = await visitBank(browser, await browser.open(`${url}/me`))
    const before = JSON.parse(first.html) as unknown
    const [, page] = await visitBank(browser, await browser.open(`${url}/fresh`), 'mikomo_40')
    expect([page.status, JSON.parse(page.html)]).toMatchObject([403, { code: 'access_denied' }])
    expect(JSON.parse((await browser.open(`${url}/me`)).html)).toEqual(before)
    // And the same person goes on.
    const [, fresh] = await visitBank(browser, await browser.open(`${url}/fresh`))
    expect(JSON.parse(fresh.html)).toEqual(before)
  })

  test('is no other than that of the person who began it, whoever is logged in when it ends', async () => {
    const { url } = await start(withGuards)
    const browser = new Browser()
    await visitBank(browser, await browser.open(`${url}/me`))
    const begun = await browser.open(`${url}/fresh`)
    // In another tab somebody else logs in, of their own will.
    const [, other] = await visitBank(browser, await browser.open(`${url}/login`), 'mikomo_40')
    expect(other.url).toBe(`${url}/`)
    const now = JSON.parse((await browser.open(`${url}/me`)).html) as unknown
    const [, page] = await visitBank(browser, begun)
    expect(page.status).toBeGreaterThanOrEqual(401)
    expect(JSON.parse((await browser.open(`${url}/me`)).html)).toEqual(now)
  })

  test('that does not bring what is wanted is not asked for again', async () => {
    const { url } = await start(withGuards)
    const browser = new Browser()
    const [, page] = await visitBank(browser, await browser.open(`${url}/unicorns`))
    expect([page.url, page.status]).toEqual([`${url}/unicorns`, 403])
    expect((await browser.open(`${url}/unicorns`)).status).toBe(403)
  })

  test('that is cancelled leaves everything as it was, and may be tried again', async () => {
    const { url } = await start(withGuards)
    const browser = new Browser()
    await visitBank(browser, await browser.open(`${url}/me`))
    for (let tries = 0; tries < 4; tries++) {
      const cancelled = await browser.press(await browser.open(`${url}/fresh`), 'Cancel')
      expect([cancelled.status, JSON.parse(cancelled.html)]).toMatchObject([401, { code: 'access_denied' }])
    }
    const [, page] = await visitBank(browser, await browser.open(`${url}/fresh`))
    expect(page.url).toBe(`${url}/fresh`)
  })

  test("asks for what all logins ask for as well: the strategy's own claims stay", async () => {
    const { url } = await start((config) =>
      withGuards({ ...config, claims: { id_token: { email: { essential: true } } } }),
    )
    const browser = new Browser()
    const [consent, page] = await visitBank(browser, await browser.open(`${url}/adults`))
    expect(textOf(consent.html)).toMatch(/Email address.*21 or older/)
    expect(JSON.parse(page.html)).toMatchObject({ email: expect.any(String), age_over_21: true })
  })
})

test('the Back button after a login leads home', async () => {
  const { url } = await start(withGuards)
  const browser = new Browser()
  await visitBank(browser, await browser.open(`${url}/me`))
  const answer = browser.visited.findLast((one) => one.includes('response='))
  expect((await browser.open(answer ?? '')).url).toBe(`${url}/`)
  expect((await new Browser().open(answer ?? '')).status).toBe(401)
})

test('a strategy may be registered by any name', async () => {
  const { url } = await start((config) => withGuards(config, undefined, { as: 'bank' }))
  const browser = new Browser()
  const [, page] = await visitBank(browser, await browser.open(`${url}/me`))
  expect(page).toMatchObject({ url: `${url}/me`, status: 200 })
})

test('nobody comes back to the login route, which would begin the next login', async () => {
  const { url } = await start(withGuards)
  const browser = new Browser()
  const [, page] = await visitBank(browser, await browser.open(`${url}/login?return_to=/Login/`))
  expect(page.url).toBe(`${url}/`)
})

test('a home that is the login route is said, and no login begins', async () => {
  const { url } = await start((config) => withGuards(config, undefined, { home: '/login' }))
  const { status, html } = await new Browser().open(`${url}/login`)
  expect([status, JSON.parse(html)]).toEqual([
    500,
    { code: 'config_invalid', message: expect.stringContaining('"home"') },
  ])
})

describe('what else was in the session', () => {
  test.each([
    ['stays when a stranger logs in', undefined, 'mikomo_10', ['/basket']],
    ['stays when the same person logs in again', 'mikomo_10', 'mikomo_10', ['/basket']],
    ['is gone when another person logs in', 'mikomo_10', 'mikomo_40', []],
  ])('%s', async (_what, before, then, kept) => {
    const { url } = await start(withGuards)
    const browser = new Browser()
    if (before) await visitBank(browser, await browser.open(`${url}/login`), before)
    await browser.open(`${url}/basket`)
    await visitBank(browser, await browser.open(`${url}/login`), then)
    expect(JSON.parse((await browser.open(`${url}/kept`)).html)).toEqual(kept)
  })
})

test('an application without claims in its users logs people in all the same', async () => {
  const { url } = await start((config) => withGuards(config, () => ({ id: 7 })))
  const browser = new Browser()
  for (const page of ['/me', '/login']) {
    const [, { status }] = await visitBank(
      browser,
      await browser.open(page === '/me' ? url + page : `${url}/login`),
    )
    expect(status).toBe(200)
  }
  expect(JSON.parse((await browser.open(`${url}/me`)).html)).toEqual({ id: 7 })
})

/** An application that says in JSON what became of a request. */
function withGuards(
  config: IDPartnerStrategyOptions,
  userOf: (claims: object) => object = (claims) => ({ claims }),
  { as, home }: { as?: string; home?: string } = {},
): Express {
  const passport = new Passport()
  const scope = ['openid']
  const strategy = new IDPartnerStrategy({ scope, ...config, passReqToCallback: false }, ({ claims }) =>
    Promise.resolve(userOf(claims)),
  )
  if (as === undefined) passport.use(strategy)
  else passport.use(as, strategy)
  passport.serializeUser((user, done) => {
    done(null, user)
  })
  passport.deserializeUser((user: Express.User, done) => {
    done(null, user)
  })
  const app = express()
  app.use(jwksRouter(strategy.client))
  app.use(
    session({ secret: 'test', resave: false, saveUninitialized: false }),
    passport.session() as RequestHandler,
  )
  app.get(['/login', '/login/callback'], logIn(passport, strategy, { home }))
  const me: RequestHandler = (req, res) => {
    const { claims, ...user } = req.user as { claims?: Record<string, unknown> }
    const { sub, email, age_over_21 } = claims ?? {}
    res.json({ ...user, ...(sub !== undefined && { sub, email, age_over_21 }) })
  }
  app.get('/me', requireLogin(), me)
  app.get('/fresh', requireFresh({ max_age: 300 }), me)
  app.get('/adults', requireClaims({ age_over_21: true }), me)
  app.get('/unicorns', requireClaims({ unicorns: true }), me)
  app.get('/basket', (req, res) => {
    Object.assign(req.session, { basket: '/basket' })
    res.json('')
  })
  app.get('/kept', (req, res) => {
    res.json([(req.session as { basket?: string }).basket].filter(Boolean))
  })
  app.get('/', (_req, res) => {
    res.json('home')
  })
  const onError: express.ErrorRequestHandler = (err, _req, res, next) => {
    if (err instanceof IDPartnerError) res.status(err.status).json({ code: err.code, message: err.message })
    else next(err)
  }
  app.use(onError)
  return app
}
