import { beforeAll, describe, expect, test } from '@jest/globals'
import { CompactEncrypt, importJWK, type JWK } from 'jose'
import { IDPartnerError } from '../../lib/errors.js'
import {
  CONTENT_ENCRYPTION_ALGS,
  KEY_ENCRYPTION_ALGS,
  SIGNING_ALGS,
  type SigningAlg,
} from '../../lib/jwt/algorithms.js'
import { checkJwks, generateJwks, importKeys } from '../../lib/jwt/keys.js'
import type { FindKeys } from '../../lib/jwt/remote-keys.js'
import { decryptJwt, type OpenedJwt, type Decryption } from '../../lib/jwt/encrypted-jwt.js'
import { invalidJwt, type JwtKind } from '../../lib/jwt/jwt-error.js'
import { verifyJwt, type Expected } from '../../lib/jwt/signed-jwt.js'
import { encryptionKey, fromNow, listed, mint, set, without, type JwtBend } from '../support/bends.js'
import { encryptJwe } from '../support/jwe.js'
import { withBrokenSignature } from '../support/jws.js'
import {
  clientJwks,
  ecKey,
  ed25519Key,
  publicJwk,
  renamed,
  rsaKey,
  usual,
  type KeyPair,
} from '../support/key-pairs.js'
import { noKeys, publishedKeys } from '../support/published-keys.js'
import { refusal as refusalOf } from '../support/settle.js'

const ISSUER = 'https://bank.example'
const AUDIENCE = 'app'

const kind: Required<JwtKind> = { code: 'token_invalid', what: 'the thing', registered: 'id_token' }

let decryption: Decryption
let keys: FindKeys

beforeAll(async () => {
  const [one, other] = await Promise.all([clientJwks(), clientJwks('another')])
  const imported = await importKeys(checkJwks({ keys: [...one.keys, ...other.keys] }))
  decryption = usual(imported.decryption)
  keys = await keySet()
})

/** What the issuer publishes: two RSA keys, so that a JWT without `kid` may be of either. */
async function keySet(): Promise<FindKeys> {
  return publishedKeys(
    publicJwk(await rsaKey('extra'), { use: 'sig' }),
    publicJwk(await rsaKey('issuer'), { use: 'sig' }),
    publicJwk(await ecKey('issuer'), { use: 'sig' }),
  )
}

const claims = (): Record<string, unknown> => {
  const now = Math.floor(Date.now() / 1000)
  return { iss: ISSUER, aud: AUDIENCE, iat: now, exp: now + 60, state: 'x' }
}

const sealed = (bend: JwtBend = {}): Promise<string> =>
  rsaKey('issuer').then((key) =>
    mint({ claims: claims(), key, seal: { alg: 'RSA-OAEP', enc: 'A256CBC-HS512', iss: ISSUER } }, bend),
  )

const signed = (bend: JwtBend = {}): Promise<string> =>
  rsaKey('issuer').then((key) => mint({ claims: claims(), key }, bend))

const expected = (change: Partial<Expected> = {}): Expected => ({
  alg: 'PS256',
  keys,
  issuer: ISSUER,
  audience: AUDIENCE,
  clockTolerance: 30,
  requiredClaims: ['exp', 'state'],
  ...change,
})

/** A number that JSON can spell and nothing can be compared with. */
const endless =
  (name: string) =>
  (c: Record<string, unknown>): string =>
    JSON.stringify({ ...c, [name]: 0 }).replace(`"${name}":0`, `"${name}":1e999`)

/** A claim so deep that the payload has so many levels. */
const nested =
  (levels: number) =>
  (c: Record<string, unknown>): string =>
    JSON.stringify(c).replace('{', `{"deep":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)},`)

const verify = async (
  bend: JwtBend = {},
  { change, outer = {} }: { change?: Partial<Expected>; outer?: OpenedJwt['outer'] } = {},
): Promise<unknown> => verifyJwt({ jws: await signed(bend), outer }, expected(change), kind)

const expectRefused = async (call: Promise<unknown>, message: RegExp): Promise<void> => {
  const err = await refusalOf(call)
  expect(err).toMatchObject({ code: 'token_invalid', status: 502 })
  expect(err.message).toMatch(/^the thing /)
  expect(err.message).toMatch(message)
}

describe('an envelope is opened', () => {
  test('with the key it is for, whichever of ours that is', async () => {
    for (const kid of [...decryption.keys.map((one) => one.kid), 'unknown', undefined]) {
      for (const client of ['client', 'another']) {
        const jwe = await sealed({ seal: set({ kid }), recipient: () => encryptionKey(client) })
        const { jws } = await decryptJwt(jwe, decryption, kind)
        expect(jws.split('.')).toHaveLength(3)
      }
    }
  })

  test('and what its header repeats is handed on', async () => {
    const { outer } = await decryptJwt(await sealed({ seal: set({ aud: [AUDIENCE] }) }), decryption, kind)
    expect(outer).toEqual({ iss: ISSUER, aud: [AUDIENCE] })
  })

  test('when there is none and none was expected', async () => {
    const jws = await signed()
    await expect(decryptJwt(jws, usual([]), kind)).resolves.toEqual({ jws, outer: {} })
  })
})

describe('an envelope is refused when', () => {
  const REGISTER =
    'register id_token_encrypted_response_alg RSA-OAEP and id_token_encrypted_response_enc A256CBC-HS512 at the bank, or set the options so'
  const NOT_ENCRYPTED = new RegExp(
    `is not encrypted, although the application has an encryption key: ${REGISTER}$`,
  )

  test.each<{ name: string; jwt: () => Promise<string>; message: RegExp }>([
    { name: 'there is none', jwt: () => signed(), message: NOT_ENCRYPTED },
    { name: 'it is empty', jwt: () => Promise.resolve(''), message: NOT_ENCRYPTED },
    { name: 'it has a part more', jwt: () => sealed({ raw: (jwe) => `${jwe}.` }), message: NOT_ENCRYPTED },
    { name: 'it is five dots', jwt: () => Promise.resolve('....'), message: /is not a JWE/ },
    { name: 'its header is no JSON', jwt: () => Promise.resolve('e30x.a.b.c.d'), message: /is not a JWE/ },
    {
      name: 'it is encrypted with RSA1_5',
      jwt: () => sealed({ seal: set({ alg: 'RSA1_5' }) }),
      message: new RegExp(`is encrypted with RSA1_5 and A256CBC-HS512 \\(to no kid\\): ${REGISTER}$`),
    },
    {
      name: 'it is encrypted with RSA-OAEP-256',
      jwt: () => sealed({ seal: set({ alg: 'RSA-OAEP-256' }) }),
      message: new RegExp(`is encrypted with RSA-OAEP-256 and A256CBC-HS512 \\(to no kid\\): ${REGISTER}$`),
    },
    {
      name: 'it is encrypted with ECDH-ES+A128KW',
      jwt: async () => {
        const header = Buffer.from(JSON.stringify({ alg: 'ECDH-ES+A128KW', enc: 'A256CBC-HS512' }))
        return (await sealed()).replace(/^[^.]+/, header.toString('base64url'))
      },
      message: new RegExp(
        `is encrypted with ECDH-ES\\+A128KW and A256CBC-HS512 \\(to no kid\\): ${REGISTER}$`,
      ),
    },
    {
      name: 'its content is encrypted with A256GCM',
      jwt: () => sealed({ seal: set({ enc: 'A256GCM' }) }),
      message: new RegExp(`is encrypted with RSA-OAEP and A256GCM \\(to no kid\\): ${REGISTER}$`),
    },
    {
      name: 'its algorithms would forge a log line',
      jwt: () => sealed({ seal: set({ alg: 'RSA1_5\nERROR' }) }),
      message: /is encrypted with no known algorithm and A256CBC-HS512 \(/,
    },
    {
      name: 'it is compressed',
      jwt: () => sealed({ seal: set({ zip: 'DEF' }) }),
      message: /is compressed, which is not accepted$/,
    },
    {
      name: 'it holds a critical header that is not known',
      jwt: () => sealed({ seal: set({ crit: ['x'], x: 1 }) }),
      message: /is malformed$/,
    },
  ])('$name', async ({ jwt, message }) => {
    await expectRefused(decryptJwt(await jwt(), decryption, kind), message)
  })

  test.each<[string, Record<string, unknown>, string]>([
    ['names none of our keys', { kid: 'retired-2024' }, 'retired-2024'],
    ['names no key', {}, 'no kid'],
    ['names a key that would forge a log line', { kid: 'x\nERROR' }, 'no kid'],
  ])('it is for somebody else and %s', async (_name, members, shown) => {
    const stranger = (await rsaKey('stranger')).publicKey
    const jwe = await sealed({ seal: set(members), recipient: () => Promise.resolve(stranger) })
    const err = await refusalOf(decryptJwt(jwe, decryption, kind))
    const ours = decryption.keys.map(({ kid }) => kid).join(', ')
    expect(err.message).toBe(
      `the thing was encrypted to a key that is not ours (${shown}; ours: ${ours}): this application may have been restarted with new keys (generateJwks at every start), or publish an old JWKS`,
    )
  })

  test('it was changed', async () => {
    const jwe = await sealed({ raw: (one) => `${one.slice(0, -4)}AAAA` })
    await expectRefused(decryptJwt(jwe, decryption, kind), /key that is not ours/)
  })

  test('there is one and nothing to open it with', async () => {
    await expectRefused(
      decryptJwt(await sealed(), usual([]), kind),
      /is encrypted, and there is no key to decrypt it: add an encryption key to the option "jwks"/,
    )
  })
})

describe('a signed JWT is accepted', () => {
  test('and its claims are handed on', async () => {
    await expect(verify()).resolves.toMatchObject({ iss: ISSUER, aud: AUDIENCE, state: 'x' })
  })

  test.each<{ name: string; bend?: JwtBend; change?: Partial<Expected>; outer?: OpenedJwt['outer'] }>([
    { name: 'that names no key, of all that fit', bend: { header: without('kid') } },
    { name: 'whose key is null', bend: { header: set({ kid: null }) } },
    {
      name: 'whose times are null where they need not be there',
      bend: { claims: set({ nbf: null, iat: null, jti: null }) },
    },
    { name: 'with an audience of one', bend: { claims: listed('aud') } },
    { name: 'a little after its end', bend: { claims: fromNow({ exp: -25 }) } },
    { name: 'a little before its beginning', bend: { claims: fromNow({ nbf: 25, iat: 25 }) } },
    { name: 'with an old "iat", where that does not matter', bend: { claims: fromNow({ iat: -9999 }) } },
    { name: 'nested in 32 levels', bend: { claims: nested(32) } },
    { name: 'up to its age', bend: { claims: fromNow({ iat: -85 }) }, change: { maxAge: 60 } },
    { name: 'when its envelope names the issuer', outer: { iss: ISSUER } },
    { name: 'when its envelope names the audience', outer: { aud: AUDIENCE } },
    { name: 'when its envelope names the audience in a list', outer: { aud: [AUDIENCE] } },
    {
      name: 'with ES256, where that is configured',
      bend: { header: set({ alg: 'ES256', kid: 'issuer-P-256' }), key: () => ecKey('issuer') },
      change: { alg: 'ES256' },
    },
  ])('$name', async ({ bend, change = {}, outer = {} }) => {
    await expect(verify(bend, { change, outer })).resolves.toHaveProperty('iss', ISSUER)
  })
})

describe('a signed JWT is refused when', () => {
  test.each<{
    name: string
    bend?: JwtBend
    change?: Partial<Expected>
    outer?: OpenedJwt['outer']
    message: RegExp
  }>([
    { name: 'its "iss" is another', bend: { claims: set({ iss: 'x' }) }, message: /wrong or missing "iss"/ },
    { name: 'it has no "iss"', bend: { claims: without('iss') }, message: /wrong or missing "iss"/ },
    { name: 'its "aud" is another', bend: { claims: set({ aud: 'x' }) }, message: /wrong or missing "aud"/ },
    { name: 'it has no "aud"', bend: { claims: without('aud') }, message: /wrong or missing "aud"/ },
    {
      name: 'it is meant for others as well',
      bend: { claims: set({ aud: [AUDIENCE, 'other'] }) },
      message: /is meant for others as well/,
    },
    {
      name: 'it is meant for us twice',
      bend: { claims: set({ aud: [AUDIENCE, AUDIENCE] }) },
      message: /is meant for others as well/,
    },
    { name: 'a claim is missing', bend: { claims: without('state') }, message: /wrong or missing "state"/ },
    { name: 'its "exp" is missing', bend: { claims: without('exp') }, message: /wrong or missing "exp"/ },
    {
      name: 'its "exp" is a text',
      bend: { claims: set({ exp: 'tomorrow' }) },
      message: /wrong or missing "exp"/,
    },
    {
      name: 'it expired',
      bend: { claims: fromNow({ exp: -32 }) },
      message: /out of date by its "exp": it came too late, or this server's clock is wrong/,
    },
    {
      name: 'it is not valid yet',
      bend: { claims: fromNow({ nbf: 40 }) },
      message: /out of date by its "nbf".*clock/,
    },
    {
      name: 'its "nbf" is a text',
      bend: { claims: set({ nbf: 'now' }) },
      message: /wrong or missing "nbf"/,
    },
    {
      name: 'it is older than it may be',
      bend: { claims: fromNow({ iat: -95 }) },
      change: { maxAge: 60 },
      message: /out of date by its "iat"/,
    },
    {
      name: 'it was issued in the future',
      bend: { claims: fromNow({ iat: 60 }) },
      change: { maxAge: 60 },
      message: /out of date by its "iat"/,
    },
    {
      name: 'its age is not known',
      bend: { claims: without('iat') },
      change: { maxAge: 60 },
      message: /wrong or missing "iat"/,
    },
    {
      name: 'it is signed with another algorithm',
      bend: { header: set({ alg: 'RS256' }) },
      message:
        /is signed with RS256, but PS256 is wanted: register id_token_signed_response_alg PS256 at the bank, or set the option of that name to what is registered \(PS256, ES256, ES384, ES512, EdDSA\)$/,
    },
    {
      name: 'it is signed with the algorithm of another configuration',
      change: { alg: 'ES256' },
      message: /is signed with PS256, but ES256 is wanted/,
    },
    { name: 'it is not signed', bend: { header: set({ alg: 'none' }) }, message: /none, but PS256/ },
    {
      name: 'its algorithm would forge a log line',
      bend: { header: set({ alg: 'PS256\nERROR' }) },
      message: /is signed with no known algorithm, but PS256/,
    },
    {
      name: 'a stranger signed it',
      bend: { key: () => rsaKey('stranger') },
      message: /signed with a key its issuer does not publish/,
    },
    {
      name: 'a stranger signed it in the name of a key',
      bend: { key: () => renamed(rsaKey('stranger'), 'issuer') },
      message: /signature that does not verify/,
    },
    { name: 'its signature is broken', bend: { signed: withBrokenSignature }, message: /does not verify/ },
    {
      name: 'it names no key, and none that fits signed it',
      bend: { header: without('kid'), key: () => rsaKey('stranger') },
      message: /signature that does not verify/,
    },
    { name: 'its "kid" is a number', bend: { header: set({ kid: 1 }) }, message: /is malformed/ },
    {
      name: 'it has a critical header',
      bend: { header: set({ crit: ['b64'], b64: true }) },
      message: /is malformed/,
    },
    { name: 'its "exp" is null', bend: { claims: set({ exp: null }) }, message: /wrong or missing "exp"/ },
    {
      name: 'its "exp" is no number there is',
      bend: { claims: endless('exp') },
      message: /wrong or missing "exp"/,
    },
    {
      name: 'its "nbf" is no number there is',
      bend: { claims: endless('nbf') },
      message: /wrong or missing "nbf"/,
    },
    {
      name: 'its payload is nested in 33 levels',
      bend: { claims: nested(33) },
      message: /is nested too deeply/,
    },
    {
      name: 'its payload is nested in 5000 levels',
      bend: { claims: nested(5000) },
      message: /is nested too deeply/,
    },
    { name: 'its payload is no text', bend: { claims: () => '\u{fffd}' }, message: /is malformed/ },
    { name: 'its payload is a list', bend: { claims: () => '[]' }, message: /is malformed/ },
    { name: 'its header is no JSON', bend: { signed: (jws) => `x${jws}` }, message: /is malformed/ },
    { name: 'its payload is no JSON', bend: { claims: () => 'hello' }, message: /is malformed/ },
    { name: 'it has two parts', bend: { signed: () => 'e30.e30' }, message: /is malformed/ },
    {
      name: 'its envelope names another issuer',
      outer: { iss: 'https://other.example' },
      message: /names another issuer in its header/,
    },
    {
      name: 'its envelope names the issuer in a list',
      outer: { iss: [ISSUER] },
      message: /names another issuer in its header/,
    },
    {
      name: 'its envelope names another audience',
      outer: { aud: 'other' },
      message: /names another audience in its header/,
    },
    {
      name: 'its envelope names another audience in a list',
      outer: { aud: ['other'] },
      message: /names another audience in its header/,
    },
    {
      name: 'its envelope names a second audience',
      outer: { aud: [AUDIENCE, 'other'] },
      message: /names another audience in its header/,
    },
    { name: 'its envelope names nobody', outer: { aud: [] }, message: /another audience/ },
    { name: 'its envelope names null', outer: { aud: null }, message: /another audience/ },
  ])('$name', async ({ bend, change = {}, outer = {}, message }) => {
    await expectRefused(verify(bend, { change, outer }), message)
  })

  test('there is a JWE in its place', async () => {
    const inner = encryptJwe({ alg: 'RSA-OAEP', enc: 'A256CBC-HS512' }, 'x', await encryptionKey('client'))
    await expectRefused(verifyJwt({ jws: inner, outer: {} }, expected(), kind), /malformed/)
  })
})

describe('an error of ours underneath', () => {
  test('goes on as it is, such as that of keys that cannot be had', async () => {
    const unavailable = new IDPartnerError('provider_unavailable', 'no keys', { status: 504 })
    await expect(verify({}, { change: { keys: noKeys(unavailable) } })).rejects.toBe(unavailable)
  })
})

test('a refusal has the code of what was refused, and its cause', () => {
  const what: JwtKind = { code: 'response_invalid', what: 'the answer' }
  expect(invalidJwt(what, 'is wrong', new TypeError('underneath'))).toMatchObject({
    code: 'response_invalid',
    status: 401,
    message: 'the answer is wrong',
    cause: { name: 'TypeError', message: 'underneath' },
  })
})

test.each<[string, string]>([
  ['https://bank.example/', 'https://bank.example/ came, and https://bank.example is wanted'],
  ['http://bank.example', 'http://bank.example came, and https://bank.example is wanted'],
  [
    `https://${'x'.repeat(200)}.example`,
    `https://${'x'.repeat(72)}… came, and https://bank.example is wanted`,
  ],
  ['https://a.example/?q=<b>', 'one that is no plain URL came, and https://bank.example is wanted'],
  ['https://a.example/\nERROR', 'one that is no plain URL came, and https://bank.example is wanted'],
  ['javascript:alert(1)', 'one that is no plain URL came, and https://bank.example is wanted'],
])('an issuer that is not the right one is named with it: %j', async (iss, text) => {
  const err = await refusalOf(verify({ claims: set({ iss }) }))
  expect(err.message).toBe(`the thing has a wrong or missing "iss": ${text}`)
})

test('what a critical header is called does not reach the error', async () => {
  for (const bend of [{ seal: set({ crit: ['x\nERROR'], 'x\nERROR': 1 }) }]) {
    const err = await refusalOf(decryptJwt(await sealed(bend), decryption, kind))
    expect(`${err.message} ${String((err.cause as Error).stack)}`).not.toContain('ERROR')
  }
})

test('a payload does not reach the error', async () => {
  const secret = 'secret-of-somebody'
  for (const bend of [
    { claims: set({ iss: secret, email: secret }) },
    { claims: (c: Record<string, unknown>) => ({ ...c, email: secret, exp: 1 }) },
    { claims: () => `{"email":"${secret}` },
    { header: set({ kid: secret, crit: ['x'] }) },
  ]) {
    const err = await refusalOf(verify(bend))
    expect(
      `${err.message} ${JSON.stringify(err)} ${String((err.cause as Error | undefined)?.stack)}`,
    ).not.toContain(secret)
  }
})

describe('an algorithm that is configured is the one accepted:', () => {
  const signers: Record<SigningAlg, () => Promise<KeyPair>> = {
    PS256: () => rsaKey('issuer'),
    ES256: () => ecKey('issuer'),
    ES384: () => ecKey('issuer', 'P-384'),
    ES512: () => ecKey('issuer', 'P-521'),
    EdDSA: () => ed25519Key('issuer'),
  }

  const published = async (): Promise<FindKeys> => {
    const all = await Promise.all(SIGNING_ALGS.map((alg) => signers[alg]()))
    return publishedKeys(...all.map((key) => publicJwk(key, { use: 'sig' })))
  }

  describe.each(SIGNING_ALGS)('%s', (alg) => {
    test.each(SIGNING_ALGS)('when %s came', async (came) => {
      const jws = await signed({ header: set({ alg: came }), key: signers[came] })
      const verifying = verifyJwt({ jws, outer: {} }, expected({ alg, keys: await published() }), kind)
      if (came === alg) await expect(verifying).resolves.toMatchObject({ iss: ISSUER })
      else await expectRefused(verifying, new RegExp(`signed with ${came}, but ${alg} is wanted`))
    })

    test('when Ed25519 came, which is EdDSA by its newer name', async () => {
      const jws = await signed({ header: set({ alg: 'Ed25519' }), key: signers.EdDSA })
      const key = publicJwk(await signers.EdDSA(), { use: 'sig', alg: 'Ed25519' })
      const verifying = verifyJwt({ jws, outer: {} }, expected({ alg, keys: publishedKeys(key) }), kind)
      if (alg === 'EdDSA') await expect(verifying).resolves.toMatchObject({ iss: ISSUER })
      else await expectRefused(verifying, new RegExp(`signed with Ed25519, but ${alg} is wanted`))
    })

    test.each([
      ['its name for another signature', alg === 'PS256' ? 'ES256' : 'PS256'],
      ['a name that is nearly the same', alg.toLowerCase()],
    ])('and no key that is published with %s', async (_name, other) => {
      const key = publicJwk(await signers[alg](), { use: 'sig', alg: other })
      const jws = await signed({ header: set({ alg }), key: signers[alg] })
      const verifying = verifyJwt({ jws, outer: {} }, expected({ alg, keys: publishedKeys(key) }), kind)
      await expect(verifying).rejects.toMatchObject({
        message: expect.stringMatching(/not publish|none for/),
      })
    })
  })
})

describe('an encryption that is configured is the one accepted:', () => {
  const kinds = KEY_ENCRYPTION_ALGS.flatMap((alg) => CONTENT_ENCRYPTION_ALGS.map((enc) => ({ alg, enc })))
  let held: Decryption['keys']
  let recipients: Map<string, JWK>

  beforeAll(async () => {
    const all = await Promise.all(KEY_ENCRYPTION_ALGS.map((enc) => generateJwks({ alg: 'ES256', enc })))
    const { decryption: own, public: jwks } = await importKeys(
      checkJwks({ keys: all.flatMap((jwks) => jwks.keys) }),
    )
    held = own
    recipients = new Map(jwks.keys.map((key) => [String(key.alg), key]))
  })

  const jwe = async (
    { alg, enc }: { alg: string; enc: string },
    { kid, to = alg }: { kid?: string; to?: string } = {},
  ): Promise<string> => {
    const jwk = recipients.get(to)
    if (!jwk) throw new Error('no recipient')
    return new CompactEncrypt(Buffer.from(await signed()))
      .setProtectedHeader({ alg, enc, kid: kid ?? String(jwk.kid) })
      .encrypt(await importJWK(jwk, alg))
  }

  test.each(kinds)('$alg with $enc', async ({ alg, enc }) => {
    const { jws } = await decryptJwt(await jwe({ alg, enc }), { alg: [alg], enc: [enc], keys: held }, kind)
    expect(jws.split('.')).toHaveLength(3)
    for (const other of kinds.filter((one) => one.alg !== alg && one.enc !== enc).slice(0, 3)) {
      await expectRefused(
        decryptJwt(await jwe({ alg, enc }), { alg: [other.alg], enc: [enc], keys: held }, kind),
        /^the thing is encrypted with .*: register id_token_encrypted_response_alg /,
      )
      await expectRefused(
        decryptJwt(await jwe({ alg, enc }), { alg: [alg], enc: [other.enc], keys: held }, kind),
        /^the thing is encrypted with /,
      )
    }
  })

  test('each of a list', async () => {
    const both: Decryption = { alg: ['RSA-OAEP', 'ECDH-ES'], enc: ['A256GCM', 'A256CBC-HS512'], keys: held }
    for (const alg of both.alg) {
      for (const enc of both.enc) {
        await expect(decryptJwt(await jwe({ alg, enc }), both, kind)).resolves.toBeDefined()
      }
    }
    await expectRefused(
      decryptJwt(await jwe({ alg: 'ECDH-ES', enc: 'A128GCM' }, { kid: 'asked-for' }), both, kind),
      /is encrypted with ECDH-ES and A128GCM \(to asked-for\): register id_token_encrypted_response_alg RSA-OAEP or ECDH-ES and id_token_encrypted_response_enc A256GCM or A256CBC-HS512 at the bank, or set the options so$/,
    )
  })

  test('and a key only for what its "alg" says', async () => {
    const twisted = jwe({ alg: 'ECDH-ES+A128KW', enc: 'A256GCM' }, { to: 'ECDH-ES+A256KW' })
    const both: Decryption = { alg: ['ECDH-ES+A128KW', 'ECDH-ES+A256KW'], enc: ['A256GCM'], keys: held }
    await expectRefused(decryptJwt(await twisted, both, kind), /to a key that is not ours/)
  })

  test('by the key that is named, or by another that fits', async () => {
    const next = await importKeys(checkJwks(await generateJwks({ enc: 'ECDH-ES', alg: 'ES256' })))
    const keys = [...next.decryption, ...held]
    const only: Decryption = { alg: ['ECDH-ES'], enc: ['A256GCM'], keys }
    for (const kid of [undefined, 'renamed']) {
      const opening = decryptJwt(
        await jwe({ alg: 'ECDH-ES', enc: 'A256GCM' }, kid ? { kid } : {}),
        only,
        kind,
      )
      await expect(opening).resolves.toBeDefined()
    }
  })

  test('and where others are encrypted, this kind is not', async () => {
    const none: Decryption = { alg: [], enc: [], keys: [] }
    const jws = await signed()
    await expect(decryptJwt(jws, none, kind)).resolves.toEqual({ jws, outer: {} })
    await expectRefused(
      decryptJwt(await jwe({ alg: 'ECDH-ES', enc: 'A256GCM' }), none, kind),
      /is encrypted, and the option "id_token_encrypted_response_alg" is missing beside the others$/,
    )
  })
})
