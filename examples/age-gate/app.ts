import { randomBytes } from 'node:crypto'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import session from 'express-session'
import { Passport } from 'passport'
import { IDPartnerError, IDPartnerStrategy, jwksRouter, type IDPartnerConfig } from 'passport-idpartner'
import { logIn, requireClaims, requireFresh, requireLogin } from 'passport-idpartner/guards'

interface Customer {
  claims: { name?: string }
}

/** A wine shop: anybody looks, who is 21 tastes, and who has just logged in pays. */
export function createApp(config: IDPartnerConfig): Express {
  const passport = new Passport()
  // The guards look at the claims of the user, so they are kept in it.
  const strategy = new IDPartnerStrategy({ scope: ['openid', 'profile'], ...config }, ({ claims }) =>
    Promise.resolve({ claims }),
  )
  passport.use(strategy)
  passport.serializeUser((user, done) => {
    done(null, user)
  })
  passport.deserializeUser((user: Express.User, done) => {
    done(null, user)
  })

  const app = express()
  const callback = new URL(config.callback)
  const secure = callback.protocol === 'https:'
  if (secure) app.set('trust proxy', 1)
  app.use(jwksRouter(strategy.client))
  app.use(
    session({
      secret: randomBytes(32).toString('hex'),
      cookie: { httpOnly: true, sameSite: 'lax', secure },
      resave: false,
      saveUninitialized: false,
    }),
    passport.session() as RequestHandler,
  )
  // Both routes with the same handler: it sees from the request whether a login begins or ends.
  app.get(['/login', callback.pathname], logIn(passport, strategy))

  app.get('/', (req, res) => {
    const customer = req.user as Customer | undefined
    res.send(
      `<p>Hello ${customer ? 'again' : 'stranger'}! <a href="/tasting">Taste</a> <a href="/orders">Orders</a></p>`,
    )
  })
  app.get('/orders', requireLogin(), (_req, res) => {
    res.send('<p>No orders yet.</p>')
  })
  app.get('/tasting', requireClaims({ age_over_21: true }, { page: '/too-young' }), (_req, res) => {
    res.send('<p>A glass of red. <a href="/pay">Buy the bottle</a></p>')
  })
  app.get('/too-young', (_req, res) => {
    res.status(403).send('<p>Grape juice is over there.</p>')
  })
  app.get('/pay', requireClaims({ age_over_21: true }), requireFresh({ max_age: 300 }), (_req, res) => {
    res.send('<form method="post" action="/pay"><button>Pay 12 euros</button></form>')
  })
  app.post('/pay', requireFresh({ max_age: 600 }), (_req, res) => {
    res.send('<p>Thank you.</p>')
  })

  const onError: ErrorRequestHandler = (err, _req, res, next) => {
    if (!(err instanceof IDPartnerError)) next(err)
    else res.status(err.status).send(`<p>${err.message}.</p><p><a href="/login">Log in</a></p>`)
  }
  app.use(onError)
  return app
}
