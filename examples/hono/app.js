import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { getCookie, setCookie } from 'hono/cookie'
import { getIronSession } from 'iron-session'
import { IDPartner, IDPartnerError } from 'passport-idpartner'
import { options, port, secret, secure, url } from './config.js'
import { brokenPage, failedPage, homePage } from './pages.js'

const client = new IDPartner(options)

// A cookie that is sealed with the secret: its browser can neither read nor write what it keeps.
const sealed = (c, name, ttl) => {
  const cookies = {
    get: (name) => ({ name, value: getCookie(c, name) ?? '' }),
    set: (name, value, options) => setCookie(c, name, value, options),
  }
  const cookieName = secure ? `__Host-${name}` : name // a cookie that no other host of this site can set
  return getIronSession(cookies, {
    cookieName,
    ttl,
    password: secret,
    cookieOptions: { secure, sameSite: 'lax' },
  })
}
const sessionOf = (c) => sealed(c, 'session', 12 * 60 * 60)
const loginOf = (c) => sealed(c, 'login', 10 * 60)

const app = new Hono()
app.get('/', async (c) => c.html(homePage((await sessionOf(c)).user)))
app.get('/jwks', async (c) => c.json(await client.getPublicJWKs())) // your public keys

app.use('/login/*', async (c, next) => {
  await next()
  c.header('cache-control', 'no-store')
})
app.get('/login', async (c) => {
  const proofs = client.generateProofs()
  const bank = await client.getAuthorizationUrl(c.req.query(), proofs, ['openid', 'email', 'profile'])
  const login = await loginOf(c)
  login.proofs = proofs // once getAuthorizationUrl has noted in them what the answer has to show
  await login.save()
  return c.redirect(bank)
})
app.get('/login/callback', async (c) => {
  const { identity_provider, idp_response_code } = await client.unpackProxyResponse(c.req.query())
  const [login, session] = [await loginOf(c), await sessionOf(c)]
  const { proofs } = login
  // The Back button after a login brings its answer again: nothing is wrong.
  if (!proofs && session.user) return c.redirect('/')
  if (!proofs) return c.html(failedPage('This login was not begun in this browser, or too long ago.'), 401)
  login.destroy() // a login has one answer
  const claims = await client.claims(idp_response_code, proofs, identity_provider.issuer_url)
  session.user = { id: `${claims.iss} ${claims.sub}`, name: claims.name, email: claims.email }
  await session.save()
  return c.redirect('/')
})
app.post('/logout', async (c) => {
  ;(await sessionOf(c)).destroy()
  return c.redirect('/')
})
app.onError((err, c) => {
  const status = err instanceof IDPartnerError ? err.status : 500
  if (status < 500) return c.html(failedPage(err.message), status)
  console.error(err) // IDPartner or the bank is broken, or an option is wrong
  return c.html(brokenPage(), status)
})
serve({ fetch: app.fetch, port }, () => console.log(`Log in at ${url}/login`))
