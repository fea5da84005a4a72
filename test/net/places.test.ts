import { expect, test } from '@jest/globals'
import { Places } from '../../lib/net/places.js'

const { signal } = new AbortController()

test('further ones wait, and come in in their order', async () => {
  const places = new Places(1)
  const leave = await places.take(signal)
  const order: string[] = []
  const second = places.take(signal).then((out) => (order.push('second'), out))
  const third = places.take(signal).then((out) => (order.push('third'), out))
  leave()
  leave()
  ;(await second)()
  ;(await third)()
  expect(order).toEqual(['second', 'third'])
  expect(places.isEmpty).toBe(true)
})

test('who gives up has no place, and takes none', async () => {
  const places = new Places(1)
  const leave = await places.take(signal)
  const impatient = new AbortController()
  const waiting = places.take(impatient.signal)
  impatient.abort(new Error('too long'))
  await expect(waiting).rejects.toThrow('too long')
  await expect(places.take(impatient.signal)).rejects.toThrow('too long')
  leave()
  expect(places.isEmpty).toBe(true)
})
