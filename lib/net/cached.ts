import { publish, trace, type FetchEvent } from '../events.js'
import { within } from './deadline.js'

/** Milliseconds from the beginning of one request to that of the next: anyone can send answers whose `kid` nobody knows. */
const SPACING = 1000

/** Those who wait for a newer copy at one time; further ones are told that there is none. */
const MAX_WAITING = 1000

/** How long a renewal that failed is not tried again, as long as nobody needs it. */
const RETRY_AFTER = 30_000

/** How long past its time the last good copy stands in. */
const STALE_FOR = 24 * 3600_000

/** After such a silence much may have changed, so that the first to ask may wait a little. */
const SILENCE = 3600_000

/**
 * Loads a document. Before it asks for it a second time it awaits `slot`, so that whoever publishes it is asked no more
 * often for being slow or broken.
 */
type Load<T> = (slot: () => Promise<void>) => Promise<T>

/** Whose document it is, and whom to tell. */
export interface About {
  issuer: string
  document: FetchEvent['document']
  /** Called when a renewal fails, with the milliseconds since the copy was fetched that serves on. */
  notRenewed?: ((err: unknown, age: number) => void) | undefined
}

interface CachedOptions {
  /** Milliseconds until a copy is renewed. */
  ttl: number
  /** Milliseconds that may be waited for a newer copy after an hour in which nobody asked. */
  patience?: number
  about: About
}

interface Copy<T> {
  value: T
  loadedAt: number
  /** Which load it came from, counted as they begin. */
  load: number
}

/**
 * One document of a provider: loaded when first asked for, by one request for all who wait, at most once a second.
 * A copy past its time serves at once and is renewed behind it; a failure is never kept.
 */
export class Cached<T> {
  readonly #load: Load<T>
  readonly #ttl: number
  readonly #patience: number
  readonly #about: About
  #copy: Copy<T> | undefined
  /** The load under way, and the one that begins after it. */
  #loading: Promise<T> | undefined
  #next: Promise<T> | undefined
  #loads = 0
  #waiting = 0
  #begunAt = -Infinity
  #failedAt = -Infinity
  /** The little that is waited after a silence. */
  #pause: Promise<T> | undefined

  constructor(load: Load<T>, { ttl, patience = 0, about }: CachedOptions) {
    this.#load = load
    this.#ttl = ttl
    this.#patience = patience
    this.#about = about
  }

  /** How many loads have begun: what {@link refresh} takes to know what is newer. */
  get loads(): number {
    return this.#loads
  }

  /** What is there at this moment, however old; asks nobody. */
  get known(): T | undefined {
    return this.#copy?.value
  }

  async get(): Promise<T> {
    const copy = this.#copy
    const now = Date.now()
    const overdue = copy ? now - copy.loadedAt - this.#ttl : Infinity
    if (!copy || overdue >= STALE_FOR) return this.#loading ?? this.#reload()
    if (overdue < 0) return copy.value
    if (!this.#loading && !this.#next && now - this.#failedAt >= RETRY_AFTER) {
      const renewed = this.#reload().catch(() => copy.value)
      if (this.#patience > 0 && now - this.#begunAt >= SILENCE) {
        this.#pause = within(this.#patience, () => renewed)
          .catch(() => copy.value)
          .finally(() => {
            this.#pause = undefined
          })
      }
    }
    if (this.#failedAt >= copy.loadedAt + this.#ttl) {
      const { issuer, document } = this.#about
      publish('stale', { issuer, document, age: now - copy.loadedAt })
    }
    return this.#pause ?? copy.value
  }

  /**
   * A copy whose load began after the first `since` ones, loaded for this if need be: it never joins a load that
   * began before it was asked for. `undefined` when too many wait already.
   */
  async refresh(since = this.#loads): Promise<T | undefined> {
    if (this.#copy && this.#copy.load > since) return this.#copy.value
    if (this.#loading && this.#loads > since) return this.#loading
    if (this.#waiting >= MAX_WAITING) {
      const { issuer, document } = this.#about
      publish('refused', { issuer, document })
      return undefined
    }
    this.#waiting++
    try {
      return await this.#reload()
    } finally {
      this.#waiting--
    }
  }

  /** The next load, which all share who ask before it begins. */
  #reload(): Promise<T> {
    this.#next ??= this.#begin()
    return this.#next
  }

  async #begin(): Promise<T> {
    await this.#loading?.catch(() => undefined)
    await this.#slot()
    this.#next = undefined
    const load = ++this.#loads
    const { issuer, document, notRenewed } = this.#about
    const renewal = this.#copy !== undefined
    this.#loading = trace('fetch', { issuer, document, renewal }, () => this.#load(() => this.#slot()))
    try {
      const value = await this.#loading
      this.#copy = { value, loadedAt: Date.now(), load }
      return value
    } catch (err) {
      this.#failedAt = Date.now()
      if (this.#copy) notRenewed?.(err, this.#failedAt - this.#copy.loadedAt)
      throw err
    } finally {
      this.#loading = undefined
    }
  }

  /** Waits until a second after the last request. */
  async #slot(): Promise<void> {
    const wait = this.#begunAt + SPACING - Date.now()
    // No longer than that, though the clock may have been set back.
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, Math.min(wait, SPACING)))
    this.#begunAt = Date.now()
  }
}
