import { beforeAll, describe, expect, test } from '@jest/globals'
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { IDPartnerError } from '../../lib/errors.js'
import { checkJwks, importKeys, type ImportedKey } from '../../lib/jwt/keys.js'
import {
  decryptJwt,
  invalidJwt,
  verifyJwt,
  type Expected,
  type OpenedJwt,
  type JwtKind,
} from '../../lib/jwt/sealed-jwt.js'
import { encryptionKey, fromNow, listed, mint, set, without, type JwtBend } from '../support/bends.js'
import { encryptJwe } from '../support/jwe.js'
import { withBrokenSignature } from '../support/jws.js'
import { clientJwks, ecKey, publicJwk, renamed, rsaKey } from '../support/key-pairs.js'
import { refusal as refusalOf } from '../support/settle.js'

const ISSUER = 'https://bank.example'
const AUDIENCE = 'app'

const kind: JwtKind = { code: 'token_invalid', what: 'the thing' }

let decryption: ImportedKey[]
let keys: JWTVerifyGetKey

beforeAll(async () => {
  const [one, other] = await Promise.all([clientJwks(), clientJwks('another')])
  const imported = await importKeys(checkJwks({ keys: [...one.keys, ...other.keys] }))
  decryption = imported.decryption
  keys = await keySet()
})

/** What the issuer publishes: two RSA keys, so that a JWT without `kid` is ambiguous. */
async function keySet(): Promise<JWTVerifyGetKey> {
  const jwks: JSONWebKeySet = {
    keys: [
      publicJwk(await rsaKey('issuer'), { use: 'sig' }),
      publicJwk(await rsaKey('extra'), { use: 'sig' }),
      publicJwk(await ecKey('issuer'), { use: 'sig' }),
    ],
  }
  return createLocalJWKSet(jwks)
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
    for (const kid of [decryption[0]?.kid, decryption[1]?.kid, 'unknown', undefined]) {
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
    await expect(decryptJwt(jws, [], kind)).resolves.toEqual({ jws, outer: {} })
  })
})

describe('an envelope is refused when', () => {
  const NOT_ENCRYPTED = /is not encrypted, although the application has an encryption key/

  test.each<{ name: string; jwt: () => Promise<string>; message: RegExp }>([
    { name: 'there is none', jwt: () => signed(), message: NOT_ENCRYPTED },
    { name: 'it is empty', jwt: () => Promise.resolve(''), message: NOT_ENCRYPTED },
    { name: 'it has a part more', jwt: () => sealed({ raw: (jwe) => `${jwe}.` }), message: NOT_ENCRYPTED },
    { name: 'it is five dots', jwt: () => Promise.resolve('....'), message: /is not a JWE/ },
    { name: 'its header is no JSON', jwt: () => Promise.resolve('e30x.a.b.c.d'), message: /is not a JWE/ },
    {
      name: 'it is encrypted with RSA1_5',
      jwt: () => sealed({ seal: set({ alg: 'RSA1_5' }) }),
      message: /is not encrypted with RSA-OAEP and A256CBC-HS512/,
    },
    {
      name: 'it is encrypted with RSA-OAEP-256',
      jwt: () => sealed({ seal: set({ alg: 'RSA-OAEP-256' }) }),
      message: /is not encrypted with RSA-OAEP and A256CBC-HS512/,
    },
    {
      name: 'its content is encrypted with A256GCM',
      jwt: () => sealed({ seal: set({ enc: 'A256GCM' }) }),
      message: /is not encrypted with RSA-OAEP and A256CBC-HS512/,
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
    const ours = decryption.map(({ kid }) => kid).join(', ')
    expect(err.message).toBe(
      `the thing was encrypted to a key that is not ours (${shown}; ours: ${ours}); is the published JWKS current?`,
    )
  })

  test('it was changed', async () => {
    const jwe = await sealed({ raw: (one) => `${one.slice(0, -4)}AAAA` })
    await expectRefused(decryptJwt(jwe, decryption, kind), /key that is not ours/)
  })

  test('there is one and nothing to open it with', async () => {
    await expectRefused(
      decryptJwt(await sealed(), [], kind),
      /not a signed JWT, and there is no key to decrypt/,
    )
  })
})

describe('a signed JWT is accepted', () => {
  test('and its claims are handed on', async () => {
    await expect(verify()).resolves.toMatchObject({ iss: ISSUER, aud: AUDIENCE, state: 'x' })
  })

  test.each<{ name: string; bend?: JwtBend; change?: Partial<Expected>; outer?: OpenedJwt['outer'] }>([
    { name: 'with an audience of one', bend: { claims: listed('aud') } },
    { name: 'a little after its end', bend: { claims: fromNow({ exp: -25 }) } },
    { name: 'a little before its beginning', bend: { claims: fromNow({ nbf: 25, iat: 25 }) } },
    { name: 'with an old "iat", where that does not matter', bend: { claims: fromNow({ iat: -9999 }) } },
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
      message: /is signed with RS256, but PS256 is configured \(…_signed_response_alg\)/,
    },
    {
      name: 'it is signed with the algorithm of another configuration',
      change: { alg: 'ES256' },
      message: /is signed with PS256, but ES256 is configured/,
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
      name: 'it does not say which key signed it',
      bend: { header: without('kid') },
      message: /does not say which of several keys signed it/,
    },
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
    const rejecting: JWTVerifyGetKey = () => Promise.reject(unavailable)
    await expect(verify({}, { change: { keys: rejecting } })).rejects.toBe(unavailable)
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

test('a payload does not reach the error', async () => {
  const secret = 'secret-of-somebody'
  for (const bend of [
    { claims: set({ iss: secret, email: secret }) },
    { claims: (c: Record<string, unknown>) => ({ ...c, email: secret, exp: 1 }) },
    { claims: () => `{"email":"${secret}` },
    { header: set({ kid: secret, crit: ['x'] }) },
  ]) {
    const err = await refusalOf(verify(bend))
    expect(`${err.message} ${JSON.stringify(err)} ${String((err.cause as Error).stack)}`).not.toContain(
      secret,
    )
  }
})
