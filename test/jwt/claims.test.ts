import { describe, expect, test } from '@jest/globals'
import { checkClaims } from '../../lib/jwt/claims.js'
import type { JwtKind } from '../../lib/jwt/jwt-error.js'
import { thrown } from '../support/thrown.js'

const kind: JwtKind = { code: 'token_invalid', what: 'the thing' }

const TEXTS = [
  'nonce',
  'acr',
  'azp',
  'at_hash',
  'name',
  'given_name',
  'family_name',
  'middle_name',
  'nickname',
  'preferred_username',
  'profile',
  'picture',
  'website',
  'email',
  'phone_number',
  'gender',
  'birthdate',
  'zoneinfo',
  'locale',
]
const BOOLEANS = [
  'email_verified',
  'phone_number_verified',
  'age_over_18',
  'age_over_21',
  'age_over_25',
  'age_over_67',
]
const ADDRESS = ['formatted', 'street_address', 'locality', 'region', 'postal_code', 'country']

describe('claims', () => {
  test('that are as they should be are handed on as they came', () => {
    const claims = {
      ...Object.fromEntries(TEXTS.map((name) => [name, `the ${name}`])),
      ...Object.fromEntries(BOOLEANS.map((name, index) => [name, index % 2 === 0])),
      sub: ` ~${'x'.repeat(253)}`,
      auth_time: 0,
      updated_at: -1.5,
      amr: ['pwd', 'otp'],
      address: { country: 'DE', locality: null, floor: 3 },
    }
    expect(checkClaims(claims, kind)).toEqual(claims)
  })

  test('that nobody knows are handed on, whatever they are', () => {
    const claims = JSON.parse(
      '{"vc.Bank":{"a":[1]},"payment_details":null,"age_over_":"x","age_over_18_at":"x","not_age_over_18":"x","over_18":"true","constructor":"x","__proto__":{"a":1}}',
    ) as object
    const checked = checkClaims(claims, kind)
    expect(JSON.stringify(checked)).toBe(JSON.stringify(claims))
    expect(Object.getPrototypeOf(checked)).toBe(Object.prototype)
  })

  test.each([...TEXTS, ...BOOLEANS, 'sub', 'auth_time', 'updated_at', 'amr', 'address'])(
    'that are null are absent: %s',
    (name) => {
      expect(checkClaims({ [name]: null, other: null }, kind)).toEqual({ other: null })
    },
  )

  test.each(BOOLEANS)('that are booleans may be spelled as text: %s', (name) => {
    for (const [spelled, meant] of [
      ['true', true],
      ['false', false],
      ['True', true],
      ['FALSE', false],
    ]) {
      expect(checkClaims({ [name]: spelled }, kind)).toEqual({ [name]: meant })
    }
  })

  test.each<[string, unknown[]]>([
    ...TEXTS.map((name): [string, unknown[]] => [name, [1, true, ['x'], { x: 1 }]]),
    ...BOOLEANS.map((name): [string, unknown[]] => [
      name,
      ['', 'yes', '1', ' true', 'true!', 0, 1, [true], {}],
    ]),
    ['sub', ['', 1, ['x'], 'x'.repeat(256), 'jürgen', 'x\ny', 'x\u0000', 'x\u007f']],
    ['auth_time', ['1', -1, Infinity, true, [1]]],
    ['updated_at', ['2026-01-01', '1', Infinity, true]],
    ['amr', ['pwd', { 0: 'pwd' }, [1], [null]]],
    ['address', ['Main Street 1', 1, [], ['x'], ...ADDRESS.map((part) => ({ [part]: 1 }))]],
  ])('are refused, and the value is not told: %s', (name, values) => {
    for (const value of values) {
      const err = thrown(() => {
        checkClaims({ [name]: value }, kind)
      })
      expect(err).toMatchObject({ code: 'token_invalid', status: 502 })
      expect(err.message).toBe(`the thing has a wrong type or length in "${name}"`)
      expect(err.cause).toBeUndefined()
    }
  })
})

describe('verified claims', () => {
  const verification = {
    trust_framework: 'eidas',
    evidence: [{ type: 'of_another_planet' }],
    more: { a: [1] },
  }
  const good = { verification, claims: { given_name: 'Kim', unknown: null }, beside: 1 }

  test.each<[string, unknown]>([
    ['one', good],
    ['several', [good, { ...good, verification: { trust_framework: 'de_aml' } }]],
  ])('are handed on as they came, whatever the evidence: %s', (_name, verified_claims) => {
    const claims = { verified_claims, sub_attributes: { a: 1 }, act: { sub: 'x' }, txn: 't-1' }
    expect(checkClaims(claims, kind)).toEqual(claims)
  })

  test.each<[string, unknown]>([
    ['a text', 'yes'],
    ['an empty list', []],
    ['one of several without a framework', [good, { ...good, verification: {} }]],
    ['no verification', { claims: good.claims }],
    ['a verification that is a list', { ...good, verification: [] }],
    ['no framework', { ...good, verification: { evidence: [] } }],
    ['a framework of null', { ...good, verification: { trust_framework: null } }],
    ['an empty framework', { ...good, verification: { trust_framework: '' } }],
    ['a framework that is a list', { ...good, verification: { trust_framework: ['eidas'] } }],
    ['evidence that is none', { ...good, verification: { ...verification, evidence: 'passport' } }],
    ['no claims', { verification }],
    ['claims that are empty', { verification, claims: {} }],
    ['claims that are a list', { verification, claims: [1] }],
    ['a list of lists', [[good]]],
  ])('are refused where they are %s', (_name, verified_claims) => {
    const err = thrown(() => checkClaims({ verified_claims }, kind)) as Error
    expect(err).toMatchObject({
      code: 'token_invalid',
      message:
        'the thing has a wrong type or length in "verified_claims": each needs a verification with a trust_framework, and claims that it is of',
    })
  })

  test('that are null are absent', () => {
    expect(checkClaims({ verified_claims: null }, kind)).toEqual({})
  })
})
