import { mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { IDPartner, generateJwks } from 'passport-idpartner'
import { matchReceipt } from 'passport-idpartner/receipt'
import { startSandbox } from 'passport-idpartner/sandbox'
import { createApp, type Account } from '../examples/accounts/app.js'
import { Archive } from '../examples/accounts/archive.js'
import { Browser, textOf } from './support/browser.js'
import { cli } from './support/cli.js'
import { listen } from './support/listen.js'

// The sandbox says on the console what it refused.
beforeAll(() => {
  jest.spyOn(console, 'warn').mockImplementation(() => undefined)
})
afterAll(() => {
  jest.restoreAllMocks()
})

const closing: (() => Promise<unknown>)[] = []
const browser = new Browser()
const accounts = new Map<string, Account>()
let folder: string
let url: string
let client: IDPartner

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'accounts-'))
  closing.push(() => rm(folder, { recursive: true }))
  const server = await listen()
  closing.push(() => server.close())
  url = server.url
  const sandbox = await startSandbox({
    client_id: 'bookkeeper',
    callback: `${url}/login/callback`,
    jwks_uri: `${url}/jwks`,
  })
  closing.push(() => sandbox.close())
  const config = { ...sandbox.config, jwks: await generateJwks() }
  client = new IDPartner(config)
  const archive = new Archive(folder)
  await archive.keepKeys(await client.getPublicJWKs())
  await archive.keepKeys(await new IDPartner({ ...config, jwks: await generateJwks() }).getPublicJWKs())
  server.serve(createApp(config, { archive, accounts }) as RequestListener)

  const login = await browser.press(await browser.open(`${url}/account`), 'Mikomo Bank')
  const consent = await browser.press(login, 'Log in', { login: 'mikomo_10', password: 'mikomo_10' })
  expect((await browser.press(consent, 'Share and continue')).url).toBe(`${url}/account`)
})
afterAll(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

function kept(): [string, Account] {
  const [one] = accounts
  if (!one) throw new Error('nobody logged in')
  return one
}

describe('an account is seen, and the tokens are saved anew', () => {
  test('not, as long as they are good', async () => {
    const [, { tokens }] = kept()
    expect(JSON.parse((await browser.open(`${url}/account`)).html)).toHaveProperty('account_holder')
    expect(kept()[1].tokens).toBe(tokens)
  })

  test('once, when they have run out', async () => {
    const [id, { issuer, tokens }] = kept()
    accounts.set(id, { issuer, tokens: { ...tokens, expires_at: 1 } })
    const pages = await Promise.all([1, 2, 3].map(() => browser.clone().open(`${url}/account`)))
    expect(pages.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(kept()[1].tokens.access_token).not.toBe(tokens.access_token)
  })

  test('when the bank says that they have', async () => {
    const [id, { issuer, tokens }] = kept()
    accounts.set(id, { issuer, tokens: { ...tokens, access_token: 'of-another-day' } })
    expect((await browser.open(`${url}/account`)).status).toBe(200)
    expect(kept()[1].tokens.access_token).not.toBe('of-another-day')
  })

  test('never again, when the person has taken it back: they are asked to log in', async () => {
    const [, { issuer, tokens }] = kept()
    await client.revokeToken(issuer, tokens)
    const page = await browser.open(`${url}/account`)
    expect([page.status, textOf(page.html)]).toEqual([401, expect.stringContaining('log in again')])
  })
})

describe('what proves a login', () => {
  const names = (kind: string): Promise<string[]> => readdir(path.join(folder, kind))
  const read = (...name: string[]): Promise<string> => readFile(path.join(folder, ...name), 'utf8')

  test('is filed as a whole and without the person, for the owner of the files alone', async () => {
    const [name = '', ...others] = await names('receipts')
    expect([others, await names('audit')]).toEqual([[], [name]])
    const [receipt, audited] = [await read('receipts', name), await read('audit', name)]
    expect(matchReceipt(receipt, audited)).toBe(true)
    const [, { issuer }] = kept()
    expect([receipt.includes(issuer), audited.includes(issuer)]).toEqual([true, false])
    expect((await stat(path.join(folder, 'receipts', name))).mode & 0o077).toBe(0)
  })

  test('is proven from the files, also after a rotation, and not when it was changed', async () => {
    const [name = ''] = await names('receipts')
    const jwks = ['--jwks', path.join(folder, 'keys.json')]
    expect(JSON.parse(await read('keys.json'))).toMatchObject({ keys: [{ use: 'sig' }, { use: 'sig' }] })
    const whole = path.join(folder, 'receipts', name)
    expect(await cli(['receipt', 'verify', whole, ...jwks])).toMatchObject({ code: 0 })
    const audited = path.join(folder, 'audit', name)
    expect(await cli(['receipt', 'verify', audited, '--redacted', ...jwks])).toMatchObject({ code: 0 })
    expect(await cli(['receipt', 'verify', audited, ...jwks])).toMatchObject({ code: 1 })
  })
})
