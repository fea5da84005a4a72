import { describe, expect, test } from '@jest/globals'
import { requestParams } from '../../lib/passport/request-params.js'
import { thrown } from '../support/thrown.js'

const FORM = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }

const read = (req: object): string => requestParams(req).toString()

describe('the parameters of a request', () => {
  test.each<[string, object, string]>([
    ['are in its URL', { method: 'GET', url: '/cb?response=a.b&x=1', headers: {} }, 'response=a.b&x=1'],
    ['are in its original URL, where a router cut it', { originalUrl: '/a/cb?x=1', url: '/cb' }, 'x=1'],
    ['are none', { method: 'GET', url: '/cb', headers: {} }, ''],
    ['are none without a URL', { method: 'GET', headers: {} }, ''],
    ['end where the URL does', { url: '/cb?x=a?b&y=c' }, 'x=a%3Fb&y=c'],
    ['may come twice', { url: '/cb?x=1&x=2' }, 'x=1&x=2'],
    ['are not those of a parser', { url: '/cb?x=1', query: { x: '2', y: '3' } }, 'x=1'],
    [
      'are not in the body of a GET',
      { method: 'GET', url: '/cb?x=1', headers: FORM, body: { x: '2' } },
      'x=1',
    ],
    [
      'are in a parsed form',
      { method: 'POST', url: '/cb', headers: FORM, body: { response: 'a' } },
      'response=a',
    ],
    [
      'are in both',
      { method: 'POST', url: '/cb?tenant=a', headers: FORM, body: { response: 'a' } },
      'tenant=a&response=a',
    ],
    [
      'are repeated when they are in both',
      { method: 'POST', url: '/cb?response=a', headers: FORM, body: { response: 'b' } },
      'response=a&response=b',
    ],
    [
      'are none in what is no form, whoever should have parsed it',
      { method: 'POST', url: '/cb', headers: { 'content-type': 'text/plain', 'content-length': '2' } },
      '',
    ],
    [
      'may be parsed from JSON',
      { method: 'POST', url: '/cb', headers: { 'content-type': 'application/json' }, body: { x: '1' } },
      'x=1',
    ],
    [
      'are none in an empty form',
      { method: 'POST', url: '/cb', headers: { ...FORM, 'content-length': '0' } },
      '',
    ],
    ['are none in a post of something else', { method: 'POST', url: '/cb?x=1', headers: {} }, 'x=1'],
  ])('%s', (_name, req, expected) => {
    expect(read(req)).toBe(expected)
  })

  test('are never read from the stream of the request', () => {
    const req = {
      method: 'POST',
      url: '/cb',
      headers: FORM,
      body: { response: 'a' },
      on: (): never => {
        throw new Error('read')
      },
    }
    expect(read(req)).toBe('response=a')
  })
})

describe('a form that nobody parsed', () => {
  test.each<[string, object]>([
    ['without a body', { headers: FORM }],
    ['with the body as another parser leaves it', { headers: FORM, body: {} }],
    ['with its length', { headers: { ...FORM, 'content-length': '120' } }],
    [
      'whose type is written in capitals',
      { headers: { 'content-type': 'Application/X-WWW-Form-Urlencoded' } },
    ],
  ])('names the missing middleware: %s', (_name, req) => {
    const err = thrown(() => read({ method: 'POST', url: '/cb', ...req }))
    expect(err).toMatchObject({ code: 'config_invalid', status: 500 })
    expect(err.message).toMatch(
      /nobody parsed: add express\.urlencoded\(\) before passport\.authenticate\(\)/,
    )
  })
})
