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
const loginsOf = (c) => sealed(c, 'logins', 10 * 60)

const app = new Hono()
app.get('/', async (c) => c.html(homePage((await sessionOf(c)).user)))
app.get('/jwks', async (c) => c.json(await client.getPublicJWKs())) // your public keys

// A prefetch, a preview or a HEAD may be of any link: nobody has asked for a login.
const isSpeculative = ({ method, raw: { headers } }) =>
  method !== 'GET' ||
  /prefetch|prerender|preview/i.test(headers.get('sec-purpose') ?? headers.get('purpose') ?? '')

app.use('/login/*', async (c, next) => {
  if (isSpeculative(c.req)) return c.body(null, 503, { 'cache-control': 'no-store' })
  await next()
  c.header('cache-control', 'no-store')
})
app.get('/login', async (c) => {
  const proofs = client.generateProofs()
  const bank = await client.getAuthorizationUrl(c.req.query(), proofs, ['openid', 'email', 'profile'])
  const cookie = await loginsOf(c)
  // One for each tab, as many as fit into a cookie; getAuthorizationUrl has noted in the proofs what the answer has to show.
  cookie.logins = [...(cookie.logins ?? []), proofs].slice(-5)
  await cookie.save()
  return c.redirect(bank)
})
app.get('/login/callback', async (c) => {
  const [cookie, session] = [await loginsOf(c), await sessionOf(c)]
  // Hands out the login that an authentic answer is of, and forgets it: it has this one answer.
  const take = async (state) => {
    const { logins = [] } = cookie
    cookie.logins = logins.filter((login) => login.state !== state)
    await cookie.save()
    return logins.find((login) => login.state === state)
  }
  try {
    const claims = await client.claims(new URL(c.req.url).searchParams, take)
    session.user = { id: `${claims.iss} ${claims.sub}`, name: claims.name, email: claims.email }
    await session.save()
  } catch (err) {
    // The Back button after a login brings its answer again: nothing is wrong.
    if (err.code !== 'login_missing' || !session.user) throw err
  }
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
