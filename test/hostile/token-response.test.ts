import { describe, expect, test } from '@jest/globals'
import { IDPartnerError, type IDPartner, type TokenSet } from 'passport-idpartner'
import { appended, fromNow, type Change, set, without } from '../support/bends.js'
import { expectLoggedIn, expectRefused, type Refusal } from '../support/expectations.js'
import { answer, empty, html, json, send, type Fault } from '../support/faults.js'
import { withBrokenSignature } from '../support/jws.js'
import type { AnswerBends } from '../support/platform.js'
import { tokenSetups } from '../support/profiles.js'
import { nextScene, startScene, type Scene, useScenes } from '../support/scene.js'
import { refusal } from '../support/settle.js'

useScenes()

/** Nobody gets in, nothing more is asked of the bank, and the answer is used up. */
async function expectTurnedAway(scene: Scene, expected: Refusal, bends: AnswerBends = {}): Promise<void> {
  const { victim, platform } = scene
  const answered = await victim.answerParams(await victim.begin(), bends)
  expectRefused(await victim.bring(answered), expected)
  expectRefused(await victim.bring(answered), { code: 'login_missing', reason: 'already_used' })
  expect(platform.count(platform.endpoint('token'))).toBe(1)
  expect(platform.requests).not.toContain(platform.endpoint('userinfo'))
  expect(scene.logins).toEqual([])
}

/** Each name completes "is refused when". */
const refused: { name: string; tokens: Change }[] = [
  { name: 'it has no "access_token"', tokens: without('access_token') },
  { name: 'its "access_token" is empty', tokens: set({ access_token: '' }) },
  { name: 'its "access_token" is a number', tokens: set({ access_token: 1 }) },
  { name: 'it has no "token_type"', tokens: without('token_type') },
  { name: 'its "token_type" is mac', tokens: set({ token_type: 'mac' }) },
  { name: 'its "token_type" is a list', tokens: set({ token_type: ['Bearer'] }) },
  { name: 'it has no "id_token"', tokens: without('id_token') },
  { name: 'its "id_token" is null', tokens: set({ id_token: null }) },
  { name: 'its "id_token" is empty', tokens: set({ id_token: '' }) },
  { name: 'its "id_token" is an object', tokens: set({ id_token: { sub: 'someone' } }) },
  { name: 'its "id_token" is some text', tokens: set({ id_token: 'hello' }) },
  { name: 'its "expires_in" is a word', tokens: set({ expires_in: 'soon' }) },
  { name: 'its "scope" is a number', tokens: set({ scope: 1 }) },
  { name: 'its "refresh_token" is a number', tokens: set({ refresh_token: 1 }) },
  { name: 'its "token_type" is null', tokens: set({ token_type: null }) },
  { name: 'its "access_token" has two lines', tokens: set({ access_token: 'a\r\n2026 ERROR forged' }) },
  { name: 'its "access_token" has a NUL', tokens: set({ access_token: 'a\0b' }) },
  { name: 'its "refresh_token" has two lines', tokens: set({ refresh_token: 'a\nb' }) },
  { name: 'its "scope" has two lines', tokens: set({ scope: 'openid\nb' }) },
  { name: 'its "expires_in" is half a number', tokens: set({ expires_in: '900 s' }) },
  { name: 'it is an error with HTTP 200', tokens: () => ({ error: 'invalid_grant' }) },
]

describe('a token response is refused when', () => {
  test.each([...refused, { name: 'its "token_type" is DPoP', tokens: set({ token_type: 'DPoP' }) }])(
    '$name',
    async ({ tokens }) => {
      await expectTurnedAway(await startScene(), { code: 'token_invalid' }, { tokens })
    },
  )
})

describe.each(tokenSetups)('with $setup a token response is refused when', ({ options }) => {
  const other = options.dpop ? 'Bearer' : 'DPoP'

  test.each([...refused, { name: 'its "token_type" is the other', tokens: set({ token_type: other }) }])(
    '$name',
    async ({ tokens }) => {
      await expectTurnedAway(await nextScene(options), { code: 'token_invalid' }, { tokens })
    },
  )
})

describe('a token response is accepted when', () => {
  test.each<{ name: string; tokens: Change }>([
    { name: 'it has neither "scope" nor "expires_in"', tokens: without('scope', 'expires_in') },
    { name: 'it has no "expires_in"', tokens: without('expires_in') },
    { name: 'it has no "refresh_token"', tokens: without('refresh_token') },
    { name: 'its "token_type" is bEARER', tokens: set({ token_type: 'bEARER' }) },
    {
      name: 'what it has not is null',
      tokens: set({ refresh_token: null, scope: null, expires_in: null }),
    },
    { name: 'what it has not is empty', tokens: set({ refresh_token: '', scope: '', expires_in: '' }) },
    { name: 'its "expires_in" is a text', tokens: set({ expires_in: '900' }) },
    { name: 'it holds more than we know', tokens: set({ consent_id: 'x', __proto__x: 1 }) },
  ])('$name', async ({ tokens }) => {
    const scene = await startScene()
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin(), { tokens }), scene)
    expect(scene.logins[0]?.tokens.token_type).toBe('bearer')
  })
})

/** What only a log gets to see. */
const WORDS = 'in the words of the bank'

const described = (error: string): object => ({
  error,
  error_description: WORDS,
})

const failures: { name: string; fault: Fault; refusal: Refusal }[] = [
  {
    name: '400 invalid_grant',
    fault: answer(400, described('invalid_grant')),
    refusal: { code: 'provider_error', providerError: 'invalid_grant' },
  },
  {
    name: '401 invalid_client',
    fault: answer(401, described('invalid_client')),
    refusal: { code: 'provider_error', providerError: 'invalid_client', message: /registered/ },
  },
  {
    name: '401 with a challenge alone',
    fault: (res) => res.writeHead(401, { 'www-authenticate': 'Basic realm="bank"' }).end(),
    refusal: { code: 'provider_error', providerError: 'invalid_client' },
  },
  {
    name: '403 access_denied',
    fault: answer(403, described('access_denied')),
    refusal: { code: 'provider_error', providerError: 'access_denied' },
  },
  {
    name: '400 invalid_grant beside something called an ID token',
    fault: answer(400, { ...described('invalid_grant'), id_token: 'hello' }),
    refusal: { code: 'provider_error', providerError: 'invalid_grant' },
  },
  {
    name: '400 server_error',
    fault: answer(400, described('server_error')),
    refusal: { code: 'provider_error', providerError: 'server_error' },
  },
  {
    name: '400 with an error that is no name',
    fault: answer(400, described('a\nforged line')),
    refusal: { code: 'provider_error', providerError: undefined },
  },
  { name: '400 without a word', fault: answer(400), refusal: { code: 'provider_unavailable' } },
  {
    name: '401 without a word',
    fault: answer(401),
    refusal: { code: 'provider_error', providerError: 'invalid_client' },
  },
  {
    name: '401 by another name',
    fault: answer(401, described('unauthorized_client')),
    refusal: { code: 'provider_error', providerError: 'invalid_client', message: /"client_id"/ },
  },
  {
    name: '403 as a page',
    fault: answer(403, '<html>', 'text/html'),
    refusal: { code: 'provider_unavailable' },
  },
  { name: '404', fault: answer(404), refusal: { code: 'provider_unavailable' } },
  { name: '429', fault: answer(429), refusal: { code: 'provider_unavailable', status: 503 } },
  { name: '500', fault: answer(500), refusal: { code: 'provider_unavailable' } },
  { name: '503', fault: answer(503), refusal: { code: 'provider_unavailable', status: 503 } },
  { name: '200 with a page', fault: html, refusal: { code: 'provider_unavailable' } },
  { name: '200 without a word', fault: empty, refusal: { code: 'provider_unavailable' } },
  { name: '200 with a list', fault: answer(200, []), refusal: { code: 'token_invalid' } },
  { name: '200 with null', fault: answer(200, 'null'), refusal: { code: 'token_invalid' } },
  { name: '204', fault: (res) => res.writeHead(204).end(), refusal: { code: 'provider_unavailable' } },
]

describe('the token endpoint fails', () => {
  test.each(failures)('$name', async ({ fault, refusal: expected }) => {
    const scene = await startScene()
    scene.platform.fault('bankA.token', fault)
    await expectTurnedAway(scene, expected)
  })
})

describe.each(tokenSetups)('with $setup the token endpoint fails', ({ options }) => {
  test.each(failures)('$name', async ({ fault, refusal: expected }) => {
    const scene = await nextScene(options)
    scene.platform.fault(scene.platform.endpoint('token'), fault)
    await expectTurnedAway(scene, expected)
  })
})

describe('what a bank writes beside an error', () => {
  test.each(['bankA.par', 'bankA.token', 'bankA.userinfo'])(
    'is for the log alone, and without what it may not hold: %s',
    async (endpoint) => {
      const { victim, platform } = await startScene({ flow: 'direct' })
      const words = `no\r\n2026 ERROR forged \u001b[2J ${'x'.repeat(500)}`
      platform.fault(endpoint, answer(400, { error: 'invalid_request', error_description: words }))
      const begun = await victim.login({ iss: platform.bankA.issuer })
      const { value } =
        begun.via === 'error'
          ? begun
          : await victim.finish({
              url: '',
              request: await platform.request(begun.value as string),
              bank: 'bankA',
            })
      expect(value).toMatchObject({ code: 'provider_error', status: 502, providerError: 'invalid_request' })
      const { message, cause } = value as Error & { cause: Error }
      expect(cause).toMatchObject({ status: 400, error_description: expect.stringMatching(/^no\?\?2026 /) })
      expect(cause.message).toMatch(/^HTTP 400 invalid_request: no\?\?2026 ERROR forged \?\[2J x{200,280}$/)
      expect(message).not.toMatch(/forged/)
      expect(message.length).toBeLessThanOrEqual(300)
    },
  )

  test.each(['bankA.par', 'bankA.token', 'bankA.userinfo'])(
    'is nothing that was sent to it: %s',
    async (endpoint) => {
      const { victim, platform } = await startScene({ flow: 'direct' })
      platform.fault(endpoint, (res) => {
        const { body, headers } = platform.wire.requests.at(-1) ?? {}
        const sent = [...new URLSearchParams(body).values(), headers?.authorization].join(' ')
        send(res, json({ error: 'invalid_request', error_description: sent.slice(0, 20_000) }, 400))
      })
      const begun = await victim.login({ iss: platform.bankA.issuer })
      // settle() looks for code, verifier, tokens and the like in whatever failed.
      const settled =
        begun.via === 'error'
          ? begun
          : await victim.finish({
              url: '',
              request: await platform.request(begun.value as string),
              bank: 'bankA',
            })
      const { cause } = settled.value as { cause: { error_description: string } }
      expect(cause.error_description).toContain('[redacted]')
      expect(cause.error_description).not.toMatch(/ey[\w-]{20,}/)
    },
  )
})

/** A login that is through, and what the application does afterwards. */
async function loggedIn(bends: AnswerBends = {}): Promise<{
  scene: Scene
  client: IDPartner
  issuer: string
  tokens: TokenSet
}> {
  const scene = await startScene()
  expectLoggedIn(await scene.victim.finish(await scene.victim.begin(), bends), scene)
  const tokens = scene.logins[0]?.tokens
  if (!tokens) throw new Error('no tokens')
  return { scene, client: scene.strategy.client, issuer: scene.platform.bankA.issuer, tokens }
}

describe('a refreshed token set', () => {
  test.each<{ name: string; refreshed: NonNullable<AnswerBends['refreshed']> }>([
    { name: 'its ID token is of another issuer', refreshed: { idToken: { claims: appended('iss') } } },
    { name: 'its ID token is of another person', refreshed: { idToken: { claims: appended('sub') } } },
    {
      name: 'its ID token is of another login',
      refreshed: { idToken: { claims: set({ nonce: 'another' }) } },
    },
    {
      name: 'its ID token has a claim of another type',
      refreshed: { idToken: { claims: set({ email: 1 }) } },
    },
    { name: 'its ID token is for another client', refreshed: { idToken: { claims: appended('aud') } } },
    { name: "its ID token's signature is broken", refreshed: { idToken: { signed: withBrokenSignature } } },
    { name: 'its ID token is not encrypted', refreshed: { idToken: { unsealed: true } } },
    { name: 'it has no access token', refreshed: { tokens: without('access_token') } },
    { name: 'its type is another', refreshed: { tokens: set({ token_type: 'mac' }) } },
  ])('is refused when $name', async ({ refreshed }) => {
    const { client, issuer, tokens } = await loggedIn({ refreshed })
    expect(await refusal(client.refreshToken(issuer, tokens))).toMatchObject({
      code: 'token_invalid',
      status: 502,
    })
  })

  test('is refused when its ID token tells another time of the login', async () => {
    const { client, issuer, tokens } = await loggedIn({
      idToken: { claims: fromNow({ auth_time: -60 }) },
      refreshed: { idToken: { claims: fromNow({ auth_time: 0 }) } },
    })
    expect(await refusal(client.refreshToken(issuer, tokens))).toMatchObject({ code: 'token_invalid' })
  })

  test('is that of another person unnoticed, where the application brings the refresh token alone', async () => {
    const { client, issuer, tokens, scene } = await loggedIn({
      refreshed: { idToken: { claims: appended('sub') } },
    })
    const renewed = await client.refreshToken(issuer, tokens.refresh_token ?? '')
    expect(renewed.claims?.sub).toBe(`${scene.platform.person.sub}1`)
  })

  test('is accepted with a new ID token and a rotated refresh token', async () => {
    const { client, issuer, tokens, scene } = await loggedIn()
    const renewed = await client.refreshToken(issuer, tokens)
    expect(renewed.claims).toMatchObject(scene.platform.person)
    expect(renewed.refresh_token).not.toBe(tokens.refresh_token)
    expect(renewed.access_token).not.toBe(tokens.access_token)
  })

  test('is accepted without an ID token, and keeps claims and refresh token it had', async () => {
    const { client, issuer, tokens } = await loggedIn({
      refreshed: { tokens: without('id_token', 'refresh_token') },
    })
    const renewed = await client.refreshToken(issuer, tokens)
    expect(renewed.claims).toEqual(tokens.claims)
    expect(renewed.refresh_token).toBe(tokens.refresh_token)
  })

  test('opens a resource that answers 401 until two refreshes were done', async () => {
    const { client, issuer, tokens, scene } = await loggedIn({ refreshed: { tokens: without('id_token') } })
    const unauthorized: Fault = (res) =>
      res.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end()
    scene.platform.fault('bankA.paymentDetails', unauthorized, 2)
    let held = tokens
    for (let refreshes = 0; refreshes < 2; refreshes++) {
      const err = await refusal(client.paymentDetailsInfo(issuer, held))
      expect(err).toMatchObject({ code: 'provider_error', status: 502, providerError: 'invalid_token' })
      const renewed = await client.refreshToken(issuer, held)
      expect(renewed.refresh_token).not.toBe(held.refresh_token)
      held = renewed
    }
    expect(await client.paymentDetailsInfo(issuer, held)).toEqual({ account: 'DE00' })
  })

  test('cannot be had with a refresh token that was used', async () => {
    const { client, issuer, tokens } = await loggedIn()
    await client.refreshToken(issuer, tokens)
    const err = await refusal(client.refreshToken(issuer, tokens))
    expect(err).toBeInstanceOf(IDPartnerError)
    expect(err).toMatchObject({ code: 'provider_error', status: 502, providerError: 'invalid_grant' })
  })
})
