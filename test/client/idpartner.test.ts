import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import {
  IDPartner,
  type AuthorizationParams,
  type IDPartnerConfig,
  type Proofs,
  type TokenSet,
} from 'passport-idpartner'
import type { ErrorResponse } from '../../lib/errors.js'
import { appended, set, without, type Change } from '../support/bends.js'
import { tlsCertificates } from '../support/certificates.js'
import { answer, hang, json, send } from '../support/faults.js'
import { clientJwks, rsaKey } from '../support/key-pairs.js'
import { Platform, type AnswerBends, type BankName, type PlatformOptions } from '../support/platform.js'
import { refusal } from '../support/settle.js'

const SCOPE = ['openid', 'email', 'profile']

let platform: Platform | undefined

afterEach(async () => {
  const { wire } = platform ?? {}
  await platform?.close()
  platform = undefined
  expect(wire?.complaints ?? []).toEqual([])
})

/** An application on its own, without Express, Passport and sessions. */
class App {
  readonly client: IDPartner
  readonly platform: Platform
  proofs: Proofs | undefined

  constructor(of: Platform, config: IDPartnerConfig) {
    this.platform = of
    this.client = new IDPartner(config)
  }

  /** The login route; in the direct flow the person has chosen the bank already. */
  async begin(query: object = {}, extra = {}): Promise<string> {
    const { bankA, flow } = this.platform
    this.proofs = this.client.generateProofs()
    const chosen = flow === 'direct' ? { iss: bankA.issuer } : {}
    return this.client.getAuthorizationUrl({ ...chosen, ...query }, this.proofs, SCOPE, extra)
  }

  /** What the browser brings back. */
  async response(bends: AnswerBends = {}, bank: BankName = 'bankA'): Promise<string> {
    const url = await this.begin()
    return this.platform.answer(await this.platform.request(url), bends, { bank })
  }

  /** A whole login, with the bank's answer as `claims()` and `token()` take it. */
  async answered(bends: AnswerBends = {}): Promise<string> {
    const response = await this.response(bends)
    if (this.platform.flow === 'direct') return response
    return (await this.client.unpackProxyResponse({ response })).idp_response_code
  }

  async logIn(bends: AnswerBends = {}): Promise<TokenSet> {
    return this.client.token(await this.answered(bends), this.begun)
  }

  get begun(): Proofs {
    if (!this.proofs) throw new Error('no login was begun')
    return this.proofs
  }

  get issuer(): string {
    return this.platform.bankA.issuer
  }
}

async function start(options: PlatformOptions = {}, config: Partial<IDPartnerConfig> = {}): Promise<App> {
  platform = await Platform.start(options)
  return new App(platform, { ...(await platform.config()), timeout: 20_000, ...config })
}

const flows = [{ flow: 'proxy' }, { flow: 'direct' }] as const

describe('a client is made', () => {
  test('of its configuration, and asks nobody', async () => {
    const { client, platform } = await start()
    expect([client.flow, client.timeout]).toEqual(['proxy', 20_000])
    expect(platform.requests).toEqual([])
  })

  test.each([[undefined], [null], ['config']])('not of %j', (config) => {
    expect(() => new IDPartner(config as unknown as IDPartnerConfig)).toThrow(
      expect.objectContaining({
        code: 'config_invalid',
        message: 'options are required: an object with at least client_id and callback',
      }),
    )
  })

  test('of options that it inherits from what several clients share', async () => {
    platform = await Platform.start()
    const shared = await platform.config()
    const client = new IDPartner(
      Object.create(shared, { timeout: { value: 20_000, enumerable: true } }) as IDPartnerConfig,
    )
    expect(client.timeout).toBe(20_000)
  })

  test('that shows no key, secret or certificate', async () => {
    const pem = await tlsCertificates()
    const jwks = await clientJwks()
    const client = new IDPartner({
      client_id: 'app',
      callback: 'https://app.example/callback',
      jwks,
      token_endpoint_auth_method: 'client_secret_basic',
      client_secret: 'a-client-secret',
      tls_client_cert: pem.client.cert,
      tls_client_key: pem.client.key,
    })
    await client.getPublicJWKs()
    const shown = [inspect(client, { depth: Infinity, showHidden: true }), JSON.stringify(client)]
    for (const secret of ['a-client-secret', 'BEGIN', String(jwks.keys[0]?.d), String(jwks.keys[1]?.p)]) {
      expect(shown.join()).not.toContain(secret)
    }
  })
})

describe('proofs', () => {
  test('are three secrets, other ones each time', async () => {
    const { client } = await start()
    const all = Array.from({ length: 10 }, () => client.generateProofs())
    const values = all.flatMap((proofs) => Object.values(proofs) as string[])
    expect(new Set(values).size).toBe(30)
    for (const value of values) expect(value).toMatch(/^[\w-]{43}$/)
    expect(Object.keys(all[0] ?? {})).toEqual(['state', 'nonce', 'codeVerifier'])
  })

  test.each<[string, unknown]>([
    ['missing', undefined],
    ['null', null],
    ['a text', 'state'],
    ['without a verifier', { state: 's', nonce: 'n' }],
    ['without a state', { nonce: 'n', codeVerifier: 'v' }],
    ['with an empty nonce', { state: 's', nonce: '', codeVerifier: 'v' }],
    ['with a number', { state: 's', nonce: 1, codeVerifier: 'v' }],
  ])('are needed to begin a login: not %s', async (_name, proofs) => {
    const { client, platform } = await start()
    expect(await refusal(client.getAuthorizationUrl({}, proofs as Proofs, SCOPE))).toMatchObject({
      code: 'config_invalid',
      message: 'the second argument must be the proofs of generateProofs()',
    })
    expect(platform.requests).toEqual([])
  })
})

describe('public keys', () => {
  test('are a copy, so that nobody can change what is published', async () => {
    const { client } = await start()
    const jwks = await client.getPublicJWKs()
    const before = structuredClone(jwks)
    jwks.keys.pop()
    Object.assign(jwks.keys[0] ?? {}, { kid: 'changed' })
    expect(await client.getPublicJWKs()).toEqual(before)
  })
})

describe('alone, as the vendor shows it', () => {
  test('a person logs in through the proxy', async () => {
    const { client: idPartner, platform } = await start()
    const session: { idp_proofs?: Proofs } = {}

    // The login route.
    session.idp_proofs = idPartner.generateProofs()
    const authorizationUrl = await idPartner.getAuthorizationUrl(
      { visitor_id: 'visitor' },
      session.idp_proofs,
      SCOPE,
    )
    expect(authorizationUrl).toMatch(`${platform.proxy.issuer}/auth?`)

    // The callback route.
    const query = { response: await platform.answer(await platform.request(authorizationUrl)) }
    const { identity_provider, idp_response_code } = await idPartner.unpackProxyResponse(query)
    expect(identity_provider).toEqual({ name: 'bankA', issuer_url: platform.bankA.issuer })
    expect(platform.requests).toEqual(['proxy.discovery', 'directory.jwks'])
    const claims = await idPartner.claims(idp_response_code, session.idp_proofs)
    expect(claims).toMatchObject({ iss: platform.bankA.issuer, aud: 'test-app', ...platform.person })
  })

  test('a person logs in at a bank', async () => {
    const { client, platform } = await start({ flow: 'direct' })
    const proofs = client.generateProofs()
    const url = await client.getAuthorizationUrl({ iss: platform.bankA.issuer }, proofs, SCOPE.join(' '))
    const response = await platform.answer(await platform.request(url))
    expect(await client.claims(response, proofs, platform.bankA.issuer)).toMatchObject(platform.person)
  })

  test.each([{ encrypted: true }, { encrypted: false }])(
    'with keys of either kind: $encrypted',
    async (options) => {
      const app = await start(options)
      expect((await app.logIn()).claims).toMatchObject(app.platform.person)
    },
  )
})

describe('the URL of the proxy', () => {
  test.each<[string, unknown, string | null]>([
    ['a visitor', { visitor_id: 'visitor & 1' }, 'visitor & 1'],
    ['a visitor in a query string', '?visitor_id=a%20b', 'a b'],
    ['a visitor in URLSearchParams', new URLSearchParams({ visitor_id: 'a' }), 'a'],
    ['nobody', {}, null],
    ['nobody, without a query', undefined, null],
    ['an empty visitor', { visitor_id: '' }, null],
    ['two visitors', { visitor_id: ['a', 'b'] }, null],
    ['an object for a visitor', { visitor_id: { $ne: '' } }, null],
  ])('names %s', async (_name, query, visitor) => {
    const { client } = await start()
    const url = await client.getAuthorizationUrl(query, client.generateProofs(), SCOPE)
    expect(new URL(url).searchParams.get('visitor_id')).toBe(visitor)
    expect(url).not.toContain('undefined')
  })

  test('is that of its discovery document', async () => {
    const app = await start()
    app.platform.proxy.metadata = set({ authorization_endpoint: 'https://login.example/start?x=1' })
    expect(await app.begin()).toMatch('https://login.example/start?x=1&')
  })
})

describe('the URL of the account selector', () => {
  const selector = async (
    query: unknown = {},
    {
      scope = SCOPE,
      extra = {},
      config = {},
    }: { scope?: string | string[]; extra?: AuthorizationParams; config?: object } = {},
  ): Promise<string> => {
    const { client } = await start({ flow: 'direct' }, config)
    return client.getAuthorizationUrl(query, client.generateProofs(), scope, extra)
  }

  test("is the vendor's, with the client and the scope", async () => {
    const url = new URL(await selector())
    expect(url.origin + url.pathname).toBe('https://preferences.idpartner.com/v1/select-accounts')
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: 'test-app',
      scope: 'openid email profile',
    })
    expect(url.href).not.toContain('undefined')
    expect(platform?.requests).toEqual([])
  })

  test('encodes what it is given', async () => {
    const url = await selector(
      { visitor_id: 'a b&client_id=other#x' },
      { scope: 'openid x&y', config: { client_id: 'a client & more' } },
    )
    const { searchParams, hash } = new URL(url)
    expect([...searchParams]).toEqual([
      ['client_id', 'a client & more'],
      ['visitor_id', 'a b&client_id=other#x'],
      ['scope', 'openid x&y'],
    ])
    expect(hash).toBe('')
  })

  test('names the claims that are asked for, of both places', async () => {
    const claims = { userinfo: { email: null }, id_token: { age_over_18: { essential: true }, email: null } }
    const url = new URL(await selector({}, { extra: { claims, prompt: 'consent' } }))
    expect(url.searchParams.get('claims')).toBe('email age_over_18')
    expect(url.searchParams.has('prompt')).toBe(false)
  })

  test.each([
    'https://selector.example/v2',
    'https://selector.example/v2/',
    'https://selector.example/v2/select-accounts',
  ])('is below the one configured: %s', async (account_selector_service_url) => {
    const url = new URL(await selector({}, { config: { account_selector_service_url } }))
    expect(url.origin + url.pathname).toBe('https://selector.example/v2/select-accounts')
  })

  test('is not made without openid', async () => {
    expect(await refusal(selector({}, { scope: 'email' }))).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('must include "openid"'),
    })
  })
})

describe('a login begins at the bank that the account selector names', () => {
  test('with what the selector says of it', async () => {
    const app = await start({ flow: 'direct' })
    await app.begin({ idp_id: 'idp & 1', idpartner_token: 'token', visitor_id: 'visitor' })
    const pushed = new URLSearchParams(
      app.platform.wire.requests.find(({ endpoint }) => endpoint === 'bankA.par')?.body,
    )
    const { payload } = parts(pushed.get('request') ?? '')
    expect(payload).toMatchObject({ identity_provider_id: 'idp & 1', idpartner_token: 'token' })
    expect(payload).not.toHaveProperty('visitor_id')
  })

  test('or with what the application says', async () => {
    const app = await start({ flow: 'direct' })
    await app.begin({ idp_id: 'from the browser' }, { identity_provider_id: 'from the application' })
    const pushed = new URLSearchParams(
      app.platform.wire.requests.find(({ endpoint }) => endpoint === 'bankA.par')?.body,
    )
    expect(parts(pushed.get('request') ?? '').payload['identity_provider_id']).toBe('from the application')
  })

  test.each<[string, (app: App) => unknown]>([
    ['not trusted', () => 'https://evil.example'],
    ['almost trusted', ({ issuer }) => `${issuer}/`],
    ['no URL', () => 'bank'],
    ['empty', () => ''],
    ['named twice', ({ issuer }) => [issuer, issuer]],
    ['an object', ({ issuer }) => ({ href: issuer })],
    ['private', () => 'https://10.0.0.1'],
  ])('but not when it is %s', async (_name, iss) => {
    const app = await start({ flow: 'direct' })
    expect(await refusal(app.begin({ iss: iss(app) }))).toMatchObject({
      code: 'provider_refused',
      status: 403,
    })
    expect(app.platform.requests).toEqual([])
  })
})

describe('what the proxy sent the browser back with', () => {
  test.each<[string, object | undefined, { code: string; status: number }, RegExp]>([
    ['nothing', {}, { code: 'response_invalid', status: 401 }, /holds no "response"/],
    ['no query', undefined, { code: 'response_invalid', status: 401 }, /holds no "response"/],
    ['an empty answer', { response: '' }, { code: 'response_invalid', status: 401 }, /is empty/],
    ['two answers', { response: ['a', 'b'] }, { code: 'response_invalid', status: 401 }, /more than once/],
    ['garbage', { response: 'garbage' }, { code: 'response_invalid', status: 401 }, /is malformed/],
    ['a bare code', { code: 'code' }, { code: 'response_invalid', status: 401 }, /bare code/],
    ['a cancel', { error: 'access_denied' }, { code: 'access_denied', status: 401 }, /cancelled/],
    ['an error', { error: 'server_error' }, { code: 'provider_error', status: 401 }, /server_error/],
  ])('is refused when it is %s', async (_name, query, expected, message) => {
    const { client } = await start()
    const err = await refusal(client.unpackProxyResponse(query))
    expect(err).toMatchObject(expected)
    expect(err.message).toMatch(message)
  })

  test('is nothing in the direct flow, which has no proxy', async () => {
    const { client } = await start({ flow: 'direct' })
    expect(await refusal(client.unpackProxyResponse({ response: 'x' }))).toMatchObject({
      code: 'config_invalid',
      message: 'there is no proxy in the direct flow: pass "response" on to claims()',
    })
  })

  test('may be a posted form', async () => {
    const app = await start()
    const body = new URLSearchParams({ response: await app.response() })
    await expect(app.client.unpackProxyResponse(body)).resolves.toHaveProperty(
      'identity_provider.name',
      'bankA',
    )
  })

  test('may be a bank that is not trusted', async () => {
    const app = await start({}, { trusted_issuers: ['https://bank.example'] })
    const response = await app.response()
    expect(await refusal(app.client.unpackProxyResponse({ response }))).toMatchObject({
      code: 'provider_refused',
      status: 403,
    })
    expect(app.platform.requests).toEqual(['proxy.discovery', 'directory.jwks'])
  })
})

describe.each(flows)("the bank's answer is redeemed ($flow flow)", (options) => {
  test('for the tokens', async () => {
    const app = await start(options)
    const tokens = await app.logIn()
    expect(tokens).toMatchObject({
      access_token: expect.any(String),
      token_type: 'bearer',
      refresh_token: expect.any(String),
      expires_in: 900,
      claims: app.platform.person,
    })
    expect(parts(tokens.id_token ?? '').payload).toEqual(tokens.claims)
  })

  test.each<[string, (proofs: Proofs) => unknown]>([
    ['another state', (proofs) => ({ ...proofs, state: 'x' })],
    ['no state', ({ nonce, codeVerifier }) => ({ nonce, codeVerifier })],
    ['no nonce', ({ state, codeVerifier }) => ({ state, codeVerifier })],
    ['an empty verifier', (proofs) => ({ ...proofs, codeVerifier: '' })],
    ['nothing', () => undefined],
    ['null', () => null],
  ])('not with %s in the proofs', async (_name, change) => {
    const app = await start(options)
    const response = await app.answered()
    expect(await refusal(app.client.claims(response, change(app.begun) as Proofs))).toMatchObject({
      code: 'login_missing',
      status: 401,
      reason: 'no_login',
    })
    expect(app.platform.requests).not.toContain('bankA.token')
    await expect(app.client.claims(response, app.begun)).resolves.toMatchObject(app.platform.person)
  })

  test('not with the nonce of another login', async () => {
    const app = await start(options)
    const response = await app.answered()
    expect(await refusal(app.client.claims(response, { ...app.begun, nonce: 'x' }))).toMatchObject({
      code: 'token_invalid',
      message: expect.stringContaining('"nonce" differs'),
    })
  })

  test('not from another bank than the caller wants', async () => {
    const app = await start(options)
    const response = await app.answered()
    expect(await refusal(app.client.token(response, app.begun, app.platform.bankB.issuer))).toMatchObject({
      code: 'response_invalid',
      status: 401,
    })
    await expect(app.client.token(response, app.begun, app.issuer)).resolves.toBeDefined()
  })

  const unread = expect.stringContaining('is missing or longer than 64 KiB')

  test.each<[string, unknown, unknown]>([
    ['missing', undefined, unread],
    ['an object without an answer', { state: 'x' }, 'the query holds no "response"'],
    ['a query with garbage', { response: 'x' }, expect.not.stringContaining('64 KiB')],
    ['a query with two answers', { response: ['x', 'x'] }, expect.stringContaining('came more than once')],
    ['a query with a bare code', { code: 'x', state: 'y' }, expect.stringContaining('a bare code')],
    ['empty', '', expect.not.stringContaining('64 KiB')],
    ['garbage', 'a.b.c', expect.not.stringContaining('64 KiB')],
    ['as long as it may be, but garbage', 'x'.repeat(65_536), expect.not.stringContaining('64 KiB')],
    ['too long', 'x'.repeat(65_537), unread],
  ])('not when it is %s', async (_name, response, message) => {
    const { client } = await start(options)
    expect(await refusal(client.claims(response as string, client.generateProofs()))).toMatchObject({
      code: 'response_invalid',
      status: 401,
      message,
    })
  })

  test('not when the person said no', async () => {
    const app = await start(options)
    const denied: Change = (claims) => ({ ...without('code')(claims), error: 'access_denied' })
    const response = await app.answered({ answer: { claims: denied } })
    expect(await refusal(app.client.claims(response, app.begun))).toMatchObject({
      code: 'access_denied',
      status: 401,
      message: `the login was cancelled or refused at the bank ${new URL(app.platform.bankA.issuer).host}`,
    })
  })

  test("not when the bank says no, whose words are underneath without this login's secrets", async () => {
    const app = await start(options)
    const denied: Change = (claims) => {
      const { state, nonce } = app.begun
      const error_description = `\u001b[31mmax_age of ${nonce} not met,\nstate ${state}${'x'.repeat(400)}`
      return { ...without('code')(claims), error: 'login_required', error_description }
    }
    const response = await app.answered({ answer: { claims: denied } })
    const err = await refusal(app.client.claims(response, app.begun))
    expect(err).toMatchObject({
      code: 'provider_error',
      status: 401,
      message: expect.stringMatching(
        `^the bank ${new URL(app.platform.bankA.issuer).host} did not log the person in: login_required \\(`,
      ),
    })
    const { error_description: said = '', status } = err.cause as ErrorResponse
    expect(said).toMatch(/^\?\[31mmax_age of \[redacted\] not met,\?state \[redacted\]x+$/)
    expect(said).toHaveLength(300)
    expect(status).toBeUndefined()
  })

  test.each<[string, AnswerBends, RegExp]>([
    ['its answer', { answer: { key: () => rsaKey('stranger') } }, /^the answer of /],
    ['its ID token', { idToken: { key: () => rsaKey('stranger') } }, /^the ID token of /],
  ])('and the refusal names the bank when the fault is in %s', async (_name, bends, what) => {
    const app = await start(options)
    const { message } = await refusal(app.client.claims(await app.answered(bends), app.begun))
    expect(message).toMatch(what)
    expect(message).toContain(`of the bank ${new URL(app.platform.bankA.issuer).host} is signed with a key`)
  })

  test('not after the caller gave up', async () => {
    const app = await start(options)
    const response = await app.answered()
    const signal = AbortSignal.abort()
    expect(await refusal(app.client.claims(response, app.begun, undefined, { signal }))).toMatchObject({
      code: 'provider_unavailable',
      status: 504,
    })
    expect(app.platform.requests).not.toContain('bankA.token')
  })
})

describe('an answer of a bank that is nearly spelled as in "trusted_issuers"', () => {
  test.each<[string, (issuer: string) => string]>([
    ['with a slash at its end', (issuer) => `${issuer}/`],
    ['with another name of this machine', (issuer) => issuer.replace('127.0.0.1', 'localhost')],
    ['with https for http', (issuer) => issuer.replace('http:', 'https:')],
  ])('says both, %s', async (_name, spelled) => {
    const app = await start({ flow: 'direct' })
    const { client, platform, issuer } = app
    const iss = spelled(issuer)
    expect(iss).not.toBe(issuer)
    const response = await app.response({ answer: { claims: set({ iss }) } })
    expect(await refusal(client.claims(response, app.begun))).toMatchObject({
      code: 'response_invalid',
      message: `the bank's answer has a wrong or missing "iss": this bank is not allowed here: it is ${iss}, but "trusted_issuers" has ${issuer}: spell it as the bank does`,
    })
    expect(platform.requests).not.toContain('bankA.token')
  })
})

describe('an issuer that nobody vouched for is never asked', () => {
  const tokensOf = (iss: string): TokenSet => ({
    access_token: 'access',
    token_type: 'bearer',
    refresh_token: 'refresh',
    claims: { iss, sub: 's', aud: 'a', exp: 1, iat: 1 },
  })

  test.each<[string, (client: IDPartner, issuer: string) => Promise<unknown>]>([
    ['refreshToken', (client, issuer) => client.refreshToken(issuer, tokensOf(issuer))],
    ['userInfo', (client, issuer) => client.userInfo(issuer, tokensOf(issuer))],
    ['paymentDetailsInfo', (client, issuer) => client.paymentDetailsInfo(issuer, tokensOf(issuer))],
    ['paymentProcessing', (client, issuer) => client.paymentProcessing(issuer, tokensOf(issuer), {})],
    ['credential', (client, issuer) => client.credential(issuer, tokensOf(issuer), {})],
    ['revokeToken', (client, issuer) => client.revokeToken(issuer, tokensOf(issuer))],
  ])('by %s', async (_name, call) => {
    const app = await start()
    for (const issuer of [app.issuer, 'https://evil.example', 'https://10.0.0.1', '', 'bank']) {
      expect(await refusal(call(app.client, issuer))).toMatchObject({ code: 'provider_refused', status: 403 })
    }
    expect(app.platform.requests).toEqual([])
  })

  test('by claims, which it takes for a wrong answer', async () => {
    const app = await start()
    const response = await app.platform.bankA.answer(
      await app.platform.request(await app.begin()),
      app.platform.person,
    )
    expect(await refusal(app.client.claims(response, app.begun))).toMatchObject({ code: 'response_invalid' })
    expect(app.platform.requests).toEqual(['proxy.discovery'])
  })
})

describe('a token set that is none', () => {
  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['an empty object', {}],
    ['a list', []],
  ])('is refused before anyone is asked: %s', async (_name, value) => {
    const app = await start({ flow: 'direct' })
    const { client, issuer, platform } = app
    const tokens = value as TokenSet
    for (const call of [
      client.userInfo(issuer, tokens),
      client.paymentDetailsInfo(issuer, tokens),
      client.paymentProcessing(issuer, tokens, {}),
      client.credential(issuer, tokens, {}),
      client.refreshToken(issuer, tokens),
      client.revokeToken(issuer, tokens),
    ]) {
      expect(await refusal(call)).toMatchObject({ code: 'config_invalid', status: 500 })
    }
    expect(platform.requests).toEqual([])
  })
})

describe('new tokens', () => {
  test('are fetched with the earlier ones, which may have been stored as JSON', async () => {
    const app = await start()
    const tokens = JSON.parse(JSON.stringify(await app.logIn())) as TokenSet
    const renewed = await app.client.refreshToken(app.issuer, tokens)
    expect(renewed.claims).toMatchObject(app.platform.person)
    expect(renewed.access_token).not.toBe(tokens.access_token)
    expect(renewed.refresh_token).not.toBe(tokens.refresh_token)
    await expect(app.client.refreshToken(app.issuer, renewed)).resolves.toBeDefined()
  })

  test('are fetched with a bare refresh token', async () => {
    const app = await start()
    const { refresh_token = '' } = await app.logIn()
    const renewed = await app.client.refreshToken(app.issuer, refresh_token)
    expect(renewed.claims).toMatchObject(app.platform.person)
  })

  test('keep what the bank does not renew', async () => {
    const app = await start()
    const tokens = await app.logIn({ refreshed: { tokens: without('refresh_token', 'id_token') } })
    const renewed = await app.client.refreshToken(app.issuer, tokens)
    expect(renewed).toMatchObject({ refresh_token: tokens.refresh_token, claims: tokens.claims })
    expect(renewed.access_token).not.toBe(tokens.access_token)
  })

  test('have no claims that are not known', async () => {
    const app = await start()
    const { refresh_token = '' } = await app.logIn({ refreshed: { tokens: without('id_token') } })
    expect(await app.client.refreshToken(app.issuer, refresh_token)).not.toHaveProperty('claims')
  })

  test.each<[string, NonNullable<AnswerBends['refreshed']>]>([
    ['are of another person', { idToken: { claims: appended('sub') } }],
    ['are of another bank', { idToken: { claims: appended('iss') } }],
    ['are for another client', { idToken: { claims: appended('aud') } }],
    ['are not signed by the bank', { idToken: { header: set({ alg: 'none' }) } }],
    ['are not encrypted', { idToken: { unsealed: true } }],
    ['are of another type', { tokens: set({ token_type: 'mac' }) }],
  ])('are refused when they %s', async (_name, refreshed) => {
    const app = await start()
    const tokens = await app.logIn({ refreshed })
    expect(await refusal(app.client.refreshToken(app.issuer, tokens))).toMatchObject({
      code: 'token_invalid',
      status: 502,
    })
  })

  test('of another person pass unseen with a bare refresh token, as its documentation says', async () => {
    const app = await start()
    const { refresh_token = '' } = await app.logIn({ refreshed: { idToken: { claims: appended('sub') } } })
    await expect(app.client.refreshToken(app.issuer, refresh_token)).resolves.toBeDefined()
  })

  test.each<[string, unknown]>([
    ['an access token alone', { access_token: 'access', token_type: 'bearer' }],
    ['an empty text', ''],
  ])('are not fetched with %s', async (_name, tokens) => {
    const app = await start({ flow: 'direct' })
    expect(await refusal(app.client.refreshToken(app.issuer, tokens as TokenSet))).toMatchObject({
      code: 'config_invalid',
      message: 'there is no refresh token; ask for scope "offline_access" with prompt "consent"',
    })
  })

  test('are not fetched twice with the same refresh token', async () => {
    const app = await start()
    const tokens = await app.logIn()
    await app.client.refreshToken(app.issuer, tokens)
    expect(await refusal(app.client.refreshToken(app.issuer, tokens))).toMatchObject({
      code: 'provider_error',
      status: 502,
      providerError: 'invalid_grant',
    })
  })
})

describe('userinfo', () => {
  test('is what the bank says of the person', async () => {
    const app = await start()
    const tokens = JSON.parse(JSON.stringify(await app.logIn())) as TokenSet
    expect(await app.client.userInfo(app.issuer, tokens)).toEqual(app.platform.person)
  })

  test('is refused when it is of another person', async () => {
    const app = await start()
    const tokens = await app.logIn({ userInfo: appended('sub') })
    expect(await refusal(app.client.userInfo(app.issuer, tokens))).toMatchObject({ code: 'token_invalid' })
  })

  test('needs the claims of the login, to be compared with', async () => {
    const app = await start()
    const { claims, ...tokens } = await app.logIn()
    expect(claims).toBeDefined()
    expect(await refusal(app.client.userInfo(app.issuer, tokens))).toMatchObject({
      code: 'config_invalid',
      message: 'the token set has no claims to compare the userinfo with',
    })
    expect(app.platform.requests).not.toContain('bankA.userinfo')
  })
})

describe('payments', () => {
  test('have details', async () => {
    const app = await start()
    expect(await app.client.paymentDetailsInfo(app.issuer, await app.logIn())).toEqual({ account: 'DE00' })
  })

  test('are ordered once, as JSON, whatever happens', async () => {
    const app = await start()
    const tokens = await app.logIn()
    const payment = { amount: '10.00', currency: 'EUR' }
    expect(await app.client.paymentProcessing(app.issuer, tokens, payment)).toEqual({ status: 'accepted' })
    const order = app.platform.wire.requests.find(({ endpoint }) => endpoint === 'bankA.payment')
    expect(JSON.parse(order?.body ?? '')).toEqual(payment)
    app.platform.fault('bankA.payment', answer(503))
    expect(await refusal(app.client.paymentProcessing(app.issuer, tokens, payment))).toMatchObject({
      code: 'provider_unavailable',
      status: 503,
    })
    expect(app.platform.count('bankA.payment')).toBe(2)
  })

  test('cannot be ordered at a bank that offers none', async () => {
    const app = await start()
    app.platform.bankA.metadata = without('payment_processing_endpoint')
    const tokens = await app.logIn()
    expect(await refusal(app.client.paymentProcessing(app.issuer, tokens, {}))).toMatchObject({
      code: 'provider_unavailable',
      message: expect.stringContaining('names no usable payment_processing_endpoint'),
    })
  })
})

describe('a credential', () => {
  test('is fetched where the bank says', async () => {
    const app = await start()
    const tokens = await app.logIn()
    expect(await app.client.credential(app.issuer, tokens, { format: 'jwt_vc_json' })).toEqual({
      credential: 'vc',
    })
    const asked = app.platform.wire.requests.find(({ endpoint }) => endpoint === 'bankA.credential')
    expect(asked).toMatchObject({ method: 'POST', body: '{"format":"jwt_vc_json"}' })
    expect(asked?.headers.authorization).toBe(`Bearer ${tokens.access_token}`)
  })

  test.each<[string, object | null]>([
    [
      'names another issuer',
      { credential_issuer: 'https://other.example', credential_endpoint: 'https://x.example' },
    ],
    ['names no endpoint', {}],
    ['names an endpoint over http', { credential_endpoint: 'http://bank.example/credential' }],
    ['names no URL', { credential_endpoint: 'undefined/credential' }],
    ['is null', null],
    ['is a list', []],
  ])('is not fetched when what the bank says %s', async (_name, metadata) => {
    const app = await start()
    const tokens = await app.logIn()
    app.platform.fault('bankA.credentialIssuer', (res) => {
      send(res, json(metadata))
    })
    expect(await refusal(app.client.credential(app.issuer, tokens, {}))).toMatchObject({
      code: 'provider_unavailable',
      status: 502,
      message: expect.stringContaining(
        `credential issuer metadata of the bank ${new URL(app.issuer).host} is of another issuer or names no`,
      ),
    })
    expect(app.platform.requests).not.toContain('bankA.credential')
  })

  test.each(['https://10.0.0.1/credential', 'https://169.254.169.254/'])(
    'is not fetched in a private network: %s',
    async (credential_endpoint) => {
      const app = await start()
      const tokens = await app.logIn()
      app.platform.fault('bankA.credentialIssuer', answer(200, { credential_endpoint }))
      expect(await refusal(app.client.credential(app.issuer, tokens, {}))).toMatchObject({
        code: 'provider_unavailable',
        message: expect.stringContaining('private address'),
      })
    },
  )
})

describe('a token is revoked', () => {
  const revoked = ({ wire }: Platform): (string | null)[] =>
    wire.requests
      .filter(({ endpoint }) => endpoint === 'bankA.revocation')
      .map(({ body }) => new URLSearchParams(body).get('token'))

  test('the refresh token where there is one, or the access token, or the one that is given', async () => {
    const app = await start()
    const { refresh_token, ...others } = await app.logIn()
    await app.client.revokeToken(app.issuer, {
      ...others,
      ...(refresh_token !== undefined && { refresh_token }),
    })
    await app.client.revokeToken(app.issuer, others)
    await app.client.revokeToken(app.issuer, 'a-token')
    expect(revoked(app.platform)).toEqual([refresh_token, others.access_token, 'a-token'])
  })

  test('or the failure is that of the bank', async () => {
    const app = await start()
    const tokens = await app.logIn()
    app.platform.fault('bankA.revocation', answer(503))
    expect(await refusal(app.client.revokeToken(app.issuer, tokens))).toMatchObject({
      code: 'provider_unavailable',
      status: 503,
    })
  })
})

describe('the application is asked whether an issuer is trusted', () => {
  const asked = jest.fn<(issuer: string) => boolean>(() => true)

  beforeEach(() => {
    asked.mockClear()
  })

  test('once by each call that names or brings one', async () => {
    const app = await start({ flow: 'direct' }, { trusted_issuers: asked })
    const response = await app.response()
    expect(asked.mock.calls).toEqual([[app.issuer]])
    const tokens = await app.client.token(response, app.begun)
    expect(asked).toHaveBeenCalledTimes(2)
    await app.client.userInfo(app.issuer, tokens)
    expect(asked).toHaveBeenCalledTimes(3)
  })

  test('once by the document and once by the answer inside, which the application hands over by itself', async () => {
    const app = await start({}, { trusted_issuers: asked })
    const response = await app.answered()
    expect(asked.mock.calls).toEqual([[app.issuer]])
    await app.client.claims(response, app.begun)
    expect(asked).toHaveBeenCalledTimes(2)
  })
})

describe('a failure names the party it was at', () => {
  const called = (app: App): Record<string, () => Promise<unknown>> => ({
    'proxy.discovery': () => app.begin(),
    'directory.jwks': async () => app.client.unpackProxyResponse({ response: await app.response() }),
    'bankA.discovery': () => app.logIn(),
    'bankA.jwks': () => app.logIn(),
    'bankA.token': () => app.logIn(),
  })

  test.each([
    ['proxy.discovery', () => "the discovery document of IDPartner's proxy"],
    ['directory.jwks', () => "the keys of IDPartner's trust directory"],
    ['bankA.discovery', (bank: string) => `the discovery document of the bank ${bank}`],
    ['bankA.jwks', (bank: string) => `the keys of the bank ${bank}`],
    ['bankA.token', (bank: string) => `the token endpoint of the bank ${bank}`],
  ])('%s', async (endpoint, what) => {
    const app = await start()
    app.platform.fault(endpoint, answer(503))
    const err = await refusal(called(app)[endpoint]?.() ?? Promise.resolve())
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 503 })
    expect(err.message).toBe(`${what(new URL(app.issuer).host)} answered with HTTP 503`)
  })
})

describe('a call can be given up', () => {
  test.each<[string, string, (app: App, tokens: TokenSet, signal: AbortSignal) => Promise<unknown>]>([
    ['refreshToken', 'token', ({ client, issuer }, t, signal) => client.refreshToken(issuer, t, { signal })],
    ['userInfo', 'userinfo', ({ client, issuer }, t, signal) => client.userInfo(issuer, t, { signal })],
    [
      'paymentDetailsInfo',
      'paymentDetails',
      ({ client, issuer }, t, signal) => client.paymentDetailsInfo(issuer, t, { signal }),
    ],
    [
      'paymentProcessing',
      'payment',
      ({ client, issuer }, t, signal) => client.paymentProcessing(issuer, t, {}, { signal }),
    ],
    [
      'credential',
      'credentialIssuer',
      ({ client, issuer }, t, signal) => client.credential(issuer, t, {}, { signal }),
    ],
    [
      'revokeToken',
      'revocation',
      ({ client, issuer }, t, signal) => client.revokeToken(issuer, t, { signal }),
    ],
  ])('%s, before it begins or while it waits', async (_name, endpoint, call) => {
    const app = await start({}, { timeout: 60_000 })
    const tokens = await app.logIn()
    const givenUp = { code: 'provider_unavailable', status: 504 }
    const before = app.platform.requests.length
    expect(await refusal(call(app, tokens, AbortSignal.abort()))).toMatchObject(givenUp)
    expect(app.platform.requests).toHaveLength(before)
    const controller = new AbortController()
    app.platform.fault(`bankA.${endpoint}`, () => {
      controller.abort()
    })
    expect(await refusal(call(app, tokens, controller.signal))).toMatchObject(givenUp)
  })

  test('getAuthorizationUrl', async () => {
    const { client, issuer, platform } = await start({ flow: 'direct' }, { timeout: 60_000 })
    const signal = AbortSignal.timeout(50)
    platform.fault('bankA.par', hang)
    const calling = client.getAuthorizationUrl(
      { iss: issuer },
      client.generateProofs(),
      SCOPE,
      {},
      { signal },
    )
    expect(await refusal(calling)).toMatchObject({ code: 'provider_unavailable', status: 504 })
  })
})

describe('a call can be given up while it waits for what others publish', () => {
  const givenUp = { code: 'provider_unavailable', status: 504 }

  /** Whoever asks there gives up. */
  function giveUpAt(app: App, endpoint: string): AbortSignal {
    const controller = new AbortController()
    app.platform.fault(endpoint, () => {
      controller.abort()
    })
    return controller.signal
  }

  test.each([
    { flow: 'proxy', endpoint: 'proxy.discovery' },
    { flow: 'direct', endpoint: 'bankA.discovery' },
  ] as const)('getAuthorizationUrl: $endpoint', async ({ flow, endpoint }) => {
    const app = await start({ flow }, { timeout: 60_000 })
    const { client, issuer } = app
    const signal = giveUpAt(app, endpoint)
    const query = flow === 'direct' ? { iss: issuer } : {}
    const calling = client.getAuthorizationUrl(query, client.generateProofs(), SCOPE, {}, { signal })
    expect(await refusal(calling)).toMatchObject(givenUp)
  })

  test.each(['bankA.discovery', 'bankA.jwks'])('claims: %s', async (endpoint) => {
    const app = await start({}, { timeout: 60_000 })
    const response = await app.answered()
    const signal = giveUpAt(app, endpoint)
    expect(await refusal(app.client.claims(response, app.begun, undefined, { signal }))).toMatchObject(
      givenUp,
    )
    expect(app.platform.requests).not.toContain('bankA.token')
  })

  test('and while the application decides about a bank', async () => {
    const controller = new AbortController()
    const trusted_issuers = (): Promise<boolean> => {
      controller.abort()
      return new Promise(() => undefined)
    }
    const { client, issuer } = await start({ flow: 'direct' }, { trusted_issuers })
    const calling = client.getAuthorizationUrl(
      { iss: issuer },
      client.generateProofs(),
      SCOPE,
      {},
      { signal: controller.signal },
    )
    expect(await refusal(calling)).toMatchObject(givenUp)
  })
})

function parts(jws: string): { payload: Record<string, unknown> } {
  const [, payload = ''] = jws.split('.')
  return { payload: JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown> }
}

describe('tokens of one bank', () => {
  const calls: [string, (client: IDPartner, issuer: string, tokens: TokenSet) => Promise<unknown>][] = [
    ['refreshToken', (client, issuer, tokens) => client.refreshToken(issuer, tokens)],
    ['userInfo', (client, issuer, tokens) => client.userInfo(issuer, tokens)],
    ['paymentDetailsInfo', (client, issuer, tokens) => client.paymentDetailsInfo(issuer, tokens)],
    ['paymentProcessing', (client, issuer, tokens) => client.paymentProcessing(issuer, tokens, {})],
    ['credential', (client, issuer, tokens) => client.credential(issuer, tokens, {})],
    ['revokeToken', (client, issuer, tokens) => client.revokeToken(issuer, tokens)],
  ]

  test.each(calls)('never go to another, though that is trusted as well: %s', async (_name, call) => {
    const app = await start({ flow: 'direct' })
    const tokens = await app.logIn()
    const before = app.platform.requests
    for (const issuer of [app.platform.bankB.issuer, `${app.issuer}/`, '', 'https://evil.example']) {
      expect(await refusal(call(app.client, issuer, tokens))).toMatchObject({
        code: 'config_invalid',
        message: expect.stringContaining('tokens are of another bank'),
      })
    }
    expect(app.platform.requests).toEqual(before)
  })

  test.each(calls.filter(([name]) => name !== 'userInfo'))(
    'never go to another without claims either, by their voucher: %s',
    async (_name, call) => {
      const app = await start()
      const { access_token, token_type, refresh_token, voucher } = await app.logIn()
      const bare = { access_token, token_type, refresh_token, voucher } as TokenSet
      const { issuer: bankB } = app.platform.bankB
      const listed = await elsewhere(app, { trusted_issuers: [app.issuer, bankB] })
      const before = app.platform.requests
      for (const client of [app.client, await elsewhere(app), listed]) {
        expect(await refusal(call(client, bankB, bare))).toMatchObject({
          code: 'config_invalid',
          message: expect.stringContaining(`${app.issuer} and not ${bankB}`),
        })
      }
      expect(app.platform.requests).toEqual(before)
      await call(listed, app.issuer, bare)
    },
  )

  /** The same application in another process, which knows no more than what it is handed. */
  const elsewhere = async (app: App, config: Partial<IDPartnerConfig> = {}): Promise<IDPartner> =>
    new IDPartner({ ...(await app.platform.config()), timeout: 20_000, ...config })

  test.each(calls)('serve in any process of the application: %s', async (_name, call) => {
    const app = await start()
    const tokens = JSON.parse(JSON.stringify(await app.logIn())) as TokenSet
    await call(await elsewhere(app), app.issuer, tokens)
  })

  test('that were refreshed serve in a third process', async () => {
    const app = await start()
    const renewed = await (await elsewhere(app)).refreshToken(app.issuer, await app.logIn())
    expect(await (await elsewhere(app)).userInfo(app.issuer, renewed)).toEqual(app.platform.person)
  })

  test.each<[string, (tokens: TokenSet, app: App) => TokenSet | Promise<TokenSet>]>([
    ['no voucher', (tokens) => without('voucher')({ ...tokens }) as unknown as TokenSet],
    ['a voucher that is none', (tokens) => ({ ...tokens, voucher: 'x' })],
    [
      'the voucher for another bank',
      async (tokens, app) => {
        const answer = await app.platform.answer(
          await app.platform.request(await app.begin()),
          {},
          { bank: 'bankB' },
        )
        const { idp_response_code } = await app.client.unpackProxyResponse({ response: answer })
        const { voucher } = await app.client.token(idp_response_code, app.begun)
        return { ...tokens, ...(voucher !== undefined && { voucher }) }
      },
    ],
    // Whoever names a bank of their own signs its ID tokens, too.
    ['its ID token for a voucher', (tokens) => ({ ...tokens, voucher: tokens.id_token ?? '' })],
  ])('serve nowhere else with %s', async (_name, change) => {
    const app = await start()
    const tokens = await change(await app.logIn(), app)
    const client = await elsewhere(app)
    const before = app.platform.requests
    for (const [, call] of calls) {
      expect(await refusal(call(client, app.issuer, tokens))).toMatchObject({
        code: 'provider_refused',
        status: 403,
        message: expect.stringContaining('pass the whole token set'),
      })
    }
    expect(app.platform.requests).toEqual(before)
  })

  test('are refused elsewhere as a bare token, which shows nothing', async () => {
    const app = await start()
    const { refresh_token = '' } = await app.logIn()
    const client = await elsewhere(app)
    for (const call of [
      client.refreshToken(app.issuer, refresh_token),
      client.revokeToken(app.issuer, refresh_token),
    ]) {
      expect(await refusal(call)).toMatchObject({
        code: 'provider_refused',
        message: expect.stringContaining('pass the whole token set'),
      })
    }
  })

  test('need no voucher where the banks are listed, and a voucher does not add to the list', async () => {
    const app = await start()
    const tokens = await app.logIn()
    const listed = await elsewhere(app, { trusted_issuers: [app.issuer] })
    const renewed = await listed.refreshToken(app.issuer, tokens)
    expect(renewed).not.toHaveProperty('voucher')
    const others = await elsewhere(app, { trusted_issuers: ['https://other.example'] })
    expect(await refusal(others.userInfo(app.issuer, tokens))).toMatchObject({ code: 'provider_refused' })
  })

  test('cannot be anything that forges a header or a log line', async () => {
    const app = await start({ flow: 'direct' })
    const tokens = await app.logIn()
    const before = app.platform.requests
    const forged = 'secret-of-somebody\r\n2026 ERROR forged'
    for (const call of [
      app.client.userInfo(app.issuer, { ...tokens, access_token: forged }),
      app.client.refreshToken(app.issuer, { ...tokens, refresh_token: forged }),
      app.client.refreshToken(app.issuer, forged),
      app.client.revokeToken(app.issuer, forged),
    ]) {
      const err = await refusal(call)
      expect(err).toMatchObject({ code: 'config_invalid' })
      expect(inspect(err, { depth: Infinity })).not.toMatch(/secret-of|forged/)
    }
    expect(app.platform.requests).toEqual(before)
  })
})

describe('how a person logged in is checked without the strategy as well', () => {
  const now = (): number => Math.floor(Date.now() / 1000)
  const shown = (claims: object): AnswerBends => ({ idToken: { claims: set({ ...claims }) } })

  /** A whole login, whose proofs were stored in between. */
  const finish = async (
    app: App,
    asked: { proofs?: Parameters<IDPartner['generateProofs']>[0]; extra?: AuthorizationParams },
    bends: AnswerBends,
  ): Promise<TokenSet> => {
    const { client, platform } = app
    const proofs = client.generateProofs(asked.proofs)
    const query = platform.flow === 'direct' ? { iss: app.issuer } : {}
    const url = await client.getAuthorizationUrl(query, proofs, SCOPE, asked.extra)
    const kept = JSON.parse(JSON.stringify(proofs)) as Proofs
    const response = await platform.answer(await platform.request(url), bends)
    const sealed =
      platform.flow === 'direct'
        ? response
        : (await client.unpackProxyResponse({ response })).idp_response_code
    return client.token(sealed, kept)
  }

  const acr = { claims: { id_token: { acr: { essential: true, values: ['gold', 'silver'] } } } }

  const rows: [string, Parameters<typeof finish>[1], object, object][] = [
    ['max_age of the call', { extra: { max_age: 60 } }, { auth_time: -30 }, { auth_time: -600 }],
    ['max_age of the proofs', { proofs: { max_age: 60 } }, { auth_time: -30 }, { auth_time: -600 }],
    ['max_age 0', { extra: { max_age: 0 } }, { auth_time: 0 }, { auth_time: -600 }],
    ['max_age, not shown', { extra: { max_age: 60 } }, { auth_time: 0 }, {}],
    ['acr_values of the call', { extra: { acr_values: 'gold silver' } }, { acr: 'silver' }, { acr: 'tin' }],
    ['acr_values of the proofs', { proofs: { acr_values: 'gold' } }, { acr: 'gold' }, { acr: 'silver' }],
    ['an essential acr', { extra: acr }, { acr: 'gold' }, {}],
    ['both', { extra: { ...acr, acr_values: 'silver tin' } }, { acr: 'silver' }, { acr: 'tin' }],
  ]

  test.each(rows.flatMap(([name, ...row]) => flows.map(({ flow }) => [name, flow, ...row] as const)))(
    '%s (%s flow)',
    async (_name, flow, asked, good, bad) => {
      const app = await start({ flow })
      const at = ({ auth_time, ...claims }: { auth_time?: number }): AnswerBends =>
        shown({ ...claims, ...(auth_time !== undefined && { auth_time: now() + auth_time }) })
      expect((await finish(app, asked, at(good))).claims).toMatchObject(app.platform.person)
      expect(await refusal(finish(app, asked, at(bad)))).toMatchObject({ code: 'token_invalid' })
    },
  )

  test('and is asked for at the bank', async () => {
    const app = await start()
    const proofs = app.client.generateProofs({ max_age: 60, acr_values: 'gold' })
    const url = await app.client.getAuthorizationUrl({}, proofs, SCOPE)
    const { payload } = parts(new URL(url).searchParams.get('request') ?? '')
    expect(payload).toMatchObject({ max_age: expect.anything(), acr_values: 'gold' })
    expect(Number(payload['max_age'])).toBe(60)
  })

  test('but nothing is noted where nothing is asked for', async () => {
    const app = await start()
    await app.begin()
    expect(Object.keys(app.begun)).toEqual(['state', 'nonce', 'codeVerifier'])
  })

  test('and refused where it cannot be noted', async () => {
    const { client } = await start()
    const frozen = Object.freeze(client.generateProofs())
    const err = await refusal(client.getAuthorizationUrl({}, frozen, SCOPE, { max_age: 1 }))
    expect(err).toMatchObject({ code: 'config_invalid', message: expect.stringContaining('frozen') })
    await expect(client.getAuthorizationUrl({}, frozen, SCOPE)).resolves.toBeDefined()
  })
})

describe('a login that cannot begin says which it is', () => {
  test.each([
    ['bankA.par', answer(400, { error: 'invalid_request' }), 'provider_error'],
    ['bankA.par', answer(503), 'provider_unavailable'],
    ['bankA.discovery', answer(503), 'provider_unavailable'],
  ] as const)('at %s', async (endpoint, fault, code) => {
    const app = await start({ flow: 'direct' })
    app.platform.fault(endpoint, fault)
    const id = { 'x-fapi-interaction-id': 'an-id-of-the-application' }
    expect(await refusal(app.begin({}, id))).toMatchObject({
      code,
      interactionId: 'an-id-of-the-application',
    })
    const { interactionId } = await refusal(app.begin())
    expect(interactionId).toMatch(/^[\da-f-]{36}$/)
    const pushed = app.platform.wire.requests.filter((one) => one.endpoint === 'bankA.par').at(-1)
    const request = new URLSearchParams(pushed?.body).get('request')
    if (request !== null) expect(parts(request).payload['x-fapi-interaction-id']).toBe(interactionId)
  })

  test('at the proxy', async () => {
    const app = await start()
    app.platform.fault('proxy.discovery', answer(503))
    expect((await refusal(app.begin())).interactionId).toMatch(/^[\da-f-]{36}$/)
  })
})
