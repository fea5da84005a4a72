import { createHash } from 'node:crypto'

/** About 5 MB, and more logins than one process finishes within the time of one. */
const MAX_USED = 100_000

/**
 * The states used up in this process, as long as their logins would have lived, and at most 100,000 of them.
 *
 * Each is 48 bits of a hash: a number costs less than half of what a text does, and even beside 100,000 others a login
 * is taken for a used one once in some thousand million.
 */
export class UsedStates {
  /** The end of each in seconds, in order of use. */
  readonly #expires = new Map<number, number>()

  has(state: string): boolean {
    return (this.#expires.get(numberOf(state)) ?? 0) * 1000 > Date.now()
  }

  add(state: string, expires: number): void {
    for (const [old, at] of this.#expires) {
      // All live about equally long: behind the first live one there is hardly one to drop.
      if (at * 1000 > Date.now() && this.#expires.size < MAX_USED) break
      this.#expires.delete(old)
    }
    this.#expires.set(numberOf(state), expires)
  }
}

function numberOf(state: string): number {
  return createHash('sha256').update(state).digest().readUIntBE(0, 6)
}
