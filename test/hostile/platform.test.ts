import { expect, test } from '@jest/globals'
import { expectLoggedIn } from '../support/expectations.js'
import { startScene, useScenes } from '../support/scene.js'

useScenes()

test.each([
  { flow: 'proxy', encrypted: true },
  { flow: 'proxy', encrypted: false },
  { flow: 'direct', encrypted: true },
  { flow: 'direct', encrypted: false },
] as const)('an unbent platform logs in: $flow flow, encrypted: $encrypted', async (options) => {
  const scene = await startScene(options)
  const login = await scene.victim.begin()
  expectLoggedIn(await scene.victim.finish(login), scene)
  expect(scene.logins[0]?.userInfo).toEqual(scene.platform.person)
})
