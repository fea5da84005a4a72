import express from 'express'
import session from 'express-session'
import passport from 'passport'
import { IDPartnerStrategy, generateJwks, jwksRouter } from 'passport-idpartner'

/** The application, as it is in production but for its config; it does not listen. */
export async function makeApp(config) {
  const strategy = new IDPartnerStrategy({ ...config, jwks: await generateJwks() }, (login, done) => {
    done(null, { id: login.claims.sub, name: login.claims.name })
  })
  passport.use(strategy)
  passport.serializeUser((user, done) => done(null, user))
  passport.deserializeUser((user, done) => done(null, user))

  const app = express()
  app.use(jwksRouter(strategy.client))
  app.use(session({ secret: 'only for tests', resave: false, saveUninitialized: false }))
  app.use(passport.session())
  app.get('/login', passport.authenticate('idpartner'))
  app.get('/login/callback', passport.authenticate('idpartner', { successRedirect: '/' }))
  app.get('/', (req, res) => res.send(req.user ? `Hello, ${req.user.name}` : 'Nobody is logged in'))
  return app
}
