import { randomBytes } from 'node:crypto'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import session from 'express-session'
import { Passport } from 'passport'
import {
  IDPartnerError,
  IDPartnerStrategy,
  jwksRouter,
  type EndedLogin,
  type IDPartnerClaims,
  type IDPartnerConfig,
} from 'passport-idpartner'
import { logIn, requireClaims, requireFresh, requireLogin } from 'passport-idpartner/guards'
import { concerns, logoutRouter, type BankLogout } from 'passport-idpartner/logout'

/** The guards look at the claims; the rest is for the logout at the bank. */
interface Customer extends EndedLogin {
  claims: IDPartnerClaims
}

/** A wine shop: anybody looks, who is 21 tastes, and who has just logged in pays. */
export function createApp(config: IDPartnerConfig): Express {
  const passport = new Passport()
  const strategy = new IDPartnerStrategy(
    { scope: ['openid', 'profile'], ...config },
    ({ claims, issuer, tokens: { id_token, voucher } }): Promise<Customer> =>
      Promise.resolve({ claims, issuer, tokens: { id_token, voucher } }),
  )
  passport.use(strategy)
  // What banks said of logouts. A real app keeps it where all its processes look, as long as a session lives.
  const logouts: BankLogout[] = []
  passport.serializeUser((user, done) => {
    done(null, user)
  })
  passport.deserializeUser((user: Express.User, done) => {
    const { claims } = user as Customer
    done(null, logouts.some((logout) => concerns(logout, claims)) ? false : user)
  })

  const app = express()
  const callback = new URL(config.callback)
  const secure = callback.protocol === 'https:'
  if (secure) app.set('trust proxy', 1)
  app.use(
    jwksRouter(strategy.client),
    logoutRouter(strategy.client, {
      onLogout: (logout) => {
        logouts.splice(0, Math.max(0, logouts.length - 999))
        logouts.push(logout)
      },
    }),
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
    const again = req.user ? '<form method="post" action="/logout"><button>Log out</button></form>' : ''
    res.send(`<p>Hello! <a href="/tasting">Taste</a> <a href="/orders">Orders</a></p>${again}`)
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

  // A POST: otherwise any page could log people out with a picture.
  app.post('/logout', (req, res, next) => {
    const customer = req.user as Customer | undefined
    const home = new URL('/', callback).href
    req.logout((err) => {
      if (err) next(err)
      else if (!customer) res.redirect(303, '/')
      else {
        strategy.client
          .endSessionUrl(customer, { post_logout_redirect_uri: home })
          // Here they are logged out already, whatever becomes of it at the bank.
          .catch(() => undefined)
          .then((url) => {
            res.redirect(303, url ?? '/')
          }, next)
      }
    })
  })

  const onError: ErrorRequestHandler = (err, _req, res, next) => {
    if (!(err instanceof IDPartnerError)) next(err)
    else res.status(err.status).send(`<p>${err.message}.</p><p><a href="/login">Log in</a></p>`)
  }
  app.use(onError)
  return app
}
