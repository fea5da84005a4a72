/** Lets a number of holders in at a time; further ones wait for a place, in the order in which they came. */
export class Places {
  readonly #most: number
  #taken = 0
  readonly #waiting = new Set<() => void>()

  constructor(most: number) {
    this.#most = most
  }

  get isEmpty(): boolean {
    return this.#taken === 0
  }

  /**
   * Takes a place, and returns what gives it back.
   *
   * Rejects with the signal's reason when that ends before there is one.
   */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    if (this.#taken < this.#most) this.#taken++
    else await this.#turn(signal)
    let isGiven = false
    return () => {
      if (isGiven) return
      isGiven = true
      this.#giveBack()
    }
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        this.#waiting.delete(begin)
        reject(signal.reason as Error)
      }
      const begin = (): void => {
        signal.removeEventListener('abort', stop)
        resolve()
      }
      signal.addEventListener('abort', stop, { once: true })
      this.#waiting.add(begin)
    })
  }

  /** A place goes to whoever waits the longest. */
  #giveBack(): void {
    const [next] = this.#waiting
    if (!next) {
      this.#taken--
      return
    }
    this.#waiting.delete(next)
    next()
  }
}
