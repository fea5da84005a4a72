import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { IDPartnerClaims } from '../../lib/jwt/claims.js'
import {
  checkRefreshed,
  checkToken,
  checkTokens,
  goesOn,
  readTokenResponse,
  tokenSet,
} from '../../lib/client/tokens.js'
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
      token_type: 'bearer' as const,
      expires_in: 900,
      scope: 'openid',
      refresh_token: 'refresh',
      id_token: 'id',
    }
    expect(tokenSet(response, claims, 'id')).toEqual({
      ...response,
      expires_at: 1_700_000_900,
      claims,
      interactionId: 'id',
    })
  })

  test('has no member that the bank did not send', () => {
    const set = tokenSet({ access_token: 'access', token_type: 'bearer' }, undefined, 'id')
    expect(Object.keys(set)).toEqual(['access_token', 'token_type', 'interactionId'])
  })

  test('that ends at once says so', () => {
    const set = tokenSet({ access_token: 'access', token_type: 'bearer', expires_in: 0 }, undefined, 'id')
    expect(set).toMatchObject({ expires_in: 0, expires_at: 1_700_000_000 })
  })

  test("holds no further members of the bank's answer", () => {
    const response = { access_token: 'access', token_type: 'bearer' as const, debug: 'internal' }
    expect(tokenSet(response, undefined, 'id')).not.toHaveProperty('debug')
  })

  test('is plain JSON', () => {
    const set = tokenSet({ access_token: 'access', token_type: 'bearer', expires_in: 1 }, claims, 'id')
    expect(JSON.parse(JSON.stringify(set))).toEqual(set)
  })
})

describe('what was granted', () => {
  const granted = {
    authorization_details: [{ type: 'consent', actions: ['read'], more: null }],
    grant_id: 'g-1',
  }
  const answered = { access_token: 'access', token_type: 'bearer', ...granted }

  test('is in the token set, as JSON', () => {
    const read = readTokenResponse(answered, 'the token response', false)
    expect(read).toMatchObject(granted)
    expect(tokenSet(read as never, undefined, 'id')).toMatchObject(granted)
  })

  test.each<[string, unknown]>([
    ['authorization_details', '[{"type":"consent"}]'],
    ['authorization_details', { type: 'consent' }],
    ['authorization_details', [{}]],
    ['authorization_details', [{ type: 1 }]],
    ['authorization_details', [null]],
    ['grant_id', 1],
    ['grant_id', 'a\nb'],
  ])('is refused in another form: %s %j', (name, value) => {
    expect(
      thrown(() => readTokenResponse({ ...answered, [name]: value }, 'the token response', false)),
    ).toMatchObject({
      code: 'token_invalid',
      message: `the token response has no usable "${name}"`,
    })
  })

  test('goes on where renewed tokens do not say it again', () => {
    expect(goesOn({ access_token: 'a', token_type: 'bearer', ...granted, scope: 'x' })).toEqual(granted)
    expect(goesOn({ access_token: 'a', token_type: 'bearer' })).toStrictEqual({})
  })
})

describe('a token response', () => {
  const issued = { access_token: 'access', token_type: 'bearer' }
  const what = 'the token response of the bank bank.example'

  test.each([undefined, null, 'text', 42, []])('is left to others when it is no object: %j', (body) => {
    expect(readTokenResponse(body, what, false)).toBeUndefined()
  })

  test.each(['refresh_token', 'scope', 'expires_in', 'id_token'])(
    'has no %s where that is null or empty',
    (name) => {
      for (const nothing of [null, '', undefined]) {
        expect(readTokenResponse({ ...issued, [name]: nothing }, what, false)).toEqual(issued)
      }
    },
  )

  test.each([
    [900, 900],
    ['900', 900],
    ['0', 0],
    [0, 0],
    [1.5, 1.5],
  ])('may have its seconds as a number or a text: %j', (expires_in, seconds) => {
    expect(readTokenResponse({ ...issued, expires_in }, what, false)).toEqual({
      ...issued,
      expires_in: seconds,
    })
  })

  test.each([' ', '!"#[]{}~', 'x'.repeat(5000)])(
    'may have any visible characters in a token: %j',
    (token) => {
      const body = { ...issued, access_token: token, refresh_token: token }
      expect(readTokenResponse(body, what, false)).toEqual(body)
    },
  )

  test.each<[string, unknown]>([
    ['access_token', undefined],
    ['access_token', null],
    ['access_token', ''],
    ['access_token', 'two\r\nlines'],
    ['access_token', 'a\0b'],
    ['access_token', 'tab\t'],
    ['access_token', 'délicat'],
    ['access_token', '\u007f'],
    ['access_token', ['access']],
    ['refresh_token', 'two\nlines'],
    ['refresh_token', 42],
    ['scope', 'openid\nERROR forged'],
    ['scope', ['openid']],
    ['token_type', undefined],
    ['token_type', null],
    ['token_type', ''],
    ['token_type', 'mac'],
    ['token_type', ['Bearer']],
    ['expires_in', 'soon'],
    ['expires_in', '900 s'],
    ['expires_in', -1],
    ['expires_in', Infinity],
    ['expires_in', true],
    ['id_token', { sub: 'person' }],
  ])('is refused, and the member named, with a wrong %s: %j', (name, value) => {
    expect(thrown(() => readTokenResponse({ ...issued, [name]: value }, what, false))).toMatchObject({
      code: 'token_invalid',
      status: 502,
      message: `${what} has no usable "${name}"`,
    })
  })

  test.each(['bearer', 'Bearer', 'BEARER'])(
    'may be of the type %s where it is not to be bound',
    (token_type) => {
      expect(readTokenResponse({ ...issued, token_type }, what, false)).toEqual(issued)
      expect(thrown(() => readTokenResponse({ ...issued, token_type }, what, true))).toMatchObject({
        code: 'token_invalid',
        message: expect.stringContaining(`${what} is not bound by DPoP`),
      })
    },
  )

  test.each(['dpop', 'DPoP'])('may be of the type %s where it is to be bound alone', (token_type) => {
    const bound = { ...issued, token_type }
    expect(readTokenResponse(bound, what, true)).toEqual({ ...issued, token_type: 'dpop' })
    expect(thrown(() => readTokenResponse(bound, what, false))).toMatchObject({
      code: 'token_invalid',
      message: expect.stringContaining(`${what} is bound by DPoP, which was not asked for`),
    })
  })

  test('may have seconds of fifteen digits as a text, and no more', () => {
    const expires_in = '9'.repeat(15)
    expect(readTokenResponse({ ...issued, expires_in }, what, false)).toEqual({
      ...issued,
      expires_in: 999_999_999_999_999,
    })
    for (const wrong of [`${expires_in}9`, ' 1', '1 ', '1.5', '-1', '0x1']) {
      expect(thrown(() => readTokenResponse({ ...issued, expires_in: wrong }, what, false))).toMatchObject({
        code: 'token_invalid',
        message: `${what} has no usable "expires_in"`,
      })
    }
  })
})

describe('what the application hands back', () => {
  test.each([
    ['a token set', { access_token: 'access', token_type: 'bearer' }],
    ['a token set of that bank', { access_token: 'access', claims }],
    ['a token set with more in it', { access_token: 'access', token_type: 'bearer', id: 42 }],
    ['one that is bound, with its key', { access_token: 'access', token_type: 'DPoP', dpop_key: 'ES256.AA' }],
    ['one with the longest name of a login', { access_token: 'access', interactionId: 'a.b:c-d_'.repeat(8) }],
  ])('may be %s', (_name, tokens) => {
    expect(() => {
      checkTokens(tokens, 'https://bank.example')
    }).not.toThrow()
  })

  test.each([
    ['undefined', undefined],
    ['null', null],
    ['a text', 'access'],
    ['a list', ['access']],
    ['an empty object', {}],
    ['a token set whose claims name nobody', { access_token: 'access', claims: {} }],
    ['an empty token', { access_token: '' }],
    ['a token that is no text', { access_token: 42 }],
    ['a token of two lines', { access_token: 'access\r\nERROR forged' }],
    ['a refresh token of two lines', { access_token: 'access', refresh_token: 'a\nb' }],
    ['a type that is no text', { access_token: 'access', token_type: ['bearer'] }],
    ['a key that is no text', { access_token: 'access', token_type: 'dpop', dpop_key: {} }],
    ['a voucher that is no text', { access_token: 'access', voucher: 1 }],
    ['a name of its login that is no text', { access_token: 'access', interactionId: 1 }],
    ['an empty name of its login', { access_token: 'access', interactionId: '' }],
    ['a long one', { access_token: 'access', interactionId: 'a'.repeat(65) }],
    ['one of two lines', { access_token: 'access', interactionId: 'a\r\nb: c' }],
    ['claims of no person', { access_token: 'access', claims: { iss: 'https://bank.example' } }],
    ['claims of no bank', { access_token: 'access', claims: { sub: 'person' } }],
  ])('cannot be %s', (_name, tokens) => {
    expect(
      thrown(() => {
        checkTokens(tokens, 'https://bank.example')
      }),
    ).toMatchObject({
      code: 'config_invalid',
      message: 'the tokens must be the token set of a login, as it was given',
    })
  })

  test.each([undefined, 'bearer', 'dpops'])('cannot be bound, and of the type %j', (token_type) => {
    const tokens = { access_token: 'access', dpop_key: 'ES256.AA', token_type }
    expect(
      thrown(() => {
        checkTokens(tokens, 'https://bank.example')
      }),
    ).toMatchObject({
      code: 'config_invalid',
      message: 'these tokens are bound by DPoP, and their "token_type" is another: store all of a token set',
    })
  })

  test.each(['https://other.example', 'https://bank.example/', 'https://Bank.example', ''])(
    'cannot be for another bank: %j',
    (issuer) => {
      expect(
        thrown(() => {
          checkTokens({ access_token: 'access', claims }, issuer)
        }),
      ).toMatchObject({
        code: 'config_invalid',
        message: `these tokens are of another bank than the issuer that was named, https://bank.example and not ${issuer || 'one that is no plain URL'}: pass the "iss" of their claims`,
      })
    },
  )

  test.each(['a', ' ~', 'x'.repeat(5000)])('as a single token, may be %j', (value) => {
    expect(() => {
      checkToken(value)
    }).not.toThrow()
  })

  test.each([undefined, '', 'two\nlines', 42, {}])('as a single token, cannot be %j', (value) => {
    expect(
      thrown(() => {
        checkToken(value)
      }),
    ).toMatchObject({ code: 'config_invalid' })
  })
})

describe('a refreshed ID token', () => {
  const earlier = { ...claims, nonce: 'n', auth_time: 1000 }

  test.each([
    ['the same', earlier],
    ['no word of the login', claims],
  ])('may have %s', (_name, renewed) => {
    expect(() => {
      checkRefreshed(renewed, earlier, 'the bank bank.example')
    }).not.toThrow()
  })

  test('may say what was not known', () => {
    expect(() => {
      checkRefreshed(earlier, claims, 'the bank bank.example')
    }).not.toThrow()
  })

  test.each([
    ['person', { sub: 'other' }],
    ['nonce', { nonce: 'other' }],
    ['time of login', { auth_time: 1001 }],
  ])('is refused with another %s', (_name, change) => {
    expect(
      thrown(() => {
        checkRefreshed({ ...earlier, ...change }, earlier, 'the bank bank.example')
      }),
    ).toMatchObject({
      code: 'token_invalid',
      status: 502,
      message: expect.stringMatching(/^the refreshed ID token of the bank bank\.example is of another /),
    })
  })
})
