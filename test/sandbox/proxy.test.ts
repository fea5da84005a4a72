import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { UnsecuredJWT } from 'jose'
import { startSandbox, type Sandbox } from '../../lib/sandbox/index.js'
import { Browser, textOf } from '../support/browser.js'
import {
  SandboxApp,
  agree,
  discover,
  generateKey,
  logInThroughProxy,
  paramOf,
  present,
  type Key,
} from '../support/sandbox-app.js'

let app: SandboxApp
let sandbox: Sandbox
let stranger: Key
let elliptic: Key
let browser: Browser

beforeAll(async () => {
  app = await SandboxApp.start()
  sandbox = await startSandbox(app.options)
  stranger = await generateKey('PS256')
  elliptic = await generateKey('ES256')
})

afterEach(() => {
  app.published = {}
})

afterAll(async () => {
  await sandbox.close()
  await app.close()
})

beforeEach(() => {
  browser = new Browser(app.callback)
})

async function openAuth(params: Record<string, string>) {
  const query = new URLSearchParams(params).toString()
  return browser.open(`${sandbox.config.oidc_proxy_service_url}/auth?${query}`)
}

test('discovery is that of a proxy that wants signed requests', async () => {
  const proxy = sandbox.config.oidc_proxy_service_url
  const document = await discover(proxy)
  expect(document).toMatchObject({
    issuer: proxy,
    authorization_endpoint: `${proxy}/auth`,
    jwks_uri: `${sandbox.config.trust_directory_service_url}/jwks`,
    require_signed_request_object: true,
    request_object_signing_alg_values_supported: ['PS256', 'ES256'],
    response_modes_supported: ['jwt'],
  })
})

test('the trust directory publishes public keys alone', async () => {
  const response = await fetch(`${sandbox.config.trust_directory_service_url}/jwks`)
  const { keys } = (await response.json()) as { keys: object[] }
  expect(keys).toEqual([
    { kty: 'RSA', use: 'sig', alg: 'PS256', kid: expect.any(String), n: expect.any(String), e: 'AQAB' },
  ])
})

describe('the account selector', () => {
  test('finds banks by name, without a script', async () => {
    const selector = await browser.open(await app.proxyUrl(sandbox))
    expect(textOf(selector.html)).toContain('4 banks')
    const found = await browser.press(selector, 'Search', { q: 'SAVINGS harb' })
    expect(textOf(found.html)).toContain('1 bank for “SAVINGS harb” Harbour Savings')
    expect(textOf(found.html)).not.toContain('Mikomo')
    const login = await browser.press(found, 'Harbour Savings')
    expect(textOf(login.html)).toContain('Log in to Harbour Savings')
  })

  test('shows what was searched for as text', async () => {
    const selector = await browser.open(await app.proxyUrl(sandbox))
    const search = '"><script>alert(1)</script>'
    const found = await browser.press(selector, 'Search', { q: search })
    expect(found.html).not.toContain('<script>alert')
    expect(textOf(found.html)).toContain(`No bank matches “${search}”.`)
  })

  test('cancelling sends the browser back as the platform does, unsigned', async () => {
    const proofs = app.newProofs()
    const selector = await browser.open(await app.proxyUrl(sandbox, proofs))
    const { url } = await browser.press(selector, 'Cancel')
    const expected = new URLSearchParams({
      error: 'access_denied',
      error_description: 'The person cancelled at the account selector',
      state: proofs.state,
    })
    expect(url).toBe(`${app.callback}&${expected.toString()}`)
  })

  test('a bank that does not exist leads back to the selector', async () => {
    const selector = await browser.open(await app.proxyUrl(sandbox))
    const again = await browser.open(selector.url, {
      method: 'POST',
      body: new URLSearchParams({ bank: 'nowhere' }),
    })
    expect(textOf(again.html)).toContain('Choose your bank')
  })

  test('another bank can be picked after going back', async () => {
    const selector = await browser.open(await app.proxyUrl(sandbox))
    await browser.press(selector, 'Mikomo Bank')
    const login = await browser.press(selector, 'Cedar & Finch')
    const { url } = await agree(browser, login, 'mikomo_40')
    const document = await app.document(sandbox, url)
    expect(document.identity_provider).toMatchObject({
      name: 'Cedar & Finch',
      issuer_url: `${sandbox.url}/banks/cedar`,
    })
  })

  test('two logins in two tabs do not get in the way of each other', async () => {
    const one = app.newProofs()
    const other = app.newProofs()
    const firstTab = await browser.press(await browser.open(await app.proxyUrl(sandbox, one)), 'Mikomo Bank')
    const secondTab = await browser.press(
      await browser.open(await app.proxyUrl(sandbox, other)),
      'Mikomo Bank',
    )
    const second = await agree(browser, secondTab, 'mikomo_20')
    const first = await agree(browser, firstTab, 'mikomo_10')
    const issuer = present(sandbox.banks[0]).issuer
    for (const [page, proofs] of [
      [first, one],
      [second, other],
    ] as const) {
      const { sub } = await app.document(sandbox, page.url)
      expect((await app.read(sub, issuer)).claims.state).toBe(proofs.state)
    }
  })
})

test('an answer is for one browser', async () => {
  const { url } = await logInThroughProxy(app, sandbox, app.newProofs())
  expect(paramOf(url, 'response')).toMatch(/^ey/)
  const visitedLast = new Browser(app.callback)
  const login = await browser.press(await browser.open(await app.proxyUrl(sandbox)), 'Mikomo Bank')
  await agree(browser, login)
  const answerUrl = present(browser.visited.find((one) => one.includes('/oidc-proxy/answer/')))
  const page = await visitedLast.open(answerUrl)
  expect(page.status).toBe(404)
  expect(textOf(page.html)).toContain('This login is over')
})

test('an answer cannot be had before the bank gave one', async () => {
  const selector = await browser.open(await app.proxyUrl(sandbox))
  const page = await browser.open(selector.url.replace('/select/', '/answer/'))
  expect(page.status).toBe(404)
})

test('cancelling at the bank is an authentic answer in an authentic document', async () => {
  const proofs = app.newProofs()
  const login = await browser.press(await browser.open(await app.proxyUrl(sandbox, proofs)), 'Mikomo Bank')
  const { url } = await browser.press(login, 'Cancel')
  const { sub } = await app.document(sandbox, url)
  const { claims, jweHeader } = await app.read(sub, present(sandbox.banks[0]).issuer)
  expect(jweHeader).toBeDefined()
  expect(claims).toMatchObject({ error: 'access_denied', state: proofs.state })
  expect(claims).not.toHaveProperty('code')
})

test('prompt=none without a session at the bank is answered with login_required', async () => {
  const proofs = app.newProofs()
  const selector = await browser.open(await app.proxyUrl(sandbox, proofs, { prompt: 'none' }))
  const { url } = await browser.press(selector, 'Mikomo Bank')
  const { sub } = await app.document(sandbox, url)
  const { claims } = await app.read(sub, present(sandbox.banks[0]).issuer)
  expect(claims).toMatchObject({ error: 'login_required', state: proofs.state })
})

describe('requests', () => {
  test('an ES256 key of the app is as good as a PS256 one', async () => {
    const signing = app.signing
    app.signing = elliptic
    try {
      const page = await browser.open(await app.proxyUrl(sandbox))
      expect(textOf(page.html)).toContain('Choose your bank')
    } finally {
      app.signing = signing
    }
  })

  test('keys rotated a moment ago are known, here and at the bank', async () => {
    await logInThroughProxy(app, sandbox, app.newProofs())
    await app.rotateKeys()
    const proofs = app.newProofs()
    const { url } = await logInThroughProxy(app, sandbox, proofs)
    const { issuer } = present(sandbox.banks[0])
    const answer = await app.read((await app.document(sandbox, url)).sub, issuer)
    expect((await app.redeem(issuer, answer.claims.code, proofs)).status).toBe(200)
  })

  test('without an encryption key of the app, everything is signed only', async () => {
    const { encryption } = app
    app.encryption = undefined
    try {
      const proofs = app.newProofs()
      const { url } = await logInThroughProxy(app, sandbox, proofs)
      const { issuer } = present(sandbox.banks[0])
      const answer = await app.read((await app.document(sandbox, url)).sub, issuer)
      expect(answer.jweHeader).toBeUndefined()
      const { body } = await app.redeem(issuer, answer.claims.code, proofs)
      expect((await app.read(body.id_token, issuer)).jweHeader).toBeUndefined()
    } finally {
      app.encryption = encryption
    }
  })

  test('client_id may be missing in the query, but not be another', async () => {
    const url = new URL(await app.proxyUrl(sandbox))
    url.searchParams.delete('client_id')
    expect(textOf((await browser.open(url.href)).html)).toContain('Choose your bank')
    url.searchParams.set('client_id', 'other')
    const page = await browser.open(url.href)
    expect(page.status).toBe(400)
    expect(textOf(page.html)).toContain('client_id in the query must be "sandbox-app"')
  })

  test('an interaction id is made when the request has none', async () => {
    const { url } = await logInThroughProxy(app, sandbox, app.newProofs(), {
      'x-fapi-interaction-id': undefined,
    })
    const document = await app.document(sandbox, url)
    expect(document['x-fapi-interaction-id']).toMatch(/^[0-9a-f-]{36}$/)
  })

  const now = () => Math.floor(Date.now() / 1000)

  test.each<[string, () => Record<string, unknown>, string]>([
    ['another issuer', () => ({ iss: 'other' }), 'iss must be the client id "sandbox-app"'],
    ['another audience', () => ({ aud: 'https://other.example' }), 'aud must be "'],
    ['no audience', () => ({ aud: undefined }), 'aud must be "'],
    ['an expired one', () => ({ exp: now() - 60 }), "the request has expired: is the app's clock right?"],
    ['no exp', () => ({ exp: undefined }), 'exp must be there'],
    ['a long life', () => ({ exp: now() + 3600 }), 'exp must be at most 5 minutes after nbf'],
    ['an early nbf', () => ({ nbf: now() - 3600 }), 'exp must be at most 5 minutes after nbf'],
    [
      'times far ahead',
      () => ({ nbf: now() + 120, iat: now() + 120, exp: now() + 400 }),
      "nbf must not be in the future: is the app's clock right?",
    ],
    [
      'an iat in the future',
      () => ({ iat: now() + 120 }),
      "iat must not be in the future: is the app's clock right?",
    ],
    ['no nbf', () => ({ nbf: undefined }), 'nbf must be there'],
    ['no iat', () => ({ iat: undefined }), 'iat must be there'],
    ['no jti', () => ({ jti: undefined }), 'jti must be there'],
    ['another client id', () => ({ client_id: 'other' }), 'client_id must be "sandbox-app"'],
    [
      'another callback',
      () => ({ redirect_uri: 'http://localhost:1/auth/callback?tenant=a+b' }),
      'redirect_uri must be exactly "',
    ],
    ['another response type', () => ({ response_type: 'code id_token' }), 'response_type must be "code"'],
    ['no response mode', () => ({ response_mode: undefined }), 'response_mode must be there'],
    ['a plain response mode', () => ({ response_mode: 'query' }), 'response_mode must be "jwt"'],
    ['no openid', () => ({ scope: 'email' }), 'scope must contain "openid"'],
    ['no state', () => ({ state: undefined }), 'state must be there'],
    ['an empty nonce', () => ({ nonce: '' }), 'nonce must not be empty'],
    ['no PKCE', () => ({ code_challenge: undefined }), 'code_challenge must be there'],
    [
      'a short challenge',
      () => ({ code_challenge: 'abc' }),
      'code_challenge must be a SHA-256 hash, base64url-encoded',
    ],
    ['a plain challenge', () => ({ code_challenge_method: 'plain' }), 'code_challenge_method must be "S256"'],
    [
      'another interaction id',
      () => ({ 'x-fapi-interaction-id': '1' }),
      'x-fapi-interaction-id must be a UUID',
    ],
    ['claims as text', () => ({ claims: '{}' }), 'claims must be an object'],
  ])('%s is refused on a page', async (_name, bend, problem) => {
    const page = await browser.open(await app.proxyUrl(sandbox, app.newProofs(), bend()))
    expect(page.status).toBe(400)
    expect(page.url).toContain('/oidc-proxy/auth?')
    expect(textOf(page.html)).toContain('This request is not valid')
    expect(textOf(page.html)).toContain(problem)
  })

  test('everything that is wrong is named at once', async () => {
    const bent = { state: undefined, nonce: undefined, response_mode: 'query' }
    const page = await browser.open(await app.proxyUrl(sandbox, app.newProofs(), bent))
    expect(textOf(page.html)).toContain('response_mode must be "jwt" state must be there nonce must be there')
  })

  test.each<[string, (claims: Record<string, unknown>) => Promise<string> | string, string]>([
    [
      'signed by a key that is not published',
      (claims) => app.requestObject(sandbox.config.oidc_proxy_service_url, claims, {}, stranger),
      'the keys at jwks_uri hold none for this request (kid ',
    ],
    [
      'signed by a stranger with a known kid',
      (claims) =>
        app.requestObject(
          sandbox.config.oidc_proxy_service_url,
          claims,
          { kid: app.signing.jwk.kid },
          stranger,
        ),
      'the signature does not fit the key at jwks_uri',
    ],
    [
      'of another type',
      (claims) => app.requestObject(sandbox.config.oidc_proxy_service_url, claims, { typ: 'JWT' }),
      'typ must be "oauth-authz-req+jwt"',
    ],
    [
      'unsigned',
      (claims) => new UnsecuredJWT(claims).encode(),
      'the request must be signed with PS256 or ES256',
    ],
    ['no JWT', () => 'abc', 'the request is not a signed JWT'],
    ['empty', () => '', 'there must be one query parameter "request"'],
  ])('a request object that is %s is refused', async (_name, make, problem) => {
    const request = await make(app.authorizationParams(app.newProofs()))
    const page = await openAuth({ request, client_id: app.clientId })
    expect(page.status).toBe(400)
    expect(textOf(page.html)).toContain(problem)
  })

  test('two request objects are refused', async () => {
    const url = new URL(await app.proxyUrl(sandbox))
    url.searchParams.append('request', url.searchParams.get('request') ?? '')
    const page = await browser.open(url.href)
    expect(textOf(page.html)).toContain('there must be one query parameter "request"')
  })

  test.each([
    ['are not there', { status: 404 }, 'were answered with HTTP status 404'],
    ['are HTML', { body: '<html>' }, 'are not a JWKS: an object with a list of keys'],
    ['are something else', { body: '{"keys":{}}' }, 'are not a JWKS: an object with a list of keys'],
    ['are private', { body: '{"keys":[{"kty":"RSA","d":"x"}]}' }, 'include a private key'],
  ])("the app's developer learns that the keys %s", async (_name, published, problem) => {
    const url = await app.proxyUrl(sandbox)
    app.published = published
    const page = await browser.open(url)
    expect(page.status).toBe(400)
    expect(textOf(page.html)).toContain(`The app's public keys at ${app.jwksUri} ${problem}`)
  })

  test("the app's developer learns that nobody publishes the keys", async () => {
    const gone = await SandboxApp.start()
    const other = await startSandbox(gone.options)
    const url = await gone.proxyUrl(other)
    await gone.close()
    const page = await browser.open(url)
    await other.close()
    expect(textOf(page.html)).toContain(
      'could not be fetched (ECONNREFUSED). Is the app running, with jwksRouter mounted there?',
    )
  })
})

test('pages cannot be framed, cached, or made to run a foreign script', async () => {
  const selector = await browser.open(await app.proxyUrl(sandbox))
  const login = await browser.press(selector, 'Mikomo Bank')
  for (const { headers, html } of [selector, login]) {
    expect(headers.get('content-security-policy')).toBe(
      "default-src 'none';script-src 'self';style-src 'self';img-src 'self';base-uri 'none';frame-ancestors 'none'",
    )
    expect(headers.get('x-frame-options')).toBe('DENY')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(html).toContain('<html lang="en">')
    expect(html).not.toMatch(/<script|style=|\son\w+=/)
    expect(textOf(html)).toContain('not a real bank')
  }
})
