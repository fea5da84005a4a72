import type { ResolvedOptions } from './options.js'

/** Where a line goes for each request of the app that is refused, so that its developer sees why. */
export class Refusals {
  readonly #log: ResolvedOptions['log']
  readonly #app: string

  constructor({ log, client_id }: Pick<ResolvedOptions, 'log' | 'client_id'>) {
    this.#log = log
    this.#app = client_id
  }

  /** One line: whoever wrote the reason, it cannot end the line or steer a terminal. */
  note(by: string, what: string, why: string): void {
    if (!this.#log) return
    const line = `sandbox: ${by} refused ${what} of ${this.#app}: ${why}`
    this.#log(line.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, MAX_LINE))
  }
}

const MAX_LINE = 1000
