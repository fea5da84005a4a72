import { describe, expect, test } from '@jest/globals'
import { isCallbackRoute } from '../../lib/passport/callback-route.js'

const CALLBACK = 'https://app.example/login/callback'

describe("a request is for the callback's route", () => {
  test.each<[string, object]>([
    ['with its path', { url: '/login/callback' }],
    ['with a query', { url: '/login/callback?response=x' }],
    ['with a slash at its end', { url: '/login/callback/' }],
    ['with several slashes at its end', { url: '/login/callback//' }],
    ['in other letters', { url: '/Login/CALLBACK' }],
    ['with a whole URL', { url: 'https://other.example/login/callback' }],
    ['below a prefix that a proxy has put before it', { url: '/app/login/callback' }],
    ['without a prefix that a proxy has cut off', { url: '/callback' }],
    ['where a router is mounted', { originalUrl: '/login/callback', url: '/' }],
  ])('%s', (_name, req) => {
    expect(isCallbackRoute(req, CALLBACK)).toBe(true)
  })
})

describe("a request is not for the callback's route", () => {
  test.each<[string, object]>([
    ['with another path', { url: '/login' }],
    ['with a longer path', { url: '/login/callback/more' }],
    ['with its path in the query', { url: '/login?to=/login/callback' }],
    ['with the path of the whole application', { url: '/' }],
    ['with no path', {}],
    ['with one that is no URL', { url: 'http://' }],
    ['where its router is mounted elsewhere', { originalUrl: '/other', url: '/login/callback' }],
  ])('%s', (_name, req) => {
    expect(isCallbackRoute(req, CALLBACK)).toBe(false)
  })
})

test('a callback without a path is the route without one, and no other', () => {
  for (const callback of ['https://app.example', 'https://app.example/', 'https://app.example/?tenant=1']) {
    expect(['/', '/?response=x', '/login'].map((url) => isCallbackRoute({ url }, callback))).toEqual([
      true,
      true,
      false,
    ])
  }
})
