import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import type { AddressInfo, Server } from 'node:net'
import { Authenticator as FastifyAuthenticator } from '@fastify/passport'
import secureSession from '@fastify/secure-session'
import { afterEach, describe, expect, test } from '@jest/globals'
import 'reflect-metadata'
import * as Nest from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { AuthGuard, PassportStrategy } from '@nestjs/passport'
import connect, { type NextHandleFunction } from 'connect'
import cookieSession from 'cookie-session'
import express, { type RequestHandler } from 'express'
import session from 'express-session'
import fastify from 'fastify'
import Koa from 'koa'
import { KoaPassport } from 'koa-passport'
import koaSession from 'koa-session'
import passport from 'passport'
import { IDPartnerStrategy, type IDPartnerConfig, type IDPartnerLogin } from 'passport-idpartner'
import { Platform } from './support/platform.js'

const SECRET = 'a secret of at least 32 characters'

/** An application with the routes `/login` and `/callback`, which answers the callback with its user. */
type Application = (config: IDPartnerConfig) => Promise<{ server: Server; close: () => Promise<unknown> }>

const user = ({ claims }: IDPartnerLogin): Promise<{ sub: string }> => Promise.resolve({ sub: claims.sub })

const onExpress =
  (
    makeSession: () => RequestHandler[],
    strategyOf: (config: IDPartnerConfig) => passport.Strategy,
  ): Application =>
  (config) => {
    const authenticator = new passport.Passport()
    authenticator.use('idpartner', strategyOf(config))
    authenticator.serializeUser((person, done) => {
      done(null, person)
    })
    authenticator.deserializeUser((person: Express.User, done) => {
      done(null, person)
    })
    const app = express()
    app.use(...makeSession(), authenticator.session() as RequestHandler)
    app.get('/login', authenticator.authenticate('idpartner') as RequestHandler)
    // Passport renews the session at login, in which a second tab's login may be waiting.
    const finish = authenticator.authenticate('idpartner', { keepSessionInfo: true }) as RequestHandler
    app.get('/callback', finish, (req, res) => {
      res.json(req.user)
    })
    const server = app.listen(0, '127.0.0.1')
    return listening(server)
  }

const nodeSession = (): RequestHandler[] => [
  session({ secret: SECRET, resave: false, saveUninitialized: false }),
]

/** As docs/sessions.md has it. */
const cookieSessionShim: RequestHandler = (req, _res, next) => {
  const renewable = req.session as unknown as Record<string, unknown>
  renewable['regenerate'] ??= (done: () => void) => {
    done()
  }
  renewable['save'] ??= (done: () => void) => {
    done()
  }
  next()
}

const cookies = (): RequestHandler[] => [cookieSession({ keys: [SECRET] }), cookieSessionShim]

const onFastify: Application = async (config) => {
  const authenticator = new FastifyAuthenticator()
  authenticator.use('idpartner', new IDPartnerStrategy({ ...config, passReqToCallback: false }, user))
  const app = fastify()
  await app.register(secureSession, { secret: SECRET, salt: 'sixteen letters!', cookie: { path: '/' } })
  await app.register(authenticator.initialize())
  app.get('/login', { preValidation: authenticator.authenticate('idpartner', { session: false }) }, () => '')
  app.get(
    '/callback',
    { preValidation: authenticator.authenticate('idpartner', { session: false }) },
    (req) => req.user,
  )
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { server: app.server, close: () => app.close() }
}

const onKoa: Application = (config) => {
  const authenticator = new KoaPassport()
  authenticator.use('idpartner', new IDPartnerStrategy({ ...config, passReqToCallback: false }, user))
  const app = new Koa()
  app.keys = [SECRET]
  app.silent = true
  app.use(koaSession(app))
  app.use(authenticator.initialize())
  app.use(authenticator.authenticate('idpartner', { session: false }))
  app.use((ctx) => {
    ctx.body = ctx.state['user'] as object
  })
  return listening(app.listen(0, '127.0.0.1'))
}

/** Its response has no `redirect`, and its request no `res`. */
const connectApp = (
  config: IDPartnerConfig,
  finish: (authenticator: passport.Authenticator) => unknown,
): ReturnType<Application> => {
  const authenticator = new passport.Passport()
  authenticator.use(new IDPartnerStrategy({ ...config, passReqToCallback: false }, user))
  authenticator.serializeUser((person, done) => {
    done(null, person)
  })
  authenticator.deserializeUser((person: Express.User, done) => {
    done(null, person)
  })
  const app = connect()
  for (const use of nodeSession()) app.use(use as unknown as NextHandleFunction)
  app.use(authenticator.session() as NextHandleFunction)
  app.use('/login', authenticator.authenticate('idpartner') as NextHandleFunction)
  app.use('/callback', finish(authenticator) as NextHandleFunction)
  app.use((req, res) => {
    res.setHeader('content-type', 'application/json')
    res.end(JSON.stringify((req as { user?: object }).user ?? null))
  })
  return listening(createServer(app).listen(0, '127.0.0.1'))
}

const onConnect: Application = (config) =>
  connectApp(config, (authenticator) => authenticator.authenticate('idpartner', { keepSessionInfo: true }))

/** What Nest makes of a strategy: a class whose `validate` stands in for verify. */
class NestStrategy extends PassportStrategy(IDPartnerStrategy, 'idpartner') {
  validate(login: IDPartnerLogin): Promise<{ sub: string }> {
    return user(login)
  }
}

/** A whole application of Nest, with guards, its own error handling, and the package's own HTTP server. */
const onNest: Application = async (config) => {
  const name = `idpartner-${randomUUID()}`
  class Strategy extends PassportStrategy(IDPartnerStrategy, name) {
    validate(login: IDPartnerLogin): Promise<{ sub: string }> {
      return user(login)
    }
  }
  // Nest's AuthGuard asks the passport that every application of a process shares.
  passport.use(name, new Strategy({ ...config, name, sessionKey: 'idpartner' }))
  class Controller {
    login(): string {
      return ''
    }

    callback(req: { user: object }): object {
      return req.user
    }
  }
  Nest.Controller()(Controller)
  const members = Controller.prototype
  for (const route of ['login', 'callback'] as const) {
    const descriptor = Object.getOwnPropertyDescriptor(members, route) as PropertyDescriptor
    Nest.Get(route)(members, route, descriptor)
    Nest.UseGuards(AuthGuard(name))(members, route, descriptor)
  }
  Nest.Req()(members, 'callback', 0)
  // eslint-disable-next-line @typescript-eslint/no-extraneous-class -- as Nest has them
  class Module {}
  Nest.Module({ controllers: [Controller] })(Module)
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- options in a literal
  const app = await NestFactory.create(Module, { logger: false })
  for (const middleware of nodeSession()) app.use(middleware)
  await app.listen(0, '127.0.0.1')
  return {
    server: app.getHttpServer() as Server,
    close: () => {
      passport.unuse(name)
      return app.close()
    },
  }
}

const applications: { framework: string; start: Application }[] = [
  {
    framework: 'Express with express-session',
    start: onExpress(
      nodeSession,
      (config) => new IDPartnerStrategy({ ...config, passReqToCallback: false }, user),
    ),
  },
  {
    framework: 'Express with cookie-session',
    start: onExpress(
      cookies,
      (config) => new IDPartnerStrategy({ ...config, passReqToCallback: false }, user),
    ),
  },
  {
    framework: "Express with Nest's PassportStrategy",
    start: onExpress(nodeSession, (config) => new NestStrategy(config)),
  },
  { framework: 'Nest', start: onNest },
  { framework: 'Connect', start: onConnect },
  { framework: 'Fastify with secure-session', start: onFastify },
  { framework: 'Koa with koa-session', start: onKoa },
]

async function listening(server: Server): ReturnType<Application> {
  if (!server.listening) await new Promise((resolve) => server.once('listening', resolve))
  return { server, close: () => new Promise((resolve) => server.close(resolve)) }
}

const closing: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** A browser at an application of that framework. */
async function visit(start: Application): Promise<{
  platform: Platform
  get: (path: string, headers?: Record<string, string>) => Promise<Response>
  answer: () => Promise<string>
}> {
  const platform = await Platform.start()
  closing.push(() => platform.close())
  const { server, close } = await start(await platform.config())
  closing.push(close)
  const { port } = server.address() as AddressInfo
  const jar = new Map<string, string>()
  const get = async (path: string, headers: Record<string, string> = {}): Promise<Response> => {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(`http://127.0.0.1:${String(port)}${path}`, {
      redirect: 'manual',
      headers: { cookie, connection: 'close', ...headers },
    })
    for (const set of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? []
      jar.set(name, value)
    }
    return response
  }
  const answer = async (): Promise<string> => {
    const response = await get('/login')
    expect(response.status).toBe(302)
    return platform.answer(await platform.request(response.headers.get('location') ?? ''))
  }
  return { platform, get, answer }
}

describe.each(applications)('$framework', ({ start }) => {
  test('logs a person in, once for each answer', async () => {
    const { platform, get, answer } = await visit(start)
    const path = `/callback?response=${await answer()}`
    const response = await get(path)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ sub: platform.person.sub })
    expect((await get(path)).status).toBe(401)
    expect(platform.count('bankA.token')).toBe(1)
  })

  test('turns a forged answer away and leaves the login pending', async () => {
    const { platform, get, answer } = await visit(start)
    const genuine = await answer()
    expect((await get(`/callback?response=${genuine.slice(0, -3)}AAA`)).status).toBe(401)
    expect((await get('/callback?error=access_denied')).status).toBe(401)
    expect((await get(`/callback?response=${genuine}`)).status).toBe(200)
    expect(platform.wire.complaints).toEqual([])
  })

  test('lets two tabs log in', async () => {
    const { get, answer } = await visit(start)
    const first = await answer()
    const second = await answer()
    expect((await get(`/callback?response=${second}`)).status).toBe(200)
    expect((await get(`/callback?response=${first}`)).status).toBe(200)
  })

  test('turns one of two logins away that a first visit begins at once, before it has a cookie', async () => {
    const { platform, get, answer } = await visit(start)
    const answers = await Promise.all([answer(), answer()])
    const statuses: number[] = []
    for (const one of answers) statuses.push((await get(`/callback?response=${one}`)).status)
    expect(statuses.sort()).toEqual([200, 401])
    expect(platform.count('bankA.token')).toBe(1)
  })

  test('answers with our own status when the bank is down', async () => {
    const { platform, get, answer } = await visit(start)
    const genuine = await answer()
    platform.fault('bankA.token', (res) => res.writeHead(401).end())
    const response = await get(`/callback?response=${genuine}`)
    expect(response.status).toBe(502)
    expect(response.headers.get('cache-control') ?? 'no-store').toBe('no-store')
  })

  test('answers 503 when the bank is busy', async () => {
    const { platform, get, answer } = await visit(start)
    const genuine = await answer()
    platform.fault('bankA.token', (res) => res.writeHead(503).end())
    expect((await get(`/callback?response=${genuine}`)).status).toBe(503)
  })

  test('answers a prefetch with 503, and it begins and ends nothing', async () => {
    const { platform, get, answer } = await visit(start)
    const genuine = await answer()
    const path = `/callback?response=${genuine}`
    for (const speculative of ['/login', path]) {
      expect((await get(speculative, { 'sec-purpose': 'prefetch' })).status).toBe(503)
    }
    expect(platform.count('bankA.token')).toBe(0)
    expect((await get(path)).status).toBe(200)
  })
})

describe('where a response has no redirect, as on Connect', () => {
  const visitWith = (options: object): ReturnType<typeof visit> =>
    visit((config) => connectApp(config, (authenticator) => authenticator.authenticate('idpartner', options)))

  test.each([
    ['successRedirect', { successRedirect: '/home' }],
    ['successReturnToOrRedirect', { successReturnToOrRedirect: '/home' }],
    ['successRedirect, without a session', { successRedirect: '/home', session: false }],
  ])('a login goes where %s says', async (_name, options) => {
    const { get, answer } = await visitWith(options)
    const response = await get(`/callback?response=${await answer()}`)
    expect([response.status, response.headers.get('location')]).toEqual([302, '/home'])
  })

  test('a login goes back to the page that the session says', async () => {
    const { get, answer } = await visit((config) =>
      connectApp(config, (authenticator) => {
        const handler = authenticator.authenticate('idpartner', {
          successReturnToOrRedirect: '/home',
          keepSessionInfo: true,
        }) as NextHandleFunction
        const finish: NextHandleFunction = (req, res, next) => {
          Object.assign((req as unknown as { session: object }).session, { returnTo: '/orders' })
          handler(req, res, next)
        }
        return finish
      }),
    )
    const response = await get(`/callback?response=${await answer()}`)
    expect([response.status, response.headers.get('location')]).toEqual([302, '/orders'])
  })

  test('a failed login goes where failureRedirect says', async () => {
    const { get } = await visitWith({ failureRedirect: '/failed' })
    const response = await get('/callback?error=access_denied')
    expect([response.status, response.headers.get('location')]).toEqual([302, '/failed'])
  })

  test('what a callback of the application throws once a person is in its session is an error', async () => {
    const { get, answer } = await visit((config) =>
      connectApp(config, (authenticator) => (...[req, res, next]: Parameters<NextHandleFunction>) => {
        const finish: passport.AuthenticateCallback = (err, person) => {
          if (!person) {
            next(err)
            return
          }
          ;(req as express.Request).logIn(person, () => {
            ;(res as express.Response).redirect('/home')
          })
        }
        ;(authenticator.authenticate('idpartner', finish) as NextHandleFunction)(req, res, next)
      }),
    )
    const response = await get(`/callback?response=${await answer()}`)
    expect([response.status, await response.text()]).toEqual([500, expect.stringMatching('redirect is not')])
  })

  test('another mistake of the application is an error, and no redirect', async () => {
    const { get, answer } = await visitWith({ failureRedirect: '/failed', failureFlash: true })
    expect((await get('/callback?error=access_denied')).status).toBe(500)
    const { sub } = (await (await get(`/callback?response=${await answer()}`)).json()) as { sub: string }
    expect(sub).toEqual(expect.any(String))
  })
})

describe('the examples', () => {
  const hosts = readdirSync('examples').filter((name) => existsSync(`examples/${name}/package.json`))

  // On the body alone it has text and links of the dark scheme on the white of the page.
  test('the pages have the scheme that the person has chosen, as a whole', () => {
    const page = readFileSync('examples/express5/pages.js', 'utf8')
    expect(/([^\s{}]+) \{\s*color-scheme: light dark;/.exec(page)?.[1]).toBe(':root')
  })

  test('Nest 11 and 12 have the same application', () => {
    const [eleven, twelve] = ['nest11', 'nest12'].map((host) =>
      readFileSync(`examples/${host}/app.ts`, 'utf8'),
    )
    expect(eleven).toBe(twelve)
  })

  test.each(hosts)('%s has the same set-up and pages as the others, and is in docs/frameworks.md', (host) => {
    for (const file of ['config.js', 'pages.js']) {
      expect(readFileSync(`examples/${host}/${file}`, 'utf8')).toBe(
        readFileSync(`examples/express5/${file}`, 'utf8'),
      )
    }
    expect(readFileSync('docs/frameworks.md', 'utf8')).toContain(`(../examples/${host}/`)
  })
})
