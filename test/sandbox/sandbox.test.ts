import { createServer, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { startSandbox, type Sandbox, type SandboxOptions } from '../../lib/sandbox/index.js'
import { textOf } from '../support/browser.js'
import { SandboxApp, discover, logInThroughProxy, present } from '../support/sandbox-app.js'

const minimal: SandboxOptions = {
  client_id: 'app',
  callback: 'http://localhost:3001/callback',
  jwks_uri: 'http://localhost:3001/jwks',
}

describe('a sandbox for the proxy flow', () => {
  let app: SandboxApp
  let sandbox: Sandbox

  beforeAll(async () => {
    app = await SandboxApp.start()
    sandbox = await startSandbox(app.options)
  })

  afterAll(async () => {
    await sandbox.close()
    await app.close()
  })

  test('a person logs in: account selector, login, consent, and the app has the claims', async () => {
    const proofs = app.newProofs()
    const { url } = await logInThroughProxy(app, sandbox, proofs)

    expect(url.startsWith(`${app.callback}&response=`)).toBe(true)
    const bank = present(sandbox.banks[0])
    const document = await app.document(sandbox, url)
    expect(document).toEqual({
      iss: 'https://idpartner.com',
      aud: app.clientId,
      iat: expect.any(Number),
      exp: present(document.iat) + 60,
      'x-fapi-interaction-id': proofs.interactionId,
      identity_provider: {
        name: 'Mikomo Bank',
        issuer_url: bank.issuer,
        logo_uri: `${bank.issuer}/logo.svg`,
        country: 'US',
        legal_name: 'Mikomo Bank, N.A. (sandbox)',
        legal_entity_identifier: '00MIKOMO0SANDBOX0001',
      },
      sub: expect.any(String),
    })

    const answer = await app.read(document.sub, bank.issuer)
    expect(answer.jweHeader).toEqual({
      alg: 'RSA-OAEP',
      enc: 'A256CBC-HS512',
      cty: 'JWT',
      kid: app.encryption?.jwk.kid,
      iss: bank.issuer,
      aud: app.clientId,
    })
    expect(answer.claims).toEqual({
      iss: bank.issuer,
      aud: app.clientId,
      exp: expect.any(Number),
      state: proofs.state,
      code: expect.any(String),
    })

    const { status, body } = await app.redeem(bank.issuer, answer.claims.code, proofs)
    expect(status).toBe(200)
    expect(body).toMatchObject({ token_type: 'Bearer', scope: 'openid email profile' })
    const idToken = await app.read(body.id_token, bank.issuer)
    expect(idToken.jweHeader).toMatchObject({ alg: 'RSA-OAEP', enc: 'A256CBC-HS512', cty: 'JWT' })
    expect(idToken.claims).toEqual({
      iss: bank.issuer,
      aud: app.clientId,
      iat: expect.any(Number),
      exp: expect.any(Number),
      nonce: proofs.nonce,
      sub: bank.personas[0]?.claims.sub,
      name: 'Philip Lindqvist',
      given_name: 'Philip',
      family_name: 'Lindqvist',
      birthdate: bank.personas[0]?.claims.birthdate,
      email: 'philip.lindqvist@example.com',
    })
  })

  test('config has what the strategy needs, under the names of its options', () => {
    expect(sandbox.config).toEqual({
      client_id: app.clientId,
      callback: app.callback,
      flow: 'proxy',
      oidc_proxy_service_url: `${sandbox.url}/oidc-proxy`,
      trust_directory_service_url: `${sandbox.url}/trust-directory`,
      account_selector_service_url: `${sandbox.url}/v1`,
      token_endpoint_auth_method: 'private_key_jwt',
    })
  })

  test('the first page names banks, people and endpoints', async () => {
    const response = await fetch(sandbox.url)
    const text = textOf(await response.text())
    expect(text).toContain('This is a test on your own machine, not a real bank.')
    expect(text).toContain('Cedar & Finch')
    expect(text).toContain("mikomo_30 Grace O'Leary")
    expect(text).toContain(`OIDC proxy ${sandbox.url}/oidc-proxy`)
    expect(text).toContain(app.callback)
  })

  test('an address where nothing is gets a page that says so', async () => {
    const response = await fetch(`${sandbox.url}/nowhere`)
    expect(response.status).toBe(404)
    expect(textOf(await response.text())).toContain('Nothing is here')
  })

  test.each([
    ['localhost', 200],
    ['LOCALHOST:1', 200],
    ['127.0.0.1', 200],
    ['[::1]:8080', 200],
    ['stranger.example', 421],
    ['localhost.stranger.example', 421],
    ['127.0.0.1.stranger.example:80', 421],
    ['stranger.example:127.0.0.1', 421],
  ])('a request to the host %j is answered with %i', async (host, status) => {
    // So that a stranger's page whose name leads to this machine cannot read anything here.
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get(`${sandbox.url}/trust-directory/jwks`, { headers: { host } }, resolve).on('error', reject)
    })
    response.resume()
    expect(response.statusCode).toBe(status)
  })

  test('every bank has the same logins, and people of their own', () => {
    expect(sandbox.banks.map(({ id }) => id)).toEqual(['mikomo', 'harbour', 'northlight', 'cedar'])
    const people = sandbox.banks.flatMap(({ personas }) => personas)
    for (const { personas } of sandbox.banks) {
      expect(personas.map(({ login }) => login)).toEqual(['mikomo_10', 'mikomo_20', 'mikomo_30', 'mikomo_40'])
      expect(
        personas.map(({ claims }) => [claims.age_over_18, claims.age_over_21, claims.age_over_25]),
      ).toEqual([
        [true, true, true],
        [true, false, false],
        [false, false, false],
        [true, true, false],
      ])
    }
    expect(new Set(people.map(({ claims }) => claims.sub)).size).toBe(16)
    expect(new Set(people.map(({ claims }) => claims.email)).size).toBe(16)
  })

  test('a person keeps the same sub over restarts', async () => {
    const other = await startSandbox(minimal)
    await other.close()
    expect(other.banks[0]?.personas).toEqual(sandbox.banks[0]?.personas)
  })
})

describe('starting and ending', () => {
  afterEach(() => {
    jest.restoreAllMocks()
  })

  test('close frees the port, ends open connections, and can be called while a request is under way', async () => {
    const sandbox = await startSandbox(minimal)
    const { port } = new URL(sandbox.url)
    await discover(present(sandbox.banks[0]).issuer)
    await sandbox.close()
    await expect(fetch(sandbox.url)).rejects.toThrow('fetch failed')
    const again = await startSandbox({ ...minimal, port: Number(port) })
    expect(again.url).toBe(sandbox.url)
    await again.close()
  })

  test('a port that is taken is an error', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await expect(startSandbox({ ...minimal, port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await new Promise((resolve) => server.close(resolve))
  })

  test('two sandboxes live side by side', async () => {
    const [one, other] = await Promise.all([startSandbox(minimal), startSandbox(minimal)])
    expect(one.url).not.toBe(other.url)
    const keys = async ({ config }: Sandbox) =>
      (await fetch(`${config.trust_directory_service_url}/jwks`)).text()
    expect(await keys(one)).not.toBe(await keys(other))
    await Promise.all([one.close(), other.close()])
  })

  test('it refuses to start in production, unless an option says so', async () => {
    const environment = process.env.NODE_ENV
    process.env.NODE_ENV = 'production'
    try {
      await expect(startSandbox(minimal)).rejects.toThrow('set allow_production to start all the same')
      await expect(startSandbox({ ...minimal, allow_production: false })).rejects.toThrow(
        'NODE_ENV is "production"',
      )
      await (await startSandbox({ ...minimal, allow_production: true })).close()
    } finally {
      process.env.NODE_ENV = environment
    }
  })

  test.each(['127.0.0.1', '[::1]'] as const)(
    'at %s it is on another site than the app, and works',
    async (host) => {
      const app = await SandboxApp.start()
      const sandbox = await startSandbox({ ...app.options, host })
      try {
        expect(sandbox.url).toMatch(new RegExp(`^http://${host.replace(/[[\]]/g, '\\$&')}:\\d+$`))
        const { sub } = await app.document(
          sandbox,
          (await logInThroughProxy(app, sandbox, app.newProofs())).url,
        )
        const { issuer } = present(sandbox.banks[0])
        expect(issuer).toBe(`${sandbox.url}/banks/mikomo`)
        expect((await app.read(sub, issuer)).claims).toHaveProperty('code')
      } finally {
        await sandbox.close()
        await app.close()
      }
    },
  )

  test('it prints nothing but why a request of the app was refused', async () => {
    const spies = (['log', 'info', 'warn', 'error', 'debug'] as const).map((method) =>
      jest.spyOn(console, method).mockImplementation(() => undefined),
    )
    const app = await SandboxApp.start()
    const sandbox = await startSandbox({ ...app.options, log: undefined })
    await logInThroughProxy(app, sandbox, app.newProofs())
    expect(spies.flatMap((spy) => spy.mock.calls)).toEqual([])
    await fetch(`${present(sandbox.banks[0]).issuer}/auth?client_id=nobody`)
    await sandbox.close()
    await app.close()
    expect(spies.flatMap((spy) => spy.mock.calls)).toEqual([
      [
        expect.stringMatching(
          /^sandbox: Mikomo Bank refused an authorization request of sandbox-app: invalid_/,
        ),
      ],
    ])
  })
})

describe('options', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['an unknown option', { callbackUrl: 'x' }, 'option "callbackUrl" is not a known option'],
    ['no client id', { client_id: undefined }, 'option "client_id" must be a string'],
    ['an empty client id', { client_id: '' }, 'option "client_id" must not be empty'],
    ['no callback', { callback: undefined }, 'option "callback" must be an absolute http: or https: URL'],
    [
      'a callback that is a path',
      { callback: '/callback' },
      'option "callback" must be an absolute http: or https: URL',
    ],
    [
      'another scheme',
      { callback: 'ftp://localhost/' },
      'option "callback" must be an absolute http: or https: URL',
    ],
    ['a fragment', { callback: 'http://localhost/#a' }, 'option "callback" must not have a fragment'],
    ['a port that is none', { port: 65536 }, 'option "port" must be a port number'],
    [
      'plain answers without FAPI 2.0',
      { response_mode: 'query' },
      'option "response_mode" cannot be "query" with fapi1-advanced, which has signed answers alone',
    ],
    ['a log that is none', { log: console }, 'option "log" must be a function that takes a line, or false'],
    ['a port that is text', { port: '3000' }, 'option "port" must be a port number'],
    [
      'a host that is another machine',
      { host: 'example.com' },
      'option "host" must be "localhost", "127.0.0.1" or "[::1]"',
    ],
    ['an empty name', { client_name: '' }, 'option "client_name" must not be empty'],
    [
      'a home page that is a path',
      { client_uri: '/' },
      'option "client_uri" must be an absolute http: or https: URL',
    ],
    [
      'production that is text',
      { allow_production: 'yes' },
      'option "allow_production" must be true or false',
    ],
    ['an unknown flow', { flow: 'other' }, 'option "flow" must be "proxy" or "direct"'],
    [
      'no keys in the proxy flow',
      { jwks_uri: undefined },
      'option "jwks_uri" is required in the proxy flow, where every request of the app is signed',
    ],
    [
      'no keys for assertions',
      { flow: 'direct', jwks_uri: undefined },
      'option "jwks_uri" is required for private_key_jwt',
    ],
    [
      'no key to encrypt userinfo to',
      {
        flow: 'direct',
        jwks_uri: undefined,
        token_endpoint_auth_method: 'client_secret_basic',
        userinfo_signed_response_alg: 'PS256',
        userinfo_encrypted_response_alg: 'RSA-OAEP',
      },
      'option "jwks_uri" is required for userinfo_encrypted_response_alg',
    ],
    [
      'encrypted userinfo that is not signed',
      { userinfo_encrypted_response_alg: 'RSA-OAEP' },
      'option "userinfo_encrypted_response_alg" needs userinfo_signed_response_alg beside it',
    ],
    [
      'FAPI 2.0 in the proxy flow',
      { profile: 'fapi2-security' },
      'option "profile" is fapi2-security, which the proxy flow does not have',
    ],
    [
      'FAPI 2.0 with tokens that are bound to nothing',
      { flow: 'direct', profile: 'fapi2-security' },
      'option "profile" is fapi2-security, whose tokens are bound: set dpop_bound_access_tokens',
    ],
    [
      'FAPI 2.0 with a secret',
      {
        flow: 'direct',
        profile: 'fapi2-message-signing',
        dpop_bound_access_tokens: true,
        token_endpoint_auth_method: 'client_secret_basic',
      },
      'option "token_endpoint_auth_method" cannot be client_secret_basic with fapi2-message-signing',
    ],
    [
      'a login route in the proxy flow',
      { login_url: 'http://localhost:3001/login' },
      'option "login_url" is for the direct flow; the proxy sends the browser to the callback',
    ],
    [
      'an unknown authentication',
      { token_endpoint_auth_method: 'none' },
      'option "token_endpoint_auth_method" must be "private_key_jwt", "client_secret_basic" or "tls_client_auth"',
    ],
    [
      'mutual TLS without bound tokens',
      { token_endpoint_auth_method: 'tls_client_auth', tls_client_certificate_bound_access_tokens: false },
      'option "tls_client_certificate_bound_access_tokens" cannot be false with tls_client_auth',
    ],
    [
      'RS256',
      { id_token_signed_response_alg: 'RS256' },
      'option "id_token_signed_response_alg" must be one of PS256, ES256, ES384, ES512, EdDSA',
    ],
  ])('%s is refused', async (_name, options, message) => {
    const rejected = startSandbox({ ...minimal, ...options })
    await expect(rejected).rejects.toThrow(new TypeError(`startSandbox: ${message}`))
  })

  test('no options at all are refused', async () => {
    await expect(startSandbox(undefined as unknown as SandboxOptions)).rejects.toThrow(
      'startSandbox: option "options"',
    )
  })
})
