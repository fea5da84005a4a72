/* An application with Express, version 4 or 5; package.mjs compiles it, and nothing ever runs it. */
/* eslint-disable @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-call -- Passport types its middleware as any */
import express, { type ErrorRequestHandler, type Request } from 'express'
import session from 'express-session'
import passport from 'passport'
import {
  IDPartner,
  IDPartnerError,
  IDPartnerStrategy,
  generateJwks,
  jwksRouter,
  type FailureInfo,
  type LoginStore,
  type Proofs,
  type TenantOptions,
} from 'passport-idpartner'
import { logIn, requireClaims, requireFresh, requireLogin } from 'passport-idpartner/guards'
import { concerns, logoutRouter, type BankLogout } from 'passport-idpartner/logout'
import { bankPicker, logInButton, pickerStylesheet } from 'passport-idpartner/picker'
import {
  matchReceipt,
  redactReceipt,
  verifyReceipt,
  verifyRedactedReceipt,
  type TrustAnchors,
} from 'passport-idpartner/receipt'
import { redisLogins, type RedisClient } from 'passport-idpartner/redis'
import { startSandbox } from 'passport-idpartner/sandbox'

declare module 'express-session' {
  interface SessionData {
    proofs?: Proofs | undefined
  }
}

const url = 'http://localhost:3000'
const sandbox = await startSandbox({ client_id: 'app', callback: `${url}/callback`, jwks_uri: `${url}/jwks` })
const config = { ...sandbox.config, jwks: await generateJwks() }
const store: LoginStore<Request> = {
  save: (req, state, login, ttlSeconds) => {
    console.log(req.sessionID, state, login.nonce, ttlSeconds)
    return Promise.resolve()
  },
  take: () => Promise.resolve('no_login'),
}

passport.use(
  new IDPartnerStrategy(
    { ...config, store, acceptProvider: ({ name }, req) => req.query['bank'] === name },
    (login, done) => {
      done(null, { id: `${login.claims.iss} ${login.claims.sub}` })
    },
  ),
)
passport.use(
  'receipt',
  new IDPartnerStrategy({ ...config, receipt: true }, async ({ receipt }) => {
    if (receipt === undefined) return false
    const trustAnchors: TrustAnchors = { application: await strategy.client.getPublicJWKs() }
    const filed = redactReceipt(receipt)
    const { ended } = await verifyRedactedReceipt(filed, { trustAnchors, at: new Date() })
    const { claims, keysKnownBy } = await verifyReceipt(receipt, { trustAnchors, client_id: 'app' })
    return matchReceipt(receipt, filed) && keysKnownBy === 'application' && { sub: claims.sub, ended }
  }),
)
passport.use(
  'tenant',
  new IDPartnerStrategy({ ...config, name: 'tenant', passReqToCallback: true }, (req, login) =>
    Promise.resolve(req.hostname.startsWith('www.') ? { sub: login.claims.sub, ip: req.ip } : false),
  ),
)
passport.use(
  'annotated',
  new IDPartnerStrategy({ ...config, passReqToCallback: true }, async (req: Request, login) => {
    await Promise.resolve()
    return { sub: login.claims.sub, ip: req.ip }
  }),
)
const strategy = new IDPartnerStrategy(config, async ({ claims }) => Promise.resolve({ sub: claims.sub }))

const app = express()
app.use(jwksRouter(strategy.client))
const optionsOf = (req: Request): TenantOptions => ({ ...config, tenant: req.hostname })
const tenants = new IDPartnerStrategy(optionsOf, ({ claims, tenant }) =>
  Promise.resolve({ sub: claims.sub, tenant }),
)
app.use(jwksRouter((req: Request) => tenants.clientOf(req)))
const logouts: BankLogout[] = []
app.use(logoutRouter(strategy.client, { onLogout: (logout) => logouts.push(logout) }))
app.get('/signed-in', logIn(passport, strategy, { claims: (user: { claims: object }) => user.claims }))
app.get('/wine', requireLogin(), requireClaims({ age_over_21: true }), requireFresh({ max_age: 300 }))
app.get('/banks', async (req, res) => {
  const someone = logouts.some((logout) => concerns(logout, { iss: '', sub: '' }))
  const list = bankPicker(await strategy.client.banks(), { search: req.query['q'] })
  res.send(someone ? logInButton() : `<style>${pickerStylesheet}</style>${list}`)
})
app.use(jwksRouter(new IDPartner(config)))
export const inRedis = (client: RedisClient): IDPartnerStrategy =>
  new IDPartnerStrategy({ ...config, store: redisLogins(client) }, () => Promise.resolve({}))
app.use(session({ secret: 'secret', resave: false, saveUninitialized: false }))
app.use(passport.session())
app.get('/login', passport.authenticate('idpartner', { scope: ['openid'], max_age: 60, prompt: 'login' }))
app.get('/callback', (req, res, next) => {
  passport.authenticate('idpartner', (err: unknown, user: Express.User | false | null, info: FailureInfo) => {
    if (err) next(err)
    else if (user) req.logIn(user, next)
    else res.status(401).json({ code: info.code, reason: info.reason })
  })(req, res, next)
})
app.get('/alone', async (req, res) => {
  const proofs = (req.session.proofs = strategy.client.generateProofs())
  res.redirect(await strategy.client.getAuthorizationUrl(req.query, proofs, ['openid']))
})
const onError: ErrorRequestHandler = (err, _req, res, next) => {
  if (err instanceof IDPartnerError) res.status(err.status).send(err.message)
  else next(err)
}
app.use(onError)
app.listen(3000)
