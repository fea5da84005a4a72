import { createHash, randomUUID } from 'node:crypto'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { decodeJwt } from 'jose'
import { IDPartner, type TokenSet } from 'passport-idpartner'
import { set } from '../support/bends.js'
import { expectLoggedIn, expectRefused } from '../support/expectations.js'
import { answer, send, type Fault } from '../support/faults.js'
import { startScene, useScenes, type Scene, type SceneOptions } from '../support/scene.js'
import { refusal } from '../support/settle.js'

useScenes()

/** The bank of the tests checks each proof: test/support/dpop-checks.ts. */
const bound = { flow: 'direct', profile: 'fapi2-security', dpop: true } satisfies SceneOptions

async function logIn(options: SceneOptions = bound): Promise<{ scene: Scene; tokens: TokenSet }> {
  const scene = await startScene(options)
  expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
  const tokens = scene.logins[0]?.tokens
  if (!tokens) throw new Error('nobody logged in')
  return { scene, tokens }
}

const kept = (tokens: TokenSet): TokenSet => JSON.parse(JSON.stringify(tokens)) as TokenSet

/** Does something before a proof is signed, whose claims are there already; they alone have ECDSA here. */
function beforeProof(work: () => Promise<unknown>): void {
  const sign = crypto.subtle.sign.bind(crypto.subtle)
  const spy = jest.spyOn(crypto.subtle, 'sign').mockImplementation(async (...call) => {
    if ((call[0] as { name: string }).name === 'ECDSA') {
      spy.mockRestore()
      await work()
    }
    return sign(...call)
  })
}

/** Does something before the claims of the second proof with a token are put together. */
function beforeSecondClaims(work: () => Promise<unknown>): void {
  const digest = crypto.subtle.digest.bind(crypto.subtle)
  let count = 0
  const spy = jest.spyOn(crypto.subtle, 'digest').mockImplementation(async (...call) => {
    const isOfToken = Buffer.from(call[1] as Uint8Array)
      .toString()
      .startsWith('access-')
    if (isOfToken && ++count === 2) {
      spy.mockRestore()
      await work()
    }
    return digest(...call)
  })
}

afterEach(() => {
  jest.restoreAllMocks()
})

describe('tokens are bound to a key of the login:', () => {
  test.each([
    { ...bound },
    { ...bound, profile: 'fapi2-message-signing' },
    { ...bound, profile: 'fapi1-advanced' },
    { ...bound, profile: 'fapi1-advanced', flow: 'proxy' },
    { ...bound, auth: 'tls_client_auth', mutual: true },
    { ...bound, profile: 'fapi2-message-signing', auth: 'tls_client_auth', mutual: true },
  ] as const)('$profile, $flow flow, $auth', async (options) => {
    const { scene, tokens } = await logIn(options)
    expect(tokens.token_type).toBe('dpop')
    expect(tokens.dpop_key).toMatch(/^ES256\.[\w-]{43}$/)
    // The same for all requests of the login.
    expect(new Set(scene.platform.bankA.dpop.keys).size).toBe(1)
  })

  test.each(['ES256', 'ES384', 'ES512', 'EdDSA'] as const)('with %s', async (dpop_signing_alg) => {
    const { tokens } = await logIn({ ...bound, strategy: { dpop_signing_alg } })
    expect(tokens.dpop_key?.split('.')[0]).toBe(dpop_signing_alg)
  })

  test('of one login and no other', async () => {
    const { scene } = await logIn()
    const other = scene.newVisitor()
    expectLoggedIn(await other.finish(await other.begin()), scene)
    expect(new Set(scene.platform.bankA.dpop.keys).size).toBe(2)
  })

  test('they work in another process, after they were stored', async () => {
    const { scene, tokens } = await logIn()
    const { platform } = scene
    const { issuer } = platform.bankA
    const other = new IDPartner(await platform.config())
    await expect(other.userInfo(issuer, kept(tokens))).resolves.toMatchObject({ sub: platform.person.sub })
    await expect(other.paymentDetailsInfo(issuer, kept(tokens))).resolves.toEqual({ account: 'DE00' })
    const renewed = await other.refreshToken(issuer, kept(tokens))
    expect(renewed).toMatchObject({ token_type: 'dpop', dpop_key: tokens.dpop_key })
    await expect(other.userInfo(issuer, kept(renewed))).resolves.toBeDefined()
    await other.revokeToken(issuer, kept(renewed))
    expect(new Set(platform.bankA.dpop.keys).size).toBe(1)
  })

  test('a bare refresh token brings tokens with a key of their own', async () => {
    const { scene, tokens } = await logIn()
    const { client } = scene.strategy
    const { issuer } = scene.platform.bankA
    const renewed = await client.refreshToken(issuer, String(tokens.refresh_token))
    expect(renewed.dpop_key).toMatch(/^ES256\./)
    expect(renewed.dpop_key).not.toBe(tokens.dpop_key)
    await expect(client.paymentDetailsInfo(issuer, renewed)).resolves.toBeDefined()
  })

  test('or to one for all, which comes with no token', async () => {
    const { privateKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
      'sign',
      'verify',
    ])
    const jwk = await crypto.subtle.exportKey('jwk', privateKey)
    const { kty = '', crv, x, y, d } = jwk
    const dpop_key = { kty, crv, x, y, d, alg: 'ES256' } as never
    const { scene, tokens } = await logIn({ ...bound, strategy: { dpop_key } })
    expect(tokens).not.toHaveProperty('dpop_key')
    const { platform } = scene
    const other = new IDPartner({ ...(await platform.config()), dpop_key })
    await expect(other.userInfo(platform.bankA.issuer, kept(tokens))).resolves.toBeDefined()
    expect(new Set(platform.bankA.dpop.keys).size).toBe(1)
  })

  test('a pending login holds it, and has room for nine others', async () => {
    const scene = await startScene(bound)
    await scene.victim.begin()
    expect(JSON.stringify(scene.victim.session).length).toBeLessThan(350)
  })
})

describe('tokens of the wrong kind are refused', () => {
  test.each(['Bearer', 'bearer'])('when %s comes where they have to be bound', async (type) => {
    const scene = await startScene(bound)
    scene.platform.bankA.dpop.type = type
    expectRefused(await scene.victim.finish(await scene.victim.begin()), {
      code: 'token_invalid',
      message: /is not bound by DPoP, although "dpop_bound_access_tokens" is set/,
    })
    expect(scene.platform.requests).not.toContain('bankA.userinfo')
  })

  test.each(['DPoP', 'dpOp'])('when %s comes where it was not asked for', async (type) => {
    const scene = await startScene({ flow: 'direct' })
    scene.platform.bankA.dpop.type = type
    expectRefused(await scene.victim.finish(await scene.victim.begin()), {
      code: 'token_invalid',
      message: /is bound by DPoP, which was not asked for: set the option "dpop_bound_access_tokens"/,
    })
    expect(scene.platform.requests).not.toContain('bankA.userinfo')
  })

  test.each(['mac', 'N_A', ''])('and %j in either', async (type) => {
    for (const options of [bound, { flow: 'direct' } as const]) {
      const scene = await startScene(options)
      scene.platform.bankA.dpop.type = type
      expectRefused(await scene.victim.finish(await scene.victim.begin()), { code: 'token_invalid' })
    }
  })

  test('but not for how they are spelled', async () => {
    const scene = await startScene(bound)
    scene.platform.bankA.dpop.type = 'dpOp'
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
  })

  test.each<[string, Partial<TokenSet>]>([
    ['missing', { dpop_key: undefined } as never],
    ['damaged', { dpop_key: 'ES256.AAAA' }],
    ['of no known algorithm', { dpop_key: 'RS256.AAAA' }],
    ['of another length', { dpop_key: `ES384.${'A'.repeat(43)}` }],
    ['nothing', { dpop_key: '' }],
  ])('and bound ones are never sent as bearer tokens: their key is %s', async (_name, members) => {
    const { scene, tokens } = await logIn()
    const before = scene.platform.requests.length
    const { issuer } = scene.platform.bankA
    for (const stored of [
      { ...kept(tokens), ...members },
      { ...kept(tokens), ...members, token_type: 'DPoP' as never },
    ]) {
      const err = await refusal(
        scene.strategy.client.userInfo(issuer, JSON.parse(JSON.stringify(stored)) as TokenSet),
      )
      expect(err).toMatchObject({ code: 'config_invalid' })
      expect(err.message).toMatch(/DPoP/)
      expect(`${err.message}${err.stack ?? ''}`).not.toContain(tokens.dpop_key)
    }
    expect(scene.platform.requests).toHaveLength(before)
  })
})

test.each<[string, object]>([
  ['no type', { token_type: undefined, dpop_key: undefined }],
  ['a type of others', { token_type: 'mac', dpop_key: undefined }],
])('tokens of which nobody knows how they are bound are sent to nobody: %s', async (_name, members) => {
  const { scene, tokens } = await logIn()
  const { client } = scene.strategy
  const { issuer } = scene.platform.bankA
  const before = scene.platform.requests.length
  const stored = { ...kept(tokens), ...members }
  for (const call of [
    () => client.userInfo(issuer, stored),
    () => client.paymentDetailsInfo(issuer, stored),
    () => client.request(issuer, stored, `${issuer}/payment-details`),
  ]) {
    expect(await refusal(call())).toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(/"token_type".*store all of a token set/),
    })
  }
  expect(scene.platform.requests).toHaveLength(before)
  // They are not used where they are renewed.
  await expect(client.refreshToken(issuer, stored)).resolves.toMatchObject({ token_type: 'dpop' })
})

test.each(['userinfo', 'paymentDetails', 'token', 'revocation'])(
  'a failure after the login names the interaction of the login: %s',
  async (at) => {
    const { scene, tokens } = await logIn()
    const { client } = scene.strategy
    const { issuer } = scene.platform.bankA
    scene.platform.fault(`bankA.${at}`, answer(403, { error: 'access_denied' }))
    const calls: Record<string, () => Promise<unknown>> = {
      userinfo: () => client.userInfo(issuer, kept(tokens)),
      paymentDetails: () => client.paymentDetailsInfo(issuer, kept(tokens)),
      token: () => client.refreshToken(issuer, kept(tokens)),
      revocation: () => client.revokeToken(issuer, kept(tokens)),
    }
    const err = await refusal(calls[at]?.() ?? Promise.resolve())
    expect(err.interactionId).toBe(tokens.interactionId)
    expect(err.interactionId).toMatch(/^[\da-f-]{36}$/)
  },
)

describe('a nonce', () => {
  test.each(['par', 'token', 'userinfo'] as const)(
    'is given to %s at the second try, and no third',
    async (at) => {
      const scene = await startScene(bound)
      const { bankA } = scene.platform
      bankA.dpop.asks.add(at)
      expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
      expect(scene.platform.count(`bankA.${at}`)).toBe(2)
    },
  )

  test('is in no proof of a login where none is asked for, nor costs it a request', async () => {
    const { scene } = await logIn()
    const proven = scene.platform.wire.requests.filter(({ headers }) => headers['dpop'] !== undefined)
    expect(proven.map(({ endpoint }) => endpoint)).toEqual(['bankA.par', 'bankA.token', 'bankA.userinfo'])
    for (const { headers } of proven) expect(decodeJwt(String(headers['dpop']))).not.toHaveProperty('nonce')
  })

  test('costs nothing once it is known, since each answer brings the next', async () => {
    const scene = await startScene(bound)
    const { bankA } = scene.platform
    for (const at of ['par', 'token', 'userinfo'] as const) bankA.dpop.asks.add(at)
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    expect(['par', 'token', 'userinfo'].map((at) => scene.platform.count(`bankA.${at}`))).toEqual([2, 1, 1])
    const other = scene.newVisitor()
    expectLoggedIn(await other.finish(await other.begin()), scene)
    expect(['par', 'token', 'userinfo'].map((at) => scene.platform.count(`bankA.${at}`))).toEqual([3, 2, 2])
  })

  test("is given to the bank's own endpoints", async () => {
    const { scene, tokens } = await logIn()
    const { bankA } = scene.platform
    bankA.dpop.asks.add('resource')
    const { client } = scene.strategy
    await expect(client.paymentDetailsInfo(bankA.issuer, tokens)).resolves.toEqual({ account: 'DE00' })
    await expect(client.paymentProcessing(bankA.issuer, tokens, { amount: 1 })).resolves.toBeDefined()
    expect(scene.platform.count('bankA.paymentDetails')).toBe(2)
    expect(scene.platform.count('bankA.payment')).toBe(1)
  })

  test('of one bank goes to no other', async () => {
    const scene = await startScene(bound)
    const { bankA, bankB } = scene.platform
    for (const bank of [bankA, bankB]) bank.dpop.asks.add('token')
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin('bankA')), scene)
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin('bankB')), scene)
    expect(scene.platform.count('bankA.token')).toBe(2)
    expect(scene.platform.count('bankB.token')).toBe(2)
  })

  test('that another login brought while the proof was made is news to this one', async () => {
    const scene = await startScene(bound)
    scene.platform.bankA.dpop.asks.add('par')
    const other = scene.newVisitor()
    beforeProof(() => other.begin())
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
  })

  test('of one login alone is given to its own request, whatever others are told meanwhile', async () => {
    const scene = await startScene(bound)
    const { dpop } = scene.platform.bankA
    dpop.asks.add('userinfo')
    dpop.ofEachKey = true
    const other = scene.newVisitor()
    const [begun, otherBegun] = [await scene.victim.begin(), await other.begin()]
    beforeSecondClaims(async () => {
      expectLoggedIn(await other.finish(otherBegun), scene)
    })
    expectLoggedIn(await scene.victim.finish(begun), scene)
    expect(scene.platform.count('bankA.userinfo')).toBe(4)
  })

  test.each(['invalid_grant', 'unauthorized_client', 'invalid_scope'])(
    'that comes with %s is no reason to send a code again: it was looked at',
    async (error) => {
      const scene = await startScene(bound)
      const login = await scene.victim.begin()
      scene.platform.fault('bankA.token', (res) => {
        const headers = { 'content-type': 'application/json', 'dpop-nonce': 'new' }
        send(res, { status: 400, headers, body: JSON.stringify({ error }) })
      })
      expectRefused(await scene.victim.finish(login), { code: 'provider_error', providerError: error })
      expect(scene.platform.count('bankA.token')).toBe(1)
    },
  )

  test.each(['invalid_dpop_proof', 'invalid_request', 'invalid_client'])(
    'that comes with %s is tried, as not all banks say what they want',
    async (error) => {
      const scene = await startScene(bound)
      const login = await scene.victim.begin()
      const refuse: Fault = (res) => {
        const headers = { 'content-type': 'application/json', 'dpop-nonce': randomUUID() }
        send(res, { status: 400, headers, body: JSON.stringify({ error }) })
      }
      scene.platform.fault('bankA.token', refuse)
      expectRefused(await scene.victim.finish(login), { code: 'provider_error', providerError: error })
      expect(scene.platform.count('bankA.token')).toBe(2)
    },
  )

  test('that is never right ends the login, after one more try', async () => {
    const scene = await startScene(bound)
    const { dpop } = scene.platform.bankA
    dpop.asks.add('token')
    dpop.insatiable = true
    expectRefused(await scene.victim.finish(await scene.victim.begin()), {
      code: 'provider_error',
      providerError: 'use_dpop_nonce',
    })
    expect(scene.platform.count('bankA.token')).toBe(2)
  })

  test('that is asked for and not sent ends the login at once, and says so', async () => {
    const scene = await startScene(bound)
    const { dpop } = scene.platform.bankA
    dpop.asks.add('token')
    dpop.silent = true
    expectRefused(await scene.victim.finish(await scene.victim.begin()), {
      code: 'provider_error',
      providerError: 'use_dpop_nonce',
      message: /sent no nonce/,
    })
    expect(scene.platform.count('bankA.token')).toBe(1)
  })

  test.each([500, 503, 404, 403])('in an answer of %d is no reason to send a code again', async (status) => {
    const scene = await startScene(bound)
    const login = await scene.victim.begin()
    scene.platform.fault('bankA.token', (res) => {
      const headers = { 'content-type': 'application/json', 'dpop-nonce': 'new' }
      send(res, { status, headers, body: JSON.stringify({ error: 'use_dpop_nonce' }) })
    })
    const { via } = await scene.victim.finish(login)
    expect(via).toBe('error')
    expect(scene.platform.count('bankA.token')).toBe(1)
  })

  test('is asked for in vain where tokens are not bound', async () => {
    const scene = await startScene({ flow: 'direct' })
    scene.platform.fault('bankA.token', answer(400, { error: 'use_dpop_nonce' }))
    expectRefused(await scene.victim.finish(await scene.victim.begin()), {
      code: 'provider_error',
      providerError: 'use_dpop_nonce',
      message: /dpop_bound_access_tokens/,
    })
    expect(scene.platform.count('bankA.token')).toBe(1)
  })
})

describe('what is sent again, where a server has failed, is made anew:', () => {
  test.each<[string, 'par' | 'userinfo', SceneOptions]>([
    ['a pushed request', 'par', bound],
    ['a pushed request that is signed', 'par', { ...bound, profile: 'fapi2-message-signing' }],
    ['userinfo', 'userinfo', bound],
    ['userinfo, over mutual TLS', 'userinfo', { ...bound, auth: 'tls_client_auth', mutual: true }],
  ])('%s', async (_name, at, options) => {
    const scene = await startScene(options)
    const { platform, victim } = scene
    const endpoint = platform.endpoint(at)
    platform.fault(endpoint, answer(503), 1)
    expectLoggedIn(await victim.finish(await victim.begin()), scene)
    const tries = platform.wire.requests.filter((one) => one.endpoint === endpoint)
    expect(tries).toHaveLength(2)
    const ids = tries.flatMap(({ headers, body }) =>
      [headers['dpop'], ...['client_assertion', 'request'].map((name) => new URLSearchParams(body).get(name))]
        .filter((jwt) => typeof jwt === 'string')
        .map((jwt) => decodeJwt(jwt).jti),
    )
    expect(ids.length).toBeGreaterThanOrEqual(2)
    expect(new Set(ids).size).toBe(ids.length)
    // With the key of the login all the same.
    expect(new Set(platform.bankA.dpop.keys).size).toBe(1)
  })

  test('a code is not sent again', async () => {
    const scene = await startScene(bound)
    scene.platform.fault('bankA.token', answer(503), 1)
    expectRefused(await scene.victim.finish(await scene.victim.begin()), {
      code: 'provider_unavailable',
      status: 503,
    })
    expect(scene.platform.count('bankA.token')).toBe(1)
  })

  test('nor userinfo a third time', async () => {
    const scene = await startScene(bound)
    scene.platform.bankA.dpop.asks.add('userinfo')
    scene.platform.fault('bankA.userinfo', answer(503))
    expectRefused(await scene.victim.finish(await scene.victim.begin()), {
      code: 'provider_unavailable',
      status: 503,
    })
    expect(scene.platform.count('bankA.userinfo')).toBe(2)
  })
})

test('a proof for an API names it without query, and the token that goes along', async () => {
  const { scene, tokens } = await logIn()
  const { platform, strategy } = scene
  const api = `${platform.bankA.issuer}/payment-details`
  const response = await strategy.client.request(platform.bankA.issuer, tokens, `${api}?account=1&x=%2F`)
  expect(response.status).toBe(200)
  const { dpop } = platform.wire.requests.at(-1)?.headers ?? {}
  expect(decodeJwt(String(dpop))).toMatchObject({
    htm: 'GET',
    htu: api,
    ath: createHash('sha256').update(tokens.access_token).digest('base64url'),
  })
})

test('a bank that knows none of our proofs is known before anyone is sent there', async () => {
  const scene = await startScene(bound)
  scene.platform.bankA.metadata = set({ dpop_signing_alg_values_supported: ['RS256', 'PS256'] })
  expectRefused(await scene.victim.login({ iss: scene.platform.bankA.issuer }), {
    code: 'provider_unavailable',
    message: /dpop_signing_alg/,
  })
})
