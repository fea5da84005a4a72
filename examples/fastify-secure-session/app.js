import passport from '@fastify/passport'
import secureSession from '@fastify/secure-session'
import fastify from 'fastify'
import { IDPartnerStrategy } from 'passport-idpartner'
import { options, port, secret, secure, url } from './config.js'
import { brokenPage, failedPage, homePage } from './pages.js'

const strategy = new IDPartnerStrategy(options, ({ claims }, done) => {
  done(null, { id: `${claims.iss} ${claims.sub}`, name: claims.name, email: claims.email })
})
passport.use(strategy)
passport.registerUserSerializer(async (user) => user)
passport.registerUserDeserializer(async (user) => user)

const app = fastify({ trustProxy: secure }) // https: ends at a proxy in front of this process
await app.register(secureSession, {
  secret,
  salt: 'idpartner-login!', // 16 letters, which need not be secret
  cookie: { path: '/', sameSite: 'lax', httpOnly: true, secure },
})
await app.register(passport.initialize())
await app.register(passport.secureSession())

app.get('/jwks', () => strategy.client.getPublicJWKs()) // your public keys

// The strategy cannot do this here.
const noStore = (_req, reply, done) => {
  reply.header('cache-control', 'no-store')
  done()
}

// Begins a login at one route, and finishes it at the other; either can fail.
const logIn = passport.authenticate('idpartner', async (req, reply, err, user, info, status) => {
  if (err) throw err // IDPartner or the bank is broken, or an option is wrong
  // The Back button brings an answer again, and a second tab one of a login that the first one's has ended.
  const again = info?.code === 'login_missing' && req.isAuthenticated()
  if (user) await req.logIn(user)
  if (user || again) return reply.redirect('/')
  reply
    .code(status ?? 401)
    .type('text/html')
    .send(failedPage(info.message))
})
const preValidation = [noStore, logIn]
app.get('/login', { preValidation }, () => {})
app.get('/login/callback', { preValidation }, () => {})
app.get('/', (req, reply) => reply.type('text/html').send(homePage(req.user)))
app.post('/logout', async (req, reply) => {
  await req.logout()
  return reply.redirect('/')
})
app.setErrorHandler((err, _req, reply) => {
  console.error(err)
  reply
    .code(err.status ?? 500)
    .type('text/html')
    .send(brokenPage())
})
await app.listen({ port })
console.log(`Log in at ${url}/login`)
