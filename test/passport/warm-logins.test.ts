import { describe, expect, jest, test } from '@jest/globals'
import { expectLoggedIn } from '../support/expectations.js'
import type { PlatformOptions } from '../support/platform.js'
import { startScene, useScenes } from '../support/scene.js'

useScenes()

interface Row extends PlatformOptions {
  signatures: number
}

/** What it costs by itself; each binding by DPoP signs one proof a request more. */
const rows: Row[] = [
  { profile: 'fapi1-advanced', auth: 'private_key_jwt', signatures: 3 },
  { profile: 'fapi1-advanced', auth: 'tls_client_auth', mutual: true, signatures: 1 },
  { profile: 'fapi2-security', auth: 'private_key_jwt', mutual: true, signatures: 2 },
  { profile: 'fapi2-security', auth: 'tls_client_auth', mutual: true, signatures: 0 },
  { profile: 'fapi2-message-signing', auth: 'private_key_jwt', mutual: true, signatures: 3 },
  { profile: 'fapi2-message-signing', auth: 'tls_client_auth', mutual: true, signatures: 1 },
]

describe.each([
  { bound: 'by DPoP', dpop: true },
  { bound: 'by a certificate, or not', dpop: false },
])('a login at a bank that is known, tokens bound $bound:', ({ dpop }) => {
  test.each(rows)('$profile, $auth', async ({ signatures, ...options }) => {
    const scene = await startScene({
      ...options,
      ...{ dpop, flow: 'direct', alg: 'ES256', encrypted: false },
      strategy: { fetchUserInfo: false },
    })
    const { platform, visitor } = scene
    expectLoggedIn(await visitor.finish(await visitor.begin()), scene)
    const before = platform.requests.length
    const sign = jest.spyOn(crypto.subtle, 'sign')
    try {
      expectLoggedIn(await visitor.finish(await visitor.begin()), scene)
      const asked = platform.requests.slice(before)
      expect(asked).toEqual([platform.endpoint('par'), platform.endpoint('token')])
      expect(sign).toHaveBeenCalledTimes(signatures + (dpop ? asked.length : 0))
    } finally {
      sign.mockRestore()
    }
  })
})
