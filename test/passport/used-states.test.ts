import { describe, expect, test } from '@jest/globals'
import { UsedStates } from '../../lib/passport/used-states.js'
import { MINUTE, travel, useClock } from '../support/clock.js'

useClock()

const inSeconds = (milliseconds: number): number => Math.ceil((Date.now() + milliseconds) / 1000)

describe('the states used in this process', () => {
  test('are known until their logins would have ended', () => {
    const used = new UsedStates()
    used.add('state', inSeconds(10 * MINUTE))
    expect([used.has('state'), used.has('other'), used.has('')]).toEqual([true, false, false])
    travel(9.9 * MINUTE)
    expect(used.has('state')).toBe(true)
    travel(0.2 * MINUTE)
    expect(used.has('state')).toBe(false)
  })

  test('are 100,000 at most, however long a login may take, and the oldest go', () => {
    const used = new UsedStates()
    for (let at = 0; at < 100_010; at++) used.add(`state ${String(at)}`, inSeconds(24 * 60 * MINUTE))
    const known = [0, 9, 10, 100_009].map((at) => used.has(`state ${String(at)}`))
    expect(known).toEqual([false, false, true, true])
  })
})
