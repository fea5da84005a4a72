import { describe, expect, test } from '@jest/globals'
import { checkAnchors, goodKeys, isAmong } from '../../lib/receipt/trust-anchors.js'
import { ecKey, publicJwk, rsaKey } from '../support/key-pairs.js'
import { thrown } from '../support/thrown.js'

/** When something was sealed, and as of when keys are known to be revoked. */
const SEALED = 1000
const KNOWN = 2000

describe('a key was good', () => {
  const superseded = (revoked_at: number): object => ({ revoked: { revoked_at, reason: 'superseded' } })
  const compromised = (revoked_at: number): object => ({ revoked: { revoked_at, reason: 'compromised' } })

  test.each<[boolean, string, object]>([
    [true, 'where nothing bounds it', {}],
    [true, 'from the second on in which it begins', { nbf: SEALED }],
    [false, 'before it begins', { nbf: SEALED + 1 }],
    [true, 'in the second before it ends', { exp: SEALED + 1 }],
    [false, 'in the second in which it ends', { exp: SEALED }],
    [true, 'between the two', { nbf: SEALED - 1, exp: SEALED + 1 }],
    [true, 'before another took its place', superseded(SEALED + 1)],
    [false, 'when another takes its place', superseded(SEALED)],
    [false, 'while it is known to be stolen', compromised(SEALED + 1)],
    [false, 'when it becomes known to be stolen', compromised(KNOWN)],
    [true, 'as of before it is known to be stolen', compromised(KNOWN + 1)],
    [false, 'while it is revoked for no reason that is said', { revoked: { revoked_at: SEALED + 1 } }],
    [true, 'as of before it is so', { revoked: { revoked_at: KNOWN + 1 } }],
    [false, 'after its end, revoked later or not', { exp: SEALED, ...superseded(KNOWN) }],
  ])('%s: %s', (expected, _when, bounds) => {
    const key = { kty: 'EC', ...bounds }
    expect(goodKeys({ keys: [key] }, SEALED, KNOWN)).toEqual(expected ? [key] : [])
  })

  test('each for itself', () => {
    const keys = [{ kty: 'EC', exp: 1 }, { kty: 'RSA' }]
    expect(goodKeys({ keys }, SEALED, KNOWN)).toEqual([{ kty: 'RSA' }])
  })
})

test('a key is another, whatever it is called, unless all of it is the same', async () => {
  const [one, other] = [publicJwk(await rsaKey('one')), publicJwk(await ecKey('two'))]
  expect(await isAmong([], one)).toBe(false)
  expect(await isAmong([other], one)).toBe(false)
  expect(await isAmong([other, { ...one, kid: 'another', use: 'sig' }], one)).toBe(true)
  // What an archive has that is no key is in nobody's way.
  expect(await isAmong([{ kty: 'RSA' }, one], one)).toBe(true)
  expect(await isAmong([{ kty: 'RSA' }], one)).toBe(false)
})

describe('trust anchors', () => {
  const key = { kty: 'RSA', n: 'AQ', e: 'AQAB' }
  const all = {
    ...key,
    kid: 'k',
    nbf: 1,
    exp: 2.5,
    revoked: { revoked_at: 3, reason: 'superseded', more: 1 },
  }

  test.each<[string, object]>([
    ["the application's keys", { application: { keys: [key, all] } }],
    ['no key at all', { application: { keys: [] } }],
    [
      "and the banks' of an archive",
      { application: { keys: [] }, issuers: { 'https://x': { keys: [all] } } },
    ],
    ['with what else a key set has', { application: { keys: [], more: 1 }, issuers: {} }],
  ])('are %s', (_name, given) => {
    expect(checkAnchors(given)).toEqual(given)
  })

  const wrong = (members: object): object => ({ application: { keys: [{ ...key, ...members }] } })

  test.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /\(see getPublicJWKs\)$/],
    ['a list of keys', [key], /look at application$/],
    ['a key set', { keys: [key] }, /look at application$/],
    ['keys that are no list', { application: { keys: key } }, /look at application\.keys$/],
    ['a further member', { application: { keys: [] }, bank: {} }, /look at bank$/],
    ['a member that is no word', { application: { keys: [] }, 'a\nb c': {} }, /look at a\?b\?c$/],
    ['a long one', { application: { keys: [] }, ['x'.repeat(100)]: {} }, /look at x{80}$/],
    ['a text as a key', { application: { keys: ['x'] } }, /look at application\.keys\.0$/],
    ['a key without a kind', wrong({ kty: undefined }), /look at application\.keys\.0\.kty$/],
    ['a name that is a number', wrong({ kid: 1 }), /\.kid$/],
    ['a beginning that is a text', wrong({ nbf: '1' }), /\.nbf$/],
    ['a beginning that is no time', wrong({ nbf: NaN }), /\.nbf$/],
    ['an end without an end', wrong({ exp: Infinity }), /\.exp$/],
    ['a revocation without a time', wrong({ revoked: { reason: 'superseded' } }), /revoked\.revoked_at$/],
    ['a revocation that is only said', wrong({ revoked: true }), /revoked$/],
    ['a reason that is none', wrong({ revoked: { revoked_at: 1, reason: 1 } }), /revoked\.reason$/],
    ['a private key', wrong({ d: 'AA' }), /look at application\.keys\.0$/],
    ['a secret', wrong({ k: 'AA' }), /look at application\.keys\.0$/],
    ['a private key of the kind AKP', wrong({ priv: 'AA' }), /look at application\.keys\.0$/],
    ['issuers as a list', { application: { keys: [] }, issuers: [key] }, /look at issuers/],
    [
      'a private key of a bank',
      { application: { keys: [] }, issuers: { bank: { keys: [{ ...key, d: 'AA' }] } } },
      /look at issuers\.bank\.keys\.0$/,
    ],
  ])('are refused, by where to look: %s', (_name, given, message) => {
    expect(thrown(() => checkAnchors(given))).toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(message),
    })
    expect(thrown(() => checkAnchors(given)).message).toMatch(/^trustAnchors must be \{ application: /)
  })
})
