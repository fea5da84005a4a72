import { describe, expect, test } from '@jest/globals'
import type { AuthenticateOptions } from 'passport-idpartner'
import { appended, asText, fromNow, type JwtBend, listed, set, without } from '../support/bends.js'
import { travel } from '../support/clock.js'
import { expectLoggedIn, expectRefused } from '../support/expectations.js'
import { rsaKey } from '../support/key-pairs.js'
import { tokenSetups } from '../support/profiles.js'
import { nextScene, startScene, type Scene, type SceneOptions, useScenes } from '../support/scene.js'
import { es256, es256Rows, jwtRows } from './jwt-rows.js'

useScenes()

/** Nobody gets in, nothing more is asked of the bank, and the answer is used up. */
async function expectTurnedAway(
  idToken: JwtBend,
  message: RegExp | undefined,
  { asked, unmet, ...options }: SceneOptions & { asked?: AuthenticateOptions; unmet?: boolean } = {},
  scene?: Scene,
): Promise<void> {
  const { victim, platform, logins } = scene ?? (await startScene(options))
  const answer = await victim.answerParams(await victim.begin('bankA', asked), { idToken })
  expectRefused(await victim.bring(answer), {
    code: 'token_invalid',
    // The bank is as it should be, and the person has to log in again.
    ...(unmet && { via: 'fail' as const, status: 401 }),
    ...(message && { message }),
  })
  expectRefused(await victim.bring(answer), { code: 'login_missing', reason: 'already_used' })
  expect(platform.count(platform.endpoint('token'))).toBe(1)
  expect(platform.requests).not.toContain(platform.endpoint('userinfo'))
  expect(logins).toEqual([])
}

/** Each name completes "is refused when". */
const rows: { name: string; idToken: JwtBend; message?: RegExp }[] = [
  { name: 'its "nonce" is another', idToken: { claims: appended('nonce') }, message: /another login/ },
  { name: 'its "nonce" is missing', idToken: { claims: without('nonce') }, message: /another login/ },
  { name: 'its "nonce" is null', idToken: { claims: set({ nonce: null }) } },
  {
    name: 'its "nonce" is a list with the right one',
    idToken: { claims: listed('nonce') },
  },
  { name: 'its "sub" is missing', idToken: { claims: without('sub') }, message: /"sub"/ },
  { name: 'its "sub" is empty', idToken: { claims: set({ sub: '' }) }, message: /"sub"/ },
  { name: 'its "sub" is a number', idToken: { claims: set({ sub: 1 }) }, message: /"sub"/ },
  { name: 'its "iat" is missing', idToken: { claims: without('iat') }, message: /"iat"/ },
  { name: 'its "iat" is a text', idToken: { claims: asText('iat') } },
  {
    name: 'it was issued a week ago',
    idToken: { claims: fromNow({ iat: -7 * 86_400 }) },
    message: /"iat"/,
  },
  {
    name: 'it was issued eleven minutes ago',
    idToken: { claims: fromNow({ iat: -660 }) },
    message: /"iat"/,
  },
  { name: 'it was issued a minute from now', idToken: { claims: fromNow({ iat: 60 }) }, message: /clock/ },
  {
    name: 'its "azp" is another client',
    idToken: { claims: set({ azp: 'another' }) },
    message: /another client/,
  },
  { name: 'its "azp" is empty', idToken: { claims: set({ azp: '' }) }, message: /another client/ },
  {
    name: 'its "aud" names a second client, although "azp" is us',
    idToken: { claims: (c) => ({ ...c, azp: c['aud'], aud: [c['aud'], 'another'] }) },
    message: /others/,
  },
  {
    name: 'its "at_hash" is of another access token',
    idToken: { claims: appended('at_hash') },
    message: /another access token/,
  },
  { name: 'its "at_hash" is empty', idToken: { claims: set({ at_hash: '' }) }, message: /at_hash/ },
  {
    name: 'its "sub" has 256 characters',
    idToken: { claims: set({ sub: 'x'.repeat(256) }) },
    message: /"sub"/,
  },
  { name: 'its "sub" is not ASCII', idToken: { claims: set({ sub: 'jürgen' }) }, message: /"sub"/ },
  {
    name: 'its "sub" would forge a log line',
    idToken: { claims: set({ sub: 'x\nERROR' }) },
    message: /"sub"/,
  },
  ...Object.entries({
    email: { address: 'x' },
    email_verified: 1,
    age_over_21: 'no',
    age_over_67: 'yes',
    phone_number_verified: [true],
    updated_at: '2026-01-01',
    auth_time: '1',
    amr: 'pwd',
    acr: 1,
    name: ['x'],
    address: 'x',
  }).map(([name, value]) => ({
    name: `its "${name}" is ${JSON.stringify(value)}`,
    idToken: { claims: set({ [name]: value }) },
    message: new RegExp(`has a wrong type or length in "${name}"$`),
  })),
  { name: 'another bank signed it', idToken: { key: () => rsaKey('bankB') } },
  { name: 'IDPartner signed it', idToken: { key: () => rsaKey('directory') } },
  {
    name: "it holds the claims of the bank's answer",
    idToken: {
      claims: (c) => fromNow({ exp: 600 })({ iss: c['iss'], aud: c['aud'], code: 'c', state: 's' }),
    },
  },
]

describe('an ID token is refused when', () => {
  test.each(jwtRows)('$name', async ({ bend, message }) => {
    await expectTurnedAway(bend('bankA'), message)
  })

  test.each(rows)('$name', async ({ idToken, message }) => {
    await expectTurnedAway(idToken, message)
  })
})

describe.each(tokenSetups)('with $setup an ID token is refused when', ({ options }) => {
  test.each(jwtRows)('$name', async ({ bend, message }) => {
    await expectTurnedAway(bend('bankA'), message, {}, await nextScene(options))
  })

  test.each(rows)('$name', async ({ idToken, message }) => {
    await expectTurnedAway(idToken, message, {}, await nextScene(options))
  })
})

describe('an ID token is refused, signed only, when', () => {
  test.each(jwtRows)('$name', async ({ bend, message }) => {
    await expectTurnedAway(bend('bankA'), message, { encrypted: false })
  })
})

describe('an ID token is refused, where ES256 is configured, when', () => {
  test.each(es256Rows)('$name', async ({ bend, message }) => {
    await expectTurnedAway(bend('bankA'), message, { strategy: { id_token_signed_response_alg: 'ES256' } })
  })
})

describe('what a login asked for has to be in its ID token, which is refused when', () => {
  test.each<{ name: string; asked: AuthenticateOptions; idToken: JwtBend; message: RegExp }>([
    { name: 'there is no "auth_time"', asked: { max_age: 60 }, idToken: {}, message: /max_age/ },
    {
      name: 'the person logged in too long ago',
      asked: { max_age: 60 },
      idToken: { claims: fromNow({ auth_time: -95 }) },
      message: /max_age/,
    },
    {
      name: 'the person had to log in anew and did not',
      asked: { max_age: 0 },
      idToken: { claims: fromNow({ auth_time: -40 }) },
      message: /max_age/,
    },
    { name: 'there is no "acr"', asked: { acr_values: 'gold silver' }, idToken: {}, message: /acr_values/ },
    {
      name: 'its "acr" is another',
      asked: { acr_values: 'gold silver' },
      idToken: { claims: set({ acr: 'bronze' }) },
      message: /acr_values/,
    },
    {
      name: 'its "acr" is part of one asked for',
      asked: { acr_values: 'gold silver' },
      idToken: { claims: set({ acr: 'gold silver' }) },
      message: /acr_values/,
    },
  ])('$name', async ({ asked, idToken, message }) => {
    // The clock stands still: a machine that is busy takes seconds for a login.
    travel(0)
    await expectTurnedAway(idToken, message, { asked, unmet: true })
  })
})

describe('an ID token is accepted when', () => {
  test('it is signed with ES256, where that is configured', async () => {
    const scene = await startScene({ strategy: { id_token_signed_response_alg: 'ES256' } })
    const login = await scene.victim.begin()
    expectLoggedIn(await scene.victim.finish(login, { idToken: es256('bankA') }), scene)
  })

  test.each<{ name: string; idToken: JwtBend; asked?: AuthenticateOptions }>([
    { name: 'its "aud" is a list of one', idToken: { claims: listed('aud') } },
    ...['azp', 'at_hash', 'auth_time', 'acr', 'amr', 'nbf', 'jti', 'email_verified', 'address'].map(
      (name) => ({
        name: `its "${name}" is null`,
        idToken: { claims: set({ [name]: null }) },
      }),
    ),
    { name: 'it has no "at_hash"', idToken: { claims: without('at_hash') } },
    { name: 'it expired no longer ago than clocks may differ', idToken: { claims: fromNow({ exp: -25 }) } },
    { name: 'its "azp" is us', idToken: { claims: (c) => ({ ...c, azp: c['aud'] }) } },
    { name: 'it has a "typ"', idToken: { header: set({ typ: 'JWT' }) } },
    { name: 'the header of its JWE repeats nothing', idToken: { seal: without('iss', 'aud', 'cty') } },
    {
      name: 'the person logged in within "max_age"',
      idToken: { claims: fromNow({ auth_time: -50 }) },
      asked: { max_age: 60 },
    },
    {
      name: 'the person took their time to log in anew',
      idToken: { claims: fromNow({ auth_time: -20 }) },
      asked: { max_age: 0 },
    },
    {
      name: 'it has one of the "acr_values" asked for',
      idToken: { claims: set({ acr: 'silver' }) },
      asked: { acr_values: 'gold silver' },
    },
  ])('$name', async ({ idToken, asked }) => {
    const scene = await startScene()
    const login = await scene.victim.begin('bankA', asked)
    expectLoggedIn(await scene.victim.finish(login, { idToken }), scene)
  })
})
