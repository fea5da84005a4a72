/* An application that uses every entry point. package.mjs compiles it as an ES module and as CommonJS, and runs both. */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type RequestHandler } from 'express'
import session from 'express-session'
import passport from 'passport'
import { IDPartnerStrategy, generateJwks, jwksRouter, type IDPartnerClaims } from 'passport-idpartner'
import { logIn, requireClaims } from 'passport-idpartner/guards'
import { concerns, logoutRouter, type BankLogout } from 'passport-idpartner/logout'
import { bankPicker, pickerStylesheet } from 'passport-idpartner/picker'
import { verifyReceipt } from 'passport-idpartner/receipt'
import { startSandbox } from 'passport-idpartner/sandbox'
import { login } from 'passport-idpartner/testing'

interface Customer {
  claims: IDPartnerClaims
  receipt: string | undefined
}

async function main(): Promise<void> {
  const server = createServer().listen(0, 'localhost')
  await once(server, 'listening')
  const url = `http://localhost:${String((server.address() as AddressInfo).port)}`
  const sandbox = await startSandbox({
    client_id: 'app',
    callback: `${url}/login/callback`,
    jwks_uri: `${url}/jwks`,
    flow: 'direct',
  })
  const config = { ...sandbox.config, jwks: await generateJwks({ alg: 'PS256' }), receipt: true }
  const strategy = new IDPartnerStrategy(config, ({ claims, receipt }) =>
    Promise.resolve({ claims, receipt }),
  )
  passport.use(strategy)
  passport.serializeUser((user, done) => {
    done(null, user)
  })
  const logouts: BankLogout[] = []
  passport.deserializeUser((user: Customer, done) => {
    done(null, logouts.some((logout) => concerns(logout, user.claims)) ? false : user)
  })
  const app = express()
  app.use(jwksRouter(strategy.client))
  app.use(logoutRouter(strategy.client, { onLogout: (logout) => logouts.push(logout) }))
  app.use(session({ secret: 'secret', resave: false, saveUninitialized: false }))
  app.use(passport.session() as RequestHandler)
  app.get(['/login', '/login/callback'], logIn(passport, strategy))
  app.get('/banks', async (_req, res) => {
    res.send(`<style>${pickerStylesheet}</style>${bankPicker(await strategy.client.banks())}`)
  })
  app.get('/wine', requireClaims({ age_over_21: true }), async (req, res) => {
    const { receipt } = req.user as Customer
    const trustAnchors = { application: await strategy.client.getPublicJWKs() }
    const { claims } = await verifyReceipt(receipt, { trustAnchors })
    res.send(`${String(claims.age_over_21)}, says ${claims.iss}`)
  })
  server.on('request', app as RequestListener)
  const { page, fetch } = await login(server, { sandbox, path: '/wine' })
  const banks = await (await fetch('/banks')).text()
  console.log(page.text.replace(sandbox.url, ''), banks.split('<li>').length - 1)
  server.close()
  await sandbox.close()
}

void main()
