import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { startExample, type Example, type ExampleOptions } from './support/example.js'
import { ENGINES, isInstalled, type WebDriver } from './support/webdriver.js'

jest.setTimeout(180_000)

/** The https set-up first: its cookie must not be in the way of the others, which have the same host. */
const SET_UPS: [string, ExampleOptions][] = [
  ['at an https address', { https: true }],
  ['through the proxy', {}],
  ['with the platform on another site', { sandbox: { host: '127.0.0.1' } }],
  [
    'directly with a client secret',
    { sandbox: { flow: 'direct', token_endpoint_auth_method: 'client_secret_basic' } },
  ],
  [
    'directly with a client certificate',
    { sandbox: { flow: 'direct', token_endpoint_auth_method: 'tls_client_auth' } },
  ],
]

const missing = ENGINES.filter((engine) => !isInstalled(engine))
for (const { name, programs } of missing) {
  process.stderr.write(
    `\n*** NO ${name.toUpperCase()}: its logins are not tried. Needs ${programs.join(', ')}. ***\n\n`,
  )
}

test('every browser is there where browsers are required', () => {
  expect(process.env.REQUIRE_BROWSER === '1' ? missing.map(({ name }) => name) : []).toEqual([])
})

describe.each(ENGINES)('in $name', (engine) => {
  // Only where no browser is required, as on a developer's machine that lacks it; the test above sees to it.
  const testWithBrowser = isInstalled(engine) ? test : test.skip
  let browser: WebDriver
  let example: Example | undefined

  beforeAll(async () => {
    if (isInstalled(engine)) browser = await engine.start()
  })
  afterEach(async () => {
    await example?.close()
    example = undefined
  })
  afterAll(async () => {
    if (isInstalled(engine)) await browser.close()
  })

  async function logIn(options: ExampleOptions): Promise<Example> {
    example = await startExample(options)
    await browser.open(example.url)
    await browser.click('//a[contains(., "Log in with your bank")]')
    // The app's own picker has links, and IDPartner's page has buttons.
    await browser.click('//*[self::a or self::button][contains(., "Mikomo Bank")]')
    await browser.type('//input[@id = "login"]', 'mikomo_10')
    await browser.type('//input[@id = "password"]', 'mikomo_10')
    await browser.click('//button[contains(., "Log in")]')
    await browser.click('//button[contains(., "Share and continue")]')
    return example
  }

  testWithBrowser.each(SET_UPS)('a person logs in %s', async (_how, options) => {
    const { url } = await logIn(options)
    expect(await browser.textOf('//h1[contains(., "Welcome")]')).toBe('Welcome aboard, Philip')
    expect(await browser.url()).toBe(`${url}/profile`)
    expect(await browser.textOf('//p[@class = "lead"]')).toContain('Mikomo Bank')
    await browser.click('//button[contains(., "Log out")]')
    await browser.click('//a[contains(., "Log out of Mikomo Bank too")]')
    await browser.click('//button[contains(., "Log out")]')
    expect(await browser.textOf('//a[contains(., "Log in with your bank")]')).toContain('Log in')
  })

  testWithBrowser('SameSite=Strict fails with the platform on another site, as in life', async () => {
    await logIn({ sandbox: { host: '127.0.0.1' }, intercept: strictCookies })
    expect(await browser.textOf('//div[@role = "alert"]')).toContain('Your browser did not remember us')
  })

  testWithBrowser('a wrong password and Back from the consent page lead on', async () => {
    example = await startExample()
    await browser.open(`${example.url}/login`)
    await browser.click('//button[contains(., "Harbour Savings")]')
    await browser.type('//input[@id = "login"]', 'mikomo_20')
    await browser.type('//input[@id = "password"]', 'wrong')
    await browser.click('//button[contains(., "Log in")]')
    expect(await browser.textOf('//p[@role = "alert"]')).toBe('The login or the password is not right.')
    const loginPage = await browser.url()
    await browser.type('//input[@id = "password"]', 'mikomo_20')
    await browser.click('//button[contains(., "Log in")]')
    expect(await browser.textOf('//h1[contains(., "Share")]')).toBe('Share this with Quayside?')
    await browser.back()
    // WebKit shows its own copy of the login page; with a reload it asks for it, as the others do at once.
    await browser.open(loginPage)
    await browser.click('//button[contains(., "Share and continue")]')
    expect(await browser.textOf('//h1[contains(., "Welcome")]')).toBe('Welcome aboard, Tomas')
  })
})

/** The mistake that an app can make, and that goes unnoticed while everything is on one site. */
const strictCookies: NonNullable<ExampleOptions['intercept']> = (_req, res) => {
  const setHeader = res.setHeader.bind(res)
  res.setHeader = (name, value) =>
    setHeader(
      name,
      name.toLowerCase() === 'set-cookie'
        ? [value].flat().map((one) => String(one).replace('SameSite=Lax', 'SameSite=Strict'))
        : value,
    )
  return false
}
