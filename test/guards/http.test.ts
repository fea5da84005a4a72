import type { IncomingMessage } from 'node:http'
import { expect, test } from '@jest/globals'
import { addressOf, isNavigation, wantsPage } from '../../lib/guards/http.js'

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
