import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { createLocalJWKSet, type JWTVerifyGetKey } from 'jose'
import type { IDPartnerClaims } from '../../lib/jwt/claims.js'
import {
  matchAccessToken,
  matchLogin,
  verifyIdToken,
  type IdTokenChecks,
  type IdTokenExpected,
} from '../../lib/jwt/id-token.js'
import { checkJwks, importKeys, type ImportedKey } from '../../lib/jwt/keys.js'
import { fromNow, mint, set, without, type JwtBend } from '../support/bends.js'
import { payloadOf } from '../support/jws.js'
import { clientJwks, ecKey, publicJwk, rsaKey } from '../support/key-pairs.js'
import { refusal } from '../support/settle.js'
import { thrown } from '../support/thrown.js'

const BANK = 'https://bank.example'

let keys: JWTVerifyGetKey
let decryption: ImportedKey[]

beforeAll(async () => {
  keys = createLocalJWKSet({
    keys: [publicJwk(await rsaKey('bank')), publicJwk(await ecKey('bank'), { kid: 'ec' })],
  })
  decryption = (await importKeys(checkJwks(await clientJwks()))).decryption
})

const expected = (change: Partial<IdTokenExpected> = {}): IdTokenExpected => ({
  decryption,
  keys,
  alg: 'PS256',
  issuer: BANK,
  clientId: 'app',
  clockTolerance: 30,
  accessToken: 'access',
  login: { nonce: 'nonce' },
  ...change,
})

async function open(
  bend: JwtBend = {},
  { encrypted = true, change = {} }: { encrypted?: boolean; change?: Partial<IdTokenExpected> } = {},
): Promise<{ jws: string; claims: IDPartnerClaims }> {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: BANK, sub: 'person', aud: 'app', iat: now, exp: now + 300, nonce: 'nonce' }
  const seal = { alg: 'RSA-OAEP', enc: 'A256CBC-HS512' }
  const token = await mint({ claims, key: await rsaKey('bank'), ...(encrypted && { seal }) }, bend)
  return verifyIdToken(token, expected({ ...(!encrypted && { decryption: [] }), ...change }))
}

describe('an ID token', () => {
  test('is opened: the claims, and the signed JWT inside', async () => {
    const { jws, claims } = await open()
    expect(claims).toMatchObject({ iss: BANK, sub: 'person', aud: 'app', nonce: 'nonce' })
    expect(payloadOf(jws)).toEqual(claims)
  })

  test.each<{ name: string; bend?: JwtBend; encrypted?: boolean; change?: Partial<IdTokenExpected> }>([
    { name: 'is signed only, and there is no encryption key', encrypted: false },
    {
      name: 'was refreshed, so that no login waits for it',
      bend: { claims: without('nonce') },
      change: { login: undefined },
    },
    { name: 'was issued to us', bend: { claims: set({ azp: 'app' }) } },
    { name: 'was issued nine minutes ago', bend: { claims: fromNow({ iat: -540 }) } },
    { name: 'says when the person logged in', bend: { claims: fromNow({ auth_time: -9999 }) } },
    { name: 'has an audience of one', bend: { claims: set({ aud: ['app'] }) } },
    {
      name: 'is signed with ES256, where that is configured',
      bend: { header: set({ alg: 'ES256', kid: 'ec' }), key: () => ecKey('bank') },
      change: { alg: 'ES256' },
    },
  ])('is accepted when it $name', async ({ bend, ...options }) => {
    await expect(open(bend, options)).resolves.toHaveProperty('claims.sub', 'person')
  })

  test.each<{ name: string; bend?: JwtBend; change?: Partial<IdTokenExpected>; message: RegExp }>([
    { name: 'is not encrypted', bend: { unsealed: true }, message: /is not encrypted/ },
    { name: 'is of another bank', bend: { claims: set({ iss: `${BANK}1` }) }, message: /"iss"/ },
    { name: 'is for another client', bend: { claims: set({ aud: 'app1' }) }, message: /"aud"/ },
    { name: 'is for others, too', bend: { claims: set({ aud: ['app', 'app1'] }) }, message: /for others/ },
    { name: 'has no end', bend: { claims: without('exp') }, message: /"exp"/ },
    { name: 'does not say when it was issued', bend: { claims: without('iat') }, message: /"iat"/ },
    {
      name: 'was issued a week ago',
      bend: { claims: fromNow({ iat: -604_800 }) },
      message: /date by its "iat"/,
    },
    { name: 'was issued eleven minutes ago', bend: { claims: fromNow({ iat: -660 }) }, message: /"iat"/ },
    {
      name: 'was issued in the future',
      bend: { claims: fromNow({ iat: 60 }) },
      message: /date by its "iat"/,
    },
    { name: 'expired', bend: { claims: fromNow({ exp: -32 }) }, message: /out of date by its "exp"/ },
    { name: 'says of nobody', bend: { claims: without('sub') }, message: /"sub"/ },
    {
      name: 'says of an empty name',
      bend: { claims: set({ sub: '' }) },
      message: /has a wrong or missing "sub"/,
    },
    { name: 'says of a number', bend: { claims: set({ sub: 1 }) }, message: /"sub"/ },
    { name: 'says of a list', bend: { claims: set({ sub: ['person'] }) }, message: /"sub"/ },
    {
      name: 'was issued to another',
      bend: { claims: set({ azp: 'app1' }) },
      message: /issued to another client/,
    },
    { name: 'was issued to null', bend: { claims: set({ azp: null }) }, message: /issued to another client/ },
    {
      name: 'was issued to a list',
      bend: { claims: set({ azp: ['app'] }) },
      message: /issued to another client/,
    },
    { name: 'is of another login', bend: { claims: set({ nonce: 'nonce1' }) }, message: /"nonce" differs/ },
    { name: 'came with another access token', bend: { claims: set({ at_hash: 'x' }) }, message: /"at_hash"/ },
    {
      name: 'came with another access token when it was refreshed',
      bend: { claims: set({ at_hash: 'x' }) },
      change: { login: undefined },
      message: /"at_hash"/,
    },
    {
      name: 'does not show the login that was asked for',
      change: { login: { nonce: 'nonce', max_age: 60 } },
      message: /"max_age"/,
    },
    { name: 'is by a stranger', bend: { key: () => rsaKey('stranger') }, message: /does not publish/ },
    { name: 'is not signed', bend: { header: set({ alg: 'none' }) }, message: /none, but PS256/ },
    { name: 'is signed with RS256', bend: { header: set({ alg: 'RS256' }) }, message: /RS256, but PS256/ },
    {
      name: 'is signed otherwise than configured',
      change: { alg: 'ES256' },
      message: /PS256, but ES256/,
    },
  ])('is refused when it $name', async ({ bend, change = {}, message }) => {
    const err = await refusal(open(bend, { change }))
    expect(err).toMatchObject({ code: 'token_invalid', status: 502 })
    expect(err.message).toMatch(/^the bank's ID token /)
    expect(err.message).toMatch(message)
  })

  test('is refused when it is encrypted and there is nothing to open it with', async () => {
    const key = await rsaKey('bank')
    const jwe = await mint({ claims: {}, key, seal: { alg: 'RSA-OAEP', enc: 'A256CBC-HS512' } })
    const opening = verifyIdToken(jwe, expected({ decryption: [] }))
    expect(await refusal(opening)).toMatchObject({
      code: 'token_invalid',
      message: expect.stringContaining('no key to decrypt'),
    })
  })
})

describe('an ID token belongs to the login', () => {
  const NOW = 1_700_000_000

  beforeEach(() => {
    jest.useFakeTimers({ now: NOW * 1000 })
  })

  afterEach(() => {
    jest.useRealTimers()
  })

  const match = (claims: Partial<IDPartnerClaims>, checks: Partial<IdTokenChecks> = {}): void => {
    matchLogin({ nonce: 'nonce', ...claims } as IDPartnerClaims, { nonce: 'nonce', ...checks }, 30)
  }

  test.each<[string, Partial<IDPartnerClaims>, Partial<IdTokenChecks>]>([
    ['nothing but the nonce was asked for', {}, {}],
    ['the person logged in a moment ago', { auth_time: NOW }, { max_age: 0 }],
    ['the person logged in within max_age', { auth_time: NOW - 590 }, { max_age: 600 }],
    ['the person logged in within max_age, as far as clocks go', { auth_time: NOW - 630 }, { max_age: 600 }],
    ['it has the acr', { acr: 'gold' }, { acr_values: 'gold' }],
    ['it has one of the acr values', { acr: 'silver' }, { acr_values: 'gold silver bronze' }],
    ['it has an acr that nobody asked for', { acr: 'silver' }, {}],
  ])('when %s', (_name, claims, checks) => {
    expect(() => {
      match(claims, checks)
    }).not.toThrow()
  })

  test.each<[string, Partial<Record<keyof IDPartnerClaims, unknown>>, Partial<IdTokenChecks>, RegExp]>([
    ['its nonce is another', { nonce: 'nonce1' }, {}, /belongs to another login: its "nonce" differs/],
    ['it has no nonce', { nonce: undefined }, {}, /"nonce" differs/],
    ['its nonce is a list', { nonce: ['nonce'] }, {}, /"nonce" differs/],
    ['it does not say when the person logged in', {}, { max_age: 600 }, /within "max_age"/],
    ['it says so in a text', { auth_time: String(NOW) }, { max_age: 600 }, /within "max_age"/],
    ['the person logged in before', { auth_time: NOW - 631 }, { max_age: 600 }, /within "max_age"/],
    ['the person logged in before the request', { auth_time: NOW - 40 }, { max_age: 0 }, /within "max_age"/],
    ['it has no acr', {}, { acr_values: 'gold' }, /any of the "acr_values"/],
    ['it has another acr', { acr: 'bronze' }, { acr_values: 'gold silver' }, /any of the "acr_values"/],
    ['its acr is a part of one', { acr: 'gold' }, { acr_values: 'goldplus' }, /any of the "acr_values"/],
    ['its acr is all of them', { acr: 'a b' }, { acr_values: 'a b' }, /any of the "acr_values"/],
    ['its acr is empty', { acr: '' }, { acr_values: 'gold' }, /any of the "acr_values"/],
    [
      'its acr is missing, and one of the values empty',
      {},
      { acr_values: 'gold ' },
      /any of the "acr_values"/,
    ],
  ])('but not when %s', (_name, claims, checks, message) => {
    const err = thrown(() => {
      match(claims, checks)
    })
    expect(err).toMatchObject({ code: 'token_invalid', status: 502 })
    expect(err.message).toMatch(message)
  })
})

describe('an ID token fits the access token that came along', () => {
  // The example of Core, appendix A.3.
  const accessToken = 'jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y'
  const match = (members: object, token = accessToken): void => {
    matchAccessToken({ iss: BANK, sub: 's', aud: 'a', exp: 1, iat: 1, ...members }, token)
  }

  test.each([{}, { at_hash: '77QmUPtjPfzWtF2AnpK9RQ' }])('when it has %j', (members) => {
    expect(() => {
      match(members)
    }).not.toThrow()
  })

  test.each([
    [{ at_hash: '77QmUPtjPfzWtF2AnpK9RR' }],
    [{ at_hash: '77QmUPtjPfzWtF2AnpK9RQ==' }],
    [{ at_hash: '' }],
    [{ at_hash: null }],
    [{ at_hash: undefined }],
  ])('but not when it has %j', (members) => {
    const err = thrown(() => {
      match(members)
    })
    expect(err).toMatchObject({ code: 'token_invalid', message: expect.stringContaining('"at_hash"') })
  })

  test('but not when that is another', () => {
    const err = thrown(() => {
      match({ at_hash: '77QmUPtjPfzWtF2AnpK9RQ' }, `${accessToken}1`)
    })
    expect(err).toMatchObject({ code: 'token_invalid' })
  })
})
