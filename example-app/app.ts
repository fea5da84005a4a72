import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import express, { type Express, type RequestHandler } from 'express'
import session from 'express-session'
import { Passport, type AuthenticateCallback } from 'passport'
import { IDPartnerStrategy, jwksRouter, type IDPartnerConfig } from 'passport-idpartner'
import { claimLines } from './claims.js'
import { notFound, onError, showFailure, type Failure } from './failures.js'
import { securityHeaders } from './security-headers.js'

export interface AppOptions {
  /** Signs session cookies; a new one by default, which logs everybody out. */
  sessionSecret?: string | undefined
}

export function createApp(config: IDPartnerConfig, options: AppOptions = {}): Express {
  const { sessionSecret = randomBytes(32).toString('hex') } = options
  const strategy = new IDPartnerStrategy(
    { scope: ['openid', 'profile', 'email', 'age_over_21'], log: console, ...config },
    // A real app finds or creates its account here, by `claims.iss` and `claims.sub` together, never by email.
    // This user is all that the session holds; the tokens at `login.tokens` are not needed, and so not kept.
    ({ claims, identityProvider, interactionId }) =>
      Promise.resolve({ claims, bank: identityProvider.name, interactionId }),
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
  const callback = new URL(config.callback)
  const secure = callback.protocol === 'https:'
  // This app speaks plain http. If its address is https, one proxy stands in front, whose word on that is taken.
  if (secure) app.set('trust proxy', 1)
  app.set('view engine', 'ejs').set('views', join(import.meta.dirname, 'views'))
  app.use(securityHeaders, express.static(join(import.meta.dirname, 'public')), jwksRouter(strategy.client))
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

  /** Begins a login, and also finishes it: the strategy sees from the request which of the two it is. */
  const logIn: RequestHandler = (req, res, next) => {
    const finish: AuthenticateCallback = (err, user, info, status) => {
      if (err) {
        next(err)
      } else if (user) {
        // Passport renews the session at login; keeping its content lets a login begun in another tab go on.
        req.logIn(user, { session: true, keepSessionInfo: true }, (err) => {
          if (err) next(err)
          else res.redirect(localPath((info as { state: unknown }).state))
        })
      } else {
        const failure = info as Failure
        // The Back button brings an answer again; whoever is logged in by it wants their page, not an error.
        if (failure.reason === 'already_used' && req.isAuthenticated()) res.redirect('/profile')
        else showFailure(res, Number(status ?? 401), failure)
      }
    }
    // In the direct flow the account selector comes back here without it; the first visit's is kept then.
    const options = 'returnTo' in req.query ? { state: localPath(req.query.returnTo) } : {}
    const authenticate = passport.authenticate('idpartner', options, finish) as RequestHandler
    authenticate(req, res, next)
  }
  app.get('/login', logIn)
  app.get(callback.pathname, logIn)
  app.post(callback.pathname, express.urlencoded({ extended: false }), logIn)

  app.get('/', (req, res) => {
    res.render('home', { returnTo: localPath(req.query.returnTo) })
  })
  app.get('/profile', (req, res) => {
    if (req.user) res.render('profile', claimLines((req.user as { claims: object }).claims))
    else res.redirect('/?returnTo=/profile')
  })
  // A POST: otherwise any page could log people out with a picture.
  app.post('/logout', (req, res, next) => {
    req.logout((err) => {
      if (err) next(err)
      else res.redirect(303, '/')
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

/** A path of this site, whatever the query says: anything else would let strangers send our visitors elsewhere. */
function localPath(path: unknown): string {
  return typeof path === 'string' && /^\/(?![/\\])[\x21-\x7e]*$/.test(path) ? path : '/profile'
}
