import { afterAll, beforeAll, afterEach, describe, expect, jest, test } from '@jest/globals'
import dns from 'node:dns'
import type { JSONWebKeySet } from 'jose'
import { generate } from 'selfsigned'
import {
  IDPartner,
  generateJwks,
  type Check,
  type IDPartnerConfig,
  type PreflightOptions,
} from 'passport-idpartner'
import { ConnectProxy } from '../support/connect-proxy.js'
import { unusedOrigin } from '../support/loopback-server.js'
import { Platform } from '../support/platform.js'

type Bend = (document: Record<string, unknown>) => Record<string, unknown>

let platform: Platform
let nobody: string

beforeAll(async () => {
  platform = await Platform.start()
  nobody = await unusedOrigin()
})

afterAll(() => platform.close())

afterEach(() => {
  jest.restoreAllMocks()
})

interface Looked {
  ok: boolean
  /** Rows by their name, the bank's own without its issuer. */
  rows: Record<string, Check>
}

async function look(
  bend: Bend,
  config: Partial<IDPartnerConfig> = {},
  options: PreflightOptions = {},
): Promise<Looked> {
  platform.bankA.metadata = bend
  const { issuer } = platform.bankA
  const client = new IDPartner({
    ...(await platform.config()),
    // Nobody answers there, so that no test depends on it.
    callback: `${nobody}/cb`,
    trusted_issuers: [issuer],
    ...config,
  })
  const { ok, checks } = await client.preflight(options)
  return { ok, rows: Object.fromEntries(checks.map((one) => [one.id.replace(` ${issuer}`, ' A'), one])) }
}

const same: Bend = (document) => document
const having =
  (members: Record<string, unknown>): Bend =>
  (document) => ({ ...document, ...members })

test('a bank whose discovery document has all of it is told to be well', async () => {
  const { rows } = await look(same, {}, { fetchUserInfo: true })
  expect(rows).toMatchObject({
    'bank A': { status: 'ok' },
    'endpoints A': { status: 'ok', message: expect.stringMatching(/^has token_endpoint, userinfo_endpoint/) },
    'metadata A': { status: 'ok' },
  })
})

describe('a list of what the bank supports that lacks what is configured', () => {
  test.each<[list: string, status: 'fail' | 'warn', lacks: string, option: string]>([
    ['response_modes_supported', 'fail', 'jwt', 'response_mode'],
    ['code_challenge_methods_supported', 'fail', 'S256', 'ask the bank for it'],
    ['request_object_signing_alg_values_supported', 'fail', 'PS256', 'request_object_signing_alg'],
    ['token_endpoint_auth_methods_supported', 'fail', 'private_key_jwt', 'token_endpoint_auth_method'],
    ['token_endpoint_auth_signing_alg_values_supported', 'fail', 'PS256', 'token_endpoint_auth_signing_alg'],
    ['id_token_signing_alg_values_supported', 'fail', 'PS256', 'id_token_signed_response_alg'],
    ['authorization_signing_alg_values_supported', 'fail', 'PS256', 'authorization_signed_response_alg'],
    ['userinfo_signing_alg_values_supported', 'fail', 'PS256', 'userinfo_signed_response_alg'],
    ['dpop_signing_alg_values_supported', 'fail', 'ES256', 'dpop_signing_alg'],
    [
      'authorization_encryption_alg_values_supported',
      'fail',
      'RSA-OAEP',
      'authorization_encrypted_response_alg',
    ],
    ['id_token_encryption_alg_values_supported', 'fail', 'RSA-OAEP', 'id_token_encrypted_response_alg'],
    ['userinfo_encryption_alg_values_supported', 'warn', 'RSA-OAEP', 'userinfo_encrypted_response_alg'],
    [
      'authorization_encryption_enc_values_supported',
      'warn',
      'A256CBC-HS512',
      'authorization_encrypted_response_enc',
    ],
    ['id_token_encryption_enc_values_supported', 'warn', 'A256CBC-HS512', 'id_token_encrypted_response_enc'],
    ['userinfo_encryption_enc_values_supported', 'warn', 'A256CBC-HS512', 'userinfo_encrypted_response_enc'],
    ['scopes_supported', 'warn', 'openid, email', 'scope'],
    ['claims_supported', 'warn', 'name, age', 'claims'],
  ])('%s', async (list, status, lacks, option) => {
    const config = {
      // Only there is a bank asked to log somebody in by the application itself.
      flow: /^(response_modes|code_|request_object)/.test(list) ? 'direct' : 'proxy',
      userinfo_signed_response_alg: 'PS256',
      authorization_encrypted_response_alg: 'RSA-OAEP',
      id_token_encrypted_response_alg: 'RSA-OAEP',
      userinfo_encrypted_response_alg: 'RSA-OAEP',
      dpop_bound_access_tokens: true,
    } as const
    const options = {
      scope: ['openid', 'email'],
      claims: { id_token: { name: null }, userinfo: { age: null } },
    }
    const { ok, rows } = await look(having({ [list]: ['other'] }), config, options)
    const { [`${list} A`]: row } = rows
    expect(row).toMatchObject({
      status,
      message: expect.stringContaining(`does not have ${lacks} in ${list}`),
      fix: expect.stringContaining(option.includes(' ') ? option : `"${option}"`),
    })
    if (status === 'fail') expect(ok).toBe(false)
    expect(rows).not.toHaveProperty(['metadata A'])
    // What is not said speaks against nothing.
    const { rows: silent } = await look(having({ [list]: undefined }), config, options)
    expect(silent).not.toHaveProperty([`${list} A`])
  })

  test('is no matter where nothing of it is asked for', async () => {
    const none = having({
      userinfo_encryption_alg_values_supported: ['other'],
      claims_supported: [],
      dpop_signing_alg_values_supported: [],
      response_modes_supported: ['query'],
    })
    // Verified claims are in lists of their own.
    const verified_claims = { verification: { trust_framework: null }, claims: { name: null } }
    const { rows } = await look(none, {}, { claims: { id_token: { verified_claims } } })
    expect(rows['metadata A']).toMatchObject({ status: 'ok' })
  })

  test('has unprintable words in it: they are not repeated', async () => {
    const bent = having({ id_token_signing_alg_values_supported: ['ES256\nFAKE ok', 7] })
    const { rows } = await look(bent)
    expect(rows['id_token_signing_alg_values_supported A']?.message).not.toMatch(/FAKE|\n/)
  })
})

describe('an endpoint', () => {
  test.each<[string, Bend, Partial<IDPartnerConfig>, PreflightOptions, RegExp]>([
    ['of tokens is missing', having({ token_endpoint: undefined }), {}, {}, /no usable token_endpoint/],
    ['of tokens is over plain http', having({ token_endpoint: 'http://bank.example/t' }), {}, {}, /token_/],
    [
      'of pushed requests is missing in the direct flow',
      having({ pushed_authorization_request_endpoint: undefined }),
      { flow: 'direct' },
      {},
      /no usable pushed_authorization_request_endpoint/,
    ],
    [
      'of userinfo is missing that is fetched',
      having({ userinfo_endpoint: undefined }),
      {},
      { fetchUserInfo: true },
      /no usable userinfo_endpoint/,
    ],
    [
      'of userinfo is missing whose algorithm is configured',
      having({ userinfo_endpoint: undefined }),
      { userinfo_signed_response_alg: 'PS256' },
      {},
      /no usable userinfo_endpoint/,
    ],
  ])('%s: fail', async (_name, bend, config, options, message) => {
    const { ok, rows } = await look(bend, config, options)
    expect(ok).toBe(false)
    expect(rows['endpoints A']).toMatchObject({ status: 'fail', message: expect.stringMatching(message) })
  })

  test('that an application may do without is only named', async () => {
    const { rows } = await look(having({ userinfo_endpoint: undefined, revocation_endpoint: undefined }))
    expect(rows['endpoints A']).toMatchObject({
      status: 'ok',
      message: expect.stringMatching(/there is no userinfo_endpoint, revocation_endpoint/),
    })
  })

  test('that cannot be used is worth a warning', async () => {
    const { rows } = await look(having({ revocation_endpoint: 'undefined/revoke' }))
    expect(rows['endpoints A']).toMatchObject({ status: 'warn', fix: expect.stringMatching(/revocation_/) })
  })
})

describe('a certificate', () => {
  const DAY = 86_400_000
  const certificate = async (days: number): Promise<Partial<IDPartnerConfig>> => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'app' }], {
      keyType: 'ec',
      algorithm: 'sha256',
      notBeforeDate: new Date(Date.now() - 90 * DAY),
      notAfterDate: new Date(Date.now() + days * DAY + 60_000),
    })
    return { tls_client_cert: cert, tls_client_key: key }
  }

  test.each([
    [1, 'warn'],
    [29, 'warn'],
    [30, 'ok'],
    [300, 'ok'],
  ] as const)('with %d days left: %s', async (days, status) => {
    const client = new IDPartner({ ...(await platform.config()), ...(await certificate(days)) })
    const { ok, checks } = await client.preflight({ offline: true })
    expect(ok).toBe(true)
    expect(checks.find(({ id }) => id === 'certificate')).toMatchObject({
      status,
      message: expect.stringContaining(`has ${String(days)} days left`),
    })
  })

  test('that expired while the application ran: fail', async () => {
    const client = new IDPartner({ ...(await platform.config()), ...(await certificate(1)) })
    const { now } = Date
    jest.spyOn(Date, 'now').mockImplementation(() => now() + 3 * DAY)
    const { ok, checks } = await client.preflight({ offline: true })
    expect(ok).toBe(false)
    expect(checks.find(({ id }) => id === 'certificate')).toMatchObject({
      status: 'fail',
      message: expect.stringMatching(/expired on/),
    })
  })

  test('needs endpoints that can be shown it, and a bank that binds tokens to it', async () => {
    const { ok, rows } = await look(
      having({ mtls_endpoint_aliases: { token_endpoint: 'undefined/token' } }),
      await certificate(100),
    )
    expect(ok).toBe(false)
    expect(rows['endpoints A']?.message).toMatch(/no usable token_endpoint to which a certificate/)
    expect(rows['tls_client_certificate_bound_access_tokens A']).toMatchObject({ status: 'warn' })
    const { rows: binding } = await look(
      having({
        mtls_endpoint_aliases: { token_endpoint: 'https://mtls.bank.example/token' },
        tls_client_certificate_bound_access_tokens: true,
      }),
      await certificate(100),
    )
    expect(binding['endpoints A']?.message).toMatch(/^has token_endpoint/)
    expect(binding).not.toHaveProperty(['tls_client_certificate_bound_access_tokens A'])
  })
})

describe('plain answers of FAPI 2.0', () => {
  const plain = { flow: 'direct', profile: 'fapi2-security', dpop_bound_access_tokens: true } as const
  const row = 'authorization_response_iss_parameter_supported A'

  test.each([undefined, false, 'true'])('may lack an "iss" where a bank says of it: %j', async (said) => {
    const bend = having({ authorization_response_iss_parameter_supported: said })
    expect((await look(bend, plain)).rows[row]).toMatchObject({
      status: 'warn',
      message: expect.stringMatching(/does not say that its answers have an "iss"/),
      fix: expect.stringContaining('authorization_response_iss'),
    })
    for (const fine of [{ authorization_response_iss: 'optional' }, { response_mode: 'jwt' }] as const) {
      expect((await look(bend, { ...plain, ...fine })).rows).not.toHaveProperty([row])
    }
  })

  test('have one where it says so', async () => {
    expect((await look(same, plain)).rows).not.toHaveProperty([row])
  })

  test('are bound to a key of "jwks" only with a warning', async () => {
    const { jwks } = (await platform.config()) as { jwks: JSONWebKeySet }
    const [dpop_key] = jwks.keys.filter(({ use }) => use === 'sig')
    expect((await look(same, { ...plain, dpop_key })).rows['key_uses']).toMatchObject({
      status: 'warn',
      message: expect.stringMatching(/^one of "jwks" binds tokens as well, as "dpop_key": /),
    })
    const [other] = (await generateJwks({ alg: 'ES256' })).keys
    expect((await look(same, { ...plain, dpop_key: other })).rows['key_uses']).toMatchObject({ status: 'ok' })
  })

  test('need a key for signed userinfo as well', async () => {
    const { rows } = await look(same, { ...plain, userinfo_signed_response_alg: 'ES512' })
    expect(rows['bank A']).toMatchObject({ status: 'fail', message: expect.stringMatching(/ES512/) })
  })
})

describe('the way out', () => {
  test('that is refused is told, with the variable that is not used', async () => {
    process.env['HTTPS_PROXY'] = 'http://proxy.example:3128'
    try {
      const { ok, rows } = await look(same, { oidc_proxy_service_url: `${nobody}/proxy` })
      expect(ok).toBe(false)
      // The callback is at the same origin, whose own row says whether it answers.
      expect(rows['egress']).toMatchObject({ status: 'warn', message: expect.stringMatching(/HTTPS_PROXY/) })
      const other = await unusedOrigin()
      const { rows: blocked } = await look(same, { oidc_proxy_service_url: `${other}/proxy` })
      expect(blocked['egress']).toMatchObject({
        status: 'fail',
        message: expect.stringMatching(
          /^nothing gets through from here to \S+ \(ECONNREFUSED\); HTTPS_PROXY is set/,
        ),
      })
    } finally {
      delete process.env['HTTPS_PROXY']
    }
  })

  test('to a name that does not resolve is told', async () => {
    jest.spyOn(dns, 'lookup').mockImplementation(((
      _host: string,
      _options: object,
      callback: (err: Error) => void,
    ) => {
      callback(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }))
    }) as never)
    const client = new IDPartner({
      ...(await platform.config()),
      flow: 'direct',
      callback: `${nobody}/cb`,
      trusted_issuers: ['https://bank.invalid'],
    })
    const { checks } = await client.preflight()
    expect(checks.find(({ id }) => id === 'egress')).toMatchObject({
      status: 'fail',
      message: expect.stringContaining('bank.invalid (ENOTFOUND)'),
      fix: expect.stringContaining('DNS'),
    })
  })

  test('through a proxy that lets nothing through is told', async () => {
    const proxy = await ConnectProxy.start()
    proxy.intervene = (socket) => socket.end('HTTP/1.1 407 No\r\n\r\n')
    try {
      const client = new IDPartner({
        ...(await platform.config()),
        flow: 'direct',
        callback: `${nobody}/cb`,
        trusted_issuers: ['https://bank.example'],
        egress_proxy: proxy.url,
      })
      const { host } = new URL(proxy.url)
      const { checks } = await client.preflight()
      expect(checks.find(({ id }) => id === 'egress')).toMatchObject({
        status: 'fail',
        message: `nothing gets through from here to bank.example (the proxy ${host} answered HTTP 407: check the credentials in "egress_proxy"), through the proxy ${host}`,
      })
    } finally {
      proxy.close()
    }
  })
})
