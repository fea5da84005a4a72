import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import express, { type RequestHandler } from 'express'
import session from 'express-session'
import passport from 'passport'
import { IDPartnerStrategy, jwksRouter, type IDPartnerConfig } from 'passport-idpartner'
import { startSandbox, type Sandbox } from 'passport-idpartner/sandbox'
import { Browser, type Page } from '../support/browser.js'
import { cli } from '../support/cli.js'
import { listen, type Listening } from '../support/listen.js'

const folder = mkdtempSync(path.join(tmpdir(), 'rotation-'))
const file = path.join(folder, 'jwks.json')

let server: Listening
let sandbox: Sandbox
/** Two processes of one application, each with the keys as they were when it was started. */
const processes: { jwks: RequestHandler; authenticate: RequestHandler }[] = []
let turn = 0

function restart(at: number): void {
  const jwks = JSON.parse(readFileSync(file, 'utf8')) as NonNullable<IDPartnerConfig['jwks']>
  const strategy = new IDPartnerStrategy({ ...sandbox.config, jwks }, ({ claims }) =>
    Promise.resolve({ sub: claims.sub }),
  )
  const passports = new passport.Passport()
  passports.use(strategy)
  processes[at] = {
    jwks: jwksRouter(strategy.client),
    authenticate: passports.authenticate('idpartner', { session: false }) as RequestHandler,
  }
}

beforeAll(async () => {
  await cli(['keys', 'new', file])
  server = await listen()
  sandbox = await startSandbox({
    client_id: 'app',
    callback: `${server.url}/callback`,
    jwks_uri: `${server.url}/jwks`,
  })
  restart(0)
  restart(1)
  const app = express()
  /** Whoever is asked, it is the other process than the time before. */
  const either = (handler: 'jwks' | 'authenticate'): RequestHandler => {
    return (req, res, next) => processes[turn++ % 2]?.[handler](req, res, next)
  }
  app.use(either('jwks'), session({ secret: 'test', resave: false, saveUninitialized: false }))
  app.get('/login', either('authenticate'))
  app.get('/callback', either('authenticate'), (req, res) => {
    res.json(req.user)
  })
  server.serve(app)
})

afterAll(async () => {
  await Promise.all([server.close(), sandbox.close()])
  rmSync(folder, { recursive: true, force: true })
})

interface Begun {
  browser: Browser
  page: Page
}

/** A person goes as far as the bank's last page. */
async function begin(): Promise<Begun> {
  const browser = new Browser()
  const page = await browser.press(await browser.open(`${server.url}/login`), 'Mikomo Bank')
  return { browser, page: await browser.press(page, 'Log in', { login: 'mikomo_10', password: 'mikomo_10' }) }
}

async function finish({ browser, page }: Begun): Promise<void> {
  const { status, html } = await browser.press(page, 'Share and continue')
  expect([status, html]).toEqual([200, expect.stringContaining('"sub"')])
}

test('no login fails while keys are rotated, step by step and process by process', async () => {
  const kids = (): unknown[] =>
    (JSON.parse(readFileSync(file, 'utf8')) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid)
  const before = kids()
  for (const step of [['next'], ['promote'], ['retire'], ['retire', '--drop']]) {
    const [command = '', ...options] = step
    const waiting = [await begin(), await begin()]
    expect(await cli(['keys', command, file, ...options])).toMatchObject({ code: 0 })
    for (const at of [0, 1]) {
      restart(at)
      await finish(await begin())
      await finish(await begin())
      const one = waiting.pop()
      if (one) await finish(one)
    }
  }
  const after = kids()
  expect(after).toHaveLength(2)
  expect(before.filter((kid) => after.includes(kid))).toEqual([])
})
