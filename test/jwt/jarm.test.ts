import { beforeAll, describe, expect, test } from '@jest/globals'
import { answerIssuer, jarmRefusal, readAnswer, signedError } from '../../lib/jwt/jarm.js'
import { signJws, type Members } from '../support/jws.js'
import { rsaKey, type KeyPair } from '../support/key-pairs.js'
import { thrown } from '../support/thrown.js'

const ISSUER = 'https://bank.example'

let key: KeyPair

beforeAll(async () => {
  key = await rsaKey('bank')
})

const opened = (payload: Members | string): { jws: string; outer: object } => ({
  jws: signJws({ alg: 'PS256' }, payload, key),
  outer: {},
})

test('a refused answer is what the browser brought', () => {
  expect(jarmRefusal).toEqual({ code: 'response_invalid', what: "the bank's answer" })
})

describe('an answer', () => {
  test('is a code for a state', () => {
    expect(readAnswer(ISSUER, { state: 'state', code: 'code', iss: ISSUER, extra: 1 })).toEqual({
      issuer: ISSUER,
      state: 'state',
      outcome: { code: 'code' },
    })
  })

  test.each([
    ['login_required', 'login_required'],
    ['access_denied', 'access_denied'],
    ['', undefined],
    ['two words', undefined],
    ['forged\nline', undefined],
    ['x'.repeat(65), undefined],
  ])('or an error for a state: %j is passed on as %j', (error, passed) => {
    expect(readAnswer(ISSUER, { state: 'state', error, error_description: 'the bank says so' })).toEqual({
      issuer: ISSUER,
      state: 'state',
      outcome: { error: passed },
    })
  })

  test.each<[string, unknown]>([
    ['it has no state', { code: 'code' }],
    ['it has no state, but an error', { error: 'access_denied' }],
    ['its state is empty', { code: 'code', state: '' }],
    ['its state is empty, and it has an error', { error: 'access_denied', state: '' }],
    ['its state is a list', { code: 'code', state: ['state'] }],
    ['it has no code and no error', { state: 'state' }],
    ['it has a code and an error', { state: 'state', code: 'code', error: 'access_denied' }],
    ['its code is empty', { state: 'state', code: '' }],
    ['its code is a number', { state: 'state', code: 1 }],
    ['its code is null beside an error', { state: 'state', code: null, error: 'access_denied' }],
    ['its error is an object', { state: 'state', error: {} }],
    ['its error is null beside a code', { state: 'state', code: 'code', error: null }],
    ['it is null', null],
    ['it is a text', 'state=state&code=code'],
  ])('is refused when %s', (_name, payload) => {
    expect(thrown(() => readAnswer(ISSUER, payload))).toMatchObject({
      code: 'response_invalid',
      status: 401,
      message: 'the bank\'s answer has no "state", or neither or both of "code" and "error"',
    })
  })
})

describe('the sender of an opened answer', () => {
  test('is who it says', () => {
    expect(answerIssuer(opened({ iss: ISSUER }))).toBe(ISSUER)
  })

  test.each<[string, Members | string, RegExp]>([
    ['it names nobody', {}, /wrong or missing "iss"/],
    ['it names a list', { iss: [ISSUER] }, /wrong or missing "iss"/],
    ['it names a number', { iss: 1 }, /wrong or missing "iss"/],
    ['it names null', { iss: null }, /wrong or missing "iss"/],
    ['it is no JSON', 'hello', /is malformed/],
    ['it is a list', '[]', /is malformed/],
  ])('is unknown when %s', (_name, payload, message) => {
    const err = thrown(() => answerIssuer(opened(payload)))
    expect(err).toMatchObject({ code: 'response_invalid', status: 401 })
    expect(err.message).toMatch(message)
  })

  test.each(['', 'x', 'e30', 'e30.e30.e30.e30'])('is unknown when it is no JWT: %j', (jws) => {
    expect(thrown(() => answerIssuer({ jws, outer: {} }))).toMatchObject({ code: 'response_invalid' })
  })
})

describe('an authentic error', () => {
  test.each([
    ['access_denied', { code: 'access_denied', status: 401, isFailure: true }],
    ['login_required', { code: 'provider_error', status: 401, isFailure: true }],
    ['consent_required', { code: 'provider_error', status: 401, isFailure: true }],
    ['invalid_scope', { code: 'provider_error', status: 401, isFailure: true }],
    ['server_error', { code: 'provider_error', status: 502, isFailure: false }],
    ['temporarily_unavailable', { code: 'provider_error', status: 503, isFailure: false }],
    [undefined, { code: 'provider_error', status: 401, isFailure: true }],
  ])('%s ends so', (error, expected) => {
    const err = signedError(error)
    expect(err).toMatchObject({ ...expected, statusCode: expected.status })
    expect(err.providerError).toBe(error)
  })

  test('is named in the message', () => {
    expect(signedError('login_required').message).toBe('the bank did not log the person in: login_required')
    expect(signedError(undefined).message).toBe('the bank did not log the person in: no known reason')
  })
})
