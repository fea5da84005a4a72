import { expect, test } from '@jest/globals'
import { backdated } from '../../lib/client/openid-client-settings.js'

test('a signed statement begins a few seconds ago and ends within five minutes', () => {
  const claims: Record<string, number> = { iat: 1, nbf: 1, exp: 9e9 }
  backdated({}, claims)
  const now = Math.floor(Date.now() / 1000)
  expect(now - (claims['iat'] ?? 0)).toBeGreaterThanOrEqual(5)
  expect(now - (claims['iat'] ?? 0)).toBeLessThanOrEqual(30)
  expect(claims['nbf']).toBe(claims['iat'])
  expect(claims['exp']).toBeGreaterThan(now + 60)
  expect((claims['exp'] ?? 0) - (claims['iat'] ?? 0)).toBeLessThanOrEqual(300)
})
