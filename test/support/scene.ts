import { afterAll, afterEach } from '@jest/globals'
import {
  IDPartnerStrategy,
  type AuthenticateOptions,
  type IDPartnerLogin,
  type IDPartnerStrategyOptions,
} from 'passport-idpartner'
import type { Person } from './bank.js'
import type { AuthorizationRequest } from './client-checks.js'
import { SECOND, travel, useClock } from './clock.js'
import { Platform, type AnswerBends, type BankName, type PlatformOptions } from './platform.js'
import { forgetSecrets, keepSecret } from './secrets.js'
import { settle, takeSurplus, type Settled } from './settle.js'

type Session = Record<string, unknown>
type Options = Partial<Omit<IDPartnerStrategyOptions, 'passReqToCallback'>>

export interface SceneOptions extends PlatformOptions {
  strategy?: Options
  /** That of another scene, for a second process of the same application. */
  platform?: Platform
}

/** A login that was begun. */
export interface Begun {
  url: string
  request: AuthorizationRequest
  bank: BankName
}

const platforms: Platform[] = []
/** By their options, for all tests of a file. */
const kept = new Map<string, Platform>()
let used: { hurried: boolean } | undefined

/**
 * Ends what each test of a file started, and fails the test if the platform complains of our requests, if a request had
 * two outcomes, or if one went to the host that nothing may talk to.
 *
 * @param hurried whether the clock moves on a second whenever a document is fetched, since whoever publishes it is asked
 *   no more often than that; only a test of that very second waits for it
 */
export function useScenes({ hurried = true } = {}): void {
  used = { hurried }
  useClock()
  afterEach(endScenes)
  afterAll(async () => {
    await Promise.all([...kept.values()].map((platform) => platform.close()))
    kept.clear()
  })
}

async function endScenes(): Promise<void> {
  const closing = platforms.splice(0)
  await Promise.all(closing.map((platform) => platform.close()))
  forgetSecrets()
  const all = [...closing, ...kept.values()]
  const complaints = [...all.flatMap(({ wire }) => wire.complaints), ...takeSurplus()]
  const requests = all.flatMap((platform) => platform.requests)
  for (const platform of kept.values()) platform.reset()
  if (complaints.length > 0) throw new Error(`the platform complains: ${complaints.join('; ')}`)
  if (requests.some((one) => one.startsWith('evil.'))) {
    throw new Error('a request went to the host that nothing may talk to')
  }
}

/** The same on a platform that goes on from test to test, for tables that are long; the application is a new one. */
export async function nextScene({ strategy, ...options }: Omit<SceneOptions, 'platform'>): Promise<Scene> {
  const name = JSON.stringify(options)
  const platform = kept.get(name) ?? (await Platform.start(options))
  kept.set(name, platform)
  return startScene({ platform, ...(strategy && { strategy }) })
}

/** A platform, an application with the strategy, and the browser of one person. */
export async function startScene({
  strategy,
  platform: shared,
  ...options
}: SceneOptions = {}): Promise<Scene> {
  if (!used) throw new Error('call useScenes() at the top of this file: it ends what its tests start')
  const platform = shared ?? (await Platform.start(options))
  if (!shared) platforms.push(platform)
  if (used.hurried) {
    platform.wire.seen = ({ endpoint }) => {
      if (/\.(discovery|jwks)$/.test(endpoint)) travel(SECOND)
    }
  }
  return new Scene(platform, { ...(await platform.config()), fetchUserInfo: true, ...strategy })
}

export class Scene {
  readonly platform: Platform
  readonly strategy: IDPartnerStrategy
  /** The logins that reached `verify`, oldest first. */
  readonly logins: IDPartnerLogin[] = []
  /** The browser of the person who logs in. */
  readonly visitor: Visitor

  constructor(platform: Platform, options: Options & Awaited<ReturnType<Platform['config']>>) {
    this.platform = platform
    this.strategy = new IDPartnerStrategy({ ...options, passReqToCallback: false }, (login) => {
      this.logins.push(login)
      return Promise.resolve({ sub: login.claims.sub })
    })
    this.visitor = this.newVisitor()
  }

  /** The same, where somebody attacks. */
  get victim(): Visitor {
    return this.visitor
  }

  newVisitor(person?: Person): Visitor {
    return new Visitor(this, person ?? this.platform.person)
  }
}

/** A browser: a session, and what is done with it. */
export class Visitor {
  session: Session = {}
  readonly #scene: Scene
  readonly #person: Person

  constructor(scene: Scene, person: Person) {
    this.#scene = scene
    this.#person = person
  }

  /** Begins a login; in the direct flow at that bank. */
  async begin(bank: BankName = 'bankA', options: AuthenticateOptions = {}): Promise<Begun> {
    const { platform } = this.#scene
    const { via, value } = await this.login(
      platform.flow === 'direct' ? { iss: platform[bank].issuer } : {},
      options,
    )
    if (via !== 'redirect') throw new Error(`the login did not begin: ${via}`, { cause: value })
    const url = value as string
    return { url, request: await platform.request(url), bank }
  }

  login(query: Record<string, string>, options: AuthenticateOptions = {}): Promise<Settled> {
    return settle(this.#scene.strategy, this.get('/login', new URLSearchParams(query)), options)
  }

  /** What the browser would bring back from a login. */
  answer({ request, bank }: Begun, bends: AnswerBends = {}, by: { bank?: BankName } = {}): Promise<string> {
    return this.#scene.platform.answer(request, bends, { bank, person: this.#person, ...by })
  }

  /** The same as the parameters of the callback. */
  answerParams(
    { request, bank }: Begun,
    bends: AnswerBends = {},
    by: { bank?: BankName } = {},
  ): Promise<Record<string, string>> {
    return this.#scene.platform.answerParams(request, bends, { bank, person: this.#person, ...by })
  }

  /** Goes to the bank and back. */
  async finish(begun: Begun, bends: AnswerBends = {}): Promise<Settled> {
    return this.bring(await this.answerParams(begun, bends))
  }

  /** Calls the callback route. */
  bring(query: Record<string, string> | [string, string][] | string): Promise<Settled> {
    const params = new URLSearchParams(query)
    const described = params.get('error_description')
    if (described !== null) keepSecret(described)
    return settle(this.#scene.strategy, this.get('/callback', params))
  }

  get(path: string, params: URLSearchParams): object {
    return {
      method: 'GET',
      url: `${path}?${params.toString()}`,
      headers: { cookie: 'sid=1' },
      session: this.session,
    }
  }
}
