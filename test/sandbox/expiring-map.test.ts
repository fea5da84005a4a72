import { afterEach, beforeEach, expect, jest, test } from '@jest/globals'
import { ExpiringMap } from '../../lib/sandbox/expiring-map.js'

beforeEach(() => {
  jest.useFakeTimers({ now: 0 })
})

afterEach(() => {
  jest.useRealTimers()
})

test('an entry is there for its time, and not a moment longer', () => {
  const map = new ExpiringMap<string>()
  map.set('a', 'one', 10)
  jest.setSystemTime(9999)
  expect(map.get('a')).toBe('one')
  jest.setSystemTime(10_000)
  expect(map.get('a')).toBeUndefined()
  expect(map.find(() => true)).toBeUndefined()
})

test('setting anew gives new time', () => {
  const map = new ExpiringMap<string>()
  map.set('a', 'one', 10)
  jest.setSystemTime(9000)
  map.set('a', 'two', 10)
  jest.setSystemTime(18_000)
  expect(map.get('a')).toBe('two')
})

test('too many entries push out expired ones first, then the oldest', () => {
  const map = new ExpiringMap<string>(2)
  map.set('old', '1')
  map.set('short', '2', 1)
  jest.setSystemTime(2000)
  map.set('new', '3')
  expect([map.get('old'), map.get('short'), map.get('new')]).toEqual(['1', undefined, '3'])
  map.set('newer', '4')
  expect([map.get('old'), map.get('new'), map.get('newer')]).toEqual([undefined, '3', '4'])
})

test('delete and deleteWhere forget', () => {
  const map = new ExpiringMap<number>()
  map.set('a', 1)
  map.set('b', 2)
  map.set('c', 3)
  map.delete('a')
  map.deleteWhere((value) => value === 2)
  expect([map.get('a'), map.get('b'), map.get('c')]).toEqual([undefined, undefined, 3])
  expect(map.find((value) => value > 2)).toBe(3)
})
