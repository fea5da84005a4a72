import { IDPartnerError, ownError } from '../errors.js'
import { publish } from '../events.js'
import { importKeys, type ClientKeys, type DecryptionKey } from '../jwt/keys.js'
import { Vouchers } from '../jwt/voucher.js'
import type { Http } from '../net/http.js'
import { Banks } from './banks.js'
import type { IDPartnerConfig, ResolvedConfig } from './config.js'
import { warnOfExpiry } from './expiry.js'
import { failureText, writeLog } from './log.js'
import { badOption } from './option-errors.js'
import { Published, type Publications } from './published.js'
import { repeat } from './repeated.js'
import { resolveConfig } from './resolve-config.js'
import {
  GROUPS,
  Sources,
  isSame,
  withOwnBytes,
  withValues,
  without,
  type Sourced,
  type Values,
} from './sources.js'

/** Milliseconds between two looks at files: soon enough for whoever replaced one, and no work for a disk. */
const LOOK_EVERY = 5000

const DAY = 24 * 60 * 60_000

/** For which a key that is gone still decrypts: no login takes longer, and a bank may be as slow to notice. */
const DROPPED_FOR = DAY

/** How many of these there are at most, where keys are replaced all the time. */
const MAX_DROPPED = 100

/** The application's options with the keys and certificates of one moment, and the connections that these make. */
export interface Own {
  readonly config: ResolvedConfig
  readonly keys: ClientKeys
  readonly vouchers: Vouchers
  readonly published: Published
  readonly banks: Banks
  /** Shows the client certificate. */
  readonly http: Http
}

type Connections = Pick<Own, 'published' | 'banks' | 'http'>

/** The keys and certificates of one client, which may change while it runs. */
export class Credentials {
  /** What never changes, and of the rest what was there at once. */
  readonly settings: ResolvedConfig
  /** Whether there are keys that are not known yet. */
  readonly areKeysAwaited: boolean
  readonly #options: IDPartnerConfig
  readonly #sources: Sources
  readonly #publications: Publications | undefined
  /** What is in use, as it was read. */
  #values: Values
  /** The same, checked and imported. */
  #own: Own | undefined
  #loading: Promise<Own> | undefined
  #dropped: { name: string; key: DecryptionKey & { until: number } }[] = []
  /** Ends with the last change that was begun: they come one after the other. */
  #changing: Promise<unknown> = Promise.resolve()
  /** The reload that has not begun yet, for all who ask for one before it does. */
  #next: Promise<void> | undefined
  #isLooking = false
  /** Why the last look at some files was in vain, and whether that was said. */
  readonly #broken = new Map<string, { why: string; isSaid: boolean }>()

  /** @throws {IDPartnerError} `config_invalid`, with a message that names the option */
  constructor(given: IDPartnerConfig, publications?: Publications) {
    const options = withOwnBytes(given)
    this.#sources = new Sources(options)
    this.#publications = publications
    const { values, promised } = this.#sources.begin()
    this.#values = values
    this.areKeysAwaited = promised.has('jwks')
    const known = this.#sources.areAny ? withValues(without(options, [...promised.keys()]), values) : options
    this.settings = resolveConfig(known, { isWhole: promised.size === 0 })
    this.#options = options
    if (promised.size > 0) {
      this.#loading = this.#after(async () =>
        this.#use({ ...values, ...(await this.#sources.answers(promised, this.settings.timeout)) }),
      )
    } else {
      const connections = this.#connections(this.settings)
      this.#loading = this.#after(() => this.#use(values, { settings: this.settings, connections }))
    }
    if (this.#sources.areFiles) repeat(this, LOOK_EVERY, (client) => void client.look())
    const { tls } = this.settings
    if (tls.cert !== undefined || tls.ca !== undefined || this.#sources.areAny) {
      this.#warnOfExpiry(this.settings)
      repeat(this, DAY, (client) => {
        client.#warnOfExpiry(client.#own?.config ?? client.settings)
      })
    }
  }

  /** What is in use, as far as it is known without waiting. */
  get latest(): Own | undefined {
    return this.#own
  }

  /**
   * What is in use.
   *
   * @throws {IDPartnerError} `config_invalid`: a function has given nothing good yet; the next call asks it again
   */
  async current(): Promise<Own> {
    if (this.#own) return this.#own
    this.#loading ??= this.#after(async () => {
      const read = await Promise.all(GROUPS.map((group) => this.#sources.read(group, this.settings.timeout)))
      return this.#use(Object.assign({}, this.#values, ...read) as Values)
    })
    return this.#loading.finally(() => {
      this.#loading = undefined
    })
  }

  /**
   * Reads all files and asks all functions again; what they give is used where it is good, keys and certificates each as a
   * whole.
   *
   * Whoever does not wait for it need not look after its failure.
   *
   * @throws {IDPartnerError} `config_invalid`; what was in use stays so
   */
  reload(): Promise<void> {
    this.#next ??= this.#after(async () => {
      this.#next = undefined
      if (!this.#sources.areAny) throw nothingToReload()
      const failures: unknown[] = []
      for (const group of GROUPS) {
        const failure = await this.#renew(group, () => this.#sources.read(group, this.settings.timeout))
        if (failure === undefined) continue
        this.#sayKept(failure)
        failures.push(failure)
      }
      if (failures.length > 0) throw failures[0]
    })
    return this.#next
  }

  /** Uses files that have changed; a change that is no good may be one that is not finished. */
  async look(): Promise<void> {
    if (this.#isLooking || !this.#own) return
    this.#isLooking = true
    await this.#after(async () => {
      for (const group of GROUPS) {
        const failure = await this.#renew(group, () => this.#sources.readFiles(group, this.settings.timeout))
        const [name] = group
        if (failure === undefined) {
          this.#broken.delete(name)
          continue
        }
        const why = String(ownError(failure)?.message)
        const before = this.#broken.get(name)
        const isSecond = before?.why === why
        if (isSecond && !before.isSaid) this.#sayKept(failure)
        this.#broken.set(name, { why, isSaid: isSecond })
      }
    }).finally(() => {
      this.#isLooking = false
    })
  }

  #after<T>(change: () => Promise<T>): Promise<T> {
    const changed = this.#changing.then(change)
    // Its failure would otherwise end the process where nobody waits for it.
    this.#changing = changed.catch(() => undefined)
    return changed
  }

  /** Why some options could not be renewed; nothing where they were, or are as before. */
  async #renew(group: readonly Sourced[], read: () => Promise<Values>): Promise<unknown> {
    try {
      const values = { ...this.#values, ...(await read()) }
      const changed = group.filter((name) => !isSame(values[name], this.#values[name]))
      if (changed.length === 0 && this.#own) return undefined
      await this.#use(values)
      writeLog(this.settings.log, 'info', `uses new ${changed.join(', ')}`)
      publish('reloaded', { options: changed })
      return undefined
    } catch (err) {
      return err
    }
  }

  #sayKept(err: unknown): void {
    const own = ownError(err)
    if (!own) return
    const { code, message } = own
    writeLog(this.settings.log, 'error', `keeps its present keys and certificates ${failureText(own)}`)
    publish('kept', { code, message })
  }

  #warnOfExpiry({ tls, log }: ResolvedConfig): void {
    warnOfExpiry(tls, this.#options.tls_client_pfx === undefined ? 'tls_client_cert' : 'tls_client_pfx', log)
  }

  #connections(config: ResolvedConfig): Connections {
    const { published: before, banks } = this.#own ?? {}
    const isSameAuthority = this.#own?.config.tls.ca?.toString() === config.tls.ca?.toString()
    const published =
      this.#publications?.of(config) ?? (isSameAuthority && before ? before : new Published(config))
    return {
      published,
      banks: published === before && banks ? banks : new Banks(published.issuers),
      http: published.httpOf(config),
    }
  }

  async #use(values: Values, first?: { settings: ResolvedConfig; connections: Connections }): Promise<Own> {
    const config = first?.settings ?? resolveConfig(withValues(this.#options, values))
    const before = this.#own
    if (before) assertSameKinds(config, before.config)
    const imported = await importKeys(config.keys, config.timeout)
    const isOther = (group: readonly Sourced[]): boolean =>
      group.some((name) => !isSame(values[name], this.#values[name]))
    const [ofKeys, ofTls] = GROUPS
    const hasOtherKeys = !before || isOther(ofKeys)
    const hasOtherTls = !before || isOther(ofTls)
    if (before && hasOtherKeys) this.#drop(before.keys, imported)
    const own = {
      config,
      keys: { ...imported, decryption: [...imported.decryption, ...this.#dropped.map(({ key }) => key)] },
      vouchers: hasOtherKeys ? new Vouchers(config.client_id) : before.vouchers,
      // Requests that are on their way keep their connections, and no later one gets them.
      ...(first?.connections ?? (hasOtherTls ? this.#connections(config) : connectionsOf(before))),
    }
    if (!first && hasOtherTls) this.#warnOfExpiry(config)
    this.#values = values
    this.#own = own
    return own
  }

  /** Keeps decrypting, for those who encrypted to a key before it went. */
  #drop(old: ClientKeys, present: ClientKeys): void {
    const now = Date.now()
    const published = new Set(present.public.keys.map((one) => JSON.stringify(one)))
    const gone = old.decryption.flatMap((key) => {
      const name = JSON.stringify(old.public.keys.find(({ kid }) => kid === key.kid))
      return key.until === undefined && !published.has(name)
        ? [{ name, key: { ...key, until: now + DROPPED_FOR } }]
        : []
    })
    // A key that comes and goes is there once: what is encrypted to it is tried with each.
    const isOld = (name: string): boolean => published.has(name) || gone.some((one) => one.name === name)
    const left = this.#dropped.filter(({ name, key }) => key.until > now && !isOld(name))
    this.#dropped = [...left, ...gone].slice(-MAX_DROPPED)
  }
}

function connectionsOf({ published, banks, http }: Own): Connections {
  return { published, banks, http }
}

/** @throws {IDPartnerError} `config_invalid`: what logins that are on their way, and the banks, count on */
function assertSameKinds(config: ResolvedConfig, before: ResolvedConfig): void {
  for (const [use, what] of [
    ['sig', 'sign'],
    ['enc', 'decrypt'],
  ] as const) {
    const [has, had] = [config, before].map(({ keys }) => keys.some((one) => one.use === use))
    if (has !== had) {
      throw badOption(
        'jwks',
        `holds ${had ? 'no more keys' : 'keys'} that ${what}, which cannot change while the application runs: restart it`,
      )
    }
  }
}

function nothingToReload(): IDPartnerError {
  return new IDPartnerError(
    'config_invalid',
    'there is nothing to reload: give "jwks" or a certificate as a file: URL or as a function',
  )
}
