import { generateKeyPairSync } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import {
  CompactEncrypt,
  CompactSign,
  compactDecrypt,
  compactVerify,
  importJWK,
  type CryptoKey,
  type JSONWebKeySet,
  type JWK,
} from 'jose'
import { KEY_ENCRYPTION_ALGS, SIGNING_ALGS } from '../../lib/jwt/algorithms.js'
import { checkJwks, generateJwks, importKeys, signingKey } from '../../lib/jwt/keys.js'
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

const ENC = /encryption keys with an "alg" of RSA-OAEP, .* that fits the key; key 2 is another/

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

describe.each(SIGNING_ALGS)('generateJwks makes for %s', (alg) => {
  test.each(KEY_ENCRYPTION_ALGS)('and %s keys that can be used', async (enc) => {
    const jwks = await generateJwks({ alg, enc })
    expect(jwks.keys.map((key) => [key.alg, key.use])).toEqual([
      [alg, 'sig'],
      [enc, 'enc'],
    ])
    const keys = await importKeys(checkJwks(jwks))
    const [verifying, recipient] = keys.public.keys
    const jws = await new CompactSign(Buffer.from('text'))
      .setProtectedHeader({ alg })
      .sign(signingKey(keys, alg)?.key ?? new Uint8Array())
    await expect(
      compactVerify(jws, await importJWK({ ...verifying, kty: verifying?.kty ?? '' }, alg)),
    ).resolves.toBeDefined()
    const jwe = await new CompactEncrypt(Buffer.from('text'))
      .setProtectedHeader({ alg: enc, enc: 'A256GCM' })
      .encrypt(await importJWK({ ...recipient, kty: recipient?.kty ?? '' }, enc))
    await expect(compactDecrypt(jwe, keys.decryption[0]?.key ?? new Uint8Array())).resolves.toBeDefined()
    for (const key of keys.public.keys) {
      for (const member of PRIVATE_MEMBERS) expect(key).not.toHaveProperty(member)
    }
  })
})

test.each([
  ['alg', { alg: 'RS256' }],
  ['enc', { enc: 'RSA1_5' }],
])('generateJwks makes no keys for another "%s"', async (name, options) => {
  await expect(generateJwks(options as never)).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining(`option "${name}" must be one of `),
  })
})

test.each([
  [
    'a misspelt option',
    { algorithm: 'ES256' },
    /"algorithm" of generateJwks is not known: there are alg, enc/,
  ],
  ['an algorithm alone', 'ES256', /takes an object, such as/],
  ['null', null, /takes an object/],
])('generateJwks makes no keys of %s', async (_name, options, message) => {
  await expect(generateJwks(options as never)).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringMatching(message),
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
    ['a key is for RS256', () => [{ ...sig, alg: 'RS256' }], /may sign with PS256, .* EdDSA only; key 1/],
    ['a key is for PS512', () => [{ ...sig, alg: 'PS512' }], /may sign with PS256, .* EdDSA only; key 1/],
    [
      'a signing key is for RSA-OAEP',
      () => [{ ...sig, alg: 'RSA-OAEP' }],
      /may sign with PS256, .* EdDSA only/,
    ],
    ['a key for ES256 is RSA', () => [{ ...sig, alg: 'ES256' }], /may sign with PS256, .* EdDSA only/],
    ['a key for ES256 is RSA with a curve', () => [{ ...sig, alg: 'ES256', crv: 'P-256' }], /EdDSA only/],
    [
      'a key for PS256 is EC',
      () => [{ ...ec, use: 'sig', alg: 'PS256' }],
      /may sign with PS256, .* EdDSA only/,
    ],
    ['a key for ES256 is on another curve', () => [{ ...p384(), use: 'sig', alg: 'ES256' }], /EdDSA only/],
    ['a key is on a curve of Bitcoin', () => [{ ...secp256k1(), use: 'sig' }], /EdDSA only; key 1/],
    ['a key is for X25519', () => [{ ...x25519(), use: 'sig' }], /EdDSA only; key 1/],
    ['a key is for RSA1_5', () => [sig, { ...enc, alg: 'RSA1_5' }], ENC],
    ['an RSA key is for ECDH-ES', () => [sig, { ...enc, alg: 'ECDH-ES' }], ENC],
    ['an EC key is for RSA-OAEP', () => [sig, { ...ec, use: 'enc', alg: 'RSA-OAEP' }], ENC],
    ['an encryption key is for PS256', () => [sig, { ...enc, alg: 'PS256' }], ENC],
    ['an EC key for encryption has no "alg"', () => [sig, { ...ec, use: 'enc' }], ENC],
    ['a key says nothing of its use', () => [without(sig, 'use', 'alg')], /needs "use".* in key 1/],
    ['a key has another use', () => [{ ...sig, use: 'both' }], /needs "use".* in key 1/],
    ['a key has no use and another alg', () => [without({ ...sig, alg: 'RS256' }, 'use')], /needs "use"/],
    ['a key is a shared secret', () => [{ kty: 'oct', k: 'AAAA', use: 'sig' }], /EdDSA only; key 1/],
    ['a key for EdDSA is EC', () => [{ ...ec, use: 'sig', alg: 'EdDSA' }], /EdDSA only; key 1/],
    ['the name of a key is no text', () => [{ ...sig, kid: 42 }], /kid.* key 1|key 1.* kid/],
    ['a status is none of the three', () => [sig, { ...enc, status: 'old' }], /"status" in key 2 .*retired/],
    ['a status is no text', () => [{ ...sig, status: 1 }], /"status" in key 1/],
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
    ['a signing key is on P-384', () => [{ ...p384(), use: 'sig' }], [{ use: 'sig', alg: 'ES384' }]],
    ['a signing key is on P-521', () => [{ ...p521(), use: 'sig' }], [{ use: 'sig', alg: 'ES512' }]],
    ['a signing key is Ed25519', () => [{ ...ed25519(), use: 'sig' }], [{ use: 'sig', alg: 'EdDSA' }]],
    [
      'an encryption key is for RSA-OAEP-256',
      () => [{ ...enc, alg: 'RSA-OAEP-256' }],
      [{ use: 'enc', alg: 'RSA-OAEP-256' }],
    ],
    [
      'an EC key has the "alg" of an encryption alone',
      () => [{ ...p384(), alg: 'ECDH-ES+A192KW' }],
      [{ use: 'enc', alg: 'ECDH-ES+A192KW' }],
    ],
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
    const signing = signingKey(await importKeys(checkJwks(jwks)))
    expect(signing?.kid).toBe(sig.kid)
    if (!signing?.key) throw new Error('no signing key')
    const jws = await new CompactSign(Buffer.from('text'))
      .setProtectedHeader({ alg: 'PS256' })
      .sign(signing.key)
    await expect(compactVerify(jws, await importJWK(publicPart(sig), 'PS256'))).resolves.toBeDefined()
  })

  test('sign with ES256 when the first signing key is EC', async () => {
    const signing = signingKey(await importKeys(checkJwks({ keys: [{ ...ec, use: 'sig' }] })))
    if (!signing?.key) throw new Error('no signing key')
    const jws = await new CompactSign(Buffer.from('text'))
      .setProtectedHeader({ alg: 'ES256' })
      .sign(signing.key)
    await expect(compactVerify(jws, await importJWK(publicPart(ec), 'ES256'))).resolves.toBeDefined()
  })

  test('sign with the first key of an algorithm that is asked for, whatever stands before it', async () => {
    const keys = await importKeys(
      checkJwks({ keys: [sig, { ...ec, use: 'sig', kid: 'first' }, { ...ec, use: 'sig', kid: 'second' }] }),
    )
    expect(signingKey(keys, 'ES256')?.kid).toBe('first')
    expect(signingKey(keys)?.kid).toBe(sig.kid)
    expect(signingKey(keys, 'ES512')).toBeUndefined()
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
    for (const { key } of [...signing, ...decryption]) {
      expect(key).toMatchObject({ type: 'private', extractable: false })
      await expect(crypto.subtle.exportKey('jwk', key as CryptoKey)).rejects.toThrow(/not extractable/)
    }
  })

  test('may be none', async () => {
    expect(await importKeys([])).toEqual({ signing: [], decryption: [], public: { keys: [] } })
  })

  test('may be encryption keys alone', async () => {
    const { signing, decryption } = await importKeys(checkJwks({ keys: [enc] }))
    expect(signing).toEqual([])
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
    const signing = signingKey(await importKeys(checkJwks(jwks)))
    if (!signing?.key) throw new Error('no signing key')
    const jws = new CompactSign(Buffer.from('text')).setProtectedHeader({ alg: 'PS256' }).sign(signing.key)
    await expect(jws).resolves.toEqual(expect.any(String))
  })

  test('are named by their thumbprint when they have no name (RFC 7638)', async () => {
    const keys = await importKeys(checkJwks({ keys: [without(sig, 'kid'), without(enc, 'kid')] }))
    // generateJwks names its keys so, too.
    expect(keys.signing[0]?.kid).toBe(sig.kid)
    expect(keys.decryption[0]?.kid).toBe(enc.kid)
    expect(keys.public.keys.map(({ kid }) => kid)).toEqual([sig.kid, enc.kid])
  })
})

describe('keys with a status', () => {
  const old = (): JWK => ({ ...rsa, use: 'sig', kid: 'old' })
  const rotation = (): JWK[] =>
    [
      { ...old(), status: 'retired' },
      { ...rsa, use: 'enc', alg: 'RSA-OAEP', kid: 'old-enc', status: 'retired' },
      { ...ec, use: 'sig', kid: 'new', status: 'next' },
      { ...sig, status: 'current' },
      { ...enc, status: 'next' },
    ] as unknown as JWK[]

  test('sign when they are current, and not before or after', async () => {
    const { signing } = await importKeys(checkJwks({ keys: rotation() }))
    expect(signing.map(({ kid }) => kid)).toEqual([sig.kid])
  })

  test('decrypt, and are published, whatever it is', async () => {
    const keys = await importKeys(checkJwks({ keys: rotation() }))
    expect(keys.decryption.map(({ kid }) => kid)).toEqual([enc.kid, 'old-enc'])
    expect(keys.public.keys).toHaveLength(5)
  })

  test('are published without it, the current ones first, which whoever encrypts takes', async () => {
    const { public: jwks } = await importKeys(checkJwks({ keys: rotation() }))
    expect(jwks.keys.map(({ kid }) => kid)).toEqual([sig.kid, 'new', enc.kid, 'old', 'old-enc'])
    expect(JSON.stringify(jwks)).not.toContain('status')
  })

  test.each([undefined, null, 'current'])('are current with %j', async (status) => {
    const { signing } = await importKeys(checkJwks({ keys: [{ ...sig, status } as JWK] }))
    expect(signing).toHaveLength(1)
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

function p521(): JWK {
  return generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey.export({ format: 'jwk' })
}

function secp256k1(): JWK {
  return generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey.export({ format: 'jwk' })
}

function x25519(): JWK {
  return generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' })
}

function ed25519(): JWK {
  return generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
}
