import Router from '@koa/router'
import Koa from 'koa'
import passport from 'koa-passport'
import session from 'koa-session'
import { IDPartnerStrategy } from 'passport-idpartner'
import { options, port, secret, secure, url } from './config.js'
import { brokenPage, failedPage, homePage } from './pages.js'

const strategy = new IDPartnerStrategy(options, ({ claims }, done) => {
  done(null, { id: `${claims.iss} ${claims.sub}`, name: claims.name, email: claims.email })
})
passport.use(strategy)
passport.serializeUser((user, done) => done(null, user))
passport.deserializeUser((user, done) => done(null, user))

const router = new Router()
router.get('/', (ctx) => (ctx.body = homePage(ctx.state.user)))
router.get('/jwks', async (ctx) => (ctx.body = await strategy.client.getPublicJWKs())) // your public keys

// Begins a login at one route, and finishes it at the other; either can fail.
const logIn = (ctx, next) =>
  passport.authenticate('idpartner', async (err, user, info, status) => {
    if (err) throw err // IDPartner or the bank is broken, or an option is wrong
    // The Back button brings an answer again, and a second tab one of a login that the first one's has ended.
    const again = info?.code === 'login_missing' && ctx.isAuthenticated()
    if (user) await ctx.login(user)
    if (user || again) return ctx.redirect('/')
    ctx.status = status ?? 401
    ctx.body = failedPage(info.message)
  })(ctx, next)
router.get('/login', logIn)
router.get('/login/callback', logIn)
router.post('/logout', async (ctx) => {
  await ctx.logout()
  ctx.redirect('/')
})

const app = new Koa({ proxy: secure }) // https: ends at a proxy in front of this process
app.keys = [secret]
app.use(async (ctx, next) => {
  try {
    await next()
  } catch (err) {
    console.error(err)
    ctx.status = err.status ?? 500
    ctx.body = brokenPage()
  }
})
app.use(session({ sameSite: 'lax', secure }, app))
app.use(passport.initialize())
app.use(passport.session())
app.use(router.routes())
app.listen(port, () => console.log(`Log in at ${url}/login`))
