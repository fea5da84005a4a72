import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import type { JSONWebKeySet } from 'jose'
import session from 'express-session'
import passport from 'passport'
import {
  IDPartnerStrategy,
  generateJwks,
  jwksRouter,
  type IDPartnerLogin,
  type IDPartnerStrategyOptions,
} from 'passport-idpartner'
import { startSandbox, type Sandbox, type SandboxOptions } from 'passport-idpartner/sandbox'

export interface TestApp {
  url: string
  sandbox: Sandbox
  /** Its keys, where it has any. */
  jwks: JSONWebKeySet | undefined
  strategy: IDPartnerStrategy
  /** The logins that reached `verify`, oldest first. */
  logins: IDPartnerLogin[]
  /** Puts a strategy with these options, and no others, in place of the first one. */
  use(options: IDPartnerStrategyOptions): void
  close(): Promise<void>
}

export interface TestAppOptions {
  sandbox?: Partial<SandboxOptions>
  strategy?: Partial<IDPartnerStrategyOptions>
  authenticate?: passport.AuthenticateOptions
  /** Whether the app has keys of its own, and which; `true` by default. */
  keys?: boolean | Parameters<typeof generateJwks>[0]
  /** express-session by default. */
  session?: express.RequestHandler[]
}

/** What the app answers on its callback route. */
export interface Ended {
  user?: { sub: string }
  failure?: { code: string; reason?: string }
  error?: { code: string; status: number; message: string }
}

/** A plain Express app with the strategy, as a user would write it, and a sandbox of its own. */
export async function startApp(options: TestAppOptions = {}): Promise<TestApp> {
  const opened: (() => Promise<unknown>)[] = []
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((one) => one()))
  }
  try {
    return await start(options, { opened, close })
  } catch (err) {
    await close()
    throw err
  }
}

async function start(
  options: TestAppOptions,
  { opened, close }: { opened: (() => Promise<unknown>)[]; close: () => Promise<void> },
): Promise<TestApp> {
  const app = express()
  const server = createServer(app as RequestListener)
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  opened.push(() => {
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    return closed
  })
  const url = `http://localhost:${String((server.address() as AddressInfo).port)}`
  const { keys = true } = options
  const jwks = keys === false ? undefined : await generateJwks(keys === true ? {} : keys)
  const sandbox = await startSandbox({
    client_id: 'test-app',
    log: false,
    callback: `${url}/callback?tenant=a%20b`,
    ...(jwks && { jwks_uri: `${url}/jwks` }),
    ...options.sandbox,
  })
  opened.push(() => sandbox.close())
  const logins: IDPartnerLogin[] = []
  const passports = new passport.Passport()
  const use = (config: IDPartnerStrategyOptions): IDPartnerStrategy => {
    const made = new IDPartnerStrategy({ ...config, passReqToCallback: false }, (login) => {
      logins.push(login)
      return Promise.resolve({ sub: login.claims.sub })
    })
    passports.use(made)
    return made
  }
  let strategy = use({ ...sandbox.config, jwks, ...options.strategy })
  app.use((req, res, next) => {
    jwksRouter(strategy.client)(req, res, next)
  })
  app.use(options.session ?? session({ secret: 'test', resave: false, saveUninitialized: false }))
  app.get('/login', (req, res, next) => {
    const { returnTo } = req.query
    const state = typeof returnTo === 'string' ? { state: returnTo } : {}
    const handler = passports.authenticate('idpartner', {
      ...options.authenticate,
      ...state,
    }) as express.RequestHandler
    handler(req, res, next)
  })
  app.all('/callback', express.urlencoded({ extended: false }), (req, res, next) => {
    const done = (
      error: Ended['error'] | null,
      user: Ended['user'] | false,
      failure: Ended['failure'],
    ): void => {
      if (error) res.json({ error: { code: error.code, status: error.status, message: error.message } })
      else res.json(user ? { user } : { failure })
    }
    ;(passports.authenticate('idpartner', done as passport.AuthenticateCallback) as express.RequestHandler)(
      req,
      res,
      next,
    )
  })
  return {
    url,
    sandbox,
    jwks,
    strategy,
    logins,
    use(config) {
      strategy = use(config)
    },
    close,
  }
}
