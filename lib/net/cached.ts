import { within } from './deadline.js'

/** How long a copy is used without asking again, and how long a failed load is not tried again. */
export interface CacheTimes {
  ttl: number
  retryAfter: number
  /** How long past its ttl the last good copy may stand in while loading fails. */
  staleFor: number
  /**
   * How long who asks for a copy that is due waits for a newer one, at the most: a server that hangs must not cost each
   * login its time. With 0 nobody waits, and the newer one is there for those who come later.
   */
  patience: number
}

/** Forced reloads are bounded, since anyone can send an answer whose `kid` nobody knows. */
const MAX_REFRESHES_PER_MINUTE = 10

/**
 * One document of a provider: loaded when first asked for, shared between all who wait for it, renewed after a
 * while, and served from its last good copy while it cannot be loaded or is slow to. A failure is never kept.
 */
export class Cached<T> {
  readonly #load: () => Promise<T>
  readonly #times: CacheTimes
  #copy: { value: T; loadedAt: number } | undefined
  #loading: Promise<T> | undefined
  #failedAt = -Infinity
  #refreshes: number[] = []

  constructor(load: () => Promise<T>, times: CacheTimes) {
    this.#load = load
    this.#times = times
  }

  async get(): Promise<T> {
    const { ttl, retryAfter, staleFor, patience } = this.#times
    const copy = this.#copy
    if (!copy) return this.#reload()
    const age = Date.now() - copy.loadedAt
    if (age < ttl) return copy.value
    if (age >= ttl + staleFor) return this.#reload()
    if (Date.now() - this.#failedAt < retryAfter) return copy.value
    const renewed = this.#reload().catch(() => {
      this.#failedAt = Date.now()
      return copy.value
    })
    if (patience === 0) return copy.value
    try {
      return await within(patience, () => renewed)
    } catch {
      // It is still loading; no two who ask wait for the same silence.
      this.#failedAt = Date.now()
      return copy.value
    }
  }

  /** Loads anew although the copy is young; `undefined` when this was done too often of late. */
  async refresh(): Promise<T | undefined> {
    if (this.#loading) return this.#loading
    const now = Date.now()
    this.#refreshes = this.#refreshes.filter((at) => now - at < 60_000)
    if (this.#refreshes.length >= MAX_REFRESHES_PER_MINUTE) return undefined
    this.#refreshes.push(now)
    return this.#reload()
  }

  #reload(): Promise<T> {
    this.#loading ??= this.#load()
      .then((value) => {
        this.#copy = { value, loadedAt: Date.now() }
        return value
      })
      .finally(() => {
        this.#loading = undefined
      })
    return this.#loading
  }
}
