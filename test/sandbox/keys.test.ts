import { expect, test } from '@jest/globals'
import { SigningKeys } from '../../lib/sandbox/keys.js'

test('no two keys of sandboxes that run are the same, and those of one that was closed serve the next', async () => {
  const [one, two] = [new SigningKeys(), new SigningKeys()]
  const first = await one.generate('ES256')
  const others = [await one.generate('ES256'), await two.generate('ES256')]
  one.close()
  const later = new SigningKeys()
  const again = [await later.generate('ES256'), await later.generate('ES256'), await later.generate('ES256')]
  const xs = [first, ...others].map(({ publicJwk }) => publicJwk.x)
  expect(new Set(xs).size).toBe(3)
  expect(new Set([others[1], ...again].map((key) => key?.publicJwk.x)).size).toBe(4)
  expect(again.map(({ publicJwk }) => publicJwk.x)).toContain(first.publicJwk.x)
  // Whoever knows the old names does not take them for these.
  expect(again.map(({ kid }) => kid)).not.toContain(first.kid)
})
