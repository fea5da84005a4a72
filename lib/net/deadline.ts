import { IDPartnerError } from '../errors.js'

/**
 * A time limit as an AbortSignal, which also ends with the outer one.
 *
 * AbortSignal.timeout and AbortSignal.any would do, but hold each other weakly: in several Node 20 releases such
 * a signal could be collected before its time, and then never fire.
 */
export class Deadline {
  readonly #controller = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #outer: AbortSignal | undefined
  readonly #end = (): void => {
    this.#controller.abort(new DOMException('the time limit is over', 'TimeoutError'))
  }

  constructor(milliseconds: number, outer?: AbortSignal) {
    this.#timer = setTimeout(this.#end, milliseconds)
    this.#outer = outer
    if (outer?.aborted) this.#end()
    else outer?.addEventListener('abort', this.#end)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#outer?.removeEventListener('abort', this.#end)
  }
}

/** Waits for a promise that cannot be aborted itself, but no longer than the signal allows. */
export async function until<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  let stop = (): void => undefined
  const ended = new Promise<never>((_resolve, reject) => {
    stop = () => {
      reject(signal.reason as Error)
    }
  })
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop)
  try {
    // Also the one that loses is looked after here: its rejection would otherwise end the process.
    return await Promise.race([ended, promise])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/**
 * The same for what has no error of its own when the time is over.
 *
 * @throws {IDPartnerError} `provider_unavailable` 504
 */
export async function inTime<T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> {
  if (!signal) return promise
  return until(signal, promise).catch((err: unknown) => {
    throw err === signal.reason ? tooLate(err) : err
  })
}

export function tooLate(cause: unknown): IDPartnerError {
  return new IDPartnerError('provider_unavailable', 'there was not enough time (see the option "timeout")', {
    cause,
    status: 504,
  })
}
