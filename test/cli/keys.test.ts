import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { JSONWebKeySet, JWK } from 'jose'
import { IDPartner } from 'passport-idpartner'
import { cli, cliJson, privateValues } from '../support/cli.js'
import { clientJwks } from '../support/key-pairs.js'

let folder: string
let file: string

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'keys-'))
  file = path.join(folder, 'jwks.json')
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** RSA keys take long to make. */
const QUICK = ['--alg', 'ES256', '--enc', 'ECDH-ES']

type Key = JWK & { status?: string }

const stored = (): { keys: Key[] } => JSON.parse(readFileSync(file, 'utf8')) as { keys: Key[] }
const statuses = (): unknown[] => stored().keys.map(({ use, status }) => [use, status])
const store = (jwks: unknown): void => {
  writeFileSync(file, typeof jwks === 'string' ? jwks : JSON.stringify(jwks), { mode: 0o600 })
}
const kids = (): (string | undefined)[] => stored().keys.map(({ kid }) => kid)
const publicKids = async (jwks: JSONWebKeySet): Promise<unknown[]> => {
  const client = new IDPartner({
    client_id: 'app',
    callback: 'https://app.example/cb',
    jwks,
    id_token_encrypted_response_alg: ['RSA-OAEP', 'ECDH-ES'],
  })
  return (await client.getPublicJWKs()).keys.map(({ kid }) => kid)
}

describe('keys new', () => {
  test('makes a signing and an encryption key that the options accept, for their owner alone', async () => {
    expect(await cli(['keys', 'new', file])).toMatchObject({
      code: 0,
      out: expect.stringContaining(`"jwks": pathToFileURL('${file}'), or JSON.parse(`),
      err: '',
    })
    expect(statuses()).toEqual([
      ['sig', 'current'],
      ['enc', 'current'],
    ])
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(await publicKids(stored())).toEqual(kids())
    expect(readdirSync(folder)).toEqual(['jwks.json'])
  })

  test('makes keys of the algorithms that are asked for', async () => {
    await cli(['keys', 'new', file, '--alg', 'ES384', '--enc', 'ECDH-ES+A256KW'])
    expect(stored().keys.map(({ alg }) => alg)).toEqual(['ES384', 'ECDH-ES+A256KW'])
  })

  test('never overwrites, and leaves nothing behind', async () => {
    store('precious')
    const { code, err } = await cli(['keys', 'new', file])
    expect([code, err]).toEqual([2, expect.stringMatching(/exists, and is never overwritten/)])
    expect(readFileSync(file, 'utf8')).toBe('precious')
    expect(readdirSync(folder)).toEqual(['jwks.json'])
  })

  test('of two at the same moment makes one', async () => {
    const ran = await Promise.all([cli(['keys', 'new', file]), cli(['keys', 'new', file])])
    expect(ran.map(({ code }) => code).sort()).toEqual([0, 2])
    expect(readdirSync(folder)).toEqual(['jwks.json'])
  })

  test.each([
    ['a folder that is not there', ['no/such/jwks.json'], /cannot be written \(ENOENT\)/],
    ['an algorithm that is none of ours', ['jwks.json', '--alg', 'RS256'], /PS256/],
    ['keys that are too short', ['jwks.json', '--modulus-length', '1024'], /2048/],
    ['a size that is no number', ['jwks.json', '--modulus-length', 'big'], /number of bits/],
    ['no file', [], /missing required argument 'FILE'/],
  ])('refuses %s', async (_name, [name, ...options], message) => {
    const args = name === undefined ? [] : [path.join(folder, name), ...options]
    expect(await cli(['keys', 'new', ...args])).toMatchObject({
      code: 2,
      err: expect.stringMatching(message),
    })
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('a rotation', () => {
  beforeEach(async () => {
    await cli(['keys', 'new', file, ...QUICK])
  })

  test('adds keys, puts them in the place of the others, and drops those', async () => {
    const [sig, enc] = kids()
    expect(await cli(['keys', 'next', file])).toMatchObject({ code: 0 })
    expect(statuses()).toEqual([
      ['sig', 'current'],
      ['enc', 'current'],
      ['sig', 'next'],
      ['enc', 'next'],
    ])
    const [, , nextSig, nextEnc] = kids()
    expect(await publicKids(stored())).toEqual([sig, enc, nextSig, nextEnc])

    expect(await cli(['keys', 'promote', file])).toMatchObject({ code: 0 })
    expect(statuses()).toEqual([
      ['sig', 'retired'],
      ['enc', 'retired'],
      ['sig', 'current'],
      ['enc', 'current'],
    ])
    // Whoever encrypts takes the first.
    expect(await publicKids(stored())).toEqual([nextSig, nextEnc, sig, enc])

    expect(await cli(['keys', 'retire', file])).toMatchObject({
      code: 0,
      out: expect.stringContaining('--drop'),
    })
    expect(await publicKids(stored())).toEqual([nextSig, nextEnc, sig, enc])

    expect(await cli(['keys', 'retire', file, '--drop'])).toMatchObject({ code: 0 })
    expect(kids()).toEqual([nextSig, nextEnc])
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder)).toEqual(['jwks.json'])
  })

  test('asks for a restart only where the file is not read again', async () => {
    for (const step of [['next'], ['promote'], ['retire', '--drop']]) {
      const [name = '', ...options] = step
      const { out } = await cli(['keys', name, file, ...options])
      expect([step, out]).toEqual([step, expect.stringContaining('whose option "jwks" is no file: URL')])
    }
  })

  test('may be of one use alone', async () => {
    await cli(['keys', 'next', file, '--use', 'sig'])
    await cli(['keys', 'promote', file])
    expect(statuses()).toEqual([
      ['sig', 'retired'],
      ['enc', 'current'],
      ['sig', 'current'],
    ])
  })

  test('keeps the algorithms, or changes them', async () => {
    await cli(['keys', 'next', file, '--use', 'sig'])
    expect(stored().keys.at(-1)?.alg).toBe('ES256')
    await cli(['keys', 'promote', file])
    await cli(['keys', 'next', file, '--use', 'sig', '--alg', 'ES384'])
    await cli(['keys', 'promote', file])
    expect(stored().keys.map(({ alg, status }) => [alg, status])).toEqual([
      ['ES256', 'retired'],
      ['ECDH-ES', 'current'],
      ['ES256', 'retired'],
      ['ES384', 'current'],
    ])
  })

  test('leaves a key of another algorithm where it is, beside one of its own', async () => {
    const { keys } = stored()
    const other = path.join(folder, 'other.json')
    await cli(['keys', 'new', other, '--alg', 'EdDSA', '--enc', 'ECDH-ES'])
    const [eddsa] = (JSON.parse(readFileSync(other, 'utf8')) as JSONWebKeySet).keys
    store({ keys: [...keys, eddsa] })
    await cli(['keys', 'next', file, '--use', 'sig'])
    await cli(['keys', 'promote', file])
    expect(stored().keys.map(({ alg, status }) => [alg, status])).toEqual([
      ['ES256', 'retired'],
      ['ECDH-ES', 'current'],
      ['EdDSA', 'current'],
      ['ES256', 'current'],
    ])
  })

  test('takes up a file that was made without statuses or names, and keeps the names its keys had', async () => {
    const before = await clientJwks()
    store({ keys: before.keys.map((key) => ({ ...key, kid: undefined })) })
    await cli(['keys', 'next', file])
    expect(statuses().slice(0, 2)).toEqual([
      ['sig', 'current'],
      ['enc', 'current'],
    ])
    expect(kids().slice(0, 2)).toEqual(before.keys.map(({ kid }) => kid))
  })

  test('replaces what a link leads to, not the link', async () => {
    const link = path.join(folder, 'link.json')
    symlinkSync(file, link)
    await cli(['keys', 'next', link])
    expect(statuses()).toHaveLength(4)
  })

  test.each<[string, string[][], RegExp]>([
    ['promote without a next key', [['promote']], /no next key/],
    ['a second next key', [['next'], ['next']], /has a next key already/],
    ['retire without a retired key', [['retire']], /no retired key/],
    ['drop without a retired key', [['retire', '--drop']], /no retired key/],
    ['retire a stranger', [['retire', 'stranger']], /has no key stranger: /],
    [
      'retire with an option that is none',
      [['retire', '--dorp']],
      /has no key --dorp, and "keys retire" has no such option/,
    ],
  ])('refuses to %s', async (_name, steps, message) => {
    let last
    let before = ''
    for (const [step = '', ...options] of steps) {
      before = readFileSync(file, 'utf8')
      last = await cli(['keys', step, file, ...options])
    }
    expect(last).toMatchObject({ code: 2, out: '', err: expect.stringMatching(message) })
    expect(readFileSync(file, 'utf8')).toBe(before)
  })

  test('says of an option before the file that it is none', async () => {
    expect(await cli(['keys', 'retire', '--dorp', file])).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringMatching(/no file --dorp, and "keys retire" has no such option/),
    })
  })

  test('refuses to retire the last key that signs', async () => {
    const [sig = ''] = kids()
    expect(await cli(['keys', 'retire', file, sig])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/without a current key for "sig"/),
    })
    expect(statuses()[0]).toEqual(['sig', 'current'])
  })

  test('retires a key by its name where another signs', async () => {
    // As one in 64 is called, and an option of the command looks like.
    const [sig, ...others] = stored().keys
    const keys = [{ ...sig, kid: '-first' }, ...others] as JSONWebKeySet['keys']
    const other = path.join(folder, 'other.json')
    await cli(['keys', 'new', other, ...QUICK])
    store({ keys: [...keys, (JSON.parse(readFileSync(other, 'utf8')) as JSONWebKeySet).keys[0]] })
    expect(await cli(['keys', 'retire', file, '-first'])).toMatchObject({ code: 0 })
    expect(statuses()).toEqual([
      ['sig', 'retired'],
      ['enc', 'current'],
      ['sig', 'current'],
    ])
  })
})

describe('keys check', () => {
  interface Checked {
    ok: boolean
    checks: { id: string; status: string; message: string; fix?: string }[]
  }

  test('finds nothing wrong with new keys', async () => {
    await cli(['keys', 'new', file])
    const { ok, checks } = await cliJson<Checked>(['keys', 'check', file])
    expect(ok).toBe(true)
    expect(checks.map(({ id, status }) => [id, status])).toEqual([
      ['file', 'ok'],
      ['signing_key', 'ok'],
      ['encryption_key', 'ok'],
      ['key_uses', 'ok'],
    ])
  })

  test.each<[string, (keys: Key[]) => unknown, string, RegExp]>([
    ['no JSON', () => '{"keys":', 'file', /not JSON/],
    ['no JWKS', () => [], 'file', /no JWKS/],
    ['a broken key', ([sig, enc]) => ({ keys: [{ ...sig, n: enc?.n }, enc] }), 'file', /damaged key: key 1/],
    [
      'another status',
      ([sig, enc]) => ({ keys: [{ ...sig, status: 'old' }, enc] }),
      'file',
      /"status" in key 1/,
    ],
    ['another algorithm', ([sig]) => ({ keys: [{ ...sig, alg: 'RS256' }] }), 'file', /PS256/],
    [
      'one key for both uses',
      ([sig]) => ({ keys: [sig, { ...sig, kid: 'two', use: 'enc', alg: 'RSA-OAEP' }] }),
      'key_uses',
      /one key is used for both/,
    ],
    [
      'no key that signs',
      ([sig, enc]) => ({ keys: [{ ...sig, status: 'next' }, enc] }),
      'signing_key',
      /none of the signing keys is "current"/,
    ],
  ])('fails for %s', async (_name, bend, id, message) => {
    store(bend((await clientJwks()).keys))
    expect((await cli(['keys', 'check', file])).code).toBe(1)
    const { ok, checks } = await cliJson<Checked>(['keys', 'check', file])
    expect(ok).toBe(false)
    expect(checks.find(({ status }) => status === 'fail')).toEqual({
      id,
      status: 'fail',
      message: expect.stringMatching(message),
      fix: expect.any(String),
    })
  })

  test('warns of a file that others may read, and of keys that never sign', async () => {
    const { keys } = await clientJwks()
    const other = await clientJwks('another')
    store({ keys: [...keys, other.keys[0]] })
    chmodSync(file, 0o644)
    const { ok, checks } = await cliJson<Checked>(['keys', 'check', file])
    expect(ok).toBe(true)
    expect(checks.filter(({ status }) => status === 'warn').map(({ id }) => id)).toEqual([
      'file',
      'signing_key',
    ])
  })

  test('could not run where there is no file', async () => {
    expect(await cli(['keys', 'check', file])).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringMatching(/ENOENT/),
    })
  })
})

test('nothing that any command prints is private', async () => {
  const steps = [
    ['new'],
    ['list'],
    ['next'],
    ['list', '--json'],
    ['promote', '--json'],
    ['public'],
    ['check'],
    ['check', '--json'],
    ['retire'],
    ['retire', '--drop', '--json'],
  ]
  let printed = ''
  const secrets = new Set<string>()
  for (const [step = '', ...options] of steps) {
    const { code, out, err } = await cli(['keys', step, file, ...options])
    expect([step, code]).toEqual([step, 0])
    printed += out + err
    for (const secret of privateValues(stored())) secrets.add(secret)
  }
  store(`{"keys":[${JSON.stringify(stored().keys[0])},`)
  for (const step of ['list', 'check', 'next', 'public']) {
    const { out, err } = await cli(['keys', step, file])
    printed += out + err
  }
  expect(secrets.size).toBeGreaterThan(20)
  for (const secret of secrets) expect(printed).not.toContain(secret)
})

test('keys public prints what the application publishes', async () => {
  await cli(['keys', 'new', file])
  const { out } = await cli(['keys', 'public', file])
  const client = new IDPartner({
    client_id: 'app',
    callback: 'https://app.example/cb',
    jwks: stored(),
  })
  expect(JSON.parse(out)).toEqual(await client.getPublicJWKs())
})
