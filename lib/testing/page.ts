import { findPersona, type Whom } from './whom.js'

/** What is used of a page of Playwright. */
export interface BrowserPage {
  /** Finds a button by what it says. */
  getByRole: (
    role: 'button',
    options: { name: string | RegExp },
  ) => {
    /** Presses it. */
    click: () => Promise<void>
  }
  /** Finds a field by its label. */
  getByLabel: (
    text: string,
    options: { exact: true },
  ) => {
    /** Writes into it. */
    fill: (value: string) => Promise<void>
  }
}

/**
 * Goes through the pages of the sandbox in a browser, from the account selector on, to which the app has led: chooses a
 * bank, logs in, and shares what is asked for.
 *
 * Does not wait for the app's own page after that; the test does, as it knows what has to be there.
 *
 * @throws {TypeError} for a bank or a person that the sandbox does not have
 */
export async function loginOnPage(page: BrowserPage, whom: Whom): Promise<void> {
  const { bank, persona } = findPersona(whom)
  await page.getByRole('button', { name: bank.name }).click()
  await page.getByLabel('Login', { exact: true }).fill(persona.login)
  await page.getByLabel('Password', { exact: true }).fill(persona.password)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('button', { name: 'Share and continue' }).click()
}
