import { describe, expect, test } from '@jest/globals'
import type { IDPartner, Proofs } from 'passport-idpartner'
import { set } from '../support/bends.js'
import { answer } from '../support/faults.js'
import type { AnswerBends, BankName } from '../support/platform.js'
import { startScene, type Scene, useScenes } from '../support/scene.js'
import { refusal } from '../support/settle.js'

useScenes()

/** A login of an application that uses the client without the strategy. */
async function begun(flow: 'proxy' | 'direct'): Promise<{
  scene: Scene
  client: IDPartner
  proofs: Proofs
  bring: (bends?: AnswerBends, bank?: BankName) => Promise<string>
}> {
  const scene = await startScene({ flow })
  const { client } = scene.strategy
  const { platform } = scene
  const proofs = client.generateProofs()
  const query = flow === 'direct' ? { iss: platform.bankA.issuer } : {}
  const url = await client.getAuthorizationUrl(query, proofs, ['openid', 'email', 'profile'])
  const request = await platform.request(url)
  return {
    scene,
    client,
    proofs,
    bring: (bends, bank = 'bankA') => platform.answer(request, bends, { bank }),
  }
}

describe('the client without the strategy', () => {
  test('logs in through the proxy', async () => {
    const { client, proofs, bring, scene } = await begun('proxy')
    const { identity_provider, idp_response_code } = await client.unpackProxyResponse({
      response: await bring(),
    })
    expect(identity_provider).toMatchObject({ name: 'bankA', issuer_url: scene.platform.bankA.issuer })
    expect(await client.claims(idp_response_code, proofs)).toMatchObject(scene.platform.person)
  })

  test('logs in directly', async () => {
    const { client, proofs, bring, scene } = await begun('direct')
    expect(await client.claims(await bring(), proofs)).toMatchObject(scene.platform.person)
  })

  test.each<{ name: string; wrong: (proofs: Proofs) => unknown }>([
    { name: 'another state', wrong: (proofs) => ({ ...proofs, state: `${proofs.state}1` }) },
    { name: 'no state', wrong: ({ nonce, codeVerifier }) => ({ nonce, codeVerifier }) },
    { name: 'an empty nonce', wrong: (proofs) => ({ ...proofs, nonce: '' }) },
    { name: 'nothing at all', wrong: () => undefined },
  ])('refuses an answer to proofs with $name, and sends no code', async ({ wrong }) => {
    const { client, proofs, bring, scene } = await begun('direct')
    const response = await bring()
    expect(await refusal(client.claims(response, wrong(proofs) as Proofs))).toMatchObject({
      code: 'login_missing',
      reason: 'no_login',
      status: 401,
    })
    expect(scene.platform.requests).not.toContain('bankA.token')
    expect(await client.claims(response, proofs)).toMatchObject(scene.platform.person)
  })

  test('refuses the answer of another bank than the one it is told', async () => {
    const { client, proofs, bring, scene } = await begun('direct')
    const { bankA } = scene.platform
    const err = await refusal(client.claims(await bring({}, 'bankB'), proofs, bankA.issuer))
    expect(err).toMatchObject({ code: 'response_invalid', status: 401 })
    expect(scene.platform.requests).not.toContain('bankB.token')
    expect(await client.claims(await bring(), proofs, bankA.issuer)).toMatchObject(scene.platform.person)
  })

  test("refuses another bank's answer to a login that went to this one, also where nobody names that", async () => {
    const { client, proofs, bring, scene } = await begun('direct')
    const { bankA, bankB } = scene.platform
    expect(proofs.issuer).toBe(bankA.issuer)
    expect(await refusal(client.claims(await bring({}, 'bankB'), proofs))).toMatchObject({
      code: 'response_invalid',
      status: 401,
      message: `the answer is from another bank than the login went to: ${bankB.issuer} and ${bankA.issuer}`,
    })
    expect(scene.platform.requests).not.toContain('bankB.token')
    expect(await client.claims(await bring(), proofs)).toMatchObject(scene.platform.person)
  })

  test('begins no login with frozen proofs, in which its bank cannot be noted', async () => {
    const { strategy, platform } = await startScene({ flow: 'direct' })
    const frozen = Object.freeze(strategy.client.generateProofs())
    const url = strategy.client.getAuthorizationUrl({ iss: platform.bankA.issuer }, frozen, 'openid')
    expect(await refusal(url)).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('frozen'),
    })
    expect(platform.requests).toEqual([])
  })

  test('refuses an answer longer than 64 KiB', async () => {
    const { client, proofs, bring, scene } = await begun('direct')
    const response = await bring({ answer: { claims: set({ filler: 'x'.repeat(64 * 1024) }) } })
    const err = await refusal(client.claims(response, proofs))
    expect(err).toMatchObject({ code: 'response_invalid', message: expect.stringMatching(/64 KiB/) })
    expect(scene.platform.requests).not.toContain('bankA.jwks')
  })

  test('refuses an answer of a bank that no document named', async () => {
    const { client, proofs, bring, scene } = await begun('proxy')
    const { sub } = JSON.parse(Buffer.from((await bring()).split('.')[1] ?? '', 'base64url').toString()) as {
      sub: string
    }
    expect(await refusal(client.claims(sub, proofs))).toMatchObject({ code: 'response_invalid', status: 401 })
    expect(scene.platform.requests.filter((endpoint) => endpoint.startsWith('bank'))).toEqual([])
  })

  test.each<{ name: string; query: unknown; code: string }>([
    { name: 'a cancel', query: { error: 'access_denied' }, code: 'access_denied' },
    { name: 'another error', query: { error: 'login_required' }, code: 'provider_error' },
    { name: 'a bare code', query: { code: 'code' }, code: 'response_invalid' },
    { name: 'nothing', query: {}, code: 'response_invalid' },
    { name: 'two answers', query: { response: ['a', 'b'] }, code: 'response_invalid' },
  ])('unpacks no document from $name', async ({ query, code }) => {
    const { client, scene } = await begun('proxy')
    expect(await refusal(client.unpackProxyResponse(query))).toMatchObject({ code, status: 401 })
    expect(scene.platform.requests).toEqual(['proxy.discovery'])
  })

  test('cannot be made to set what protects a login', async () => {
    const { client, proofs, scene } = await begun('proxy')
    for (const name of [
      'state',
      'nonce',
      'redirect_uri',
      'code_challenge',
      'response_mode',
      'aud',
      'exp',
      'request_uri',
    ]) {
      const url = client.getAuthorizationUrl({}, proofs, 'openid', { [name]: 'evil' })
      expect(await refusal(url)).toMatchObject({
        code: 'config_invalid',
        message: expect.stringContaining(`"${name}"`),
      })
    }
    expect(scene.platform.requests).toEqual(['proxy.discovery'])
  })

  test.each<{ name: string; metadata: (issuer: string) => unknown }>([
    {
      name: 'of another issuer',
      metadata: (issuer) => ({
        credential_issuer: `${issuer}1`,
        credential_endpoint: `${issuer}/credential`,
      }),
    },
    { name: 'without an endpoint', metadata: (issuer) => ({ credential_issuer: issuer }) },
    { name: 'whose endpoint is a path', metadata: () => ({ credential_endpoint: '/credential' }) },
    { name: 'whose endpoint is a number', metadata: () => ({ credential_endpoint: 1 }) },
    { name: 'that is null', metadata: () => null },
    { name: 'that is a text', metadata: () => 'credential' },
  ])('believes no credential issuer metadata $name', async ({ metadata }) => {
    const { client, proofs, bring, scene } = await begun('direct')
    const { bankA } = scene.platform
    const tokens = await client.token(await bring(), proofs)
    scene.platform.fault('bankA.credentialIssuer', answer(200, JSON.stringify(metadata(bankA.issuer))))
    const err = await refusal(client.credential(bankA.issuer, tokens, {}))
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 502 })
    expect(scene.platform.requests).not.toContain('bankA.credential')
  })

  test('gets a credential of the bank it asks', async () => {
    const { client, proofs, bring, scene } = await begun('direct')
    const tokens = await client.token(await bring(), proofs)
    expect(await client.credential(scene.platform.bankA.issuer, tokens, {})).toEqual({ credential: 'vc' })
  })

  test.each([
    { status: 400, refusal: { code: 'provider_unavailable', status: 502 } },
    { status: 429, refusal: { code: 'provider_unavailable', status: 503 } },
    { status: 500, refusal: { code: 'provider_unavailable', status: 502 } },
    { status: 503, refusal: { code: 'provider_unavailable', status: 503 } },
  ])(
    'takes no JSON with HTTP $status for a payment, its details or a credential',
    async ({ status, refusal: expected }) => {
      const { client, proofs, bring, scene } = await begun('direct')
      const { issuer } = scene.platform.bankA
      const tokens = await client.token(await bring(), proofs)
      for (const endpoint of ['payment', 'paymentDetails', 'credential']) {
        scene.platform.fault(`bankA.${endpoint}`, answer(status, { status: 'accepted' }))
      }
      for (const call of [
        () => client.paymentProcessing(issuer, tokens, { amount: 1 }),
        () => client.paymentDetailsInfo(issuer, tokens),
        () => client.credential(issuer, tokens, {}),
      ]) {
        expect(await refusal(call())).toMatchObject(expected)
      }
    },
  )

  test('has nothing to return where a bank has nothing to say', async () => {
    const { client, proofs, bring, scene } = await begun('direct')
    const tokens = await client.token(await bring(), proofs)
    scene.platform.fault('bankA.payment', (res) => res.writeHead(204).end())
    expect(await client.paymentProcessing(scene.platform.bankA.issuer, tokens, {})).toBeUndefined()
  })

  test('ends a call when it is told to, long before the time is over', async () => {
    const { client, proofs, bring, scene } = await begun('direct')
    const { platform } = scene
    const tokens = await client.token(await bring(), proofs)
    const controller = new AbortController()
    platform.fault('bankA.userinfo', () => {
      controller.abort()
    })
    const call = client.userInfo(platform.bankA.issuer, tokens, { signal: controller.signal })
    expect(await refusal(call)).toMatchObject({ code: 'provider_unavailable', status: 504 })
  })
})

describe.each(['proxy', 'direct'] as const)('an answer finds its login among several (%s flow)', (flow) => {
  /** What an application without the strategy does: all logins of a browser, each of which is forgotten as it is taken. */
  function browser(...logins: Proofs[]): {
    take: (state: string) => Promise<Proofs | undefined>
    taken: string[]
  } {
    const waiting = new Map(logins.map((proofs) => [proofs.state, proofs]))
    const taken: string[] = []
    return {
      taken,
      take: (state) => {
        taken.push(state)
        const proofs = waiting.get(state)
        waiting.delete(state)
        return Promise.resolve(proofs)
      },
    }
  }

  test("by the callback route's query alone, which counts once", async () => {
    const { client, proofs, bring, scene } = await begun(flow)
    const { take, taken } = browser(client.generateProofs(), proofs, client.generateProofs())
    const query = new URLSearchParams({ response: await bring() })
    expect(await client.claims(query, take)).toMatchObject(scene.platform.person)
    expect(await refusal(client.claims(query, take))).toMatchObject({
      code: 'login_missing',
      reason: 'no_login',
      status: 401,
      message: 'no login is waiting for this answer in this browser',
    })
    expect(taken).toEqual([proofs.state, proofs.state])
    expect(scene.platform.requests.filter((endpoint) => endpoint === 'bankA.token')).toHaveLength(1)
  })

  test.each<{ name: string; query: (response: string) => unknown; code: string }>([
    {
      name: 'forged',
      query: (response) => ({ response: `${response.slice(0, -8)}AAAAAAAA` }),
      code: 'response_invalid',
    },
    { name: 'missing', query: () => ({}), code: 'response_invalid' },
    { name: 'repeated', query: (response) => ({ response: [response, response] }), code: 'response_invalid' },
    { name: 'a bare code', query: () => ({ code: 'x', state: 'y' }), code: 'response_invalid' },
    { name: 'an error that nobody signed', query: () => ({ error: 'access_denied' }), code: 'access_denied' },
  ])('but is asked for none when it is $name', async ({ query, code }) => {
    const { client, proofs, bring, scene } = await begun(flow)
    const { take, taken } = browser(proofs)
    const response = await bring()
    expect(await refusal(client.claims(query(response) as object, take))).toMatchObject({ code, status: 401 })
    expect(taken).toEqual([])
    expect(await client.claims({ response }, take)).toMatchObject(scene.platform.person)
  })

  test('and not when it is of another bank than the caller names', async () => {
    const { client, proofs, bring, scene } = await begun(flow)
    const { bankA, bankB } = scene.platform
    const { take, taken } = browser(proofs)
    const response = await bring()
    expect(await refusal(client.claims({ response }, take, bankB.issuer))).toMatchObject({
      code: 'response_invalid',
      status: 401,
    })
    expect(taken).toEqual([])
    expect(await client.claims({ response }, take, bankA.issuer)).toMatchObject(scene.platform.person)
  })

  test.each<{ name: string; gives: (proofs: Proofs) => unknown }>([
    { name: 'those of another login', gives: (proofs) => ({ ...proofs, state: 'x' }) },
    { name: 'something that is no proofs', gives: ({ state }) => ({ state }) },
    { name: 'null', gives: () => null },
  ])('and sends no code for $name', async ({ gives }) => {
    const { client, proofs, bring, scene } = await begun(flow)
    const take = (): Proofs => gives(proofs) as Proofs
    expect(await refusal(client.claims({ response: await bring() }, take))).toMatchObject({
      code: 'login_missing',
      reason: 'no_login',
    })
    expect(scene.platform.requests).not.toContain('bankA.token')
  })

  test('and what the application throws is thrown, before the code is sent', async () => {
    const { client, bring, scene } = await begun(flow)
    const broken = new Error('the store is down')
    const take = (): Promise<Proofs> => Promise.reject(broken)
    await expect(client.claims({ response: await bring() }, take)).rejects.toBe(broken)
    expect(scene.platform.requests).not.toContain('bankA.token')
  })
})
