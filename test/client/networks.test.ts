import { describe, expect, test } from '@jest/globals'
import {
  IDPartnerStrategy,
  generateJwks,
  type AuthorizationParams,
  type IDPartnerStrategyOptions,
  type Network,
} from 'passport-idpartner'
import { requestParameters } from '../../lib/client/authorization-request.js'
import type { IDPartnerConfig } from '../../lib/client/config.js'
import { resolveConfig } from '../../lib/client/resolve-config.js'
import { DpopNonces } from '../../lib/client/dpop.js'
import { NETWORK_NAMES } from '../../lib/client/networks.js'
import { Provider } from '../../lib/client/provider.js'
import { importKeys } from '../../lib/jwt/keys.js'
import { remoteKeys } from '../../lib/jwt/remote-keys.js'
import { Http } from '../../lib/net/http.js'
import { tlsCertificates } from '../support/certificates.js'
import { clientJwks } from '../support/key-pairs.js'
import { refusal } from '../support/settle.js'
import { thrown } from '../support/thrown.js'

const ISSUER = 'https://bank.example/fapi'
const { client } = await tlsCertificates()
const signing = (await clientJwks()).keys.filter(({ use }) => use === 'sig')
const sealed = await generateJwks({ alg: 'ES256', enc: 'ECDH-ES+A256KW' })
const jwksOf = (network: Network): typeof sealed =>
  network.startsWith('singpass') ? sealed : { keys: signing }

/** What makes an application of each network whole. */
const WHOLE: Record<Network, Partial<IDPartnerStrategyOptions>> = {
  'connectid-au': { purpose: 'To open your account', claims: { id_token: { txn: { essential: true } } } },
  singpass: { authorization_params: { authentication_context_type: 'APP_AUTHENTICATION_DEFAULT' } },
  'singpass-myinfo': {},
  helseid: {},
  esignet: {},
  'openfinance-uae': {},
}
const CERTIFICATE = { tls_client_cert: client.cert, tls_client_key: client.key }
const needsCertificate = (network: string): boolean => ['connectid-au', 'openfinance-uae'].includes(network)

const configOf = (network: Network): IDPartnerConfig => ({
  client_id: 'app',
  callback: 'https://app.example/callback',
  network,
  trusted_issuers: [ISSUER],
  jwks: jwksOf(network),
  ...(needsCertificate(network) && CERTIFICATE),
})

const start = (network: Network, bend: object = {}): IDPartnerStrategy =>
  new IDPartnerStrategy(
    { ...configOf(network), ...WHOLE[network], ...bend, passReqToCallback: false },
    () => undefined,
  )

describe('a network has defaults for options that are not given', () => {
  test.each<[Network, object]>([
    ['connectid-au', { profile: 'fapi2-message-signing', response_mode: 'query', dpop: undefined }],
    ['singpass', { profile: 'fapi2-security', response_mode: 'query', dpop: { alg: 'ES256' } }],
    ['singpass-myinfo', { id_token_signed_response_alg: 'ES256', userinfo_signed_response_alg: 'ES256' }],
    ['helseid', { profile: 'fapi2-security', client_assertion_lifetime: 60, dpop: { alg: 'ES256' } }],
    ['esignet', { profile: 'fapi2-security', client_assertion_lifetime: 120, dpop: { alg: 'ES256' } }],
    ['openfinance-uae', { profile: 'fapi2-message-signing', token_endpoint_auth_signing_alg: 'PS256' }],
  ])('%s', (network, defaults) => {
    expect(resolveConfig(configOf(network))).toMatchObject({ network, flow: 'direct', ...defaults })
  })

  test('and Singpass one encryption for ID tokens, and another for userinfo', () => {
    const { encryption } = resolveConfig(configOf('singpass-myinfo'))
    expect(encryption.id_token.enc).toEqual(['A256CBC-HS512'])
    expect(encryption.userinfo.enc).toEqual(['A256GCM'])
  })

  test('which those of the application come before, and one that is undefined does not', () => {
    const own = { profile: 'fapi2-message-signing', response_mode: undefined } as const
    expect(resolveConfig({ ...configOf('helseid'), ...own })).toMatchObject({
      profile: 'fapi2-message-signing',
      response_mode: 'jwt',
      client_assertion_lifetime: 60,
    })
  })

  test('and without one, nothing is different', () => {
    const { profile, network } = resolveConfig({ ...configOf('helseid'), network: undefined, flow: 'direct' })
    expect({ profile, network }).toEqual({ profile: 'fapi1-advanced', network: undefined })
  })
})

test.each(NETWORK_NAMES)('an application of %s that is whole starts', (network) => {
  expect(start(network)).toBeInstanceOf(IDPartnerStrategy)
})

const essential = { essential: true }
const both = { keys: [...signing, ...sealed.keys.filter(({ use }) => use === 'sig')] }
const [rsaOfDpop] = (await generateJwks()).keys

describe('the constructor refuses what the network does not have:', () => {
  test.each<[Network, string, object]>([
    ['connectid-au', 'purpose', { purpose: undefined }],
    ['connectid-au', 'purpose', { purpose: 'no' }],
    ['connectid-au', 'purpose', { purpose: 'x'.repeat(301) }],
    ['connectid-au', 'scope', { scope: ['openid', 'email'] }],
    ['connectid-au', 'scope', { scope: 'openid profile' }],
    ['connectid-au', 'acr_values', { acr_values: 'urn:any' }],
    ['connectid-au', 'claims', { claims: undefined }],
    ['connectid-au', 'claims', { claims: { id_token: { txn: null } } }],
    ['connectid-au', 'claims', { claims: { id_token: { txn: essential, acr: null } } }],
    ['connectid-au', 'claims', { claims: { id_token: { txn: essential }, userinfo: { email: null } } }],
    ['connectid-au', 'tls_client_cert', { tls_client_cert: undefined, tls_client_key: undefined }],
    ['openfinance-uae', 'tls_client_cert', { tls_client_cert: undefined, tls_client_key: undefined }],
    ['openfinance-uae', 'max_age', { max_age: 3601 }],
    ['singpass', 'trusted_issuers', { trusted_issuers: ['https://bank.example'] }],
    ['singpass', 'trusted_issuers', { trusted_issuers: [ISSUER, 'https://bank.example/fapi/'] }],
    ['singpass', 'authentication_context_type', { authorization_params: undefined }],
    [
      'singpass',
      'authentication_context_message',
      {
        authorization_params: {
          authentication_context_type: 'A',
          authentication_context_message: '<b>no markup</b>',
        },
      },
    ],
    [
      'singpass-myinfo',
      'authentication_context_type',
      { authorization_params: { authentication_context_type: 'A' } },
    ],
    ['singpass', 'client_assertion_lifetime', { client_assertion_lifetime: 121 }],
    ['helseid', 'client_assertion_lifetime', { client_assertion_lifetime: 61 }],
    ['connectid-au', 'flow', { flow: 'proxy' }],
    ['connectid-au', 'profile', { profile: 'fapi2-security' }],
    ['connectid-au', 'response_mode', { response_mode: 'jwt' }],
    ['connectid-au', 'token_endpoint_auth_method', { token_endpoint_auth_method: 'tls_client_auth' }],
    ['connectid-au', 'request_object_signing_alg', { request_object_signing_alg: 'ES256', jwks: both }],
    ['connectid-au', 'id_token_signed_response_alg', { id_token_signed_response_alg: 'ES256' }],
    ['connectid-au', 'dpop_bound_access_tokens', { dpop_bound_access_tokens: true }],
    ['connectid-au', 'pushed_request_client_id', { pushed_request_client_id: true }],
    ['singpass', 'profile', { profile: 'fapi1-advanced' }],
    ['singpass', 'profile', { profile: 'fapi2-message-signing' }],
    ['singpass', 'response_mode', { response_mode: 'jwt' }],
    ['singpass', 'dpop_bound_access_tokens', { dpop_bound_access_tokens: false }],
    ['singpass', 'dpop_signing_alg', { dpop_signing_alg: 'EdDSA' }],
    ['singpass', 'dpop_signing_alg', { dpop_key: rsaOfDpop }],
    ['singpass', 'token_endpoint_auth_signing_alg', { jwks: { keys: [...signing, ...sealed.keys] } }],
    ['singpass-myinfo', 'profile', { profile: 'fapi1-advanced' }],
    ['helseid', 'profile', { profile: 'fapi1-advanced' }],
    ['helseid', 'dpop_bound_access_tokens', { dpop_bound_access_tokens: false }],
    ['esignet', 'profile', { profile: 'fapi2-message-signing' }],
    ['esignet', 'response_mode', { response_mode: 'jwt' }],
    ['openfinance-uae', 'profile', { profile: 'fapi1-advanced' }],
    ['openfinance-uae', 'response_mode', { response_mode: 'jwt' }],
    [
      'openfinance-uae',
      'token_endpoint_auth_signing_alg',
      { token_endpoint_auth_signing_alg: 'ES256', jwks: both },
    ],
  ])('%s: %s', (network, option, bend) => {
    const err = thrown(() => start(network, bend)) as Error
    expect(err).toMatchObject({ code: 'config_invalid' })
    expect(err.message).toMatch(new RegExp(`^option "${option}" .*\\(network "${network}"\\)$`))
  })

  test.each(['connectid', 'constructor', '__proto__', '', 1, null])(
    'a network that is none: %j',
    (network) => {
      expect(thrown(() => start('helseid', { network }))).toMatchObject({
        code: 'config_invalid',
        message: expect.stringMatching(/^option "network" must be /),
      })
    },
  )

  test.each<[Network, object]>([
    ['connectid-au', { purpose: 'yes' }],
    ['connectid-au', { purpose: '😀'.repeat(300) }],
    ['openfinance-uae', { max_age: 3600 }],
    ['singpass', { client_assertion_lifetime: 120 }],
  ])('and nothing that it has: %s %j', (network, bend) => {
    expect(start(network, bend)).toBeDefined()
  })
})

describe('what does not need them is refused before a function has given keys:', () => {
  const keys = { jwks: () => Promise.resolve(sealed) }

  test.each<[Network, string, object]>([
    ['singpass', 'trusted_issuers', { trusted_issuers: ['https://bank.example'] }],
    ['singpass', 'profile', { profile: 'fapi1-advanced' }],
    ['helseid', 'client_assertion_lifetime', { client_assertion_lifetime: 61 }],
  ])('%s: %s', (network, option, bend) => {
    expect(thrown(() => start(network, { ...keys, ...bend }))).toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(new RegExp(`^option "${option}" .*\\(network "${network}"\\)$`)),
    })
  })
})

test('options may be inherited, from what several applications share', () => {
  const shared = Object.create({ ...configOf('helseid'), scope: ['openid', 'profile'] }) as object
  const options = Object.assign(Object.create(shared) as object, { passReqToCallback: false } as const)
  const { client } = new IDPartnerStrategy(options as never, () => undefined)
  expect(client.responseMode).toBe('query')
})

describe('a single login is held to the same rules', () => {
  const proofs = { state: 's', nonce: 'n', codeVerifier: 'v' }
  const ask = (network: Network, extra: AuthorizationParams): object =>
    requestParameters(resolveConfig(configOf(network)), proofs, 'openid', extra)

  test.each<[Network, string, AuthorizationParams]>([
    ['connectid-au', 'purpose', { ...(WHOLE['connectid-au'] as AuthorizationParams), purpose: 'no' }],
    [
      'connectid-au',
      'acr_values',
      { ...(WHOLE['connectid-au'] as AuthorizationParams), acr_values: 'urn:any' },
    ],
    ['openfinance-uae', 'authorization_details', {}],
    ['openfinance-uae', 'authorization_details', { authorization_details: [] }],
    ['singpass', 'authentication_context_type', {}],
    ['singpass-myinfo', 'authentication_context_type', WHOLE.singpass as AuthorizationParams],
  ])('%s: %s', (network, option, extra) => {
    expect(thrown(() => ask(network, extra))).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining(`option "${option}" `),
    })
  })

  test('and may bring what differs from one to the next', () => {
    const authorization_details = [{ type: 'consent' }]
    expect(ask('openfinance-uae', { authorization_details })).toMatchObject({
      authorization_details,
    })
    expect(ask('singpass', WHOLE.singpass as AuthorizationParams)).toMatchObject({
      authentication_context_type: 'APP_AUTHENTICATION_DEFAULT',
    })
  })
})

describe('where a document has no pushed requests, another issuer may be meant', () => {
  test.each<[Network | undefined, string]>([
    [
      'singpass',
      'names no usable pushed_authorization_request_endpoint; at singpass the issuer ends in /fapi',
    ],
    ['helseid', 'names no usable pushed_authorization_request_endpoint'],
  ])('%s', async (network = 'helseid', message) => {
    const config = resolveConfig({ ...configOf(network), trusted_issuers: () => true })
    const issuer = 'https://bank.example'
    const provider = new Provider({
      config,
      http: new Http(config),
      keys: await importKeys(config.keys),
      issuerKeys: remoteKeys(new Http(config), 'keys', `${issuer}/jwks`, { issuer }),
      metadata: { issuer, authorization_endpoint: `${issuer}/auth`, jwks_uri: `${issuer}/jwks` },
      interactionId: 'id',
      nonces: new DpopNonces(),
      signal: undefined,
    })
    const err = await refusal(provider.pushedAuthorizationUrl({ scope: 'openid' }))
    expect(err).toMatchObject({ code: 'provider_unavailable' })
    expect(err.message.endsWith(message)).toBe(true)
  })
})
