import { describe, expect, test } from '@jest/globals'
import { inside, octets, readBer } from '../../lib/client/ber.js'

const ber = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex')

describe('a value of BER', () => {
  test.each([
    ['has its length in a byte', '04 02 abcd'],
    ['has its length in several', '04 82 0002 abcd'],
    ['has no length, and ends with zeros', '24 80 04 02 abcd 0000'],
    ['is in pieces', '24 06 04 01 ab 04 01 cd'],
  ])('%s', (_, hex) => {
    expect(readBer(ber(hex)).map(octets)).toEqual([ber('abcd')])
  })

  test('is found in others', () => {
    expect(inside(ber('30 06 30 04 04 02 abcd'), 3)).toEqual(ber('abcd'))
  })

  test.each([
    ['ends before its length', '04 03 abcd'],
    ['has a length that is cut off', '04 82 00'],
    ['has a length of five bytes', '04 85 0000000002 abcd'],
    ['is without a length, and has no end', '24 80 04 02 abcd'],
    ['is without a length all the way down', '3080'.repeat(100_000)],
    ['has no length at all', '04'],
  ])('is refused when it %s', (_, hex) => {
    expect(() => readBer(ber(hex))).toThrow(expect.objectContaining({ name: 'RangeError' }))
  })
})
