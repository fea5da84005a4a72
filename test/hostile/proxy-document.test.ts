import { describe, expect, test } from '@jest/globals'
import { asText, encryptionKey, fromNow, type JwtBend, listed, mint, set, without } from '../support/bends.js'
import { expectLoggedIn, expectOnly, expectRefused, type Refusal } from '../support/expectations.js'
import { encryptJwe } from '../support/jwe.js'
import type { Members } from '../support/jws.js'
import { ecKey, rsaKey } from '../support/key-pairs.js'
import { startScene, type Begun, type Scene, useScenes } from '../support/scene.js'

useScenes()

/** Bends the description of the bank in the document. */
const bank =
  (change: (bank: Members) => unknown) =>
  (claims: Members): Members => ({
    ...claims,
    identity_provider: change(claims['identity_provider'] as Members),
  })

const refusedDocument: Refusal = { code: 'response_invalid' }

/** Nothing is asked of a bank before the document that names it was verified. */
const BEFORE_BANK = ['proxy.discovery', 'directory.jwks']

describe("IDPartner's document is refused when", () => {
  test.each<{ name: string; document: JwtBend; message?: RegExp; refusal?: Refusal }>([
    { name: 'its "iat" is missing', document: { claims: without('iat') }, message: /"iat"/ },
    { name: 'its "iat" is a text', document: { claims: asText('iat') } },
    {
      name: 'it was issued ten minutes from now',
      document: { claims: fromNow({ iat: 600 }) },
      message: /clock/,
    },
    {
      name: 'it is older than a minute, whatever its "exp" says',
      document: { claims: fromNow({ iat: -95, exp: 3600 }) },
      message: /"iat"/,
    },
    { name: 'its "sub" is missing', document: { claims: without('sub') }, message: /"sub"/ },
    { name: 'its "sub" is a number', document: { claims: set({ sub: 1 }) } },
    { name: 'its "sub" is empty', document: { claims: set({ sub: '' }) } },
    { name: 'its "sub" is no JWT', document: { claims: set({ sub: 'a.b.c' }) } },
    { name: 'its "sub" is a list of answers', document: { claims: listed('sub') } },
    {
      name: 'it names no bank',
      document: { claims: without('identity_provider') },
      message: /identity_provider/,
    },
    { name: 'its bank is null', document: { claims: bank(() => null) } },
    { name: 'its bank is a text', document: { claims: bank(({ issuer_url }) => issuer_url) } },
    { name: 'its bank has no name', document: { claims: bank(without('name')) }, message: /name/ },
    { name: "its bank's name is empty", document: { claims: bank(set({ name: '' })) } },
    {
      name: 'its bank has no issuer',
      document: { claims: bank(without('issuer_url')) },
      message: /issuer_url/,
    },
    {
      name: "its bank's issuer is a list",
      document: { claims: bank(listed('issuer_url')) },
    },
    {
      name: "its bank's issuer is http",
      document: { claims: bank(set({ issuer_url: 'http://bank.example' })) },
    },
    { name: "its bank's issuer is no URL", document: { claims: bank(set({ issuer_url: 'bank' })) } },
    {
      name: "its bank's issuer is javascript",
      document: { claims: bank(set({ issuer_url: 'javascript:alert(1)' })) },
    },
    {
      name: "its bank's issuer holds credentials",
      document: {
        claims: bank((b) => ({
          ...b,
          issuer_url: String(b['issuer_url']).replace('://', '://user:password@'),
        })),
      },
    },
    {
      name: 'it is from ES256 of IDPartner, which signs with PS256 alone',
      document: { header: set({ alg: 'ES256' }), key: () => ecKey('directory') },
      message: /ES256/,
    },
    {
      name: "the bank's key signed it",
      document: { key: () => rsaKey('bankA') },
      message: /does not publish/,
    },
    {
      name: 'it is longer than 64 KiB',
      document: { claims: set({ filler: 'x'.repeat(64 * 1024) }) },
      message: /64 KiB/,
    },
    {
      name: 'it has a megabyte',
      document: { claims: set({ filler: 'x'.repeat(1024 * 1024) }) },
      message: /64 KiB/,
    },
  ])('$name', async ({ document, message, refusal = refusedDocument }) => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    expectRefused(await scene.victim.finish(login, { document }), { ...refusal, ...(message && { message }) })
    expectOnly(scene.platform, BEFORE_BANK)
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test.each<{ name: string; document: JwtBend }>([
    {
      name: 'it names one bank and carries the answer of another',
      document: { claims: bank((b) => ({ ...b, issuer_url: String(b['issuer_url']).replace('/a', '/b') })) },
    },
    {
      name: "its bank's issuer has one character more than the answer's",
      document: { claims: bank((b) => ({ ...b, issuer_url: `${String(b['issuer_url'])}1` })) },
    },
    {
      name: "its bank's issuer has a slash more than the answer's",
      document: { claims: bank((b) => ({ ...b, issuer_url: `${String(b['issuer_url'])}/` })) },
    },
  ])('$name', async ({ document }) => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    expectRefused(await scene.victim.finish(login, { document }), {
      ...refusedDocument,
      message: /names one bank/,
    })
    expectOnly(scene.platform, BEFORE_BANK)
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  /** Each makes what the browser brings instead of the document. */
  test.each<{ name: string; response: (scene: Scene, login: Begun) => Promise<string> }>([
    {
      name: "it is the bank's answer alone, encrypted",
      response: ({ platform }, { request }) => platform.bankA.answer(request, platform.person),
    },
    {
      name: "it is the bank's answer alone, signed only",
      response: ({ platform }, { request }) =>
        platform.bankA.answer(request, platform.person, { answer: { unsealed: true } }),
    },
    {
      name: 'it is an ID token of the bank',
      response: async ({ platform }, { request }) =>
        mint({
          claims: {
            iss: platform.bankA.issuer,
            aud: 'test-app',
            nonce: request.nonce,
            sub: 's',
            iat: platform.now(),
            exp: platform.now() + 60,
          },
          key: await rsaKey('bankA'),
        }),
    },
    {
      name: 'it is encrypted as a whole',
      response: async ({ victim }, login) =>
        encryptJwe(
          { alg: 'RSA-OAEP', enc: 'A256CBC-HS512' },
          await victim.answer(login),
          await encryptionKey(),
        ),
    },
    {
      name: 'it lies in another document of IDPartner',
      response: async ({ victim, platform }, login) =>
        platform.wrap(await victim.answer(login), login.request.interactionId, 'bankA'),
    },
    { name: 'it is our own request object', response: (_scene, { url }) => Promise.resolve(requestOf(url)) },
    { name: 'it is a JSON Web Token in name only', response: () => Promise.resolve('..') },
    { name: 'it is some text', response: () => Promise.resolve('hello') },
    { name: 'it is empty', response: () => Promise.resolve('') },
  ])('$name', async ({ response }) => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    expectRefused(await scene.victim.bring({ response: await response(scene, login) }), refusedDocument)
    expectOnly(scene.platform, BEFORE_BANK)
    expectLoggedIn(await scene.victim.finish(login), scene)
  })
})

describe("IDPartner's document is accepted when", () => {
  test.each<{ name: string; document: JwtBend }>([
    {
      name: 'it describes more of the bank',
      document: { claims: bank(set({ logo: 'x', kyb: { lei: '1' } })) },
    },
    { name: 'it has no interaction id', document: { claims: without('x-fapi-interaction-id') } },
    { name: 'its interaction id is no text', document: { claims: set({ 'x-fapi-interaction-id': 1 }) } },
    { name: 'its "aud" is a list of one', document: { claims: listed('aud') } },
    { name: 'it has a "typ"', document: { header: set({ typ: 'JWT' }) } },
  ])('$name', async ({ document }) => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    expectLoggedIn(await scene.victim.finish(login, { document }), scene)
    expect(scene.logins[0]?.interactionId).toBe(login.request.interactionId)
  })
})

function requestOf(url: string): string {
  return new URL(url).searchParams.get('request') ?? ''
}
