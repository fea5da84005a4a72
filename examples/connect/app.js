import { createServer } from 'node:http'
import connect from 'connect'
import session from 'express-session'
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

// A response of Connect has neither redirect() nor send().
const redirect = (res, location) => res.writeHead(302, { location }).end()
const send = (res, status, page) =>
  res.writeHead(status, { 'content-type': 'text/html; charset=utf-8' }).end(page)

const app = connect()
app.use(jwksRouter(strategy.client)) // publishes your public keys at /jwks
const cookie = { sameSite: 'lax', secure }
app.use(session({ secret, resave: false, saveUninitialized: false, cookie, proxy: secure }))
app.use(passport.session())

// Connect matches by prefix: this begins a login at /login, and finishes it at /login/callback.
app.use('/login', (req, res, next) => {
  res.setHeader('cache-control', 'no-store') // which the strategy cannot do here
  passport.authenticate('idpartner', (err, user, info, status) => {
    if (err) return next(err) // IDPartner or the bank is broken, or an option is wrong
    if (user) return req.logIn(user, (failed) => (failed ? next(failed) : redirect(res, '/')))
    // The Back button brings an answer again, and a second tab one of a login that the first one's has ended.
    if (info.code === 'login_missing' && req.user) return redirect(res, '/')
    send(res, status ?? 401, failedPage(info.message))
  })(req, res, next)
})
app.use('/logout', (req, res, next) => {
  if (req.method !== 'POST') return next()
  req.logout((err) => (err ? next(err) : redirect(res, '/')))
})
app.use('/', (req, res, next) => (req.url === '/' ? send(res, 200, homePage(req.user)) : next()))
app.use((err, _req, res, _next) => {
  console.error(err)
  send(res, err.status ?? 500, brokenPage())
})
createServer(app).listen(port, () => console.log(`Log in at ${url}/login`))
