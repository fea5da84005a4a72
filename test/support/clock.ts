import { afterEach, jest } from '@jest/globals'

/** Sets this process's clock forward; timers go on as they are, and the clock is right again after the test. */
export function travel(milliseconds: number): void {
  jest.useFakeTimers({
    now: Date.now() + milliseconds,
    doNotFake: [
      'hrtime',
      'nextTick',
      'performance',
      'queueMicrotask',
      'setImmediate',
      'clearImmediate',
      'setInterval',
      'clearInterval',
      'setTimeout',
      'clearTimeout',
    ],
  })
}

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE

afterEach(() => {
  jest.useRealTimers()
})
