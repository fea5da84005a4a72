/** Logout tokens that are remembered; far more than a bank sends while they are valid. */
const MAX_TOKENS = 10_000

/** Remembers which logout tokens were used, as long as they are valid, in a memory that has an end. */
export class UsedTokens {
  readonly #until = new Map<string, number>()

  /** Whether this is the first use of it. */
  use(name: string, seconds: number): boolean {
    const now = Date.now()
    const until = this.#until.get(name)
    if (until !== undefined && until > now) return false
    // The oldest stand first, and all are valid equally long: one of the same name is over, and goes as well.
    for (const [other, end] of this.#until) {
      if (end > now && this.#until.size < MAX_TOKENS) break
      this.#until.delete(other)
    }
    this.#until.set(name, now + seconds * 1000)
    return true
  }

  /** What came to nothing may be sent again. */
  forget(name: string): void {
    this.#until.delete(name)
  }
}
