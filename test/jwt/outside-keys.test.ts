import { constants, generateKeyPairSync, privateDecrypt, sign, webcrypto, type KeyObject } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { CompactEncrypt, compactVerify, importJWK } from 'jose'
import { IDPartner, type ClientJwks } from 'passport-idpartner'
import type { KeyEncryptionAlg, SigningAlg } from '../../lib/jwt/algorithms.js'
import { decryptJwt } from '../../lib/jwt/encrypted-jwt.js'
import { checkJwks, importKeys, signingKey } from '../../lib/jwt/keys.js'
import { signJwt } from '../../lib/jwt/own-jwt.js'
import { startApp, type Ended, type TestApp } from '../support/app.js'
import { Browser } from '../support/browser.js'
import { ecKey, ed25519Key, publicJwk, rsaKey, type KeyPair } from '../support/key-pairs.js'
import { thrown } from '../support/thrown.js'

const SECRET = 'an-access-key-of-the-key-service'

type Sign = (data: Uint8Array) => Uint8Array | Promise<Uint8Array>
type Decrypt = (encryptedKey: Uint8Array) => Uint8Array | undefined | Promise<Uint8Array | undefined>

let ec: KeyPair
let rsa: KeyPair
let other: KeyPair

beforeAll(async () => {
  ;[ec, rsa, other] = await Promise.all([ecKey('outside'), rsaKey('outside'), ecKey('another outside')])
})

const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
const OAEP = { padding: constants.RSA_PKCS1_OAEP_PADDING }

const signsWith =
  (key: KeyObject, hash: string | null, how: object): Sign =>
  (data) =>
    sign(hash, data, { key, ...how })

const es256 = (by: Sign, pair = ec): ClientJwks['keys'][number] => ({
  kid: 'in-the-hsm',
  alg: 'ES256',
  publicJwk: publicJwk(pair),
  sign: by,
})
const ps256 = (by: Sign): ClientJwks['keys'][number] => ({
  kid: 'in-the-hsm',
  alg: 'PS256',
  publicJwk: publicJwk(rsa),
  sign: by,
})
const good: Sign = (data) => signsWith(ec.privateKey, 'sha256', { dsaEncoding: 'ieee-p1363' })(data)

async function signed(entry: ClientJwks['keys'][number], milliseconds?: number): Promise<string> {
  const signer = signingKey(await importKeys(checkJwks({ keys: [entry] }), milliseconds))
  if (!signer) throw new Error('no signer')
  return signJwt(signer, { typ: 'JWT' }, { iss: 'app' })
}

describe('a key that signs elsewhere', () => {
  test.each<[SigningAlg, () => Promise<KeyPair>, string | null, object]>([
    ['PS256', () => rsaKey('outside'), 'sha256', PSS],
    ['ES256', () => ecKey('outside'), 'sha256', { dsaEncoding: 'ieee-p1363' }],
    ['ES384', () => ecKey('outside', 'P-384'), 'sha384', { dsaEncoding: 'ieee-p1363' }],
    ['ES512', () => ecKey('outside', 'P-521'), 'sha512', { dsaEncoding: 'ieee-p1363' }],
    ['EdDSA', () => ed25519Key('outside'), null, {}],
  ])('makes a JWS with %s', async (alg, pair, hash, how) => {
    const { privateKey, ...others } = await pair()
    const jwk = publicJwk({ privateKey, ...others })
    const jws = await signed({ kid: 'k1', alg, publicJwk: jwk, sign: signsWith(privateKey, hash, how) })
    const { protectedHeader, payload } = await compactVerify(jws, await importJWK(jwk, alg), {
      algorithms: [alg],
    })
    expect(protectedHeader).toEqual({ alg, typ: 'JWT', kid: 'k1' })
    expect(JSON.parse(new TextDecoder().decode(payload))).toEqual({ iss: 'app' })
  })

  test('is published by its public half and its kid, and by nothing else', async () => {
    const entry = {
      ...es256(good),
      publicJwk: { ...publicJwk(ec), kid: 'other', use: 'enc', secret: SECRET },
    }
    const keys = await importKeys(checkJwks({ keys: [entry] }))
    const { kty, crv, x, y } = publicJwk(ec)
    expect(keys.public).toEqual({ keys: [{ kty, crv, x, y, kid: 'in-the-hsm', alg: 'ES256', use: 'sig' }] })
  })

  test('is called as a method of its object, and gets a copy of what is signed', async () => {
    class Hsm {
      readonly kid: string = 'k1'
      readonly alg = 'ES256'
      readonly publicJwk = publicJwk(ec)
      sign(data: Uint8Array): Uint8Array {
        const made = this.kid === 'k1' ? good(data) : data
        data.fill(0)
        return made as Uint8Array
      }
    }
    expect((await signed(new Hsm())).split('.')).toHaveLength(3)
  })

  test('may use the memory of its signature again, whatever it writes there', async () => {
    const memory = new Uint8Array(64)
    const jws = await signed(
      es256(async (data) => {
        memory.set(await good(data))
        // As a driver does whose next answer comes right behind this one.
        queueMicrotask(() => {
          queueMicrotask(() => {
            queueMicrotask(() => {
              queueMicrotask(() => memory.fill(0))
            })
          })
        })
        return memory
      }),
    )
    await expect(
      compactVerify(jws, await importJWK(publicJwk(ec), 'ES256'), { algorithms: ['ES256'] }),
    ).resolves.toBeDefined()
  })

  test('does not sign before its time', async () => {
    const { signing } = await importKeys(checkJwks({ keys: [{ ...es256(good), status: 'next' }] }))
    expect(signing).toEqual([])
  })

  test.each<[string, () => ClientJwks['keys'][number], number, RegExp]>([
    [
      'DER',
      () => es256(signsWith(ec.privateKey, 'sha256', { dsaEncoding: 'der' })),
      500,
      /gives its signature in DER: JOSE has r and s/,
    ],
    [
      'PKCS #1 v1.5',
      () => ps256(signsWith(rsa.privateKey, 'sha256', {})),
      500,
      /signs with PKCS #1 v1.5 \(RS256\): PS256 is PSS/,
    ],
    [
      'PSS with a longer salt',
      () => ps256(signsWith(rsa.privateKey, 'sha256', { ...PSS, saltLength: 64 })),
      500,
      /that its publicJwk does not verify/,
    ],
    [
      "another key's signature",
      () => es256(signsWith(other.privateKey, 'sha256', { dsaEncoding: 'ieee-p1363' })),
      500,
      /gave a signature that its publicJwk does not verify: it may sign with another key/,
    ],
    ['the signature of something else', () => es256(() => good(Buffer.from('else'))), 500, /does not verify/],
    ['noise', () => es256(() => new Uint8Array(64)), 500, /does not verify/],
    ['no bytes', () => es256(() => new Uint8Array()), 500, /does not verify/],
    ['nothing', () => es256(() => undefined as never), 500, /must give its signature as a Uint8Array/],
    ['text', () => es256(() => 'c2lnbmF0dXJl' as never), 500, /must give its signature as a Uint8Array/],
    [
      'an error',
      () =>
        es256(() => {
          throw new RangeError(SECRET)
        }),
      503,
      /failed \(RangeError\)$/,
    ],
    [
      'a late error',
      () => es256(() => Promise.reject(Object.assign(new Error(SECRET), { code: 'CKR_TOKEN_NOT_PRESENT' }))),
      503,
      /failed \(CKR_TOKEN_NOT_PRESENT\)$/,
    ],
    [
      'no answer',
      () => es256(() => new Promise(() => undefined)),
      503,
      /gave nothing in time \(see the option "timeout"\)/,
    ],
  ])('is found out where it gives %s', async (_, entry, status, message) => {
    const err: unknown = await signed(entry(), 300).catch((caught: unknown) => caught)
    expect(err).toMatchObject({ code: 'config_invalid', status, message: expect.stringMatching(message) })
    expect((err as Error).message).toContain('the signer "in-the-hsm" of the option "jwks"')
    expect(
      `${String((err as Error).stack)}${JSON.stringify(err)}${String((err as Error).cause)}`,
    ).not.toContain(SECRET)
  })
})

describe('a key that decrypts elsewhere', () => {
  const kind = { code: 'token_invalid', what: 'the ID token', registered: 'id_token' } as const

  const decrypts =
    (alg: KeyEncryptionAlg): Decrypt =>
    (data) =>
      privateDecrypt({ key: rsa.privateKey, ...OAEP, oaepHash: alg === 'RSA-OAEP' ? 'sha1' : 'sha256' }, data)

  async function opened(
    by: Decrypt,
    alg: 'RSA-OAEP' | 'RSA-OAEP-256' = 'RSA-OAEP',
    kid = 'in-the-hsm',
  ): Promise<string> {
    const jwe = await new CompactEncrypt(Buffer.from('a.b.c'))
      .setProtectedHeader({ alg, enc: 'A256CBC-HS512', ...(kid !== '' && { kid }) })
      .encrypt(await importJWK(publicJwk(rsa), alg))
    const entry = { kid: 'in-the-hsm', alg, publicJwk: publicJwk(rsa), decrypt: by }
    const { decryption } = await importKeys(checkJwks({ keys: [entry] }), 300)
    return (await decryptJwt(jwe, { alg: [alg], enc: ['A256CBC-HS512'], keys: decryption }, kind)).jws
  }

  test.each(['RSA-OAEP', 'RSA-OAEP-256'] as const)('opens %s', async (alg) => {
    expect(await opened(decrypts(alg), alg)).toBe('a.b.c')
    expect(await opened(async (data) => Promise.resolve(decrypts(alg)(data)), alg)).toBe('a.b.c')
  })

  test.each(['RSA-OAEP', 'RSA-OAEP-256'] as const)(
    'may wipe the content key as soon as it has given it, with %s',
    async (alg) => {
      const wiping: Decrypt = (data) => {
        const contentKey = decrypts(alg)(data) as Uint8Array
        setImmediate(() => contentKey.fill(0))
        return contentKey
      }
      expect(await opened(wiping, alg)).toBe('a.b.c')
    },
  )

  test('is asked where no key is named, and not where another is', async () => {
    let asked = 0
    const counting: Decrypt = (data) => {
      asked++
      return decrypts('RSA-OAEP')(data)
    }
    expect(await opened(counting, 'RSA-OAEP', '')).toBe('a.b.c')
    await expect(opened(counting, 'RSA-OAEP', 'another')).rejects.toMatchObject({ code: 'token_invalid' })
    expect(asked).toBe(1)
  })

  test.each<[string, Decrypt, string, number, RegExp]>([
    [
      'nothing, for what is not its own',
      () => undefined,
      'token_invalid',
      502,
      /was encrypted to a key that is not ours/,
    ],
    [
      'another content key',
      () => new Uint8Array(64),
      'token_invalid',
      502,
      /was encrypted to a key that is not ours/,
    ],
    ['null', () => null as never, 'token_invalid', 502, /was encrypted to a key that is not ours/],
    [
      'more than a key of this process encrypts',
      () => new Uint8Array(300),
      'token_invalid',
      502,
      /was encrypted to a key that is not ours/,
    ],
    [
      'what is no content key',
      () => new Uint8Array(65),
      'token_invalid',
      502,
      /was encrypted to a key that is not ours/,
    ],
    ['text', () => 'key' as never, 'config_invalid', 500, /must give the content key as a Uint8Array/],
    [
      'an error',
      () => {
        throw new RangeError(SECRET)
      },
      'config_invalid',
      503,
      /the decrypter "in-the-hsm" of the option "jwks" failed \(RangeError\)/,
    ],
    ['no answer', () => new Promise(() => undefined), 'config_invalid', 503, /gave nothing in time/],
  ])('is found out where it gives %s', async (_, by, code, status, message) => {
    const err: unknown = await opened(by).catch((caught: unknown) => caught)
    expect(err).toMatchObject({ code, status, message: expect.stringMatching(message) })
    expect(
      `${String((err as Error).stack)}${JSON.stringify(err)}${String((err as Error).cause)}`,
    ).not.toContain(SECRET)
  })
})

describe('an entry for a key elsewhere is refused by the constructor:', () => {
  const entry = (): Record<string, unknown> => ({ ...es256(good) })

  test.each<[string, () => object, RegExp]>([
    ['without a kid', () => ({ ...entry(), kid: undefined }), /key 1 needs a "kid"/],
    ['with an empty kid', () => ({ ...entry(), kid: '' }), /needs a "kid"/],
    ['without an alg', () => ({ ...entry(), alg: 'RS256' }), /may sign with PS256/],
    ['with an alg that does not fit', () => ({ ...entry(), alg: 'PS256' }), /may sign with PS256/],
    ['without publicJwk', () => ({ ...entry(), publicJwk: undefined }), /needs a "publicJwk"/],
    ['with null for it', () => ({ ...entry(), publicJwk: null }), /needs a "publicJwk"/],
    [
      'with a private key in it',
      () => ({ ...entry(), publicJwk: ec.privateKey.export({ format: 'jwk' }) }),
      /"publicJwk", which must hold no private key/,
    ],
    [
      'with half of it',
      () => ({ ...entry(), publicJwk: { ...publicJwk(ec), y: undefined } }),
      /needs a whole publicJwk in key 1/,
    ],
    [
      'with sign that is none',
      () => ({ ...entry(), sign: 'sign' }),
      /needs one function, "sign" or "decrypt"/,
    ],
    ['with both uses', () => ({ ...entry(), decrypt: good }), /needs one function, "sign" or "decrypt"/],
    [
      'that decrypts with ECDH-ES',
      () => ({ kid: 'in-the-hsm', alg: 'ECDH-ES', publicJwk: publicJwk(ec), decrypt: good }),
      /may decrypt elsewhere with RSA-OAEP or RSA-OAEP-256 only/,
    ],
    [
      'with decrypt that is none',
      () => ({ kid: 'in-the-hsm', alg: 'RSA-OAEP', publicJwk: publicJwk(rsa), decrypt: 'decrypt' }),
      /needs one function, "sign" or "decrypt"/,
    ],
    ['with another status', () => ({ ...entry(), status: 'old' }), /"status"/],
    [
      'with a short key',
      () => {
        const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
        return { ...entry(), alg: 'PS256', publicJwk: publicKey.export({ format: 'jwk' }) }
      },
      /at least 2048 bits/,
    ],
    [
      'that throws when it is read',
      () => ({
        get sign(): unknown {
          throw new Error(SECRET)
        },
      }),
      /an entry that cannot be used: key 1 is none$/,
    ],
    [
      'with a KeyObject for its publicJwk',
      () => ({ ...entry(), publicJwk: ec.publicKey }),
      /needs its "publicJwk" as a JWK/,
    ],
    [
      'with sign misspelt',
      () => ({ kid: 'in-the-hsm', alg: 'ES256', publicJwk: publicJwk(ec), sgin: good }),
      /needs one function, "sign" or "decrypt"/,
    ],
    [
      'whose key is for RSA-PSS alone',
      () => ({ key: generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey, alg: 'PS256' }),
      /key 1 is a key of the type "rsa-pss", for which there is no JWK/,
    ],
    ['whose key is no key', () => ({ key: 'key', alg: 'ES256' }), /needs a KeyObject or a CryptoKey/],
    ['whose key is public', () => ({ key: ec.publicKey, alg: 'ES256' }), /is no private key/],
  ])('%s', (_, made, message) => {
    const err = thrown(
      () =>
        new IDPartner({
          client_id: 'app',
          callback: 'https://app.example/cb',
          jwks: { keys: [made()] as never },
        }),
    )
    expect(err).toMatchObject({ code: 'config_invalid', message: expect.stringMatching(message) })
  })

  test('with the kid of another', () => {
    expect(thrown(() => checkJwks({ keys: [es256(good), es256(good)] }))).toMatchObject({
      message: expect.stringContaining('twice'),
    })
  })
})

describe('a key that Node or WebCrypto holds', () => {
  test('signs as its JWK does', async () => {
    const jws = await signed({ key: ec.privateKey, kid: 'held', alg: 'ES256', use: 'sig' })
    const { protectedHeader } = await compactVerify(jws, await importJWK(publicJwk(ec), 'ES256'))
    expect(protectedHeader.kid).toBe('held')
  })

  const cryptoKey = (extractable: boolean): Promise<webcrypto.CryptoKey> =>
    webcrypto.subtle.importKey(
      'jwk',
      ec.privateKey.export({ format: 'jwk' }),
      { name: 'ECDSA', namedCurve: 'P-256' },
      extractable,
      ['sign'],
    )

  test('signs as a CryptoKey', async () => {
    const jws = await signed({ key: await cryptoKey(true), use: 'sig' })
    await expect(compactVerify(jws, await importJWK(publicJwk(ec), 'ES256'))).resolves.toBeDefined()
  })

  test('signs as a CryptoKey that nobody can extract, in a function', async () => {
    const key = await cryptoKey(false)
    expect(thrown(() => checkJwks({ keys: [{ key, use: 'sig' }] }))).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('not extractable: give it as an object with "sign" or "decrypt"'),
    })
    const by: Sign = async (data) =>
      new Uint8Array(await webcrypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, data))
    await expect(signed(es256(by))).resolves.toBeDefined()
  })
})

describe('a whole login with keys elsewhere', () => {
  let app: TestApp

  const start = async (by: Sign): Promise<void> => {
    const decrypter = {
      kid: 'enc-1',
      alg: 'RSA-OAEP',
      publicJwk: publicJwk(rsa),
      decrypt: (data: Uint8Array) => privateDecrypt({ key: rsa.privateKey, ...OAEP }, data),
    } as const
    app = await startApp({
      keys: { alg: 'ES256', enc: 'ECDH-ES' },
      sandbox: { flow: 'direct' },
      strategy: { jwks: { keys: [es256(by), decrypter] }, timeout: 2000 },
    })
  }

  afterAll(() => app.close())

  test('ends well, and where the signer fails, with its code and status', async () => {
    let by: Sign = good
    await start((data) => by(data))
    const logIn = async (): Promise<Ended> => {
      const browser = new Browser('about:')
      const selector = await browser.open(`${app.url}/login`)
      const bank = await browser.press(selector, 'Mikomo Bank')
      const asked = await browser.press(bank, 'Log in', { login: 'mikomo_10', password: 'mikomo_10' })
      // The token endpoint is what is left to sign for.
      by = next
      return JSON.parse((await browser.press(asked, 'Share and continue')).html) as Ended
    }
    let next = good
    expect(await logIn()).toHaveProperty('user')
    next = () => {
      throw new Error(SECRET)
    }
    by = good
    expect(await logIn()).toMatchObject({
      error: {
        code: 'config_invalid',
        status: 503,
        message: 'the signer "in-the-hsm" of the option "jwks" failed',
      },
    })
  })
})
