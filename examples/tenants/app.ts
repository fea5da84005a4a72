import { randomBytes } from 'node:crypto'
import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler } from 'express'
import session from 'express-session'
import { Passport, type AuthenticateCallback } from 'passport'
import {
  IDPartnerError,
  IDPartnerStrategy,
  jwksRouter,
  type FailureInfo,
  type IDPartnerConfig,
  type TenantOptions,
} from 'passport-idpartner'

/** What of a shop would be a row in a database. */
export interface Shop {
  name: string
  config: IDPartnerConfig
}

interface Customer {
  name: string
  shop: string
}

/** Many shops, each with its own client id, keys and customers, at `/north`, `/south` and so on. */
export function createApp(shops: ReadonlyMap<string, Shop>): Express {
  const shopOf = ({ params }: Request): { id: string; shop: Shop } => {
    const id = String(params['shop'])
    const shop = shops.get(id)
    if (shop) return { id, shop }
    throw Object.assign(new Error('There is no such shop'), { status: 404 })
  }
  // Asked by each request that begins or ends a login. A real app awaits its database here.
  const optionsOf = (req: Request): TenantOptions => {
    const { id, shop } = shopOf(req)
    return { ...shop.config, tenant: id, scope: ['openid', 'profile'] }
  }
  const passport = new Passport()
  const strategy = new IDPartnerStrategy(optionsOf, ({ claims, tenant }) =>
    Promise.resolve({ name: claims.name, shop: tenant }),
  )
  passport.use(strategy)
  passport.serializeUser((user, done) => {
    done(null, user)
  })
  // Who is a customer of one shop is nobody in another.
  passport.deserializeUser(
    (req: Request, user: Express.User, done: (err: unknown, user: Express.User | false) => void) => {
      done(null, (user as Customer).shop === req.params['shop'] && user)
    },
  )

  const router = express.Router({ mergeParams: true })
  router.use(
    (req, _res, next) => {
      shopOf(req)
      next()
    },
    jwksRouter((req: Request) => strategy.clientOf(req)),
    session({
      secret: randomBytes(32).toString('hex'),
      // A session for each shop, as the browser sends it to no other.
      cookie: (req) => ({
        path: `/${String(req.params['shop'])}`,
        httpOnly: true,
        sameSite: 'lax',
        secure: req.protocol === 'https',
      }),
      resave: false,
      saveUninitialized: false,
    }),
    passport.session() as RequestHandler,
  )
  const logIn: RequestHandler = (req, res, next) => {
    const finish: AuthenticateCallback = (err, user, info, status) => {
      if (err) next(err)
      else if (!user) res.status(Number(status ?? 401)).json({ error: (info as FailureInfo).message })
      else {
        req.logIn(user, (err) => {
          if (err) next(err)
          else res.redirect(`/${shopOf(req).id}`)
        })
      }
    }
    const authenticate = passport.authenticate('idpartner', finish) as RequestHandler
    authenticate(req, res, next)
  }
  router.get(['/login', '/login/callback'], logIn)
  router.get('/', (req, res) => {
    const { id, shop } = shopOf(req)
    const user = req.user as Customer | undefined
    res.json({ shop: shop.name, customer: user?.name ?? null, login: `/${id}/login` })
  })

  const app = express()
  app.use('/:shop', router)
  const onError: ErrorRequestHandler = (err: Error & { status?: number }, _req, res, next) => {
    if (res.headersSent) next(err)
    else if (err instanceof IDPartnerError || err.status === 404) {
      res.status(err.status ?? 500).json({ error: err.message })
    } else next(err)
  }
  app.use(onError)
  return app
}
