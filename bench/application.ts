import { IDPartnerStrategy, type IDPartnerStrategyOptions } from 'passport-idpartner'
import { Platform, type PlatformOptions } from '../test/support/platform.js'
import { settle, type Settled } from '../test/support/settle.js'

type Options = Partial<Omit<IDPartnerStrategyOptions, 'passReqToCallback'>>

/** An application on a platform of the tests, and as many browsers as one likes. */
export class Application {
  readonly platform: Platform
  readonly #strategy: IDPartnerStrategy

  private constructor(platform: Platform, options: Options & Awaited<ReturnType<Platform['config']>>) {
    this.platform = platform
    this.#strategy = new IDPartnerStrategy({ ...options, passReqToCallback: false }, (login) =>
      Promise.resolve({ sub: login.claims.sub }),
    )
  }

  static async start(platformOptions: PlatformOptions, options: Options = {}): Promise<Application> {
    const platform = await Platform.start(platformOptions)
    return new Application(platform, { ...(await platform.config()), ...options })
  }

  /** Begins a login, goes to the bank, and returns how to call the callback route. */
  async visit(): Promise<() => Promise<Settled>> {
    const { platform } = this
    const session = {}
    const query = platform.flow === 'direct' ? { iss: platform.bankA.issuer } : {}
    const begun = await this.#get('/login', query, session)
    if (begun.via !== 'redirect') throw new Error('the login did not begin', { cause: begun.value })
    const response = await platform.answer(await platform.request(begun.value as string))
    return () => this.#get('/callback', { response }, session)
  }

  close(): Promise<void> {
    return this.platform.close()
  }

  #get(path: string, query: Record<string, string>, session: object): Promise<Settled> {
    const url = `${path}?${new URLSearchParams(query).toString()}`
    return settle(this.#strategy, { method: 'GET', url, headers: { cookie: 'sid=1' }, session })
  }
}
