import { createHash } from 'node:crypto'
import { afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { IDPartnerClaims } from '../../lib/jwt/claims.js'
import {
  idTokenKind,
  matchAccessToken,
  matchLogin,
  verifyIdToken,
  type IdTokenChecks,
  type IdTokenExpected,
} from '../../lib/jwt/id-token.js'
import type { SigningAlg } from '../../lib/jwt/algorithms.js'
import { checkJwks, importKeys } from '../../lib/jwt/keys.js'
import type { Decryption } from '../../lib/jwt/encrypted-jwt.js'
import type { FindKeys } from '../../lib/jwt/remote-keys.js'
import { fromNow, mint, set, without, type JwtBend } from '../support/bends.js'
import { payloadOf } from '../support/jws.js'
import { clientJwks, ecKey, publicJwk, rsaKey, usual } from '../support/key-pairs.js'
import { publishedKeys } from '../support/published-keys.js'
import { refusal } from '../support/settle.js'
import { thrown } from '../support/thrown.js'

const BANK = 'https://bank.example'
const WHAT = 'the ID token of the bank bank.example'

let keys: FindKeys
let decryption: Decryption

beforeAll(async () => {
  keys = publishedKeys(publicJwk(await rsaKey('bank')), publicJwk(await ecKey('bank'), { kid: 'ec' }))
  decryption = usual((await importKeys(checkJwks(await clientJwks()))).decryption)
})

const expected = (change: Partial<IdTokenExpected> = {}): IdTokenExpected => ({
  what: WHAT,
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
  return verifyIdToken(token, expected({ ...(!encrypted && { decryption: usual([]) }), ...change }))
}

describe('an ID token', () => {
  test('is opened: the claims, and the signed JWT inside', async () => {
    const { jws, claims } = await open()
    expect(claims).toMatchObject({ iss: BANK, sub: 'person', aud: 'app', nonce: 'nonce' })
    expect(payloadOf(jws)).toEqual(claims)
  })

  test.each<{ name: string; bend?: JwtBend; encrypted?: boolean; change?: Partial<IdTokenExpected> }>([
    { name: 'it is signed only, and there is no encryption key', encrypted: false },
    {
      name: 'its "nonce" is missing, as no login waits for a refreshed one',
      bend: { claims: without('nonce') },
      change: { login: undefined },
    },
    { name: 'its "azp" is our client id', bend: { claims: set({ azp: 'app' }) } },
    { name: 'its "iat" is nine minutes ago', bend: { claims: fromNow({ iat: -540 }) } },
    { name: 'it has an "auth_time" that nobody asked for', bend: { claims: fromNow({ auth_time: -9999 }) } },
    { name: 'its "aud" is a list of our client id alone', bend: { claims: set({ aud: ['app'] }) } },
    {
      name: 'it is signed with ES256, where that is configured',
      bend: { header: set({ alg: 'ES256', kid: 'ec' }), key: () => ecKey('bank') },
      change: { alg: 'ES256' },
    },
  ])('is accepted when $name', async ({ bend, ...options }) => {
    await expect(open(bend, options)).resolves.toHaveProperty('claims.sub', 'person')
  })

  test.each<{ name: string; bend?: JwtBend; change?: Partial<IdTokenExpected>; message: RegExp }>([
    { name: 'it is not encrypted', bend: { unsealed: true }, message: /is not encrypted/ },
    { name: 'its "iss" is another', bend: { claims: set({ iss: `${BANK}1` }) }, message: /"iss"/ },
    { name: 'its "aud" is another client', bend: { claims: set({ aud: 'app1' }) }, message: /"aud"/ },
    {
      name: 'its "aud" names another client as well',
      bend: { claims: set({ aud: ['app', 'app1'] }) },
      message: /for others/,
    },
    { name: 'its "exp" is missing', bend: { claims: without('exp') }, message: /"exp"/ },
    { name: 'its "iat" is missing', bend: { claims: without('iat') }, message: /"iat"/ },
    {
      name: 'its "iat" is a week ago',
      bend: { claims: fromNow({ iat: -604_800 }) },
      message: /date by its "iat"/,
    },
    { name: 'its "iat" is eleven minutes ago', bend: { claims: fromNow({ iat: -660 }) }, message: /"iat"/ },
    {
      name: 'its "iat" is in the future',
      bend: { claims: fromNow({ iat: 60 }) },
      message: /date by its "iat"/,
    },
    {
      name: 'its "exp" is over',
      bend: { claims: fromNow({ exp: -32 }) },
      message: /out of date by its "exp"/,
    },
    { name: 'its "sub" is missing', bend: { claims: without('sub') }, message: /"sub"/ },
    {
      name: 'its "sub" is empty',
      bend: { claims: set({ sub: '' }) },
      message: /has a wrong type or length in "sub"/,
    },
    { name: 'its "sub" is a number', bend: { claims: set({ sub: 1 }) }, message: /"sub"/ },
    { name: 'its "sub" is a list', bend: { claims: set({ sub: ['person'] }) }, message: /"sub"/ },
    {
      name: 'its "azp" is another client',
      bend: { claims: set({ azp: 'app1' }) },
      message: /issued to another client/,
    },
    {
      name: 'its "azp" is a list',
      bend: { claims: set({ azp: ['app'] }) },
      message: /wrong type or length in "azp"/,
    },
    {
      name: 'its "nonce" is another',
      bend: { claims: set({ nonce: 'nonce1' }) },
      message: /"nonce" differs/,
    },
    {
      name: 'its "at_hash" is of another access token',
      bend: { claims: set({ at_hash: 'x' }) },
      message: /"at_hash"/,
    },
    {
      name: 'its "at_hash" is of another access token than the refreshed one',
      bend: { claims: set({ at_hash: 'x' }) },
      change: { login: undefined },
      message: /"at_hash"/,
    },
    { name: 'a stranger signed it', bend: { key: () => rsaKey('stranger') }, message: /does not publish/ },
    { name: 'its "alg" is none', bend: { header: set({ alg: 'none' }) }, message: /none, but PS256/ },
    { name: 'its "alg" is RS256', bend: { header: set({ alg: 'RS256' }) }, message: /RS256, but PS256/ },
    {
      name: 'its "alg" is PS256 where ES256 is configured',
      change: { alg: 'ES256' },
      message: /PS256, but ES256/,
    },
  ])('is refused when $name', async ({ bend, change = {}, message }) => {
    const err = await refusal(open(bend, { change }))
    expect(err).toMatchObject({ code: 'token_invalid', status: 502 })
    expect(err.message).toMatch(/^the ID token of the bank bank\.example /)
    expect(err.message).toMatch(message)
  })

  test('is refused when it does not show the login that was asked for', async () => {
    const err = await refusal(open(undefined, { change: { login: { nonce: 'nonce', max_age: 60 } } }))
    expect(err).toMatchObject({
      code: 'token_invalid',
      status: 401,
      message: expect.stringMatching(/"max_age"/),
    })
  })

  test('is refused when it is encrypted and there is nothing to open it with', async () => {
    const key = await rsaKey('bank')
    const jwe = await mint({ claims: {}, key, seal: { alg: 'RSA-OAEP', enc: 'A256CBC-HS512' } })
    const opening = verifyIdToken(jwe, expected({ decryption: usual([]) }))
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
    matchLogin(
      { nonce: 'nonce', ...claims } as IDPartnerClaims,
      { nonce: 'nonce', ...checks },
      30,
      idTokenKind(WHAT),
    )
  }

  test.each<[string, Partial<IDPartnerClaims>, Partial<IdTokenChecks>]>([
    ['nothing but the nonce was asked for', {}, {}],
    ['its "auth_time" is now', { auth_time: NOW }, { max_age: 0 }],
    ['its "auth_time" is within "max_age"', { auth_time: NOW - 590 }, { max_age: 600 }],
    ['its "auth_time" is within "max_age", as far as clocks go', { auth_time: NOW - 630 }, { max_age: 600 }],
    ['its "acr" is the one', { acr: 'gold' }, { acr_values: 'gold' }],
    ['its "acr" is one of several', { acr: 'silver' }, { acr_values: 'gold silver bronze' }],
    ['it has an "acr" that nobody asked for', { acr: 'silver' }, {}],
    [
      'its "auth_time" is within "max_age" of when the login began',
      { auth_time: NOW - 900 },
      { max_age: 600, begun: NOW - 300 },
    ],
    [
      'its "auth_time" is within the login, with a "max_age" of 0',
      { auth_time: NOW - 45 },
      { max_age: 0, begun: NOW - 60 },
    ],
    ['its "auth_time" is to come, as far as clocks go', { auth_time: NOW + 30 }, { max_age: 0 }],
    [
      'its "acr" and "auth_time" are what each asks for',
      { acr: 'gold', auth_time: NOW },
      { acr_values: 'gold silver', floor: { acr_values: 'gold', max_age: 0 } },
    ],
  ])('when %s', (_name, claims, checks) => {
    expect(() => {
      match(claims, checks)
    }).not.toThrow()
  })

  test.each<[string, Partial<Record<keyof IDPartnerClaims, unknown>>, Partial<IdTokenChecks>, RegExp]>([
    ['its "nonce" is another', { nonce: 'nonce1' }, {}, /belongs to another login: its "nonce" differs/],
    ['its "nonce" is missing', { nonce: undefined }, {}, /"nonce" differs/],
    ['its "nonce" is a list', { nonce: ['nonce'] }, {}, /"nonce" differs/],
    ['its "auth_time" is still to come', { auth_time: NOW + 31 }, {}, /"auth_time" that is still to come/],
    ['its "auth_time" is next year', { auth_time: NOW + 3e7 }, { max_age: 60 }, /still to come/],
  ])('but the bank is broken when %s', (_name, claims, checks, message) => {
    const err = thrown(() => {
      match(claims, checks)
    })
    expect(err).toMatchObject({ code: 'token_invalid', status: 502 })
    expect(err.message).toMatch(message)
  })

  test.each<[string, Partial<Record<keyof IDPartnerClaims, unknown>>, Partial<IdTokenChecks>, RegExp]>([
    ['its "auth_time" is missing', {}, { max_age: 600 }, /within "max_age"/],
    ['its "auth_time" is a text', { auth_time: String(NOW) }, { max_age: 600 }, /within "max_age"/],
    ['its "auth_time" is before "max_age"', { auth_time: NOW - 631 }, { max_age: 600 }, /within "max_age"/],
    [
      'its "auth_time" is before the request, with a "max_age" of 0',
      { auth_time: NOW - 40 },
      { max_age: 0 },
      /within "max_age"/,
    ],
    ['its "acr" is missing', {}, { acr_values: 'gold' }, /any of the "acr_values"/],
    ['its "acr" is another', { acr: 'bronze' }, { acr_values: 'gold silver' }, /any of the "acr_values"/],
    [
      'its "acr" is a part of one that was asked for',
      { acr: 'gold' },
      { acr_values: 'goldplus' },
      /any of the "acr_values"/,
    ],
    ['its "acr" is all of them in one', { acr: 'a b' }, { acr_values: 'a b' }, /any of the "acr_values"/],
    ['its "acr" is empty', { acr: '' }, { acr_values: 'gold' }, /any of the "acr_values"/],
    [
      'its "auth_time" is before "max_age" of when the login began',
      { auth_time: NOW - 300 },
      { max_age: 60, begun: NOW - 200 },
      /"max_age"/,
    ],
    [
      'its "auth_time" is before a beginning that is to come',
      { auth_time: NOW - 100 },
      { max_age: 0, begun: NOW + 1e6 },
      /"max_age"/,
    ],
    [
      'its "auth_time" is before the "max_age" that is the least',
      { auth_time: NOW - 300 },
      { max_age: 600, floor: { max_age: 60 } },
      /"max_age"/,
    ],
    [
      'its "acr" is not the one that is the least',
      { acr: 'silver' },
      { acr_values: 'silver', floor: { acr_values: 'gold' } },
      /"acr_values"/,
    ],
    [
      'its acr is missing, and one of the values empty',
      {},
      { acr_values: 'gold ' },
      /any of the "acr_values"/,
    ],
  ])('but the person has to log in again when %s', (_name, claims, checks, message) => {
    const err = thrown(() => {
      match(claims, checks)
    })
    expect(err).toMatchObject({ code: 'token_invalid', status: 401 })
    expect(err.message).toMatch(
      /^the ID token of the bank bank\.example does not show .*please log in again$/,
    )
    expect(err.message).toMatch(message)
  })
})

describe('an ID token fits the access token that came along', () => {
  // The example of Core, appendix A.3.
  const accessToken = 'jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y'
  const match = (members: object, token = accessToken, alg: SigningAlg = 'PS256'): void => {
    matchAccessToken(
      { iss: BANK, sub: 's', aud: 'a', exp: 1, iat: 1, ...members },
      token,
      alg,
      idTokenKind(WHAT),
    )
  }

  test.each<[SigningAlg, string]>([
    ['PS256', 'sha256'],
    ['ES256', 'sha256'],
    ['ES384', 'sha384'],
    ['ES512', 'sha512'],
    ['EdDSA', 'sha512'],
  ])('by the hash of its algorithm, which for %s is %s', (alg, hash) => {
    const half = (name: string): string => {
      const digest = createHash(name).update(accessToken).digest()
      return digest.subarray(0, digest.length / 2).toString('base64url')
    }
    expect(() => {
      match({ at_hash: half(hash) }, accessToken, alg)
    }).not.toThrow()
    for (const other of ['sha256', 'sha384', 'sha512'].filter((one) => one !== hash)) {
      expect(
        thrown(() => {
          match({ at_hash: half(other) }, accessToken, alg)
        }),
      ).toMatchObject({ code: 'token_invalid' })
    }
  })

  test.each([{}, { at_hash: undefined }, { at_hash: '77QmUPtjPfzWtF2AnpK9RQ' }])(
    'when it has %j',
    (members) => {
      expect(() => {
        match(members)
      }).not.toThrow()
    },
  )

  test.each([
    [{ at_hash: '77QmUPtjPfzWtF2AnpK9RR' }],
    [{ at_hash: '77QmUPtjPfzWtF2AnpK9RQ==' }],
    [{ at_hash: '' }],
    [{ at_hash: null }],
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
