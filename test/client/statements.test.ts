import { describe, expect, test } from '@jest/globals'
import { REQUEST_LIFETIME, timesOf } from '../../lib/client/statements.js'

describe('what the application signs', () => {
  test.each([
    [0, 0],
    [10.5, 11],
    [30, 30],
    [60, 60],
    [300, 60],
  ])('is dated back by as much as clocks may differ, up to a minute: %d s', (tolerance, back) => {
    const before = Math.floor(Date.now() / 1000)
    const { iat, nbf } = timesOf(tolerance, 120)
    expect(iat).toBeGreaterThanOrEqual(before - back)
    expect(iat).toBeLessThanOrEqual(Date.now() / 1000 - Math.floor(back) + 1)
    expect(nbf).toBe(iat)
  })

  test.each([
    ['a request', REQUEST_LIFETIME, 300],
    ['a client assertion', 120, 120],
    ['a short client assertion', 60, 60],
  ])('lives no longer than banks allow, and long enough: %s', (_name, lifetime, allowed) => {
    for (const tolerance of [0, 30, 300]) {
      const { iat, exp } = timesOf(tolerance, lifetime)
      expect(exp - iat).toBe(allowed)
      expect(exp - Date.now() / 1000).toBeGreaterThan(allowed / 2 - 2)
    }
  })
})
