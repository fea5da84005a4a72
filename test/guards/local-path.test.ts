import { expect, test } from '@jest/globals'
import * as v from 'valibot'
import { localPath, loginPath, pathnameOf } from '../../lib/guards/local-path.js'

test.each(['/', '/a', '/a//b', '/a?b=//c#d', '/!', '/~', '/[', '/]', `/${'a'.repeat(999)}`])(
  'a path of this site: %s',
  (path) => {
    expect(localPath(path)).toBe(path)
  },
)

test.each([
  ...[
    '',
    'a',
    'a/b',
    '//',
    '//a',
    '/\\',
    '/\\a',
    '/a\\b',
    '\\',
    ' /',
    '/ ',
    '/\t',
    '/\n',
    '/a\n',
    '/\x7f',
    '/é',
  ],
  ...[`/${'a'.repeat(1000)}`, undefined, null, 1, [['/a']], { toString: () => '/a' }],
])('none: %j', (path) => {
  expect(localPath(path)).toBeUndefined()
})

test.each([
  ['/a', '/a'],
  ['/a/', '/a'],
  ['/a//', '/a'],
  ['/A/b', '/a/b'],
  ['/a/?b', '/a'],
  ['/a#b', '/a'],
  ['/a/#b?c', '/a'],
  ['/', ''],
  ['', ''],
  ['?a', ''],
])('of %j routers compare %j', (path, expected) => {
  expect(pathnameOf(path)).toBe(expected)
})

test('a login route is a path without a fragment, and may have a query', () => {
  for (const path of ['/login', '/login?from=guard']) expect(v.parse(loginPath, path)).toBe(path)
  for (const path of ['//login', 1]) {
    expect(v.safeParse(loginPath, path).issues).toMatchObject([{ message: 'must be a path of this site' }])
  }
  for (const path of ['/login#', '/login?a#b']) {
    expect(v.safeParse(loginPath, path).issues).toMatchObject([{ message: 'must have no fragment' }])
  }
})
