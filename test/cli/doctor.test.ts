import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { generate } from 'selfsigned'
import { IDPartner, generateJwks, type Checks, type IDPartnerConfig } from 'passport-idpartner'
import { startApp, type TestApp } from '../support/app.js'
import { cli, cliJson, privateValues } from '../support/cli.js'
import { tlsCertificates } from '../support/certificates.js'
import { clientJwks } from '../support/key-pairs.js'
import { pkcs12 } from '../support/pkcs12.js'

type Jwks = Awaited<ReturnType<typeof generateJwks>>
type Options = Record<string, unknown>

const folder = mkdtempSync(path.join(tmpdir(), 'doctor-'))
const file = path.join(folder, 'options.json')

let jwks: Jwks
let proxy: TestApp
let direct: TestApp
let expired: { cert: string; private: string }

beforeAll(async () => {
  jwks = await clientJwks()
  ;[proxy, direct, expired] = await Promise.all([
    startApp({ strategy: { jwks } }),
    startApp({
      keys: false,
      sandbox: { flow: 'direct', token_endpoint_auth_method: 'client_secret_basic' },
    }),
    generate([{ name: 'commonName', value: 'app' }], {
      keyType: 'ec',
      algorithm: 'sha256',
      notBeforeDate: new Date('2020-01-01'),
      notAfterDate: new Date('2021-01-01'),
    }),
  ])
})

afterAll(async () => {
  await Promise.all([proxy.close(), direct.close()])
  rmSync(folder, { recursive: true, force: true })
})

afterEach(() => {
  jest.restoreAllMocks()
})

async function doctor(
  options: Options,
  ...args: string[]
): Promise<Checks & { printed: string; code: number }> {
  writeFileSync(file, JSON.stringify(options))
  const found = await cliJson<Checks>(['doctor', '--config', file, ...args])
  const { code, out, err } = await cli(['doctor', '--config', file, ...args])
  return { ...found, code, printed: JSON.stringify(found) + out + err }
}

const inProxyFlow = (more: Options = {}): Options => ({ ...proxy.sandbox.config, jwks, ...more })
const inDirectFlow = (more: Options = {}): Options => ({ ...direct.sandbox.config, ...more })

describe('where all is well, doctor finds nothing wrong', () => {
  test('in the proxy flow', async () => {
    const { ok, code, checks } = await doctor(inProxyFlow())
    expect(checks.filter(({ status }) => status === 'fail' || status === 'warn')).toEqual([])
    expect({ ok, code }).toEqual({ ok: true, code: 0 })
    expect(checks.filter(({ status }) => status === 'ok').map(({ id }) => id)).toEqual([
      'node',
      'signing_key',
      'encryption_key',
      'key_uses',
      'callback',
      'published_keys',
      'trust_directory',
      'proxy',
      'login_request',
      'clock',
      'egress',
    ])
  })

  test('in the direct flow, for each bank', async () => {
    const { ok, checks } = await doctor(inDirectFlow())
    expect(ok).toBe(true)
    const banks = checks.filter(({ id }) => id.startsWith('bank '))
    expect(banks.map(({ status }) => status)).toEqual(direct.sandbox.banks.map(() => 'ok'))
  })

  test('and asks nobody offline', async () => {
    const { ok, checks } = await doctor(
      inProxyFlow({ oidc_proxy_service_url: 'http://localhost:1/proxy' }),
      '--offline',
    )
    expect(ok).toBe(true)
    expect(checks.at(-1)).toMatchObject({ id: 'network', status: 'skip' })
  })
})

describe('somebody is told in one sentence of', () => {
  const broken = (): Jwks => ({
    keys: jwks.keys.map((key, at) => ({ ...key, n: jwks.keys[1 - at]?.n ?? '' })),
  })
  test.each<[string, () => Options | Promise<Options>, string, RegExp]>([
    ['a broken key', () => inProxyFlow({ jwks: broken() }), 'options', /"jwks" holds a damaged key: key 1/],
    [
      'one key for both uses',
      () =>
        inProxyFlow({
          jwks: { keys: [jwks.keys[0], { ...jwks.keys[0], kid: 'two', use: 'enc', alg: 'RSA-OAEP' }] },
        }),
      'key_uses',
      /one key is used for both/,
    ],
    [
      'a callback where no route is',
      () => inProxyFlow({ callback: `${proxy.url}/calback` }),
      'callback',
      /no route .* HTTP 404/,
    ],
    [
      'a callback that is not registered',
      () => inProxyFlow({ callback: `${proxy.url}/callback` }),
      'login_request',
      /IDPartner refuses a login request with HTTP 400/,
    ],
    [
      'another client id',
      () => inProxyFlow({ client_id: 'other' }),
      'login_request',
      /refuses a login request/,
    ],
    [
      'keys that are not published yet',
      async () => inProxyFlow({ jwks: await generateJwks({ modulusLength: 2048 }) }),
      'published_keys',
      /not published: [\w-]{43}, [\w-]{43}, at http/,
    ],
    [
      'an expired certificate',
      () => inProxyFlow({ tls_client_cert: expired.cert, tls_client_key: expired.private }),
      'options',
      /"tls_client_cert" expired on Jan/,
    ],
    [
      'a bank that is spelled differently',
      () => inDirectFlow({ trusted_issuers: [`${direct.sandbox.banks[0]?.issuer ?? ''}/`] }),
      'bank',
      /"trusted_issuers" has .*: spell it as the bank does/,
    ],
    [
      'a bank that is none',
      () => inDirectFlow({ trusted_issuers: [`${direct.sandbox.url}/nobody`] }),
      'bank',
      /the discovery document of the bank .* HTTP 404/,
    ],
    [
      'a wrong secret',
      () => inDirectFlow({ client_secret: 'wrong-secret-of-an-app' }),
      'bank',
      /client_secret/,
    ],
    [
      'a proxy that is not there',
      () => inProxyFlow({ oidc_proxy_service_url: `${proxy.sandbox.url}/other` }),
      'proxy',
      /discovery document/,
    ],
  ])('%s', async (_name, options, id, message) => {
    const { ok, code, checks } = await doctor(await options())
    expect({ ok, code }).toEqual({ ok: false, code: 1 })
    const found = checks.find((one) => one.id.split(' ')[0] === id && one.status === 'fail')
    expect(found).toMatchObject({ message: expect.stringMatching(message), fix: expect.any(String) })
  })

  test('a missing jwksRouter', async () => {
    const { checks } = await doctor(inProxyFlow(), '--jwks-uri', `${proxy.url}/nowhere`)
    expect(checks.find(({ id }) => id === 'published_keys')).toMatchObject({
      status: 'fail',
      message: expect.stringMatching(/HTTP 404/),
      fix: expect.stringMatching(/jwksRouter/),
    })
  })

  test('a clock that is wrong', async () => {
    const { now } = Date
    jest.spyOn(Date, 'now').mockImplementation(() => now() + 600_000)
    const client = new IDPartner(inProxyFlow() as unknown as IDPartnerConfig)
    const { checks } = await client.preflight()
    expect(checks.find(({ id }) => id === 'clock')).toMatchObject({
      status: 'fail',
      message: expect.stringMatching(/(599|600|601) s ahead of that of others/),
    })
  })
})

test('nothing secret is in either form', async () => {
  const secret = direct.sandbox.config.client_secret ?? ''
  const { printed } = await doctor(inProxyFlow({ callback: `${proxy.url}/calback` }))
  const { printed: more } = await doctor(inDirectFlow({ jwks, client_secret: `${secret}x` }))
  const { printed: bad } = await doctor(
    inProxyFlow({ tls_client_cert: expired.cert, tls_client_key: expired.private }),
  )
  const secrets = [
    ...privateValues(jwks),
    secret,
    ...expired.private.split('\n').filter((line) => line.length > 30),
  ]
  expect(secrets.length).toBeGreaterThan(12)
  for (const one of secrets) expect(printed + more + bad).not.toContain(one)
})

describe('the options may be', () => {
  test.each([
    ['options.cjs', 'module.exports = '],
    ['options.mjs', 'export default '],
    ['options.JSON', ''],
  ])('of a file that exports or is them: %s', async (name, before) => {
    const target = path.join(folder, name)
    writeFileSync(target, before + JSON.stringify(inProxyFlow()))
    expect(await cli(['doctor', '--config', target, '--offline'])).toMatchObject({ code: 0 })
  })

  test.each([
    ['none.mjs', 'export const options = {}', /has to export the strategy's options/],
    ['broken.mjs', 'export default {', /could not be loaded \(SyntaxError\)/],
    ['broken.json', '{ "client_secret": "the-secret"', /broken.json is not JSON$/m],
    ['throws.mjs', 'throw new Error("the-secret")', /could not be loaded \(Error\)$/m],
  ])('nothing that cannot be read, and is not quoted: %s', async (name, content, message) => {
    const target = path.join(folder, name)
    writeFileSync(target, content)
    const { code, out, err } = await cli(['doctor', '--config', target, '--offline'])
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(message)
    expect(err).not.toContain('the-secret')
  })

  const keys = path.join(folder, 'jwks.json')

  /** What doctor says of variables in a file, without the network. */
  const doctorOf = (...variables: string[]): ReturnType<typeof cli> => {
    const env = path.join(folder, 'app.env')
    const lines = ['CLIENT_ID=app', 'CALLBACK=https://app.example/cb', ...variables]
    writeFileSync(keys, JSON.stringify(jwks))
    writeFileSync(env, lines.map((one) => `IDPARTNER_${one}`).join('\n'))
    return cli(['doctor', '--env', env, '--offline'])
  }

  test('variables of a file', async () => {
    expect(await doctorOf(`JWKS_FILE=${keys}`, 'TIMEOUT=900')).toMatchObject({ code: 0 })
  })

  test.each<[string, string, number]>([
    ['DPOP_BOUND_ACCESS_TOKENS=true', '', 0],
    ['DPOP_BOUND_ACCESS_TOKENS=yes', 'option "dpop_bound_access_tokens" must be true or false', 1],
    ['CLIENT_ASSERTION_LIFETIME=60', '', 0],
    ['CLIENT_ASSERTION_LIFETIME=301', 'option "client_assertion_lifetime" must be at most', 1],
    ['RESOURCE_SERVERS=https://api.bank.example, https://b.bank.example', '', 0],
    ['ID_TOKEN_ENCRYPTED_RESPONSE_ALG=RSA-OAEP RSA-OAEP-256', '', 0],
    ['CLAIMS={"id_token":{"email":null}}', '', 0],
    ['CLAIMS={"email":null}', 'option "claims" must have', 1],
    ['AUTHORIZATION_PARAMS={"resource":"urn:api"}', '', 0],
    ['AUTHORIZATION_PARAMS=resource', 'IDPARTNER_AUTHORIZATION_PARAMS is not JSON', 2],
    ['FETCHUSERINFO=true', '', 0],
    ['SCOPE=openid email', '', 0],
  ])('a variable for what FAPI 2.0 needs: %s', async (line, said, expected) => {
    const trusted = ['FLOW=direct', 'TRUSTED_ISSUERS=https://bank.example']
    const { code, out, err } = await doctorOf(`JWKS_FILE=${keys}`, ...trusted, line)
    expect({ code, text: out + err }).toEqual({ code: expected, text: expect.stringContaining(said) })
  })

  test('a variable for a file that is no text', async () => {
    const { client } = await tlsCertificates()
    const file = path.join(folder, 'client.p12')
    const passphrase = 'open me'
    writeFileSync(file, await pkcs12({ keys: [client.key], certificates: [client.cert], passphrase }))
    const { code, out } = await doctorOf(
      `JWKS_FILE=${keys}`,
      `TLS_CLIENT_PFX_FILE=${file}`,
      `TLS_CLIENT_PASSPHRASE=${passphrase}`,
    )
    expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/certificate .* days/) })
  })

  test('a variable that says with a file: URL where the keys are, as the option may', async () => {
    const { code, out } = await doctorOf(`JWKS=${String(pathToFileURL(keys))}`)
    expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/signing_key/) })
  })
})

test.each<[string, string[], RegExp]>([
  ['no file', ['--config', '/no/such.json'], /cannot be read \(ENOENT\)/],
  ['two', ['--config', 'a.json', '--env', '.env'], /not both/],
  ['neither', [], /--config FILE/],
])('with %s it could not be run', async (_name, args, message) => {
  expect(await cli(['doctor', ...args])).toMatchObject({ code: 2, err: expect.stringMatching(message) })
})
