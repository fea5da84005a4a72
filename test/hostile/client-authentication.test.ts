import { describe, expect, test } from '@jest/globals'
import type { IDPartner, TokenSet } from 'passport-idpartner'
import { set, without, type Change } from '../support/bends.js'
import { HOUR, travel } from '../support/clock.js'
import { expectLoggedIn, expectOnly, expectRefused } from '../support/expectations.js'
import { answer } from '../support/faults.js'
import type { Members } from '../support/jws.js'
import { startScene, useScenes } from '../support/scene.js'
import { refusal } from '../support/settle.js'

useScenes()

/** What a bank sees is checked by the platform: test/support/client-checks.ts. */
describe('the application authenticates in the way that is configured, and in no other', () => {
  test.each([
    { auth: 'private_key_jwt', flow: 'proxy' },
    { auth: 'private_key_jwt', flow: 'direct' },
    { auth: 'client_secret_basic', flow: 'proxy' },
    { auth: 'client_secret_basic', flow: 'direct' },
  ] as const)('$auth ($flow flow)', async (options) => {
    const scene = await startScene(options)
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
  })

  test('client_secret_basic, without any key', async () => {
    const scene = await startScene({
      auth: 'client_secret_basic',
      flow: 'direct',
      encrypted: false,
      strategy: { jwks: undefined },
    })
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
  })

  test.each([
    { auth: 'private_key_jwt', flow: 'direct' },
    { auth: 'client_secret_basic', flow: 'direct' },
    { auth: 'tls_client_auth', flow: 'direct' },
    { auth: 'tls_client_auth', flow: 'proxy' },
  ] as const)(
    '$auth ($flow flow), with a certificate, at the endpoints that ask for one',
    async (options) => {
      const scene = await startScene({ ...options, mutual: true })
      expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
      const toBank = scene.platform.requests.filter((endpoint) => endpoint.startsWith('bankA'))
      expect(new Set(toBank)).toEqual(
        new Set([
          'bankA.discovery',
          'bankA.jwks',
          ...(options.flow === 'direct' ? ['bankA+mtls.par'] : []),
          'bankA+mtls.token',
          'bankA+mtls.userinfo',
        ]),
      )
    },
  )
})

/** Every server here speaks TLS and asks whoever comes for a certificate. */
describe('the certificate is shown to the endpoints that take it, and to nobody else who asks', () => {
  test.each([
    { flow: 'proxy', at: 'their aliases', taking: 'bankA+mtls', metadata: (all: Members) => all },
    { flow: 'direct', at: 'their aliases', taking: 'bankA+mtls', metadata: (all: Members) => all },
    // The same server then has what takes the certificate and what does not.
    {
      flow: 'direct',
      at: 'the endpoints themselves',
      taking: 'bankA',
      metadata: without('mtls_endpoint_aliases'),
    },
    {
      flow: 'proxy',
      at: 'the endpoints themselves',
      taking: 'bankA',
      metadata: without('mtls_endpoint_aliases'),
    },
  ] as const)('$flow flow, $at', async ({ flow, taking, metadata }) => {
    const options = { flow, auth: 'tls_client_auth', mutual: true, everywhere: true } as const
    const scene = await startScene({ ...options, strategy: { fetchUserInfo: true } })
    const { platform, victim } = scene
    platform.bankA.metadata = metadata
    expectLoggedIn(await victim.finish(await victim.begin()), scene)
    const tokens = scene.logins[0]?.tokens
    if (!tokens) throw new Error('nobody was logged in')
    const { client } = scene.strategy
    await client.refreshToken(platform.bankA.issuer, tokens)
    await client.paymentProcessing(platform.bankA.issuer, tokens, { amount: 1 })
    await client.paymentDetailsInfo(platform.bankA.issuer, tokens)
    await client.revokeToken(platform.bankA.issuer, tokens)

    const seen = new Map(platform.wire.requests.map(({ endpoint, certificate }) => [endpoint, certificate]))
    const shown = flow === 'direct' ? ['par'] : []
    shown.push('token', 'userinfo', 'payment', 'paymentDetails', 'revocation')
    expect(Object.fromEntries(seen)).toEqual({
      ...Object.fromEntries(shown.map((name) => [`${taking}.${name}`, 'test-app'])),
      'bankA.discovery': undefined,
      'bankA.jwks': undefined,
      ...(flow === 'proxy' && { 'proxy.discovery': undefined, 'directory.jwks': undefined }),
    })
    for (const { endpoint, certificate } of platform.wire.requests)
      expect(certificate).toBe(seen.get(endpoint))
  })
})

const aliases =
  (change: Change): Change =>
  (document) => ({
    ...document,
    mtls_endpoint_aliases: change({ ...(document['mtls_endpoint_aliases'] as object) }),
  })

describe('nothing is sent without the certificate, when', () => {
  test.each<{ name: string; change: Change }>([
    { name: 'the bank has no endpoint over TLS', change: without('mtls_endpoint_aliases') },
    {
      name: 'the one for requests is missing',
      change: aliases(without('pushed_authorization_request_endpoint')),
    },
    {
      name: 'the one for requests is "undefined/request"',
      change: aliases(set({ pushed_authorization_request_endpoint: 'undefined/request' })),
    },
    {
      name: 'the one for requests is http',
      change: aliases((all) => ({
        ...all,
        pushed_authorization_request_endpoint: String(all['pushed_authorization_request_endpoint']).replace(
          'https',
          'http',
        ),
      })),
    },
  ])('$name', async ({ change }) => {
    const { victim, platform } = await startScene({ auth: 'tls_client_auth', flow: 'direct', mutual: true })
    platform.bankA.metadata = change
    expectRefused(await victim.login({ iss: platform.bankA.issuer }), {
      code: 'config_invalid',
      message: /mtls_endpoint_aliases\.pushed_authorization_request_endpoint/,
    })
    expectOnly(platform, ['bankA.discovery'])
    expect(victim.session).toEqual({})
  })

  test.each<{ name: string; change: Change }>([
    { name: 'the one for tokens is missing', change: aliases(without('token_endpoint')) },
    {
      name: 'the one for tokens is "undefined/token"',
      change: aliases(set({ token_endpoint: 'undefined/token' })),
    },
  ])('$name', async ({ change }) => {
    const { victim, platform } = await startScene({ mutual: true })
    platform.bankA.metadata = change
    expectRefused(await victim.finish(await victim.begin()), {
      code: 'config_invalid',
      message: /mtls_endpoint_aliases\.token_endpoint/,
    })
    expect(platform.requests.filter((endpoint) => endpoint.endsWith('token'))).toEqual([])
  })
})

describe('the certificate is shown at the endpoint itself, when', () => {
  const overTls =
    (aliases: unknown): Change =>
    (document) => ({
      ...document,
      ...(document['mtls_endpoint_aliases'] as object),
      mtls_endpoint_aliases: aliases,
    })

  test.each<{ name: string; aliases: unknown }>([
    { name: 'the bank has no others', aliases: undefined },
    { name: 'its others are null', aliases: null },
    { name: 'its others are none of those', aliases: { introspection_endpoint: 'https://x.example' } },
    {
      name: 'its others are "undefined/token"',
      aliases: {
        pushed_authorization_request_endpoint: 'undefined/request',
        token_endpoint: 'undefined/token',
        userinfo_endpoint: 'undefined/me',
      },
    },
    {
      name: 'its others are without TLS',
      aliases: { token_endpoint: 'http://localhost:1/token', userinfo_endpoint: 'http://bank.example/' },
    },
  ])('$name', async ({ aliases }) => {
    const scene = await startScene({ auth: 'tls_client_auth', flow: 'direct', mutual: true })
    const { platform, victim } = scene
    platform.bankA.metadata = overTls(aliases)
    expectLoggedIn(await victim.finish(await victim.begin()), scene)
    const asked = platform.requests.filter((endpoint) => endpoint.startsWith('bankA+mtls.'))
    expect(asked).toEqual(['bankA+mtls.par', 'bankA+mtls.token', 'bankA+mtls.userinfo'])
  })
})

describe('nothing is sent without the certificate after the login either, when an alias is missing:', () => {
  test('userinfo, which ends the login', async () => {
    const { victim, platform, logins } = await startScene({ mutual: true })
    platform.bankA.metadata = aliases(without('userinfo_endpoint'))
    expectRefused(await victim.finish(await victim.begin()), {
      code: 'config_invalid',
      message: /mtls_endpoint_aliases\.userinfo_endpoint/,
    })
    expect(platform.requests.filter((endpoint) => endpoint.endsWith('userinfo'))).toEqual([])
    expect(logins).toEqual([])
  })

  test.each<{
    name: string
    call: (client: IDPartner, issuer: string, tokens: TokenSet) => Promise<unknown>
  }>([
    { name: 'revocation_endpoint', call: (client, issuer, tokens) => client.revokeToken(issuer, tokens) },
    { name: 'token_endpoint', call: (client, issuer, tokens) => client.refreshToken(issuer, tokens) },
    {
      name: 'payment_processing_endpoint',
      call: (client, issuer, tokens) => client.paymentProcessing(issuer, tokens, { amount: 1 }),
    },
    {
      name: 'payment_details_info_endpoint',
      call: (client, issuer, tokens) => client.paymentDetailsInfo(issuer, tokens),
    },
  ])('$name', async ({ name, call }) => {
    const scene = await startScene({ mutual: true })
    const { platform, strategy, victim } = scene
    expectLoggedIn(await victim.finish(await victim.begin()), scene)
    const tokens = scene.logins[0]?.tokens
    if (!tokens) throw new Error('no tokens')
    await call(strategy.client, platform.bankA.issuer, tokens)
    expect(platform.requests.at(-1)).toMatch(/^bankA\+mtls\./)
    platform.bankA.metadata = aliases(without(name))
    // Only then does a call wait for the new document.
    travel(25 * HOUR)
    const before = platform.requests.filter((endpoint) => !endpoint.endsWith('discovery'))
    expect(await refusal(call(strategy.client, platform.bankA.issuer, tokens))).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining(`mtls_endpoint_aliases.${name}`),
    })
    expect(platform.requests.filter((endpoint) => !endpoint.endsWith('discovery'))).toEqual(before)
  })
})

describe('a connection over TLS is refused when', () => {
  test('nobody we trust vouches for the server', async () => {
    const { victim, platform } = await startScene({
      mutual: true,
      auth: 'tls_client_auth',
      flow: 'direct',
      strategy: { tls_server_ca: undefined },
    })
    expectRefused(await victim.login({ iss: platform.bankA.issuer }), {
      code: 'provider_unavailable',
      message: /certificate that is not trusted/,
    })
    expectOnly(platform, ['bankA.discovery'])
  })

  test('the bank refuses our certificate, politely', async () => {
    const { victim, platform } = await startScene({ mutual: true, auth: 'tls_client_auth', flow: 'direct' })
    platform.fault('bankA+mtls.par', answer(401, { error: 'invalid_client' }))
    expectRefused(await victim.login({ iss: platform.bankA.issuer }), {
      code: 'provider_error',
      providerError: 'invalid_client',
      message: /certificate/,
    })
  })
})
