import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { startSandbox, type Sandbox, type SandboxBank } from '../../lib/sandbox/index.js'
import { Browser, textOf, type Page } from '../support/browser.js'
import { MINUTE, travel, useClock } from '../support/clock.js'
import { SandboxApp, agree, paramOf, present, type Proofs } from '../support/sandbox-app.js'

useClock()

const PERSON = { login: 'mikomo_10', password: 'mikomo_10' }
const OTHER_PERSON = { login: 'mikomo_20', password: 'mikomo_20' }

let app: SandboxApp
let sandbox: Sandbox
let bank: SandboxBank
let browser: Browser

beforeAll(async () => {
  app = await SandboxApp.start()
})
afterAll(() => app.close())
beforeEach(() => {
  browser = new Browser(app.callback)
})

/** What everybody needs who cannot go on. */
function expectDeadEnd(page: Page, text: string): void {
  expect(textOf(page.html)).toContain(text)
  expect(page.status).toBeGreaterThanOrEqual(400)
  expect(page.html).toContain('href="https://quayside.example/start"')
  expect(textOf(page.html)).toContain('Back to Quayside & Sons')
}

/** Asks as a browser does under that name. */
async function under(host: string, url: string): Promise<{ status: number; html: string }> {
  const [response] = (await once(get(url, { headers: { host } }), 'response')) as [IncomingMessage]
  return { status: response.statusCode ?? 0, html: await text(response) }
}

const NAMES = { client_name: 'Quayside & Sons', client_uri: 'https://quayside.example/start' }

describe('at a bank', () => {
  beforeAll(async () => {
    sandbox = await startSandbox({ ...app.options, ...NAMES, flow: 'direct' })
    bank = present(sandbox.banks[0])
  })
  afterAll(() => sandbox.close())

  const openLogin = async (proofs: Proofs = app.newProofs()) =>
    browser.open(await app.directUrl(bank.issuer, proofs))
  const openConsent = async (proofs?: Proofs) => browser.press(await openLogin(proofs), 'Log in', PERSON)
  const claimsOf = async ({ url }: Page) => (await app.read(paramOf(url, 'response'), bank.issuer)).claims

  test.each<[string, () => string, string]>([
    ['a page that it does not have', () => `${bank.issuer}/nothing`, 'This bank has no page at this address'],
    ['its address alone', () => bank.issuer, 'This bank has no page at this address'],
    ['what only a form leads to', () => `${bank.issuer}/session/end/confirm`, 'no page at this address'],
    ['userinfo', () => `${bank.issuer}/me`, 'no access token provided'],
    ['a login that is over', () => `${bank.issuer}/interaction/gone`, 'over'],
    ['a request that is none', () => `${bank.issuer}/auth?client_id=nobody`, 'invalid_client'],
  ])('a person who opens %s gets a page, and a way back to the app', async (_what, url, text) => {
    const response = await fetch(url(), { headers: { accept: 'text/html,*/*;q=0.8' } })
    const { status, headers } = response
    expectDeadEnd({ url: response.url, status, headers, html: await response.text() }, text)
  })

  test('and an app gets JSON', async () => {
    const response = await fetch(`${bank.issuer}/me`)
    expect(response.headers.get('content-type')).toMatch('json')
  })

  test('a name that is not of this machine gets a page, and a way back to the app', async () => {
    const { status, html } = await under('stranger.example', `${sandbox.url}/`)
    expectDeadEnd({ url: '', status, headers: new Headers(), html }, 'names localhost, 127.0.0.1 and [::1]')
    expect(html).toContain(`href="${sandbox.url}"`)
    expect(html).not.toContain(app.clientId)
    const style = await under('stranger.example', `${sandbox.url}/sandbox.css`)
    expect(style).toMatchObject({ status: 200, html: expect.stringContaining('prefers-color-scheme') })
  })

  test.each([
    ['Share and continue', 'code'],
    ['Cancel', 'error'],
  ])('a second press of "%s" gets the answer of the first', async (button, member) => {
    const consent = await openConsent()
    const first = await browser.press(consent, button)
    expect(await claimsOf(first)).toHaveProperty(member)
    expect((await browser.press(consent, button)).url).toBe(first.url)
    expect((await browser.press(consent, 'Cancel')).url).toBe(first.url)
  })

  test('also when the response to the first press never arrived', async () => {
    const consent = await openConsent()
    const interrupted = browser.clone()
    const first = await interrupted.press(consent, 'Share and continue')
    expect((await browser.press(consent, 'Share and continue')).url).toBe(first.url)
    // And the session is in good order afterwards.
    expect(await claimsOf(await agree(browser, await openLogin()))).toHaveProperty('code')
  })

  test('of presses at the same moment all get one answer', async () => {
    const consent = await openConsent()
    const pages = await Promise.all(
      [0, 1, 2, 3].map(() => browser.clone().press(consent, 'Share and continue')),
    )
    expect(new Set(pages.map(({ url }) => url)).size).toBe(1)
    expect(pages[0]?.url).toContain('response=')
  })

  test.each([
    ['arrived', false],
    ['never arrived', true],
  ])('a second press of "Log in" leads to the consent page, where the first %s', async (_what, isLost) => {
    const login = await openLogin()
    const consent = await (isLost ? browser.clone() : browser).press(login, 'Log in', PERSON)
    const again = await browser.press(login, 'Log in', PERSON)
    expect(again).toMatchObject({ url: consent.url, status: 200 })
    expect(await claimsOf(await browser.press(again, 'Share and continue'))).toHaveProperty('code')
  })

  test('Back from the consent page leads on to it', async () => {
    const login = await openLogin()
    const consent = await browser.press(login, 'Log in', PERSON)
    travel(10 * MINUTE)
    expect(await browser.open(login.url)).toMatchObject({ url: consent.url, status: 200 })
  })

  test('a reload while the app is slow gets the answer once more, and after a minute a way back', async () => {
    const login = await openLogin()
    const consent = await browser.press(login, 'Log in', PERSON)
    const { url } = await browser.press(consent, 'Share and continue')
    expect((await browser.open(consent.url)).url).toBe(url)
    expect((await browser.open(login.url)).url).toBe(url)
    travel(MINUTE + 1000)
    expectDeadEnd(await browser.open(consent.url), 'Quayside & Sons has the answer of Mikomo Bank already.')
    expectDeadEnd(await browser.press(consent, 'Share and continue'), 'This login is over')
    expectDeadEnd(await browser.open(login.url), 'This login is over')
  })

  test('another browser does not get the answer', async () => {
    const consent = await openConsent()
    const stranger = new Browser(app.callback)
    await stranger.open(await app.directUrl(bank.issuer))
    await browser.press(consent, 'Share and continue')
    for (const other of [stranger, new Browser(app.callback)]) {
      expectDeadEnd(await other.open(consent.url), 'This login is over')
      expectDeadEnd(await other.press(consent, 'Share and continue'), 'This login is over')
    }
  })

  test('a login that began in another browser is told so', async () => {
    const login = await openLogin()
    const stranger = new Browser(app.callback)
    await stranger.open(await app.directUrl(bank.issuer))
    // Its own cookies are for other paths of the bank, all but this one.
    expectDeadEnd(await stranger.open(login.url), 'This login began in another browser.')
  })

  test('blocked cookies are named as the cause', async () => {
    const blocking = new Browser(app.callback, { cookies: false })
    const page = await blocking.open(await app.directUrl(bank.issuer))
    expectDeadEnd(page, 'Your browser sent no cookie along')
    expect(textOf(page.html)).toContain('allow them for localhost')
  })

  test('a login that waited too long is told so', async () => {
    const login = await openLogin()
    travel(31 * MINUTE)
    expectDeadEnd(await browser.open(login.url), 'It may have waited for more than half an hour')
  })

  test('a second person in another tab ends the login of the first, who is told so', async () => {
    const consent = await openConsent()
    const second = await browser.press(await openLogin(), 'Log in', OTHER_PERSON)
    expectDeadEnd(
      await browser.press(consent, 'Share and continue'),
      'Somebody else has logged in at Mikomo Bank in this browser',
    )
    expectDeadEnd(await browser.open(consent.url), 'Another person logged in')
    expect(await claimsOf(await browser.press(second, 'Share and continue'))).toHaveProperty('code')
  })

  test('a login page goes on although another person has logged in since it was opened', async () => {
    await agree(browser, await openLogin())
    const [one, other] = [await openLogin(), await openLogin()]
    const second = await browser.press(other, 'Log in', OTHER_PERSON)
    expect(await claimsOf(await browser.press(second, 'Share and continue'))).toHaveProperty('code')
    expect((await browser.open(one.url)).status).toBe(200)
    const consent = await browser.press(one, 'Log in', PERSON)
    expect(textOf(consent.html)).toContain('Logged in as Philip Lindqvist')
    expect(await claimsOf(await browser.press(consent, 'Share and continue'))).toHaveProperty('code')
  })

  test('two logins of one person in two tabs, step by step in turn, both finish', async () => {
    const logins = [await openLogin(), await openLogin()] as const
    const consents = [
      await browser.press(logins[0], 'Log in', PERSON),
      await browser.press(logins[1], 'Log in', PERSON),
    ] as const
    for (const consent of consents) {
      expect(await claimsOf(await browser.press(consent, 'Share and continue'))).toHaveProperty('code')
    }
  })

  test.each([PERSON, OTHER_PERSON])(
    'the code of one login is good after another login by $login in another tab',
    async (second) => {
      const [one, other] = [app.newProofs(), app.newProofs()]
      const first = await claimsOf(await browser.press(await openConsent(one), 'Share and continue'))
      const consent = await browser.press(await openLogin(other), 'Log in', second)
      const last = await claimsOf(await browser.press(consent, 'Share and continue'))
      const tokens = await app.redeem(bank.issuer, first.code, one)
      expect(tokens).toMatchObject({ status: 200 })
      expect(await app.redeem(bank.issuer, last.code, other)).toMatchObject({ status: 200 })
      const headers = { authorization: `Bearer ${tokens.body.access_token}` }
      const { body } = await app.request(bank.issuer, 'userinfo_endpoint', { headers })
      expect(body.sub).toBe(bank.personas[0]?.claims.sub)
    },
  )

  test('a wrong password leads to a page that can be reloaded, until another person is chosen', async () => {
    const login = await openLogin()
    const wrong = await browser.press(login, 'Log in', { login: 'mikomo_10', password: 'wrong' })
    expect(wrong).toMatchObject({ url: login.url, status: 200 })
    for (const page of [wrong, await browser.open(login.url)]) {
      expect(textOf(page.html)).toContain('The login or the password is not right.')
      expect(page.html).toContain('value="mikomo_10"')
    }
    const chosen = await browser.open(`${login.url}?login=mikomo_20`)
    expect(textOf(chosen.html)).not.toContain('not right')
    expect(textOf((await openLogin()).html)).not.toContain('not right')
  })

  test.each([
    ['an address where nothing is', '/nowhere', 'Nothing is here'],
    [
      'a request that no app made',
      '/banks/mikomo/auth?client_id=x&request_uri=urn:y',
      'Mikomo Bank cannot go on',
    ],
    ['an account selector without parameters', '/v1/select-accounts', 'This request is not valid'],
  ])('%s leads back to the app, by its name', async (_what, path, text) => {
    expectDeadEnd(await browser.open(sandbox.url + path), text)
  })

  test('pages call the app by its name', async () => {
    const login = await openLogin()
    expect(textOf(login.html)).toContain('Quayside & Sons asks you to confirm who you are.')
    const consent = await browser.press(login, 'Log in', PERSON)
    expect(textOf(consent.html)).toContain('Share this with Quayside & Sons?')
  })
})

describe('at the account selector of the proxy', () => {
  beforeAll(async () => {
    sandbox = await startSandbox({ ...app.options, ...NAMES })
  })
  afterAll(() => sandbox.close())

  const issuerIn = async ({ url }: Page) => {
    const { identity_provider, sub } = await app.document(sandbox, url)
    const { issuer_url } = identity_provider as { issuer_url: string }
    // Throws when another bank has signed.
    await app.read(sub, issuer_url)
    return issuer_url
  }

  test.each([0, 1])('of two banks opened from one, bank %i answers as itself', async (index) => {
    const selector = await browser.open(await app.proxyUrl(sandbox))
    const banks = [present(sandbox.banks[0]), present(sandbox.banks[1])] as const
    const tabs = [
      await browser.press(selector, banks[0].name),
      await browser.press(selector, banks[1].name),
    ] as const
    const answered = await agree(browser, present(tabs[index]))
    expect(await issuerIn(answered)).toBe(banks[index]?.issuer)
    const late = await agree(browser, present(tabs[1 - index]))
    expectDeadEnd(late, 'This login was finished in another tab')
  })

  test('a second press at the bank gets the very same document', async () => {
    const login = await browser.press(await browser.open(await app.proxyUrl(sandbox)), 'Mikomo Bank')
    const consent = await browser.press(login, 'Log in', PERSON)
    const interrupted = browser.clone()
    const first = await interrupted.press(consent, 'Share and continue')
    expect((await browser.press(consent, 'Share and continue')).url).toBe(first.url)
  })

  test('a second press of "Cancel" gets the answer of the first, and a reload too', async () => {
    const selector = await browser.open(await app.proxyUrl(sandbox))
    const { url } = await browser.press(selector, 'Cancel')
    expect(paramOf(url, 'error')).toBe('access_denied')
    expect((await browser.press(selector, 'Cancel')).url).toBe(url)
    expect((await browser.open(selector.url)).url).toBe(url)
    expectDeadEnd(await new Browser(app.callback).open(selector.url), 'This login is over')
  })

  test('Back to the account selector after the login says that it is over', async () => {
    const selector = await browser.open(await app.proxyUrl(sandbox))
    await agree(browser, await browser.press(selector, 'Mikomo Bank'))
    travel(MINUTE + 1000)
    expectDeadEnd(await browser.open(selector.url), "Quayside & Sons has the bank's answer already.")
    expectDeadEnd(await browser.press(selector, 'Mikomo Bank'), 'This login is over')
  })

  test('cancelling in one tab leaves the bank in the other alone', async () => {
    const selector = await browser.open(await app.proxyUrl(sandbox))
    const login = await browser.press(selector, 'Mikomo Bank')
    await browser.press(selector, 'Cancel')
    expect(await issuerIn(await agree(browser, login))).toBe(sandbox.banks[0]?.issuer)
  })

  test('a request that is not valid leads back to the app', async () => {
    expectDeadEnd(
      await browser.open(`${sandbox.config.oidc_proxy_service_url}/auth`),
      'This request is not valid',
    )
  })
})
