import { expect, test as base } from '@playwright/test'
import { loginOnPage } from 'passport-idpartner/testing'
import { makeApp } from './app.js'
import { newSandbox, url } from './sandbox.js'

const test = base.extend({
  // One for all tests of a worker.
  sandbox: [
    // Playwright wants a pattern here, even an empty one.
    // eslint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const sandbox = await newSandbox()
      const server = (await makeApp(sandbox.config)).listen(3000)
      await use(sandbox)
      server.close()
      await sandbox.close()
    },
    { scope: 'worker' },
  ],
  // A page on which a person has logged in already.
  loggedIn: async ({ page, sandbox }, use) => {
    await page.goto(`${url}/login`)
    await loginOnPage(page, { sandbox, bank: 'Mikomo Bank', persona: 'mikomo_10' })
    await page.waitForURL(`${url}/`)
    await use(page)
  },
})

test('a person logs in with their bank', async ({ loggedIn }) => {
  await expect(loggedIn.locator('body')).toContainText('Hello, Philip Lindqvist')
})
