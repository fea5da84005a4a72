import { generateKeyPairSync } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { errors, exportJWK, type JWK } from 'jose'
import { Http } from '../../lib/net/http.js'
import { remoteKeys, type FindKey } from '../../lib/jwt/remote-keys.js'
import { HOUR, MINUTE, travel, useClock } from '../support/clock.js'
import { answer, empty, hang, html, json, redirect, truncated, type Fault } from '../support/faults.js'
import { ecKey, publicJwk, rsaKey } from '../support/key-pairs.js'
import { Wire, startServer, type Running } from '../support/loopback-server.js'
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

async function jwk(name: string, members: Partial<JWK> = {}): Promise<JWK> {
  return publicJwk(await rsaKey(name), { use: 'sig', alg: 'PS256', ...members })
}

const BANK = 'the keys of the bank bank.example'

const bankKeys = (timeout = 20_000): FindKey =>
  remoteKeys(new Http({ timeout }), BANK, `${server.origin}/jwks`)

/** Asks for a key as jose does for the header of a JWS. */
async function find(keys: FindKey, kid: string | undefined, alg = 'PS256'): Promise<JWK> {
  const key = await keys({ alg, ...(kid !== undefined && { kid }) }, { payload: '', signature: '' })
  return exportJWK(key)
}

const expectKey = async (found: Promise<JWK>, name: string): Promise<void> => {
  expect((await found).n).toBe((await jwk(name)).n)
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
    await find(keys, 'first')
    expect(wire.requests).toHaveLength(2)
  })

  test('may be at an address that is only known later', async () => {
    const keys = remoteKeys(new Http({ timeout: 20_000 }), BANK, () =>
      Promise.resolve(`${server.origin}/jwks`),
    )
    await expectKey(find(keys, 'first'), 'first')
  })

  test('are not fetched from this machine for a party that is elsewhere', async () => {
    const http = new Http({ timeout: 20_000 })
    const keys = remoteKeys(http, BANK, `${server.origin}/jwks`, 'https://bank.example')
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
    await expect(find(keys, 'unknown')).rejects.toBeInstanceOf(errors.JWKSNoMatchingKey)
    expect(wire.requests).toHaveLength(2)
  })

  test('is looked for ten times a minute at most', async () => {
    const keys = bankKeys()
    for (let round = 0; round < 15; round++) {
      await expect(find(keys, `unknown ${String(round)}`)).rejects.toBeInstanceOf(errors.JWKSNoMatchingKey)
    }
    expect(wire.requests).toHaveLength(11)
    travel(MINUTE)
    published = [await jwk('third')]
    await expectKey(find(keys, 'third'), 'third')
  })

  test('is unknown, and not unavailable, only when the keys could be had again', async () => {
    const keys = bankKeys()
    await find(keys, 'first')
    wire.plan('bank.jwks', answer(503), Infinity)
    expect(await refusal(find(keys, 'third'))).toMatchObject({ code: 'provider_unavailable', status: 503 })
    await expectKey(find(keys, 'first'), 'first')
  })

  test('is not guessed: without one, and with several keys that fit, there is none', async () => {
    const keys = bankKeys()
    await expect(find(keys, undefined)).rejects.toBeInstanceOf(errors.JWKSMultipleMatchingKeys)
    expect(wire.requests).toHaveLength(1)
  })

  test('is not needed when a single key fits', async () => {
    published = [await jwk('first'), await jwk('decoy', { use: 'enc' }), publicJwk(await ecKey('decoy'))]
    await expectKey(find(bankKeys(), undefined), 'first')
  })
})

test.each(['e', 'n'])("a key without its %j is its publisher's fault", async (member) => {
  const half = Object.fromEntries(Object.entries(await jwk('first')).filter(([name]) => name !== member))
  published = [half, await jwk('second')]
  const keys = bankKeys()
  expect(await refusal(find(keys, 'first'))).toMatchObject({
    code: 'provider_unavailable',
    status: 502,
    message: `one of ${BANK} fits, but cannot be used`,
  })
  await expectKey(find(keys, 'second'), 'second')
})

test("an RSA key that is too short is its publisher's fault", async () => {
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
    { name: 'a key as a text', fault: answer(200, { keys: ['x'] }), status: 502, message: /something else/ },
    { name: 'a key without kty', fault: answer(200, { keys: [{}] }), status: 502, message: /something else/ },
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
    expect(wire.requests).toHaveLength(2)
  })

  test('are unavailable as well when their address is', async () => {
    const keys = remoteKeys(new Http({ timeout: 20_000 }), BANK, () =>
      Promise.reject(new Error('no address')),
    )
    await expect(find(keys, 'first')).rejects.toThrow('no address')
  })
})
