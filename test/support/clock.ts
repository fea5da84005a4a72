import { afterEach, jest } from '@jest/globals'

let used = false

/** What goes on as it is, whichever clock is set. */
const AS_THEY_ARE = [
  'hrtime',
  'nextTick',
  'performance',
  'queueMicrotask',
  'setImmediate',
  'clearImmediate',
  'setTimeout',
  'clearTimeout',
] as const

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
    doNotFake: [...AS_THEY_ARE, 'setInterval', 'clearInterval'],
  })
}

/** Has nothing look at anything again and again in this process, also not what a test has left behind. */
export function holdIntervals(): void {
  if (!used) throw new Error('call useClock() at the top of this file')
  jest.useFakeTimers({ doNotFake: [...AS_THEY_ARE, 'Date'] })
}

/** Moves the timers of looking, and this process's clock with them, by hand alone; what is waited for takes its own time. */
export function holdClock(): void {
  if (!used) throw new Error('call useClock() at the top of this file')
  jest.useFakeTimers({ doNotFake: [...AS_THEY_ARE] })
}

export const SECOND = 1000
export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
