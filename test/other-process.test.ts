import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { afterEach, expect, jest, test } from '@jest/globals'
import { startApp, type TestApp } from './support/app.js'
import { Browser } from './support/browser.js'

let app: TestApp | undefined

afterEach(() => app?.close())

/** Runs a program of its own on what was stored, and gives what it printed. */
async function elsewhere(stored: object): Promise<unknown> {
  const child = spawn(
    process.execPath,
    ['node_modules/tsx/dist/cli.mjs', '--tsconfig', 'tsconfig.json', 'test/support/other-process.ts'],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  child.stdin.end(JSON.stringify(stored))
  const [printed] = await Promise.all([text(child.stdout), once(child, 'close')])
  return JSON.parse(printed)
}

const FAPI2 = { flow: 'direct', profile: 'fapi2-security' } as const

test.each([
  ['DPoP', 'dpop', { ...FAPI2, dpop_bound_access_tokens: true }],
  ['a certificate', 'bearer', { ...FAPI2, tls_client_certificate_bound_access_tokens: true }],
  [
    'a certificate that authenticates too',
    'bearer',
    { ...FAPI2, token_endpoint_auth_method: 'tls_client_auth' },
  ],
] as const)('tokens that are bound by %s work in another process, from JSON', async (_by, type, sandbox) => {
  // oidc-provider warns about every Node.js before 22 while it is being loaded.
  jest.spyOn(console, 'warn').mockImplementation(() => undefined)
  app = await startApp({
    sandbox,
    authenticate: { scope: ['openid', 'offline_access', 'payment_details'], prompt: 'consent' },
  })
  const browser = new Browser()
  const bank = await browser.press(await browser.open(`${app.url}/login`), 'Mikomo Bank')
  const asked = await browser.press(bank, 'Log in', { login: 'mikomo_10', password: 'mikomo_10' })
  await browser.press(asked, 'Share and continue')
  const [login] = app.logins
  if (!login) throw new Error('nobody logged in')
  const { issuer, tokens, claims } = login
  const discovery = await fetch(`${issuer}/.well-known/openid-configuration`)
  const document = (await discovery.json()) as {
    payment_details_info_endpoint: string
    mtls_endpoint_aliases?: { payment_details_info_endpoint: string }
  }
  const { payment_details_info_endpoint: api } = document.mtls_endpoint_aliases ?? document
  const { sandbox: here, jwks } = app
  expect(await elsewhere({ config: { ...here.config, jwks }, issuer, tokens, api })).toEqual({
    userInfo: expect.objectContaining({ sub: claims.sub }),
    statuses: [200, 200],
    type,
  })
})
