import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, describe, expect, test } from '@jest/globals'
import express from 'express'
import session from 'express-session'
import fc from 'fast-check'
import passport from 'passport'
import { IDPartnerStrategy } from 'passport-idpartner'
import type { AuthorizationRequest } from './support/client-checks.js'
import { travel, useClock } from './support/clock.js'
import { Platform } from './support/platform.js'

useClock()

const SECOND = 1000
/** Seconds. */
const TTL = 600
/** So many later logins may push one out of a session, by their number or by their size. */
const CROWD = 6

type Flow = 'proxy' | 'direct'

/** How a request to the application ended: a redirect, or what it answers. */
interface Ended {
  status: number
  location?: string
  sub?: string
  code?: string
  reason?: string
}

const closing: (() => Promise<unknown>)[] = []

afterAll(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** An application as its users write it, on express-session, which keeps what a session holds at login or not. */
async function startApp(flow: Flow, keepSessionInfo: boolean): Promise<{ platform: Platform; url: string }> {
  const platform = await Platform.start({ flow, encrypted: false })
  closing.push(() => platform.close())
  const passports = new passport.Passport()
  passports.use(
    new IDPartnerStrategy({ ...(await platform.config()), passReqToCallback: false }, ({ claims }) =>
      Promise.resolve({ sub: claims.sub }),
    ),
  )
  passports.serializeUser((user, done) => {
    done(null, user)
  })
  passports.deserializeUser((user: Express.User, done) => {
    done(null, user)
  })
  const app = express()
  app.set('env', 'test')
  app.use(session({ secret: 'for tests', resave: false, saveUninitialized: false }))
  app.use(passports.session() as express.RequestHandler)
  const authenticate: express.RequestHandler = (req, res, next) => {
    const ended = (err: unknown, user?: object | false, info?: object, status?: number): void => {
      if (err) next(err)
      else if (!user) res.status(status ?? 401).json({ ...info })
      else {
        req.logIn(user, { keepSessionInfo } as passport.LogInOptions, (failed) => {
          if (failed) next(failed)
          else res.json(user)
        })
      }
    }
    ;(passports.authenticate('idpartner', ended) as express.RequestHandler)(req, res, next)
  }
  app.get('/login', authenticate)
  app.get('/callback', authenticate)
  app.get('/logout', (req, res, next) => {
    req.logout((err) => {
      if (err) next(err)
      else res.json({})
    })
  })
  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- Express knows an error handler by its four parameters
  app.use(((err: { status?: number; code?: string }, _req, res, _next) => {
    res.status(err.status ?? 500).json({ code: err.code ?? 'unknown' })
  }) satisfies express.ErrorRequestHandler)
  const server = createServer(app as RequestListener).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  closing.push(() => new Promise((resolve) => server.close(resolve)))
  return { platform, url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}` }
}

/** What is known of a login that was begun. */
interface Login {
  request: AuthorizationRequest
  ends: number
  /** How many were begun before it. */
  place: number
  /** `lost` with the session it was in; `unsure` when it raced with a renewal of that. */
  is: 'waiting' | 'used' | 'lost' | 'unsure'
  /** What the browser has brought of it last, and when. */
  brought?: { path: string; at: number }
}

/** One browser, and what has to be true of it. */
class Journey {
  readonly #platform: Platform
  readonly #url: string
  readonly #keep: boolean
  readonly #logins: Login[] = []
  readonly #jar = new Map<string, string>()

  constructor({ platform, url }: { platform: Platform; url: string }, keep: boolean) {
    this.#platform = platform
    this.#url = url
    this.#keep = keep
  }

  async begin(): Promise<void> {
    const { flow, bankA } = this.#platform
    const query = flow === 'direct' ? `?${new URLSearchParams({ iss: bankA.issuer }).toString()}` : ''
    const { status, location = '' } = await this.#get(`/login${query}`)
    expect(status).toBe(302)
    const request = await this.#platform.request(location)
    const place = this.#logins.length
    this.#logins.push({ request, ends: Date.now() + TTL * SECOND, place, is: 'waiting' })
  }

  async finish(tab: number): Promise<void> {
    const login = this.#tab(tab)
    if (login) this.#expectEnd(login, await this.#bring(login))
  }

  /** The bank's own signed no. */
  async cancel(tab: number): Promise<void> {
    const login = this.#tab(tab)
    if (!login) return
    const said = this.#likely(login)
    const ended = await this.#get(await this.#answer(login, { error: 'access_denied' }))
    if (ended.code === 'access_denied') {
      expect(said).toContain('in')
      login.is = 'used'
    } else this.#expectMissing(login, ended)
  }

  /** What anybody may have written into an address. */
  async stray(tab: number): Promise<void> {
    const login = this.#tab(tab)
    const state = login?.request.state ?? 'none'
    const { status, code } = await this.#get(`/callback?error=access_denied&state=${state}`)
    expect(status).toBe(401)
    expect(['access_denied', 'login_missing']).toContain(code)
  }

  async reload(tab: number): Promise<void> {
    const login = this.#tab(tab)
    if (!login?.brought) return
    // IDPartner's document lives for a minute, and no answer for more than five.
    if (Date.now() - login.brought.at > 30 * SECOND) return
    this.#expectEnd(login, await this.#get(login.brought.path))
  }

  async doubleSubmit(tab: number): Promise<void> {
    const login = this.#tab(tab)
    if (!login) return
    const said = this.#likely(login)
    const path = await this.#answer(login)
    const ends = await Promise.all([this.#get(path), this.#get(path)])
    const inside = ends.filter(({ sub }) => sub !== undefined)
    if (inside.length === 0) {
      for (const one of ends) this.#expectMissing(login, one)
      return
    }
    expect(said).toContain('in')
    expect(inside).toHaveLength(1)
    expect(ends.find(({ sub }) => sub === undefined)).toMatchObject({ code: 'login_missing' })
    this.#entered(login)
  }

  /** Two tabs come back at once; Passport renews the session that both are in. */
  async finishTwo(tab: number, another: number): Promise<void> {
    const [first, second] = [this.#tab(tab), this.#tab(another)]
    if (!first || !second || first === second) return
    const said = [this.#likely(first), this.#likely(second)]
    const ends = await Promise.all([this.#bring(first), this.#bring(second)])
    const logins = [first, second]
    for (const [at, hoped] of said.entries()) {
      const { sub, code, status } = ends[at] ?? { status: 0 }
      if (sub !== undefined) expect(hoped).toContain('in')
      else expect({ code, status }).toEqual({ code: 'login_missing', status: 401 })
    }
    if (said.every((one) => one.join() === 'in')) expect(ends.some(({ sub }) => sub !== undefined)).toBe(true)
    const entered = logins.filter((_, at) => ends[at]?.sub !== undefined)
    for (const login of logins) if (!entered.includes(login) && login.is === 'waiting') login.is = 'unsure'
    for (const login of entered) this.#entered(login)
  }

  async prefetch(tab: number): Promise<void> {
    const login = this.#tab(tab)
    const paths = ['/login', ...(login ? [await this.#answer(login)] : [])]
    for (const path of paths) {
      expect((await this.#get(path, { headers: { 'sec-purpose': 'prefetch' } })).status).toBe(503)
      expect((await this.#get(path, { method: 'HEAD' })).status).toBe(503)
    }
  }

  async logout(): Promise<void> {
    expect((await this.#get('/logout')).status).toBe(200)
    for (const login of this.#logins) if (login.is !== 'used') login.is = 'lost'
  }

  /** No code was sent twice, whatever happened. */
  expectCodesOnce(): void {
    const codes = this.#platform.wire.requests
      .filter(({ endpoint }) => endpoint === 'bankA.token')
      .map(({ body }) => new URLSearchParams(body).get('code'))
    expect(new Set(codes).size).toBe(codes.length)
    expect(this.#platform.wire.complaints).toEqual([])
  }

  #tab(tab: number): Login | undefined {
    return this.#logins[tab % Math.max(this.#logins.length, 1)]
  }

  /** How an answer to this login may end now. */
  #likely({ is, ends, place }: Login): string[] {
    const isLive = Date.now() < ends
    const isCrowded = this.#logins.length - place > CROWD
    switch (is) {
      case 'waiting':
        return [isLive ? 'in' : 'expired', ...(isCrowded ? ['no_login'] : [])]
      case 'used':
        return isLive ? ['already_used'] : ['already_used', 'expired', 'no_login', 'no_session']
      case 'lost':
        return ['no_login', 'no_session']
      case 'unsure':
        return ['in', 'already_used', 'expired', 'no_login', 'no_session']
    }
  }

  #expectEnd(login: Login, ended: Ended): void {
    if (ended.sub === undefined) {
      this.#expectMissing(login, ended)
      return
    }
    expect(this.#likely(login)).toContain('in')
    expect(ended).toEqual({ status: 200, sub: this.#platform.person.sub })
    this.#entered(login)
  }

  #expectMissing(login: Login, { status, code, reason }: Ended): void {
    expect({ status, code }).toEqual({ status: 401, code: 'login_missing' })
    expect(this.#likely(login).filter((one) => one !== 'in' || login.is !== 'waiting')).toContain(reason)
  }

  #entered(login: Login): void {
    login.is = 'used'
    if (this.#keep) return
    for (const other of this.#logins) if (other.is !== 'used') other.is = 'lost'
  }

  async #bring(login: Login): Promise<Ended> {
    const path = await this.#answer(login)
    login.brought = { path, at: Date.now() }
    return this.#get(path)
  }

  async #answer(login: Login, instead?: { error: string }): Promise<string> {
    const response = await this.#platform.answer(
      login.request,
      instead && {
        answer: { claims: (claims) => ({ ...claims, code: undefined, ...instead }) },
      },
    )
    return `/callback?response=${response}`
  }

  async #get(path: string, init: RequestInit = {}): Promise<Ended> {
    const cookie = [...this.#jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(`${this.#url}${path}`, {
      redirect: 'manual',
      signal: AbortSignal.timeout(25_000),
      ...init,
      headers: { cookie, connection: 'close', ...(init.headers as Record<string, string>) },
    })
    for (const set of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? []
      this.#jar.set(name, value)
    }
    const text = await response.text()
    const { status } = response
    const location = response.headers.get('location')
    if (location !== null) return { status, location }
    const { sub, code, reason } = (text === '' ? {} : JSON.parse(text)) as Partial<Ended>
    return {
      status,
      ...(sub !== undefined && { sub }),
      ...(code !== undefined && { code }),
      ...(reason !== undefined && { reason }),
    }
  }
}

type Act = (journey: Journey) => Promise<void>

const tab = fc.nat({ max: 11 })
const named = <T>(name: string, of: fc.Arbitrary<T>, act: (value: T) => Act): fc.Arbitrary<Act> =>
  of.map((value) => Object.assign(act(value), { toString: () => `${name}(${JSON.stringify(value)})` }))

const act = fc.oneof(
  { weight: 5, arbitrary: named('begin', fc.constant(0), () => (journey) => journey.begin()) },
  { weight: 4, arbitrary: named('finish', tab, (at) => (journey) => journey.finish(at)) },
  { weight: 2, arbitrary: named('reload', tab, (at) => (journey) => journey.reload(at)) },
  named('cancel', tab, (at) => (journey) => journey.cancel(at)),
  named('stray', tab, (at) => (journey) => journey.stray(at)),
  named('doubleSubmit', tab, (at) => (journey) => journey.doubleSubmit(at)),
  named(
    'finishTwo',
    fc.tuple(tab, tab),
    ([at, other]) =>
      (journey) =>
        journey.finishTwo(at, other),
  ),
  named('prefetch', tab, (at) => (journey) => journey.prefetch(at)),
  named('logout', fc.constant(0), () => (journey) => journey.logout()),
  named('wait', fc.constantFrom(20, 200, TTL + 1), (seconds) => () => {
    travel(seconds * SECOND)
    return Promise.resolve()
  }),
)

describe.each<{ flow: Flow; keep: boolean }>([
  { flow: 'proxy', keep: true },
  { flow: 'proxy', keep: false },
  { flow: 'direct', keep: true },
  { flow: 'direct', keep: false },
])('whatever one browser does ($flow flow, keepSessionInfo: $keep)', ({ flow, keep }) => {
  test('each login that waits gets in once, and all else ends in the code that is documented', async () => {
    const app = await startApp(flow, keep)
    const deadline = performance.now() + 4000
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 25 }), async (acts) => {
        // As many as a busy machine can.
        if (performance.now() > deadline) return
        const journey = new Journey(app, keep)
        await journey.begin()
        for (const one of acts) await one(journey)
        journey.expectCodesOnce()
      }),
      { numRuns: 60 },
    )
  }, 60_000)
})
