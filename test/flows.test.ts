import { afterEach, describe, expect, test } from '@jest/globals'
import { IDPartner } from 'passport-idpartner'
import { startApp, type Ended, type TestApp, type TestAppOptions } from './support/app.js'
import { Browser } from './support/browser.js'

let app: TestApp

const start = async (options?: TestAppOptions): Promise<void> => {
  app = await startApp(options)
}

afterEach(() => app.close())

/** Goes through selector, login and consent as a person does, and returns how it ended at the app. */
async function logIn({
  consent = 'Share and continue',
  query = 'visitor_id=visitor%20%26%201',
} = {}): Promise<Ended> {
  const browser = new Browser('about:')
  const selector = await browser.open(`${app.url}/login?${query}`)
  const bank = await browser.press(selector, 'Mikomo Bank')
  const asked = await browser.press(bank, 'Log in', { login: 'mikomo_10', password: 'mikomo_10' })
  const page = await browser.press(asked, consent)
  expect(page.url).toMatch(`${app.url}/callback`)
  return JSON.parse(page.html) as Ended
}

const direct = { flow: 'direct' } as const
const ES256 = {
  authorization_signed_response_alg: 'ES256',
  id_token_signed_response_alg: 'ES256',
  authorization_encrypted_response_alg: 'ECDH-ES',
  id_token_encrypted_response_alg: 'ECDH-ES',
} as const
const everything = {
  scope: [
    'openid',
    'email',
    'profile',
    'offline_access',
    'payment_details',
    'payment_processing',
    'vc.MockBankCredential',
  ],
  prompt: 'consent',
}

describe('a person logs in', () => {
  const proxyOptions = { sandbox: {} } satisfies TestAppOptions
  const directOptions = (
    token_endpoint_auth_method: 'private_key_jwt' | 'client_secret_basic' | 'tls_client_auth',
    keys = true,
  ): TestAppOptions => ({ sandbox: { ...direct, token_endpoint_auth_method }, keys })

  test.each<[string, TestAppOptions]>([
    ['through the proxy', proxyOptions],
    ['directly, with private_key_jwt', directOptions('private_key_jwt')],
    ['directly, with a client secret and keys', directOptions('client_secret_basic')],
    ['directly, with a client secret and no keys', directOptions('client_secret_basic', false)],
    ['directly, over mutual TLS and with keys', directOptions('tls_client_auth')],
    ['directly, over mutual TLS and with no keys', directOptions('tls_client_auth', false)],
    [
      'directly, with private_key_jwt and tokens bound to a certificate',
      { sandbox: { ...direct, tls_client_certificate_bound_access_tokens: true } },
    ],
  ])('%s', async (_name, options) => {
    await start({ ...options, strategy: { fetchUserInfo: true } })
    const { user } = await logIn()
    const [login] = app.logins
    expect(user?.sub).toBe(login?.claims.sub)
    expect(login?.issuer).toBe(app.sandbox.banks.find(({ name }) => name === 'Mikomo Bank')?.issuer)
    expect(login?.identityProvider.issuer_url).toBe(login?.issuer)
    expect(login?.claims.email).toMatch('@')
    expect(login?.userInfo?.sub).toBe(user?.sub)
  })

  test('with ES256 in all places', async () => {
    const algs = {
      authorization_signed_response_alg: 'ES256',
      id_token_signed_response_alg: 'ES256',
    } as const
    await start({ sandbox: { ...direct, ...algs } })
    expect(await logIn()).toHaveProperty('user')
  })

  test.each([
    ['PS256', 'RSA-OAEP', 'A256GCM', 'A128CBC-HS256'],
    ['PS256', 'RSA-OAEP-256', 'A128GCM', 'A256GCM'],
    ['ES256', 'ECDH-ES', 'A256CBC-HS512', 'A128GCM'],
    ['ES384', 'ECDH-ES+A128KW', 'A256CBC-HS512', 'A256GCM'],
    ['ES512', 'ECDH-ES+A192KW', 'A128CBC-HS256', 'A256CBC-HS512'],
    ['EdDSA', 'ECDH-ES+A256KW', 'A256GCM', 'A128CBC-HS256'],
  ] as const)('with %s everywhere, and encryption with %s, %s and %s', async (alg, wrapping, enc, other) => {
    await start({
      keys: { alg, enc: wrapping },
      strategy: { fetchUserInfo: true },
      sandbox: {
        ...direct,
        authorization_signed_response_alg: alg,
        id_token_signed_response_alg: alg,
        userinfo_signed_response_alg: alg,
        request_object_signing_alg: alg,
        token_endpoint_auth_signing_alg: alg,
        authorization_encrypted_response_alg: wrapping,
        authorization_encrypted_response_enc: enc,
        id_token_encrypted_response_alg: wrapping,
        id_token_encrypted_response_enc: enc,
        userinfo_encrypted_response_alg: wrapping,
        // Real networks have another one here than for the ID token.
        userinfo_encrypted_response_enc: other,
      },
    })
    expect(await logIn()).toHaveProperty('user')
    expect(app.logins[0]?.userInfo?.email).toMatch('@')
  })

  test.each(
    (['fapi1-advanced', 'fapi2-security', 'fapi2-message-signing'] as const).flatMap((profile) =>
      (['private_key_jwt', 'tls_client_auth'] as const).flatMap((method) =>
        [true, false].map((dpop) => [profile, method, dpop] as const),
      ),
    ),
  )(
    'with %s, %s, and tokens bound by DPoP: %s, which another process uses',
    async (profile, token_endpoint_auth_method, dpop) => {
      await start({
        keys: { alg: 'ES256', enc: 'ECDH-ES' },
        sandbox: {
          ...direct,
          ...ES256,
          profile,
          token_endpoint_auth_method,
          dpop_bound_access_tokens: dpop,
          tls_client_certificate_bound_access_tokens: !dpop,
        },
        strategy: { fetchUserInfo: true },
        authenticate: everything,
      })
      expect(await logIn()).toHaveProperty('user')
      const [login] = app.logins
      if (!login) throw new Error('nobody logged in')
      expect(login.userInfo?.email).toMatch('@')
      expect(login.tokens.token_type).toBe(dpop ? 'dpop' : 'bearer')
      const stored = JSON.parse(JSON.stringify(login.tokens)) as typeof login.tokens
      const other = new IDPartner({ ...app.sandbox.config, jwks: app.jwks })
      await expect(other.userInfo(login.issuer, stored)).resolves.toMatchObject({ sub: login.claims.sub })
      const renewed = await other.refreshToken(login.issuer, stored)
      const bound = { token_type: stored.token_type, ...(dpop && { dpop_key: stored.dpop_key }) }
      expect(renewed).toMatchObject(bound)
      await expect(other.paymentDetailsInfo(login.issuer, renewed)).resolves.toEqual(expect.any(Object))
      await expect(other.paymentProcessing(login.issuer, renewed, { amount: 1 })).resolves.toMatchObject({
        amount: 1,
      })
      const credential = { format: 'jwt_vc_json', types: ['vc.MockBankCredential'] }
      await expect(other.credential(login.issuer, renewed, credential)).resolves.toEqual(expect.any(Object))
    },
  )

  test('with an ID token alone that is encrypted, as it is registered', async () => {
    await start({ sandbox: { ...direct, id_token_encrypted_response_alg: 'RSA-OAEP' } })
    expect(await logIn()).toHaveProperty('user')
  })

  test('and an answer posted as a form is understood', async () => {
    await start({ sandbox: direct })
    const browser = new Browser(`${app.url}/callback`)
    const bank = await browser.press(await browser.open(`${app.url}/login`), 'Mikomo Bank')
    const asked = await browser.press(bank, 'Log in', { login: 'mikomo_10', password: 'mikomo_10' })
    const answer = await browser.press(asked, 'Share and continue')
    const response = new URL(answer.url).searchParams.get('response') ?? ''
    const posting = new Browser()
    const body = new URLSearchParams({ response })
    const page = await posting.open(`${app.url}/callback?tenant=a%20b`, { method: 'POST', body })
    // Another browser, so without the session: understood, and refused for that alone.
    expect(JSON.parse(page.html)).toMatchObject({ failure: { code: 'login_missing', reason: 'no_session' } })
  })
})

describe('a person says no', () => {
  test.each([
    ['through the proxy', {}],
    ['directly', direct],
  ])('%s', async (_name, sandbox) => {
    await start({ sandbox })
    expect(await logIn({ consent: 'Cancel' })).toMatchObject({ failure: { code: 'access_denied' } })
  })
})

describe('the account selector', () => {
  test('can be cancelled, which is known for a cancel', async () => {
    await start({ sandbox: direct })
    const browser = new Browser('about:')
    const page = await browser.press(await browser.open(`${app.url}/login`), 'Cancel')
    expect(JSON.parse(page.html)).toMatchObject({ failure: { code: 'access_denied' } })
  })

  test("keeps the application's own value for the login after it", async () => {
    await start({ sandbox: direct })
    await logIn({ query: 'returnTo=/orders' })
    expect(app.logins[0]?.state).toBe('/orders')
  })
})

describe('what was asked for', () => {
  test.each([
    ['max_age', { max_age: 600 }],
    ['single claims', { claims: { id_token: { age_over_21: { essential: true } } } }],
  ])('is in the ID token: %s', async (_name, authenticate) => {
    await start({ sandbox: direct, authenticate })
    expect(await logIn()).toHaveProperty('user')
    const claims = app.logins[0]?.claims
    if ('max_age' in authenticate) expect(claims?.auth_time).toEqual(expect.any(Number))
    else expect(claims?.age_over_21).toEqual(expect.any(Boolean))
  })
})

describe('after login, with the tokens of it', () => {
  test.each(['private_key_jwt', 'client_secret_basic', 'tls_client_auth'] as const)(
    "everything works that the vendor's module could do, with %s",
    async (token_endpoint_auth_method) => {
      await start({ sandbox: { ...direct, token_endpoint_auth_method }, authenticate: everything })
      await logIn()
      const [login] = app.logins
      if (!login) throw new Error('nobody logged in')
      const { client } = app.strategy
      const { issuer } = login
      // What an application stores is JSON.
      const tokens = JSON.parse(JSON.stringify(login.tokens)) as typeof login.tokens
      await expect(client.userInfo(issuer, tokens)).resolves.toMatchObject({ sub: login.claims.sub })
      const renewed = await client.refreshToken(issuer, tokens)
      expect(renewed.access_token).not.toBe(tokens.access_token)
      expect(renewed.claims?.sub).toBe(login.claims.sub)
      await expect(client.paymentDetailsInfo(issuer, renewed)).resolves.toEqual(expect.any(Object))
      await expect(
        client.paymentProcessing(issuer, renewed, { amount: 10, currency: 'USD' }),
      ).resolves.toMatchObject({
        amount: 10,
      })
      await expect(
        client.credential(issuer, renewed, { format: 'jwt_vc_json', types: ['vc.MockBankCredential'] }),
      ).resolves.toEqual(expect.any(Object))
      await client.revokeToken(issuer, renewed)
      await expect(client.refreshToken(issuer, renewed)).rejects.toMatchObject({
        code: 'provider_error',
        providerError: 'invalid_grant',
      })
    },
  )

  test.each([
    ['signed', { userinfo_signed_response_alg: 'PS256' }],
    [
      'signed and encrypted',
      { userinfo_signed_response_alg: 'PS256', userinfo_encrypted_response_alg: 'RSA-OAEP' },
    ],
  ] as const)('userinfo may be a %s JWT', async (_name, userinfo) => {
    await start({ sandbox: { ...direct, ...userinfo }, strategy: { fetchUserInfo: true } })
    expect(await logIn()).toHaveProperty('user')
    expect(app.logins[0]?.userInfo?.sub).toBe(app.logins[0]?.claims.sub)
  })
})

describe('a client certificate that the bank does not accept', () => {
  test('is refused before anyone is asked when it has expired', async () => {
    await start({ sandbox: { ...direct, token_endpoint_auth_method: 'tls_client_auth' } })
    const options = { ...app.sandbox.config, ...(await app.sandbox.clientCertificate('expired')) }
    expect(() => new IDPartner(options)).toThrow(
      expect.objectContaining({
        code: 'config_invalid',
        message: expect.stringMatching(/^option "tls_client_cert" expired on /),
      }),
    )
  })

  test.each(['stranger', 'other_app'] as const)('is reported as such: %s', async (kind) => {
    await start({ sandbox: { ...direct, token_endpoint_auth_method: 'tls_client_auth' } })
    const { config, banks } = app.sandbox
    const client = new IDPartner({ ...config, ...(await app.sandbox.clientCertificate(kind)) })
    const failure = client.getAuthorizationUrl({ iss: banks[0]?.issuer }, client.generateProofs(), 'openid')
    await expect(failure).rejects.toMatchObject({
      code: 'provider_error',
      providerError: 'invalid_client',
      status: 502,
      message: expect.stringMatching(/invalid_client.*certificate/),
    })
  })

  test('does not open what a token bound to another certificate opens', async () => {
    await start({ sandbox: { ...direct, token_endpoint_auth_method: 'tls_client_auth' } })
    await logIn()
    const { config } = app.sandbox
    const [login] = app.logins
    const thief = new IDPartner({ ...config, ...(await app.sandbox.clientCertificate('other_app')) })
    await expect(
      thief.userInfo(login?.issuer ?? '', login?.tokens ?? { access_token: '', token_type: 'bearer' }),
    ).rejects.toMatchObject({
      code: 'provider_error',
      providerError: 'invalid_token',
      status: 502,
    })
  })
})
