import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { CompactEncrypt, SignJWT, importJWK, type CryptoKey, type JSONWebKeySet } from 'jose'
import { generateJwks } from 'passport-idpartner'
import { cli, cliJson, privateValues } from '../support/cli.js'

const folder = mkdtempSync(path.join(tmpdir(), 'explain-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

const file = (name: string, content: unknown): string => {
  const target = path.join(folder, name)
  writeFileSync(target, JSON.stringify(content))
  return target
}

const now = (): number => Math.floor(Date.now() / 1000)
const BANK = 'https://bank.example'
const CALLBACK = 'https://app.example/cb'
const SECRETS = ['the-code', 'the-state', 'Philip']

let app: JSONWebKeySet
let bank: JSONWebKeySet
let config: string
let keys: string

const publicOf = (jwks: JSONWebKeySet): JSONWebKeySet => ({
  keys: jwks.keys.map(({ kty, n, e, kid, alg, use }) => ({ kty, n, e, kid, alg, use }) as never),
})

beforeAll(async () => {
  ;[app, bank] = await Promise.all([generateJwks(), generateJwks()])
  config = file('config.json', { client_id: 'me', callback: CALLBACK, jwks: app })
  keys = file('bank.json', publicOf(bank))
})

async function sign(claims: object, by: JSONWebKeySet = bank): Promise<string> {
  const jwk = by.keys.find(({ use }) => use === 'sig')
  const key = (await importJWK({ ...jwk }, 'PS256')) as CryptoKey
  return new SignJWT({ ...claims }).setProtectedHeader({ alg: 'PS256', kid: jwk?.kid ?? '' }).sign(key)
}

const answer = (bent: object = {}): object => ({
  iss: BANK,
  aud: 'me',
  exp: now() + 60,
  iat: now(),
  state: 'the-state',
  code: 'the-code',
  ...bent,
})

async function seal(jws: string): Promise<string> {
  const jwk = app.keys.find(({ use }) => use === 'enc')
  const { kty, n, e } = jwk ?? {}
  const key = await importJWK({ kty, n, e } as never, 'RSA-OAEP')
  return new CompactEncrypt(new TextEncoder().encode(jws))
    .setProtectedHeader({ alg: 'RSA-OAEP', enc: 'A256CBC-HS512', kid: jwk?.kid ?? '' })
    .encrypt(key)
}

const documentWith = async (inner: string, bent: object = {}): Promise<string> =>
  sign({
    iss: 'https://idpartner.com',
    aud: 'me',
    exp: now() + 60,
    iat: now(),
    sub: inner,
    identity_provider: { name: 'Philip Bank', issuer_url: BANK },
    ...bent,
  })

interface Explained {
  ok: boolean
  layers: { name: string; facts: Record<string, string>; problems: string[] }[]
  problems: string[]
}

const explain = (what: string, ...more: string[]): Promise<Explained> =>
  cliJson<Explained>(['explain', what, '--config', config, '--jwks', keys, ...more])

test('a good callback is told layer by layer, and nothing of the person or the login', async () => {
  const url = `${CALLBACK}?response=${await documentWith(await seal(await sign(answer())))}`
  const found = await explain(url)
  expect(found).toMatchObject({ ok: true, problems: [] })
  expect(found.layers.map(({ name }) => name)).toEqual([
    'callback URL',
    "response: IDPartner's document, signed (JWS)",
    "the bank's answer inside: encrypted (JWE)",
    "the bank's answer inside, opened: a bank's answer, signed (JWS)",
  ])
  expect(found.layers.at(-1)?.facts).toMatchObject({
    issuer: BANK,
    for: 'me',
    signature: `good, with a key of ${keys}`,
  })
  const people = await cli(['explain', url, '--config', config, '--jwks', keys, '--show-claims'])
  expect(people).toMatchObject({ code: 0, err: '', out: expect.stringMatching(/Nothing wrong was seen/) })
  const printed = JSON.stringify(found) + people.out.replace('Philip Bank', '')
  for (const secret of [...SECRETS, ...privateValues(app)]) expect(printed).not.toContain(secret)
  for (const part of url.split(/[.?=]/).filter((one) => one.length > 60)) expect(printed).not.toContain(part)
})

test("claims' values are shown when they are asked for", async () => {
  const jwt = await sign(answer({ name: 'Philip' }))
  expect(JSON.stringify(await explain(jwt))).not.toContain('Philip')
  expect((await explain(jwt, '--show-claims')).layers[0]?.facts).toMatchObject({ 'claim name': '"Philip"' })
})

test('what opens something is never shown, however deep it lies', async () => {
  const jwt = await sign(
    answer({ access_token: 'the-code', nested: { nonce: 'the-state', name: 'Kim', a: 'aa.bb.cc' } }),
  )
  const { layers } = await explain(jwt, '--show-claims')
  expect(layers[0]?.facts).toMatchObject({
    'claim nested': '{"nonce":"(hidden)","name":"Kim","a":"(hidden)"}',
  })
  for (const secret of SECRETS) expect(JSON.stringify(layers)).not.toContain(secret)
})

test('a code in place of a response is not repeated', async () => {
  const { out } = await cli(['explain', 'SplxlOBeZQQYbYS6WxSbIA=='])
  expect(out).not.toContain('SplxlOBeZQQYbYS6WxSbIA')
  expect(out).toContain('it is no JWT')
})

test('without keys it says that it has not looked, and reads standard input', async () => {
  const { code, out } = await cli(['explain', '-'], `${await seal(await sign(answer()))}\n`)
  expect(code).toBe(0)
  expect(out).toContain('not opened: give your keys with --config')
  const signed = await cli(['explain', '-'], await sign(answer()))
  expect(signed.out).toContain('not checked: give the public keys with --jwks')
})

describe('what is wrong is said:', () => {
  test.each<[string, () => Promise<string> | string, RegExp]>([
    ['expired', () => sign(answer({ exp: now() - 600 })), /^it expired 10 minutes ago$/],
    ['no end', () => sign(answer({ exp: undefined })), /does not say when it expires/],
    ['from the future', () => sign(answer({ iat: now() + 10_800 })), /begins 3 hours in the future/],
    ['for another app', () => sign(answer({ aud: 'other' })), /for another application/],
    ['for several apps', () => sign(answer({ aud: ['me', 'x'] })), /for several applications/],
    ['not begun', () => sign(answer({ nbf: now() + 10_800 })), /begins 3 hours in the future/],
    ['not encrypted', () => sign(answer()), /it is not encrypted/],
    ['an empty response', () => `${CALLBACK}?response=`, /"response" is empty/],
    ['a time that is none', () => sign(answer({ iss: 5, exp: 1e20, iat: -1e20 })), /not encrypted/],
    ['no state', () => sign(answer({ state: undefined })), /no "state"/],
    ['nothing in it', () => sign(answer({ code: undefined })), /neither a "code" nor an "error"/],
    [
      'a refusal',
      () => sign(answer({ code: undefined, error: 'login_required' })),
      /person in: login_required/,
    ],
    ['signed by another', () => sign(answer(), app), /none of the given keys is the one it names/],
    [
      'changed on the way',
      async () =>
        (await sign(answer())).replace(
          /\.([\w-]+)\./,
          `.${Buffer.from(JSON.stringify(answer({ aud: 'me', x: 1 }))).toString('base64url')}.`,
        ),
      /does not fit the key it names/,
    ],
    [
      'unsigned',
      () => `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.`,
      /signed with none, and PS256/,
    ],
    [
      'cut off',
      async () => (await sign(answer())).split('.').slice(0, 2).join('.'),
      /it has 2, and may have been cut off/,
    ],
    ['nonsense', () => 'a.b.c', /header cannot be read/],
    ['too long', () => 'x'.repeat(65_537), /longer than 64 KiB/],
    ['another callback', () => 'https://app.example/other?error=access_denied', /not the option "callback"/],
    ['an error', () => `${CALLBACK}?error=server_error`, /nobody signed this error/],
    ['a bare code', () => `${CALLBACK}?code=the-code&state=the-state`, /a bare code is never used/],
    ['nothing', () => CALLBACK, /no answer in it/],
    ['twice', () => `${CALLBACK}?response=a.b.c&response=a.b.c`, /"response" is there more than once/],
    ['HTML', () => `${CALLBACK}?response=a.b.c&amp;x=1`, /copied from HTML/],
    [
      'inside of a good document',
      async () => documentWith(await sign(answer({ exp: now() - 600 }))),
      /^it expired 10 minutes ago$/,
    ],
  ])('%s', async (_name, made, problem) => {
    const found = await explain(await made())
    expect(found.ok).toBe(false)
    expect(found.problems).toContainEqual(expect.stringMatching(problem))
    for (const secret of SECRETS) expect(JSON.stringify(found)).not.toContain(secret)
  })

  test('sealed for keys that are gone', async () => {
    const sealed = await seal(await sign(answer()))
    const other = file('other.json', { client_id: 'me', callback: CALLBACK, jwks: await generateJwks() })
    const { code, out } = await cli(['explain', sealed, '--config', other])
    expect(code).toBe(1)
    expect(out).toContain('none of your keys opens it')
  })
})

test.each([
  ['nothing', ['explain', ' '], /nothing to explain/],
  ['a file that is none', ['explain', 'x', '--jwks', 'no-such-file'], /no-such-file/],
  ['keys that are none', ['explain', 'x', '--jwks', 'package.json'], /package.json is no JWKS/],
])('could not be run: %s', async (_name, args, message) => {
  expect(await cli(args)).toMatchObject({ code: 2, out: '', err: expect.stringMatching(message) })
})
