import type { RequestListener } from 'node:http'
import { afterEach, describe, expect, test } from '@jest/globals'
import express, { type ErrorRequestHandler, type RequestHandler } from 'express'
import session from 'express-session'
import { Passport } from 'passport'
import { IDPartnerError, IDPartnerStrategy } from 'passport-idpartner'
import { logIn, requireFresh } from 'passport-idpartner/guards'
import { listen, type Listening } from '../support/listen.js'
import { newPerson, Platform, type BankName } from '../support/platform.js'
import type { Person } from '../support/bank.js'
import { fromNow, set, without } from '../support/bends.js'

const closing: { close: () => Promise<unknown> }[] = []
afterEach(async () => {
  for (const one of closing.splice(0).reverse()) await one.close()
})

interface Scene {
  visitor: Visitor
  platform: Platform
}

async function scene(flow: 'proxy' | 'direct' = 'proxy'): Promise<Scene> {
  const server = await listen()
  const platform = await Platform.start({ flow })
  closing.push(server, platform)
  const strategy = new IDPartnerStrategy(
    { ...(await platform.config()), passReqToCallback: false },
    ({ claims }) => Promise.resolve({ claims }),
  )
  const passport = new Passport()
  passport.use(strategy)
  passport.serializeUser((user, done) => {
    done(null, user)
  })
  passport.deserializeUser((user: Express.User, done) => {
    done(null, user)
  })
  const app = express()
  app.use(
    session({ secret: 'test', resave: false, saveUninitialized: false }),
    passport.session() as RequestHandler,
  )
  app.get(['/login', '/callback'], logIn(passport, strategy, { home: '/home' }))
  app.get('/fresh', requireFresh({ max_age: 300 }))
  app.get('/strong', requireFresh({ acr_values: 'urn:strong' }))
  app.get('/me', (req, res) => {
    res.json((req.user as { claims?: { sub?: string } } | undefined)?.claims?.sub ?? null)
  })
  const onError: ErrorRequestHandler = (err, _req, res, next) => {
    if (err instanceof IDPartnerError) res.status(err.status).json({ code: err.code })
    else next(err)
  }
  app.use(onError)
  server.serve(app as RequestListener)
  return { visitor: new Visitor(server, platform), platform }
}

interface Answer {
  status: number
  location: string | null
  body: string
}

type Claims = (claims: Record<string, unknown>) => Record<string, unknown>

/** A browser that goes to the bank by itself. */
class Visitor {
  #cookie = ''
  readonly #server: Listening
  readonly #platform: Platform

  constructor(server: Listening, platform: Platform) {
    this.#server = server
    this.#platform = platform
  }

  async open(path: string): Promise<Answer> {
    const response = await fetch(this.#server.url + path, {
      redirect: 'manual',
      headers: { cookie: this.#cookie, accept: 'text/html' },
    })
    this.#cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? this.#cookie
    return {
      status: response.status,
      location: response.headers.get('location'),
      body: await response.text(),
    }
  }

  async logIn(person?: Person, secondsAgo?: number): Promise<Answer> {
    const finish = await this.begin('/login')
    return finish(person, secondsAgo)
  }

  /** Begins a login and returns what brings its answer back. */
  async begin(
    path: string,
    bank?: BankName,
  ): Promise<(person?: Person, secondsAgo?: number, bend?: Claims) => Promise<Answer>> {
    const { location } = await this.open(path)
    const request = await this.#platform.request(location ?? '')
    return async (person = this.#platform.person, secondsAgo = 0, bend = (claims) => claims) => {
      const idToken = {
        claims: (claims: object) => bend({ ...claims, auth_time: this.#platform.now() - secondsAgo }),
      }
      const by = { person, ...(bank && { bank }) }
      const response = await this.#platform.answer(request, { idToken }, by)
      return this.open(`/callback?${new URLSearchParams({ response }).toString()}`)
    }
  }
}

describe('nobody is sent to another site after a login', () => {
  test.each([
    ['two slashes', '//evil.example'],
    ['a slash and a backslash', '/\\evil.example'],
    ['a backslash and a slash', '\\/evil.example'],
    ['a tab, which browsers drop', '/\t/evil.example'],
    ['a line feed, which browsers drop', '/\n/evil.example'],
    ['a carriage return', '/\r/evil.example'],
    ['a new header', '/x\r\nSet-Cookie: a=b'],
    ['a null', '/\0/evil.example'],
    ['a space before it', ' //evil.example'],
    ['a space within', '/ /evil.example'],
    ['an absolute URL', 'https://evil.example/'],
    ['a URL without slashes', 'https:evil.example'],
    ['a script', 'javascript:alert(1)'],
    ['a host alone', 'evil.example'],
    ['characters beyond ASCII', '/\u2215\u2215evil.example'],
    ['slashes of another width', '\uff0f\uff0fevil.example'],
    ['a byte order mark', '\ufeff//evil.example'],
    ['a tab before it', '\t//evil.example'],
    ['three slashes', '///evil.example'],
    ['a scheme in capitals', 'HTTPS:evil.example'],
    ['a host with a user', 'https://app.example@evil.example/'],
    ['slashes that are encoded twice', '%2F%2Fevil.example'],
    ['a query alone', '?//evil.example'],
    ['nothing', ''],
    ['more than a session may hold', `/${'x'.repeat(1000)}`],
  ])('by %s', async (_what, path) => {
    const { visitor } = await scene()
    const finish = await visitor.begin(`/login?${new URLSearchParams({ return_to: path }).toString()}`)
    expect(await finish()).toMatchObject({ status: 302, location: '/home' })
  })

  test('by a second value', async () => {
    const { visitor } = await scene()
    const finish = await visitor.begin('/login?return_to=//evil.example&return_to=/orders')
    expect(await finish()).toMatchObject({ location: '/home' })
  })

  test.each([
    '/%5Cevil.example',
    '/%09/evil.example',
    `/${'x'.repeat(999)}`,
    '/.//evil.example',
    '/%2F/evil.example',
    '/a//evil.example',
    '/@evil.example',
    '/orders?to=//x',
  ])('and %s is a path of this one', async (path) => {
    const { visitor } = await scene()
    const finish = await visitor.begin(`/login?${new URLSearchParams({ return_to: path }).toString()}`)
    const { location } = await finish()
    expect(location).toBe(path)
    expect(new URL(location ?? '', 'https://app.example/callback').origin).toBe('https://app.example')
  })

  test('by what stands beside the answer', async () => {
    const { visitor } = await scene()
    const finish = await visitor.begin('/login?return_to=/orders')
    const open = visitor.open.bind(visitor)
    visitor.open = (path) => open(`${path}&return_to=/other&again=1&state=x`)
    expect(await finish()).toMatchObject({ location: '/orders' })
  })
})

describe('a login that has to be by the same person', () => {
  test('is refused from another one, and the session keeps its user', async () => {
    const { visitor } = await scene()
    await visitor.logIn()
    const me = await visitor.open('/me')
    const finish = await visitor.begin('/login?again=1')
    expect(await finish(newPerson())).toMatchObject({ status: 403, body: '{"code":"access_denied"}' })
    expect(await visitor.open('/me')).toEqual(me)
  })

  test('is refused from another one also when nobody is logged in any more', async () => {
    const { visitor } = await scene()
    await visitor.logIn()
    const finish = await visitor.begin('/login?again=1')
    // Somebody else logs in in between: the session is a new one, in which the first login no longer waits.
    await visitor.logIn(newPerson())
    expect(await finish(newPerson())).toMatchObject({ status: 401, body: '{"code":"login_missing"}' })
  })

  test('is that of the person who was logged in, however a link words it', async () => {
    const { visitor } = await scene()
    await visitor.logIn(undefined, 1000)
    const { location } = await visitor.open('/fresh?person=other')
    expect(location).toBe('/login?return_to=%2Ffresh%3Fperson%3Dother&again=1')
    const finish = await visitor.begin(`${location ?? ''}&person=other`)
    expect(await finish(newPerson())).toMatchObject({ status: 403 })
    const again = await visitor.begin(location ?? '')
    expect(await again()).toMatchObject({ location: '/fresh?person=other' })
  })
})

describe('a login for a guard in the direct flow', () => {
  /** Somebody of bank A, whose login was long ago. */
  async function customer(): Promise<Scene & { stepUp: string }> {
    const { visitor, platform } = await scene('direct')
    const finish = await visitor.begin(`/login?iss=${encodeURIComponent(platform.bankA.issuer)}`)
    await finish(undefined, 1000)
    const { location } = await visitor.open('/fresh')
    return { visitor, platform, stepUp: location ?? '' }
  }

  test('leads straight to the bank of the person who is logged in, and back', async () => {
    const { visitor, platform, stepUp } = await customer()
    expect((await visitor.open(stepUp)).location).toMatch(`${platform.bankA.issuer}/`)
    const finish = await visitor.begin(stepUp)
    expect(await finish()).toMatchObject({ status: 302, location: '/fresh' })
  })

  test('leads to the page where a bank is chosen where nobody is logged in, whose bank it could be', async () => {
    const { visitor } = await scene('direct')
    const { location } = await visitor.open('/login?return_to=%2Ffresh&again=1')
    expect(new URL(location ?? '').pathname).toMatch(/select-accounts$/)
  })

  test.each<{ name: string; query: (platform: Platform) => string; bank: BankName; refused: object }>([
    {
      name: 'another bank, to which a link has led',
      query: ({ bankB }) => `&iss=${encodeURIComponent(bankB.issuer)}`,
      bank: 'bankB',
      refused: { status: 403, body: '{"code":"access_denied"}' },
    },
    {
      name: 'another bank than was asked',
      query: () => '',
      bank: 'bankB',
      refused: { status: 401, body: '{"code":"response_invalid"}' },
    },
  ])('is refused from $name, and the session keeps its user', async ({ query, bank, refused }) => {
    const { visitor, platform, stepUp } = await customer()
    const me = await visitor.open('/me')
    const finish = await visitor.begin(stepUp + query(platform), bank)
    expect(await finish()).toMatchObject(refused)
    expect(await visitor.open('/me')).toEqual(me)
  })

  test.each(['https://stranger.example', ''])('leads to no bank that a link names as "%s"', async (iss) => {
    const { visitor, stepUp } = await customer()
    const refused = await visitor.open(`${stepUp}&iss=${encodeURIComponent(iss)}`)
    expect(refused).toMatchObject({ status: 403, location: null, body: '{"code":"provider_refused"}' })
  })
})

describe('a login for a guard is refused, and the session keeps its user, when', () => {
  test.each<{ name: string; page: string; bend: Claims; status: number }>([
    { name: 'the bank does not say when it was', page: '/fresh', bend: without('auth_time'), status: 401 },
    { name: 'it was too long ago', page: '/fresh', bend: fromNow({ auth_time: -400 }), status: 401 },
    { name: 'it is still to come', page: '/fresh', bend: fromNow({ auth_time: 400 }), status: 502 },
    { name: 'its time is a text', page: '/fresh', bend: set({ auth_time: '0' }), status: 502 },
    { name: 'the bank does not say how it was', page: '/strong', bend: without('acr'), status: 401 },
    { name: 'it was by a weaker way', page: '/strong', bend: set({ acr: 'urn:weak' }), status: 401 },
    { name: 'its way has a like name', page: '/strong', bend: set({ acr: 'urn:stronger' }), status: 401 },
    { name: 'its ways are a list', page: '/strong', bend: set({ acr: ['urn:strong'] }), status: 502 },
  ])('$name', async ({ page, bend, status }) => {
    const { visitor } = await scene()
    await visitor.logIn(undefined, 1000)
    const me = await visitor.open('/me')
    for (let tries = 0; tries < 3; tries++) {
      const { location } = await visitor.open(page)
      expect(location).toBe(`/login?return_to=%2F${page.slice(1)}&again=1`)
      const finish = await visitor.begin(location ?? '')
      expect(await finish(undefined, 0, bend)).toMatchObject({ status, body: '{"code":"token_invalid"}' })
      expect(await visitor.open('/me')).toEqual(me)
    }
    // A person may do better next time; a bank that answers like this is not asked on and on.
    expect((await visitor.open(page)).status).toBe(status === 502 ? 403 : 302)
  })
})
