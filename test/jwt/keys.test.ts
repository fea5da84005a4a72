import { generateKeyPairSync } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { CompactSign, compactDecrypt, compactVerify, importJWK, type JSONWebKeySet, type JWK } from 'jose'
import { checkJwks, generateJwks, importKeys } from '../../lib/jwt/keys.js'
import { encryptJwe } from '../support/jwe.js'
import { clientJwks, ecKey, rsaKey } from '../support/key-pairs.js'
import { thrown } from '../support/thrown.js'

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

let sig: JWK
let enc: JWK
let rsa: JWK
let ec: JWK

beforeAll(async () => {
  const { keys } = await clientJwks()
  sig = { ...keys[0], kty: 'RSA' }
  enc = { ...keys[1], kty: 'RSA' }
  rsa = (await rsaKey('own')).privateKey.export({ format: 'jwk' })
  ec = (await ecKey('own')).privateKey.export({ format: 'jwk' })
})

const without = (jwk: JWK, ...names: string[]): JWK =>
  Object.fromEntries(Object.entries(jwk).filter(([name]) => !names.includes(name)))

const modulusBits = ({ n = '' }: JWK): number => Buffer.from(n, 'base64url').length * 8

describe('generateJwks', () => {
  test('makes one signing and one encryption key', async () => {
    const { keys } = await clientJwks()
    expect(keys).toEqual([
      expect.objectContaining({ kty: 'RSA', alg: 'PS256', use: 'sig' }),
      expect.objectContaining({ kty: 'RSA', alg: 'RSA-OAEP', use: 'enc' }),
    ])
  })

  test('names them differently, and makes both private', async () => {
    const { keys } = await clientJwks()
    expect(new Set(keys.map(({ kid }) => kid)).size).toBe(2)
    for (const key of keys) {
      expect(key.kid).toMatch(/^[\w-]{43}$/)
      for (const member of ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi']) {
        expect(key).toHaveProperty(member, expect.any(String))
      }
    }
  })

  test('makes keys of 2048 bits, or of as many as asked for', async () => {
    expect((await clientJwks()).keys.map(modulusBits)).toEqual([2048, 2048])
    const { keys } = await generateJwks({ modulusLength: 2560 })
    expect(keys.map(modulusBits)).toEqual([2560, 2560])
  })

  test('makes other keys each time', async () => {
    const [one, other] = await Promise.all([clientJwks(), clientJwks('another')])
    expect(one.keys[0]?.n).not.toBe(other.keys[0]?.n)
    expect(one.keys[0]?.n).not.toBe(one.keys[1]?.n)
  })

  test('makes plain JSON that the configuration accepts', async () => {
    const jwks = JSON.parse(JSON.stringify(await clientJwks())) as JSONWebKeySet
    expect(checkJwks(jwks)).toHaveLength(2)
  })
})

test.each([1024, 2048.5, 16_385])('generateJwks makes no keys of %d bits', async (modulusLength) => {
  await expect(generateJwks({ modulusLength })).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('modulusLength'),
  })
})

describe('a JWKS is refused when', () => {
  test.each<[string, () => unknown[], RegExp]>([
    ['it holds no key', () => [], /holds no key/],
    ['a key is public only', () => [without(sig, ...PRIVATE_MEMBERS)], /private keys; key 1 is public only/],
    ['the second key is public only', () => [sig, publicPart(enc)], /private keys; key 2 is public only/],
    ['a part of a key is missing', () => [without(sig, 'p')], /holds a damaged key: key 1/],
    ['its modulus is missing', () => [without(sig, 'n')], /damaged key: key 1/],
    ['a part of a key is no text', () => [{ ...sig, d: 42 }], /damaged key: key 1/],
    ['a part of a key is empty', () => [sig, { ...enc, n: '' }], /damaged key: key 2/],
    ['a part is of another key', () => [{ ...sig, n: enc.n }], /damaged key: key 1/],
    ['an EC key is not on its curve', () => [{ ...ec, use: 'sig', x: ec.y }], /damaged key: key 1/],
    ['a key has 1024 bits', () => [small()], /at least 2048 bits; key 1 has 1024/],
    ['a key is for RS256', () => [{ ...sig, alg: 'RS256' }], /sign with PS256 or ES256 only; key 1/],
    ['a key is for PS512', () => [{ ...sig, alg: 'PS512' }], /sign with PS256 or ES256 only; key 1/],
    ['a signing key is for RSA-OAEP', () => [{ ...sig, alg: 'RSA-OAEP' }], /sign with PS256 or ES256 only/],
    ['a key for ES256 is RSA', () => [{ ...sig, alg: 'ES256' }], /sign with PS256 or ES256 only/],
    [
      'a key for ES256 is RSA with a curve',
      () => [{ ...sig, alg: 'ES256', crv: 'P-256' }],
      /PS256 or ES256 only/,
    ],
    ['a key for PS256 is EC', () => [{ ...ec, use: 'sig', alg: 'PS256' }], /sign with PS256 or ES256 only/],
    ['an EC key is on another curve', () => [{ ...p384(), use: 'sig' }], /sign with PS256 or ES256 only/],
    ['a key is for RSA-OAEP-256', () => [sig, { ...enc, alg: 'RSA-OAEP-256' }], /RSA-OAEP only; key 2/],
    ['an encryption key is for PS256', () => [sig, { ...enc, alg: 'PS256' }], /RSA-OAEP only; key 2/],
    ['an encryption key is EC', () => [sig, { ...ec, use: 'enc' }], /RSA-OAEP only; key 2/],
    ['a key says nothing of its use', () => [without(sig, 'use', 'alg')], /needs "use".* in key 1/],
    ['a key has another use', () => [{ ...sig, use: 'both' }], /needs "use".* in key 1/],
    ['a key has no use and another alg', () => [without({ ...sig, alg: 'RS256' }, 'use')], /needs "use"/],
    ['a key is a shared secret', () => [{ kty: 'oct', k: 'AAAA', use: 'sig' }], /PS256 or ES256 only; key 1/],
    ['a key is for EdDSA', () => [{ ...ed25519(), use: 'sig' }], /PS256 or ES256 only; key 1/],
    ['the name of a key is no text', () => [{ ...sig, kid: 42 }], /kid.* key 1|key 1.* kid/],
    ['two keys have one name', () => [sig, { ...enc, kid: sig.kid }], /has the kid of key 2 twice/],
  ])('%s', (_name, keys, message) => {
    const err = thrown(() => checkJwks({ keys: keys() as JWK[] }))
    expect(err).toMatchObject({ code: 'config_invalid', status: 500 })
    expect(err.message).toMatch(/^option "jwks" /)
    expect(err.message).toMatch(message)
  })

  test('and neither message nor cause quotes a key', () => {
    const err = thrown(() => checkJwks({ keys: [{ ...sig, n: '', d: 'private-exponent' }] }))
    expect(`${err.message}${err.stack ?? ''}`).not.toContain('private-exponent')
    expect(err.cause).toBeUndefined()
  })
})

describe('a JWKS is accepted when', () => {
  test.each<[string, () => JWK[], { use: string; alg: string }[]]>([
    ['it holds a signing key alone', () => [sig], [{ use: 'sig', alg: 'PS256' }]],
    ['a signing key has no "alg"', () => [without(sig, 'alg')], [{ use: 'sig', alg: 'PS256' }]],
    ['a signing key has no "use"', () => [without(sig, 'use')], [{ use: 'sig', alg: 'PS256' }]],
    ['an encryption key has no "alg"', () => [without(enc, 'alg')], [{ use: 'enc', alg: 'RSA-OAEP' }]],
    ['an encryption key has no "use"', () => [without(enc, 'use')], [{ use: 'enc', alg: 'RSA-OAEP' }]],
    ['a signing key is EC', () => [{ ...ec, use: 'sig' }], [{ use: 'sig', alg: 'ES256' }]],
    ['an EC key has an "alg" alone', () => [{ ...ec, alg: 'ES256' }], [{ use: 'sig', alg: 'ES256' }]],
    [
      'its keys have no names',
      () => [without(sig, 'kid'), without(enc, 'kid')],
      [
        { use: 'sig', alg: 'PS256' },
        { use: 'enc', alg: 'RSA-OAEP' },
      ],
    ],
    [
      'node-jose made it',
      () => [
        { ...rsa, kid: 'encryption', alg: 'RSA-OAEP', enc: 'A256CBC-HS512', use: 'enc' },
        { ...sig, kid: 'signing', alg: 'PS256', use: 'sig' },
      ],
      [
        { use: 'enc', alg: 'RSA-OAEP' },
        { use: 'sig', alg: 'PS256' },
      ],
    ],
  ])('%s', (_name, keys, expected) => {
    expect(checkJwks({ keys: keys() }).map(({ use, alg }) => ({ use, alg }))).toEqual(expected)
  })
})

describe('imported keys', () => {
  test('sign with the first signing key', async () => {
    const jwks = { keys: [enc, sig, { ...rsa, use: 'sig', kid: 'next' }] }
    const { signing } = await importKeys(checkJwks(jwks))
    expect(signing?.kid).toBe(sig.kid)
    if (!signing) throw new Error('no signing key')
    const jws = await new CompactSign(Buffer.from('text'))
      .setProtectedHeader({ alg: 'PS256' })
      .sign(signing.key)
    await expect(compactVerify(jws, await importJWK(publicPart(sig), 'PS256'))).resolves.toBeDefined()
  })

  test('sign with ES256 when the first signing key is EC', async () => {
    const { signing } = await importKeys(checkJwks({ keys: [{ ...ec, use: 'sig' }] }))
    if (!signing) throw new Error('no signing key')
    const jws = await new CompactSign(Buffer.from('text'))
      .setProtectedHeader({ alg: 'ES256' })
      .sign(signing.key)
    await expect(compactVerify(jws, await importJWK(publicPart(ec), 'ES256'))).resolves.toBeDefined()
  })

  test('decrypt with every encryption key', async () => {
    const { publicKey } = await rsaKey('own')
    const { decryption } = await importKeys(
      checkJwks({ keys: [sig, enc, { ...rsa, use: 'enc', kid: 'old' }] }),
    )
    expect(decryption.map(({ kid }) => kid)).toEqual([enc.kid, 'old'])
    const jwe = encryptJwe({ alg: 'RSA-OAEP', enc: 'A256CBC-HS512' }, 'text', publicKey)
    const { plaintext } = await compactDecrypt(jwe, decryption[1]?.key ?? new Uint8Array())
    expect(new TextDecoder().decode(plaintext)).toBe('text')
  })

  test('cannot be exported again', async () => {
    const { signing, decryption } = await importKeys(checkJwks(await clientJwks()))
    for (const { key } of [signing, ...decryption].filter((one) => one !== undefined)) {
      expect(key).toMatchObject({ type: 'private', extractable: false })
      await expect(crypto.subtle.exportKey('jwk', key)).rejects.toThrow(/not extractable/)
    }
  })

  test('may be none', async () => {
    expect(await importKeys([])).toEqual({ signing: undefined, decryption: [], public: { keys: [] } })
  })

  test('may be encryption keys alone', async () => {
    const { signing, decryption } = await importKeys(checkJwks({ keys: [enc] }))
    expect(signing).toBeUndefined()
    expect(decryption).toHaveLength(1)
  })

  test.each([
    ['names the wrong operation', { key_ops: ['verify'] }],
    ['names an unknown operation', { key_ops: ['fly'] }],
    ['names an operation twice', { key_ops: ['sign', 'sign'] }],
    ['names no operation', { key_ops: [] }],
    ['may be exported', { ext: true }],
    ['may not be exported', { ext: false }],
  ])('are refused at once, or can be used: a key that %s', async (_name, members) => {
    const jwks = { keys: [{ ...sig, ...members }] }
    const refused = await Promise.resolve(jwks)
      .then(checkJwks)
      .then(
        () => undefined,
        (err: unknown) => err,
      )
    if (refused) {
      expect(refused).toMatchObject({ code: 'config_invalid' })
      return
    }
    const { signing } = await importKeys(checkJwks(jwks))
    if (!signing) throw new Error('no signing key')
    const jws = new CompactSign(Buffer.from('text')).setProtectedHeader({ alg: 'PS256' }).sign(signing.key)
    await expect(jws).resolves.toEqual(expect.any(String))
  })

  test('are named by their thumbprint when they have no name (RFC 7638)', async () => {
    const keys = await importKeys(checkJwks({ keys: [without(sig, 'kid'), without(enc, 'kid')] }))
    // generateJwks names its keys so, too.
    expect(keys.signing?.kid).toBe(sig.kid)
    expect(keys.decryption[0]?.kid).toBe(enc.kid)
    expect(keys.public.keys.map(({ kid }) => kid)).toEqual([sig.kid, enc.kid])
  })
})

describe('the public JWKS', () => {
  test('has what a bank needs, and nothing else', async () => {
    const keys = { keys: [sig, enc, { ...ec, use: 'sig', kid: 'ec' }] }
    const { public: jwks } = await importKeys(checkJwks(keys))
    expect(jwks).toEqual({
      keys: [
        { kty: 'RSA', n: sig.n, e: sig.e, kid: sig.kid, alg: 'PS256', use: 'sig' },
        { kty: 'RSA', n: enc.n, e: enc.e, kid: enc.kid, alg: 'RSA-OAEP', use: 'enc' },
        { kty: 'EC', crv: 'P-256', x: ec.x, y: ec.y, kid: 'ec', alg: 'ES256', use: 'sig' },
      ],
    })
  })

  test('has no member that only the private one has, however exotic', async () => {
    const exotic = {
      oth: [{ r: 'factor', d: 'exponent', t: 'coefficient' }],
      k: 'shared-secret',
      priv: 'private-part',
      enc: 'A256CBC-HS512',
      passphrase: 'open-sesame',
      ext: true,
    }
    const { public: jwks } = await importKeys(
      checkJwks({
        keys: [without({ ...sig, ...exotic }, 'oth'), { ...ec, use: 'sig', p: 'factor', ...exotic }],
      }),
    )
    const members = new Set(jwks.keys.flatMap((key) => Object.keys(key)))
    expect([...members].sort()).toEqual(['alg', 'crv', 'e', 'kid', 'kty', 'n', 'use', 'x', 'y'])
    expect(JSON.stringify(jwks)).not.toMatch(/factor|exponent|shared-secret|private-part|open-sesame/)
  })
})

function publicPart(jwk: JWK): JWK {
  return without(jwk, ...PRIVATE_MEMBERS)
}

function small(): JWK {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  return { ...(privateKey.export({ format: 'jwk' }) as JWK), use: 'sig' }
}

function p384(): JWK {
  return generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ format: 'jwk' })
}

function ed25519(): JWK {
  return generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
}
