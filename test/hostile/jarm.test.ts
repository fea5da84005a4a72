import { describe, expect, test } from '@jest/globals'
import { appended, fromNow, type JwtBend, listed, set, without } from '../support/bends.js'
import { expectLoggedIn, expectOnly, expectRefused, type Refusal } from '../support/expectations.js'
import { rsaKey } from '../support/key-pairs.js'
import type { AnswerBends } from '../support/platform.js'
import { signedAnswers } from '../support/profiles.js'
import { nextScene, startScene, type Scene, useScenes } from '../support/scene.js'
import { es256, es256Rows, jwtRows } from './jwt-rows.js'

useScenes()

const targets = [
  { target: "the bank's answer, directly,", part: 'answer', flow: 'direct', encrypted: true },
  { target: "the bank's answer, through the proxy,", part: 'answer', flow: 'proxy', encrypted: true },
  { target: "the bank's answer, signed only,", part: 'answer', flow: 'direct', encrypted: false },
  { target: "IDPartner's document", part: 'document', flow: 'proxy', encrypted: true },
] as const

/** Up to the keys that the answer is checked with, and no further. */
const BEFORE_TOKEN = [
  'proxy.discovery',
  'directory.jwks',
  'bankA.par',
  'bankA+mtls.par',
  'bankA.discovery',
  'bankA.jwks',
]
/** Nothing is asked of a bank before the document that names it was verified. */
const BEFORE_BANK = ['proxy.discovery', 'directory.jwks']

async function expectTurnedAway(
  scene: Scene,
  bends: AnswerBends,
  refusal: Refusal,
  allowed: readonly string[],
  genuine: AnswerBends = {},
): Promise<void> {
  const { victim, platform } = scene
  const login = await victim.begin()
  expectRefused(await victim.finish(login, bends), refusal)
  expectOnly(platform, allowed)
  expect(scene.logins).toEqual([])
  expectLoggedIn(await victim.finish(login, genuine), scene)
}

describe.each(targets)('$target is refused when', ({ part, ...options }) => {
  test.each(jwtRows)('$name', async ({ bend, message }) => {
    await expectTurnedAway(
      await startScene(options),
      { [part]: bend(part === 'document' ? 'directory' : 'bankA') },
      { code: 'response_invalid', ...(message && { message }) },
      part === 'document' ? BEFORE_BANK : BEFORE_TOKEN,
    )
  })
})

describe("the bank's answer is refused, where ES256 is configured, when", () => {
  test.each(es256Rows)('$name', async ({ bend, message }) => {
    await expectTurnedAway(
      await startScene({ flow: 'direct', strategy: { authorization_signed_response_alg: 'ES256' } }),
      { answer: bend('bankA') },
      { code: 'response_invalid', ...(message && { message }) },
      BEFORE_TOKEN,
      { answer: es256('bankA') },
    )
  })
})

/** What an answer may not be of which the signature is right; each name completes "is refused when". */
const rows: { name: string; answer: JwtBend; refusal?: Refusal }[] = [
  { name: 'its "state" is missing', answer: { claims: without('state') } },
  { name: 'its "state" is empty', answer: { claims: set({ state: '' }) } },
  {
    name: 'its "state" is a list with the right one',
    answer: { claims: listed('state') },
  },
  {
    name: 'its "state" is another',
    answer: { claims: appended('state') },
    refusal: { code: 'login_missing', reason: 'no_login' },
  },
  { name: 'it has no "code"', answer: { claims: without('code') } },
  { name: 'its "code" is empty', answer: { claims: set({ code: '' }) } },
  { name: 'its "code" is a number', answer: { claims: set({ code: 1 }) } },
  { name: 'it has a "code" and an "error"', answer: { claims: set({ error: 'access_denied' }) } },
  { name: 'its "error" is an object', answer: { claims: (c) => ({ ...without('code')(c), error: {} }) } },
  { name: 'the trust directory signed it', answer: { key: () => rsaKey('directory') } },
  { name: 'another bank signed it', answer: { key: () => rsaKey('bankB') } },
  {
    name: "it holds an ID token's claims",
    answer: {
      claims: (c) => fromNow({ iat: 0 })({ ...without('code', 'state')(c), sub: 'someone', nonce: 'n' }),
    },
  },
]

describe.each([{ flow: 'direct' }, { flow: 'proxy' }] as const)(
  "the bank's answer ($flow flow) is refused when",
  ({ flow }) => {
    test.each(rows)('$name', async ({ answer, refusal = { code: 'response_invalid' } }) => {
      await expectTurnedAway(await startScene({ flow }), { answer }, refusal, BEFORE_TOKEN)
    })
  },
)

describe.each(signedAnswers)("with $setup the bank's answer is refused when", ({ options }) => {
  test.each(jwtRows)('$name', async ({ bend, message }) => {
    await expectTurnedAway(
      await nextScene(options),
      { answer: bend('bankA') },
      { code: 'response_invalid', ...(message && { message }) },
      BEFORE_TOKEN,
    )
  })

  test.each(rows)('$name', async ({ answer, refusal = { code: 'response_invalid' } }) => {
    await expectTurnedAway(await nextScene(options), { answer }, refusal, BEFORE_TOKEN)
  })
})

describe("the bank's answer is accepted when", () => {
  test.each<{ name: string; answer: JwtBend }>([
    { name: 'its "aud" is a list of one', answer: { claims: listed('aud') } },
    {
      name: 'it has an "iat" and a "typ"',
      answer: { claims: fromNow({ iat: 0 }), header: set({ typ: 'JWT' }) },
    },
    { name: 'it expired within what clocks may differ', answer: { claims: fromNow({ exp: -25 }) } },
    { name: 'the header of its JWE repeats nothing', answer: { seal: without('iss', 'aud', 'cty') } },
  ])('$name', async ({ answer }) => {
    const scene = await startScene({ flow: 'direct' })
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin(), { answer }), scene)
  })

  test('it is signed with ES256, where that is configured', async () => {
    const scene = await startScene({
      flow: 'direct',
      strategy: { authorization_signed_response_alg: 'ES256', id_token_signed_response_alg: 'ES256' },
    })
    const answer = es256('bankA')
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin(), { answer, idToken: answer }), scene)
  })
})

describe('an authentic "no" of the bank uses the login up', () => {
  const saying = (error: string): AnswerBends => ({
    answer: {
      claims: (c) => ({ ...without('code')(c), error, error_description: 'the bank\nsays <b>so</b>' }),
    },
  })

  test.each<Refusal & { error: string }>([
    { error: 'access_denied', code: 'access_denied', providerError: 'access_denied' },
    {
      error: 'login_required',
      code: 'provider_error',
      via: 'fail',
      status: 401,
      providerError: 'login_required',
    },
    {
      error: 'consent_required',
      code: 'provider_error',
      via: 'fail',
      status: 401,
      providerError: 'consent_required',
    },
    {
      error: 'invalid_scope',
      code: 'provider_error',
      via: 'fail',
      status: 401,
      providerError: 'invalid_scope',
    },
    { error: 'server_error', code: 'provider_error', providerError: 'server_error' },
    {
      error: 'temporarily_unavailable',
      code: 'provider_error',
      status: 503,
      providerError: 'temporarily_unavailable',
    },
    { error: 'forged\nlog line', code: 'provider_error', via: 'fail', status: 401, providerError: undefined },
  ])('$error', async ({ error, ...refusal }) => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    expectRefused(await scene.victim.finish(login, saying(error)), refusal)
    expectRefused(await scene.victim.finish(login), { code: 'login_missing', reason: 'already_used' })
    expect(scene.platform.requests).not.toContain('bankA.token')
  })
})
