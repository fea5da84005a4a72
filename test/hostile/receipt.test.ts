import { beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { compactVerify, exportJWK, generateKeyPair, importJWK, type JSONWebKeySet, type JWK } from 'jose'
import { matchReceipt, redactReceipt, verifyReceipt, verifyRedactedReceipt } from 'passport-idpartner/receipt'
import type { SigningAlg } from '../../lib/jwt/algorithms.js'
import { sealReceipt, type ReceiptParts } from '../../lib/jwt/receipt.js'
import { DIRECTORY_ISSUER } from '../support/directory.js'
import { base64url, payloadOf, signJws } from '../support/jws.js'
import { ecKey, publicJwk, publicKeyAsSecret, rsaKey, type KeyPair } from '../support/key-pairs.js'
import { loginWithReceipt, parsedReceipt, type Parsed } from '../support/receipts.js'
import { useScenes } from '../support/scene.js'

useScenes()

let receipt: string
let other: string
let application: JSONWebKeySet
let issuers: Record<string, JSONWebKeySet>
let bank: string

beforeAll(async () => {
  const first = await loginWithReceipt({ encrypted: false }, { userInfoJwt: {} })
  other = (await loginWithReceipt({ platform: first.scene.platform, encrypted: false }, { userInfoJwt: {} }))
    .receipt
  ;({ receipt, application } = first)
  bank = first.scene.platform.bankA.issuer
  issuers = {
    [bank]: { keys: [publicJwk(await rsaKey('bankA'))] },
    [DIRECTORY_ISSUER]: { keys: [publicJwk(await rsaKey('directory'))] },
  }
})

const refused = { name: 'IDPartnerError', code: 'token_invalid', status: 400 }
const judged = (text: unknown, more: object = {}): Promise<unknown> =>
  verifyReceipt(text, { trustAnchors: { application }, ...more })

type Change = (parsed: Parsed, another: Parsed) => unknown

function changed(change: Change): string {
  const parsed = parsedReceipt(receipt)
  change(parsed, parsedReceipt(other))
  return JSON.stringify(parsed)
}

/** Sealed by somebody, with all hashes right. */
async function resealed(
  change: (parts: ReceiptParts) => unknown,
  times = {},
  alg = 'ES256',
): Promise<[string, JSONWebKeySet]> {
  const { privateKey, publicKey } = await generateKeyPair(alg)
  const { statement, parts } = parsedReceipt(receipt)
  const said = parts as unknown as ReceiptParts
  change(said)
  const at = Object.fromEntries(Object.entries(statement.checks).map(([name, one]) => [name, one.at]))
  const { begun, ended } = statement
  const made = await sealReceipt({ begun, ended, at, ...times }, statement.client_id, said, {
    kid: 'k',
    alg: alg as SigningAlg,
    key: privateKey,
  })
  return [made, { keys: [{ ...(await exportJWK(publicKey)), kid: 'k' }] }]
}

test('it is refused when any character of it is another', async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.constantFrom('A', 'B', '0', ' ', '"', '}', '\u0000'), async (at, char) => {
      const place = at % receipt.length
      fc.pre(receipt[place] !== char)
      const bent = receipt.slice(0, place) + char + receipt.slice(place + 1)
      await expect(judged(bent)).rejects.toMatchObject(refused)
      expect(matchReceipt(bent, redactReceipt(receipt))).toBe(false)
    }),
    { numRuns: 300 },
  )
})

/** Every text and number of a value, with what puts another in its place. */
function leaves(
  value: unknown,
  put?: (other: unknown) => void,
): [string | number, (other: unknown) => void][] {
  if (typeof value === 'object' && value !== null) {
    const members = value as Record<string, unknown>
    return Object.keys(members).flatMap((name) => leaves(members[name], (other) => (members[name] = other)))
  }
  return put && (typeof value === 'string' || typeof value === 'number') ? [[value, put]] : []
}

describe('it is refused, as a text and as what a database has parsed, when any value of it', () => {
  const middle = (text: string): number => Math.floor(text.length / 2)
  const swapped = (text: string, at: number): string =>
    text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1)
  test.each<[string, (value: string | number) => unknown]>([
    ['begins otherwise', (value) => (typeof value === 'string' ? swapped(value, 0) : -value - 1)],
    [
      'has another middle',
      (value) => (typeof value === 'string' ? swapped(value, middle(value)) : value + 1),
    ],
    ['ends otherwise', (value) => (typeof value === 'string' ? swapped(value, value.length - 1) : value - 1)],
    ['is shorter', (value) => (typeof value === 'string' ? value.slice(0, -1) : value / 2 + 0.1)],
    ['is longer', (value) => (typeof value === 'string' ? `${value}A` : value * 10 + 1)],
    ['is nothing', () => ''],
    ['is null', () => null],
    ['is of another type', (value) => (typeof value === 'string' ? 1 : String(value))],
  ])('%s', async (_how, change) => {
    const count = leaves(parsedReceipt(receipt)).length
    expect(count).toBeGreaterThan(60)
    for (let index = 0; index < count; index++) {
      const parsed = parsedReceipt(receipt)
      const [value, put] = leaves(parsed)[index] ?? ['', () => undefined]
      put(change(value))
      await expect(judged(parsed)).rejects.toMatchObject(refused)
      await expect(judged(JSON.stringify(parsed))).rejects.toMatchObject(refused)
    }
  })
})

test('it is refused wherever it is cut off, and so is a redacted one', async () => {
  const redacted = redactReceipt(receipt)
  for (let length = 0; length < receipt.length; length += 7) {
    await expect(judged(receipt.slice(0, length))).rejects.toMatchObject(refused)
    await expect(judged(receipt.slice(length + 1))).rejects.toMatchObject(refused)
    const short = verifyRedactedReceipt(redacted.slice(0, length % redacted.length), {
      trustAnchors: { application },
    })
    await expect(short).rejects.toMatchObject(refused)
  }
})

test.each([
  ['ES256', 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'],
  [
    'ES384',
    'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
  ],
  [
    'ES512',
    '01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409',
  ],
])(
  'a seal of %s has one way to be written: the other, which is as good a signature, is refused',
  async (alg, order) => {
    for (let made = 0; made < 4; made++) {
      const [sealed, application] = await resealed(() => undefined, {}, alg)
      const parsed = parsedReceipt(sealed)
      const trustAnchors = { application }
      await expect(judged(sealed, { trustAnchors })).resolves.toBeDefined()
      const [header = '', signature = ''] = parsed.seal.split('..')
      const bytes = Buffer.from(signature, 'base64url')
      const half = bytes.length / 2
      const other = BigInt(`0x${order}`) - BigInt(`0x${bytes.subarray(half).toString('hex')}`)
      const hex = bytes.subarray(0, half).toString('hex') + other.toString(16).padStart(order.length, '0')
      parsed.seal = `${header}..${Buffer.from(hex, 'hex').toString('base64url')}`
      const key = await importJWK(application.keys[0] as JWK, alg)
      const { statement, seal } = parsed
      const payload = Buffer.from(JSON.stringify(statement)).toString('base64url')
      await expect(compactVerify(seal.replace('..', `.${payload}.`), key)).resolves.toBeDefined()
      await expect(judged(JSON.stringify(parsed), { trustAnchors })).rejects.toMatchObject(refused)
    }
  },
)

test('a redacted one is refused when any character of it is another', async () => {
  const redacted = redactReceipt(receipt)
  for (let place = 0; place < redacted.length; place++) {
    const bent = redacted.slice(0, place) + (redacted[place] === 'A' ? 'B' : 'A') + redacted.slice(place + 1)
    await expect(verifyRedactedReceipt(bent, { trustAnchors: { application } })).rejects.toMatchObject(
      refused,
    )
    expect(matchReceipt(receipt, bent)).toBe(false)
  }
})

describe('a receipt is refused when', () => {
  test.each<{ name: string; change: Change }>([
    { name: 'its ID token is of another receipt', change: (p, o) => (p.parts.id_token = o.parts.id_token) },
    { name: 'its answer is of another receipt', change: (p, o) => (p.parts.answer = o.parts.answer) },
    {
      name: 'its document is of another receipt',
      change: (p, o) => Object.assign(p.parts, { document: o.parts.document }),
    },
    { name: 'its document is missing', change: (p) => delete p.parts.document },
    { name: 'all its parts are of another receipt', change: (p, o) => (p.parts = o.parts) },
    { name: 'its parts and salt are', change: (p, o) => Object.assign(p, { parts: o.parts, salt: o.salt }) },
    { name: 'its seal is', change: (p, o) => (p.seal = o.seal) },
    { name: 'its statement is', change: (p, o) => (p.statement = o.statement) },
    { name: 'a check is missing', change: (p) => p.statement.checks['id_token']?.made.pop() },
    { name: 'a check of all is missing', change: (p) => delete p.statement.checks['userinfo'] },
    { name: 'its time was moved', change: (p) => (p.statement.ended += 1) },
    {
      name: 'the time of a key was moved',
      change: (p) => {
        p.parts.keys.forEach((key) => (key.fetched -= 1))
      },
    },
    { name: 'its client is another', change: (p) => (p.statement.client_id = 'another') },
    { name: 'its bank is another', change: (p) => (p.parts.login.issuer = 'https://evil.example') },
    { name: 'a hash is missing', change: (p) => delete p.statement.hashes['userinfo'] },
    { name: 'it has a further member', change: (p) => Object.assign(p, { more: 1 }) },
    { name: 'a part has', change: (p) => Object.assign(p.parts.login, { more: 1 }) },
    { name: 'its version is not known', change: (p) => (p.statement.version = 2) },
    {
      name: 'a key of it is private',
      change: (p) => Object.assign(p.parts.keys[0]?.jwk ?? {}, { d: 'AAAA' }),
    },
    { name: 'it names a key that is not there', change: (p) => (p.parts.id_token.key = 7) },
    ...['none', 'HS256', 'RS256', 'ES256'].map((alg) => ({
      name: `its seal says ${alg}`,
      change: (p: Parsed) =>
        (p.seal = p.seal.replace(
          /^[^.]+/,
          base64url(JSON.stringify({ alg, typ: 'idpartner-receipt+json', kid: application.keys[0]?.kid })),
        )),
    })),
  ])('$name', async ({ change }) => {
    await expect(judged(changed(change))).rejects.toMatchObject(refused)
    await expect(judged(JSON.parse(changed(change)))).rejects.toMatchObject(refused)
  })

  test.each<{ name: string; text: () => unknown }>([
    { name: 'a name stands in it twice', text: () => receipt.replace('{', '{"salt":"x",') },
    { name: 'it has a name of a prototype', text: () => receipt.replace('{', '{"__proto__":{},') },
    { name: 'a constructor', text: () => receipt.replace('{', '{"constructor":1,') },
    { name: 'it has a space more', text: () => `${receipt} ` },
    { name: 'it is written over several lines', text: () => JSON.stringify(JSON.parse(receipt), null, 1) },
    { name: 'it is redacted', text: () => redactReceipt(receipt) },
    { name: 'it is huge', text: () => `${receipt}${' '.repeat(5 * 1024 * 1024)}` },
    { name: 'it is nested deeply', text: () => '['.repeat(100_000) + ']'.repeat(100_000) },
    { name: 'it is a list', text: () => [receipt] },
    ...[undefined, null, '', 'null', 7, () => 1].map((text) => ({ name: String(text), text: () => text })),
  ])('$name', async ({ text }) => {
    await expect(judged(text())).rejects.toMatchObject(refused)
    expect(matchReceipt(text(), redactReceipt(receipt))).toBe(false)
  })

  test('a stranger sealed it', async () => {
    const [made, keys] = await resealed(() => undefined)
    await expect(judged(made)).rejects.toMatchObject(refused)
    await expect(judged(made, { trustAnchors: { application: keys } })).resolves.toBeDefined()
  })

  test('it is of another client that seals with the same key', async () => {
    await expect(judged(receipt, { client_id: 'another' })).rejects.toMatchObject(refused)
  })

  test('its login is after the moment of judgement', async () => {
    const at = new Date(Date.now() - 3_600_000)
    await expect(judged(receipt, { at })).rejects.toMatchObject(refused)
  })

  test.each([
    { name: 'was not yet good', bounds: { nbf: 2e10 } },
    { name: 'was no longer good', bounds: { exp: 1 } },
    { name: 'was stolen since', bounds: { revoked: { revoked_at: 1, reason: 'compromised' } } },
    { name: 'was revoked before', bounds: { revoked: { revoked_at: 1, reason: 'superseded' } } },
  ])('its key $name', async ({ bounds }) => {
    const keys = { keys: application.keys.map((key) => ({ ...key, ...bounds })) }
    await expect(judged(receipt, { trustAnchors: { application: keys } })).rejects.toMatchObject(refused)
  })

  test('its bank is not in the archive, or with another key', async () => {
    const stranger = { keys: [publicJwk(await ecKey('stranger'))] }
    for (const archive of [
      {},
      { ...issuers, [bank]: stranger },
      { ...issuers, [DIRECTORY_ISSUER]: stranger },
    ]) {
      const trustAnchors = { application, issuers: archive }
      await expect(judged(receipt, { trustAnchors })).rejects.toMatchObject(refused)
    }
    await expect(judged(receipt, { trustAnchors: { application, issuers } })).resolves.toBeDefined()
  })
})

describe('what the application itself sealed is refused when', () => {
  const forged = async (key: Promise<KeyPair>, jws: string, claims: object): Promise<string> =>
    signJws({ alg: 'PS256' }, { ...payloadOf(jws), ...claims }, await key)

  test.each<{ name: string; change: (p: ReceiptParts) => Promise<unknown>; times?: object }>([
    {
      name: 'a key of its own making signed the ID token, and nobody has it in an archive',
      change: async (p) => {
        const stranger = rsaKey('stranger')
        const { kty, n, e } = publicJwk(await stranger) as Record<string, string>
        p.keys.push({ url: 'https://x.example', fetched: 1, jwk: { kty, n, e } as never })
        p.id_token = { jws: await forged(stranger, p.id_token.jws, { name: 'X' }), key: p.keys.length - 1 }
      },
    },
    {
      name: 'its ID token is of another login',
      change: async (p) => (p.login.nonce = await Promise.resolve('x')),
    },
    { name: 'its answer is', change: async (p) => (p.login.state = await Promise.resolve('x')) },
    {
      name: 'its userinfo is of another person',
      change: async (p) => {
        if (p.userinfo) p.userinfo.jws = await forged(rsaKey('bankA'), p.userinfo.jws, { sub: 'x' })
      },
    },
    {
      name: 'its answer is not that of the document',
      change: async (p) => {
        if ('jws' in p.answer) p.answer.jws = await forged(rsaKey('bankA'), p.answer.jws, { more: 1 })
      },
    },
    {
      name: 'its ID token was out of date',
      change: () => Promise.resolve(),
      times: { at: { id_token: 2e9, document: 1, answer: 1 } },
    },
    ...['none', 'HS256'].map((alg) => ({
      name: `its ID token says ${alg}`,
      change: async (p: ReceiptParts) => {
        const key = alg === 'none' ? rsaKey('bankA') : publicKeyAsSecret(rsaKey('bankA'))
        p.id_token.jws = signJws({ alg }, payloadOf(p.id_token.jws), await key)
      },
    })),
  ])('$name', async ({ change, times }) => {
    const { parts } = parsedReceipt(receipt)
    await change(parts as unknown as ReceiptParts)
    const [made, keys] = await resealed((said) => Object.assign(said, parts), times)
    await expect(judged(made, { trustAnchors: { application: keys, issuers } })).rejects.toMatchObject(
      refused,
    )
  })
})

test.each<{ name: string; options: object }>([
  { name: 'no trust anchors', options: {} },
  { name: 'no keys of the application', options: { trustAnchors: {} } },
  { name: 'a private key', options: { trustAnchors: { application: { keys: [{ kty: 'RSA', d: 'AA' }] } } } },
  { name: 'a time that is none', options: { at: new Date(NaN) } },
  { name: 'a time in milliseconds', options: { at: Date.now() } },
  { name: 'a client by another name', options: { at: new Date(), clientId: 'another' } },
])('$name cannot be verified with', async ({ options }) => {
  const all = { trustAnchors: 'at' in options ? { application } : undefined, ...options }
  await expect(verifyReceipt(receipt, all as never)).rejects.toMatchObject({ code: 'config_invalid' })
})
