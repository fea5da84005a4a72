import { randomBytes } from 'node:crypto'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import session from 'express-session'
import { Passport } from 'passport'
import {
  IDPartnerError,
  IDPartnerStrategy,
  jwksRouter,
  type IDPartnerConfig,
  type TokenSet,
} from 'passport-idpartner'
import { logIn, requireLogin } from 'passport-idpartner/guards'
import type { Archive } from './archive.js'

/** What is kept of somebody: a row of a database in a real app, with the tokens encrypted. */
export interface Account {
  issuer: string
  tokens: TokenSet
}

/** A bookkeeper: looks into accounts for as long as people let it, and files what proves that they did. */
export function createApp(
  config: IDPartnerConfig,
  { archive, accounts }: { archive: Archive; accounts: Map<string, Account> },
): Express {
  const strategy = new IDPartnerStrategy(
    {
      scope: ['openid', 'payment_details', 'offline_access'],
      // Banks give a refresh token only to who is asked for it.
      prompt: 'consent',
      receipt: true,
      ...config,
    },
    async ({ claims, issuer, tokens, receipt }) => {
      if (receipt === undefined) throw new Error('the option "receipt" is not set')
      await archive.file(receipt)
      const id = JSON.stringify([claims.iss, claims.sub])
      accounts.set(id, { issuer, tokens })
      return { id }
    },
  )
  const passport = new Passport()
  passport.use(strategy)
  passport.serializeUser((user, done) => {
    done(null, (user as { id: string }).id)
  })
  passport.deserializeUser((id: string, done) => {
    done(null, accounts.has(id) && { id })
  })

  const app = express()
  const callback = new URL(config.callback)
  const secure = callback.protocol === 'https:'
  if (secure) app.set('trust proxy', 1)
  app.use(
    jwksRouter(strategy.client),
    session({
      secret: randomBytes(32).toString('hex'),
      cookie: { httpOnly: true, sameSite: 'lax', secure },
      resave: false,
      saveUninitialized: false,
    }),
    passport.session() as RequestHandler,
  )
  app.get(['/login', callback.pathname], logIn(passport, strategy, { home: '/account' }))

  app.get('/account', requireLogin(), async (req, res) => {
    const { id } = req.user as { id: string }
    const account = accounts.get(id)
    if (!account) throw new Error('nobody has such an account')
    const { issuer, tokens } = account
    // Tokens that have run out are renewed first, or where the bank says so; and saved before they are used.
    const save = (renewed: TokenSet): void => void accounts.set(id, { issuer, tokens: renewed })
    const url = `${issuer}/payment_details` // Where the sandbox's banks have it; each bank's documentation says.
    const response = await strategy.client.request(issuer, tokens, url, { fresh: { save } })
    if (!response.ok) throw new Error(`the bank answered with ${String(response.status)}`)
    res.json(await response.json())
  })

  const onError: ErrorRequestHandler = (err, _req, res, next) => {
    if (!(err instanceof IDPartnerError)) next(err)
    else res.status(err.status).send(`<p>${err.message}.</p><p><a href="/login">Log in</a></p>`)
  }
  app.use(onError)
  return app
}
