import { describe, expect, test } from '@jest/globals'
import { authorizationError } from '../../lib/client/authorization-error.js'
import { ErrorResponse } from '../../lib/errors.js'

const signed = {
  party: 'the bank login.bank.example',
  cause: new ErrorResponse(undefined, 'x', "the bank's words"),
}

const REGISTERED = [
  'invalid_request',
  'unauthorized_client',
  'unsupported_response_type',
  'invalid_scope',
  'server_error',
  'temporarily_unavailable',
  'interaction_required',
  'login_required',
  'account_selection_required',
  'consent_required',
  'invalid_request_uri',
  'invalid_request_object',
  'request_not_supported',
  'request_uri_not_supported',
]

test.each([
  { by: signed, where: ' at the bank login.bank.example' },
  { by: undefined, where: '' },
])('a person who said no, at the account selector or $where, is named twice', ({ by, where }) => {
  expect(authorizationError('access_denied', by)).toMatchObject({
    code: 'access_denied',
    status: 401,
    providerError: 'access_denied',
    message: `the login was cancelled or refused${where}`,
  })
})

describe('an authentic error', () => {
  test.each([
    ['login_required', { status: 401, isFailure: true }],
    ['consent_required', { status: 401, isFailure: true }],
    ['invalid_scope', { status: 401, isFailure: true }],
    ['constructor', { status: 401, isFailure: true }],
    ['server_error', { status: 502, isFailure: false }],
    ['temporarily_unavailable', { status: 503, isFailure: false }],
  ])('%s is named, and counts against the bank where it says so', (error, expected) => {
    expect(authorizationError(error, signed)).toMatchObject({
      ...expected,
      code: 'provider_error',
      statusCode: expected.status,
      providerError: error,
      message: expect.stringMatching(
        new RegExp(`^the bank login\\.bank\\.example did not log the person in: ${error}( \\(|$)`),
      ),
    })
  })

  test('may have no name', () => {
    const err = authorizationError(undefined, signed)
    expect(err).toMatchObject({
      code: 'provider_error',
      status: 401,
      message: 'the bank login.bank.example did not log the person in: no known reason',
    })
    expect(err.providerError).toBeUndefined()
  })
})

describe('what the options may have to do with it', () => {
  const saying = (words?: string): typeof signed => ({
    ...signed,
    cause: new ErrorResponse(undefined, 'x', words),
  })

  test.each<[string, string | undefined, RegExp]>([
    ['invalid_scope', undefined, /: invalid_scope \(check the option "scope" against/],
    ['invalid_request', undefined, /\(check "profile", "callback", "scope"/],
    ['invalid_request', 'Invalid parameter: redirect_uri', /\("callback" is not registered/],
    ['invalid_request_object', 'exp is in the past', /\(check this server's clock/],
    ['invalid_request_uri', undefined, /\(the pushed request has expired/],
    ['unauthorized_client', undefined, /registered for\)$/],
    ['unsupported_response_mode', undefined, /response mode/],
    ['login_required', 'the session has expired', /\("prompt", "max_age" or "acr_values" ask for more/],
    ['temporarily_unavailable', undefined, /\(the bank is busy or down/],
  ])('is said of a signed error: %s, %s', (error, words, hint) => {
    const { message } = authorizationError(error, saying(words))
    expect(message).toMatch(hint)
    expect(message.length).toBeLessThan(300)
    if (words !== undefined) expect(message).not.toContain(words)
  })

  test('is said of an error that nobody signed, where it answers a login of this browser', () => {
    const hinted = 'the login ended with an error: invalid_scope (check the option "scope"'
    expect(authorizationError('invalid_scope', undefined, true).message).toContain(hinted)
  })

  test.each(['a_word_of_its_own', 'constructor', '__proto__'])(
    'is nothing where nobody knows: %s',
    (error) => {
      expect(authorizationError(error, saying('No.')).message).toMatch(`did not log the person in: ${error}`)
      expect(authorizationError(error, saying('No.')).message).not.toContain('(')
      expect(authorizationError(error, undefined, true).message).toMatch(/no known reason$/)
    },
  )
})

test.each(['access_denied', 'login_required'])(
  'what a bank said of %s is underneath, and not in the text',
  (error) => {
    const err = authorizationError(error, signed)
    expect(err.cause).toBe(signed.cause)
    expect(err.message).not.toContain('words')
    expect(authorizationError(error).cause).toBeUndefined()
  },
)

describe('an error that nobody signed', () => {
  test.each(REGISTERED)('is a failure of this login, whatever it says: %s', (error) => {
    expect(authorizationError(error)).toMatchObject({
      code: 'provider_error',
      status: 401,
      isFailure: true,
      providerError: error,
      message: `the login ended with an error: ${error}`,
    })
  })

  test('is not put in the words of whoever wrote it', () => {
    expect(authorizationError('call-1-555-0100')).toMatchObject({
      code: 'provider_error',
      status: 401,
      providerError: 'call-1-555-0100',
      message: 'the login ended with an error: no known reason',
    })
  })

  test('may have no name', () => {
    const err = authorizationError(undefined)
    expect(err).toMatchObject({
      code: 'provider_error',
      status: 401,
      message: 'the login ended with an error: no known reason',
    })
    expect(err.providerError).toBeUndefined()
  })
})
