import { IDPartnerStrategy, type IDPartnerConfig, type IDPartnerLogin } from 'passport-idpartner'
import { ConnectProxy } from '../support/connect-proxy.js'
import { Platform, type PlatformOptions } from '../support/platform.js'
import { settle, type Settled } from '../support/settle.js'
import { Tinyproxy, type Setting } from './tinyproxy.js'

/** What IDPartner and the bank are called; none but the proxy knows where that is. */
export const HOSTNAME = 'bank.example'

/** IDPartner and a bank that are to be had through a proxy alone, and all that a case has started. */
export class Site {
  readonly platform: Platform
  /** Stands for the internet behind the proxy: it leads every name to loopback. */
  readonly world: ConnectProxy
  readonly #proxies: Tinyproxy[] = []

  private constructor(platform: Platform, world: ConnectProxy) {
    this.platform = platform
    this.world = world
  }

  static async start(options: PlatformOptions): Promise<Site> {
    const world = await ConnectProxy.start()
    return new Site(await Platform.start({ ...options, hostname: HOSTNAME }), world)
  }

  async tinyproxy(setting: Omit<Setting, 'upstream'> = {}, upstream = this.world.url): Promise<Tinyproxy> {
    const proxy = await Tinyproxy.start({ upstream, ...setting })
    this.#proxies.push(proxy)
    return proxy
  }

  async app(options: Partial<IDPartnerConfig>): Promise<App> {
    return new App(this.platform, { ...(await this.platform.config()), ...options })
  }

  async endCase(): Promise<void> {
    await Promise.all(this.#proxies.splice(0).map((proxy) => proxy.close()))
    this.platform.reset()
  }

  async close(): Promise<void> {
    await this.endCase()
    await this.platform.close()
    this.world.close()
  }
}

/** An application, and one browser. */
export class App {
  readonly strategy: IDPartnerStrategy
  readonly #platform: Platform
  readonly #session: Record<string, unknown> = {}

  constructor(platform: Platform, config: IDPartnerConfig) {
    this.#platform = platform
    const verify = ({ claims }: IDPartnerLogin): Promise<{ sub: string }> =>
      Promise.resolve({ sub: claims.sub })
    this.strategy = new IDPartnerStrategy({ ...config, fetchUserInfo: true }, verify)
  }

  begin(): Promise<Settled> {
    const { flow, bankA } = this.#platform
    return this.#get('/login', flow === 'direct' ? { iss: bankA.issuer } : {})
  }

  /** Brings back what the bank answers to a login that was begun. */
  async finish(begun: Settled): Promise<Settled> {
    if (begun.via !== 'redirect') return begun
    const response = await this.#platform.answer(await this.#platform.request(begun.value as string))
    return this.#get('/callback', { response })
  }

  async logIn(): Promise<Settled> {
    return this.finish(await this.begin())
  }

  #get(path: string, params: Record<string, string>): Promise<Settled> {
    const url = `${path}?${new URLSearchParams(params).toString()}`
    return settle(this.strategy, { method: 'GET', url, headers: { cookie: 'sid=1' }, session: this.#session })
  }
}
