import { beforeAll, describe, expect, test } from '@jest/globals'
import { compactVerify, decodeProtectedHeader } from 'jose'
import type { SigningAlg } from '../../lib/jwt/algorithms.js'
import { withLowS } from '../../lib/jwt/low-s.js'
import {
  publicMembers,
  readReceipt,
  readRedacted,
  sealReceipt,
  sealedJws,
  type ReceiptParts,
} from '../../lib/jwt/receipt.js'
import { base64url, signJws, type Members } from '../support/jws.js'
import { ecKey, ed25519Key, publicJwk, rsaKey, type KeyPair } from '../support/key-pairs.js'
import { parsedReceipt, type Parsed } from '../support/receipts.js'
import { thrown } from '../support/thrown.js'

const BEGUN = 1000
const ENDED = 1060

const keyPairs: [SigningAlg, () => Promise<KeyPair>][] = [
  ['PS256', () => rsaKey('app')],
  ['ES256', () => ecKey('app')],
  ['ES384', () => ecKey('app', 'P-384')],
  ['ES512', () => ecKey('app', 'P-521')],
  ['EdDSA', () => ed25519Key('app')],
]

let bank: KeyPair
let genuine: ReceiptParts
let receipt: string

/** An ID token that says this; who signed it is looked at elsewhere. */
const idToken = (claims: Members): { jws: string; key: number } => ({
  jws: signJws({ alg: 'PS256' }, claims, bank),
  key: 0,
})

beforeAll(async () => {
  bank = await rsaKey('bankA')
  const jwk = publicMembers(publicJwk(bank))
  if (!jwk) throw new Error('no key')
  genuine = {
    login: {
      issuer: 'https://bank.example',
      state: 'state',
      nonce: 'nonce',
      interaction_id: 'one',
      clock_tolerance: 30,
    },
    keys: [{ url: 'https://bank.example/jwks', fetched: 900, jwk }],
    answer: { jws: 'a.b.c', key: 0 },
    id_token: idToken({ at_hash: 'x' }),
  }
  receipt = await sealed()
})

async function sealed(
  parts: Partial<ReceiptParts> = {},
  at: Parameters<typeof sealReceipt>[0]['at'] = {},
  [alg, key] = keyPairs[1] as (typeof keyPairs)[number],
): Promise<string> {
  const { privateKey } = await key()
  const signer = { kid: 'seal', alg, key: privateKey as never }
  return sealReceipt({ begun: BEGUN, ended: ENDED, at }, 'app', { ...genuine, ...parts }, signer)
}

const login = (members: object): Partial<ReceiptParts> => ({ login: { ...genuine.login, ...members } })
const madeOf = (text: string): Record<string, string[]> =>
  Object.fromEntries(
    Object.entries(readReceipt(text).statement.checks).map(([name, one]) => [name, one.made]),
  )

const refused = (why: string, what = 'the receipt'): object => ({
  code: 'token_invalid',
  status: 400,
  message: `${what} ${why}`,
})
const MEMBER = 'has a member that is missing, wrong or not known: it may be of a later version'

describe('a receipt is sealed', () => {
  test.each(keyPairs)('with %s, by its type and the name of the key', async (alg, key) => {
    for (let made = 0; made < 4; made++) {
      const one = readReceipt(await sealed({}, {}, [alg, key]))
      const { payload, protectedHeader } = await compactVerify(sealedJws(one), (await key()).publicKey)
      expect(protectedHeader).toEqual({ alg, kid: 'seal', typ: 'idpartner-receipt+json' })
      expect(JSON.parse(Buffer.from(payload).toString())).toEqual(one.statement)
      const signature = one.seal.split('..')[1] ?? ''
      if (alg.startsWith('ES')) expect(signature).toBe(withLowS(signature))
    }
  })

  test('with a salt of its own, and a hash of each part by its name', async () => {
    const same = { jws: 'a.b.c', key: 0 }
    const parts = { answer: same, id_token: same, userinfo: same }
    const [one, other] = [await sealed(parts), await sealed(parts)].map(readReceipt)
    expect(one?.salt).toMatch(/^[\w-]{43}$/)
    expect(other?.salt).not.toBe(one?.salt)
    const hashes = [one, other].flatMap((each) => Object.values(each?.statement.hashes ?? {}))
    expect(new Set(hashes).size).toBe(10)
  })

  test('with when each thing was verified, or when the login ended', async () => {
    const { client_id, begun, ended, checks, version } = readReceipt(
      await sealed({}, { id_token: 1050 }),
    ).statement
    expect([version, client_id, begun, ended]).toEqual([1, 'app', BEGUN, ENDED])
    expect([checks.answer.at, checks.id_token.at]).toEqual([ENDED, 1050])
  })
})

describe('it says which checks were made', () => {
  const ANSWER = ['signature', 'iss', 'aud', 'exp', 'state']
  const TOKEN = ['signature', 'iss', 'sub', 'aud', 'exp', 'iat', 'nonce']

  test.each<[string, () => Partial<ReceiptParts>, object]>([
    ['of a signed answer and an ID token', () => ({}), { answer: ANSWER, id_token: [...TOKEN, 'at_hash'] }],
    [
      'of a document and userinfo',
      () => ({
        ...login({ directory: 'https://directory.example' }),
        document: { jws: 'd.d.d', key: 0 },
        userinfo: { jws: 'u.u.u', key: 0 },
      }),
      {
        document: ['signature', 'iss', 'aud', 'exp', 'iat', 'identity_provider'],
        answer: ANSWER,
        id_token: [...TOKEN, 'at_hash'],
        userinfo: ['signature', 'iss', 'aud', 'sub'],
      },
    ],
    ['of a plain answer', () => ({ answer: { state: 's', iss: 'i' } }), { answer: ['iss', 'state'] }],
    ['of one without "iss"', () => ({ answer: { state: 's' } }), { answer: ['state'] }],
    ['without "at_hash"', () => ({ id_token: idToken({}) }), { id_token: TOKEN }],
    ['with one that is no text', () => ({ id_token: idToken({ at_hash: 1 }) }), { id_token: TOKEN }],
    ['of what is no JWT', () => ({ id_token: { jws: 'x', key: 0 } }), { id_token: TOKEN }],
    ...(['max_age', 'acr_values'] as const).flatMap<[string, () => Partial<ReceiptParts>, object]>((name) => {
      const value = name === 'max_age' ? 0 : 'high'
      const expected = { id_token: [...TOKEN, 'at_hash', name] }
      return [
        [`with "${name}"`, () => login({ [name]: value }), expected],
        [`with "${name}" of every login`, () => login({ floor: { [name]: value } }), expected],
      ]
    }),
  ])('%s', async (_name, parts, expected) => {
    expect(madeOf(await sealed(parts()))).toMatchObject(expected)
  })

  test('and is refused where it does not', async () => {
    for (const change of [
      ({ statement }: Parsed) => statement.checks['id_token']?.made.pop(),
      ({ statement }: Parsed) => statement.checks['id_token']?.made.push('more'),
      ({ statement }: Parsed) => (statement.checks['userinfo'] = { at: 1, made: [] }),
    ]) {
      const parsed = parsedReceipt(await sealed())
      change(parsed)
      expect(thrown(() => readReceipt(parsed))).toMatchObject(
        refused('does not say that all checks were made'),
      )
    }
  })
})

describe('a part that is not the one that was sealed', () => {
  test.each<[string, (parsed: Parsed) => unknown]>([
    ['is another', (p) => (p.parts.login.state = 'another')],
    ['is one more', (p) => Object.assign(p.parts, { userinfo: { jws: 'u.u.u', key: 0 } })],
    ['has its hash with another salt', (p) => (p.salt = 'A'.repeat(43))],
    ['is one of which there is a hash alone', (p) => (p.statement.hashes['userinfo'] = 'A'.repeat(43))],
  ])('%s', (_name, change) => {
    const parsed = parsedReceipt(receipt)
    change(parsed)
    const why = 'is not what was sealed: a part of it was changed, or is of another receipt'
    expect(thrown(() => readReceipt(parsed))).toMatchObject(refused(why))
  })
})

describe('a receipt is read with', () => {
  test.each<[string, () => Partial<ReceiptParts>]>([
    ['the longest tolerance', () => login({ clock_tolerance: 300 })],
    ['none', () => login({ clock_tolerance: 0 })],
    ['a key that was fetched in 1970', () => ({ keys: genuine.keys.map((key) => ({ ...key, fetched: 0 })) })],
    ['no key', () => ({ keys: [] })],
  ])('%s', async (_name, parts) => {
    expect(readReceipt(await sealed(parts()))).toBeDefined()
  })

  test.each(keyPairs)('the public key of a bank that signs with %s', async (_alg, key) => {
    const pair = await key()
    const jwk = publicMembers({ ...publicJwk(pair), d: 'AA', use: 'sig' })
    expect(Object.keys(jwk ?? {}).join()).toMatch(/^kty,(n,e|crv,x|crv,x,y)$/)
    expect(pair.publicKey.export({ format: 'jwk' })).toEqual(jwk)
    const made = await sealed({ keys: [{ url: 'u', fetched: 1, jwk: jwk as never }] })
    expect(readReceipt(made).parts.keys[0]?.jwk).toEqual(jwk)
  })

  test.each([
    { kty: 'oct', k: 'AA' },
    { kty: 'RSA', n: 'AA' },
    { kty: 'EC', crv: 'secp256k1', x: 'AA', y: 'AA' },
    { kty: 'OKP', crv: 'X25519', x: 'AA' },
    {},
  ])('and never with %j', (jwk) => {
    expect(publicMembers(jwk as never)).toBeUndefined()
    const parsed = parsedReceipt(receipt)
    parsed.parts.keys = [{ url: 'u', fetched: 1, jwk: jwk }]
    expect(thrown(() => readReceipt(parsed))).toMatchObject(refused(MEMBER))
  })

  test('4 MiB, and no character more', async () => {
    const rest = 4 * 1024 * 1024 - receipt.length + 'state'.length
    const longest = await sealed(login({ state: 'x'.repeat(rest) }))
    expect(longest).toHaveLength(4 * 1024 * 1024)
    expect(readReceipt(longest).parts.login.nonce).toBe('nonce')
    const longer = await sealed(login({ state: 'x'.repeat(rest + 1) }))
    for (const one of [longer, JSON.parse(longer)]) {
      expect(thrown(() => readReceipt(one))).toMatchObject(refused('is no JSON, or is too long'))
    }
  })
})

describe('a receipt is refused when', () => {
  test.each([undefined, '', '{', () => 1, { toJSON: () => undefined }])('it is no JSON: %p', (one) => {
    expect(thrown(() => readReceipt(one))).toMatchObject(refused('is no JSON, or is too long'))
    expect(thrown(() => readRedacted(one))).toMatchObject(
      refused('is no JSON, or is too long', 'the redacted receipt'),
    )
  })

  test('it is nested without an end', () => {
    const deep = '['.repeat(5000) + ']'.repeat(5000)
    expect(thrown(() => readReceipt(deep))).toMatchObject(refused('is nested too deeply'))
  })

  test('its text is another of the same meaning', () => {
    const other = 'is not written as it was made: keep its text as it is'
    const { statement, seal, salt, parts } = parsedReceipt(receipt)
    for (const text of [` ${receipt}`, JSON.stringify({ seal, statement, salt, parts })]) {
      expect(thrown(() => readReceipt(text))).toMatchObject(refused(other))
    }
    expect(readReceipt({ seal, statement, salt, parts })).toEqual(readReceipt(receipt))
    expect(thrown(() => readRedacted(JSON.stringify({ seal, statement })))).toMatchObject(
      refused(other, 'the redacted receipt'),
    )
    expect(readRedacted({ seal, statement })).toEqual({ statement, seal })
  })

  const signedPart = (name: 'answer' | 'id_token' | 'userinfo' | 'document') =>
    Object.entries({
      'whose key counts from behind': { jws: 'a.b.c', key: -1 },
      'whose key is between two': { jws: 'a.b.c', key: 0.5 },
      'whose key is a text': { jws: 'a.b.c', key: '0' },
      'with no key': { jws: 'a.b.c' },
      'with more': { jws: 'a.b.c', key: 0, more: 1 },
      'that nobody signed': { key: 0 },
      'that is a text': 'a.b.c',
    }).map(([how, part]): [string, (parsed: Parsed) => unknown] => [
      `${name} ${how}`,
      ({ parts }) => Object.assign(parts, { [name]: part }, name === 'document' && withDirectory(parts)),
    ])
  const withDirectory = ({ login }: Parsed['parts']): object => ({
    login: { ...login, directory: 'https://directory.example' },
  })

  test.each<[string, (parsed: Parsed) => unknown]>([
    ['version 0', (p) => (p.statement.version = 0)],
    ['a version as a text', (p) => Object.assign(p.statement, { version: '1' })],
    ['a client of no name', (p) => Object.assign(p.statement, { client_id: 1 })],
    ...(['begun', 'ended'] as const).flatMap((name): [string, (parsed: Parsed) => unknown][] => [
      [`${name} before 1970`, (p) => (p.statement[name] = -1)],
      [`${name} between two seconds`, (p) => (p.statement[name] = 1.5)],
      [`${name} after all time`, (p) => (p.statement[name] = 2 ** 53)],
      [`${name} as a text`, (p) => Object.assign(p.statement, { [name]: '1000' })],
    ]),
    ['a statement with more', (p) => Object.assign(p.statement, { more: 1 })],
    ['no checks of the answer', (p) => delete p.statement.checks['answer']],
    ['no checks of the ID token', (p) => delete p.statement.checks['id_token']],
    ['checks of something else', (p) => (p.statement.checks['more'] = { at: 1, made: [] })],
    ['a check at no time', (p) => Object.assign(p.statement.checks['answer'] ?? {}, { at: -1 })],
    ['a check without a name', (p) => Object.assign(p.statement.checks['answer'] ?? {}, { made: [1] })],
    ['a check with more', (p) => Object.assign(p.statement.checks['answer'] ?? {}, { more: 1 })],
    ...['login', 'keys', 'answer', 'id_token'].map((name): [string, (parsed: Parsed) => unknown] => [
      `no hash: ${name}`,
      (p) => Object.assign(p.statement.hashes, { [name]: undefined }),
    ]),
    ['a hash that is longer', (p) => (p.statement.hashes['login'] = 'A'.repeat(44))],
    ['a hash that is none', (p) => (p.statement.hashes['login'] = '!'.repeat(43))],
    ['a hash of something else', (p) => (p.statement.hashes['more'] = 'A'.repeat(43))],
    ['a salt that is shorter', (p) => (p.salt = p.salt.slice(1))],
    ['a salt that is longer', (p) => (p.salt += 'A')],
    ...['a.b.c', '..b', 'a..', 'a..b.c', 'a..b ', ' a..b', 'a..b..c', 'a.b'].map(
      (seal): [string, (parsed: Parsed) => unknown] => [`the seal ${seal}`, (p) => (p.seal = seal)],
    ),
    ['a further member', (p) => Object.assign(p, { more: 1 })],
    ['a further part', (p) => Object.assign(p.parts, { more: 1 })],
    ...['issuer', 'state', 'nonce', 'interaction_id', 'clock_tolerance'].map(
      (name): [string, (parsed: Parsed) => unknown] => [
        `no ${name}`,
        (p) => Object.assign(p.parts.login, { [name]: undefined }),
      ],
    ),
    ['a tolerance below none', (p) => (p.parts.login['clock_tolerance'] = -1)],
    ['a tolerance above five minutes', (p) => (p.parts.login['clock_tolerance'] = 301)],
    ['a "max_age" that is a text', (p) => (p.parts.login['max_age'] = '1')],
    ['an "acr_values" that is a number', (p) => (p.parts.login['acr_values'] = 1)],
    ['a floor of something else', (p) => (p.parts.login['floor'] = { more: 1 })],
    ['a floor that is a text', (p) => (p.parts.login['floor'] = { max_age: '1' })],
    ['a directory without a document', (p) => Object.assign(p.parts, withDirectory(p.parts))],
    ['a document without a directory', (p) => (p.parts.document = { jws: 'a.b.c', key: 0 })],
    ['a key that is private', (p) => Object.assign(p.parts.keys[0]?.jwk ?? {}, { d: 'AA' })],
    ['a key of nowhere', (p) => Object.assign(p.parts.keys[0] ?? {}, { url: undefined })],
    ['a key of no time', (p) => Object.assign(p.parts.keys[0] ?? {}, { fetched: -1 })],
    ['a key with more', (p) => Object.assign(p.parts.keys[0] ?? {}, { more: 1 })],
    ['keys that are no list', (p) => Object.assign(p.parts, { keys: {} })],
    ['a plain answer without a state', (p) => Object.assign(p.parts, { answer: { iss: 'i' } })],
    ['a plain answer of a number', (p) => Object.assign(p.parts, { answer: { state: 's', iss: 1 } })],
    ['a plain answer with a code', (p) => Object.assign(p.parts, { answer: { state: 's', code: 'c' } })],
    ...signedPart('answer'),
    ...signedPart('id_token'),
    ...signedPart('userinfo'),
    ...signedPart('document'),
  ])('it has %s', (_name, change) => {
    const parsed = parsedReceipt(receipt)
    change(parsed)
    expect(thrown(() => readReceipt(parsed))).toMatchObject(refused(MEMBER))
  })

  test('it is redacted, and a redacted one when it is whole', () => {
    const { statement, seal } = parsedReceipt(receipt)
    expect(thrown(() => readReceipt({ statement, seal }))).toMatchObject(refused(MEMBER))
    expect(thrown(() => readRedacted(receipt))).toMatchObject(refused(MEMBER, 'the redacted receipt'))
  })
})

test('its signed text is its statement between the two ends of the seal', () => {
  const { statement, seal } = readReceipt(receipt)
  const [header = '', signature = ''] = seal.split('..')
  expect(sealedJws({ statement, seal })).toBe(
    `${header}.${base64url(JSON.stringify(statement))}.${signature}`,
  )
  expect(decodeProtectedHeader(seal).typ).toBe('idpartner-receipt+json')
})
