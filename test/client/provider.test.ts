import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { ServerOptions } from 'node:https'
import { EmbeddedJWK, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { newDpopKey, readDpopKey, type DpopKey } from '../../lib/jwt/dpop-key.js'
import { DpopNonces } from '../../lib/client/dpop.js'
import type { IDPartnerConfig } from '../../lib/client/config.js'
import { resolveConfig } from '../../lib/client/resolve-config.js'
import type { ErrorResponse, IDPartnerError } from '../../lib/errors.js'
import { Http } from '../../lib/net/http.js'
import { importKeys } from '../../lib/jwt/keys.js'
import { Provider } from '../../lib/client/provider.js'
import { remoteKeys } from '../../lib/jwt/remote-keys.js'
import { encryptionKid, mint } from '../support/bends.js'
import { tlsCertificates } from '../support/certificates.js'
import { answer, empty, hang, html, json, reset, send, type Fault, type Reply } from '../support/faults.js'
import { clientJwks, publicJwk, rsaKey } from '../support/key-pairs.js'
import {
  Wire,
  startServer,
  type Handler,
  type Running,
  type SeenRequest,
} from '../support/loopback-server.js'
import { refusal } from '../support/settle.js'

const LOGIN = { codeVerifier: 'verifier', nonce: 'nonce' }

const CALLBACK = 'https://app.example/callback?tenant=a%20b'

let wire: Wire
let servers: Running[]
let replies: Record<string, Reply>

beforeEach(() => {
  wire = new Wire()
  servers = []
  replies = {
    par: json({ request_uri: 'urn:request', expires_in: 60 }, 201),
    token: json({}),
    userinfo: json({ sub: 'person', email: 'p@example.com' }),
    payment: json({ status: 'accepted' }),
    'payment-details': json({ iban: 'DE00' }),
    revocation: json({}),
    credential: json({ credential: 'vc' }),
  }
})

afterEach(() => Promise.all(servers.map((server) => server.close())))

/** A bank whose endpoints answer what `replies` says. */
async function startBank(party = 'bank', tls?: ServerOptions): Promise<string> {
  const key = publicJwk(await rsaKey('bank'))
  const routes: Record<string, Handler> = { 'jwks /jwks': () => json({ keys: [key] }) }
  for (const name of Object.keys(replies)) routes[`${name} /${name}`] = () => replies[name] ?? json({}, 404)
  const server = await startServer(party, routes, wire, tls && { tls })
  servers.push(server)
  return server.origin
}

const endpoints = (origin: string): Record<string, string> => ({
  authorization_endpoint: `${origin}/auth`,
  jwks_uri: `${origin}/jwks`,
  pushed_authorization_request_endpoint: `${origin}/par`,
  token_endpoint: `${origin}/token`,
  userinfo_endpoint: `${origin}/userinfo`,
  payment_processing_endpoint: `${origin}/payment`,
  payment_details_info_endpoint: `${origin}/payment-details`,
  revocation_endpoint: `${origin}/revocation`,
})

const INTERACTION = '5f9c1e0a-3b7d-4c2e-9a41-7d0c8e6b2f13'

interface Setup {
  config?: Partial<IDPartnerConfig>
  metadata?: Record<string, unknown>
  signal?: AbortSignal
  dpop?: DpopKey
}

async function startProvider({ config: options, metadata, signal, dpop }: Setup = {}): Promise<Provider> {
  const origin = await startBank()
  const config = resolveConfig({
    client_id: 'app',
    callback: CALLBACK,
    jwks: await clientJwks(),
    timeout: 20_000,
    ...options,
  })
  const http = new Http(config)
  return new Provider({
    config,
    http,
    keys: await importKeys(config.keys),
    issuerKeys: remoteKeys(http, 'the keys of the bank', `${origin}/jwks`, { issuer: origin }),
    metadata: { issuer: origin, ...endpoints(origin), ...metadata },
    interactionId: INTERACTION,
    nonces: new DpopNonces(),
    dpop,
    signal,
  })
}

/** For what never answers. */
const impatient: Setup = { config: { timeout: 100 } }

const withSecret: Partial<IDPartnerConfig> = {
  flow: 'direct',
  trusted_issuers: () => true,
  token_endpoint_auth_method: 'client_secret_basic',
  client_secret: 'a secret: with 100% &c',
}

const withoutKeys: Partial<IDPartnerConfig> = { ...withSecret, jwks: undefined }

/** The claims of an ID token as the bank under test makes it; its issuer is known only when the bank is. */
async function idToken(claims: Record<string, unknown> = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  return mint({
    claims: {
      iss: servers[0]?.origin,
      sub: 'person',
      aud: 'app',
      iat: now,
      exp: now + 60,
      nonce: 'nonce',
      ...claims,
    },
    key: await rsaKey('bank'),
    seal: { alg: 'RSA-OAEP', enc: 'A256CBC-HS512', kid: await encryptionKid() },
  })
}

const issueTokens = async (members: Record<string, unknown> = {}): Promise<void> => {
  const tokens = { access_token: 'access', token_type: 'Bearer', id_token: await idToken(), ...members }
  replies['token'] = json(tokens)
}

const sent = (endpoint: string): SeenRequest => {
  const found = wire.requests.find((request) => request.endpoint === endpoint)
  if (!found) throw new Error(`nothing was sent to ${endpoint}`)
  return found
}

const seen = (): string[] => wire.requests.map(({ endpoint }) => endpoint)

describe('the code is exchanged', () => {
  test('for the tokens, and the claims of the ID token', async () => {
    const provider = await startProvider()
    await issueTokens({ expires_in: 900, scope: 'openid', refresh_token: 'refresh' })
    const tokens = await provider.exchange('code', LOGIN)
    expect(tokens).toMatchObject({
      access_token: 'access',
      token_type: 'bearer',
      expires_in: 900,
      refresh_token: 'refresh',
      claims: { iss: provider.issuer, sub: 'person' },
    })
    expect(decodeJwt(tokens.id_token ?? '')).toEqual(tokens.claims)
  })

  test('with the callback as it is configured, byte for byte', async () => {
    const provider = await startProvider()
    await issueTokens()
    await provider.exchange('code', LOGIN)
    const form = new URLSearchParams(sent('bank.token').body)
    expect(Object.fromEntries(form)).toMatchObject({
      grant_type: 'authorization_code',
      code: 'code',
      redirect_uri: CALLBACK,
      code_verifier: 'verifier',
    })
  })

  test('and has to bring an ID token', async () => {
    const provider = await startProvider()
    await issueTokens({ id_token: undefined })
    expect(await refusal(provider.exchange('code', LOGIN))).toMatchObject({
      code: 'token_invalid',
      status: 502,
      message: `the bank ${new URL(provider.issuer).host} issued no ID token`,
    })
  })

  test.each([
    ['of another login', { nonce: 'another' }, 502],
    ['of an older visit to the bank', { auth_time: 1 }, 401],
    ['of another access token', { at_hash: 'another' }, 502],
  ])('and is refused with an ID token %s', async (_name, claims, status) => {
    const provider = await startProvider()
    await issueTokens({ id_token: await idToken(claims) })
    expect(await refusal(provider.exchange('code', { ...LOGIN, max_age: 60 }))).toMatchObject({
      code: 'token_invalid',
      status,
    })
  })

  test('once, whatever happens', async () => {
    for (const fault of [reset, answer(500), answer(503), html, empty, hang]) {
      const provider = await startProvider(fault === hang ? impatient : {})
      wire.plan('bank.token', fault, Infinity)
      const before = wire.requests.length
      expect(await refusal(provider.exchange('code', LOGIN))).toMatchObject({
        code: 'provider_unavailable',
      })
      expect(wire.requests).toHaveLength(before + 1)
    }
  })
})

type Ask = (provider: Provider) => Promise<unknown>
const ASKED: Record<string, [string, Ask]> = {
  'a pushed request': ['par', (provider) => provider.pushedAuthorizationUrl({ scope: 'openid' })],
  userinfo: ['userinfo', (provider) => provider.userInfo('access', 'person')],
  'a code': ['token', (provider) => provider.exchange('code', LOGIN)],
  'a refresh': ['token', (provider) => provider.refresh('refresh')],
  'a revocation': ['revocation', (provider) => provider.revoke('access')],
  'payment details': ['payment-details', (p) => p.resource('payment_details_info_endpoint', 'access')],
  'a payment': ['payment', (p) => p.resource('payment_processing_endpoint', 'access', {})],
  'a call to an API': [
    'payment',
    (p) => p.request(p.checkRequest(`${p.issuer}/payment`, { method: 'POST' }), 'access'),
  ],
}

describe('what could be done twice is asked for once, whatever happens', () => {
  const once: [string, string, Ask][] = ['a refresh', 'a revocation', 'a pushed request', 'userinfo'].map(
    (name) => [name, ...(ASKED[name] as [string, Ask])],
  )

  test.each(once)('%s', async (_name, endpoint, call) => {
    const nonce = answer(401, { error: 'use_dpop_nonce' })
    for (const fault of [reset, answer(429), answer(501), html, nonce, hang]) {
      const provider = await startProvider(fault === hang ? impatient : {})
      wire.plan(`bank.${endpoint}`, fault, Infinity)
      const before = wire.requests.length
      await call(provider).catch(() => undefined)
      expect(wire.requests).toHaveLength(before + 1)
    }
  })
})

describe('after a failure of the server', () => {
  const asksAgain = ['a pushed request', 'userinfo']
  const STATUSES = [500, 502, 503, 504]
  const rows = Object.entries(ASKED).flatMap(([name, [endpoint, call]]) =>
    STATUSES.map((status) => [name, status, asksAgain.includes(name) ? 2 : 1, endpoint, call] as const),
  )

  test.each(rows)('%s is sent with %d so many times: %d', async (_name, status, times, endpoint, call) => {
    const provider = await startProvider()
    wire.plan(`bank.${endpoint}`, answer(status, { error: 'server_error' }), Infinity)
    await call(provider).catch(() => undefined)
    expect(seen().filter((one) => one === `bank.${endpoint}`)).toHaveLength(times)
  })

  test.each(asksAgain)('%s may come at the second try', async (name) => {
    const [endpoint, call] = ASKED[name] as [string, Ask]
    const provider = await startProvider()
    wire.plan(`bank.${endpoint}`, answer(503), 1)
    await expect(call(provider)).resolves.toBeDefined()
  })

  test('a pushed request is signed anew, and so is the client assertion', async () => {
    const provider = await startProvider()
    wire.plan('bank.par', answer(500), 1)
    await provider.pushedAuthorizationUrl({ scope: 'openid' })
    const forms = wire.requests.map(({ body }) => new URLSearchParams(body))
    for (const name of ['request', 'client_assertion']) {
      const jtis = forms.map((form) => decodeJwt(form.get(name) ?? '').jti)
      expect(new Set(jtis).size).toBe(2)
    }
  })

  test('nothing is sent again that the caller has ended', async () => {
    const ending = new AbortController()
    const provider = await startProvider({ signal: ending.signal })
    wire.plan(
      'bank.userinfo',
      (res) => {
        ending.abort()
        res.writeHead(503).end()
      },
      Infinity,
    )
    await refusal(provider.userInfo('access', 'person'))
    expect(seen()).toEqual(['bank.userinfo'])
  })
})

describe('the application authenticates', () => {
  test('with an assertion of its own for each request', async () => {
    const provider = await startProvider()
    await issueTokens()
    await Promise.all([
      provider.exchange('code', LOGIN),
      provider.pushedAuthorizationUrl({ scope: 'openid' }),
    ])
    const { keys } = await clientJwks()
    const jtis = ['bank.token', 'bank.par'].map((endpoint) => {
      const { body, headers } = sent(endpoint)
      const form = new URLSearchParams(body)
      const assertion = form.get('client_assertion') ?? ''
      expect(form.get('client_assertion_type')).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
      expect(form.has('client_secret')).toBe(false)
      expect(headers.authorization).toBeUndefined()
      expect(decodeProtectedHeader(assertion)).toEqual({
        alg: 'PS256',
        typ: 'JWT',
        kid: keys[0]?.kid,
      })
      const { iat, exp, jti, ...claims } = decodeJwt(assertion)
      expect(claims).toMatchObject({ iss: 'app', sub: 'app', aud: provider.issuer })
      expect((exp ?? 0) - (iat ?? 0)).toBeLessThanOrEqual(120)
      expect(iat).toBeLessThanOrEqual(Date.now() / 1000 - 29)
      return jti
    })
    expect(new Set(jtis).size).toBe(2)
  })

  test('with a secret in the header, encoded, and nothing else', async () => {
    const provider = await startProvider({ config: withSecret })
    await issueTokens()
    await provider.exchange('code', LOGIN)
    const { headers, body } = sent('bank.token')
    const [scheme, credentials = ''] = headers.authorization?.split(' ') ?? []
    const [id, secret = ''] = Buffer.from(credentials, 'base64').toString().split(':')
    expect(scheme).toBe('Basic')
    expect(id).toBe('app')
    expect(new URLSearchParams(`x=${secret}`).get('x')).toBe('a secret: with 100% &c')
    const form = new URLSearchParams(body)
    expect([form.has('client_secret'), form.has('client_assertion')]).toEqual([false, false])
  })

  test('with a certificate, at the endpoints that ask for one', async () => {
    const pem = await tlsCertificates()
    const mutual = await startBank('mtls', {
      ...pem.server,
      ca: pem.client.cert,
      requestCert: true,
      rejectUnauthorized: true,
    })
    const provider = await startProvider({
      config: {
        token_endpoint_auth_method: 'tls_client_auth',
        tls_client_cert: pem.client.cert,
        tls_client_key: pem.client.key,
        tls_server_ca: pem.server.cert,
      },
      metadata: { mtls_endpoint_aliases: endpoints(mutual) },
    })
    servers.reverse()
    await issueTokens()
    await provider.exchange('code', LOGIN)
    await provider.pushedAuthorizationUrl({ scope: 'openid' })
    await provider.userInfo('access', 'person')
    await provider.resource('payment_processing_endpoint', 'access', {})
    await provider.resource('payment_details_info_endpoint', 'access')
    await provider.revoke('access')
    const toEndpoints = seen().filter((endpoint) => endpoint !== 'bank.jwks')
    expect(toEndpoints).toEqual([
      'mtls.token',
      'mtls.par',
      'mtls.userinfo',
      'mtls.payment',
      'mtls.payment-details',
      'mtls.revocation',
    ])
    const form = new URLSearchParams(sent('mtls.token').body)
    expect([form.get('client_id'), form.has('client_assertion')]).toEqual(['app', false])
  })
})

type Call = (provider: Provider) => Promise<unknown>

const calls: [string, Call][] = [
  ['token_endpoint', (provider) => provider.exchange('code', LOGIN)],
  ['token_endpoint', (provider) => provider.refresh('refresh')],
  [
    'pushed_authorization_request_endpoint',
    (provider) => provider.pushedAuthorizationUrl({ scope: 'openid' }),
  ],
  ['userinfo_endpoint', (provider) => provider.userInfo('access', 'person')],
  ['revocation_endpoint', (provider) => provider.revoke('access')],
  [
    'payment_processing_endpoint',
    (provider) => provider.resource('payment_processing_endpoint', 'access', {}),
  ],
  [
    'payment_details_info_endpoint',
    (provider) => provider.resource('payment_details_info_endpoint', 'access'),
  ],
]

describe.each(calls)('nothing is sent when the %s', (name, call) => {
  const expectNothing = async (
    setup: Setup,
    expected: Partial<IDPartnerError>,
    message: RegExp,
  ): Promise<void> => {
    const err = await refusal(call(await startProvider(setup)))
    expect(err).toMatchObject(expected)
    expect(err.message).toMatch(message)
    expect(wire.requests).toEqual([])
  }

  test.each([
    ['is missing', undefined],
    ['is no URL', 'undefined/token'],
    ['is http', 'http://bank.example/endpoint'],
    ['has credentials', 'https://user:password@bank.example/endpoint'],
    ['is a list', ['https://bank.example/endpoint']],
    ['is null', null],
  ])('%s', async (_name, value) => {
    const expected = { code: 'provider_unavailable', status: 502 } as const
    await expectNothing({ metadata: { [name]: value } }, expected, new RegExp(`names no usable ${name}$`))
  })

  test.each([
    ['is in a private network', 'https://10.0.0.1/endpoint'],
    ['is at the cloud metadata', 'https://169.254.169.254/endpoint'],
  ])('%s', async (_name, value) => {
    const expected = { code: 'provider_unavailable', status: 502 } as const
    await expectNothing({ metadata: { [name]: value } }, expected, /has a private address/)
  })

  test.each([
    ['has no alias', {}],
    ['has no aliases at all', undefined],
    ['has null for aliases', null],
    ['has an alias that is no URL', { [name]: 'undefined/token' }],
    ['has an alias over http, even on loopback', { [name]: 'http://localhost:1/token' }],
  ])('%s, and the application has a certificate', async (_name, aliases) => {
    const pem = await tlsCertificates()
    const config = { tls_client_cert: pem.client.cert, tls_client_key: pem.client.key }
    await expectNothing(
      { config, metadata: { mtls_endpoint_aliases: aliases } },
      { code: 'config_invalid', status: 500 },
      new RegExp(`neither mtls_endpoint_aliases\\.${name} nor ${name} is an https: URL$`),
    )
  })
})

describe('the browser is sent', () => {
  test('to the page of the provider, with the signed request', async () => {
    const provider = await startProvider()
    const url = await provider.signedAuthorizationUrl({ scope: 'openid' })
    expect(url.href).toMatch(`${provider.issuer}/auth?`)
    expect(decodeJwt(url.searchParams.get('request') ?? '')).toMatchObject({
      aud: provider.issuer,
      client_id: 'app',
      scope: 'openid',
    })
  })

  test('with a request that holds for five minutes, also where the clock is a little behind', async () => {
    const provider = await startProvider()
    const url = await provider.signedAuthorizationUrl({ scope: 'openid' })
    const { iat = NaN, nbf = NaN, exp = NaN } = decodeJwt(url.searchParams.get('request') ?? '')
    expect(iat).toBeLessThanOrEqual(Date.now() / 1000 - 29)
    expect({ nbf: nbf - iat, exp: exp - iat }).toEqual({ nbf: 0, exp: 300 })
  })

  test('with a reference to the request that was pushed, signed where there is a key', async () => {
    const provider = await startProvider()
    const url = await provider.pushedAuthorizationUrl({ scope: 'openid', state: 's' })
    expect(Object.fromEntries(url.searchParams)).toEqual({ client_id: 'app', request_uri: 'urn:request' })
    const form = new URLSearchParams(sent('bank.par').body)
    expect(form.has('scope')).toBe(false)
    expect(decodeJwt(form.get('request') ?? '')).toMatchObject({ scope: 'openid', state: 's' })
  })

  test('with a reference to plain parameters, where there is none', async () => {
    const provider = await startProvider({ config: withoutKeys })
    await provider.pushedAuthorizationUrl({ scope: 'openid', state: 's' })
    const form = new URLSearchParams(sent('bank.par').body)
    expect(Object.fromEntries(form)).toMatchObject({ scope: 'openid', state: 's', client_id: 'app' })
    expect(form.has('request')).toBe(false)
  })

  test.each<[string, unknown]>([
    ['is missing', undefined],
    ['is script', 'javascript:alert(1)'],
    ['is data', 'data:text/html,hello'],
    ['is http', 'http://bank.example/auth'],
    ['has credentials', 'https://user@bank.example/auth'],
  ])('nowhere when the page %s', async (_name, authorization_endpoint) => {
    for (const send of [
      (provider: Provider) => provider.signedAuthorizationUrl({ scope: 'openid' }),
      (provider: Provider) => provider.pushedAuthorizationUrl({ scope: 'openid' }),
    ]) {
      const err = await refusal(send(await startProvider({ metadata: { authorization_endpoint } })))
      expect(err).toMatchObject({ code: 'provider_unavailable', status: 502 })
      expect(err.message).toMatch(/names no usable authorization_endpoint$/)
    }
    // Without keys nothing is signed before it is pushed.
    const keyless = await startProvider({ config: withoutKeys, metadata: { authorization_endpoint } })
    expect(await refusal(keyless.pushedAuthorizationUrl({ scope: 'openid' }))).toMatchObject({
      code: 'provider_unavailable',
      message: expect.stringMatching(/names no usable authorization_endpoint$/),
    })
    expect(wire.requests).toEqual([])
  })

  test.each<[string, unknown]>([
    ['jwks_uri', undefined],
    ['jwks_uri', 'undefined/jwks'],
    ['token_endpoint', undefined],
  ])('nowhere when the login could not end, by its %s: %j', async (name, value) => {
    const provider = await startProvider({ metadata: { [name]: value } })
    expect(await refusal(provider.pushedAuthorizationUrl({ scope: 'openid' }))).toMatchObject({
      code: 'provider_unavailable',
      status: 502,
      message: expect.stringMatching(new RegExp(`^the discovery document of .* ${name}$`)),
    })
    expect(wire.requests).toEqual([])
  })

  test.each<[string, unknown]>([
    ['response_modes_supported', ['query', 'fragment']],
    ['response_modes_supported', []],
    ['code_challenge_methods_supported', ['plain']],
    ['request_object_signing_alg_values_supported', ['RS256', 'none']],
  ])('nowhere with a signed request that would not be taken, by the %s: %j', async (name, value) => {
    for (const send of [
      (provider: Provider) => provider.signedAuthorizationUrl({ scope: 'openid' }),
      (provider: Provider) => provider.pushedAuthorizationUrl({ scope: 'openid' }),
    ]) {
      expect(await refusal(send(await startProvider({ metadata: { [name]: value } })))).toMatchObject({
        code: 'provider_unavailable',
        status: 502,
        message: expect.stringMatching(new RegExp(`^the discovery document of .* ${name}.*; it has `)),
      })
    }
    expect(wire.requests).toEqual([])
  })

  test.each<{
    list: string
    says: string[]
    wanted: string
    option?: string
    config?: Partial<IDPartnerConfig>
  }>([
    { list: 'response_modes_supported', says: ['query', 'fragment'], wanted: 'jwt', option: 'response_mode' },
    { list: 'response_modes_supported', says: [], wanted: 'jwt', option: 'response_mode' },
    { list: 'code_challenge_methods_supported', says: ['plain'], wanted: 'S256' },
    {
      list: 'token_endpoint_auth_methods_supported',
      says: ['client_secret_basic', 'tls_client_auth'],
      wanted: 'private_key_jwt',
      option: 'token_endpoint_auth_method',
    },
    {
      list: 'token_endpoint_auth_methods_supported',
      says: ['private_key_jwt', 'client_secret_post'],
      wanted: 'client_secret_basic',
      option: 'token_endpoint_auth_method',
      config: { token_endpoint_auth_method: 'client_secret_basic', client_secret: 'a-client-secret' },
    },
    {
      list: 'token_endpoint_auth_signing_alg_values_supported',
      says: ['RS256', 'ES256'],
      wanted: 'PS256',
      option: 'token_endpoint_auth_signing_alg',
    },
    {
      list: 'request_object_signing_alg_values_supported',
      says: ['RS256', 'none'],
      wanted: 'PS256',
      option: 'request_object_signing_alg',
    },
    {
      list: 'authorization_signing_alg_values_supported',
      says: ['RS256'],
      wanted: 'PS256',
      option: 'authorization_signed_response_alg',
    },
    {
      list: 'authorization_encryption_alg_values_supported',
      says: ['RSA-OAEP-256'],
      wanted: 'RSA-OAEP',
      option: 'authorization_encrypted_response_alg',
    },
    {
      list: 'id_token_signing_alg_values_supported',
      says: ['ES256', 'RS256'],
      wanted: 'PS256',
      option: 'id_token_signed_response_alg',
    },
    {
      list: 'id_token_encryption_alg_values_supported',
      says: ['RSA1_5'],
      wanted: 'RSA-OAEP',
      option: 'id_token_encrypted_response_alg',
    },
    {
      list: 'userinfo_signing_alg_values_supported',
      says: ['PS256'],
      wanted: 'ES256',
      option: 'userinfo_signed_response_alg',
      config: { userinfo_signed_response_alg: 'ES256' },
    },
  ])('nowhere when the bank has $says in $list', async ({ list, says, wanted, option, config = {} }) => {
    const provider = await startProvider({ metadata: { [list]: says }, config })
    const about = option === undefined ? '' : ` (see the option "${option}")`
    expect(await refusal(provider.pushedAuthorizationUrl({ scope: 'openid' }))).toMatchObject({
      code: 'provider_unavailable',
      status: 502,
      message: `the discovery document of the bank ${new URL(provider.issuer).host} does not have ${wanted} in ${list}${about}; it has ${says.join(', ') || 'nothing there'}`,
    })
    expect(wire.requests).toEqual([])
  })

  test.each<[string, Record<string, unknown>, Partial<IDPartnerConfig>]>([
    [
      // As one of IDPartner's answered in 2023.
      'all that is needed',
      {
        response_modes_supported: ['form_post', 'fragment', 'query', 'jwt', 'query.jwt'],
        code_challenge_methods_supported: ['S256'],
        token_endpoint_auth_methods_supported: ['client_secret_basic', 'tls_client_auth', 'private_key_jwt'],
        token_endpoint_auth_signing_alg_values_supported: ['PS256'],
        request_object_signing_alg_values_supported: ['PS256'],
        authorization_signing_alg_values_supported: ['PS256'],
        authorization_encryption_alg_values_supported: ['RSA-OAEP'],
        authorization_encryption_enc_values_supported: ['A256CBC-HS512'],
        id_token_signing_alg_values_supported: ['PS256'],
        id_token_encryption_alg_values_supported: ['RSA-OAEP'],
        id_token_encryption_enc_values_supported: ['A256CBC-HS512'],
      },
      {},
    ],
    ['nothing at all', {}, {}],
    [
      'less than is used of what is not reliable',
      {
        authorization_encryption_enc_values_supported: ['A128GCM'],
        id_token_encryption_enc_values_supported: ['A128GCM'],
        userinfo_signing_alg_values_supported: ['none'],
        userinfo_encryption_alg_values_supported: ['RSAXXXXX'],
        userinfo_encryption_enc_values_supported: ['A128GCM'],
      },
      {},
    ],
    [
      'nothing of what is not used',
      {
        token_endpoint_auth_signing_alg_values_supported: ['RS256'],
        request_object_signing_alg_values_supported: ['RS256'],
        authorization_encryption_alg_values_supported: [],
        id_token_encryption_alg_values_supported: [],
      },
      withoutKeys,
    ],
  ])('to the bank when that lists %s', async (_name, metadata, config) => {
    const provider = await startProvider({ metadata, config })
    await expect(provider.pushedAuthorizationUrl({ scope: 'openid' })).resolves.toBeInstanceOf(URL)
  })

  test('nowhere when a bank elsewhere names a page on this machine', async () => {
    const provider = await startProvider({
      metadata: { issuer: 'https://bank.example', authorization_endpoint: 'http://localhost:1/auth' },
    })
    const err = await refusal(provider.signedAuthorizationUrl({ scope: 'openid' }))
    expect(err.message).toBe(
      'the discovery document of the bank bank.example names no usable authorization_endpoint',
    )
  })

  test('nowhere with a signed request and no key to sign it', async () => {
    const provider = await startProvider({ config: withoutKeys })
    expect(await refusal(provider.signedAuthorizationUrl({ scope: 'openid' }))).toMatchObject({
      code: 'config_invalid',
      message: 'option "jwks" needs a signing key',
    })
  })

  test.each<{ name: string; fault: Fault; expected: Partial<IDPartnerError>; times?: number }>([
    {
      name: 'refuses',
      fault: answer(400, { error: 'invalid_request_object', error_description: 'story' }),
      expected: { code: 'provider_error', status: 502, providerError: 'invalid_request_object' },
    },
    {
      name: 'does not know us',
      fault: answer(401, { error: 'invalid_client' }),
      expected: { code: 'provider_error', status: 502, providerError: 'invalid_client' },
    },
    {
      name: 'is wrong about our callback',
      fault: answer(400, { error: 'invalid_request', error_description: 'redirect_uri' }),
      expected: {
        message: expect.stringMatching(/refused: invalid_request \("callback" is not registered/) as never,
      },
    },
    {
      name: 'is down',
      fault: answer(503),
      times: 2,
      expected: { code: 'provider_unavailable', status: 503 },
    },
    { name: 'says nothing', fault: hang, expected: { code: 'provider_unavailable', status: 504 } },
    {
      name: 'answers without a reference',
      fault: answer(201, { expires_in: 60 }),
      expected: { code: 'provider_unavailable', status: 502 },
    },
  ])('nowhere when the bank $name to a pushed request', async ({ fault, expected, times = 1 }) => {
    const provider = await startProvider(fault === hang ? impatient : {})
    wire.plan('bank.par', fault, Infinity)
    expect(await refusal(provider.pushedAuthorizationUrl({ scope: 'openid' }))).toMatchObject(expected)
    expect(seen()).toEqual(Array.from({ length: times }, () => 'bank.par'))
  })
})

/** Userinfo as a JWT. */
const signed = async (
  claims: Record<string, unknown> = {},
  sealed = false,
  type = 'application/jwt ; charset=utf-8',
): Promise<Reply> => {
  const jwt = await mint({
    claims: { iss: servers[0]?.origin, aud: 'app', sub: 'person', email: 'p@example.com', ...claims },
    key: await rsaKey('bank'),
    ...(sealed && { seal: { alg: 'RSA-OAEP', enc: 'A256CBC-HS512' } }),
  })
  return { status: 200, headers: { 'content-type': type }, body: jwt }
}

describe('userinfo', () => {
  test.each<[string, (() => Promise<Reply>) | undefined]>([
    ['plain', undefined],
    ['signed', () => signed()],
    ['signed and encrypted', () => signed({}, true)],
    ['signed, whatever the case of its type', () => signed({}, false, 'Application/JWT')],
    ['signed, by a clock that is a little ahead', () => signed({ nbf: Math.floor(Date.now() / 1000) + 25 })],
  ])('may be %s', async (_name, reply) => {
    const provider = await startProvider()
    if (reply) replies['userinfo'] = await reply()
    expect(await provider.userInfo('access', 'person')).toMatchObject({
      sub: 'person',
      email: 'p@example.com',
    })
    expect(sent('bank.userinfo')).toMatchObject({ method: 'GET', body: '', url: '/userinfo' })
    expect(sent('bank.userinfo').headers.authorization).toBe('Bearer access')
  })

  test.each<[string, () => Promise<Reply>]>([
    ['is of another person', () => Promise.resolve(json({ sub: 'other' }))],
    ['is of nobody', () => Promise.resolve(json({ email: 'p@example.com' }))],
    ['is signed, of another person', () => signed({ sub: 'other' })],
    ['is signed, of nobody', () => signed({ sub: undefined })],
    ['is signed, of another bank', () => signed({ iss: 'https://other.example' })],
    ['is signed, for another client', () => signed({ aud: 'other' })],
    ['is encrypted, of another person', () => signed({ sub: 'other' }, true)],
  ])('is refused when it %s', async (_name, reply) => {
    const provider = await startProvider()
    replies['userinfo'] = await reply()
    expect(await refusal(provider.userInfo('access', 'person'))).toMatchObject({
      code: 'token_invalid',
      status: 502,
    })
  })
})

test.each(['application/jwt-like', 'x-application/jwt', 'text/plain', ''])(
  'userinfo of another type is not read as a JWT: %j',
  async (type) => {
    const provider = await startProvider()
    const { body } = await signed()
    replies['userinfo'] = { status: 200, headers: type === '' ? {} : { 'content-type': type }, body }
    expect(await refusal(provider.userInfo('access', 'person'))).toMatchObject({
      code: 'provider_unavailable',
      status: 502,
      message: expect.stringMatching(/something else than the JSON/),
    })
  },
)

describe("the bank's own endpoints", () => {
  test('are asked with the token in the header, and answer JSON', async () => {
    const provider = await startProvider()
    expect(await provider.resource('payment_details_info_endpoint', 'access')).toEqual({ iban: 'DE00' })
    expect(sent('bank.payment-details')).toMatchObject({ method: 'GET', body: '', url: '/payment-details' })
    expect(sent('bank.payment-details').headers).toMatchObject({
      authorization: 'Bearer access',
      accept: 'application/json',
    })
    expect(sent('bank.payment-details').headers).not.toHaveProperty('content-type')
  })

  test('are given JSON', async () => {
    const provider = await startProvider()
    const payment = { amount: '10.00', text: 'für dich' }
    expect(await provider.resource('payment_processing_endpoint', 'access', payment)).toEqual({
      status: 'accepted',
    })
    const { method, headers, body } = sent('bank.payment')
    expect([method, headers['content-type']]).toEqual(['POST', 'application/json'])
    expect(JSON.parse(body)).toEqual(payment)
  })

  test.each([
    ['payment_details_info_endpoint', 'payment-details', undefined],
    ['payment_processing_endpoint', 'payment', {}],
  ] as const)('answer JSON alone, and never a JWT as userinfo is: %s', async (endpoint, route, body) => {
    const provider = await startProvider()
    replies[route] = await signed()
    expect(await refusal(provider.resource(endpoint, 'access', body))).toMatchObject({
      code: 'provider_unavailable',
      status: 502,
      message: expect.stringMatching(
        / endpoint of the bank [\d.:]+ answered with something else than the JSON/,
      ),
    })
    replies[route] = await signed({ iss: 'https://other.example' })
    expect((await refusal(provider.resource(endpoint, 'access', body))).message).not.toMatch(/userinfo/)
  })

  test('open no ID token, and want none: an answer to another form', async () => {
    const provider = await startProvider()
    const forged = { request_uri: 'urn:request', expires_in: 60, access_token: 'x', id_token: 'forged' }
    replies['par'] = json(forged, 200)
    replies['revocation'] = json(forged)
    await expect(provider.revoke('access')).resolves.toBeUndefined()
    await expect(provider.pushedAuthorizationUrl({ scope: 'openid' })).rejects.toMatchObject({
      code: 'provider_unavailable',
    })
  })

  test.each([
    ['an account', 'creditor DE89370400440532013000 is not allowed'],
    ['an account, spaced', 'creditor DE89 3704 0044 0532 0130 00 is not allowed'],
    ['a name', 'nobody is called Anna'],
    ['a claim', 'born on 1970-01-01 is nobody'],
  ])('repeat in no error who is to allow what: %s', async (_what, error_description) => {
    const provider = await startProvider()
    replies['par'] = json({ error: 'invalid_request', error_description }, 400)
    const creditor = { iban: 'DE89370400440532013000' }
    const err = await refusal(
      provider.pushedAuthorizationUrl({
        scope: 'openid',
        login_hint: 'anna',
        authorization_details: [{ type: 'payment', creditor }],
        claims: { id_token: { birthdate: { value: '1970-01-01' } } },
      }),
    )
    expect(err).toMatchObject({ code: 'provider_error', providerError: 'invalid_request' })
    expect(inspect(err, { depth: 9 })).not.toContain(error_description)
  })

  test('but a kind of detail that a bank does not know', async () => {
    const provider = await startProvider()
    const error_description = 'what is a payment_initiation?'
    replies['par'] = json({ error: 'invalid_authorization_details', error_description }, 400)
    const authorization_details = [{ type: 'payment_initiation', amount: '10' }]
    const err = await refusal(provider.pushedAuthorizationUrl({ scope: 'openid', authorization_details }))
    expect(inspect(err, { depth: 9 })).toContain(error_description)
  })

  test('may have nothing to say', async () => {
    const provider = await startProvider()
    replies['payment'] = { status: 204, headers: {}, body: '' }
    expect(await provider.resource('payment_processing_endpoint', 'access', {})).toBeUndefined()
  })

  test.each<{ name: string; fault: Fault; expected: Partial<IDPartnerError>; message: RegExp }>([
    {
      name: 'resets',
      fault: reset,
      expected: { code: 'provider_unavailable', status: 502 },
      message: /broke the connection off/,
    },
    {
      name: 'says nothing',
      fault: hang,
      expected: { code: 'provider_unavailable', status: 504 },
      message: /in time/,
    },
    {
      name: 'answers HTTP 500',
      fault: answer(500),
      expected: { code: 'provider_unavailable', status: 502 },
      message: /^the payment processing endpoint of the bank [\w.]+:\d+ answered with HTTP 500/,
    },
    {
      name: 'answers HTTP 503',
      fault: answer(503),
      expected: { code: 'provider_unavailable', status: 503 },
      message: /^the payment processing endpoint of the bank [\w.]+:\d+ answered with HTTP 503/,
    },
    {
      name: 'answers HTTP 302',
      fault: (res) => res.writeHead(302, { location: '/token' }).end(),
      expected: { code: 'provider_unavailable', status: 502 },
      message: /answered with HTTP 302/,
    },
    {
      name: 'answers with a JWT',
      fault: answer(200, 'e30.e30.', 'application/jwt'),
      expected: { code: 'provider_unavailable', status: 502 },
      message: /something else/,
    },
    {
      name: 'answers with a page',
      fault: html,
      expected: { code: 'provider_unavailable', status: 502 },
      message:
        /^the payment processing endpoint of the bank [\w.]+:\d+ answered with something else than the JSON/,
    },
    {
      name: 'knows the token no more',
      fault: (res) => {
        res.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end()
      },
      expected: { code: 'provider_error', status: 502, providerError: 'invalid_token' },
      message: /refused: invalid_token \(the access token has expired/,
    },
  ])('are asked once, also when one $name', async ({ fault, expected, message }) => {
    const provider = await startProvider(fault === hang ? impatient : {})
    wire.plan('bank.payment', fault, Infinity)
    const err = await refusal(provider.resource('payment_processing_endpoint', 'access', {}))
    expect(err).toMatchObject(expected)
    expect(err.message).toMatch(message)
    expect(seen()).toEqual(['bank.payment'])
  })

  test.each<[string, string, string | undefined]>([
    ['an amount', 'balance is below 4200.50 EUR', undefined],
    ['an amount with other separators', 'balance is below 4,200.50', undefined],
    ['an account', 'DE89 3704 0044 0532 0130 00 is blocked', undefined],
    ['a name in other letters', 'ERIKA MUSTERMANN is not a payee', undefined],
    ['something deep inside', 'no rent may 2026', undefined],
    ['nothing of it', 'payments are closed at night', 'payments are closed at night'],
    ['what is too short to tell', 'no 12', 'no 12'],
  ])('do not get a payment into a cause when the bank repeats %s', async (_name, words, kept) => {
    const provider = await startProvider()
    const payment = {
      amount: 4200.5,
      iban: 'DE89370400440532013000',
      creditor: 'Erika Mustermann',
      day: 12,
      remittance: [{ text: 'Rent May 2026' }],
      nothing: null,
    }
    wire.plan('bank.payment', answer(403, { error: 'access_denied', error_description: words }), Infinity)
    const err = await refusal(provider.resource('payment_processing_endpoint', 'access', payment))
    expect(err).toMatchObject({ code: 'provider_error', providerError: 'access_denied' })
    expect((err.cause as ErrorResponse).error_description).toBe(kept)
  })

  test('do not get the client secret into a cause when the bank repeats it', async () => {
    const provider = await startProvider({ config: withSecret })
    const words = `unknown secret ${String(withSecret.client_secret)}`
    wire.plan('bank.token', answer(401, { error: 'invalid_client', error_description: words }), Infinity)
    expect(await refusal(provider.refresh('refresh'))).toMatchObject({
      code: 'provider_error',
      cause: { status: 401, error_description: 'unknown secret [redacted]' },
    })
  })

  test.each<[string, Fault]>([
    ['in its body', answer(403, { error: 'insufficient_scope', error_description: 'no payments' })],
    [
      'in a header',
      (res) =>
        res
          .writeHead(403, {
            'www-authenticate': 'Bearer error="insufficient_scope", error_description="no payments"',
          })
          .end(),
    ],
  ])('may say why not %s', async (_name, fault) => {
    const provider = await startProvider()
    for (const [endpoint, call] of [
      ['payment', () => provider.resource('payment_processing_endpoint', 'access', {})],
      ['userinfo', () => provider.userInfo('access', 'person')],
    ] as const) {
      wire.plan(`bank.${endpoint}`, fault, Infinity)
      const err = await refusal(call())
      expect(err).toMatchObject({
        code: 'provider_error',
        status: 502,
        providerError: 'insufficient_scope',
        message: expect.stringMatching(/option "scope"/),
        cause: { status: 403, error_description: 'no payments' },
      })
    }
  })

  test('may be anywhere else that is named by the bank', async () => {
    const provider = await startProvider()
    const url = new URL(`${provider.issuer}/credential`)
    expect(await provider.json(url, 'credential endpoint', 'access', {})).toEqual({ credential: 'vc' })
    expect(await provider.document(url, 'credential')).toEqual({ credential: 'vc' })
    expect(wire.requests[1]?.headers).toMatchObject({ accept: 'application/json' })
    expect(wire.requests[1]?.headers).not.toHaveProperty('authorization')
  })

  test('a public document is asked for a second time', async () => {
    const provider = await startProvider()
    const url = new URL(`${provider.issuer}/credential`)
    wire.plan('bank.credential', reset, 1)
    await provider.document(url, 'credential')
    expect(seen()).toEqual(['bank.credential', 'bank.credential'])
    wire.plan('bank.credential', send, 0)
    replies['credential'] = json({}, 404)
    expect((await refusal(provider.document(url, 'metadata'))).message).toBe(
      `the metadata of the bank ${new URL(provider.issuer).host} answered with HTTP 404`,
    )
  })
})

describe('a refresh token is exchanged', () => {
  test('for new tokens', async () => {
    const provider = await startProvider()
    await issueTokens({ access_token: 'new' })
    expect(await provider.refresh('refresh')).toMatchObject({
      access_token: 'new',
      claims: { sub: 'person' },
    })
    expect(Object.fromEntries(new URLSearchParams(sent('bank.token').body))).toMatchObject({
      grant_type: 'refresh_token',
      refresh_token: 'refresh',
    })
  })

  test.each([
    ['its access token', { nonce: 'another' }, undefined],
    ['another access token', { at_hash: 'another' }, 'token_invalid'],
  ])('whose ID token is that of no login, but of %s', async (_name, claims, code) => {
    const provider = await startProvider()
    await issueTokens({ id_token: await idToken(claims) })
    const refreshing = provider.refresh('refresh')
    if (code) expect(await refusal(refreshing)).toMatchObject({ code })
    else expect(await refreshing).toMatchObject({ claims })
  })

  test('also when no ID token comes with them', async () => {
    const provider = await startProvider()
    await issueTokens({ id_token: undefined })
    expect(await provider.refresh('refresh')).not.toHaveProperty('claims')
  })
})

test('a token is revoked', async () => {
  const provider = await startProvider()
  await expect(provider.revoke('access')).resolves.toBeUndefined()
  expect(new URLSearchParams(sent('bank.revocation').body).get('token')).toBe('access')
})

test.each<{ name: string; request: (provider: Provider) => Promise<unknown> }>([
  { name: 'token', request: (provider) => provider.exchange('code', LOGIN) },
  {
    name: 'credential',
    request: (provider) => provider.document(new URL(`${provider.issuer}/credential`), 'metadata'),
  },
])('the signal of the operation ends its requests: $name', async ({ name, request }) => {
  const controller = new AbortController()
  const provider = await startProvider({ signal: controller.signal, config: { timeout: 60_000 } })
  wire.plan(`bank.${name}`, hang, Infinity)
  const failing = refusal(request(provider))
  controller.abort()
  expect(await failing).toMatchObject({ code: 'provider_unavailable', status: 504 })
})

test('a revocation shows a proof of the key that the token is bound to, and none where there is none', async () => {
  const provider = await startProvider({ dpop: await readDpopKey(newDpopKey('ES256')) })
  wire.plan(
    'bank.revocation',
    (res) => {
      send(res, { ...json({ error: 'use_dpop_nonce' }, 400), headers: { 'dpop-nonce': 'n-1' } })
    },
    1,
  )
  await provider.revoke('access')
  const proofs = wire.requests.map(({ headers }) => String(headers['dpop']))
  expect(proofs).toHaveLength(2)
  const [first, second] = await Promise.all(
    proofs.map(async (jwt) => (await jwtVerify(jwt, EmbeddedJWK, { typ: 'dpop+jwt' })).payload),
  )
  expect(first).toMatchObject({ htm: 'POST', htu: `${provider.issuer}/revocation` })
  expect(first).not.toHaveProperty('nonce')
  expect(second).toMatchObject({ nonce: 'n-1' })
  expect(second?.jti).not.toBe(first?.jti)
  expect(decodeProtectedHeader(proofs[0] ?? '').jwk).not.toHaveProperty('d')
  wire.requests.length = 0
  await (await startProvider()).revoke('access')
  expect(sent('bank.revocation').headers).not.toHaveProperty('dpop')
})
