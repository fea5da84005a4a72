import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { IDPartnerClaims } from '../../lib/jwt/claims.js'
import { checkTokens, tokenSet } from '../../lib/client/tokens.js'
import { thrown } from '../support/thrown.js'

beforeEach(() => {
  jest.useFakeTimers({ now: 1_700_000_000_999 })
})

afterEach(() => {
  jest.useRealTimers()
})

const claims = { iss: 'https://bank.example', sub: 'person', aud: 'app', exp: 2, iat: 1 } as IDPartnerClaims

describe('a token set', () => {
  test('holds what the bank issued, and when it ends', () => {
    const response = {
      access_token: 'access',
      token_type: 'bearer',
      expires_in: 900,
      scope: 'openid',
      refresh_token: 'refresh',
      id_token: 'id',
    }
    expect(tokenSet(response, claims)).toEqual({ ...response, expires_at: 1_700_000_900, claims })
  })

  test('has no member that the bank did not send', () => {
    const set = tokenSet({ access_token: 'access', token_type: 'bearer' }, undefined)
    expect(Object.keys(set)).toEqual(['access_token', 'token_type'])
  })

  test('that ends at once says so', () => {
    const set = tokenSet({ access_token: 'access', token_type: 'bearer', expires_in: 0 }, undefined)
    expect(set).toMatchObject({ expires_in: 0, expires_at: 1_700_000_000 })
  })

  test("holds no further members of the bank's answer", () => {
    const response = { access_token: 'access', token_type: 'bearer', debug: 'internal' }
    expect(tokenSet(response, undefined)).not.toHaveProperty('debug')
  })

  test('is plain JSON', () => {
    const set = tokenSet({ access_token: 'access', token_type: 'bearer', expires_in: 1 }, claims)
    expect(JSON.parse(JSON.stringify(set))).toEqual(set)
  })

  test.each(['dpop', 'mac', 'Bearer', ''])('is refused when it is of another type: %j', (token_type) => {
    expect(thrown(() => tokenSet({ access_token: 'access', token_type }, undefined))).toMatchObject({
      code: 'token_invalid',
      status: 502,
      message: 'the bank issued a token of a type that was not asked for',
    })
  })
})

describe('what the application hands back', () => {
  test.each([
    ['a token set', { access_token: 'access', token_type: 'bearer' }],
    ['a token set with more in it', { access_token: 'access', token_type: 'bearer', id: 42 }],
  ])('may be %s', (_name, tokens) => {
    expect(() => {
      checkTokens(tokens)
    }).not.toThrow()
  })

  test.each([
    ['undefined', undefined],
    ['null', null],
    ['a text', 'access'],
    ['a list', ['access']],
    ['an empty object', {}],
    ['an empty token', { access_token: '' }],
    ['a token that is no text', { access_token: 42 }],
  ])('cannot be %s', (_name, tokens) => {
    expect(
      thrown(() => {
        checkTokens(tokens)
      }),
    ).toMatchObject({
      code: 'config_invalid',
      message: 'the second argument must be the token set of a login',
    })
  })
})
