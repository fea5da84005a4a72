import { describe, expect, test } from '@jest/globals'
import { IDPartnerStrategy, generateJwks, type Profile } from 'passport-idpartner'
import { matchReceipt, redactReceipt, verifyReceipt, verifyRedactedReceipt } from 'passport-idpartner/receipt'
import { expectLoggedIn } from '../support/expectations.js'
import { DIRECTORY_ISSUER } from '../support/directory.js'
import { publicJwk, rsaKey } from '../support/key-pairs.js'
import { travel, useClock } from '../support/clock.js'
import { loginWithReceipt, parsedReceipt } from '../support/receipts.js'
import { startScene, useScenes, type SceneOptions } from '../support/scene.js'

useScenes()
useClock()

const TEN_YEARS = 10 * 365 * 86_400_000
const now = (): number => Math.floor(Date.now() / 1000)

const fapi2 = (profile: Profile): SceneOptions => ({ flow: 'direct', profile, dpop: true, encrypted: false })

const checksOfToken = ['signature', 'iss', 'sub', 'aud', 'exp', 'iat', 'nonce', 'at_hash']

describe('a receipt proves who said what about whom, and when', () => {
  test.each<{ name: string; options: SceneOptions; parts: string[] }>([
    { name: 'proxy flow, encrypted', options: {}, parts: ['document', 'answer', 'id_token'] },
    { name: 'proxy flow, signed', options: { encrypted: false }, parts: ['document', 'answer', 'id_token'] },
    { name: 'direct flow', options: { flow: 'direct' }, parts: ['answer', 'id_token'] },
    {
      name: 'direct flow, client secret',
      options: { flow: 'direct', auth: 'client_secret_basic' },
      parts: ['answer', 'id_token'],
    },
    { name: 'fapi2-security', options: fapi2('fapi2-security'), parts: ['answer', 'id_token'] },
    {
      name: 'fapi2-message-signing',
      options: fapi2('fapi2-message-signing'),
      parts: ['answer', 'id_token'],
    },
  ])('$name', async ({ options, parts }) => {
    const before = now()
    const { scene, login, receipt, application } = await loginWithReceipt(options)
    const after = now()
    travel(TEN_YEARS)
    const found = await verifyReceipt(receipt, { trustAnchors: { application } })
    expect(found).toMatchObject({
      issuer: scene.platform.bankA.issuer,
      claims: login.claims,
      interactionId: login.interactionId,
      client_id: login.claims.aud,
      keysKnownBy: 'application',
    })
    expect(found.identityProvider).toEqual(
      parts.includes('document') ? expect.objectContaining(login.identityProvider) : undefined,
    )
    expect(Object.keys(found.checks)).toEqual(parts)
    expect(found.checks.id_token.made).toEqual(checksOfToken)
    for (const time of [found.begun, found.ended, ...Object.values(found.checks).map(({ at }) => at)]) {
      expect(time).toBeGreaterThanOrEqual(before)
      expect(time).toBeLessThanOrEqual(after)
    }
    for (const { url, fetched } of found.keys) {
      expect(new URL(url).hostname).toMatch(/^(localhost|127\.0\.0\.1)$/)
      expect(fetched).toBeGreaterThanOrEqual(before)
      expect(fetched).toBeLessThanOrEqual(after)
    }
  })

  test('with userinfo, where the bank signs it', async () => {
    const { login, receipt, application } = await loginWithReceipt({}, { userInfoJwt: {} })
    const { userInfo, checks } = await verifyReceipt(receipt, { trustAnchors: { application } })
    expect(userInfo).toEqual(login.userInfo)
    expect(userInfo?.email).toBeDefined()
    expect(checks.userinfo?.made).toEqual(['signature', 'iss', 'aud', 'sub'])
  })

  test('with how strongly the person had to log in', async () => {
    const scene = await startScene({ strategy: { receipt: true, max_age: 60 } })
    const { visitor } = scene
    const claims = { auth_time: now() }
    await visitor.finish(await visitor.begin('bankA', { acr_values: 'high' }), {
      idToken: { claims: (c) => ({ ...c, ...claims, acr: 'high' }) },
    })
    const application = await scene.strategy.client.getPublicJWKs()
    const { checks } = await verifyReceipt(scene.logins[0]?.receipt, { trustAnchors: { application } })
    expect(checks.id_token.made).toEqual([...checksOfToken, 'max_age', 'acr_values'])
  })

  test('to whoever has the keys of IDPartner and the bank from elsewhere', async () => {
    const { scene, receipt, application } = await loginWithReceipt()
    const bank = { keys: [publicJwk(await rsaKey('bankA'))] }
    const directory = { keys: [publicJwk(await rsaKey('directory'))] }
    const issuers = { [scene.platform.bankA.issuer]: bank, [DIRECTORY_ISSUER]: directory }
    expect(await verifyReceipt(receipt, { trustAnchors: { application, issuers } })).toMatchObject({
      keysKnownBy: 'issuers',
    })
  })

  test('also when a database has parsed it and ordered its members otherwise', async () => {
    const { receipt, application, login } = await loginWithReceipt()
    const { statement, ...others } = parsedReceipt(receipt)
    const stored = { ...others, statement: Object.fromEntries(Object.entries(statement).reverse()) }
    const { claims } = await verifyReceipt(stored, { trustAnchors: { application } })
    expect(claims).toEqual(login.claims)
    expect(matchReceipt(stored, redactReceipt(receipt))).toBe(true)
  })
})

describe('a receipt', () => {
  test('is made only when it is asked for', async () => {
    const scene = await startScene()
    expectLoggedIn(await scene.visitor.finish(await scene.visitor.begin()), scene)
    expect(scene.logins[0]).not.toHaveProperty('receipt')
  })

  test('needs a key that seals it', async () => {
    const { keys } = await generateJwks({ alg: 'ES256' })
    const options = {
      client_id: 'me',
      callback: 'https://app.example/cb',
      flow: 'direct',
      trusted_issuers: ['https://bank.example'],
      token_endpoint_auth_method: 'client_secret_basic',
      client_secret: 'secret',
      receipt: true,
    } as const
    const make = (jwks?: { keys: typeof keys }) => () =>
      new IDPartnerStrategy({ ...options, jwks }, () => Promise.resolve(false))
    const refusal = expect.objectContaining({
      code: 'config_invalid',
      message: expect.stringContaining('option "receipt" needs a signing key'),
    })
    expect(make()).toThrow(refusal)
    expect(make({ keys: keys.filter(({ use }) => use === 'enc') })).toThrow(refusal)
    expect(make({ keys })).not.toThrow()
  })

  test('holds no code verifier, token or key of the application', async () => {
    const { receipt, login } = await loginWithReceipt({
      dpop: true,
      flow: 'direct',
      profile: 'fapi2-security',
    })
    expect(receipt).not.toContain(login.tokens.access_token)
    expect(receipt).not.toContain(String(login.tokens.dpop_key))
    expect(Object.keys(parsedReceipt(receipt).parts.answer)).toEqual(['state', 'iss'])
    expect(JSON.stringify(parsedReceipt(receipt).parts)).not.toMatch(/"(d|p|q|code|codeVerifier)":/)
  })
})

describe('a redacted receipt', () => {
  test('matches its receipt and no other, and says nothing of the person', async () => {
    const one = await loginWithReceipt()
    const other = await loginWithReceipt({ platform: one.scene.platform })
    const redacted = redactReceipt(one.receipt)
    expect(matchReceipt(one.receipt, redacted)).toBe(true)
    expect(matchReceipt(JSON.parse(one.receipt), JSON.parse(redacted))).toBe(true)
    expect(matchReceipt(other.receipt, redacted)).toBe(false)
    const { claims, issuer, interactionId } = one.login
    for (const personal of [claims.sub, claims.email, claims.nonce, issuer, interactionId]) {
      expect(redacted).not.toContain(personal)
    }
    expect(Object.keys(JSON.parse(redacted) as object)).toEqual(['statement', 'seal'])
  })

  test('still shows which checks were made, and when, once the receipt is erased', async () => {
    const { receipt, application } = await loginWithReceipt()
    const trustAnchors = { application }
    const { begun, ended, client_id, checks } = await verifyReceipt(receipt, { trustAnchors })
    travel(TEN_YEARS)
    expect(await verifyRedactedReceipt(redactReceipt(receipt), { trustAnchors })).toEqual({
      begun,
      ended,
      client_id,
      checks,
    })
  })

  test('has other hashes for each receipt, also of the same words', async () => {
    const { receipt } = await loginWithReceipt()
    const { hashes } = parsedReceipt(receipt).statement
    expect(new Set(Object.values(hashes)).size).toBe(Object.keys(hashes).length)
  })
})
