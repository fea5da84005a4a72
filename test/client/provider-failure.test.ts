import { describe, expect, test } from '@jest/globals'
import { ClientError, WWWAuthenticateChallengeError, type WWWAuthenticateChallenge } from 'openid-client'
import { IDPartnerError } from '../../lib/errors.js'
import { errorResponse, providerFailure, type Asked } from '../../lib/client/provider-failure.js'

const FREE_TEXT = 'the bank tells a story'
const WHAT = 'the token endpoint of the bank bank.example'

/** A request that the application authenticated itself. */
const grant: Asked = { what: WHAT, auth: 'private_key_jwt', sent: [] }
/** One with a person's access token. */
const resource: Asked = { what: 'the userinfo endpoint of the bank bank.example', sent: [] }

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

const failure = (err: unknown, asked = grant): IDPartnerError => providerFailure(err, asked, 'token_invalid')

/** What an HTTP answer is taken for. */
const answered = async (status: number, body: unknown, asked = grant): Promise<IDPartnerError> => {
  const err = await errorResponse(new Response(JSON.stringify(body), { status }), asked)
  if (!err) throw new Error('it is taken for no failure')
  return err
}

describe("an error in the bank's answer", () => {
  test.each([
    'invalid_request',
    'invalid_client',
    'invalid_grant',
    'unauthorized_client',
    'unsupported_grant_type',
    'invalid_scope',
    'invalid_request_object',
    'invalid_request_uri',
    'request_not_supported',
    'request_uri_not_supported',
    'unsupported_response_type',
    'server_error',
    'temporarily_unavailable',
    'access_denied',
    'login_required',
    'interaction_required',
    'invalid_token',
    'insufficient_scope',
    'unsupported_token_type',
    'invalid_target',
    'invalid_authorization_details',
    'invalid_dpop_proof',
    'a_word_of_its_own',
    'constructor',
    '__proto__',
  ])('says what to look at: %s', async (error) => {
    const err = await answered(400, { error, error_description: FREE_TEXT })
    expect(err).toMatchObject({ code: 'provider_error', status: 502, providerError: error })
    expect(err.message).toMatch(`${WHAT} refused: ${error} (`)
    expect(err.message).toMatch(/ \([^)]{20,}\)?.*\)$/)
    expect(err.message.length).toBeLessThan(300)
  })

  test.each<[string, Asked['auth'], RegExp]>([
    [
      'a key',
      'private_key_jwt',
      /public keys of "jwks" \(not new ones at every start\), then "client_id", this server's clock/,
    ],
    ['a secret', 'client_secret_basic', /check "client_secret", then "client_id"/],
    ['a certificate', 'tls_client_auth', /"tls_client_cert" .* then "client_id"/],
  ])('that does not know us names what we authenticate with: %s', async (_name, auth, hint) => {
    const err = await answered(401, { error: 'invalid_client' }, { ...grant, auth })
    expect(err).toMatchObject({ providerError: 'invalid_client', message: expect.stringMatching(hint) })
  })

  test('over a grant names all that it is bound to', async () => {
    const { message } = await answered(400, { error: 'invalid_grant' })
    expect(message).toMatch(/used before, has expired.*"callback".*"tls_client_cert"/)
  })

  test.each<[string, string, RegExp]>([
    ['an unregistered callback', 'Invalid parameter: redirect_uri', /"callback" is not registered/],
    ['a bad scope', 'Invalid scopes: openid email x', /check the option "scope"/],
    ['a clock that is ahead', 'Token is not active', /check this server's clock, then "clock_tolerance"/],
    ['a clock, by its claim', 'nbf is in the future', /check this server's clock/],
    ['a wrong key', 'signature verification failed: no matching key', /public keys of "jwks"/],
    ['a wrong certificate', 'Client certificate does not match', /"tls_client_cert"/],
    ['a proof that is missing', 'DPoP proof is missing', /check "dpop_bound_access_tokens" against/],
    ['a wrong secret', 'Invalid client secret', /check "client_secret"/],
    ['no such client', 'Client not found', /check "client_id"/],
    [
      'nothing in particular',
      'No.',
      /check "profile", "callback", "scope", the public keys of "jwks", and this server's clock/,
    ],
  ])('is told apart by words that the message does not repeat: %s', async (_name, words, hint) => {
    const err = await answered(400, { error: 'invalid_request', error_description: words })
    expect(err.message).toMatch(hint)
    expect(err.message).not.toContain(words)
    expect(err.cause).toMatchObject({ status: 400, error_description: words })
  })

  test.each([400, 403, 404, 418])('never passes on its status: HTTP %d', async (status) => {
    const err = await answered(status, { error: 'invalid_client', error_description: FREE_TEXT })
    expect(err).toMatchObject({ code: 'provider_error', status: 502, statusCode: 502 })
    expect(err.cause).toMatchObject({
      name: 'ErrorResponse',
      message: `HTTP ${String(status)} invalid_client: ${FREE_TEXT}`,
      status,
      error_description: FREE_TEXT,
    })
  })

  test.each(['unauthorized_client', 'invalid_request', 'access_denied', 'a whole sentence'])(
    'with HTTP 401 is about us, whatever it says: %s',
    async (error) => {
      const err = await answered(401, { error, error_description: FREE_TEXT })
      expect(err).toMatchObject({ code: 'provider_error', status: 502, providerError: 'invalid_client' })
      expect(err.cause).toMatchObject({ status: 401, error_description: FREE_TEXT })
    },
  )

  test.each([[undefined], ['a page'], [[]], [{ error: 1 }]])(
    'with HTTP 401 is about us, also where it says nothing: %j',
    async (body) => {
      expect(await answered(401, body)).toMatchObject({ providerError: 'invalid_client' })
      expect(await answered(401, body, resource)).toMatchObject({ providerError: 'invalid_token' })
    },
  )

  test.each([
    [500, 502],
    [502, 502],
    [503, 503],
    [429, 503],
  ])('of a server that is down or busy is no refusal: HTTP %d', async (status, ours) => {
    const err = await answered(status, { error: 'server_error', error_description: FREE_TEXT })
    expect(err).toMatchObject({ code: 'provider_unavailable', status: ours })
    expect(err.cause).toMatchObject({ status, error_description: FREE_TEXT })
    expect(err.message).not.toContain(FREE_TEXT)
  })

  test.each(['a whole sentence', 'x\ny', 'x'.repeat(65), ''])(
    'is not printed when it is no name: %j',
    async (error) => {
      const err = await answered(400, { error })
      expect(err.message).toMatch(`${WHAT} refused: no known reason (`)
      expect(err.providerError).toBeUndefined()
    },
  )

  test.each([200, 201, 204, 302])('is none with HTTP %d', async (status) => {
    const response = new Response(status === 204 ? null : '{"error":"x"}', { status })
    expect(await errorResponse(response, grant)).toBeUndefined()
  })

  test('may be repeated secrets, which are taken out', async () => {
    const sent = ['the-code-of-somebody', 'the-verifier-of-somebody']
    const words = `code ${sent.join(' and ')} are wrong, the-code-of-somebody above all`
    const err = await answered(400, { error: 'invalid_grant', error_description: words }, { ...grant, sent })
    expect(err.cause).toMatchObject({
      error_description: 'code [redacted] and [redacted] are wrong, [redacted] above all',
    })
  })

  test.each([[{ words: 1 }], [42], [null], [['a']]])(
    'may have a description that is none: %j',
    async (words) => {
      const { cause } = await answered(400, { error: 'invalid_grant', error_description: words })
      expect(cause).toMatchObject({ message: 'HTTP 400 invalid_grant' })
      expect(cause).not.toHaveProperty('error_description')
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
    ['names none', challenge(401, {}), 'invalid_token'],
    ['names none, with another status', challenge(400, {}), undefined],
    ['names a sentence', challenge(400, { error: 'a whole sentence' }), undefined],
  ])('%s', (_name, err, providerError) => {
    const own = failure(err, resource)
    expect(own).toMatchObject({ code: 'provider_error', status: 502 })
    expect(own.providerError).toBe(providerError)
    expect(own.message).toContain(`refused: ${providerError ?? 'no known reason'} (`)
  })

  test('is about us where we authenticated', () => {
    expect(failure(challenge(401, { error: 'invalid_token' }))).toMatchObject({
      providerError: 'invalid_client',
    })
  })

  test('is left to its reader, unless the body says more', async () => {
    const headers = { 'www-authenticate': 'Basic realm="bank"' }
    expect(await errorResponse(new Response('', { status: 401, headers }), grant)).toBeUndefined()
    const body = JSON.stringify({ error: 'invalid_client', error_description: FREE_TEXT })
    const err = await errorResponse(new Response(body, { status: 401, headers }), grant)
    expect(err?.cause).toMatchObject({ error_description: FREE_TEXT })
  })

  test('has a description as well, for the log alone', () => {
    const err = failure(challenge(401, { error: 'invalid_token', error_description: FREE_TEXT }), resource)
    expect(err.cause).toMatchObject({ status: 401, error_description: FREE_TEXT })
    expect(err.message).not.toContain(FREE_TEXT)
  })
})

describe('an answer that says nothing', () => {
  const NOT_CONFORM = 'OAUTH_RESPONSE_IS_NOT_CONFORM'

  test.each<[string, unknown, { status: number; message: string }]>([
    ['HTTP 404', client(NOT_CONFORM, new Response('', { status: 404 })), unusable(502, 'with HTTP 404')],
    ['HTTP 302', client(NOT_CONFORM, new Response('', { status: 302 })), unusable(502, 'with HTTP 302')],

    ['a page', client('OAUTH_RESPONSE_IS_NOT_JSON', new Response('')), unusable(502, 'with something else')],
    [
      'half of it',
      client('OAUTH_PARSE_ERROR', new SyntaxError(FREE_TEXT)),
      unusable(502, 'with something else'),
    ],
    ['no response', client('OAUTH_PARSE_ERROR'), unusable(502, 'with something else')],
  ])('is unavailable: %s', (_name, err, { status, message }) => {
    const own = failure(err)
    expect(own).toMatchObject({ code: 'provider_unavailable', status })
    expect(own.message).toContain(message)
  })

  function unusable(status: number, how: string): { status: number; message: string } {
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
    expect(providerFailure(err, resource, 'provider_unavailable').code).toBe('provider_unavailable')
  })

  test('keeps its cause', () => {
    expect(failure(client('OAUTH_INVALID_RESPONSE')).cause).toMatchObject({
      name: 'ClientError',
      code: 'OAUTH_INVALID_RESPONSE',
    })
  })

  test("keeps no text of a cause that is not openid-client's: it may quote a token", () => {
    const { cause } = failure(new TypeError('"Bearer a-token" is an invalid header value'))
    expect(cause).toMatchObject({ name: 'TypeError', stack: expect.stringMatching(/\n\s+at /) })
    expect((cause as Error).stack).not.toContain('a-token')
    expect((cause as Error).message).not.toContain('a-token')
  })
})

test('an error of ours goes on as it is, however it was wrapped', () => {
  const own = new IDPartnerError('provider_unavailable', 'too slow', { status: 504 })
  expect(failure(own)).toBe(own)
  expect(failure(client('OAUTH_TIMEOUT', own))).toBe(own)
})
