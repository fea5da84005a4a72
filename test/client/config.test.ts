import { inspect } from 'node:util'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import type { JSONWebKeySet } from 'jose'
import * as v from 'valibot'
import type { IDPartnerConfig } from '../../lib/client/config.js'
import { IDPartner } from '../../lib/client/idpartner.js'
import { parseOptions } from '../../lib/client/parse-options.js'
import { resolveConfig } from '../../lib/client/resolve-config.js'
import { PrivateNetworks } from '../../lib/net/private-networks.js'
import { generateJwks } from '../../lib/jwt/keys.js'
import { badOption } from '../../lib/client/option-errors.js'
import type { IDPartnerError } from '../../lib/errors.js'
import { generate } from 'selfsigned'
import { tlsCertificates, type Pem } from '../support/certificates.js'
import { clientJwks } from '../support/key-pairs.js'
import { thrown } from '../support/thrown.js'

const CALLBACK = 'https://app.example/callback'
const SECRET = 'a-client-secret'
const unusable = v.pipe(
  v.object({}),
  v.check(() => false),
)

let jwks: JSONWebKeySet
let others: JSONWebKeySet
let pem: { server: Pem; client: Pem }

beforeAll(async () => {
  ;[jwks, pem] = await Promise.all([clientJwks(), tlsCertificates()])
  others = await generateJwks({ alg: 'ES256', enc: 'ECDH-ES' })
})

type Options = Record<string, unknown>

const proxy = (options: Options = {}): IDPartnerConfig => ({
  client_id: 'app',
  callback: CALLBACK,
  jwks,
  ...options,
})
const direct = (options: Options = {}): IDPartnerConfig => ({
  client_id: 'app',
  callback: CALLBACK,
  flow: 'direct',
  trusted_issuers: ['https://bank.example'],
  ...options,
})

const refusalOf = (config: unknown): IDPartnerError => thrown(() => resolveConfig(config as IDPartnerConfig))

/** Code, name of the option and what to do, all of them. */
const expectBad = (config: unknown, name: string, message: RegExp): void => {
  const err = refusalOf(config)
  expect(err).toMatchObject({ code: 'config_invalid', status: 500 })
  expect(err.message).toMatch(new RegExp(`^option "${name}" `))
  expect(err.message).toMatch(message)
}

describe('without options of its own', () => {
  test('the configuration is that of IDPartner', () => {
    const { keys, encryption, networks, ...resolved } = resolveConfig(proxy())
    expect(networks).toEqual(new PrivateNetworks())
    expect(Object.keys(encryption)).toEqual(['authorization', 'id_token', 'userinfo'])
    expect(resolved).toEqual({
      client_id: 'app',
      callback: CALLBACK,
      client_assertion_lifetime: 120,
      resource_servers: [],
      flow: 'proxy',
      profile: 'fapi1-advanced',
      response_mode: 'jwt',
      authorization_response_iss: 'required',
      pushed_request_client_id: true,
      oidc_proxy_service_url: 'https://auth-api.idpartner.com/oidc-proxy',
      trust_directory_service_url: 'https://auth-api.idpartner.com/trust-directory',
      account_selector_service_url: 'https://preferences.idpartner.com/v1',
      trust_directory_issuer: 'https://idpartner.com',
      trusted_issuers: undefined,
      token_endpoint_auth_method: 'private_key_jwt',
      client_secret: undefined,
      tls: {},
      authorization_signed_response_alg: 'PS256',
      id_token_signed_response_alg: 'PS256',
      timeout: 5000,
      clock_tolerance: 30,
    })
    expect(keys.map(({ use, alg }) => ({ use, alg }))).toEqual([
      { use: 'sig', alg: 'PS256' },
      { use: 'enc', alg: 'RSA-OAEP' },
    ])
  })

  test('an option that is undefined is one that is not there', () => {
    const optional = Object.keys(resolveConfig(proxy())).filter(
      (name) =>
        !['client_id', 'callback', 'keys', 'tls', 'encryption', 'dpop', 'networks', 'egress'].includes(name),
    )
    const undefineds = Object.fromEntries(optional.map((name) => [name, undefined]))
    expect(resolveConfig(proxy(undefineds))).toEqual(resolveConfig(proxy()))
  })
})

describe('an option is taken as it is:', () => {
  test.each<[string, unknown[]]>([
    ['client_id', ['a client & more']],
    ['flow', ['proxy']],
    ['oidc_proxy_service_url', ['https://proxy.example/oidc-proxy/', 'http://localhost:3003']],
    ['trust_directory_service_url', ['https://trust.example', 'http://127.0.0.1:3003/trust']],
    ['account_selector_service_url', ['https://selector.example/v2', 'http://[::1]:8080/v1']],
    ['trust_directory_issuer', ['https://trust.example/']],
    ['trusted_issuers', [['https://a.example', 'https://b.example/'], () => true]],
    ['token_endpoint_auth_method', ['private_key_jwt']],
    ['authorization_signed_response_alg', ['PS256', 'ES256', 'ES384', 'ES512', 'EdDSA']],
    ['id_token_signed_response_alg', ['PS256', 'ES256', 'ES384', 'ES512', 'EdDSA']],
    ['userinfo_signed_response_alg', [undefined, 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA']],
    ['request_object_signing_alg', [undefined, 'PS256']],
    ['token_endpoint_auth_signing_alg', [undefined, 'PS256']],
    ['timeout', [1, 120_000]],
    ['clock_tolerance', [0, 0.5, 300]],
  ])('%s', (name, values) => {
    for (const value of values) {
      expect(resolveConfig(proxy({ [name]: value }))).toHaveProperty(name, value)
    }
  })

  test.each([
    'https://app.example/callback',
    'https://app.example/callback/',
    'https://app.example:443/callback',
    'https://APP.example/callback',
    'https://app.example/a/../callback',
    'https://app.example/callback?tenant=a%20b&x=%7e',
    'https://app.example/callback?tenant=a+b',
    'https://app.example/callback?',
    'http://localhost:3001/callback',
    'http://127.1.2.3/callback',
    'http://[::1]:3001/callback',
  ])('callback, byte for byte: %s', (callback) => {
    expect(resolveConfig(proxy({ callback })).callback).toBe(callback)
  })
})

describe('a profile', () => {
  const fapi2 = (options: Options = {}): IDPartnerConfig =>
    direct({
      profile: 'fapi2-security',
      jwks,
      tls_client_cert: pem.client.cert,
      tls_client_key: pem.client.key,
      ...options,
    })

  test.each([
    ['fapi1-advanced', 'jwt', true],
    ['fapi2-security', 'query', false],
    ['fapi2-message-signing', 'jwt', false],
  ])('%s has the answers and requests of its own', (profile, response_mode, pushed_request_client_id) => {
    const config = fapi2({ profile })
    expect(resolveConfig(config)).toMatchObject({ profile, response_mode, pushed_request_client_id })
  })

  test.each<[string, Options]>([
    ['plain answers to signed requests', { profile: 'fapi2-message-signing', response_mode: 'query' }],
    ['signed answers to plain requests', { response_mode: 'jwt' }],
    ['"client_id" beside a request', { profile: 'fapi2-message-signing', pushed_request_client_id: true }],
    [
      'no certificate, where tokens are bound by DPoP',
      {
        tls_client_cert: undefined,
        tls_client_key: undefined,
        dpop_bound_access_tokens: true,
        profile: 'fapi2-security',
      },
    ],
    ['no "iss" of the only bank', { authorization_response_iss: 'optional' }],
    ['a certificate for authentication', { token_endpoint_auth_method: 'tls_client_auth' }],
  ])('of FAPI 2.0 may have %s', (_name, options) => {
    const { profile = 'fapi2-security' } = options
    expect(resolveConfig(fapi2(options))).toMatchObject({ profile })
  })

  test.each<[string, string, Options, RegExp]>([
    ['it is unknown', 'profile', { profile: 'fapi3' }, /must be "fapi1-advanced" or "fapi2-security" or/],
    [
      'it is for banks and not for the proxy',
      'profile',
      { flow: 'proxy' },
      /proxy flow does not have: there it is fapi1/,
    ],
    [
      'tokens are bound to nothing',
      'profile',
      { tls_client_cert: undefined, tls_client_key: undefined },
      /bound to the application/,
    ],
    [
      'the application has a mere secret',
      'token_endpoint_auth_method',
      { token_endpoint_auth_method: 'client_secret_basic', client_secret: SECRET },
      /private_key_jwt and tls_client_auth$/,
    ],
    [
      'nothing is there to sign requests with',
      'jwks',
      { profile: 'fapi2-message-signing', jwks: undefined, token_endpoint_auth_method: 'tls_client_auth' },
      /signs every request/,
    ],
    [
      'plain answers are of FAPI 1.0',
      'response_mode',
      { profile: 'fapi1-advanced', response_mode: 'query' },
      /cannot be "query" with the profile fapi1-advanced/,
    ],
    ['the mode is unknown', 'response_mode', { response_mode: 'fragment' }, /must be "jwt" or "query"/],
    [
      '"iss" is optional for two banks',
      'authorization_response_iss',
      { authorization_response_iss: 'optional', trusted_issuers: ['https://a.example', 'https://b.example'] },
      /list of exactly one/,
    ],
    [
      '"iss" is optional for who knows which',
      'authorization_response_iss',
      { authorization_response_iss: 'optional', trusted_issuers: () => true },
      /list of exactly one/,
    ],
    [
      '"iss" is optional in signed answers',
      'authorization_response_iss',
      { authorization_response_iss: 'optional', response_mode: 'jwt' },
      /"query"/,
    ],
    [
      '"iss" is something else',
      'authorization_response_iss',
      { authorization_response_iss: false },
      /must be "required" or "optional"/,
    ],
  ])('is refused when %s', (_name, option, options, message) => {
    expectBad(fapi2(options), option, message)
  })

  test.each<[string, string, Options]>([
    ['it is for banks and not for the proxy', 'profile', { flow: 'proxy' }],
    ['plain answers are of FAPI 1.0', 'response_mode', { profile: 'fapi1-advanced', response_mode: 'query' }],
    [
      '"iss" is optional for who knows which',
      'authorization_response_iss',
      { authorization_response_iss: 'optional', trusted_issuers: () => true },
    ],
    [
      'the application has a mere secret',
      'token_endpoint_auth_method',
      { token_endpoint_auth_method: 'client_secret_basic', client_secret: SECRET },
    ],
    ['a secret is never sent', 'client_secret', { client_secret: SECRET }],
  ])('is refused before a function has given keys, when %s', (_name, option, options) => {
    const awaited = { ...fapi2(options), jwks: () => Promise.resolve(jwks) } as IDPartnerConfig
    expect(thrown(() => new IDPartner(awaited))).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining(`option "${option}" `),
    })
  })
})

describe('options are refused when', () => {
  test.each([
    ['there are none', undefined],
    ['they are null', null],
    ['they are a text', 'client-id'],
    ['they are a number', 42],
  ])('%s', (_name, config) => {
    expect(refusalOf(config)).toMatchObject({
      code: 'config_invalid',
      message: 'options are required: an object with at least client_id and callback',
    })
  })

  test.each([
    ['client_id', /is required/],
    ['callback', /is required/],
    ['jwks', /needs a signing key in the proxy flow.*generateJwks/],
  ])('%s is missing', (name, message) => {
    expectBad({ ...proxy(), [name]: undefined }, name, message)
  })

  test.each(['client_ID', 'clientId', 'redirect_uri', 'jwks_uri', 'allow_http', '__proto__x', 'constructor'])(
    'one is not known: %s',
    (name) => {
      expectBad(proxy({ [name]: 'x' }), name, /is not a known option/)
    },
  )
})

const NOT_A_URL = /https: URL .*loopback only/

describe('an option is refused:', () => {
  test.each<[string, unknown, RegExp]>([
    ['client_id', '', /must not be empty/],
    ['client_id', 42, /must be a string/],
    ['client_id', null, /must be a string/],
    ['callback', '', NOT_A_URL],
    ['callback', 42, /must be a URL/],
    ['callback', '/callback', NOT_A_URL],
    ['callback', 'app.example/callback', NOT_A_URL],
    ['callback', 'http://app.example/callback', NOT_A_URL],
    ['callback', 'http://localhost.app.example/callback', NOT_A_URL],
    ['callback', 'http://10.0.0.1/callback', NOT_A_URL],
    ['callback', 'http://0.0.0.0/callback', NOT_A_URL],
    ['callback', 'ftp://app.example/callback', NOT_A_URL],
    ['callback', 'javascript:alert(1)', NOT_A_URL],
    ['callback', 'https://user@app.example/callback', /without credentials/],
    ['callback', 'https://user:password@app.example/callback', /without credentials/],
    ['callback', 'https://app.example/callback#', /must not have a fragment/],
    ['callback', 'https://app.example/callback#part', /must not have a fragment/],
    ['callback', 'http://localhost:3001/a,http://localhost:3001/b', /must be a single URL/],
    ['callback', 'https://app.example/a,https://app.example/b', /must be a single URL/],
    ['callback', 'https://app.example/callback?response=1', /must not have a query parameter named response/],
    ['callback', 'https://app.example/callback?a=b&code', /query parameter named .*code/],
    ['callback', 'https://app.example/callback?error=', /query parameter named .*error/],
    ['callback', 'https://app.example/callback?error_description=x', /named .*error_description/],
    ['callback', 'https://app.example/callback?state=1', /query parameter named .*state/],
    ['callback', 'https://app.example/callback?iss=1', /query parameter named .*iss/],
    ['callback', 'https://app.example/callback?%73tate=1', /query parameter named .*state/],
    ['jwks', 'text', /must be a JWKS/],
    ['jwks', null, /must be a JWKS/],
    ['jwks', {}, /must be a JWKS/],
    ['jwks', { keys: {} }, /must be a JWKS/],
    ['jwks', { keys: ['text'] }, /must be a JWKS/],
    ['jwks', { keys: [null] }, /must be a JWKS/],
    ['jwks', { keys: [] }, /holds no key/],
    ['flow', 'hybrid', /must be "proxy" or "direct"/],
    ['flow', true, /must be "proxy" or "direct"/],
    ['oidc_proxy_service_url', 'proxy.example', NOT_A_URL],
    ['oidc_proxy_service_url', 'http://proxy.example', NOT_A_URL],
    ['oidc_proxy_service_url', 'https://user:password@proxy.example', /without credentials/],
    ['trust_directory_service_url', 'http://trust.example', NOT_A_URL],
    ['trust_directory_service_url', 42, /must be a URL/],
    ['account_selector_service_url', 'http://selector.example', NOT_A_URL],
    ['account_selector_service_url', '', NOT_A_URL],
    ['oidc_proxy_service_url', 'https://proxy.example/?x', /without query and fragment/],
    ['trust_directory_service_url', 'https://trust.example/#x', /without query and fragment/],
    ['account_selector_service_url', 'https://selector.example/v1?x=y', /without query and fragment/],
    ['trust_directory_issuer', 'idpartner.com', NOT_A_URL],
    ['trust_directory_issuer', 'http://idpartner.com', NOT_A_URL],
    ['trusted_issuers', [], /must not be an empty list/],
    ['trusted_issuers', 'https://bank.example', /list of issuer URLs.*or a function/],
    ['trusted_issuers', { 0: 'https://bank.example' }, /list of issuer URLs.*or a function/],
    ['trusted_issuers', ['bank.example'], /must be an https: URL/],
    ['trusted_issuers', ['https://bank.example', 'http://bank.example'], /must be an https: URL/],
    ['trusted_issuers', ['https://10.1.2.3'], /must not hold private addresses/],
    ['trusted_issuers', ['https://bank.example', 'https://[fd00::1]'], /must not hold private addresses/],
    ['trusted_issuers', ['https://169.254.169.254'], /must not hold private addresses.*"private_networks"/],
    ['egress_proxy', 'proxy.internal:3128', /"env", the URL of an HTTP proxy/],
    ['egress_proxy', 'socks5://proxy.internal:1080', /"env", the URL of an HTTP proxy/],
    ['egress_proxy', 'http://proxy.internal:3128/path', /"env", the URL of an HTTP proxy/],
    ['egress_proxy', 'http://proxy.internal:3128/?x', /"env", the URL of an HTTP proxy/],
    ['egress_proxy', '', /"env", the URL of an HTTP proxy/],
    ['egress_proxy', true, /"env", the URL of an HTTP proxy/],
    ['egress_proxy', {}, /"env", the URL of an HTTP proxy/],
    ['private_networks', '10.1.0.0/16', /list of names and ranges/],
    ['private_networks', true, /list of names and ranges/],
    ['private_networks', [10], /list of names and ranges/],
    ['private_networks', ['0.0.0.0/0'], /private networks alone/],
    ['private_networks', ['bank.internal', '10.0.0.0/8'], /wider than \/16/],
    ['trusted_issuers', ['https://bank.example?x=1'], /without query and fragment/],
    ['trusted_issuers', ['https://bank.example#x'], /without query and fragment/],
    ['trusted_issuers', ['https://user@bank.example'], /must be an https: URL.*credentials/],
    ['trusted_issuers', [undefined], /URL/],
    ['token_endpoint_auth_method', 'client_secret_post', /"private_key_jwt", "client_secret_basic" or/],
    ['token_endpoint_auth_method', 'none', /"tls_client_auth"/],
    ['client_secret', '', /must not be empty/],
    ['client_secret', 42, /must be a string/],
    ['tls_client_cert', 42, /must be PEM text or a Buffer/],
    ['tls_client_key', {}, /must be PEM text or a Buffer/],
    ['tls_server_ca', ['pem'], /must be PEM text or a Buffer/],
    ['tls_server_ca', 'not PEM', /must be a certificate in PEM/],
    ['authorization_signed_response_alg', 'RS256', /must be one of PS256, ES256, ES384, ES512, EdDSA$/],
    ['authorization_signed_response_alg', 'none', /must be one of PS256, ES256, ES384, ES512, EdDSA$/],
    ['id_token_signed_response_alg', 'HS256', /must be one of PS256, ES256, ES384, ES512, EdDSA$/],
    ['userinfo_signed_response_alg', 'RS256', /must be one of PS256, ES256, ES384, ES512, EdDSA$/],
    ['userinfo_signed_response_alg', 'none', /must be one of PS256, ES256, ES384, ES512, EdDSA$/],
    ['id_token_signed_response_alg', ['PS256'], /must be one of PS256, ES256, ES384, ES512, EdDSA$/],
    ['timeout', 0, /at least 1 ms/],
    ['timeout', -1, /at least 1 ms/],
    ['timeout', 120_001, /at most 120000 ms/],
    ['timeout', Infinity, /whole number of milliseconds|at most/],
    ['timeout', NaN, /whole number of milliseconds/],
    ['timeout', 1.5, /whole number of milliseconds/],
    ['timeout', '5000', /whole number of milliseconds/],
    ['clock_tolerance', -1, /must not be negative/],
    ['clock_tolerance', 301, /at most 300 s/],
    ['clock_tolerance', '30', /number of seconds/],
    ['clock_tolerance', NaN, /number of seconds/],
  ])('%s: %j', (name, value, message) => {
    expectBad(proxy({ [name]: value }), name, message)
  })

  test.each([
    ['tls_client_cert', () => ({ tls_client_cert: 'not PEM', tls_client_key: pem.client.key })],
    ['tls_server_ca', () => ({ tls_server_ca: pem.client.key })],
  ])('%s that is no certificate', (name, options) => {
    expectBad(proxy(options()), name, /must be a certificate in PEM/)
  })
})

describe('options contradict each other:', () => {
  test.each<[string, () => unknown, string, RegExp]>([
    [
      'a client secret beside private_key_jwt',
      () => proxy({ client_secret: SECRET }),
      'client_secret',
      /contradicts token_endpoint_auth_method "private_key_jwt"/,
    ],
    [
      'a client secret beside tls_client_auth',
      () =>
        direct({
          client_secret: SECRET,
          token_endpoint_auth_method: 'tls_client_auth',
          tls_client_cert: pem.client.cert,
          tls_client_key: pem.client.key,
        }),
      'client_secret',
      /contradicts token_endpoint_auth_method "tls_client_auth"/,
    ],
    [
      'client_secret_basic without a secret',
      () => direct({ token_endpoint_auth_method: 'client_secret_basic' }),
      'client_secret',
      /is required for client_secret_basic/,
    ],
    [
      'tls_client_auth without a certificate',
      () => direct({ token_endpoint_auth_method: 'tls_client_auth' }),
      'tls_client_cert',
      /is required for tls_client_auth/,
    ],
    [
      'tls_client_auth with a key alone',
      () => direct({ token_endpoint_auth_method: 'tls_client_auth', tls_client_key: pem.client.key }),
      'tls_client_cert',
      /is required for tls_client_auth/,
    ],
    [
      'a certificate without its key',
      () => proxy({ tls_client_cert: pem.client.cert }),
      'tls_client_key',
      /is missing beside tls_client_cert/,
    ],
    [
      'a key without its certificate',
      () => proxy({ tls_client_key: pem.client.key }),
      'tls_client_cert',
      /is missing beside tls_client_key/,
    ],
    [
      'a key of another certificate',
      () => proxy({ tls_client_cert: pem.client.cert, tls_client_key: pem.server.key }),
      'tls_client_key',
      /is not the key of tls_client_cert/,
    ],
    [
      'a certificate in place of its key',
      () => proxy({ tls_client_cert: pem.client.cert, tls_client_key: pem.client.cert }),
      'tls_client_key',
      /must be a private key in PEM/,
    ],
    [
      'the direct flow without trusted issuers',
      () => direct({ trusted_issuers: undefined, jwks }),
      'trusted_issuers',
      /is required in the direct flow: .*anyone could log in from a bank of their own making/,
    ],
    [
      'the proxy flow with an encryption key alone',
      () => proxy({ jwks: { keys: jwks.keys.filter(({ use }) => use === 'enc') } }),
      'jwks',
      /needs a signing key in the proxy flow/,
    ],
    [
      'signing keys of which none is current',
      () => proxy({ jwks: { keys: jwks.keys.map((key) => ({ ...key, status: 'next' })) } }),
      'jwks',
      /holds signing keys, but none with the status "current"/,
    ],
    [
      'an algorithm of which no key is current',
      () =>
        proxy({
          jwks: { keys: [...jwks.keys, ...others.keys.map((key) => ({ ...key, status: 'retired' }))] },
          request_object_signing_alg: 'ES256',
          id_token_encrypted_response_alg: ['RSA-OAEP', 'ECDH-ES'],
        }),
      'request_object_signing_alg',
      /is ES256, and "jwks" holds no signing key for it/,
    ],
    ['private_key_jwt without keys', () => direct(), 'jwks', /needs a signing key for private_key_jwt/],
    [
      'private_key_jwt with an encryption key alone',
      () => direct({ jwks: { keys: jwks.keys.filter(({ use }) => use === 'enc') } }),
      'jwks',
      /needs a signing key for private_key_jwt/,
    ],
    [
      'the proxy flow with a secret and without keys',
      () =>
        proxy({ jwks: undefined, token_endpoint_auth_method: 'client_secret_basic', client_secret: SECRET }),
      'jwks',
      /needs a signing key in the proxy flow/,
    ],
  ])('%s', (_name, config, name, message) => {
    expectBad(config(), name, message)
  })

  test('and no message shows a value', () => {
    const secrets = [SECRET, 'password', pem.server.key.split('\n')[1] ?? '', String(jwks.keys[0]?.d)]
    for (const config of [
      proxy({ client_secret: SECRET }),
      proxy({ callback: 'https://user:password@app.example/callback' }),
      proxy({ tls_client_cert: pem.client.cert, tls_client_key: pem.server.key }),
      proxy({ jwks: { keys: [{ ...jwks.keys[0], n: undefined }] } }),
    ]) {
      const err = refusalOf(config)
      for (const secret of secrets) expect(`${err.message}${err.stack ?? ''}`).not.toContain(secret)
      expect(err.cause).toBeUndefined()
    }
  })
})

describe('options go together:', () => {
  const basic = { token_endpoint_auth_method: 'client_secret_basic', client_secret: SECRET }
  const certificate = (): Options => ({
    tls_client_cert: pem.client.cert,
    tls_client_key: pem.client.key,
  })

  test.each<[string, () => IDPartnerConfig]>([
    ['a client secret without keys, in the direct flow', () => direct(basic)],
    ['a client secret with keys, in the direct flow', () => direct({ ...basic, jwks })],
    ['a client secret in the proxy flow', () => proxy(basic)],
    [
      'mutual TLS without keys, in the direct flow',
      () => direct({ ...certificate(), token_endpoint_auth_method: 'tls_client_auth' }),
    ],
    [
      'mutual TLS in the proxy flow',
      () => proxy({ ...certificate(), token_endpoint_auth_method: 'tls_client_auth' }),
    ],
    ['a certificate beside private_key_jwt', () => proxy(certificate())],
    ['a certificate beside a client secret', () => direct({ ...basic, ...certificate() })],
    ['a CA alone', () => proxy({ tls_server_ca: pem.server.cert })],
    ['trusted issuers in the proxy flow', () => proxy({ trusted_issuers: ['https://bank.example'] })],
    [
      'a signing key without an encryption key',
      () => proxy({ jwks: { keys: jwks.keys.filter(({ use }) => use === 'sig') } }),
    ],
  ])('%s', (_name, config) => {
    const { client_secret, token_endpoint_auth_method } = config()
    expect(resolveConfig(config())).toMatchObject({
      client_secret,
      token_endpoint_auth_method: token_endpoint_auth_method ?? 'private_key_jwt',
    })
  })

  test('what is not given is not there', () => {
    expect(resolveConfig(direct(basic))).toMatchObject({ keys: [], tls: {} })
  })

  test.each([
    ['two certificates', (): string => `${pem.server.cert}\n${pem.client.cert}`],
    [
      'words before them',
      (): string =>
        `# ours\n# Serial: ${'9'.repeat(48)}\n${pem.server.cert}\nTheirs\n=====\n${pem.client.cert}\n\n`,
    ],
    ['lines of Windows', (): string => `ours\n${pem.server.cert}\n${pem.client.cert}`.replace(/\n/g, '\r\n')],
  ])('a bundle of CAs: %s', (_, bundle) => {
    expect(resolveConfig(proxy({ tls_server_ca: bundle() })).tls.ca).toBe(bundle())
  })

  test.each([
    ['a broken certificate', (): string => '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
    ['a private key', (): string => pem.client.key],
    ['a certificate that was cut off', (): string => pem.client.cert.slice(0, 200)],
    [
      'a certificate that was cut off before another',
      (): string => pem.client.cert.slice(0, 200) + pem.server.cert,
    ],
    ['a certificate without its beginning', (): string => pem.client.cert.replace(/^.*\n/, '')],
    [
      'lines of a certificate before another',
      (): string => `${pem.client.cert.split('\n').slice(1, 5).join('\n')}\n${pem.server.cert}`,
    ],
    ['anything', (): string => 'garbage'],
  ])('a bundle of CAs, and a chain, is refused for %s behind the first', (_, second) => {
    const message = /must be a certificate in PEM or DER, or several in PEM, and nothing else/
    const bundle = `${pem.server.cert}\n${second()}`
    expectBad(proxy({ tls_server_ca: bundle }), 'tls_server_ca', message)
    expectBad(proxy({ tls_server_ca: Buffer.from(bundle) }), 'tls_server_ca', message)
    const chain = { tls_client_cert: bundle, tls_client_key: pem.server.key }
    expectBad(proxy(chain), 'tls_client_cert', message)
  })

  test('a chain that begins with the certificate of the key, and no other', () => {
    const chain = `ours\n${pem.client.cert}\nits authority\n${pem.server.cert}\n`
    const options = { tls_client_cert: chain, tls_client_key: pem.client.key }
    expect(resolveConfig(proxy(options)).tls.cert).toBe(chain)
    expectBad(
      proxy({ ...options, tls_client_key: pem.server.key }),
      'tls_client_cert',
      /must begin with the certificate of tls_client_key/,
    )
  })

  test('certificate, key and CA, as text or as Buffers', () => {
    const { tls } = resolveConfig(
      proxy({
        tls_client_cert: pem.client.cert,
        tls_client_key: Buffer.from(pem.client.key),
        tls_server_ca: Buffer.from(pem.server.cert),
      }),
    )
    expect(tls).toEqual({
      cert: pem.client.cert,
      key: Buffer.from(pem.client.key),
      ca: Buffer.from(pem.server.cert),
    })
  })
})

describe("the caller's options", () => {
  test('stay as they were', () => {
    const config = proxy({ trusted_issuers: ['https://bank.example'] })
    const before = structuredClone(config)
    resolveConfig(config)
    expect(config).toEqual(before)
  })

  test('may be frozen', () => {
    expect(() => resolveConfig(Object.freeze(proxy()))).not.toThrow()
  })

  test('can be changed afterwards without effect', () => {
    const trusted_issuers = ['https://bank.example']
    const config = proxy({ trusted_issuers })
    const resolved = resolveConfig(config)
    config.client_id = 'another'
    trusted_issuers.push('https://evil.example')
    expect(resolved).toMatchObject({ client_id: 'app', trusted_issuers: ['https://bank.example'] })
  })

  test('become options that cannot be changed', () => {
    const resolved = resolveConfig(proxy())
    expect(Object.isFrozen(resolved)).toBe(true)
    expect(() => {
      ;(resolved as { timeout: number }).timeout = 1
    }).toThrow(TypeError)
  })
})

test('badOption names the option', () => {
  expect(badOption('scope', 'must be a text')).toMatchObject({
    code: 'config_invalid',
    message: 'option "scope" must be a text',
  })
})

test('parseOptions names what is wrong with options as a whole', () => {
  expect(thrown(() => parseOptions(unusable, {}))).toMatchObject({
    code: 'config_invalid',
    message: expect.stringMatching(/^option "options" /),
  })
})

describe('what is given in place of an option is named', () => {
  test.each<[string, object, string]>([
    ['a JWKS as a text', { jwks: '{"keys":[]}' }, 'so parse it first: JSON.parse'],
    ['the path of a JWKS', { jwks: 'jwks.json' }, 'or name its file: pathToFileURL'],
    [
      'a promise of a JWKS',
      { jwks: Promise.resolve({ keys: [] }) },
      'so await it first: await generateJwks()',
    ],
    ['the keys of a JWKS alone', { jwks: [] }, 'this is the list alone'],
    ['clientID', { clientID: 'x' }, 'it is called "client_id" here'],
    ['callbackURL', { callbackURL: 'x' }, 'it is called "callback" here'],
    ['redirect_uris', { redirect_uris: ['x'] }, 'it is called "callback" here'],
    ['issuer', { issuer: 'https://bank.example' }, 'list those you trust in "trusted_issuers"'],
    ['jwks_uri', { jwks_uri: 'https://app.example/jwks' }, 'your own private keys go into "jwks"'],
  ])('%s', (_name, more, message) => {
    const config = { client_id: 'app', callback: 'https://app.example/callback', ...more }
    expect(thrown(() => resolveConfig(config))).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining(message),
    })
  })
})

describe('a client certificate', () => {
  const der = (text: string): Buffer => Buffer.from(text.replace(/-----[^-]+-----|\s/g, ''), 'base64')
  const options = (): Options => ({
    tls_client_cert: der(pem.client.cert),
    tls_client_key: der(pem.client.key),
    tls_server_ca: der(pem.server.cert),
  })

  test('may be DER, with its key and those to trust', () => {
    const { tls } = resolveConfig(proxy(options()))
    for (const one of [tls.cert, tls.ca]) expect(one).toMatch(/^-----BEGIN CERTIFICATE-----\n/)
    expect(createPrivateKey(tls.key ?? '').asymmetricKeyType).toBe('ec')
    expect(tls.cert?.toString().trim().replace(/\s/g, '')).toBe(pem.client.cert.trim().replace(/\s/g, ''))
  })

  test.each([
    ['pkcs1', 'rsa'],
    ['sec1', 'ec'],
  ] as const)('may have a key in %s', (type, kind) => {
    const { privateKey } =
      kind === 'rsa'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const key = privateKey.export({ type: type as 'pkcs1', format: 'der' })
    // It was read, and is that of another certificate.
    expectBad(
      proxy({ ...options(), tls_client_key: key }),
      'tls_client_key',
      /is not the key of tls_client_cert/,
    )
  })

  test.each(['tls_client_cert', 'tls_client_key', 'tls_server_ca'])('cannot be broken DER: %s', (name) => {
    const broken = Buffer.from([0x30, 0x82, 1, 2, 3])
    expectBad(proxy({ ...options(), [name]: broken }), name, /must be a .* in PEM or DER/)
  })

  test.each(['tls_client_cert', 'tls_server_ca'] as const)(
    'cannot be DER with more behind it: %s',
    (name) => {
      const more = Buffer.concat([options()[name] as Buffer, Buffer.from('garbage')])
      expectBad(proxy({ ...options(), [name]: more }), name, /must be a certificate in PEM or DER/)
    },
  )

  test('is refused with an authority in its chain that has expired', async () => {
    const old = await generate([{ name: 'commonName', value: 'old' }], {
      keyType: 'ec',
      algorithm: 'sha256',
      notBeforeDate: new Date('2020-01-01'),
      notAfterDate: new Date('2021-01-01'),
    })
    const chain = { tls_client_cert: `${pem.client.cert}\n${old.cert}`, tls_client_key: pem.client.key }
    expectBad(proxy(chain), 'tls_client_cert', /expired on Jan {2}1 00:00:00 2021/)
  })

  test.each([
    [-400, /is not valid before .*: check it and this server's clock/],
    [50 * 365, /expired on /],
  ])('is refused out of its time: %d days from now', (days, message) => {
    const now = Date.now()
    jest.useFakeTimers({ now: now + days * 86_400_000 })
    try {
      expectBad(proxy(options()), 'tls_client_cert', message)
    } finally {
      jest.useRealTimers()
    }
  })
})

test('a certificate with a key that OpenSSL finds too short is refused by its name', async () => {
  const short = await generate([{ name: 'commonName', value: 'short' }], {
    keyType: 'rsa',
    keySize: 512,
    algorithm: 'sha256',
  })
  const options = { tls_client_cert: short.cert, tls_client_key: short.private }
  expectBad(proxy(options), 'tls_client_cert', /is refused by OpenSSL/)
})

describe('the egress proxy', () => {
  const VARIABLES = ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy', 'NO_PROXY', 'no_proxy']
  const withEnvironment = (
    variables: Record<string, string>,
    egress_proxy: IDPartnerConfig['egress_proxy'] = 'env',
  ) => {
    const before = process.env
    const others = Object.entries(before).filter(([name]) => !VARIABLES.includes(name))
    process.env = { ...Object.fromEntries(others), ...variables }
    try {
      return resolveConfig(proxy({ egress_proxy })).egress
    } finally {
      process.env = before
    }
  }

  test.each<[string, Record<string, string>, string | undefined]>([
    ['HTTPS_PROXY', { HTTPS_PROXY: 'http://proxy.internal:3128' }, 'the proxy proxy.internal:3128'],
    ['https_proxy before it', { HTTPS_PROXY: 'http://a:1', https_proxy: 'http://b:2' }, 'the proxy b:2'],
    ['ALL_PROXY', { ALL_PROXY: 'https://proxy.internal' }, 'the proxy proxy.internal'],
    ['an address without a scheme', { HTTPS_PROXY: 'proxy.internal:3128' }, 'the proxy proxy.internal:3128'],
    ['nothing', {}, undefined],
    ['an empty variable', { HTTPS_PROXY: '' }, undefined],
    ['the variable for plain http, which is for this machine', { HTTP_PROXY: 'http://a:1' }, undefined],
  ])('of the environment is that of %s', (_name, variables, name) => {
    expect(withEnvironment(variables)?.name).toBe(name)
  })

  test('of the environment has exceptions, and one with a URL has none', () => {
    const variables = { HTTPS_PROXY: 'http://a:1', NO_PROXY: 'bank.internal' }
    expect(withEnvironment(variables)?.serves('bank.internal', 443)).toBe(false)
    expect(withEnvironment(variables, 'http://a:1')?.serves('bank.internal', 443)).toBe(true)
    expect(withEnvironment({ HTTPS_PROXY: 'http://a:1' }, undefined)?.serves('bank.example', 443)).toBe(true)
  })

  test('of the environment that is none is refused, without a word of it', () => {
    const err = thrown(() => withEnvironment({ HTTPS_PROXY: 'socks5://app:hunter2@proxy.internal' }))
    expect(err).toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(/HTTPS_PROXY is not/),
    })
    expect((err as Error).message).not.toMatch(/hunter2/)
  })

  test('is none where the option is not set', () => {
    process.env['HTTPS_PROXY'] = 'http://proxy.internal:3128'
    try {
      expect(resolveConfig(proxy()).egress).toBeUndefined()
    } finally {
      delete process.env['HTTPS_PROXY']
    }
  })

  test('does not print its password', () => {
    const url = 'http://app:hunter2@proxy.internal:3128'
    const { egress } = resolveConfig(proxy({ egress_proxy: url }))
    expect(egress?.name).toBe('the proxy proxy.internal:3128')
    expect(inspect(egress, { depth: Infinity, showHidden: true })).not.toMatch(/hunter2/)
  })
})
