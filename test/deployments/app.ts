// One process of an application that runs in several, as its users would write it; told what to do over IPC.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import process from 'node:process'
import { RedisStore } from 'connect-redis'
import connectPg from 'connect-pg-simple'
import express from 'express'
import session, { type Store } from 'express-session'
import passport from 'passport'
import { IDPartnerStrategy, type IDPartnerConfig, type LoginStore } from 'passport-idpartner'
import { redisLogins } from 'passport-idpartner/redis'
import pg from 'pg'
import { createClient } from 'redis'

/** What the parent says first. */
export interface Start {
  config: IDPartnerConfig
  store: { redis: string; logins?: boolean } | { postgres: string }
  /** Whether it is behind a proxy that speaks TLS for it. */
  behindTls?: boolean
}

/** What it may say later: how many saves go well before one fails; none fails where it is 0. */
export interface Failing {
  failEvery: number
}

/** What the app answers on every route that does not redirect. */
export interface Answer {
  user?: string
  seen?: boolean
  failure?: { code: string; reason?: string }
  error?: { name: string; code?: string; message: string }
}

declare module 'express-session' {
  interface SessionData {
    seen?: boolean
  }
}

/** Where sessions are, and where pending logins are, if not there. */
interface Stores {
  sessions: Store
  logins?: LoginStore
}

async function openStores(store: Start['store']): Promise<Stores> {
  if ('redis' in store) {
    const client = createClient({ url: store.redis })
    // It connects again by itself.
    client.on('error', () => undefined)
    await client.connect()
    return { sessions: new RedisStore({ client }), ...(store.logins && { logins: redisLogins(client) }) }
  }
  const PgStore = connectPg(session)
  const pool = new pg.Pool({ connectionString: store.postgres })
  pool.on('error', () => undefined)
  return { sessions: new PgStore({ pool, pruneSessionInterval: false, errorLog: () => undefined }) }
}

/** Makes a save fail now and then, before anything is written. */
function failNowAndThen(store: Store): void {
  const set = store.set.bind(store)
  let failEvery = 0
  let saves = 0
  process.on('message', (message: Partial<Failing>) => {
    failEvery = message.failEvery ?? failEvery
  })
  store.set = (id, data, done) => {
    if (failEvery > 0 && ++saves % failEvery === 0) done?.(new Error('the connection was lost'))
    else set(id, data, done)
  }
}

const [{ config, store: where, behindTls = false }] = (await once(process, 'message')) as [Start]
const { sessions: store, logins } = await openStores(where)
failNowAndThen(store)

const verify = ({ claims }: { claims: { sub: string } }): Promise<{ sub: string }> =>
  Promise.resolve({ sub: claims.sub })
const options = { ...config, ...(logins && { store: logins }) }
passport.use('plain', new IDPartnerStrategy(options, verify))
passport.use('userinfo', new IDPartnerStrategy({ ...options, fetchUserInfo: true }, verify))
passport.serializeUser((user, done) => {
  done(null, (user as { sub: string }).sub)
})
passport.deserializeUser((sub: string, done) => {
  done(null, { sub })
})

const app = express()
// So that it prints no errors.
app.set('env', 'test')
if (behindTls) app.set('trust proxy', 'loopback')
app.use(
  session({
    store,
    secret: 'for tests',
    resave: false,
    saveUninitialized: false,
    ...(behindTls && { name: '__Host-session', cookie: { secure: true, sameSite: 'lax' } }),
  }),
)
app.use(passport.session())

app.use((_req, res, next) => {
  res.set('x-process', String(process.pid))
  next()
})

const authenticate: express.RequestHandler = (req, res, next) => {
  const strategy = req.headers['x-strategy'] === 'userinfo' ? 'userinfo' : 'plain'
  const ended = (err: unknown, user?: Express.User | false, info?: Answer['failure']): void => {
    if (err) {
      next(err)
    } else if (user) {
      req.logIn(
        user,
        { keepSessionInfo: req.headers['x-keep'] === '1' } as passport.LogInOptions,
        (failed) => {
          if (failed) next(failed)
          else res.json({ user: (user as { sub: string }).sub } satisfies Answer)
        },
      )
    } else {
      res.status(401).json({ ...(info && { failure: info }) } satisfies Answer)
    }
  }
  ;(passport.authenticate(strategy, ended) as express.RequestHandler)(req, res, next)
}
app.get('/login', authenticate)
app.get('/callback', authenticate)
app.get('/logout', (req, res, next) => {
  req.logout((err) => {
    if (err) next(err)
    else res.json({})
  })
})
app.get('/visit', (req, res) => {
  req.session.seen = true
  res.json({})
})
app.get('/me', (req, res) => {
  const user = req.user as { sub: string } | undefined
  res.json({ ...(user && { user: user.sub }), ...(req.session.seen && { seen: true }) } satisfies Answer)
})
// eslint-disable-next-line @typescript-eslint/no-unused-vars -- Express knows an error handler by its four parameters
app.use(((err: Error & { code?: string }, _req, res, _next) => {
  // What express-session could not save comes after the answer.
  if (res.headersSent) {
    res.end()
    return
  }
  const { name, code, message } = err
  res.status(500).json({ error: { name, message, ...(code !== undefined && { code }) } } satisfies Answer)
}) satisfies express.ErrorRequestHandler)

const server = createServer(app as never).listen(0, '127.0.0.1')
await once(server, 'listening')
process.send?.({ port: (server.address() as AddressInfo).port })
// However the parent ends.
process.on('disconnect', () => {
  process.exit()
})
