import dns from 'node:dns'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { AllowedIssuers } from '../../lib/client/allowed-issuers.js'
import { resolveConfig } from '../../lib/client/resolve-config.js'
import { Http } from '../../lib/net/http.js'
import { DpopNonces } from '../../lib/client/dpop.js'
import { Issuers } from '../../lib/client/issuers.js'
import { importKeys } from '../../lib/jwt/keys.js'
import { Provider } from '../../lib/client/provider.js'
import { set, type JwtBend } from '../support/bends.js'
import { expectLoggedIn, expectOnly, expectRefused } from '../support/expectations.js'
import { redirect } from '../support/faults.js'
import { firstOf } from '../support/published-keys.js'
import { startScene, type Scene, useScenes } from '../support/scene.js'
import { refusal, settle } from '../support/settle.js'

useScenes()

afterEach(() => {
  jest.restoreAllMocks()
})

/** Lets names resolve to what an attacker wants, from now on; returns the names that were asked for. */
function resolveTo(...addresses: string[]): string[] {
  const asked: string[] = []
  jest.spyOn(dns, 'lookup').mockImplementation(((
    host: string,
    options: { all?: boolean },
    callback: (err: null, address: unknown, family?: number) => void,
  ) => {
    asked.push(host)
    const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    if (options.all) callback(null, found)
    else callback(null, found[0]?.address, found[0]?.family)
  }) as never)
  return asked
}

/** Addresses that no bank has, in all the spellings a URL allows. */
const PRIVATE = [
  'https://10.0.0.1',
  'https://10.0.0.1.',
  'https://172.16.0.1',
  'https://192.168.1.1:8443/bank',
  'https://169.254.169.254/latest/meta-data',
  'https://100.64.0.1',
  'https://0.0.0.0',
  'https://0',
  'https://167772161',
  'https://0xa000001',
  'https://012.0.0.1',
  'https://10.1',
  'https://224.0.0.1',
  'https://255.255.255.255',
  'https://[::]',
  'https://[fd00::1]',
  'https://[fe80::1]',
  'https://[ff02::1]',
  'https://[::ffff:10.0.0.1]',
  'https://[::ffff:a9fe:a9fe]',
  'https://[64:ff9b::a00:1]',
  'https://[2002:a00:1::1]',
]

/** What is no address of a bank at all. */
const UNUSABLE = [
  '',
  ' ',
  'bank',
  '//bank.example',
  'http://bank.example',
  'http://10.0.0.1',
  'http://localhost.bank.example',
  'http://127.0.0.1.bank.example',
  'ftp://bank.example',
  'file:///etc/passwd',
  'javascript:alert(1)',
  'data:text/html,x',
  'https://user:password@bank.example',
  'https://user@bank.example',
  'https://:password@bank.example',
  'https://',
]

const direct = (strategy?: object): Promise<Scene> =>
  startScene({ flow: 'direct', ...(strategy && { strategy }) })

describe('the bank that the browser names (iss) is refused and not asked when it is', () => {
  test.each(PRIVATE)('the private address %s, even if the application trusts it', async (iss) => {
    const { victim, platform } = await direct({ trusted_issuers: () => true })
    const asked = resolveTo('10.0.0.1')
    expectRefused(await victim.login({ iss }), { code: 'provider_refused' })
    expect([...platform.requests, ...asked]).toEqual([])
    expect(victim.session).toEqual({})
  })

  test.each(UNUSABLE)('%j, even if the application trusts it', async (iss) => {
    const { victim, platform } = await direct({ trusted_issuers: () => true })
    const asked = resolveTo('10.0.0.1')
    expectRefused(await victim.login({ iss }), { code: 'provider_refused' })
    expect([...platform.requests, ...asked]).toEqual([])
  })

  test.each<{ name: string; iss: (issuer: string, evil: string) => string }>([
    { name: 'a stranger', iss: () => 'https://evil.example' },
    { name: 'a stranger on the same machine', iss: (_issuer, evil) => evil },
    { name: 'one character longer', iss: (issuer) => `${issuer}1` },
    { name: 'one character shorter', iss: (issuer) => issuer.slice(0, -1) },
    { name: 'a slash longer', iss: (issuer) => `${issuer}/` },
    { name: 'a path longer', iss: (issuer) => `${issuer}/../evil` },
    { name: 'a query longer', iss: (issuer) => `${issuer}?x` },
    { name: 'a fragment longer', iss: (issuer) => `${issuer}#x` },
    { name: 'a subdomain of another', iss: (issuer) => `${issuer.replace('/a', '')}.evil.example/a` },
    { name: 'in the path of another', iss: (issuer, evil) => `${evil}/${issuer}` },
    { name: 'in the query of another', iss: (issuer, evil) => `${evil}/?${issuer}` },
    {
      name: 'the credentials of another',
      iss: (issuer, evil) => evil.replace('//', `//${new URL(issuer).host}@`),
    },
    { name: 'with credentials', iss: (issuer) => issuer.replace('//', '//user:password@') },
    { name: 'in capitals', iss: (issuer) => issuer.toUpperCase() },
    { name: 'spelled with percent signs', iss: (issuer) => issuer.replace('/a', '/%61') },
    { name: 'spelled with backslashes', iss: (issuer) => issuer.replaceAll('/', '\\') },
    { name: 'followed by a blank', iss: (issuer) => `${issuer} ` },
    { name: 'preceded by a blank', iss: (issuer) => ` ${issuer}` },
    { name: 'followed by a line break', iss: (issuer) => `${issuer}\r\nHost: evil.example` },
    { name: 'followed by nothing, as C has it', iss: (issuer) => `${issuer}\0` },
    { name: 'two in one', iss: (issuer, evil) => `${issuer},${evil}` },
  ])('$name', async ({ iss }) => {
    const { victim, platform } = await direct()
    const asked = resolveTo('127.0.0.1')
    const named = iss(platform.bankA.issuer, platform.evil.origin)
    expectRefused(await victim.login({ iss: named }), { code: 'provider_refused' })
    expect([...platform.requests, ...asked]).toEqual([])
    expect(victim.session).toEqual({})
  })

  test('named twice', async () => {
    const { victim, strategy, platform } = await direct()
    const { issuer } = platform.bankA
    const url = (second: string): object =>
      victim.get(
        '/login',
        new URLSearchParams([
          ['iss', issuer],
          ['iss', second],
        ]),
      )
    for (const second of [platform.evil.origin, issuer]) {
      expectRefused(await settle(strategy, url(second)), { code: 'provider_refused' })
    }
    expect(platform.requests).toEqual([])
  })

  test.each<{ name: string; answer: () => unknown }>([
    { name: 'no', answer: () => false },
    { name: 'no later', answer: () => Promise.resolve(false) },
    { name: 'a word', answer: () => 'yes' },
    { name: 'a promise in a list', answer: () => [Promise.resolve(false)] },
    { name: 'nothing', answer: () => undefined },
  ])('answered with $name by the application', async ({ answer }) => {
    const { victim, platform } = await direct({ trusted_issuers: answer })
    expectRefused(await victim.login({ iss: platform.bankA.issuer }), { code: 'provider_refused' })
    expect(platform.requests).toEqual([])
  })

  test("what the application's function throws is the application's", async () => {
    const { victim, platform } = await direct({ trusted_issuers: () => Promise.reject(new Error('down')) })
    expectRefused(await victim.login({ iss: platform.bankA.issuer }), {
      code: 'config_invalid',
      message: /threw/,
    })
    expect(platform.requests).toEqual([])
  })
})

/** A genuine document of IDPartner that names a bank elsewhere, and an answer that agrees. */
function naming(issuer: string): { document: JwtBend; answer: JwtBend } {
  return {
    document: { claims: set({ identity_provider: { name: 'Bank', issuer_url: issuer } }) },
    answer: { claims: set({ iss: issuer }), seal: set({ iss: issuer }) },
  }
}

describe('the bank that a genuine document names is refused and not asked when it is', () => {
  test.each(PRIVATE)('the private address %s', async (issuer) => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    const asked = resolveTo('10.0.0.1')
    expectRefused(await scene.victim.finish(login, naming(issuer)), { code: 'provider_refused' })
    expectOnly(scene.platform, ['proxy.discovery', 'directory.jwks'])
    expect(asked).toEqual([])
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test.each(UNUSABLE)('%j', async (issuer) => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    const asked = resolveTo('10.0.0.1')
    expectRefused(await scene.victim.finish(login, naming(issuer)), { code: 'response_invalid' })
    expectOnly(scene.platform, ['proxy.discovery', 'directory.jwks'])
    expect(asked).toEqual([])
  })

  test('this machine, while IDPartner is not on it', async () => {
    const { platform } = await startScene()
    const config = await platform.config()
    for (const trust_directory_service_url of [platform.directory.url, 'https://directory.example']) {
      const allowed = new AllowedIssuers(resolveConfig({ ...config, trust_directory_service_url }))
      allowed.vouch(platform.bankA.issuer)
      const check = allowed.check(platform.bankA.issuer)
      if (trust_directory_service_url === platform.directory.url) await expect(check).resolves.toBeUndefined()
      else expect(await refusal(check)).toMatchObject({ code: 'provider_refused', status: 403 })
    }
  })

  test.each([
    'http://127.0.0.1:6379',
    'http://localhost:6379',
    'https://[::1]',
    'http://redis.localhost:6379',
  ])('this machine, which a function trusts while IDPartner is not on it: %s', async (issuer) => {
    const { platform } = await startScene()
    const allowed = new AllowedIssuers(
      resolveConfig({
        ...(await platform.config()),
        trust_directory_service_url: 'https://directory.example',
        trusted_issuers: () => true,
      }),
    )
    expect(await refusal(allowed.check(issuer))).toMatchObject({ code: 'provider_refused', status: 403 })
  })

  test('one that no document named', async () => {
    const { platform, strategy } = await startScene()
    const { issuer } = platform.bankA
    const { client } = strategy
    for (const call of [
      () => client.refreshToken(issuer, 'token'),
      () => client.paymentDetailsInfo(issuer, { access_token: 'token', token_type: 'bearer' }),
      () => client.paymentProcessing(issuer, { access_token: 'token', token_type: 'bearer' }, {}),
      () => client.credential(issuer, { access_token: 'token', token_type: 'bearer' }, {}),
      () => client.revokeToken(issuer, 'token'),
    ]) {
      expect(await refusal(call())).toMatchObject({ code: 'provider_refused', status: 403 })
    }
    expect(platform.requests).toEqual([])
  })
})

describe('a name that resolves to a private address is not connected to', () => {
  test.each<{ name: string; addresses: string[] }>([
    { name: 'this machine', addresses: ['127.0.0.1'] },
    { name: 'this machine in IPv6', addresses: ['::1'] },
    { name: 'a private network', addresses: ['10.0.0.1'] },
    { name: 'the metadata service', addresses: ['169.254.169.254'] },
    { name: 'a private address in IPv6', addresses: ['::ffff:10.0.0.1'] },
    { name: 'a public address and a private one', addresses: ['203.0.114.1', '10.0.0.1'] },
  ])('$name', async ({ addresses }) => {
    const { victim, platform } = await direct({ trusted_issuers: ['https://bank.example'] })
    resolveTo(...addresses)
    expectRefused(await victim.login({ iss: 'https://bank.example' }), {
      code: 'provider_unavailable',
      message: /bank\.example.* private address/,
    })
    expect(platform.requests).toEqual([])
  })

  test('nor is localhost, should it resolve to another machine', async () => {
    const { platform } = await startScene()
    resolveTo('10.0.0.1')
    const http = new Http({ timeout: 20_000 })
    expect(await refusal(http.fetch(platform.bankB.issuer, { what: 'bank B' }))).toMatchObject({
      code: 'provider_unavailable',
      message: expect.stringMatching(/private address/),
    })
    expect(platform.requests).toEqual([])
  })
})

describe('with private networks open, nothing else is connected to', () => {
  const private_networks = ['bank.internal', '10.1.0.0/16']

  test.each<{ name: string; iss: string; addresses: string[] }>([
    { name: 'a name beside the list', iss: 'https://bank.example', addresses: ['10.2.0.1'] },
    { name: 'a name that ends like the list', iss: 'https://evil-bank.internal', addresses: ['10.2.0.1'] },
    { name: 'the name, leading to this machine', iss: 'https://bank.internal', addresses: ['127.0.0.1'] },
    { name: 'the name, leading to IPv6 loopback', iss: 'https://bank.internal', addresses: ['::1'] },
    { name: 'the name, leading to metadata', iss: 'https://bank.internal', addresses: ['169.254.169.254'] },
    {
      name: 'the name, leading to IPv6 metadata',
      iss: 'https://bank.internal',
      addresses: ['fd00:ec2::254'],
    },
    { name: 'the name, leading to both', iss: 'https://bank.internal', addresses: ['10.1.2.3', '127.0.0.1'] },
    {
      name: 'a range, and an address beside it',
      iss: 'https://bank.example',
      addresses: ['10.1.2.3', '10.2.0.1'],
    },
  ])('$name', async ({ iss, addresses }) => {
    const { victim, platform } = await direct({ trusted_issuers: [iss], private_networks })
    resolveTo(...addresses)
    expectRefused(await victim.login({ iss }), {
      code: 'provider_unavailable',
      message: /resolves to a private address/,
    })
    expect(platform.requests).toEqual([])
  })

  test.each(['https://10.1.2.3', ...PRIVATE])(
    '%s, which the browser names and a function trusts',
    async (iss) => {
      const { victim, platform } = await direct({ trusted_issuers: () => true, private_networks })
      const asked = resolveTo('10.1.2.3')
      expectRefused(await victim.login({ iss }), { code: 'provider_refused' })
      expect([...platform.requests, ...asked]).toEqual([])
    },
  )

  test.each([
    'https://10.2.0.1/x',
    'https://169.254.169.254/x',
    'http://10.1.2.3/x',
    'http://bank.internal/x',
  ])('%s, as a token endpoint', async (url) => {
    const { victim, platform, logins } = await startScene({ strategy: { private_networks } })
    platform.bankA.metadata = set({ token_endpoint: url })
    const login = await victim.begin()
    const asked = resolveTo('10.1.2.3')
    expectRefused(await victim.finish(login), { code: 'provider_unavailable' })
    expect([...asked, ...logins]).toEqual([])
  })
})

describe('an endpoint that a discovery document names is not asked when it is', () => {
  const elsewhere = [
    'https://10.0.0.1/x',
    'https://169.254.169.254/x',
    'https://[::ffff:10.0.0.1]/x',
    'http://bank.example/x',
  ]

  test.each(
    elsewhere.flatMap((url) =>
      ['jwks_uri', 'token_endpoint', 'userinfo_endpoint'].map((name) => ({ name, url })),
    ),
  )('$url, as $name', async ({ name, url }) => {
    const { victim, platform, logins } = await startScene()
    platform.bankA.metadata = set({ [name]: url })
    const login = await victim.begin()
    const asked = resolveTo('10.0.0.1')
    expectRefused(await victim.finish(login), { code: 'provider_unavailable' })
    expect(asked).toEqual([])
    expect(logins).toEqual([])
  })

  test.each(elsewhere)('%s, to push a request to', async (url) => {
    const { victim, platform } = await direct()
    platform.bankA.metadata = set({ pushed_authorization_request_endpoint: url })
    expectRefused(await victim.login({ iss: platform.bankA.issuer }), { code: 'provider_unavailable' })
    expectOnly(platform, ['bankA.discovery'])
  })

  test.each(elsewhere)('%s, to order a payment or a credential at', async (url) => {
    const scene = await startScene()
    const { platform, strategy } = scene
    platform.bankA.metadata = set({
      payment_processing_endpoint: url,
      payment_details_info_endpoint: url,
      revocation_endpoint: url,
    })
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    const tokens = scene.logins[0]?.tokens
    if (!tokens) throw new Error('no tokens')
    const { client } = strategy
    const { issuer } = platform.bankA
    platform.fault('bankA.credentialIssuer', (res) => {
      res.end(JSON.stringify({ credential_issuer: issuer, credential_endpoint: url }))
    })
    for (const call of [
      () => client.paymentProcessing(issuer, tokens, { amount: 1 }),
      () => client.paymentDetailsInfo(issuer, tokens),
      () => client.revokeToken(issuer, tokens),
      () => client.credential(issuer, tokens, {}),
    ]) {
      expect(await refusal(call())).toMatchObject({ code: 'provider_unavailable', status: 502 })
    }
    expect(platform.requests).not.toContain('bankA.payment')
  })

  test('this machine, named by a document from elsewhere', async () => {
    const { platform } = await startScene()
    const http = new Http({ timeout: 20_000 })
    for (const url of [platform.bankA.issuer, platform.bankB.issuer]) {
      const err = await refusal(http.fetch(url, { what: 'a bank', namedBy: 'https://bank.example' }))
      expect(err).toMatchObject({
        code: 'provider_unavailable',
        message: expect.stringMatching(/this machine/),
      })
      expect((await http.fetch(url, { what: 'a bank', namedBy: platform.bankA.issuer })).status).toBe(404)
    }
    expect(platform.requests).toHaveLength(2)
  })

  test.each(PRIVATE)('%s, whoever asks', async (url) => {
    const err = await refusal(new Http({ timeout: 20_000 }).fetch(url, { what: 'a bank' }))
    expect(err).toMatchObject({
      code: 'provider_unavailable',
      message: expect.stringMatching(/private address/),
    })
  })

  test.each(UNUSABLE)('%j, whoever asks', async (url) => {
    expect(await refusal(new Http({ timeout: 20_000 }).fetch(url, { what: 'a bank' }))).toMatchObject({
      code: 'provider_unavailable',
    })
  })
})

describe('a bank on the internet that names this machine', () => {
  test.each([
    'jwks_uri',
    'token_endpoint',
    'userinfo_endpoint',
    'pushed_authorization_request_endpoint',
    'authorization_endpoint',
  ])('as its %s', async (name) => {
    const { platform } = await startScene()
    const issuer = 'https://bank.example'
    const document = {
      ...platform.bankA.document(),
      issuer,
      authorization_endpoint: `${issuer}/auth`,
      [name]: `${platform.evil.origin}/x`,
    }
    const http = new Http({ timeout: 20_000 })
    // The one thing that is not as it would be: a public host that answers.
    jest
      .spyOn(http, 'get')
      .mockImplementation((url, init) =>
        String(url).startsWith(issuer) ? Promise.resolve(Response.json(document)) : http.fetch(url, init),
      )
    const config = resolveConfig({ ...(await platform.config()), trusted_issuers: [issuer] })
    const issuers = new Issuers(http, config)
    const metadata = await issuers.metadata(issuer)
    const keys = await importKeys(config.keys)
    const issuerKeys = issuers.keys(issuer)
    const bank = new Provider({
      config,
      http,
      keys,
      issuerKeys,
      metadata,
      interactionId: 'x',
      nonces: new DpopNonces(),
      signal: undefined,
    })
    const calls: Record<string, () => Promise<unknown>> = {
      jwks_uri: () => firstOf(issuerKeys('PS256', undefined)),
      token_endpoint: () => bank.refresh('token'),
      userinfo_endpoint: () => bank.userInfo('token', 'sub'),
      pushed_authorization_request_endpoint: () => bank.pushedAuthorizationUrl({}),
      authorization_endpoint: () => bank.signedAuthorizationUrl({}),
    }
    const err = await refusal(calls[name]?.() ?? Promise.resolve())
    expect(err).toMatchObject({
      code: 'provider_unavailable',
      message: expect.stringMatching(/this machine|authorization_endpoint/),
    })
  })
})

describe('a redirect is not followed', () => {
  test.each([
    'bankA.payment',
    'bankA.paymentDetails',
    'bankA.credential',
    'bankA.credentialIssuer',
    'bankA.revocation',
  ])('from %s, after the login either', async (endpoint) => {
    const scene = await startScene()
    const { platform, strategy } = scene
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    const tokens = scene.logins[0]?.tokens
    if (!tokens) throw new Error('no tokens')
    const { client } = strategy
    const { issuer } = platform.bankA
    platform.fault(endpoint, redirect(platform.evil.origin, 307))
    const calls: Record<string, () => Promise<unknown>> = {
      'bankA.payment': () => client.paymentProcessing(issuer, tokens, { amount: 1 }),
      'bankA.paymentDetails': () => client.paymentDetailsInfo(issuer, tokens),
      'bankA.revocation': () => client.revokeToken(issuer, tokens),
    }
    const call = calls[endpoint] ?? (() => client.credential(issuer, tokens, {}))
    expect(await refusal(call())).toMatchObject({ code: 'provider_unavailable', status: 502 })
    expect(platform.count('evil.unknown')).toBe(0)
  })
})
