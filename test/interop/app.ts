// An application as its users would write it, with a strategy for each set-up that is tried.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import express from 'express'
import session from 'express-session'
import passport from 'passport'
import {
  IDPartnerError,
  IDPartnerStrategy,
  jwksRouter,
  type IDPartner,
  type IDPartnerLogin,
  type IDPartnerStrategyOptions,
} from 'passport-idpartner'
import type { Authority } from './authority.js'

/** How a login ended, with all of it: this process is the application too. */
export interface Ended {
  login?: IDPartnerLogin
  failure?: { code: string; message: string; providerError?: string }
  error?: IDPartnerError
}

export class App {
  readonly #server: Server
  readonly #published = new Map<string, IDPartner>()
  readonly #ends: Ended[] = []
  readonly #passports = new passport.Passport()

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(authority: Authority): Promise<App> {
    const routes = express()
    const server = createServer(await authority.server(), routes as never).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const app = new App(server)
    routes.use(session({ secret: randomBytes(16).toString('hex'), resave: false, saveUninitialized: false }))
    routes.use('/:name', app.#routes())
    return app
  }

  get url(): string {
    return `https://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`
  }

  callback(name: string): string {
    return `${this.url}/${name}/callback`
  }

  jwksUri(name: string): string {
    return `${this.url}/${name}/jwks`
  }

  /** Puts a strategy behind the routes below that name, in place of the one there. */
  use(name: string, options: IDPartnerStrategyOptions): IDPartner {
    const strategy = new IDPartnerStrategy({ ...options, name, passReqToCallback: false }, (login) => {
      this.#ends.push({ login })
      return Promise.resolve({ sub: login.claims.sub })
    })
    this.#passports.use(name, strategy)
    return strategy.client
  }

  /** Shows the public keys of a client to the bank, below that name. */
  publish(name: string, client: IDPartner): void {
    this.#published.set(name, client)
  }

  /** How the logins since the last call ended. */
  takeEnds(): Ended[] {
    return this.#ends.splice(0)
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  #routes(): express.Router {
    const router = express.Router({ mergeParams: true })
    const nameOf = (req: express.Request): string => String(req.params.name)
    router.use((req, res, next) => {
      const client = this.#published.get(nameOf(req))
      if (client) jwksRouter(client)(req, res, next)
      else next()
    })
    const authenticate: express.RequestHandler = (req, res, next) => {
      const { prompt, scope } = req.query
      const options = {
        ...(typeof prompt === 'string' && { prompt }),
        ...(typeof scope === 'string' && { scope }),
      }
      const ended = (
        err: IDPartnerError | null,
        user: Express.User | false,
        failure: Ended['failure'],
      ): void => {
        if (err) this.#ends.push({ error: err })
        else if (!user && failure) this.#ends.push({ failure })
        // The login itself was noted by `verify`.
        res.send('the application')
      }
      const handler = this.#passports.authenticate(
        nameOf(req),
        options as passport.AuthenticateOptions,
        ended as passport.AuthenticateCallback,
      ) as express.RequestHandler
      handler(req, res, next)
    }
    router.get('/login', authenticate)
    router.get('/callback', authenticate)
    return router
  }
}
