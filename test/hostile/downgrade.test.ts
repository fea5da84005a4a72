import { describe, expect, test } from '@jest/globals'
import { encryptionKey, set, without, type JwtBend } from '../support/bends.js'
import { expectLoggedIn, expectRefused } from '../support/expectations.js'
import { encryptJwe } from '../support/jwe.js'
import { payloadOf } from '../support/jws.js'
import { clientJwks, rsaKey } from '../support/key-pairs.js'
import { startScene, useScenes } from '../support/scene.js'

useScenes()

const ours = await encryptionKey()
const sealed = { alg: 'RSA-OAEP', enc: 'A256CBC-HS512' }

/** Changes one part of a JWE: its first byte, or its text. */
const part =
  (index: number, change = (text: string) => `${text.startsWith('A') ? 'B' : 'A'}${text.slice(1)}`) =>
  (jwe: string): string =>
    jwe
      .split('.')
      .map((text, at) => (at === index ? change(text) : text))
      .join('.')

/** What an encrypted answer or ID token may not be; each name completes "is refused when". */
const rows: { name: string; bend: JwtBend; message?: RegExp }[] = [
  { name: 'it is signed only', bend: { unsealed: true }, message: /is not encrypted/ },
  {
    name: 'it is not even signed',
    bend: { unsealed: true, header: set({ alg: 'none' }) },
    message: /not encrypted/,
  },
  {
    name: 'an unsigned JWT is in it',
    bend: { header: () => ({ alg: 'none' }) },
    message: /signed with none/,
  },
  { name: 'bare claims are in it', bend: { signed: (jws) => JSON.stringify(payloadOf(jws)) } },
  { name: 'another JWE is in it', bend: { signed: (jws) => encryptJwe(sealed, jws, ours) } },
  { name: 'nothing is in it', bend: { signed: () => '' } },
  {
    name: 'its "enc" is A256GCM',
    bend: { seal: set({ enc: 'A256GCM' }) },
    message: /encrypted with RSA-OAEP and A256GCM \(to [\w-]{43}\): register/,
  },
  {
    name: 'its "enc" is A128CBC-HS256',
    bend: { seal: set({ enc: 'A128CBC-HS256' }) },
    message: /encrypted with RSA-OAEP and A128CBC-HS256 \(to [\w-]{43}\): register/,
  },
  { name: 'its "enc" is missing', bend: { seal: without('enc') } },
  { name: 'its "alg" is RSA1_5', bend: { seal: set({ alg: 'RSA1_5' }) }, message: /encrypted with RSA1_5 / },
  {
    name: 'its "alg" is RSA-OAEP-256',
    bend: { seal: set({ alg: 'RSA-OAEP-256' }) },
    message: /encrypted with RSA-OAEP-256 /,
  },
  { name: 'its "alg" is dir', bend: { seal: set({ alg: 'dir' }) }, message: /encrypted with dir / },
  { name: 'its "alg" is none', bend: { seal: set({ alg: 'none' }) }, message: /encrypted with none / },
  { name: 'its "alg" is missing', bend: { seal: without('alg') } },
  {
    name: 'its "alg" is a password, stretched a billion times',
    bend: { seal: set({ alg: 'PBES2-HS256+A128KW', p2s: 'AAAAAAAAAAA', p2c: 1e9 }) },
    message: /encrypted with PBES2-HS256\+A128KW /,
  },
  { name: 'a critical header is unknown', bend: { seal: set({ crit: ['x'], x: 1 }) } },
  {
    name: 'it is encrypted to another client',
    bend: { recipient: () => encryptionKey('another') },
    message: /not ours/,
  },
  {
    name: 'it is encrypted to another client, whose key it names',
    bend: { recipient: () => encryptionKey('another'), seal: set({ kid: 'another' }) },
    message: /not ours/,
  },
  { name: 'its encrypted key was changed', bend: { raw: part(1) } },
  { name: 'its encrypted key is missing', bend: { raw: part(1, () => '') } },
  { name: 'its initialisation vector was changed', bend: { raw: part(2) } },
  { name: 'its ciphertext was changed', bend: { raw: part(3) } },
  { name: 'its tag was changed', bend: { raw: part(4) } },
  { name: 'its tag is cut off', bend: { raw: part(4, () => '') } },
  { name: 'its tag is cut in half', bend: { raw: part(4, (tag) => tag.slice(0, 22)) } },
  {
    name: 'its header was changed after encryption',
    bend: {
      raw: part(0, (header) => {
        const members = JSON.parse(Buffer.from(header, 'base64url').toString()) as object
        return Buffer.from(JSON.stringify({ ...members, extra: 1 })).toString('base64url')
      }),
    },
  },
  { name: 'its header is no JSON', bend: { raw: part(0, () => 'e30x') } },
  { name: 'it has six parts', bend: { raw: (jwe) => `${jwe}.AAAA` } },
  { name: 'it has four parts', bend: { raw: (jwe) => jwe.slice(0, jwe.lastIndexOf('.')) } },
  {
    name: 'it unpacks to 30 MB',
    bend: { seal: set({ zip: 'DEF' }), signed: () => 'A'.repeat(30 * 1024 * 1024) },
    message: /is compressed/,
  },
  { name: 'it is compressed', bend: { seal: set({ zip: 'DEF' }) }, message: /is compressed/ },
  { name: 'its "zip" is unknown', bend: { seal: set({ zip: 'GZIP' }) } },
  {
    name: 'its header names another issuer than is signed',
    bend: { seal: set({ iss: 'https://other.example' }) },
  },
  {
    name: 'its header names another client than is signed',
    bend: { seal: set({ aud: 'another' }) },
    message: /audience/,
  },
  {
    name: 'its header names another client in a list',
    bend: { seal: set({ aud: ['another'] }) },
    message: /audience/,
  },
  {
    name: 'its header names a second client',
    bend: { seal: set({ aud: ['test-app', 'another'] }) },
    message: /audience/,
  },
]

describe.each([
  { target: "the bank's answer, directly,", flow: 'direct', part: 'answer' },
  { target: "the bank's answer, through the proxy,", flow: 'proxy', part: 'answer' },
] as const)('$target is refused when', ({ flow, part }) => {
  test.each(rows)('$name', async ({ bend, message }) => {
    const scene = await startScene({ flow })
    const { victim, platform } = scene
    const login = await victim.begin()
    const settled = await victim.finish(login, { [part]: bend })
    // Through the proxy, a document compares the outermost issuer first.
    expectRefused(settled, { code: 'response_invalid', ...(message && flow === 'direct' && { message }) })
    expect(platform.requests).not.toContain('bankA.token')
    expectLoggedIn(await victim.finish(login), scene)
  })
})

describe('an ID token is refused when', () => {
  test.each(rows)('$name', async ({ bend, message }) => {
    const { victim, platform, logins } = await startScene()
    const response = await victim.answer(await victim.begin(), { idToken: bend })
    expectRefused(await victim.bring({ response }), { code: 'token_invalid', ...(message && { message }) })
    expectRefused(await victim.bring({ response }), { code: 'login_missing', reason: 'already_used' })
    expect(platform.count('bankA.token')).toBe(1)
    expect(platform.requests).not.toContain('bankA.userinfo')
    expect(logins).toEqual([])
  })
})

describe('an encrypted answer or ID token is accepted when', () => {
  test.each<{ name: string; bend: JwtBend }>([
    { name: 'its "kid" is unknown, and one of our keys fits', bend: { seal: set({ kid: 'renamed' }) } },
    { name: 'it has no "kid"', bend: { seal: without('kid') } },
    { name: 'its "kid" is a number', bend: { seal: set({ kid: 1 }) } },
    { name: "its header's audience is a list of one", bend: { seal: set({ aud: ['test-app'] }) } },
    { name: 'its "cty" is missing', bend: { seal: without('cty') } },
  ])('$name', async ({ bend }) => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    expectLoggedIn(await scene.victim.finish(login, { answer: bend, idToken: bend }), scene)
  })

  test('it is encrypted to a key that was retired a moment ago', async () => {
    const [current, retired] = await Promise.all([clientJwks('next'), clientJwks()])
    const scene = await startScene({
      strategy: {
        jwks: {
          keys: [
            ...retired.keys.filter(({ use }) => use === 'sig'),
            ...current.keys,
            ...retired.keys.filter(({ use }) => use === 'enc'),
          ],
        },
      },
    })
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
  })
})

describe('an application without an encryption key', () => {
  test('refuses an encrypted answer', async () => {
    const scene = await startScene({ flow: 'direct', encrypted: false })
    const login = await scene.victim.begin()
    const encrypted: JwtBend = { raw: (jws) => encryptJwe(sealed, jws, ours) }
    expectRefused(await scene.victim.finish(login, { answer: encrypted }), {
      code: 'response_invalid',
      message: /no key to decrypt/,
    })
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test('refuses an encrypted ID token', async () => {
    const { victim } = await startScene({ flow: 'direct', encrypted: false })
    const encrypted: JwtBend = { raw: (jws) => encryptJwe(sealed, jws, ours) }
    expectRefused(await victim.finish(await victim.begin(), { idToken: encrypted }), {
      code: 'token_invalid',
      message: /no key to decrypt/,
    })
  })

  test('still refuses a stranger', async () => {
    const scene = await startScene({ encrypted: false })
    const login = await scene.victim.begin()
    const strangers: JwtBend = { key: () => rsaKey('stranger') }
    expectRefused(await scene.victim.finish(login, { answer: strangers }), { code: 'response_invalid' })
    expectRefused(await scene.victim.finish(login, { document: strangers }), { code: 'response_invalid' })
    expectRefused(await scene.victim.finish(login, { idToken: strangers }), { code: 'token_invalid' })
  })
})
