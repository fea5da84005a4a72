import { expect, test } from '@jest/globals'
import { UsedTokens } from '../../lib/logout/used-tokens.js'
import { SECOND, travel, useClock } from '../support/clock.js'

useClock()

test('a token is used once, each by its name', () => {
  const used = new UsedTokens()
  expect([used.use('one', 10), used.use('one', 10), used.use('two', 10)]).toEqual([true, false, true])
})

test('and again when it is out of date, since it is refused for that', () => {
  travel(0)
  const used = new UsedTokens()
  used.use('one', 10)
  travel(9 * SECOND)
  expect(used.use('one', 10)).toBe(false)
  travel(SECOND)
  expect([used.use('one', 10), used.use('one', 10)]).toEqual([true, false])
})

test('and again when nothing came of it', () => {
  const used = new UsedTokens()
  used.use('one', 10)
  used.use('two', 10)
  used.forget('one')
  expect([used.use('two', 10), used.use('one', 10), used.use('one', 10)]).toEqual([false, true, false])
})

test('ten thousand are remembered, and of more the latest', () => {
  const used = new UsedTokens()
  const many = Array.from({ length: 10_000 }, (_, index) => String(index))
  for (const name of many) used.use(name, 10)
  expect(many.map((name) => used.use(name, 10))).not.toContain(true)
  expect(used.use('one more', 10)).toBe(true)
  expect([used.use('1', 10), used.use('9999', 10), used.use('one more', 10)]).toEqual([false, false, false])
  expect(used.use('0', 10)).toBe(true)
})
