import { describe, expect, test } from '@jest/globals'
import { exportJWK, type JWK } from 'jose'
import { KeySet } from '../../lib/jwt/key-set.js'
import type { SigningAlg } from '../../lib/jwt/algorithms.js'
import { ecKey, ed25519Key, publicJwk, rsaKey } from '../support/key-pairs.js'

const rsa = async (name: string, members: object = {}): Promise<JWK> => publicJwk(await rsaKey(name), members)
const ec = async (name: string, members: object = {}): Promise<JWK> => publicJwk(await ecKey(name), members)

/** The modulus or the point of each key that is found. */
async function found(keys: unknown[], kid?: string, alg: SigningAlg = 'PS256'): Promise<unknown[]> {
  const { keys: candidates } = await new KeySet(keys).candidates(alg, kid)
  const jwks = await Promise.all(candidates.map((key) => exportJWK(key)))
  return jwks.map(({ n, x }) => n ?? x)
}

describe('a set of keys', () => {
  test('has for each algorithm those of its kind and curve', async () => {
    const keys = [
      await rsa('one'),
      await ec('two'),
      publicJwk(await ecKey('decoy', 'secp256k1')),
      publicJwk(await ed25519Key('decoy')),
    ]
    expect(await found(keys, undefined, 'PS256')).toEqual([keys[0]?.n])
    expect(await found(keys, undefined, 'ES256')).toEqual([keys[1]?.x])
  })

  test.each([{ use: 'enc' }, { alg: 'RS256' }, { key_ops: ['encrypt'] }, { key_ops: [] }, { kid: 'other' }])(
    'has none for a signature that does not fit: %j',
    async (members) => {
      expect(await found([await rsa('one', members)], 'one')).toEqual([])
    },
  )

  test('has the same key once, those of the name first, then those of none', async () => {
    const [one, two] = [await rsa('one', { kid: undefined }), await rsa('two')]
    expect(await found([one, two, { ...two, alg: 'PS256' }, one], 'two')).toEqual([two.n, one.n])
    expect(await found([one, two], 'three')).toEqual([one.n])
  })

  test('has a handful at most, and looks at no more than twenty', async () => {
    const several = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => ec(`handful-${name}`)))
    expect(await found(several, undefined, 'ES256')).toEqual(several.slice(0, 5).map(({ x }) => x))
    const broken = Array.from({ length: 20 }, (_, index) => ({
      kty: 'EC',
      crv: 'P-256',
      x: String(index),
    }))
    expect(await found([...broken.slice(1), several[0]], undefined, 'ES256')).toEqual([several[0]?.x])
    expect(await found([...broken, several[0]], undefined, 'ES256')).toEqual([])
  })

  test('tells why one that fits cannot be used, and has the others', async () => {
    const [one, leaked] = [await rsa('one'), await rsa('two')]
    const set = new KeySet([leaked, one, { ...leaked, kid: 'other', d: 'AAAA' }])
    const { keys, unusable } = await set.candidates('PS256', undefined)
    expect(keys).toHaveLength(1)
    expect(unusable).toMatchObject({ message: 'its private half is published as well' })
    expect((await new KeySet([one]).candidates('PS256', undefined)).unusable).toBeUndefined()
  })

  test('serves an algorithm when any of its keys fits that', async () => {
    const set = new KeySet([await rsa('one'), await ec('two', { use: 'enc' }), null, {}])
    expect(set.serves('PS256')).toBe(true)
    expect(set.serves('ES256')).toBe(false)
  })
})
