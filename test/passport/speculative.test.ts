import { describe, expect, test } from '@jest/globals'
import { isSpeculative } from '../../lib/passport/speculative.js'

describe('nobody has asked for', () => {
  test.each<[string, object]>([
    ['a HEAD', { method: 'HEAD', headers: {} }],
    ['an OPTIONS', { method: 'OPTIONS', headers: {} }],
    ['a method that nobody knows', { method: 'get', headers: {} }],
    ['a prefetch', { method: 'GET', headers: { 'sec-purpose': 'prefetch' } }],
    ['a prerender', { method: 'GET', headers: { 'sec-purpose': 'prefetch;prerender' } }],
    ['a prerender alone', { headers: { 'sec-purpose': 'prerender' } }],
    ['a prefetch of older Chrome', { headers: { purpose: 'Prefetch' } }],
    ['a preview of Safari', { headers: { 'x-purpose': 'preview' } }],
    ['a prefetch of older Firefox', { headers: { 'x-moz': 'prefetch' } }],
    ['a form that is posted in advance', { method: 'POST', headers: { 'sec-purpose': 'prefetch' } }],
    ['a prefetch that says so twice', { headers: { 'sec-purpose': ['', 'prefetch'] } }],
  ])('%s', (_name, req) => {
    expect(isSpeculative(req)).toBe(true)
  })
})

describe('somebody has asked for', () => {
  test.each<[string, object]>([
    ['a GET', { method: 'GET', headers: {} }],
    ['a POST', { method: 'POST', headers: {} }],
    ['a request of a host that tells neither method nor headers', {}],
    ['a request for another purpose', { headers: { purpose: 'navigation', 'x-purpose': '' } }],
    ['a request with a word that only looks like one of those', { headers: { purpose: 'prefetching' } }],
    ['a request with such a word in another header', { headers: { referer: 'prefetch' } }],
  ])('%s', (_name, req) => {
    expect(isSpeculative(req)).toBe(false)
  })
})
