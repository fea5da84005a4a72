import { describe, expect, test } from '@jest/globals'
import { decodeJwt } from 'jose'
import type { ResolvedConfig } from '../../lib/client/config.js'
import { requestObject, timesOf } from '../../lib/client/statements.js'
import { checkJwks, importKeys, signingKey } from '../../lib/jwt/keys.js'
import { clientJwks } from '../support/key-pairs.js'

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
    ['a client assertion', 120, 120],
    ['a short client assertion', 60, 60],
  ])('lives no longer than banks allow, and long enough: %s', (_name, lifetime, allowed) => {
    for (const tolerance of [0, 30, 300]) {
      const { iat, exp } = timesOf(tolerance, lifetime)
      expect(exp - iat).toBe(allowed)
      expect(exp - Date.now() / 1000).toBeGreaterThan(allowed / 2 - 2)
    }
  })

  test.each([
    [undefined, 300],
    ['connectid-au', 300],
    ['helseid', 60],
  ] as const)('lives in a request of %s for %d s', async (network, lifetime) => {
    const signer = signingKey(await importKeys(checkJwks(await clientJwks())))
    if (!signer) throw new Error('no key signs')
    const config = { client_id: 'app', clock_tolerance: 10, network } as ResolvedConfig
    const { iat = 0, exp } = decodeJwt(await requestObject(config, signer, 'https://bank.example', {}))
    expect(exp).toBe(iat + lifetime)
  })
})
