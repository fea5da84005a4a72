interface Entry<Value> {
  value: Value
  expiresAt: number
}

/** A map that forgets: each entry after its own time, and the oldest ones when there are too many. */
export class ExpiringMap<Value> {
  readonly #entries = new Map<string, Entry<Value>>()
  readonly #limit: number

  constructor(limit = 5000) {
    this.#limit = limit
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key)
    if (!entry) return undefined
    if (entry.expiresAt > Date.now()) return entry.value
    this.#entries.delete(key)
    return undefined
  }

  /** Without `seconds` the entry stays until it is the oldest of too many. */
  set(key: string, value: Value, seconds = Infinity): void {
    // Deleting first moves the key to the end, so that the first key is always the oldest.
    this.#entries.delete(key)
    this.#entries.set(key, { value, expiresAt: Date.now() + seconds * 1000 })
    if (this.#entries.size > this.#limit) this.#shrink()
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }

  find(matches: (value: Value) => boolean): Value | undefined {
    for (const key of [...this.#entries.keys()]) {
      const value = this.get(key)
      if (value !== undefined && matches(value)) return value
    }
    return undefined
  }

  deleteWhere(matches: (value: Value) => boolean): void {
    for (const [key, { value }] of this.#entries) if (matches(value)) this.#entries.delete(key)
  }

  #shrink(): void {
    const now = Date.now()
    for (const [key, { expiresAt }] of this.#entries) if (expiresAt <= now) this.#entries.delete(key)
    for (const key of this.#entries.keys()) {
      if (this.#entries.size <= this.#limit) return
      this.#entries.delete(key)
    }
  }
}
