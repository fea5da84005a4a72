import { inspect } from 'node:util'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from '@jest/globals'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { ResponseBodyError, WWWAuthenticateChallengeError } from 'openid-client'
import {
  ERROR_CODES,
  ErrorResponse,
  IDPartnerError,
  isError,
  ownError,
  printable,
  withoutText,
  type ErrorCode,
} from '../lib/errors.js'
import { signJws } from './support/jws.js'
import { publicJwk, rsaKey } from './support/key-pairs.js'

const SECRET = 'the-secret-of-somebody'

/** What a log would show of an error. */
const printed = (err: unknown): string =>
  inspect(err, { depth: Infinity, showHidden: true, maxStringLength: Infinity })

const withCause = (cause: unknown): IDPartnerError => new IDPartnerError('token_invalid', 'ours', { cause })

const foreignError = (text: string): unknown => runInNewContext(`new RangeError(${JSON.stringify(text)})`)

describe('the list of codes', () => {
  test('is closed', () => {
    expect([...ERROR_CODES].sort()).toEqual([
      'access_denied',
      'config_invalid',
      'login_missing',
      'provider_error',
      'provider_refused',
      'provider_unavailable',
      'response_invalid',
      'token_invalid',
    ])
  })

  test.each<[ErrorCode, number, boolean]>([
    ['access_denied', 401, true],
    ['login_missing', 401, true],
    ['response_invalid', 401, true],
    ['provider_refused', 403, true],
    ['provider_error', 502, false],
    ['provider_unavailable', 502, false],
    ['token_invalid', 502, false],
    ['config_invalid', 500, false],
  ])('%s has the status %d; whether it is a failure: %s', (code, status, isFailure) => {
    expect(new IDPartnerError(code, 'text')).toMatchObject({ code, status, statusCode: status, isFailure })
  })
})

describe('an error', () => {
  test('is an Error with the name of its class, which no minifier can change', () => {
    const err = new IDPartnerError('config_invalid', 'option "x" is wrong')
    expect(err).toBeInstanceOf(Error)
    expect(String(err)).toBe('IDPartnerError: option "x" is wrong')
    expect(err.stack).toMatch(/errors\.test/)
  })

  test.each([
    { status: 401, isFailure: true },
    { status: 499, isFailure: true },
    { status: 500, isFailure: false },
    { status: 503, isFailure: false },
  ])('can have another status, $status', ({ status, isFailure }) => {
    const err = new IDPartnerError('provider_error', 'text', { status })
    expect(err).toMatchObject({ status, statusCode: status, isFailure })
  })

  test('has no property that does not apply to it', () => {
    const err = new IDPartnerError('token_invalid', 'text', { providerError: undefined, status: undefined })
    expect(Object.keys(err).sort()).toEqual(['code', 'name', 'status', 'statusCode'])
    expect('cause' in err).toBe(false)
  })

  test('keeps the reason and the OAuth error name', () => {
    expect(new IDPartnerError('login_missing', 'text', { reason: 'expired' }).reason).toBe('expired')
    expect(new IDPartnerError('provider_error', 'text', { providerError: 'login_required' })).toMatchObject({
      providerError: 'login_required',
    })
  })
})

describe('a message', () => {
  test.each([299, 300, 301, 200_048])('has 300 characters at most: %d', (length) => {
    const { message, stack } = new IDPartnerError('provider_error', 'x'.repeat(length))
    expect(message).toHaveLength(Math.min(length, 300))
    expect(message.endsWith('…')).toBe(length > 300)
    expect(stack).not.toContain('x'.repeat(301))
  })
})

describe('what a server said', () => {
  test.each<[string, unknown, string | undefined]>([
    ['as it is', 'Client not found', 'Client not found'],
    ['without line breaks', 'one\r\nERROR forged', 'one??ERROR forged'],
    ['without terminal sequences', '\u001b[31mred\u0000\u007f', '?[31mred??'],
    ['without what RFC 6749 leaves out', 'a "quoted" back\\slash', 'a ?quoted? back?slash'],
    ['without other alphabets', 'ungültig \u202Eработа', 'ung?ltig ???????'],
    ['in 300 characters', 'x'.repeat(10_000), 'x'.repeat(300)],
    ['not where it is no text', { toString: () => 'x' }, undefined],
    ['not where it is missing', undefined, undefined],
  ])('is kept %s', (_name, description, kept) => {
    const said = new ErrorResponse(400, 'invalid_request', description)
    expect(said.error_description).toBe(kept)
    expect(said.message).toBe(`HTTP 400 invalid_request${kept === undefined ? '' : `: ${kept}`}`)
    expect(withCause(said).cause).toBe(said)
  })

  test.each([
    [new ErrorResponse(503, undefined), 'HTTP 503'],
    [new ErrorResponse(400, undefined, 'no'), 'HTTP 400 no'],
    [new ErrorResponse(undefined, 'login_required', 'no'), 'login_required: no'],
    [new ErrorResponse(undefined, undefined), 'no words'],
  ])('may be no more than a part of it', (said, message) => {
    expect(said.message).toBe(message)
  })

  test('has no status where it came in no HTTP answer of the server', () => {
    expect('status' in new ErrorResponse(undefined, 'x')).toBe(false)
  })

  test('does not repeat the secrets it was told', () => {
    const said = new ErrorResponse(undefined, undefined, `${'x'.repeat(295)} s3cret-state`, ['s3cret-state'])
    expect(said.error_description).toBe(`${'x'.repeat(295)} [red`)
  })
})

describe('an error of one login', () => {
  const shared = new IDPartnerError('login_missing', 'text', {
    reason: 'expired',
    status: 410,
    providerError: 'x',
    cause: new TypeError('underneath'),
  })

  test('is the same failure with an interaction id', () => {
    const own = shared.withInteractionId('interaction')
    expect(own).toBeInstanceOf(IDPartnerError)
    expect(Object.entries(own)).toEqual([...Object.entries(shared), ['interactionId', 'interaction']])
    expect(own).toMatchObject({ message: 'text', stack: shared.stack })
    expect(own.cause).toMatchObject({ name: 'TypeError', message: 'underneath' })
  })

  test('leaves the error that others fail with as it was', () => {
    shared.withInteractionId('one')
    expect(shared.withInteractionId('other').interactionId).toBe('other')
    expect('interactionId' in shared).toBe(false)
  })

  test('has no stack where the other has none', () => {
    const bare = new IDPartnerError('token_invalid', 'text')
    delete bare.stack
    expect(bare.withInteractionId('interaction').stack).toMatch(/^IDPartnerError: text/)
  })

  test('is that error itself as long as the login is not known', () => {
    expect(shared.withInteractionId(undefined)).toBe(shared)
  })
})

describe('the cause of an error', () => {
  test('keeps name, message, code and the lines of the stack', () => {
    class SocketError extends Error {
      override name = 'SocketError'
      code = 'ECONNRESET'
    }
    const cause = new SocketError('read ECONNRESET')
    expect(withCause(cause).cause).toBeInstanceOf(Error)
    expect(withCause(cause).cause).toMatchObject({
      name: 'SocketError',
      message: 'read ECONNRESET',
      code: 'ECONNRESET',
      stack: cause.stack?.replace(/^\w+/, 'SocketError'),
    })
  })

  test("keeps the lines of the stack of Node's own errors as well", () => {
    let cause: unknown
    try {
      Buffer.from(42 as unknown as string)
    } catch (err) {
      cause = err
    }
    const err = withCause(cause).cause as Error
    expect(err).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
    expect(err.stack).toMatch(/\n\s+at .*errors\.test/)
  })

  test('keeps nothing else', () => {
    const cause = Object.assign(new Error('text'), {
      code: { token: SECRET },
      response: { body: SECRET },
      [Symbol('token')]: SECRET,
    })
    expect(Reflect.ownKeys(withCause(cause).cause as Error).sort()).toEqual(['message', 'name', 'stack'])
    expect(printed(withCause(cause))).not.toContain(SECRET)
  })

  test('may have no stack', () => {
    const cause = new Error('text')
    delete cause.stack
    expect(withCause(cause).cause).toMatchObject({ stack: 'Error: text' })
  })

  test('is an error of another realm as well', () => {
    expect(withCause(foreignError('far away')).cause).toMatchObject({
      name: 'RangeError',
      message: 'far away',
    })
  })

  test.each([[SECRET], [{ token: SECRET }], [null], [42]])('is dropped when it is no error: %p', (cause) => {
    expect(withCause(cause).cause).toBeUndefined()
  })

  test('is an error of our own as it is', () => {
    const own = new IDPartnerError('provider_unavailable', 'unreachable', { status: 504 })
    expect(withCause(own).cause).toBe(own)
    expect(withCause(new Error('wrapped', { cause: own })).cause).toMatchObject({ cause: own })
  })

  test.each(['SECRET', '{"token":SECRET}', 'SECRET\n    at x', '\n    at SECRET'])(
    'does not quote the text that was no JSON: %j',
    (text) => {
      let cause: unknown
      try {
        JSON.parse(text)
      } catch (err) {
        cause = err
      }
      expect(printed(cause)).toContain('SECRET')
      const err = withCause(cause)
      expect(err.cause).toMatchObject({ name: 'SyntaxError', message: 'the text could not be parsed' })
      expect(printed(err)).not.toContain('SECRET')
      expect((err.cause as Error).stack).toMatch(/^SyntaxError: .*\n\s+at .*JSON\.parse/)
    },
  )

  test.each([
    ['a line break', 'one\r\n2026 ERROR forged', 'one 2026 ERROR forged'],
    ['a line separator', 'one\u2028\u0085two', 'one two'],
    ['a terminal sequence', 'a\u001b[2Jb', 'a [2Jb'],
    ['a change of direction', 'a\u202eb', 'a b'],
    ['no end', 'x'.repeat(5000), `${'x'.repeat(299)}…`],
  ])('is one line of a log, whatever it says: %s', (_name, text, kept) => {
    const cause = Object.assign(new Error(text), { name: `E${text.slice(0, 20)}`, code: text })
    const { message, name, code, stack } = withCause(cause).cause as Error & { code: string }
    expect(message).toBe(kept)
    expect(code).toBe(kept)
    for (const one of [name, stack?.split('\n    at ')[0]]) expect(one).not.toMatch(/[\p{Cc}\p{Cf}\u2028]/u)
  })

  test('may be an error without its text', () => {
    const cause = new TypeError(`"${SECRET}" is an invalid header value`)
    const err = withCause(withoutText(cause))
    expect(err.cause).toMatchObject({
      name: 'TypeError',
      stack: expect.stringMatching(/\n\s+at .*errors\.test/),
    })
    expect(printed(err)).not.toContain(SECRET)
    expect(withoutText(SECRET)).toBeUndefined()
  })

  test('may itself have a cause, whose payload is dropped too', () => {
    const cause = new Error('outer', {
      cause: Object.assign(new TypeError('inner', { cause: { claims: SECRET } }), { body: SECRET }),
    })
    const err = withCause(cause)
    expect(err.cause).toMatchObject({ message: 'outer', cause: { name: 'TypeError', message: 'inner' } })
    expect(printed(err)).not.toContain(SECRET)
  })

  test('ends somewhere, however deep it is', () => {
    let cause = new Error('the bottom')
    for (let depth = 0; depth < 20; depth++) cause = new Error(`level ${String(depth)}`, { cause })
    const messages: string[] = []
    for (let at = withCause(cause).cause; at instanceof Error; at = at.cause) messages.push(at.message)
    expect(messages).toEqual(['level 19', 'level 18', 'level 17', 'level 16', 'level 15', 'level 14'])
  })

  test('may be its own cause', () => {
    const cause = new Error('round and round')
    cause.cause = cause
    expect(printed(withCause(cause))).toContain('round and round')
  })
})

describe('nothing of a person is printed with', () => {
  test("jose's error, which holds the claims", async () => {
    const key = await rsaKey('errors')
    const jws = signJws({ alg: 'PS256' }, { email: SECRET, exp: 1 }, key)
    const cause: unknown = await jwtVerify(jws, createLocalJWKSet({ keys: [publicJwk(key)] })).catch(
      (err: unknown) => err,
    )
    expect(cause).toMatchObject({ payload: { email: SECRET } })
    const err = withCause(cause)
    expect(printed(err)).not.toContain(SECRET)
    expect(err.cause).toMatchObject({ name: 'JWTExpired', code: 'ERR_JWT_EXPIRED' })
  })

  test.each([
    {
      name: "openid-client's error, which holds the body",
      cause: new ResponseBodyError('server responded with an error', {
        cause: { error: 'invalid_grant', error_description: SECRET },
        response: new Response(SECRET, { status: 400 }),
      }),
    },
    {
      name: "openid-client's error, which holds the challenges",
      cause: new WWWAuthenticateChallengeError('server responded with a challenge', {
        cause: [{ scheme: 'bearer', parameters: { error: 'invalid_token', error_description: SECRET } }],
        response: new Response(SECRET, { status: 401 }),
      }),
    },
    {
      name: 'an error whose cause is a token response',
      cause: new Error('unexpected', { cause: { access_token: SECRET } }),
    },
  ])('$name', ({ cause }) => {
    expect(printed(cause)).toContain(SECRET)
    const err = withCause(cause)
    expect(printed(err)).not.toContain(SECRET)
    expect(JSON.stringify(err)).not.toContain(SECRET)
  })
})

describe('ownError', () => {
  const own = new IDPartnerError('provider_unavailable', 'unreachable')

  test.each<[string, unknown, IDPartnerError | undefined]>([
    ['the error itself', own, own],
    ['in what a library wrapped it in', new TypeError('a', { cause: new Error('b', { cause: own }) }), own],
    ['not where there is none', new Error('a', { cause: new Error('b') }), undefined],
    ['not behind something that is no error', new Error('a', { cause: { cause: own } }), undefined],
    ['not in undefined', undefined, undefined],
  ])('finds %s', (_name, err, expected) => {
    expect(ownError(err)).toBe(expected)
  })

  test('gives up on a chain that does not end', () => {
    const err = new Error('round and round')
    err.cause = err
    expect(ownError(err)).toBeUndefined()
  })

  test('looks eight errors deep', () => {
    const wrapped = (times: number): unknown =>
      times === 0 ? own : new Error('wrapped', { cause: wrapped(times - 1) })
    expect(ownError(wrapped(7))).toBe(own)
    expect(ownError(wrapped(8))).toBeUndefined()
  })
})

describe('isError', () => {
  test.each([
    ['an Error', new Error('x'), true],
    ['one of ours', new IDPartnerError('token_invalid', 'x'), true],
    ['an error of another realm', foreignError('x'), true],
    ['an object that looks like one', { name: 'Error', message: 'x', stack: 'x' }, false],
    ['a text', 'Error: x', false],
    ['undefined', undefined, false],
  ])('%s', (_name, value, expected) => {
    expect(isError(value)).toBe(expected)
  })
})

describe('a name that came over the wire', () => {
  test.each(['login_required', 'PS256', 'ECDH-ES+A128KW', 'urn:example:error', 'a-b.c', 'x'.repeat(64)])(
    'is printed: %s',
    (n) => {
      expect(printable(n)).toBe(n)
    },
  )

  test.each([
    ['empty', ''],
    ['longer than any name', 'x'.repeat(65)],
    ['a sentence', 'please call us'],
    ['two lines', 'login_required\nERROR forged'],
    ['a name and a line break', 'login_required\n'],
    ['markup', '<b>no</b>'],
    ['a terminal sequence', '\u001b[31mred'],
    ['a number', 42],
    ['a list', ['login_required']],
    ['missing', undefined],
  ])('is dropped when it is %s', (_what, name) => {
    expect(printable(name)).toBeUndefined()
  })
})
