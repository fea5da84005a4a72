import { afterEach, jest } from '@jest/globals'

let used = false

/** Sets the clock right again after each test of a file that moves it. */
export function useClock(): void {
  used = true
  afterEach(() => {
    jest.useRealTimers()
  })
}

/** Sets this process's clock forward; timers go on as they are. */
export function travel(milliseconds: number): void {
  if (!used)
    throw new Error(
      'call useClock() or useScenes() at the top of this file: it sets the clock right after each test',
    )
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

/** Has nothing look at anything again and again in this process, also not what a test has left behind. */
export function holdIntervals(): void {
  if (!used) throw new Error('call useClock() at the top of this file')
  jest.useFakeTimers({
    doNotFake: [
      'Date',
      'hrtime',
      'nextTick',
      'performance',
      'queueMicrotask',
      'setImmediate',
      'clearImmediate',
      'setTimeout',
      'clearTimeout',
    ],
  })
}

export const SECOND = 1000
export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
