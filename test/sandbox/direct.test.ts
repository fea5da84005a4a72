import { afterEach, beforeAll, afterAll, describe, expect, test } from '@jest/globals'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import {
  startSandbox,
  type ClientCertificateKind,
  type Sandbox,
  type SandboxBank,
  type SandboxOptions,
} from '../../lib/sandbox/index.js'
import { Browser, textOf } from '../support/browser.js'
import {
  SandboxApp,
  agree,
  discover,
  logInThroughProxy,
  paramOf,
  present,
  type Authentication,
} from '../support/sandbox-app.js'

const EVERYTHING = 'openid email payment_details payment_processing vc.MockBankCredential offline_access'

let app: SandboxApp
let plainApp: SandboxApp
const started: Sandbox[] = []

beforeAll(async () => {
  app = await SandboxApp.start()
  plainApp = await SandboxApp.start({ encrypted: false })
})

afterAll(async () => {
  await app.close()
  await plainApp.close()
})

async function start(options: Partial<SandboxOptions> = {}) {
  const sandbox = await startSandbox({ ...app.options, flow: 'direct', ...options })
  started.push(sandbox)
  return { sandbox, bank: present(sandbox.banks[0]) }
}

async function closeAll() {
  await Promise.all(started.splice(0).map((sandbox) => sandbox.close()))
}

/** Authenticates as sandbox.config says. */
function authenticationOf({ config }: Sandbox): Authentication {
  return {
    clientSecret: config.client_secret,
    ...(config.tls_client_cert && {
      tls: { cert: config.tls_client_cert, key: config.tls_client_key, ca: config.tls_server_ca },
    }),
    certificateOnly: config.token_endpoint_auth_method === 'tls_client_auth',
  }
}

/** A whole login in the direct flow, down to the tokens. */
async function logIn(
  bank: SandboxBank,
  authentication: Authentication & { signed?: boolean },
  { from = app, extra = {}, alg = 'PS256' }: { from?: SandboxApp; extra?: object; alg?: string } = {},
) {
  const proofs = from.newProofs()
  const browser = new Browser(from.callback)
  const login = await browser.open(await from.directUrl(bank.issuer, proofs, { ...extra }, authentication))
  const { url } = await agree(browser, login)
  const answer = await from.read(paramOf(url, 'response'), bank.issuer, alg)
  expect(answer.claims).toMatchObject({ iss: bank.issuer, aud: from.clientId, state: proofs.state })
  const { status, body } = await from.redeem(bank.issuer, answer.claims.code, proofs, authentication)
  return { status, tokens: body, encrypted: answer.jweHeader !== undefined, url }
}

describe('the account selector', () => {
  let sandbox: Sandbox
  let browser: Browser

  beforeAll(async () => {
    ;({ sandbox } = await start({ login_url: `${app.origin}/login?tenant=a%20b` }))
    browser = new Browser(app.origin)
  })

  afterAll(closeAll)

  function open(query: Record<string, string> = {}) {
    const params = new URLSearchParams({
      client_id: app.clientId,
      visitor_id: 'v-1',
      scope: 'openid email',
      claims: 'age_over_21 address',
      ...query,
    })
    return browser.open(`${sandbox.config.account_selector_service_url}/select-accounts?${params.toString()}`)
  }

  test('sends the browser back to the login route with the bank', async () => {
    const { url } = await browser.press(await open(), 'Northlight Credit Union')
    expect(url.startsWith(`${app.origin}/login?tenant=a%20b&iss=`)).toBe(true)
    expect(paramOf(url, 'iss')).toBe(`${sandbox.url}/banks/northlight`)
    expect(paramOf(url, 'idp_id')).toBe('northlight')
    expect(paramOf(url, 'visitor_id')).toBe('v-1')
    expect(paramOf(url, 'idpartner_token')).toMatch(/^ey/)
  })

  test('keeps the query while one searches, and leaves out what it did not get', async () => {
    const page = await browser.open(
      `${sandbox.config.account_selector_service_url}/select-accounts?client_id=${app.clientId}&scope=openid`,
    )
    const found = await browser.press(page, 'Search', { q: 'cedar' })
    expect(new URL(found.url).searchParams.toString()).toBe(`q=cedar&client_id=${app.clientId}&scope=openid`)
    const { url } = await browser.press(found, 'Cedar & Finch')
    expect([...new URL(url).searchParams.keys()]).toEqual(['tenant', 'iss', 'idp_id', 'idpartner_token'])
  })

  test('what it gave along is accepted by the bank it was for', async () => {
    const { url } = await browser.press(await open(), 'Mikomo Bank')
    const along = {
      identity_provider_id: paramOf(url, 'idp_id'),
      idpartner_token: paramOf(url, 'idpartner_token'),
    }
    const params = { ...app.authorizationParams(app.newProofs()), ...along }
    expect((await app.push(paramOf(url, 'iss'), params)).status).toBe(201)
    const elsewhere = await app.push(`${sandbox.url}/banks/harbour`, {
      ...params,
      identity_provider_id: 'harbour',
    })
    expect(elsewhere.body.error_description).toBe(
      'idpartner_token is not the one that the login route got for this bank',
    )
  })

  test('can be cancelled', async () => {
    const { url } = await browser.press(await open(), 'Cancel')
    expect(url.startsWith(`${app.callback}&error=access_denied&`)).toBe(true)
    expect(new URL(url).searchParams.has('state')).toBe(false)
  })

  test.each<[string, Record<string, string>, string]>([
    ['another client id', { client_id: 'other' }, 'client_id must be "sandbox-app"'],
    ['no openid', { scope: 'email' }, 'scope must contain "openid"'],
    ['scopes with commas', { scope: 'openid,email' }, 'scope must contain "openid", separated by spaces'],
    ['an undefined visitor', { visitor_id: 'undefined' }, 'visitor_id must not be "undefined"'],
    ['an undefined among claims', { claims: 'email undefined' }, 'claims must not be "email undefined"'],
    ['an empty parameter', { claims: '' }, 'claims must not be empty; leave it out'],
  ])('%s is refused on a page', async (_name, query, problem) => {
    const page = await open(query)
    expect(page.status).toBe(400)
    expect(textOf(page.html)).toContain(problem)
  })

  test('a repeated parameter is refused', async () => {
    const page = await browser.open(
      `${sandbox.config.account_selector_service_url}/select-accounts?client_id=${app.clientId}&scope=openid&scope=openid`,
    )
    expect(textOf(page.html)).toContain('scope must be there once')
  })

  test('there is no proxy in this flow', async () => {
    expect((await fetch(`${sandbox.config.oidc_proxy_service_url}/auth`)).status).toBe(404)
  })
})

test('the login route is /login beside the callback, unless the sandbox is told otherwise', async () => {
  const { sandbox } = await start()
  const browser = new Browser(app.origin)
  const page = await browser.open(
    `${sandbox.config.account_selector_service_url}/select-accounts?client_id=${app.clientId}&scope=openid`,
  )
  const { url } = await browser.press(page, 'Mikomo Bank')
  expect(url.startsWith(`${app.origin}/login?iss=`)).toBe(true)
  await closeAll()
})

describe('client authentication', () => {
  afterEach(closeAll)

  test.each([
    { method: 'private_key_jwt', keys: true },
    { method: 'client_secret_basic', keys: true },
    { method: 'client_secret_basic', keys: false },
    { method: 'tls_client_auth', keys: true },
    { method: 'tls_client_auth', keys: false },
  ] as const)('$method, with keys: $keys', async ({ method, keys }) => {
    const { sandbox, bank } = await start({
      token_endpoint_auth_method: method,
      jwks_uri: keys ? app.jwksUri : undefined,
    })
    expect(sandbox.config.trusted_issuers).toEqual(sandbox.banks.map(({ issuer }) => issuer))
    expect(sandbox.config.token_endpoint_auth_method).toBe(method)
    const { status, tokens, encrypted, url } = await logIn(bank, {
      ...authenticationOf(sandbox),
      signed: keys,
    })
    expect(status).toBe(200)
    expect(encrypted).toBe(keys)
    expect(url.startsWith(`${app.callback}&response=`)).toBe(true)
    const idToken = await app.read(tokens.id_token, bank.issuer)
    expect(idToken.jweHeader !== undefined).toBe(keys)
    expect(idToken.claims.email).toBe('philip.lindqvist@example.com')
  })

  test('ES256 where it is registered', async () => {
    const elliptic = await SandboxApp.start({ alg: 'ES256', encrypted: false })
    const { sandbox, bank } = await start({
      ...elliptic.options,
      authorization_signed_response_alg: 'ES256',
      id_token_signed_response_alg: 'ES256',
    })
    expect(sandbox.config).toMatchObject({
      authorization_signed_response_alg: 'ES256',
      id_token_signed_response_alg: 'ES256',
    })
    const { tokens } = await logIn(bank, {}, { from: elliptic, alg: 'ES256' })
    expect((await elliptic.read(tokens.id_token, bank.issuer, 'ES256')).claims).toHaveProperty('sub')
    await elliptic.close()
  })

  test('a wrong secret is refused', async () => {
    const { bank } = await start({ token_endpoint_auth_method: 'client_secret_basic' })
    const params = app.authorizationParams(app.newProofs())
    const { status, body } = await app.push(bank.issuer, params, { clientSecret: 'wrong' })
    expect(status).toBe(401)
    expect(body).toEqual({
      error: 'invalid_client',
      error_description: 'client authentication failed: invalid secret provided',
    })
  })

  test('an assertion by a stranger is refused', async () => {
    const { bank } = await start()
    const { published } = app
    app.published = { body: JSON.stringify({ keys: [plainApp.signing.jwk] }) }
    const { status, body } = await app.push(bank.issuer, app.authorizationParams(app.newProofs()))
    app.published = published
    expect([status, body.error]).toEqual([401, 'invalid_client'])
  })

  test('each sandbox has a secret of its own', async () => {
    const secrets = await Promise.all(
      [1, 2].map(
        async () => (await start({ token_endpoint_auth_method: 'client_secret_basic' })).sandbox.config,
      ),
    )
    expect(secrets[0]?.client_secret).not.toBe(secrets[1]?.client_secret)
  })
})

describe('mutual TLS', () => {
  let sandbox: Sandbox
  let bank: SandboxBank

  beforeAll(async () => {
    ;({ sandbox, bank } = await start({ token_endpoint_auth_method: 'tls_client_auth' }))
  })

  afterAll(closeAll)

  async function withCertificate(kind: ClientCertificateKind): Promise<Authentication> {
    const { tls_client_cert: cert, tls_client_key: key } = await sandbox.clientCertificate(kind)
    return { tls: { cert, key, ca: sandbox.config.tls_server_ca }, certificateOnly: true }
  }

  test('every endpoint in use has an alias, at another host than the ordinary one', async () => {
    const document = await discover(bank.issuer)
    const aliases = document.mtls_endpoint_aliases as Record<string, string>
    expect(Object.keys(aliases)).toEqual([
      'token_endpoint',
      'introspection_endpoint',
      'revocation_endpoint',
      'userinfo_endpoint',
      'pushed_authorization_request_endpoint',
      'payment_details_info_endpoint',
      'payment_processing_endpoint',
    ])
    for (const [name, alias] of Object.entries(aliases)) {
      expect(alias).toMatch(/^https:\/\/localhost:\d+\/banks\/mikomo\//)
      expect(new URL(alias).pathname).toBe(new URL(String(document[name])).pathname)
    }
    expect(document.tls_client_certificate_bound_access_tokens).toBe(true)
    expect(document.token_endpoint_auth_methods_supported).toContain('tls_client_auth')
  })

  test.each<[ClientCertificateKind, string]>([
    ['expired', 'the client certificate has expired'],
    ['stranger', 'the client certificate is not one that IDPartner issued ('],
    [
      'other_app',
      'client authentication failed: certificate subject value does not match the registered one',
    ],
  ])('a certificate that is "%s" is refused as invalid_client', async (kind, description) => {
    const params = app.authorizationParams(app.newProofs())
    const { status, body } = await app.push(bank.issuer, params, await withCertificate(kind))
    expect(status).toBe(401)
    expect(body.error).toBe('invalid_client')
    expect(body.error_description).toContain(description)
  })

  test('no certificate at all is refused, at the alias and at the ordinary endpoint', async () => {
    const params = app.authorizationParams(app.newProofs())
    const refusal = {
      error: 'invalid_client',
      error_description: 'client authentication failed: client certificate was not provided',
    }
    const atAlias = await app.push(bank.issuer, params, {
      tls: { ca: sandbox.config.tls_server_ca },
      certificateOnly: true,
    })
    expect(atAlias).toMatchObject({ status: 401, body: refusal })
    const ordinary = await app.push(bank.issuer, params, { certificateOnly: true })
    expect(ordinary).toMatchObject({ status: 401, body: refusal })
  })

  test('a token is bound to the certificate it was issued to', async () => {
    const { tokens } = await logIn(bank, authenticationOf(sandbox), { extra: { scope: EVERYTHING } })
    const { tls } = authenticationOf(sandbox)
    const bearer = { headers: { authorization: `Bearer ${tokens.access_token}` } }
    const endpoints = ['userinfo_endpoint', 'payment_details_info_endpoint']
    for (const endpoint of endpoints) {
      expect((await app.request(bank.issuer, endpoint, bearer, tls)).status).toBe(200)
    }
    const another = (await withCertificate('valid')).tls
    const expired = (await withCertificate('expired')).tls
    const none = { ca: sandbox.config.tls_server_ca }
    for (const other of [another, expired, none, undefined]) {
      for (const endpoint of endpoints) {
        const refused = await app.request(bank.issuer, endpoint, bearer, other)
        expect(refused.status).toBe(401)
        expect(refused.body.error).toBe('invalid_token')
      }
    }
  })

  test('introspection shows the thumbprint', async () => {
    const { tokens } = await logIn(bank, authenticationOf(sandbox))
    const { body } = await app.post(
      bank.issuer,
      'introspection_endpoint',
      { token: tokens.access_token },
      authenticationOf(sandbox),
    )
    expect(body).toMatchObject({ active: true, cnf: { 'x5t#S256': expect.stringMatching(/^[\w-]{43}$/) } })
  })

  test('the credential endpoint is where a certificate can be shown', async () => {
    const { body } = await app.request(bank.issuer, `${bank.issuer}/.well-known/openid-credential-issuer`)
    expect(body.credential_endpoint).toMatch(/^https:\/\/localhost:\d+\/banks\/mikomo\/credential$/)
  })
})

describe('a certificate beside private_key_jwt', () => {
  let sandbox: Sandbox
  let bank: SandboxBank

  beforeAll(async () => {
    ;({ sandbox, bank } = await start({ tls_client_certificate_bound_access_tokens: true }))
  })

  afterAll(closeAll)

  test('binds the tokens', async () => {
    const { tokens } = await logIn(bank, authenticationOf(sandbox))
    const bearer = { headers: { authorization: `Bearer ${tokens.access_token}` } }
    const { tls } = authenticationOf(sandbox)
    expect((await app.request(bank.issuer, 'userinfo_endpoint', bearer, tls)).status).toBe(200)
    expect((await app.request(bank.issuer, 'userinfo_endpoint', bearer)).status).toBe(401)
  })

  test('is missed at the token endpoint when it is not shown', async () => {
    const { status, tokens } = await logIn(bank, {})
    expect(status).toBe(400)
    expect(tokens).toEqual({
      error: 'invalid_grant',
      error_description: 'grant request is invalid: mutual TLS client certificate not provided',
    })
  })

  test('is refused when a stranger issued it', async () => {
    const { tls_client_cert: cert, tls_client_key: key } = await sandbox.clientCertificate('stranger')
    const { body } = await app.push(bank.issuer, app.authorizationParams(app.newProofs()), {
      tls: { cert, key, ca: sandbox.config.tls_server_ca },
    })
    expect(body.error).toBe('invalid_client')
  })
})

test('the proxy flow takes a certificate as well', async () => {
  const { sandbox, bank } = await start({ flow: 'proxy', token_endpoint_auth_method: 'tls_client_auth' })
  const proofs = app.newProofs()
  const { url } = await logInThroughProxy(app, sandbox, proofs)
  const { claims } = await app.read((await app.document(sandbox, url)).sub, bank.issuer)
  const { status } = await app.redeem(bank.issuer, claims.code, proofs, authenticationOf(sandbox))
  expect(status).toBe(200)
  await closeAll()
})

test('a sandbox without client certificates has none to hand out', async () => {
  const { sandbox } = await start()
  await expect(sandbox.clientCertificate('valid')).rejects.toThrow(
    'This sandbox has no client certificates: start it with tls_client_auth or bound tokens',
  )
  await closeAll()
})

describe('after the login', () => {
  let bank: SandboxBank
  let token: string

  beforeAll(async () => {
    ;({ bank } = await start())
    token = (await logIn(bank, {}, { extra: { scope: EVERYTHING } })).tokens.access_token
  })

  afterAll(closeAll)

  function ask(endpoint: string, body?: unknown, authorization = `Bearer ${token}`) {
    const headers = { authorization, 'content-type': 'application/json' }
    if (body === undefined) return app.request(bank.issuer, endpoint, { headers })
    return app.request(bank.issuer, endpoint, { method: 'POST', headers, body: JSON.stringify(body) })
  }

  test('payment details', async () => {
    const { status, body } = await ask('payment_details_info_endpoint')
    expect(status).toBe(200)
    expect(body).toEqual(bank.personas[0]?.claims.payment_details)
  })

  test('a payment comes back with an id and a status', async () => {
    const payment = { amount: '12.50', currency: 'USD', creditor: 'Shop', payment_id: 'mine' }
    const { status, body } = await ask('payment_processing_endpoint', payment)
    expect(status).toBe(200)
    expect(body).toEqual({
      ...payment,
      payment_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      status: 'accepted',
      debtor: 'Philip Lindqvist',
    })
  })

  test.each([[[]], ['text'], [null]])('a payment that is %j is refused', async (payment) => {
    const { status, body } = await ask('payment_processing_endpoint', payment)
    expect([status, body.error]).toEqual([400, 'invalid_request'])
  })

  test('a verifiable credential, signed by the bank', async () => {
    const { body: metadata } = await app.request(
      bank.issuer,
      `${bank.issuer}/.well-known/openid-credential-issuer`,
    )
    expect(metadata.credential_issuer).toBe(bank.issuer)
    const { status, body } = await ask(String(metadata.credential_endpoint), { format: 'jwt_vc_json' })
    expect(status).toBe(200)
    expect(body).toEqual({
      format: 'jwt_vc_json',
      credential: expect.any(String),
      credentials: [{ credential: body.credential }],
    })
    const { jwks_uri } = await discover(bank.issuer)
    const keys = createRemoteJWKSet(new URL(String(jwks_uri)))
    const { payload } = await jwtVerify(String(body.credential), keys, { issuer: bank.issuer })
    expect(payload.sub).toBe(bank.personas[0]?.claims.sub)
    expect(payload.vc).toMatchObject({
      type: ['VerifiableCredential', 'MockBankCredential'],
      credentialSubject: { name: 'Philip Lindqvist' },
    })
  })

  test.each(['payment_details_info_endpoint', 'payment_processing_endpoint'])(
    '%s wants a token, a good one, and one for this',
    async (endpoint) => {
      const { tokens } = await logIn(bank, {}, { extra: { scope: 'openid' } })
      const body = endpoint === 'payment_processing_endpoint' ? {} : undefined
      for (const [authorization, status, error] of [
        ['', 401, 'invalid_token'],
        ['Basic abc', 401, 'invalid_token'],
        ['Bearer abc', 401, 'invalid_token'],
        [`Bearer ${tokens.access_token}`, 403, 'insufficient_scope'],
      ] as const) {
        const refused = await ask(endpoint, body, authorization)
        expect([refused.status, refused.body.error]).toEqual([status, error])
        expect(refused.headers.get('www-authenticate')).toMatch(/^Bearer error=/)
      }
    },
  )

  test('a revoked token is no token', async () => {
    const { tokens } = await logIn(bank, {}, { extra: { scope: EVERYTHING } })
    await app.post(bank.issuer, 'revocation_endpoint', { token: tokens.access_token })
    const { status } = await ask('payment_details_info_endpoint', undefined, `Bearer ${tokens.access_token}`)
    expect(status).toBe(401)
  })
})

describe('userinfo as a JWT', () => {
  afterEach(closeAll)

  test.each([
    { name: 'signed', options: { userinfo_signed_response_alg: 'PS256' }, encrypted: false },
    {
      name: 'signed and encrypted',
      options: { userinfo_signed_response_alg: 'PS256', userinfo_encrypted_response_alg: 'RSA-OAEP' },
      encrypted: true,
    },
  ] as const)('$name', async ({ options, encrypted }) => {
    const { bank } = await start(options)
    const { tokens } = await logIn(bank, {})
    const { headers, body } = await app.request(bank.issuer, 'userinfo_endpoint', {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    })
    expect(headers.get('content-type')).toMatch(/^application\/jwt/)
    const { claims, jweHeader } = await app.read(String(body.text), bank.issuer)
    expect(jweHeader !== undefined).toBe(encrypted)
    expect(claims.email).toBe('philip.lindqvist@example.com')
  })
})
