import cookieSession from 'cookie-session'
import express from 'express'
import passport from 'passport'
import { IDPartnerStrategy, jwksRouter } from 'passport-idpartner'
import { options, port, secret, secure, url } from './config.js'
import { brokenPage, failedPage, homePage } from './pages.js'

const strategy = new IDPartnerStrategy(options, ({ claims }, done) => {
  done(null, { id: `${claims.iss} ${claims.sub}`, name: claims.name, email: claims.email })
})
passport.use(strategy)
passport.serializeUser((user, done) => done(null, user))
passport.deserializeUser((user, done) => done(null, user))

const app = express()
app.set('trust proxy', secure ? 1 : false) // https: ends at a proxy in front of this process
app.use(jwksRouter(strategy.client)) // publishes your public keys at /jwks
app.use(cookieSession({ keys: [secret], sameSite: 'lax', secure }))
// Passport calls these two, which cookie-session lacks.
app.use((req, _res, next) => {
  req.session.regenerate ??= (done) => done()
  req.session.save ??= (done) => done()
  next()
})
app.use(passport.session())

// Begins a login at one route, and finishes it at the other; either can fail.
const logIn = (req, res, next) => {
  passport.authenticate('idpartner', (err, user, info, status) => {
    if (err) return next(err) // IDPartner or the bank is broken, or an option is wrong
    if (user) return req.logIn(user, (failed) => (failed ? next(failed) : res.redirect('/')))
    // The Back button brings an answer again, and a second tab one of a login that the first one's has ended.
    if (info.code === 'login_missing' && req.user) return res.redirect('/')
    res.status(status ?? 401).send(failedPage(info.message))
  })(req, res, next)
}
app.get('/', (req, res) => res.send(homePage(req.user)))
app.get('/login', logIn)
app.get('/login/callback', logIn)
app.post('/logout', (req, res, next) => req.logout((err) => (err ? next(err) : res.redirect('/'))))
app.use((err, _req, res, _next) => {
  console.error(err)
  res.status(err.status ?? 500).send(brokenPage())
})
app.listen(port, (err) => {
  if (err) throw err // such as a port that is taken
  console.log(`Log in at ${url}/login`)
})
