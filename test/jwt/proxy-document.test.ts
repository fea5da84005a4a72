import { beforeAll, describe, expect, test } from '@jest/globals'
import { IDPartnerError } from '../../lib/errors.js'
import {
  verifyProxyDocument,
  type ProxyDocument,
  type ProxyDocumentExpected,
} from '../../lib/jwt/proxy-document.js'
import type { FindKeys } from '../../lib/jwt/remote-keys.js'
import { encryptionKey, fromNow, mint, set, without, type JwtBend } from '../support/bends.js'
import { encryptJwe } from '../support/jwe.js'
import { signJws, type Members } from '../support/jws.js'
import { ecKey, publicJwk, rsaKey } from '../support/key-pairs.js'
import { noKeys, publishedKeys } from '../support/published-keys.js'
import { refusal } from '../support/settle.js'

const ISSUER = 'https://idpartner.com'
const BANK = 'https://bank.example'

let keys: FindKeys
let signedAnswer: string
let sealedAnswer: string

beforeAll(async () => {
  keys = publishedKeys(
    publicJwk(await rsaKey('directory')),
    publicJwk(await ecKey('directory'), { kid: 'ec' }),
  )
  signedAnswer = signJws({ alg: 'PS256' }, { iss: BANK, state: 's' }, await rsaKey('bank'))
  sealedAnswer = await sealedFrom({ iss: BANK })
})

async function sealedFrom(header: Members): Promise<string> {
  return encryptJwe({ alg: 'RSA-OAEP', enc: 'A256CBC-HS512', ...header }, 'sealed', await encryptionKey())
}

async function verify(
  bend: JwtBend = {},
  change: Partial<ProxyDocumentExpected> = {},
): Promise<ProxyDocument> {
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    iss: ISSUER,
    aud: 'app',
    iat: now,
    exp: now + 60,
    'x-fapi-interaction-id': 'interaction',
    identity_provider: { name: 'Mikomo Bank', issuer_url: BANK },
    sub: sealedAnswer,
  }
  const document = await mint({ claims, key: await rsaKey('directory') }, bend)
  return verifyProxyDocument(document, {
    keys,
    issuer: ISSUER,
    audience: 'app',
    clockTolerance: 30,
    ...change,
  })
}

const provider = (members: Members): JwtBend => ({
  claims: set({ identity_provider: { name: 'Mikomo Bank', issuer_url: BANK, ...members } }),
})

describe('a document of IDPartner', () => {
  test('names the bank, and carries its answer', async () => {
    await expect(verify()).resolves.toEqual({
      identity_provider: { name: 'Mikomo Bank', issuer_url: BANK },
      idp_response_code: sealedAnswer,
      interactionId: 'interaction',
    })
  })

  test("may carry a bank's answer that is signed only", async () => {
    const document = await verify({ claims: set({ sub: signedAnswer }) })
    expect(document.idp_response_code).toBe(signedAnswer)
  })

  test('may say more of the bank', async () => {
    const kyb = { lei: '529900T8BM49AURSDO55', registered: true }
    const { identity_provider } = await verify(provider({ kyb }))
    expect(identity_provider).toEqual({ name: 'Mikomo Bank', issuer_url: BANK, kyb })
  })

  test.each<[string, JwtBend]>([
    ['no interaction id', { claims: without('x-fapi-interaction-id') }],
    ['an interaction id that is none', { claims: set({ 'x-fapi-interaction-id': { x: 1 } }) }],
    ['one that would end a header', { claims: set({ 'x-fapi-interaction-id': 'a\r\nx: y' }) }],
    ['one without an end', { claims: set({ 'x-fapi-interaction-id': 'x'.repeat(65) }) }],
    ['an empty one', { claims: set({ 'x-fapi-interaction-id': '' }) }],
  ])('may have %s', async (_name, bend) => {
    await expect(verify(bend)).resolves.toHaveProperty('interactionId', undefined)
  })

  test('may be a little old, since clocks differ', async () => {
    await expect(verify({ claims: fromNow({ iat: -85, exp: -25 }) })).resolves.toBeDefined()
  })
})

describe('a document is refused when', () => {
  test.each<{ name: string; bend: JwtBend; message: RegExp }>([
    { name: 'its "iss" is another', bend: { claims: set({ iss: BANK }) }, message: /"iss"/ },
    { name: 'its "aud" is another client', bend: { claims: set({ aud: 'other' }) }, message: /"aud"/ },
    { name: 'its "exp" is missing', bend: { claims: without('exp') }, message: /"exp"/ },
    { name: 'its "iat" is missing', bend: { claims: without('iat') }, message: /"iat"/ },
    {
      name: 'its "exp" is over',
      bend: { claims: fromNow({ exp: -32 }) },
      message: /out of date by its "exp"/,
    },
    {
      name: 'its "iat" is old, although its "exp" is far off',
      bend: { claims: fromNow({ iat: -92, exp: 600 }) },
      message: /out of date by its "iat"/,
    },
    {
      name: 'its "iat" is in the future',
      bend: { claims: fromNow({ iat: 60 }) },
      message: /out of date by its "iat"/,
    },
    { name: 'a stranger signed it', bend: { key: () => rsaKey('stranger') }, message: /does not publish/ },
    {
      name: 'it is signed with ES256, by whomever',
      bend: { header: set({ alg: 'ES256', kid: 'ec' }), key: () => ecKey('directory') },
      message: /ES256, but PS256/,
    },
    { name: 'its "sub" is missing', bend: { claims: without('sub') }, message: /"sub"/ },
    {
      name: 'its "sub" is an object',
      bend: { claims: set({ sub: { code: 1 } }) },
      message: /no usable "sub"/,
    },
    {
      name: 'its "identity_provider" is missing',
      bend: { claims: without('identity_provider') },
      message: /no usable "identity_provider"/,
    },
    {
      name: 'its "identity_provider" is a text',
      bend: { claims: set({ identity_provider: BANK }) },
      message: /no usable "identity_provider"/,
    },
    {
      name: `its bank's "name" is missing`,
      bend: provider({ name: undefined }),
      message: /no usable "identity_provider.name"/,
    },
    {
      name: `its bank's "name" is empty`,
      bend: provider({ name: '' }),
      message: /no usable "identity_provider.name"/,
    },
    {
      name: `its bank's "issuer_url" is missing`,
      bend: provider({ issuer_url: undefined }),
      message: /no usable "identity_provider.issuer_url"/,
    },
    {
      name: `its bank's "issuer_url" is no URL`,
      bend: provider({ issuer_url: 'bank' }),
      message: /no usable "identity_provider.issuer_url"/,
    },
    {
      name: `its bank's "issuer_url" is http`,
      bend: provider({ issuer_url: 'http://bank.example' }),
      message: /no usable "identity_provider.issuer_url"/,
    },
    {
      name: `its bank's "issuer_url" is a list`,
      bend: provider({ issuer_url: [BANK] }),
      message: /no usable "identity_provider.issuer_url"/,
    },
    {
      name: 'it names another bank than the answer is from',
      bend: provider({ issuer_url: 'https://other.example' }),
      message: /names one bank and carries the answer of another/,
    },
    {
      name: 'it names the bank with a slash, and the answer without',
      bend: provider({ issuer_url: `${BANK}/` }),
      message: /names one bank and carries the answer of another/,
    },
    {
      name: 'its answer is no JWT',
      bend: { claims: set({ sub: 'hello' }) },
      message: /names one bank and carries the answer of another/,
    },
    {
      name: 'its answer is empty',
      bend: { claims: set({ sub: '' }) },
      message: /names one bank and carries the answer of another/,
    },
    {
      name: 'its answer is five dots',
      bend: { claims: set({ sub: '....' }) },
      message: /names one bank and carries the answer of another/,
    },
  ])('$name', async ({ bend, message }) => {
    const err = await refusal(verify(bend))
    expect(err).toMatchObject({ code: 'response_invalid', status: 401 })
    expect(err.message).toMatch(/^IDPartner's document /)
    expect(err.message).toMatch(message)
  })

  test.each<[string, Members]>([
    ['names another bank on its envelope', { iss: 'https://other.example' }],
    ['names no bank on its envelope', {}],
  ])('the sealed answer %s', async (_name, header) => {
    const sub = await sealedFrom(header)
    expect(await refusal(verify({ claims: set({ sub }) }))).toMatchObject({
      code: 'response_invalid',
      message: expect.stringMatching(/carries the answer of another/),
    })
  })

  test.each(['', 'hello', 'a.b', '....'])('it is no JWT: %j', async (document) => {
    const expected = { keys, issuer: ISSUER, audience: 'app', clockTolerance: 30 }
    expect(await refusal(verifyProxyDocument(document, expected))).toMatchObject({
      code: 'response_invalid',
      message: "IDPartner's document is malformed",
    })
  })

  test('the issuer is another than is configured', async () => {
    const err = await refusal(verify({}, { issuer: 'https://trust.example' }))
    expect(err.message).toMatch(/wrong or missing "iss"/)
  })
})

test('keys that cannot be had are no fault of the document', async () => {
  const unavailable = new IDPartnerError('provider_unavailable', 'no keys', { status: 503 })
  await expect(verify({}, { keys: noKeys(unavailable) })).rejects.toBe(unavailable)
})
