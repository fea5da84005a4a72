import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { startSandbox, type Sandbox, type SandboxBank } from '../../lib/sandbox/index.js'
import { Browser, textOf } from '../support/browser.js'
import { SandboxApp, agree, discover, paramOf, present, type Proofs } from '../support/sandbox-app.js'

let app: SandboxApp
let sandbox: Sandbox
let bank: SandboxBank
let browser: Browser

beforeAll(async () => {
  app = await SandboxApp.start()
  sandbox = await startSandbox({ ...app.options, flow: 'direct' })
  bank = present(sandbox.banks[0])
})

beforeEach(() => {
  browser = new Browser(app.callback)
})

afterAll(async () => {
  await sandbox.close()
  await app.close()
})

async function openLogin(extra: Record<string, unknown> = {}, proofs = app.newProofs()) {
  return browser.open(await app.directUrl(bank.issuer, proofs, extra))
}

async function answerAt(url: string) {
  return (await app.read(paramOf(url, 'response'), bank.issuer)).claims
}

/** A whole login, down to the claims of the ID token. */
async function logIn(extra: Record<string, unknown>, name = 'mikomo_10', proofs: Proofs = app.newProofs()) {
  const { url } = await agree(browser, await openLogin(extra, proofs), name)
  const { code } = await answerAt(url)
  const { body: tokens } = await app.redeem(bank.issuer, code, proofs)
  return { tokens, claims: (await app.read(tokens.id_token, bank.issuer)).claims }
}

test('discovery announces what the recorded one of a real bank announces', async () => {
  const document = await discover(bank.issuer)
  expect(document).toMatchObject({
    issuer: bank.issuer,
    pushed_authorization_request_endpoint: `${bank.issuer}/request`,
    require_pushed_authorization_requests: true,
    payment_details_info_endpoint: `${bank.issuer}/payment_details`,
    payment_processing_endpoint: `${bank.issuer}/payment_processing`,
    claims_parameter_supported: true,
    acr_values_supported: ['urn:mace:incommon:iap:silver'],
    authorization_signing_alg_values_supported: ['PS256', 'ES256'],
    authorization_encryption_alg_values_supported: ['RSA-OAEP'],
    authorization_encryption_enc_values_supported: ['A256CBC-HS512'],
    id_token_signing_alg_values_supported: ['PS256', 'ES256'],
    request_object_signing_alg_values_supported: ['PS256', 'ES256'],
    token_endpoint_auth_methods_supported: ['private_key_jwt', 'client_secret_basic'],
    response_types_supported: ['code'],
    code_challenge_methods_supported: ['S256'],
  })
  expect(document.scopes_supported).toEqual(
    expect.arrayContaining(['openid', 'offline_access', 'profile', 'age_over_25', 'vc.MockBankCredential']),
  )
  expect(document.claims_supported).toEqual(
    expect.arrayContaining([
      'address',
      'birthdate',
      'payment_details',
      'payment_processing',
      'acr',
      'auth_time',
    ]),
  )
  expect(document).not.toHaveProperty('mtls_endpoint_aliases')
})

describe('the login page', () => {
  test('a wrong password is said on the page, and the login stays filled in', async () => {
    const login = await openLogin()
    const again = await browser.press(login, 'Log in', { login: 'mikomo_10', password: 'wrong' })
    expect(again.status).toBe(200)
    expect(again.html).toMatch(/role="alert"[^>]*>The login or the password is not right\./)
    expect(again.html).toContain('value="mikomo_10"')
    expect(again.html).not.toContain('value="wrong"')
    const { url } = await agree(browser, again)
    expect(await answerAt(url)).toHaveProperty('code')
  })

  test.each(['', '<script>', '__proto__', 'mikomo_10 OR 1=1'])('the login %j is nobody', async (name) => {
    const again = await browser.press(await openLogin(), 'Log in', { login: name, password: name })
    expect(textOf(again.html)).toContain('The login or the password is not right.')
    expect(again.html).not.toContain('<script>')
  })

  test('lists who one can be, and fills in the form for each', async () => {
    const login = await openLogin()
    expect(textOf(login.html)).toContain('mikomo_20 Amara Okonkwo, 18 to 20')
    const link = /href="([^"]*\?login=mikomo_20)"/.exec(login.html)?.[1]
    const filled = await browser.open(new URL(present(link), login.url).href)
    const consent = await browser.press(filled, 'Log in')
    expect(textOf(consent.html)).toContain('Logged in as Amara Okonkwo')
  })

  test('a login_hint of the app is filled in', async () => {
    const login = await openLogin({ login_hint: 'mikomo_30' })
    expect(login.html).toContain('value="mikomo_30"')
  })

  test('labels its fields', async () => {
    const { html } = await openLogin()
    for (const field of ['login', 'password']) {
      expect(html).toContain(`<label for="${field}">`)
      expect(html).toContain(`id="${field}"`)
    }
  })

  test("without the browser's cookie there is no login", async () => {
    const login = await openLogin()
    const page = await new Browser(app.callback).open(login.url)
    expect(page.status).toBe(400)
    expect(textOf(page.html)).toContain('without one Mikomo Bank cannot tell whose login this is')
    const post = await new Browser(app.callback).press(login, 'Cancel')
    expect(post.status).toBe(400)
  })

  test('the login is asked for each time, and somebody else may log in then', async () => {
    const one = await logIn({}, 'mikomo_10')
    const other = await logIn({}, 'mikomo_20')
    expect(one.claims.sub).toBe(bank.personas[0]?.claims.sub)
    expect(other.claims.sub).toBe(bank.personas[1]?.claims.sub)
  })
})

describe('the consent page', () => {
  test('lists what is asked for, in plain words and with the values', async () => {
    const scope =
      'openid profile email address age_over_18 age_over_21 payment_details payment_processing vc.MockBankCredential'
    const consent = await browser.press(await openLogin({ scope }), 'Log in', {
      login: 'mikomo_20',
      password: 'mikomo_20',
    })
    const list = /<dl class="claims">(.*)<\/dl>/s.exec(consent.html)?.[1] ?? ''
    expect(textOf(list)).toMatch(
      new RegExp(
        '^Full name Amara Okonkwo First name Amara Last name Okonkwo Date of birth January 17, \\d{4} ' +
          'Email address amara.okonkwo@example.com ' +
          'Postal address 402 Harvest Lane, Columbus, OH 43215, United States ' +
          '18 or older Yes 21 or older No Account details Checking account ending in \\d{4} ' +
          'Payments Payments may be made from your account ' +
          'Bank credential Proof that you bank with us since \\d{4}$',
      ),
    )
  })

  test('lists single claims and later access', async () => {
    const extra = {
      scope: 'openid offline_access',
      prompt: 'consent',
      claims: { id_token: { email: null }, userinfo: { age_over_25: { essential: true } } },
    }
    const consent = await browser.press(await openLogin(extra), 'Log in', {
      login: 'mikomo_10',
      password: 'mikomo_10',
    })
    const list = /<dl class="claims">(.*)<\/dl>/s.exec(consent.html)?.[1] ?? ''
    expect(textOf(list)).toBe(
      'Email address philip.lindqvist@example.com 25 or older Yes ' +
        'Later access The app may ask for this again when you are away',
    )
  })

  test('says so when nothing about the person is asked for', async () => {
    const consent = await browser.press(await openLogin({ scope: 'openid' }), 'Log in', {
      login: 'mikomo_10',
      password: 'mikomo_10',
    })
    expect(textOf(consent.html)).toContain('The app asks only for a sign that you are a customer')
  })

  test('can be cancelled', async () => {
    const proofs = app.newProofs()
    const consent = await browser.press(await openLogin({}, proofs), 'Log in', {
      login: 'mikomo_10',
      password: 'mikomo_10',
    })
    const { url } = await browser.press(consent, 'Cancel')
    expect(url.startsWith(`${app.callback}&response=`)).toBe(true)
    expect(await answerAt(url)).toMatchObject({
      error: 'access_denied',
      error_description: 'The person cancelled at the bank',
      state: proofs.state,
    })
  })
})

describe('what the app may ask for', () => {
  test('claims by name, in the ID token and from userinfo', async () => {
    const claims = {
      id_token: { age_over_21: null, address: null },
      userinfo: { payment_details: null },
    }
    const { tokens, claims: idToken } = await logIn({ scope: 'openid', claims }, 'mikomo_40')
    const persona = present(bank.personas[3])
    expect(idToken).toMatchObject({ age_over_21: true, address: persona.claims.address })
    expect(idToken).not.toHaveProperty('name')
    const headers = { authorization: `Bearer ${tokens.access_token}` }
    const { status, body } = await app.request(bank.issuer, 'userinfo_endpoint', { headers })
    expect(status).toBe(200)
    expect(body).toEqual({ sub: persona.claims.sub, payment_details: persona.claims.payment_details })
  })

  test('max_age and acr_values are answered with auth_time and acr', async () => {
    const before = Math.floor(Date.now() / 1000)
    const { claims } = await logIn({ max_age: 60, acr_values: 'urn:mace:incommon:iap:silver' })
    expect(claims.acr).toBe('urn:mace:incommon:iap:silver')
    expect(claims.auth_time).toBeGreaterThanOrEqual(before)
  })

  test('an essential acr that the bank does not have is refused, not asked for again and again', async () => {
    const proofs = app.newProofs()
    const claims = { id_token: { acr: { essential: true, value: 'urn:gold' } } }
    expect(await answerAt((await openLogin({ claims }, proofs)).url)).toMatchObject({
      error: 'unmet_authentication_requirements',
      state: proofs.state,
    })
  })

  test('prompt=none fails without a session, and succeeds where the person agreed before', async () => {
    const none = { prompt: 'none' }
    expect(await answerAt((await openLogin(none)).url)).toMatchObject({ error: 'login_required' })
    await logIn({})
    expect(await answerAt((await openLogin(none)).url)).toHaveProperty('code')
    const more = { prompt: 'none', scope: 'openid address' }
    expect(await answerAt((await openLogin(more)).url)).toMatchObject({ error: 'consent_required' })
  })

  test('offline_access with prompt=consent gives a refresh token, which works and can be revoked', async () => {
    const { tokens, claims } = await logIn({ scope: 'openid email offline_access', prompt: 'consent' })
    const refreshToken = present(tokens.refresh_token)
    const refresh = () =>
      app.post(bank.issuer, 'token_endpoint', { grant_type: 'refresh_token', refresh_token: refreshToken })
    const renewed = await refresh()
    expect(renewed.status).toBe(200)
    const idToken = await app.read(String(renewed.body.id_token), bank.issuer)
    expect(idToken.claims.sub).toBe(claims.sub)

    const introspected = await app.post(bank.issuer, 'introspection_endpoint', { token: refreshToken })
    expect(introspected.body).toMatchObject({ active: true, client_id: app.clientId })
    const revoked = await app.post(bank.issuer, 'revocation_endpoint', { token: refreshToken })
    expect(revoked.status).toBe(200)
    expect(await refresh()).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
  })

  test('offline_access alone gives no refresh token', async () => {
    const { tokens } = await logIn({ scope: 'openid offline_access' })
    expect(tokens.refresh_token).toBeUndefined()
  })

  test('form_post.jwt carries the answer in a form, which sends itself', async () => {
    const proofs = app.newProofs()
    const login = await openLogin({ response_mode: 'form_post.jwt' }, proofs)
    const page = await agree(browser, login)
    expect(page.status).toBe(200)
    const action = app.callback.replaceAll('&', '&amp;')
    expect(page.html).toContain(`<form method="post" action="${action}">`)
    expect(page.html).toContain('<script src="/continue.js">')
    const response = present(/name="response" value="([^"]+)"/.exec(page.html)?.[1])
    expect((await app.read(response, bank.issuer)).claims).toMatchObject({
      code: expect.any(String),
      state: proofs.state,
    })
    const script = await fetch(`${sandbox.url}/continue.js`)
    expect(script.headers.get('content-type')).toContain('text/javascript')
  })
})

describe('requests that a bank refuses', () => {
  test.each<[string, Record<string, unknown>, string, string]>([
    ['no PKCE', { code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request', 'PKCE'],
    ['no nonce', { nonce: undefined }, 'invalid_request', 'nonce'],
    ['a plain response mode', { response_mode: 'query' }, 'invalid_request', 'response_mode'],
    ['another callback', { redirect_uri: 'http://localhost:1/cb' }, 'invalid_request', 'redirect_uri'],
    ['another response type', { response_type: 'code id_token' }, 'unsupported_response_type', ''],
    [
      'the idp_id of another bank',
      { identity_provider_id: 'harbour' },
      'invalid_request',
      'identity_provider_id must be "mikomo", the idp_id that the login route got',
    ],
    [
      'an idpartner_token of its own making',
      { idpartner_token: 'abc' },
      'invalid_request',
      'idpartner_token is not the one that the login route got for this bank',
    ],
  ])('%s', async (_name, bend, error, description) => {
    const { status, body } = await app.push(bank.issuer, {
      ...app.authorizationParams(app.newProofs()),
      ...bend,
    })
    expect(status).toBe(400)
    expect(body.error).toBe(error)
    expect(body.error_description).toContain(description)
  })

  test('a request that was not pushed', async () => {
    const query = new URLSearchParams(app.authorizationParams(app.newProofs()) as Record<string, string>)
    const page = await browser.open(`${bank.issuer}/auth?${query.toString()}`)
    expect(await answerAt(page.url)).toMatchObject({
      error: 'invalid_request',
      error_description: 'Pushed Authorization Request must be used',
    })
  })

  test('an unknown app, on a page', async () => {
    const page = await browser.open(`${bank.issuer}/auth?client_id=%3Cb%3E&request_uri=urn:x`)
    expect(page.status).toBe(400)
    expect(textOf(page.html)).toContain('Mikomo Bank cannot go on')
    expect(page.html).not.toContain('<b>')
    expect(page.headers.get('content-security-policy')).toMatch(
      /^default-src 'none';.*frame-ancestors 'none'$/,
    )
    expect(page.headers.get('x-frame-options')).toBe('DENY')
  })

  test('a code that was used, with the reason', async () => {
    const proofs = app.newProofs()
    const { url } = await agree(browser, await openLogin({}, proofs))
    const { code } = await answerAt(url)
    await app.redeem(bank.issuer, code, proofs)
    const { status, body } = await app.redeem(bank.issuer, code, proofs)
    expect(status).toBe(400)
    expect(body).toEqual({
      error: 'invalid_grant',
      error_description: expect.stringMatching(/^grant request is invalid: /),
    })
  })

  test('another verifier', async () => {
    const proofs = app.newProofs()
    const { url } = await agree(browser, await openLogin({}, proofs))
    const { code } = await answerAt(url)
    const { body } = await app.redeem(bank.issuer, code, { ...proofs, verifier: app.newProofs().verifier })
    expect(body.error).toBe('invalid_grant')
  })

  test("keys that cannot be fetched, with the app's address in the reason", async () => {
    app.published = { status: 500 }
    try {
      const { status, body } = await app.push(bank.issuer, app.authorizationParams(app.newProofs()))
      expect(status).toBe(400)
      expect(body).toEqual({
        error: 'invalid_client_metadata',
        error_description: `The app's public keys at ${app.jwksUri} were answered with HTTP status 500`,
      })
    } finally {
      app.published = {}
    }
  })
})

test("a FAPI interaction id comes back in the bank's answers", async () => {
  const response = await fetch(`${bank.issuer}/me`, { headers: { 'x-fapi-interaction-id': 'abc' } })
  expect(response.headers.get('x-fapi-interaction-id')).toBe('abc')
})

test("cookies of a bank stay with the bank, since browsers send localhost's to every port", async () => {
  const response = await fetch(await app.directUrl(bank.issuer), { redirect: 'manual' })
  const cookies = response.headers.getSetCookie()
  expect(cookies.length).toBeGreaterThan(0)
  for (const cookie of cookies) {
    expect(cookie).toMatch(/^mikomo_/)
    expect(cookie).toMatch(/; path=\/banks\/mikomo/)
    expect(cookie).toMatch(/httponly/i)
  }
})

test('logos are images that run nothing', async () => {
  for (const { issuer } of sandbox.banks) {
    const response = await fetch(`${issuer}/logo.svg`)
    expect(response.headers.get('content-type')).toBe('image/svg+xml')
    expect(await response.text()).toMatch(/^<svg xmlns=(?!.*script)/)
  }
})
