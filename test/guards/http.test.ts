import type { IncomingMessage } from 'node:http'
import { describe, expect, test } from '@jest/globals'
import { IDPartnerError } from 'passport-idpartner'
import { addressOf, isNavigation, redirect, refuse, wantsPage } from '../../lib/guards/http.js'

const HTML = { accept: 'text/html' }
const asked = (headers: object, method = 'GET'): IncomingMessage => ({ method, headers }) as never

test.each<[boolean, string, object, string]>([
  [true, 'an address that is opened', HTML, 'GET'],
  [true, 'what a browser says of it', { ...HTML, 'sec-fetch-dest': 'document' }, 'GET'],
  [true, 'whether it is there', HTML, 'HEAD'],
  [true, 'whether it is there, before it is opened', { ...HTML, 'sec-purpose': 'prefetch' }, 'HEAD'],
  [false, 'before it is opened', { ...HTML, 'sec-purpose': 'prefetch' }, 'GET'],
  [false, 'what is posted', HTML, 'POST'],
  [false, 'what is asked for by a script', {}, 'GET'],
  [false, 'a frame', { ...HTML, 'sec-fetch-dest': 'iframe' }, 'GET'],
  [false, 'a part of a page', { ...HTML, 'sec-fetch-dest': '' }, 'GET'],
])('that a person opens a page, %s: %s', (expected, _what, headers, method) => {
  expect(isNavigation(asked(headers, method))).toBe(expected)
})

test.each<[boolean, object]>([
  [true, HTML],
  [true, { accept: 'TEXT/HTML' }],
  [true, { accept: 'text/html,application/json' }],
  [true, { accept: ' text/html ; charset=utf-8 , application/json' }],
  [true, { accept: 'application/json;q=0.8,text/html;q=0.9' }],
  [true, { accept: 'application/json; q=0.8, text/html' }],
  [true, { accept: 'application/json;q=0,text/html;q=0.001' }],
  [true, { accept: 'text/html', 'x-requested-with': 'an app' }],
  [false, {}],
  [false, { accept: '' }],
  [false, { accept: '*/*' }],
  [false, { accept: 'text/*' }],
  [false, { accept: 'text/html5' }],
  [false, { accept: 'application/json' }],
  [false, { accept: 'application/json,text/html' }],
  [false, { accept: 'text/html;q=0.8,application/json' }],
  [false, { accept: 'text/html;level=1;q=0.8,application/json;q=0.85' }],
  [false, { accept: 'text/html;q=0' }],
  [false, { ...HTML, 'x-requested-with': 'XMLHttpRequest' }],
  [false, { ...HTML, 'x-requested-with': 'xmlhttprequest' }],
])('that an answer is read by a person, %s: %j', (expected, headers) => {
  expect(wantsPage(asked(headers))).toBe(expected)
})

test.each<[object, string]>([
  [{ originalUrl: '/a/b', url: '/b' }, '/a/b'],
  [{ url: '/b' }, '/b'],
  [{}, ''],
])('the address of %j is %j', (req, expected) => {
  expect(addressOf(req as never)).toBe(expected)
})

/** What becomes of an answer. */
function answering() {
  const headers: Record<string, string> = {}
  const ended: unknown[] = []
  const passed: unknown[] = []
  const res = {
    statusCode: 200,
    setHeader: (name: string, value: string) => {
      headers[name] = value
    },
    end: (body: unknown) => ended.push(body),
  }
  return { res, headers, ended, passed, next: (err: unknown) => passed.push(err) }
}

test.each([
  ['GET', 302],
  ['HEAD', 302],
  ['POST', 303],
])('who is sent elsewhere with %s asks there anew: %d, which nobody keeps', (method, status) => {
  const { res, headers, ended } = answering()
  redirect(asked({}, method), res as never, '/login')
  expect(res.statusCode).toBe(status)
  expect(headers).toEqual({ 'Cache-Control': 'no-store', Location: '/login' })
  expect(ended).toEqual([undefined])
})

describe('a refusal', () => {
  const refusal = (headers: object, method: string, challenge?: string) => {
    const answer = answering()
    const err = new IDPartnerError('access_denied', 'no', { status: 403 })
    refuse(asked(headers, method), answer.res as never, answer.next, {
      err,
      challenge,
      body: { error: 'no' },
    })
    return { ...answer, err }
  }

  test.each([
    ['GET', '{"error":"no"}'],
    ['POST', '{"error":"no"}'],
    ['HEAD', undefined],
  ])('is JSON for scripts, with %s', (method, body) => {
    const { res, headers, ended, passed } = refusal({}, method, 'Bearer')
    expect([res.statusCode, ended, passed]).toEqual([403, [body], []])
    expect(headers).toEqual({
      'Cache-Control': 'no-store',
      'WWW-Authenticate': 'Bearer',
      'Content-Type': 'application/json; charset=utf-8',
    })
  })

  test("is an error for people, which the application's handler shows, with the headers it needs", () => {
    const { res, headers, ended, passed, err } = refusal(HTML, 'POST', 'Bearer')
    expect([res.statusCode, ended, passed]).toEqual([200, [], [err]])
    expect(headers).toEqual({ 'Cache-Control': 'no-store', 'WWW-Authenticate': 'Bearer' })
    expect(err.headers).toEqual(headers)
  })

  test('asks for nothing where no login would help', () => {
    for (const accept of [{}, HTML]) {
      expect(refusal(accept, 'GET').headers).not.toHaveProperty('WWW-Authenticate')
    }
  })
})
