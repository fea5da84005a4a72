import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Platform } from '../support/platform.js'
import type { Answer, Failing, Start } from './app.js'
import type { Balancer } from './balancer.js'
import type { StoreServer } from './servers.js'

/** Two processes of one application, the store of sessions they share, and the bank. */
export interface Deployment {
  platform: Platform
  server: StoreServer
  apps: [App, App]
  /** One process more, for whoever wants to lose one. */
  startApp: () => Promise<App>
  /** A proxy in front of two processes of their own, that speaks TLS for them and sends each request to the next one. */
  startBalancer: () => Promise<Balanced>
}

export interface Balanced {
  balancer: Balancer
  apps: [App, App]
  close: () => Promise<void>
}

/** Where requests go: to one process, or to what stands in front of several. */
export interface Door {
  get(path: string, headers: Record<string, string>): Promise<Response>
}

export interface Result extends Answer {
  /** The process that answered. */
  by: string | undefined
  status: number
  location: string | undefined
}

/** A process of the application. */
export class App implements Door {
  readonly #child: ChildProcess
  #origin = ''

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(start: Start): Promise<App> {
    const child = fork(new URL('app.ts', import.meta.url), { execArgv: ['--import', 'tsx'] })
    const app = new App(child)
    try {
      child.send(start)
      const died = once(child, 'exit').then(() => {
        throw new Error('a process of the application ended')
      })
      died.catch(() => undefined)
      const [{ port }] = (await Promise.race([once(child, 'message'), died])) as [{ port: number }]
      app.#origin = `http://127.0.0.1:${String(port)}`
      return app
    } catch (err) {
      await app.kill()
      throw err
    }
  }

  /** Starts several; when one does not start, none is left running. */
  static async startAll(start: Start, count: number): Promise<App[]> {
    const started = await Promise.allSettled(Array.from({ length: count }, () => App.start(start)))
    const apps = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    if (apps.length === count) return apps
    await Promise.all(apps.map((app) => app.kill()))
    throw new Error('a process of the application did not start')
  }

  get port(): number {
    return Number(new URL(this.#origin).port)
  }

  failing(failing: Failing): void {
    this.#child.send(failing)
  }

  get(path: string, headers: Record<string, string>): Promise<Response> {
    return fetch(`${this.#origin}${path}`, {
      headers,
      redirect: 'manual',
      signal: AbortSignal.timeout(30_000),
    })
  }

  /** Ends it as the kernel does when memory is short. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }
}

/** A browser with one cookie. */
export class Browser {
  readonly #platform: Platform
  readonly #headers: Record<string, string>
  #cookie: string | undefined

  constructor(platform: Platform, headers: Record<string, string> = {}) {
    this.#platform = platform
    this.#headers = headers
  }

  /** Another tab, whose answers do not change the cookie of this one. */
  tab(): Browser {
    const tab = new Browser(this.#platform, this.#headers)
    tab.#cookie = this.#cookie
    return tab
  }

  async get(app: Door, path: string): Promise<Result> {
    const cookie = this.#cookie === undefined ? {} : { cookie: this.#cookie }
    const response = await app.get(path, { ...this.#headers, ...cookie })
    const [set] = response.headers.getSetCookie()
    if (set !== undefined) this.#cookie = set.split(';')[0]
    const location = response.headers.get('location') ?? undefined
    const text = await response.text()
    const by = response.headers.get('x-process') ?? undefined
    return {
      // What stands in front of the application answers in its own words.
      ...(location === undefined && by !== undefined && (JSON.parse(text) as Answer)),
      by,
      status: response.status,
      location,
    }
  }

  /** What it would bring back from the bank, if the login begins. */
  async begin(app: Door): Promise<string | undefined> {
    const { location } = await this.get(app, '/login')
    return location === undefined ? undefined : this.answer(location)
  }

  async answer(location: string): Promise<string> {
    const response = await this.#platform.answer(await this.#platform.request(location))
    return `/callback?${new URLSearchParams({ response }).toString()}`
  }
}
