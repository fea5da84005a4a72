import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { chromium, type Browser, type BrowserContext, type Locator, type Page } from 'playwright-core'
import { startExample, type Example } from './support/example.js'

const CHROMIUM = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run']
const QUIET = ['--disable-background-networking', '--disable-component-update', '--disable-sync']
/** Pictures for the README are made only when asked for, at the address the README names. */
const PICTURES = process.env.UPDATE_SCREENSHOTS === '1'
const SCREENSHOTS = join(import.meta.dirname, '../docs/screenshots')

/** Run in the page; text, since this project's types know no DOM. */
const FOCUS_STYLE =
  '(({ outlineStyle, boxShadow }) => ({ outlineStyle, boxShadow }))(getComputedStyle(document.activeElement))'
const BACKGROUND = 'getComputedStyle(document.body).backgroundColor'
/** Texts whose contrast is lower than WCAG 2.2 asks for (1.4.3): 4.5 to 1, or 3 to 1 in large letters. */
const HARD_TO_READ = `(() => {
  const parsed = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number)
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((one, index) => one * a + below[index] * (1 - a))
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((one) => (one / 255 <= 0.04045 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const behind = (element) =>
    element ? over(parsed(getComputedStyle(element).backgroundColor), behind(element.parentElement)) : [255, 255, 255]
  const found = []
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '')
    if ((!own && element.tagName !== 'INPUT') || element.getClientRects().length === 0) continue
    const { color, fontSize, fontWeight } = getComputedStyle(element)
    const ground = behind(element)
    const [one, other] = [luminance(over(parsed(color), ground)), luminance(ground)].sort((a, b) => b - a)
    const ratio = (one + 0.05) / (other + 0.05)
    const size = parseFloat(fontSize)
    const isLarge = size >= 24 || (size >= 18.66 && Number(fontWeight) >= 700)
    if (ratio < (isLarge ? 3 : 4.5)) found.push(element.textContent.trim().slice(0, 40) + ' ' + ratio.toFixed(2))
  }
  return found
})()`
/** Buttons as the browser draws them where no stylesheet does. */
const UNSTYLED =
  "[...document.querySelectorAll('button')].filter((one) => getComputedStyle(one).borderStyle === 'outset').length"
const INVISIBLE = { outlineStyle: 'none', boxShadow: 'none' }

const installed = existsSync(CHROMIUM)
if (!installed) {
  process.stderr.write(
    `\n*** NO CHROMIUM at ${CHROMIUM}: the browser test does not run. Set CHROMIUM_PATH. ***\n\n`,
  )
}

test('a browser is there where one is required', () => {
  expect(installed || process.env.REQUIRE_BROWSER !== '1').toBe(true)
})

// Only where no browser is required, as on a developer's machine that has none; the test above sees to it.
const describeWithBrowser = installed ? describe : describe.skip

describeWithBrowser('in Chromium', () => {
  let example: Example
  let browser: Browser
  let context: BrowserContext
  let page: Page
  let complaints: string[]
  let hold: (url: string) => boolean = () => false

  beforeAll(async () => {
    example = await startExample({
      port: PICTURES ? 3001 : 0,
      intercept: ({ url = '' }) => hold(url),
    })
    example.app.locals.persona = example.sandbox.banks[0]?.personas[0]
    browser = await chromium.launch({ executablePath: CHROMIUM, args: [...FLAGS, ...QUIET] })
  })
  afterAll(async () => {
    await browser.close()
    await example.close()
  })
  beforeEach(async () => {
    context = await browser.newContext({ viewport: { width: 1000, height: 740 }, reducedMotion: 'reduce' })
    page = await context.newPage()
    complaints = []
    page.on('console', (message) => {
      // Chromium reports the status of a failure page as an error; what we listen for is the content security policy.
      if (!message.text().includes('the server responded with a status of')) complaints.push(message.text())
    })
    page.on('pageerror', (err) => complaints.push(err.message))
  })
  afterEach(async () => {
    await context.close()
    expect(complaints).toEqual([])
  })

  test('a person logs in with their bank', async () => {
    await page.goto(example.url)
    await examine(page, 'home')
    await page.getByRole('link', { name: 'Log in with your bank' }).click()
    await examine(page, 'selector')
    await page.getByLabel(/search/i).fill('mikomo')
    await page.getByRole('button', { name: 'Search' }).click()
    await examine(page)
    await page.getByRole('button', { name: /Mikomo Bank/ }).click()
    await page.getByLabel('Login').fill('mikomo_10')
    await page.getByLabel('Password').fill('mikomo_10')
    await examine(page, 'bank-login')
    await page.getByRole('button', { name: 'Log in' }).click()
    await examine(page, 'consent')
    await page.getByRole('button', { name: 'Share and continue' }).click()
    await page.waitForURL(`${example.url}/profile`)
    await examine(page, 'profile')
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Welcome aboard, Philip')

    await page.goBack()
    await page.waitForURL(/\/banks\/|\/profile/)
    await page.goto(`${example.url}/profile`)
    await page.getByRole('button', { name: 'Log out' }).click()
    await examine(page)
    await page.getByRole('link', { name: 'Log out of Mikomo Bank too' }).click()
    await examine(page)
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.waitForURL(`${example.url}/`)
    expect(await page.getByRole('link', { name: 'Log in with your bank' }).isVisible()).toBe(true)
  })

  test('a person chooses their bank from a list of the app itself, on a phone and in the dark as well', async () => {
    const direct = await startExample({ sandbox: { flow: 'direct' } })
    try {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme })
        await page.setViewportSize({ width: 375, height: 700 })
        await page.goto(`${direct.url}/hire`)
        await examine(page, colorScheme === 'light' ? 'picker' : undefined)
        await assertNoSidewaysScrolling(page, 375)
      }
      await tabTo(page, page.getByRole('link', { name: /Mikomo Bank/ }))
      await page.keyboard.press('Enter')
      await page.getByLabel('Login').fill('mikomo_10')
      await page.getByLabel('Password').fill('mikomo_10')
      await page.getByRole('button', { name: 'Log in' }).click()
      await page.getByRole('button', { name: 'Share and continue' }).click()
      await page.waitForURL(`${direct.url}/hire`)
      await examine(page)
    } finally {
      await direct.close()
    }
  })

  test('a person who cancels reads so, and can try again', async () => {
    await page.goto(`${example.url}/login`)
    await page.getByRole('button', { name: /Mikomo Bank/ }).click()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.waitForURL(`${example.url}/login/callback?**`)
    await examine(page, 'failure')
    expect(await page.getByRole('alert').textContent()).toContain('Login cancelled')
    expect(await page.getByText('access_denied').count()).toBeGreaterThan(0)
    await page.getByRole('link', { name: 'Try again' }).click()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('link', { name: 'Back to the start' }).click()
    await page.waitForURL(`${example.url}/`)
  })

  test('the keyboard alone is enough', async () => {
    await page.goto(example.url)
    await tabTo(page, page.getByRole('link', { name: 'Log in with your bank' }))
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/oidc-proxy\//)
    await tabTo(page, page.getByRole('button', { name: 'Harbour Savings' }))
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/banks\/harbour\//)
    await tabTo(page, page.getByLabel('Login'))
    await page.keyboard.type('mikomo_40')
    await tabTo(page, page.getByLabel('Password'))
    await page.keyboard.type('mikomo_40')
    await page.keyboard.press('Enter')
    await tabTo(page, page.getByRole('button', { name: 'Share and continue' }))
    await page.keyboard.press('Enter')
    await page.waitForURL(`${example.url}/profile`)
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Welcome aboard, Owen')
    await tabTo(page, page.getByRole('button', { name: 'Log out' }))
    await page.keyboard.press('Enter')
    await page.waitForURL(`${example.url}/logout`)
  })

  test('in the dark every page is dark, and can be read', async () => {
    await page.emulateMedia({ colorScheme: 'dark' })
    const visit = async () => {
      await examine(page)
      expect({ page: await page.title(), background: await page.evaluate(BACKGROUND) }).toMatchObject({
        background: expect.stringMatching(/^rgb\([1-4]?\d, [1-4]?\d, [1-4]?\d\)$/),
      })
    }
    await page.goto(example.url)
    await visit()
    await page.goto(example.sandbox.url)
    await visit()
    for (const { name } of example.sandbox.banks) {
      await page.goto(`${example.url}/login`)
      await visit()
      await page.getByRole('button', { name }).click()
      await page.getByLabel('Login').fill('mikomo_10')
      await page.getByLabel('Password').fill('wrong')
      await page.getByRole('button', { name: 'Log in' }).click()
      await page.getByText('The login or the password is not right.').waitFor()
      await visit()
      await page.getByLabel('Password').fill('mikomo_10')
      await page.getByRole('button', { name: 'Log in' }).click()
      await page.getByRole('button', { name: 'Share and continue' }).waitFor()
      await visit()
    }
    await page.getByRole('button', { name: 'Share and continue' }).click()
    await page.waitForURL(`${example.url}/profile`)
    await visit()
    await page.goto(`${example.url}/login/callback?response=nonsense`)
    await visit()
    await page.goto(`${example.sandbox.url}/nowhere`)
    await visit()
  })

  test('an impatient click or a reload while the app is slow still ends at the app', async () => {
    const consent = async () => {
      await page.goto(`${example.url}/login`)
      await page.getByRole('button', { name: /Mikomo Bank/ }).click()
      await page.getByLabel('Login').fill('mikomo_10')
      await page.getByLabel('Password').fill('mikomo_10')
      await page.getByRole('button', { name: 'Log in' }).click()
      return page.getByRole('button', { name: 'Share and continue' })
    }
    for (const again of ['click', 'reload'] as const) {
      const share = await consent()
      // The first request with the answer hangs before the app has seen it.
      const hangs = new Promise<void>((resolve) => {
        hold = (url) => {
          if (!url.startsWith('/login/callback')) return false
          hold = () => false
          resolve()
          return true
        }
      })
      const { x = 0, y = 0 } = (await share.boundingBox()) ?? {}
      // By position: a locator would wait for the page that hangs.
      const press = () => page.mouse.click(x + 5, y + 5)
      await press()
      await hangs
      if (again === 'click') await press()
      else await (await context.newCDPSession(page)).send('Page.reload')
      // The navigation that hangs is given up for the second one.
      const arrives = () => page.waitForURL(`${example.url}/profile`)
      await arrives().catch(arrives)
      await page.getByRole('button', { name: 'Log out' }).click()
      await page.waitForURL(`${example.url}/logout`)
    }
  })

  test.each([320, 390])('no page is wider than a phone of %i pixels', async (width) => {
    await page.setViewportSize({ width, height: 700 })
    const fits = () => assertNoSidewaysScrolling(page, width)
    await page.goto(example.url)
    await fits()
    await page.goto(`${example.url}/login`)
    await fits()
    await page.getByRole('button', { name: /Northlight/ }).click()
    await fits()
    await page.getByLabel('Login').fill('mikomo_10')
    await page.getByLabel('Password').fill('mikomo_10')
    await page.getByRole('button', { name: 'Log in' }).click()
    await fits()
    await page.getByRole('button', { name: 'Share and continue' }).click()
    await page.waitForURL(`${example.url}/profile`)
    await page.getByText('Claims of the ID token').click()
    await fits()
    await page.goto(`${example.url}/login/callback?response=nonsense`)
    await fits()
  })
})

/** What every page owes to those who do not see it, and a picture of it. */
async function examine(page: Page, picture?: string): Promise<void> {
  await page.waitForLoadState('load')
  expect(await page.title()).toMatch(/\S{3}/)
  const inputs = page.locator('input:not([type=hidden]), select, textarea')
  const buttons = page.getByRole('button')
  const links = page.getByRole('link')
  expect({
    english: await page.locator('html[lang=en]').count(),
    h1: await page.getByRole('heading', { level: 1, name: /\S/ }).count(),
    main: await page.getByRole('main').count(),
    scripts: await page.locator('script').count(),
    unlabelledInputs: (await inputs.count()) - (await inputs.and(page.getByLabel(/\S/)).count()),
    namelessButtons: (await buttons.count()) - (await page.getByRole('button', { name: /\S/ }).count()),
    namelessLinks: (await links.count()) - (await page.getByRole('link', { name: /\S/ }).count()),
    picturesWithoutAlt: await page.locator('img:not([alt])').count(),
    unstyledButtons: await page.evaluate(UNSTYLED),
    hardToRead: await page.evaluate(HARD_TO_READ),
  }).toEqual({
    english: 1,
    h1: 1,
    main: 1,
    scripts: 0,
    unlabelledInputs: 0,
    namelessButtons: 0,
    namelessLinks: 0,
    picturesWithoutAlt: 0,
    unstyledButtons: 0,
    hardToRead: [],
  })
  if (PICTURES && picture !== undefined) {
    await page.screenshot({ path: join(SCREENSHOTS, `${picture}.png`) })
  }
}

/** Presses Tab until `target` has the focus, which has to show at each step. */
async function tabTo(page: Page, target: Locator): Promise<void> {
  await target.waitFor()
  const focused = page.locator(':focus')
  for (let presses = 0; presses < 40; presses++) {
    if ((await focused.count()) > 0) {
      const { outlineStyle, boxShadow } = await page.evaluate<Record<string, string>>(FOCUS_STYLE)
      expect({ at: await focused.innerText(), outlineStyle, boxShadow }).not.toMatchObject(INVISIBLE)
      if ((await focused.and(target).count()) === 1) return
    }
    await page.keyboard.press('Tab')
  }
  throw new Error(`Tab does not lead to ${target.toString()}`)
}

async function assertNoSidewaysScrolling(page: Page, width: number): Promise<void> {
  await page.waitForLoadState('load')
  const scrollWidth = await page.evaluate<number>('document.documentElement.scrollWidth')
  expect({ page: await page.title(), scrollWidth }).toMatchObject({ scrollWidth: width })
}
