import { describe, expect, test } from '@jest/globals'
import { appended, encryptionKey, fromNow, type JwtBend, listed, set, without } from '../support/bends.js'
import { expectLoggedIn, expectRefused, type Refusal } from '../support/expectations.js'
import { answer, empty, html, truncated, type Fault } from '../support/faults.js'
import { encryptJwe } from '../support/jwe.js'
import { payloadOf, withBrokenSignature } from '../support/jws.js'
import { ecKey, publicKeyAsSecret, rsaKey } from '../support/key-pairs.js'
import type { AnswerBends } from '../support/platform.js'
import { tokenSetups } from '../support/profiles.js'
import { nextScene, startScene, useScenes, type Scene } from '../support/scene.js'

useScenes()

async function expectTurnedAway(
  { victim, platform, logins }: Scene,
  bends: AnswerBends,
  refusal: Refusal,
  fault?: Fault,
): Promise<void> {
  if (fault) platform.fault(platform.endpoint('userinfo'), fault)
  const answered = await victim.answerParams(await victim.begin(), bends)
  expectRefused(await victim.bring(answered), refusal)
  expectRefused(await victim.bring(answered), { code: 'login_missing', reason: 'already_used' })
  expect(platform.count(platform.endpoint('token'))).toBe(1)
  expect(logins).toEqual([])
}

const ours = await encryptionKey()

/** The claims alone, encrypted to the application and signed by nobody (Core 5.3.2). */
function sealedClaims(jws: string): string {
  return encryptJwe({ alg: 'RSA-OAEP', enc: 'A256CBC-HS512' }, JSON.stringify(payloadOf(jws)), ours)
}

/** Each name completes "is refused when". */
const claims: { name: string; bends: AnswerBends }[] = [
  { name: 'its "sub" is another', bends: { userInfo: appended('sub') } },
  {
    name: 'its "sub" is another that ends alike',
    bends: { userInfo: (c) => ({ ...c, sub: `x${String(c['sub'])}` }) },
  },
  { name: 'its "sub" is missing', bends: { userInfo: without('sub') } },
  { name: 'its "sub" is empty', bends: { userInfo: set({ sub: '' }) } },
  {
    name: 'its "sub" is a list with the right one',
    bends: { userInfo: listed('sub') },
  },
  { name: 'it is of another person', bends: { userInfo: () => ({ sub: 'another', name: 'Another' }) } },
  { name: 'it is of another bank', bends: { userInfo: set({ iss: 'https://other.example' }) } },
  { name: 'a claim is of another type', bends: { userInfo: set({ age_over_21: 'no' }) } },
  { name: 'an address is a text', bends: { userInfo: set({ address: 'Main Street 1' }) } },
]

/** Each name completes "is refused when it comes as a JWT that". */
const jwts: { name: string; userInfoJwt: JwtBend }[] = [
  { name: 'is not signed', userInfoJwt: { header: () => ({ alg: 'none' }) } },
  { name: 'has a broken signature', userInfoJwt: { signed: withBrokenSignature } },
  { name: 'is signed by a stranger', userInfoJwt: { key: () => rsaKey('stranger') } },
  { name: 'is signed with RS256', userInfoJwt: { header: set({ alg: 'RS256' }) } },
  {
    name: 'is signed with ES256 by a published key',
    userInfoJwt: { header: set({ alg: 'ES256' }), key: () => ecKey('bankA') },
  },
  {
    name: 'is signed with HS256, the public key being the secret',
    userInfoJwt: { header: set({ alg: 'HS256' }), key: () => publicKeyAsSecret(rsaKey('bankA')) },
  },
  { name: 'is of another issuer', userInfoJwt: { claims: appended('iss') } },
  { name: 'is of no issuer', userInfoJwt: { claims: without('iss') } },
  { name: 'is for another client', userInfoJwt: { claims: appended('aud') } },
  {
    name: 'is for a second client as well',
    userInfoJwt: { claims: (c) => ({ ...c, aud: [c['aud'], 'x'] }) },
  },
  { name: 'is of another person', userInfoJwt: { claims: appended('sub') } },
  { name: 'names nobody', userInfoJwt: { claims: without('sub') } },
  { name: 'has expired', userInfoJwt: { claims: fromNow({ exp: -31 }) } },
  { name: "is nobody's", userInfoJwt: { claims: set({ sub: null }) } },
  { name: 'has a claim of another type', userInfoJwt: { claims: set({ email_verified: 'yes' }) } },
  { name: 'is some text', userInfoJwt: { raw: () => 'hello' } },
  { name: 'is a JWE in name only', userInfoJwt: { raw: () => 'a.b.c.d.e' } },
]

const answers: { name: string; fault: Fault; refusal: Refusal }[] = [
  {
    name: '401 invalid_token',
    fault: (res) => res.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end(),
    refusal: { code: 'provider_error', providerError: 'invalid_token' },
  },
  {
    name: '403 insufficient_scope',
    fault: (res) => res.writeHead(403, { 'www-authenticate': 'Bearer error="insufficient_scope"' }).end(),
    refusal: { code: 'provider_error', providerError: 'insufficient_scope' },
  },
  { name: '403', fault: answer(403), refusal: { code: 'provider_unavailable' } },
  { name: '404', fault: answer(404), refusal: { code: 'provider_unavailable' } },
  { name: '500', fault: answer(500), refusal: { code: 'provider_unavailable' } },
  { name: '503', fault: answer(503), refusal: { code: 'provider_unavailable', status: 503 } },
  { name: 'a page', fault: html, refusal: { code: 'provider_unavailable' } },
  { name: 'nothing', fault: empty, refusal: { code: 'provider_unavailable' } },
  { name: 'half of its JSON', fault: truncated, refusal: { code: 'provider_unavailable' } },
  { name: 'a list', fault: answer(200, []), refusal: { code: 'token_invalid' } },
]

describe('userinfo is refused when', () => {
  test.each(claims)('$name', async ({ bends }) => {
    await expectTurnedAway(await startScene(), bends, { code: 'token_invalid' })
  })

  test.each(jwts)('it comes as a JWT that $name', async ({ userInfoJwt }) => {
    await expectTurnedAway(await startScene(), { userInfoJwt }, { code: 'token_invalid' })
  })

  test.each<{ name: string; bends: AnswerBends; alg: 'PS256' | 'ES256' }>([
    { name: 'it is plain', bends: {}, alg: 'PS256' },
    { name: 'it is encrypted alone', bends: { userInfoJwt: { raw: sealedClaims } }, alg: 'PS256' },
    { name: 'it is signed with the algorithm of ID tokens', bends: { userInfoJwt: {} }, alg: 'ES256' },
    {
      name: 'it is signed with none',
      bends: { userInfoJwt: { header: () => ({ alg: 'none' }) } },
      alg: 'PS256',
    },
  ])('$name, although it was registered to be signed', async ({ bends, alg }) => {
    const scene = await startScene({ strategy: { userinfo_signed_response_alg: alg } })
    const settled = await scene.victim.finish(await scene.victim.begin(), bends)
    expectRefused(settled, { code: 'token_invalid', message: /register userinfo_signed_response_alg/ })
    expect(scene.logins).toEqual([])
  })

  test.each(answers)('the bank answers $name', async ({ fault, refusal }) => {
    await expectTurnedAway(await startScene(), {}, refusal, fault)
  })
})

describe.each(tokenSetups)('with $setup userinfo is refused when', ({ options }) => {
  test.each(claims)('$name', async ({ bends }) => {
    await expectTurnedAway(await nextScene(options), bends, { code: 'token_invalid' })
  })

  test.each(jwts)('it comes as a JWT that $name', async ({ userInfoJwt }) => {
    await expectTurnedAway(await nextScene(options), { userInfoJwt }, { code: 'token_invalid' })
  })

  test.each(answers)('the bank answers $name', async ({ fault, refusal }) => {
    await expectTurnedAway(await nextScene(options), {}, refusal, fault)
  })
})

describe('userinfo is accepted when', () => {
  test.each<{ name: string; bends: AnswerBends }>([
    { name: 'it is plain', bends: {} },
    { name: 'it says more than the ID token', bends: { userInfo: set({ birthdate: '2000-01-01' }) } },
    { name: 'it comes as a signed JWT', bends: { userInfoJwt: {} } },
    { name: 'it comes encrypted and unsigned', bends: { userInfoJwt: { raw: sealedClaims } } },
    { name: 'it holds null', bends: { userInfo: set({ address: null, email_verified: null }) } },
  ])('$name', async ({ bends }) => {
    const scene = await startScene()
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin(), bends), scene)
    expect(scene.logins[0]?.userInfo).toMatchObject(scene.platform.person)
  })

  test('it has an algorithm of its own', async () => {
    const scene = await startScene({ strategy: { userinfo_signed_response_alg: 'ES256' } })
    const userInfoJwt = { header: set({ alg: 'ES256' }), key: () => ecKey('bankA') }
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin(), { userInfoJwt }), scene)
  })

  test('booleans in it are spelled as text, and are booleans', async () => {
    const scene = await startScene()
    const spelled = set({ email_verified: 'false', age_over_21: 'true' })
    const bends = { userInfo: spelled, idToken: { claims: spelled } }
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin(), bends), scene)
    const booleans = { email_verified: false, age_over_21: true }
    expect(scene.logins[0]).toMatchObject({ userInfo: booleans, claims: booleans })
  })

  test('its access token goes in the header and nowhere else', async () => {
    const scene = await startScene()
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    const token = scene.logins[0]?.tokens.access_token
    const [request] = scene.platform.wire.requests.filter(({ endpoint }) => endpoint === 'bankA.userinfo')
    expect(request).toMatchObject({
      method: 'GET',
      headers: { authorization: `Bearer ${String(token)}` },
      body: '',
    })
    expect(request?.url).not.toContain('?')
  })

  test('nobody asks for it unless it is wanted', async () => {
    const scene = await startScene({ strategy: { fetchUserInfo: false } })
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    expect(scene.platform.requests).not.toContain('bankA.userinfo')
  })
})
