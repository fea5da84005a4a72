import { fetch as undiciFetch, type Dispatcher } from 'undici'
import { Browser, textOf } from '../support/browser.js'
import type { App, Ended } from './app.js'
import type { Person } from './realm.js'

/** A bank, and the application's routes for it. */
export interface At {
  name: string
  issuer: string
}

export interface Visit {
  /** What the person says when asked for consent. */
  consent?: 'Yes' | 'No'
  /** Options of this login, in the login route's query. */
  query?: Record<string, string>
  /** What happens while the person reads the bank's first page. */
  meanwhile?: () => Promise<void>
}

/** A person at a browser, who knows the password. */
export class Visitor {
  readonly #app: App
  readonly #person: Person
  readonly browser: Browser
  /** What the bank asked for, oldest first. */
  readonly asked: ('password' | 'consent')[] = []

  constructor(app: App, person: Person, dispatcher: Dispatcher) {
    this.#app = app
    this.#person = person
    this.browser = new Browser('nowhere:', {
      fetch: ((url: string, init: object) => undiciFetch(url, { ...init, dispatcher })) as never,
    })
  }

  /** Goes through a login until the application is back. */
  async logIn(at: At, visit: Visit = {}): Promise<Ended> {
    return this.comeBack(await this.leave(at, visit))
  }

  /**
   * Goes through it up to the address that the bank sends the browser back to.
   *
   * @returns nothing where the application did not let the browser go
   */
  async leave(at: At, { consent = 'Yes', query = {}, meanwhile }: Visit = {}): Promise<string | undefined> {
    this.browser.stopAt = this.#app.callback(at.name)
    const params = new URLSearchParams({ iss: at.issuer, ...query })
    let page = await this.browser.open(`${this.#app.url}/${at.name}/login?${params.toString()}`)
    for (let pages = 0; page.status !== 0; pages++) {
      if (page.url.startsWith(this.#app.url)) return undefined
      if (pages === 0) await meanwhile?.()
      if (pages === 5 || page.status !== 200) throw new Error(`stuck at the bank: ${textOf(page.html)}`)
      if (page.html.includes('name="password"')) {
        this.asked.push('password')
        const { username, password } = this.#person
        page = await this.browser.press(page, 'Sign In', { username, password })
      } else {
        this.asked.push('consent')
        page = await this.browser.press(page, consent)
      }
    }
    return page.url
  }

  /** Follows that address, and says how the login ended. */
  async comeBack(url: string | undefined): Promise<Ended> {
    this.browser.stopAt = 'nowhere:'
    if (url !== undefined) await this.browser.open(url)
    const [ended, ...others] = this.#app.takeEnds()
    if (!ended || others.length > 0) throw new Error(`not one end, but ${String(others.length + 1)}`)
    return ended
  }
}
