import type { RequestListener } from 'node:http'
import { afterEach, describe, expect, test } from '@jest/globals'
import { IDPartnerError, generateJwks } from 'passport-idpartner'
import { startSandbox } from 'passport-idpartner/sandbox'
import { createApp } from '../../examples/age-gate/app.js'
import { Browser, textOf, type Page } from '../support/browser.js'
import { listen } from '../support/listen.js'
import { startApp } from '../support/app.js'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

type Flow = 'proxy' | 'direct'

async function start(flow: Flow, encrypted = true): Promise<{ url: string; issuer: string }> {
  const server = await listen()
  closing.push(() => server.close())
  const { url } = server
  const sandbox = await startSandbox({
    client_id: 'wine-shop',
    callback: `${url}/login/callback`,
    jwks_uri: `${url}/jwks`,
    post_logout_redirect_uris: [`${url}/`],
    backchannel_logout_uri: `${url}/backchannel-logout`,
    flow,
  })
  closing.push(() => sandbox.close())
  const { keys } = await generateJwks()
  const jwks = { keys: keys.filter(({ use }) => encrypted || use === 'sig') }
  server.serve(createApp({ ...sandbox.config, jwks }) as RequestListener)
  return { url, issuer: sandbox.banks[0]?.issuer ?? '' }
}

async function logIn(browser: Browser, url: string): Promise<Page> {
  const login = await browser.press(await browser.open(url), 'Mikomo Bank')
  const who = { login: 'mikomo_10', password: 'mikomo_10' }
  return browser.press(await browser.press(login, 'Log in', who), 'Share and continue')
}

describe.each<Flow>(['proxy', 'direct'])('in the %s flow', (flow) => {
  test('a person logs out of the application and of the bank, and comes back', async () => {
    const { url } = await start(flow)
    const browser = new Browser()
    await logIn(browser, `${url}/orders`)
    const bank = await browser.press(await browser.open(`${url}/`), 'Log out')
    expect(textOf(bank.html)).toContain('Log out of Mikomo Bank?')
    // Here it has happened already.
    expect((await browser.clone().open(`${url}/`)).html).not.toContain('Log out')
    const home = await browser.press(bank, 'Log out')
    expect(home.url).toBe(`${url}/`)
  })

  test.each([true, false])('a logout at the bank is one here as well (encrypted: %s)', async (encrypted) => {
    const { url, issuer } = await start(flow, encrypted)
    const [browser, other] = [new Browser(), new Browser()]
    for (const one of [browser, other]) await logIn(one, `${url}/orders`)
    const bank = await browser.open(`${issuer}/session/end`)
    expect(textOf((await browser.press(bank, 'Log out')).html)).toContain('You are logged out of Mikomo Bank')
    expect((await browser.open(`${url}/`)).html).not.toContain('Log out')
    // The session of the same person in another browser is another one, also at the bank.
    expect((await other.open(`${url}/`)).html).toContain('Log out')
    // And who logs in again stays.
    expect((await logIn(browser, `${url}/orders`)).html).toContain('No orders yet')
  })
})

test('who stays logged in at the bank reads so, and stays in the application', async () => {
  const { url, issuer } = await start('proxy')
  const browser = new Browser()
  await logIn(browser, `${url}/orders`)
  const end = `${issuer}/session/end`
  const stayed = await browser.press(await browser.open(end), 'Stay logged in')
  expect(textOf(stayed.html)).toContain('You are still logged in to Mikomo Bank')
  expect((await browser.open(`${url}/`)).html).toContain('Log out')
  // And the bank still has something to ask.
  expect(textOf((await browser.open(end)).html)).toContain('Log out of Mikomo Bank?')
})

test('tokens that are revoked are good for nothing any more', async () => {
  const strategy = { scope: ['openid', 'offline_access'], prompt: 'consent' }
  const app = await startApp({ strategy })
  closing.push(() => app.close())
  await logIn(new Browser(), `${app.url}/login`)
  const [login] = app.logins
  if (!login) throw new Error('nobody was logged in')
  const { client } = app.strategy
  await client.revokeToken(login.issuer, login.tokens)
  const refused: unknown = await client.refreshToken(login.issuer, login.tokens).catch((err: unknown) => err)
  expect(refused).toBeInstanceOf(IDPartnerError)
  expect(refused).toMatchObject({ code: 'provider_error', providerError: 'invalid_grant' })
})
