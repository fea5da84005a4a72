import { generateKeyPairSync } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { exportJWK, type JWK } from 'jose'
import { Http } from '../../lib/net/http.js'
import type { SigningAlg } from '../../lib/jwt/algorithms.js'
import { remoteKeys, type FindKeys } from '../../lib/jwt/remote-keys.js'
import { HOUR, MINUTE, travel, useClock } from '../support/clock.js'
import { answer, empty, hang, html, json, redirect, truncated, type Fault } from '../support/faults.js'
import { ecKey, publicJwk, rsaKey } from '../support/key-pairs.js'
import { Wire, startServer, type Running } from '../support/loopback-server.js'
import { firstOf } from '../support/published-keys.js'
import { refusal } from '../support/settle.js'

useClock()

let wire: Wire
let server: Running
let published: JWK[]

beforeEach(async () => {
  wire = new Wire()
  published = [await jwk('first'), await jwk('second')]
  server = await startServer('bank', { 'jwks /jwks': () => json({ keys: published }) }, wire)
})

afterEach(() => server.close())

async function jwk(name: string, members: object = {}): Promise<JWK> {
  return publicJwk(await rsaKey(name), { use: 'sig', alg: 'PS256', ...members })
}

const BANK = 'the keys of the bank bank.example'
const ABOUT = { issuer: 'https://bank.example' }

const bankKeys = (timeout = 20_000): FindKeys =>
  remoteKeys(new Http({ timeout }), BANK, `${server.origin}/jwks`, ABOUT)

/** All that may have made a signature, as far as it is asked: the modulus or the point of each. */
async function all(keys: FindKeys, kid: string | undefined, alg: SigningAlg = 'PS256'): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const key of keys(alg, kid)) {
    const { n, x } = await exportJWK(key)
    found.push(n ?? x)
  }
  return found
}

/** The one that is tried first. */
async function find(keys: FindKeys, kid: string | undefined): Promise<JWK | undefined> {
  const key = await firstOf(keys('PS256', kid))
  return key && exportJWK(key)
}

const expectKey = async (found: Promise<JWK | undefined>, name: string): Promise<void> => {
  expect((await found)?.n).toBe((await jwk(name)).n)
}

const expectNone = async (found: Promise<unknown[]>): Promise<void> => {
  expect(await found).toEqual([])
}

describe('published keys', () => {
  test('are found by their names', async () => {
    const keys = bankKeys()
    await expectKey(find(keys, 'first'), 'first')
    await expectKey(find(keys, 'second'), 'second')
  })

  test('are asked for as JSON, and not before they are needed', async () => {
    const keys = bankKeys()
    expect(wire.requests).toEqual([])
    await find(keys, 'first')
    expect(wire.requests[0]?.headers.accept).toBe('application/json')
  })

  test('are fetched once by all who wait for them', async () => {
    const keys = bankKeys()
    await Promise.all(Array.from({ length: 20 }, () => find(keys, 'first')))
    expect(wire.requests).toHaveLength(1)
  })

  test('are fetched again after five minutes', async () => {
    const keys = bankKeys()
    await find(keys, 'first')
    travel(4.9 * MINUTE)
    await find(keys, 'first')
    expect(wire.requests).toHaveLength(1)
    travel(0.2 * MINUTE)
    published = [await jwk('third')]
    await expectKey(find(keys, 'third'), 'third')
    expect(wire.requests).toHaveLength(2)
  })

  test('that were withdrawn during an hour of silence are not taken any more', async () => {
    const keys = bankKeys()
    await find(keys, 'first')
    travel(HOUR)
    published = [await jwk('third')]
    await expectNone(all(keys, 'first'))
    expect(wire.requests).toHaveLength(2)
  })

  test('may be at an address that is only known later', async () => {
    const keys = remoteKeys(
      new Http({ timeout: 20_000 }),
      BANK,
      () => Promise.resolve(`${server.origin}/jwks`),
      ABOUT,
    )
    await expectKey(find(keys, 'first'), 'first')
  })

  test('are not fetched from this machine for a party that is elsewhere', async () => {
    const http = new Http({ timeout: 20_000 })
    const keys = remoteKeys(http, BANK, `${server.origin}/jwks`, ABOUT, 'https://bank.example')
    expect(await refusal(find(keys, 'first'))).toMatchObject({
      code: 'provider_unavailable',
      message: expect.stringContaining('has an address of this machine'),
    })
    expect(wire.requests).toEqual([])
  })

  test('may be among keys of other kinds, which are not taken for them', async () => {
    const curve = { ...publicJwk(await ecKey('decoy', 'secp256k1')), kid: 'first' }
    published = [
      { kty: 'unheard-of', kid: 'first' },
      curve,
      publicJwk(await ecKey('decoy'), { kid: 'first' }),
      await jwk('decoy', { kid: 'first', use: 'enc', alg: 'RSA-OAEP' }),
      await jwk('first'),
    ]
    await expectKey(find(bankKeys(), 'first'), 'first')
  })
})

describe('a name that is not among the keys', () => {
  test('is found at once when the keys were rotated a moment ago', async () => {
    const keys = bankKeys()
    await find(keys, 'first')
    published = [await jwk('third')]
    await expectKey(find(keys, 'third'), 'third')
    expect(wire.requests).toHaveLength(2)
  })

  test('is looked for once more, and then it is unknown', async () => {
    const keys = bankKeys()
    await find(keys, 'first')
    await expectNone(all(keys, 'unknown'))
    expect(wire.requests).toHaveLength(2)
  })

  test('is not looked for again in keys that were fetched for it', async () => {
    await expectNone(all(bankKeys(), 'unknown'))
    expect(wire.requests).toHaveLength(1)
  })

  test('is found after a rotation, however many ask for unknown ones', async () => {
    const keys = bankKeys()
    await find(keys, 'first')
    const forged = Array.from({ length: 12 }, (_, at) => all(keys, `unknown ${String(at)}`))
    published = [await jwk('third')]
    await expectKey(find(keys, 'third'), 'third')
    for (const one of forged) await expectNone(one)
    expect(wire.requests).toHaveLength(2)
  })

  test('is unknown, and not unavailable, only when the keys could be had again', async () => {
    const keys = bankKeys()
    await find(keys, 'first')
    wire.plan('bank.jwks', answer(503), Infinity)
    expect(await refusal(find(keys, 'third'))).toMatchObject({ code: 'provider_unavailable', status: 503 })
    await expectKey(find(keys, 'first'), 'first')
  })

  test('is not needed when a single key fits', async () => {
    published = [await jwk('first'), await jwk('decoy', { use: 'enc' }), publicJwk(await ecKey('decoy'))]
    await expectKey(find(bankKeys(), undefined), 'first')
  })
})

describe('several keys of one name', () => {
  test('are tried one after the other, the same one once', async () => {
    const again = Object.fromEntries(Object.entries(await jwk('first')).filter(([name]) => name !== 'alg'))
    published = [await jwk('first'), again, await jwk('second', { kid: 'first' })]
    const keys = await all(bankKeys(), 'first')
    expect([...new Set(keys)]).toEqual([(await jwk('first')).n, (await jwk('second')).n])
    expect(keys).toHaveLength(2)
  })

  test('are a handful at most', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    const pairs = await Promise.all(names.map((name) => ecKey(`handful-${name}`)))
    published = pairs.map((pair) => publicJwk(pair, { kid: 'one' }))
    expect(new Set(await all(bankKeys(), 'one', 'ES256')).size).toBe(5)
    expect(new Set(await all(bankKeys(), undefined, 'ES256')).size).toBe(5)
  })

  test('are all that fit when a signature names none', async () => {
    published = [
      await jwk('first', { use: 'enc' }),
      publicJwk(await ecKey('decoy')),
      await jwk('second', { alg: 'RS256' }),
      await jwk('third'),
      await jwk('fourth', { kid: undefined }),
    ]
    const expected = [(await jwk('third')).n, (await jwk('fourth')).n]
    expect([...new Set(await all(bankKeys(), undefined))]).toEqual(expected)
  })

  test('come before those that have no name', async () => {
    published = [await jwk('second', { kid: undefined }), await jwk('first')]
    expect([...new Set(await all(bankKeys(), 'first'))]).toEqual([published[1]?.n, published[0]?.n])
  })
})

describe('a key is found although', () => {
  /** Stands for so many levels that no library function could write them. */
  const DEEP = 'nested deeply'
  const answered = (body: object): Fault =>
    answer(200, JSON.stringify(body).replaceAll(`"${DEEP}"`, `${'['.repeat(5000)}${']'.repeat(5000)}`))

  test.each<[string, (key: JWK) => unknown[]]>([
    ...['alg', 'use', 'key_ops', 'x5c', 'x5t', 'x5u', 'crv', 'ext', 'd'].map(
      (name): [string, (key: JWK) => unknown[]] => [
        `its ${name} is null`,
        (key) => [{ ...key, [name]: null }],
      ],
    ),
    ['its kid is null', (key) => [{ ...key, kid: null }]],
    ['its x5c is a text', (key) => [{ ...key, x5c: 'MII' }]],
    ['its x5t is a number', (key) => [{ ...key, x5t: 1, 'x5t#S256': {} }]],
    ['it has members that nobody knows', (key) => [{ ...key, exp: 1, logo: { deep: [] } }]],
    ['it has a member that is nested deeply', (key) => [{ ...key, logo: DEEP }]],
    ['it is listed again', (key) => [key, key]],
    ['there is null beside it', (key) => [null, key]],
    ['there is an empty object beside it', (key) => [{}, key]],
    ['there are a text, a number and a list beside it', (key) => ['key', 1, [key], key]],
    ['there is something deep beside it', (key) => [DEEP, { kty: DEEP, kid: 'first' }, key]],
    ['there is an unknown kind beside it', (key) => [{ kty: 'LATTICE', kid: 'first' }, key]],
    [
      'there is an unknown curve beside it',
      (key) => [{ kty: 'EC', crv: 'P-1', kid: 'first', x: 'AA', y: 'AA' }, key],
    ],
    ['there is a secret beside it', (key) => [{ kty: 'oct', k: 'AAAA', kid: 'first', alg: 'PS256' }, key]],
    ...['alg', 'use', 'key_ops', 'kid', 'kty', 'n', 'e'].map((name): [string, (key: JWK) => unknown[]] => [
      `another has a wrong type as its ${name}`,
      (key) => [{ ...key, [name]: { a: 1 } }, key],
    ]),
    ['another of its name is half there', ({ n: _n, ...half }) => [half, { ...half, n: _n }]],
    ['another of its name is empty', (key) => [{ ...key, n: '' }, key]],
    ['another of its name is too short', (key) => [{ ...key, n: (key.n ?? '').slice(0, 171) }, key]],
  ])('%s', async (_name, keys) => {
    wire.plan('bank.jwks', answered({ keys: keys(await jwk('first')) }), Infinity)
    await expectKey(find(bankKeys(), 'first'), 'first')
  })

  test('the set has members that nobody knows', async () => {
    wire.plan('bank.jwks', answered({ keys: published, next: DEEP }), Infinity)
    await expectKey(find(bankKeys(), 'first'), 'first')
  })
})

describe("a key that fits and cannot be used is its publisher's fault", () => {
  const half =
    (name: string): ((key: JWK) => unknown) =>
    (key) => ({ ...key, [name]: undefined })

  test.each<[string, (key: JWK) => unknown]>([
    ['it has no e', half('e')],
    ['it has no n', half('n')],
    ['its n is null', (key) => ({ ...key, n: null })],
    ['its private half is published as well', (key) => ({ ...key, d: 'AAAA' })],
  ])('%s', async (_name, bend) => {
    published = [bend(await jwk('first')) as JWK, await jwk('second')]
    const keys = bankKeys()
    expect(await refusal(find(keys, 'first'))).toMatchObject({
      code: 'provider_unavailable',
      status: 502,
      message: `one of ${BANK} fits, but cannot be used`,
    })
    await expectKey(find(keys, 'second'), 'second')
  })

  test('its private half stands under another name', async () => {
    published = [await jwk('first', { kid: 'other', d: 'AAAA' }), await jwk('first')]
    expect(await refusal(find(bankKeys(), 'first'))).toMatchObject({
      code: 'provider_unavailable',
      cause: { message: 'its private half is published as well' },
    })
  })

  test('it is too short', async () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2040 })
    published = [
      { ...(publicKey.export({ format: 'jwk' }) as JWK), kid: 'short', use: 'sig', alg: 'PS256' },
      await jwk('second'),
    ]
    const keys = bankKeys()
    expect(await refusal(find(keys, 'short'))).toMatchObject({
      code: 'provider_unavailable',
      status: 502,
      message: `one of ${BANK} fits, but cannot be used`,
      cause: { message: 'it has 2040 bits' },
    })
    await expectKey(find(keys, 'second'), 'second')
  })
})

describe('where no known key verifies', () => {
  test('they may have been replaced under the same name', async () => {
    const keys = bankKeys()
    await find(keys, 'first')
    published = [await jwk('third', { kid: 'first' })]
    expect(await all(keys, 'first')).toEqual([(await jwk('first')).n, (await jwk('third')).n])
  })

  test('the signature is wrong, whether or not newer ones can be had', async () => {
    const keys = bankKeys()
    await find(keys, 'first')
    wire.plan('bank.jwks', answer(503), Infinity)
    expect(await all(keys, 'first')).toEqual([(await jwk('first')).n])
  })
})

describe('keys that cannot be had', () => {
  test.each<{ name: string; fault: Fault; status: number; message: RegExp }>([
    {
      name: 'HTTP 404',
      fault: answer(404),
      status: 502,
      message: /^the keys of the bank bank.example answered with HTTP 404/,
    },
    {
      name: 'HTTP 401',
      fault: answer(401),
      status: 502,
      message: /^the keys of the bank bank.example answered with HTTP 401/,
    },
    {
      name: 'HTTP 500',
      fault: answer(500),
      status: 502,
      message: /^the keys of the bank bank.example answered with HTTP 500/,
    },
    {
      name: 'HTTP 503',
      fault: answer(503),
      status: 503,
      message: /^the keys of the bank bank.example answered with HTTP 503/,
    },
    {
      name: 'a redirect',
      fault: redirect('/jwks'),
      status: 502,
      message: /^the keys of the bank bank.example answered with HTTP 302/,
    },
    {
      name: 'nothing',
      fault: empty,
      status: 502,
      message: /^the keys of the bank bank.example answered with something else/,
    },
    {
      name: 'a page',
      fault: html,
      status: 502,
      message: /^the keys of the bank bank.example answered with something else/,
    },
    {
      name: 'half of it',
      fault: truncated,
      status: 502,
      message: /^the keys of the bank bank.example answered with something else/,
    },
    { name: 'null', fault: answer(200, 'null'), status: 502, message: /something else/ },
    { name: 'a list', fault: answer(200, []), status: 502, message: /something else/ },
    { name: 'keys as an object', fault: answer(200, { keys: {} }), status: 502, message: /something else/ },
    { name: 'no keys at all', fault: answer(200, {}), status: 502, message: /something else/ },
    { name: 'keys as null', fault: answer(200, { keys: null }), status: 502, message: /something else/ },
    ...[
      [],
      ['x'],
      [null, {}],
      [{ kty: 'LATTICE', kid: 'first' }],
      [{ kty: 'oct', kid: 'first', k: 'AAAA' }],
    ].map((keys) => ({
      name: `none that is of use: ${JSON.stringify(keys)}`,
      fault: answer(200, { keys }),
      status: 502,
      message: /^among the keys of the bank bank.example is none for PS256$/,
    })),
  ])('are unavailable: $name', async ({ fault, status, message }) => {
    const keys = bankKeys()
    wire.plan('bank.jwks', fault, Infinity)
    const err = await refusal(find(keys, 'first'))
    expect(err).toMatchObject({ code: 'provider_unavailable', status })
    expect(err.message).toMatch(message)
    wire.heal()
    await expectKey(find(keys, 'first'), 'first')
  })

  test('are unavailable: silence', async () => {
    wire.plan('bank.jwks', hang, Infinity)
    expect(await refusal(find(bankKeys(100), 'first'))).toMatchObject({
      code: 'provider_unavailable',
      status: 504,
      message: expect.stringContaining('gave no whole answer in time'),
    })
  })

  test('are covered by the last good copy for a day', async () => {
    const keys = bankKeys()
    await find(keys, 'first')
    wire.plan('bank.jwks', answer(503), Infinity)
    travel(24 * HOUR)
    await expectKey(find(keys, 'first'), 'first')
    travel(24 * HOUR + 6 * MINUTE)
    expect(await refusal(find(keys, 'first'))).toMatchObject({ code: 'provider_unavailable', status: 503 })
  })

  test('are not asked for by every login meanwhile', async () => {
    const keys = bankKeys()
    await find(keys, 'first')
    wire.plan('bank.jwks', answer(404), Infinity)
    travel(6 * MINUTE)
    for (let login = 0; login < 5; login++) await find(keys, 'first')
    await refusal(find(keys, 'third'))
    const asked = wire.requests.length
    for (let login = 0; login < 5; login++) await find(keys, 'first')
    expect(wire.requests).toHaveLength(asked)
  })

  test('are unavailable as well when their address is', async () => {
    const keys = remoteKeys(
      new Http({ timeout: 20_000 }),
      BANK,
      () => Promise.reject(new Error('no address')),
      ABOUT,
    )
    await expect(find(keys, 'first')).rejects.toThrow('no address')
  })
})
