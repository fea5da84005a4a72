import { describe, expect, test } from '@jest/globals'
import { isTooDeep, jsonOf, unusableAnswer, shallow } from '../../lib/net/json.js'
import { refusal } from '../support/settle.js'

const KEYS = 'the keys of the bank bank.example'

describe('the JSON of an answer', () => {
  test.each<[string, Response, unknown]>([
    ['is what it holds', Response.json({ keys: [] }), { keys: [] }],
    ['is that of any success', Response.json(null, { status: 201 }), null],
    ['is nothing where there is no body', new Response(null, { status: 204 }), undefined],
  ])('%s', async (_name, response, expected) => {
    expect(await jsonOf(response, KEYS)).toEqual(expected)
  })

  test.each<[string, Response, number, RegExp]>([
    ['HTTP 404', Response.json({}, { status: 404 }), 502, / answered with HTTP 404$/],
    ['HTTP 302', new Response(null, { status: 302 }), 502, / answered with HTTP 302$/],
    ['HTTP 503', Response.json({}, { status: 503 }), 503, / answered with HTTP 503$/],
    ['a page', new Response('<p>hello'), 502, / answered with something else than the JSON it should$/],
    ['an empty body', new Response(''), 502, / answered with something else than the JSON it should$/],
  ])(
    'cannot be had from %s, and the message names whose it was',
    async (_name, response, status, message) => {
      const err = await refusal(jsonOf(response, KEYS))
      expect(err).toMatchObject({ code: 'provider_unavailable', status })
      expect(err.message).toMatch(/^the keys of the bank bank\.example answered /)
      expect(err.message).toMatch(message)
    },
  )
})

test.each([
  [undefined, 502, 'with something else than the JSON it should'],
  [200, 502, 'with something else than the JSON it should'],
  [299, 502, 'with something else than the JSON it should'],
  [300, 502, 'with HTTP 300'],
  [429, 503, 'with HTTP 429'],
  [503, 503, 'with HTTP 503'],
  [504, 502, 'with HTTP 504'],
])('an unusable answer with HTTP %s ends in %d', (status, expected, message) => {
  expect(unusableAnswer(KEYS, status, new Error('why'))).toMatchObject({
    code: 'provider_unavailable',
    status: expected,
    message: `${KEYS} answered ${message}`,
    cause: { message: 'why' },
  })
})

describe('JSON of 32 levels is not too deep, and of more it is', () => {
  const nested = (open: string, close: string, levels: number): string =>
    `${open.repeat(levels)}1${close.repeat(levels)}`

  test.each([
    ['lists', '[', ']'],
    ['objects', '{"a":', '}'],
  ])('%s', async (_name, open, close) => {
    expect(isTooDeep(JSON.parse(nested(open, close, 32)))).toBe(false)
    for (const levels of [33, 5000]) {
      const text = nested(open, close, levels)
      expect(isTooDeep(JSON.parse(text))).toBe(true)
      expect(await refusal(jsonOf(new Response(text), KEYS))).toMatchObject({
        code: 'provider_unavailable',
        status: 502,
      })
    }
  })
})

describe('JSON that somebody else parses', () => {
  const WHAT = 'the discovery document'
  const nested = (levels: number) => `{"a":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`

  test.each([
    { name: '32 levels', body: nested(32) },
    { name: 'brackets in a text', body: JSON.stringify({ a: `\\"${'['.repeat(100)}` }) },
    { name: 'many beside each other', body: `[${'[],'.repeat(100)}{}]` },
    { name: 'a page', body: '<h1>' },
  ])('passes and can still be read: $name', async ({ body }) => {
    await expect((await shallow(new Response(body), WHAT)).text()).resolves.toBe(body)
  })

  test('passes with its status and its headers', async () => {
    const headers = { 'content-type': 'application/json', 'dpop-nonce': 'n' }
    const passed = await shallow(new Response('{}', { status: 201, headers }), WHAT)
    expect(passed.status).toBe(201)
    expect(Object.fromEntries(passed.headers)).toEqual(headers)
  })

  test('passes where there is no body at all', async () => {
    expect((await shallow(new Response(null, { status: 204 }), WHAT)).status).toBe(204)
  })

  test.each([
    { name: '33 levels', body: nested(33) },
    { name: '100,000 levels', body: nested(100_000) },
    { name: 'after a text with a quotation mark', body: `{"\\"":${nested(33)}}` },
  ])('is refused: $name', async ({ body }) => {
    await expect(shallow(new Response(body), WHAT)).rejects.toMatchObject({ code: 'provider_unavailable' })
  })
})
