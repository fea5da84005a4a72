import { describe, expect, test } from '@jest/globals'
import {
  callbackParams,
  searchParams,
  optionalParam,
  type CallbackParams,
} from '../../lib/client/callback-params.js'
import type { ResponseMode } from '../../lib/client/profile.js'
import { MAX_ANSWER_LENGTH } from '../../lib/jwt/jarm.js'
import { thrown } from '../support/thrown.js'

const read = (query: string, mode: ResponseMode = 'jwt'): CallbackParams | undefined =>
  callbackParams(new URLSearchParams(query), mode)

describe('a callback brings', () => {
  test.each<[string, string, CallbackParams | undefined]>([
    ['an answer', 'response=a.b.c', { response: 'a.b.c' }],
    ['an answer and whatever else', 'tenant=a&response=a.b.c&code=x&error=y&state=s', { response: 'a.b.c' }],
    ['an error', 'error=access_denied&state=s', { error: 'access_denied', state: 's' }],
    ['an error without state', 'error=login_required', { error: 'login_required', state: undefined }],
    ['an empty error', 'error=', { error: undefined, state: undefined }],
    ['an error that is a sentence', 'error=you+must+pay&state=s', { error: undefined, state: 's' }],
    ['an error and a code', 'error=access_denied&code=x', { error: 'access_denied', state: undefined }],
    ['nothing', '', undefined],
    ['parameters of its own', 'tenant=a&state=s&iss=https://bank.example', undefined],
  ])('%s', (_name, query, expected) => {
    expect(read(query)).toEqual(expected)
  })

  test('an answer of up to 64 KiB', () => {
    const response = 'x'.repeat(MAX_ANSWER_LENGTH)
    expect(MAX_ANSWER_LENGTH).toBe(65_536)
    expect(read(`response=${response}`)).toEqual({ response })
  })

  test.each<[string, string, RegExp]>([
    ['an empty answer', 'response=', /"response" is empty/],
    ['an empty answer beside a code', 'response=&code=x', /"response" is empty/],
    ['two answers', 'response=a&response=b', /"response" came more than once/],
    ['one answer twice', 'response=a&response=a', /"response" came more than once/],
    ['an answer that is too long', `response=${'x'.repeat(65_537)}`, /"response" is longer than 64 KiB/],
    ['two errors', 'error=a&error=b', /"error" came more than once/],
    ['an error that is too long', `error=${'x'.repeat(65_537)}`, /"error" is longer than 64 KiB/],
    ['an error of two states', 'error=a&state=s&state=t', /"state" came more than once/],
    ['an error of a long state', `error=a&state=${'x'.repeat(65_537)}`, /"state" is longer than 64 KiB/],
    ['a bare code', 'code=x&state=s', /bare code, which is never used.*inside a signed "response"/],
    ['an empty code', 'code=', /bare code/],
    ['a bare code and its issuer', 'code=x&state=s&iss=https://bank.example', /bare code/],
  ])('but not %s', (_name, query, message) => {
    const err = thrown(() => read(query))
    expect(err).toMatchObject({ code: 'response_invalid', status: 401 })
    expect(err.message).toMatch(message)
  })
})

describe('a callback brings, where answers are plain,', () => {
  const BANK = 'https://bank.example'

  test.each<[string, string, CallbackParams | undefined]>([
    ['a code', `code=c&state=s&iss=${BANK}`, { code: 'c', state: 's', iss: BANK }],
    [
      'a code without its bank, of which others decide',
      'code=c&state=s',
      { code: 'c', state: 's', iss: undefined },
    ],
    [
      'an error',
      `error=access_denied&state=s&iss=${BANK}`,
      { error: 'access_denied', state: 's', iss: BANK },
    ],
    ['an error alone', 'error=access_denied', { error: 'access_denied', state: undefined }],
    ['an error that is a sentence', 'error=you+must+pay&state=s', { error: undefined, state: 's' }],
    [
      'a code and whatever else',
      'tenant=a&code=c&state=s&session_state=x',
      { code: 'c', state: 's', iss: undefined },
    ],
    ['nothing', '', undefined],
    ['the name of a bank alone', `iss=${BANK}`, undefined],
  ])('%s', (_name, query, expected) => {
    expect(read(query, 'query')).toEqual(expected)
  })

  test.each<[string, string, RegExp]>([
    ['a signed answer', 'response=a.b.c', /is a "response", and the option "response_mode" is "query"/],
    ['a signed answer beside a code', 'response=a.b.c&code=c&state=s', /holds response and code/],
    ['a code and an error', 'code=c&error=access_denied&state=s', /holds error and code/],
    ['a code without state', 'code=c', /has no "state"/],
    ['a code with an empty state', 'code=c&state=', /has no "state"/],
    ['an empty code', 'code=&state=s', /"code" is empty/],
    ['two codes', 'code=c&code=d&state=s', /"code" came more than once/],
    ['one code twice', 'code=c&code=c&state=s', /"code" came more than once/],
    ['two states', 'code=c&state=s&state=t', /"state" came more than once/],
    ['one bank twice', `code=c&state=s&iss=${BANK}&iss=${BANK}`, /"iss" came more than once/],
    ['two banks', `code=c&state=s&iss=${BANK}&iss=https://evil.example`, /"iss" came more than once/],
    ['an error of two banks', `error=e&state=s&iss=${BANK}&iss=https://evil.example`, /"iss" came more/],
    ['an error of two states', 'error=e&state=s&state=t', /"state" came more than once/],
    ['two errors', 'error=a&error=b&state=s', /"error" came more than once/],
    ['a code that is too long', `code=${'x'.repeat(65_537)}&state=s`, /"code" is longer than 64 KiB/],
  ])('but not %s', (_name, query, message) => {
    const err = thrown(() => read(query, 'query'))
    expect(err).toMatchObject({ code: 'response_invalid', status: 401 })
    expect(err.message).toMatch(message)
  })
})

describe('a query is read', () => {
  test.each<[string, unknown, string]>([
    ['that Express parsed', { a: '1', b: ['2', '3'] }, 'a=1&b=2&b=3'],
    ['that is a text', 'a=1&b=2', 'a=1&b=2'],
    ['with its question mark', '?a=1', 'a=1'],
    ['that is empty', {}, ''],
    ['that is missing', undefined, ''],
    ['that is null', null, ''],
    ['that is a number', 42, ''],
    ['whose values are objects, as repeated nothing', { a: { b: 'c' } }, 'a=&a='],
    ['whose values are empty lists, as repeated nothing', { a: [] }, 'a=&a='],
    ['whose values are null, as repeated nothing', { a: null }, 'a=&a='],
    ['whose values are no texts, as nothing', { a: 42, b: ['x', { y: 1 }], c: true }, 'a=&b=x&b=&c='],
    ['whose values are missing', { a: undefined }, 'a='],
    ['without a prototype', Object.assign(Object.create(null) as object, { a: '1' }), 'a=1'],
  ])('%s', (_name, query, expected) => {
    expect(searchParams(query).toString()).toBe(expected)
  })

  test('as it is when it is read already', () => {
    const params = new URLSearchParams('a=1')
    expect(searchParams(params)).toBe(params)
  })

  test('without running what a parser left in it', () => {
    const toString = (): never => {
      throw new Error('called')
    }
    expect(searchParams({ response: { toString } }).getAll('response')).toEqual(['', ''])
  })
})

describe('a parameter that may be there once', () => {
  test.each([
    ['a=1', '1'],
    ['b=2&a=1', '1'],
    ['', undefined],
    ['b=2', undefined],
    ['a=', undefined],
    ['a=1&a=1', undefined],
    ['a=1&a=', undefined],
    ['a=&a=1', undefined],
  ])('in %j', (query, value) => {
    expect(optionalParam(new URLSearchParams(query), 'a')).toBe(value)
  })
})
