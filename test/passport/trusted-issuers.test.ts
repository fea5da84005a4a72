import { describe, expect, jest, test } from '@jest/globals'
import { expectLoggedIn } from '../support/expectations.js'
import { startScene, useScenes } from '../support/scene.js'

useScenes()

describe.each([{ flow: 'proxy' }, { flow: 'direct' }] as const)(
  'the function "trusted_issuers" is asked ($flow flow)',
  ({ flow }) => {
    const passes = { proxy: { login: 0, callback: 1 }, direct: { login: 1, callback: 1 } }[flow]

    test.each([true, false])(
      'once by each pass that names a bank, userinfo or not: %j',
      async (fetchUserInfo) => {
        const trusted_issuers = jest.fn<(issuer: string) => boolean>(() => true)
        const scene = await startScene({ flow, strategy: { trusted_issuers, fetchUserInfo } })
        const begun = await scene.visitor.begin()
        expect(trusted_issuers).toHaveBeenCalledTimes(passes.login)
        trusted_issuers.mockClear()
        expectLoggedIn(await scene.visitor.finish(begun), scene)
        expect(trusted_issuers.mock.calls).toEqual([[scene.platform.bankA.issuer]])
        expect(trusted_issuers).toHaveBeenCalledTimes(passes.callback)
        expect(scene.platform.count('bankA.userinfo')).toBe(fetchUserInfo ? 1 : 0)
      },
    )

    test('and what it says in the callback counts, whatever it said before', async () => {
      const trusted_issuers = jest.fn<(issuer: string) => boolean>(() => true)
      const scene = await startScene({ flow, strategy: { trusted_issuers } })
      const begun = await scene.visitor.begin()
      trusted_issuers.mockReturnValue(false)
      expect(await scene.visitor.finish(begun)).toMatchObject({ via: 'fail' })
      expect(scene.platform.requests).not.toContain('bankA.token')
      expect(scene.logins).toEqual([])
    })
  },
)
