import { describe, expect, test } from '@jest/globals'
import {
  ClientError,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
  type WWWAuthenticateChallenge,
} from 'openid-client'
import { IDPartnerError } from '../../lib/errors.js'
import { badMetadata, providerFailure } from '../../lib/client/provider-failure.js'

const FREE_TEXT = 'the bank tells a story'

const body = (error: string, status = 400): ResponseBodyError =>
  new ResponseBodyError('server responded with an error', {
    cause: { error, error_description: FREE_TEXT },
    response: new Response(FREE_TEXT, { status }),
  })

const challenge = (
  status: number,
  ...parameters: WWWAuthenticateChallenge['parameters'][]
): WWWAuthenticateChallengeError =>
  new WWWAuthenticateChallengeError('server responded with a challenge', {
    cause: parameters.map((one) => ({ scheme: 'bearer', parameters: one })),
    response: new Response(FREE_TEXT, { status }),
  })

const client = (code: string, cause?: unknown): ClientError =>
  Object.assign(new ClientError(FREE_TEXT, { cause }), { code })

const failure = (err: unknown): IDPartnerError =>
  providerFailure(err, 'the token endpoint of the bank bank.example', 'token_invalid')

describe("an error in the bank's answer", () => {
  test.each<[string, RegExp]>([
    ['invalid_client', /check this application's key, secret or certificate/],
    ['unauthorized_client', /check what this application is registered for/],
    ['invalid_grant', /used before, has expired, or is of another client/],
    ['invalid_token', /access token has expired, was revoked, or is bound to another certificate/],
    ['invalid_scope', /check the option "scope"/],
    ['insufficient_scope', /did not ask for the scope/],
  ])('says what to do: %s', (error, hint) => {
    expect(failure(body(error))).toMatchObject({
      code: 'provider_error',
      status: 502,
      providerError: error,
      message: expect.stringMatching(hint),
      cause: { name: 'ResponseBodyError' },
    })
    expect(failure(body(error)).message).toMatch(
      `the token endpoint of the bank bank.example refused: ${error} (`,
    )
  })

  test.each(['invalid_request', 'constructor', 'toString', '__proto__'])('without a hint: %s', (error) => {
    expect(failure(body(error))).toMatchObject({
      message: `the token endpoint of the bank bank.example refused: ${error}`,
      providerError: error,
    })
  })

  test.each([400, 401, 403, 500, 503])('never passes on its status: HTTP %d', (status) => {
    expect(failure(body('invalid_client', status))).toMatchObject({ status: 502, statusCode: 502 })
  })

  test.each(['a whole sentence', 'x\ny', 'x'.repeat(65), ''])(
    'is not printed when it is no name: %j',
    (error) => {
      const err = failure(body(error))
      expect(err.message).toBe('the token endpoint of the bank bank.example refused: no known reason')
      expect(err.providerError).toBeUndefined()
    },
  )
})

describe("a challenge in the bank's answer", () => {
  test.each<[string, WWWAuthenticateChallengeError, string | undefined]>([
    ['names an error', challenge(401, { error: 'invalid_token' }), 'invalid_token'],
    ['names an error second', challenge(401, {}, { error: 'invalid_token' }), 'invalid_token'],
    [
      'names an error with another status',
      challenge(403, { error: 'insufficient_scope' }),
      'insufficient_scope',
    ],
    ['names none, so it is about us', challenge(401, {}), 'invalid_client'],
    ['names none, with another status', challenge(400, {}), undefined],
    ['names a sentence', challenge(400, { error: 'a whole sentence' }), undefined],
  ])('%s', (_name, err, providerError) => {
    const own = failure(err)
    expect(own).toMatchObject({ code: 'provider_error', status: 502 })
    expect(own.providerError).toBe(providerError)
    expect(own.message).toContain(`refused: ${providerError ?? 'no known reason'}`)
  })
})

describe('an answer that says nothing', () => {
  const NOT_CONFORM = 'OAUTH_RESPONSE_IS_NOT_CONFORM'

  test.each<[string, unknown, { status: number; message: string }]>([
    ['HTTP 500', client(NOT_CONFORM, new Response('', { status: 500 })), answered(502, 'with HTTP 500')],
    ['HTTP 404', client(NOT_CONFORM, new Response('', { status: 404 })), answered(502, 'with HTTP 404')],
    ['HTTP 302', client(NOT_CONFORM, new Response('', { status: 302 })), answered(502, 'with HTTP 302')],
    ['HTTP 503', client(NOT_CONFORM, new Response('', { status: 503 })), answered(503, 'with HTTP 503')],
    ['HTTP 429', client(NOT_CONFORM, new Response('', { status: 429 })), answered(503, 'with HTTP 429')],
    ['a page', client('OAUTH_RESPONSE_IS_NOT_JSON', new Response('')), answered(502, 'with something else')],
    [
      'half of it',
      client('OAUTH_PARSE_ERROR', new SyntaxError(FREE_TEXT)),
      answered(502, 'with something else'),
    ],
    ['no response', client('OAUTH_PARSE_ERROR'), answered(502, 'with something else')],
  ])('is unavailable: %s', (_name, err, { status, message }) => {
    const own = failure(err)
    expect(own).toMatchObject({ code: 'provider_unavailable', status })
    expect(own.message).toContain(message)
  })

  function answered(status: number, how: string): { status: number; message: string } {
    return { status, message: `the token endpoint of the bank bank.example answered ${how}` }
  }
})

describe('an answer with a wrong content', () => {
  test.each([
    ['by a code of its own', client('OAUTH_JWT_CLAIM_COMPARISON_FAILED', { claims: FREE_TEXT })],
    ['without a code', new ClientError(FREE_TEXT)],
    ['with any error', new TypeError('unexpected')],
    ['with no error at all', FREE_TEXT],
    ['with nothing', undefined],
  ])('has the code that the caller gives it: %s', (_name, err) => {
    expect(failure(err)).toMatchObject({
      code: 'token_invalid',
      status: 502,
      message: 'the token endpoint of the bank bank.example gave an answer that fails a check',
    })
    expect(providerFailure(err, 'the userinfo endpoint', 'provider_unavailable').code).toBe(
      'provider_unavailable',
    )
  })

  test('keeps its cause', () => {
    expect(failure(new TypeError('unexpected')).cause).toMatchObject({
      name: 'TypeError',
      message: 'unexpected',
    })
  })
})

test('an error of ours goes on as it is, however it was wrapped', () => {
  const own = new IDPartnerError('provider_unavailable', 'too slow', { status: 504 })
  expect(failure(own)).toBe(own)
  expect(failure(client('OAUTH_TIMEOUT', own))).toBe(own)
})

test("the bank's free text is in no message", () => {
  for (const err of [body('invalid_grant'), challenge(401, { error_description: FREE_TEXT }), client('X')]) {
    expect(failure(err).message).not.toContain(FREE_TEXT)
  }
})

test('badMetadata names the party', () => {
  expect(badMetadata('the bank bank.example:8443', 'is wrong')).toMatchObject({
    code: 'provider_unavailable',
    status: 502,
    message: 'the discovery document of the bank bank.example:8443 is wrong',
  })
})
