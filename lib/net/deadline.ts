import { IDPartnerError } from '../errors.js'

/** What ends some work whose time is over; other TimeoutErrors may be the application's. */
class TimeLimitError extends Error {
  override readonly name = 'TimeoutError'
}

/**
 * A time limit, which also ends with the outer one.
 *
 * AbortSignal.timeout and AbortSignal.any would do, but hold each other weakly: in several Node 20 releases such
 * a signal could be collected before its time, and then never fire.
 */
export class Deadline {
  readonly #timer: NodeJS.Timeout
  readonly #outer: AbortSignal | undefined
  readonly #waiting = new Set<(reason: Error) => void>()
  #reason: Error | undefined
  #controller: AbortController | undefined
  readonly #end = (): void => {
    this.#reason ??= new TimeLimitError('the time limit is over')
    this.#controller?.abort(this.#reason)
    for (const stop of this.#waiting) stop(this.#reason)
  }

  constructor(milliseconds: number, outer?: AbortSignal) {
    this.#timer = setTimeout(this.#end, milliseconds)
    this.#outer = outer
    if (outer?.aborted) this.#end()
    else outer?.addEventListener('abort', this.#end)
  }

  /** Made when it is first asked for: most work heeds none, and a signal with its listeners is dearer than the timer. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#reason) this.#controller.abort(this.#reason)
    return this.#controller.signal
  }

  /** Waits for some work no longer than this, whether or not the work heeds the signal. */
  wait<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#reason) reject(this.#reason)
      else this.#waiting.add(reject)
      // Also the one that comes too late is looked after here: its rejection would otherwise end the process.
      promise.then(resolve, reject)
    })
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#outer?.removeEventListener('abort', this.#end)
    this.#waiting.clear()
  }
}

/**
 * Gives some work a time limit, and waits no longer than that, whether or not the work heeds its signal.
 *
 * Rejects with a TimeoutError when the time is over, or when the outer signal ends: see {@link isTimeout}.
 */
export async function within<T>(
  milliseconds: number,
  work: (limit: Pick<Deadline, 'signal'>) => Promise<T>,
  outer?: AbortSignal,
): Promise<T> {
  const deadline = new Deadline(milliseconds, outer)
  try {
    return await deadline.wait(work(deadline))
  } finally {
    deadline.clear()
  }
}

/** Waits for a promise that cannot be aborted itself, but no longer than the signal allows. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      reject(signal.reason as Error)
    }
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop)
    // Also the one that comes too late is looked after here: its rejection would otherwise end the process.
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', stop)
    })
  })
}

/**
 * The same for what has no error of its own when the time is over.
 *
 * @throws {IDPartnerError} `provider_unavailable` 504
 */
export async function inTime<T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> {
  if (!signal) return promise
  return abortable(promise, signal).catch((err: unknown) => {
    throw err === signal.reason ? tooLate(err) : err
  })
}

/** Whether a time limit of this package is what ended some work. */
export function isTimeout(err: unknown): boolean {
  return err instanceof TimeLimitError
}

export function tooLate(cause: unknown): IDPartnerError {
  return new IDPartnerError('provider_unavailable', 'there was not enough time (see the option "timeout")', {
    cause,
    status: 504,
  })
}
