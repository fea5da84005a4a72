import { describe, expect, test } from '@jest/globals'
import { authorizationError } from '../../lib/client/authorization-error.js'

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
  { signed: true, where: ' at the bank' },
  { signed: false, where: '' },
])('a person who said no, at the account selector or $where, is named twice', ({ signed, where }) => {
  expect(authorizationError('access_denied', { signed })).toMatchObject({
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
    expect(authorizationError(error, { signed: true })).toMatchObject({
      ...expected,
      code: 'provider_error',
      statusCode: expected.status,
      providerError: error,
      message: `the bank did not log the person in: ${error}`,
    })
  })

  test('may have no name', () => {
    const err = authorizationError(undefined, { signed: true })
    expect(err).toMatchObject({
      code: 'provider_error',
      status: 401,
      message: 'the bank did not log the person in: no known reason',
    })
    expect(err.providerError).toBeUndefined()
  })
})

describe('an error that nobody signed', () => {
  test.each(REGISTERED)('is a failure of this login, whatever it says: %s', (error) => {
    expect(authorizationError(error, { signed: false })).toMatchObject({
      code: 'provider_error',
      status: 401,
      isFailure: true,
      providerError: error,
      message: `the login ended with an error: ${error}`,
    })
  })

  test('is not put in the words of whoever wrote it', () => {
    expect(authorizationError('call-1-555-0100', { signed: false })).toMatchObject({
      code: 'provider_error',
      status: 401,
      providerError: 'call-1-555-0100',
      message: 'the login ended with an error: no known reason',
    })
  })

  test('may have no name', () => {
    const err = authorizationError(undefined, { signed: false })
    expect(err).toMatchObject({
      code: 'provider_error',
      status: 401,
      message: 'the login ended with an error: no known reason',
    })
    expect(err.providerError).toBeUndefined()
  })
})
