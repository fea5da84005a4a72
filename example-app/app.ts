import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import express, { type Express, type RequestHandler } from 'express'
import session from 'express-session'
import { Passport } from 'passport'
import {
  IDPartnerStrategy,
  jwksRouter,
  type EndedLogin,
  type IDPartnerClaims,
  type IDPartnerConfig,
} from 'passport-idpartner'
import { logIn, requireClaims, requireLogin } from 'passport-idpartner/guards'
import { concerns, logoutRouter, type BankLogout } from 'passport-idpartner/logout'
import { pickerStylesheet } from 'passport-idpartner/picker'
import { pickBank } from './banks.js'
import { claimLines } from './claims.js'
import { notFound, onError, tooYoung } from './failures.js'
import { securityHeaders } from './security-headers.js'

export interface AppOptions {
  /** Signs session cookies; a new one by default, which logs everybody out. */
  sessionSecret?: string | undefined
}

/** All that the session holds: what pages and guards look at, and what a logout at the bank needs. */
interface Customer extends EndedLogin {
  claims: IDPartnerClaims
  bank: string
  interactionId: string
}

export function createApp(config: IDPartnerConfig, options: AppOptions = {}): Express {
  const { sessionSecret = randomBytes(32).toString('hex') } = options
  const strategy = new IDPartnerStrategy(
    { scope: ['openid', 'profile', 'email', 'age_over_21'], log: console, ...config },
    // A real app finds or creates its account here, by `claims.iss` and `claims.sub` together, never by email.
    // Access and refresh token are not needed, and so not kept.
    ({
      claims,
      identityProvider,
      interactionId,
      issuer,
      tokens: { id_token, voucher },
    }): Promise<Customer> => {
      const bank = identityProvider.name
      return Promise.resolve({ claims, bank, interactionId, issuer, tokens: { id_token, voucher } })
    },
  )
  // What banks said of logouts. A real app keeps it where all its processes look, as long as a session lives.
  const logouts: BankLogout[] = []
  const onLogout = (logout: BankLogout): void => {
    logouts.splice(0, Math.max(0, logouts.length - 999))
    logouts.push(logout)
  }
  const passport = new Passport()
  passport.use(strategy)
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
  // This app speaks plain http. If its address is https, one proxy stands in front, whose word on that is taken.
  if (secure) app.set('trust proxy', 1)
  app.set('view engine', 'ejs').set('views', join(import.meta.dirname, 'views'))
  app.use(securityHeaders, express.static(join(import.meta.dirname, 'public')))
  app.get('/bank-picker.css', (_req, res) => {
    res.type('css').send(pickerStylesheet)
  })
  // Whom IDPartner and the banks call without a browser.
  app.use(jwksRouter(strategy.client), logoutRouter(strategy.client, { onLogout, onError: console.error }))
  if (!secure) app.use(leadToHost(callback))
  // Not `strict`: the bank's answer is a visit from another site. Sessions live in memory here; give a real app a store.
  const cookie = { httpOnly: true, sameSite: 'lax', secure } as const
  // No site beside this one can set a cookie of the first name. The other is not in its way, on the same machine.
  const name = secure ? '__Host-quayside.sid' : 'quayside.sid'
  app.use(session({ secret: sessionSecret, name, cookie, resave: false, saveUninitialized: false }))
  app.use(passport.session(), (req, res, next) => {
    res.set('Cache-Control', 'no-store').locals.user = req.user
    next()
  })

  // Begins a login, and also finishes it: the strategy sees from the request which of the two it is.
  const login = logIn(passport, strategy, { home: '/profile' })
  app.get('/login', pickBank(strategy.client, config), login)
  app.get(callback.pathname, login)
  app.post(callback.pathname, express.urlencoded({ extended: false }), login)

  app.get('/', (_req, res) => {
    res.render('home')
  })
  app.get('/profile', requireLogin(), (req, res) => {
    res.render('profile', claimLines((req.user as Customer).claims))
  })
  app.get('/hire', requireClaims({ age_over_21: true }, { page: '/too-young' }), (_req, res) => {
    res.render('hire')
  })
  app.get('/too-young', tooYoung)
  // A POST: otherwise any page could log people out with a picture.
  app.post('/logout', async (req, res, next) => {
    const customer = req.user as Customer | undefined
    const home = new URL('/', callback).href
    const params = { post_logout_redirect_uri: home }
    // The person is logged out here, whatever becomes of it at the bank.
    const url = customer && (await strategy.client.endSessionUrl(customer, params).catch(() => undefined))
    req.logout((err) => {
      if (err) next(err)
      else if (url === undefined) res.redirect(303, '/')
      // A link, and no redirect: browsers apply `form-action` to where a form is sent on.
      else res.render('goodbye', { user: undefined, bank: customer?.bank, url })
    })
  })

  app.use(notFound, onError)
  return app
}

/**
 * Leads to the host of the callback before a login begins: the session begun at http://127.0.0.1 would not be found at
 * http://localhost, where the bank's answer arrives. Behind a proxy, that is for the proxy to do.
 */
function leadToHost(callback: URL): RequestHandler {
  return (req, res, next) => {
    if (req.headers.host === callback.host || !['GET', 'HEAD'].includes(req.method)) next()
    else res.redirect(callback.origin + req.originalUrl)
  }
}
