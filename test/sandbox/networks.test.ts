import { afterAll, afterEach, describe, expect, jest, test } from '@jest/globals'
import type { Network } from '../../lib/client/networks.js'
import { startSandbox, type Sandbox, type SandboxOptions } from 'passport-idpartner/sandbox'
import { login } from 'passport-idpartner/testing'
import { NETWORK_NAMES } from '../../lib/sandbox/networks.js'
import { startApp, type TestAppOptions } from '../support/app.js'
import { Browser, textOf } from '../support/browser.js'
import { NetworkApp, seconds, sha256, type Answer, type Bend } from '../support/network-app.js'
import { agree, discover, generateKey, paramOf, present } from '../support/sandbox-app.js'

const closing: (() => Promise<unknown>)[] = []

afterEach(async () => {
  jest.restoreAllMocks()
  for (const close of closing.splice(0).reverse()) await close()
})

/** The keys that an application of the network has. */
const keysOf = (network: string): TestAppOptions['keys'] =>
  network.startsWith('singpass') ? { alg: 'ES256', enc: 'ECDH-ES+A256KW' } : true

describe('sandbox.config is all that an application needs beside its keys', () => {
  test.each(NETWORK_NAMES)('%s', async (network) => {
    const lines: string[] = []
    const app = await startApp({
      sandbox: { network, banks: [{ name: 'Mikomo Bank' }], log: (line) => lines.push(line) },
      keys: keysOf(network),
    })
    closing.push(() => app.close())
    const { page } = await login(app.url, { sandbox: app.sandbox })
    expect(JSON.parse(page.text)).toEqual({ user: { sub: app.sandbox.banks[0]?.personas[0]?.claims.sub } })
    expect(lines).toEqual([])
  })

  test('and says nothing that the network stands for, so that mistakes in your own options show', async () => {
    const sandbox = await started({ network: 'openfinance-uae' })
    expect(sandbox.config).not.toHaveProperty('profile')
    expect(sandbox.config).not.toHaveProperty('response_mode')
    expect(sandbox.config).not.toHaveProperty('request_object_signing_alg')
  })
})

async function started(options: Partial<SandboxOptions>): Promise<Sandbox> {
  const sandbox = await startSandbox({
    client_id: 'my-app',
    callback: 'http://localhost:3000/login/callback',
    jwks_uri: 'http://localhost:3000/jwks',
    banks: [{ name: 'Mikomo Bank' }],
    log: false,
    ...options,
  })
  closing.push(() => sandbox.close())
  return sandbox
}

describe('what the network decides on is refused otherwise', () => {
  test.each<[SandboxOptions['network'], Partial<SandboxOptions>, RegExp]>([
    ['connectid-au', { profile: 'fapi2-security' }, /"profile" must be fapi2-message-signing \(network "co/],
    ['connectid-au', { dpop_bound_access_tokens: true }, /"dpop_bound_access_tokens" must be false/],
    ['connectid-au', { request_object_signing_alg: 'ES256' }, /"request_object_signing_alg" must be PS256/],
    ['singpass', { flow: 'proxy' }, /"flow" must be direct/],
    ['singpass', { token_endpoint_auth_signing_alg: 'PS256' }, /must be ES256 or ES384 or ES512/],
    ['singpass-myinfo', { userinfo_encrypted_response_enc: 'A256CBC-HS512' }, /must be A256GCM/],
    ['helseid', { token_endpoint_auth_method: 'tls_client_auth' }, /must be private_key_jwt/],
    ['esignet', { response_mode: 'jwt' }, /"response_mode" must be query/],
    ['openfinance-uae', { tls_client_certificate_bound_access_tokens: false }, /must be true/],
    ['nowhere' as never, {}, /"network" must be one of connectid-au, singpass/],
    ['toString' as never, {}, /"network" must be one of/],
  ])('%s: %j', async (network, options, message) => {
    await expect(started({ network, ...options })).rejects.toThrow(message)
  })

  test('and taken where an application can be registered so', async () => {
    const sandbox = await started({
      network: 'singpass',
      id_token_encrypted_response_alg: 'ECDH-ES+A128KW',
      flow: 'direct',
    })
    expect(sandbox.config).toMatchObject({ id_token_encrypted_response_alg: 'ECDH-ES+A128KW' })
  })
})

const apps = new Map<string, Promise<NetworkApp>>()

function appOf(network: Network): Promise<NetworkApp> {
  const app = apps.get(network) ?? NetworkApp.start(network)
  apps.set(network, app)
  return app
}

afterAll(async () => {
  for (const app of apps.values()) await (await app).close()
})

test.each(NETWORK_NAMES)(
  'a bank of %s takes a pushed request of any application that follows its rules',
  async (network) => {
    const app = await appOf(network)
    app.lines.length = 0
    expect(await app.push()).toMatchObject({ status: 201 })
    expect(app.lines).toEqual([])
  },
)

describe('it refuses another, and says why, there and where the sandbox prints it:', () => {
  const now = seconds()
  test.each<[Network, string, Bend, number, RegExp]>([
    [
      'singpass',
      'an assertion without typ',
      { assertionHeader: { typ: undefined } },
      401,
      /no typ JWT, or no kid/,
    ],
    [
      'singpass',
      'an assertion without kid',
      { assertionHeader: { kid: undefined } },
      401,
      /no typ JWT, or no kid/,
    ],
    [
      'singpass',
      'an assertion with a claim too many',
      { assertion: { email: 'a@b' } },
      401,
      /has email, which is none/,
    ],
    [
      'singpass',
      'an assertion that is older than it may live',
      { assertion: { iat: now - 100 } },
      401,
      /more than 120 s/,
    ],
    ['singpass', 'an assertion without iat', { assertion: { iat: undefined } }, 401, /no iat/],
    [
      'helseid',
      'an assertion for longer',
      { assertion: { exp: now + 600 } },
      401,
      /lives for more than 60 s/,
    ],
    ['singpass', 'a short state', { asked: { state: 'short' } }, 400, /state must be 30 to 255/],
    ['singpass', 'a state of other letters', { asked: { state: 'ü'.repeat(40) } }, 400, /state must be 30/],
    ['singpass', 'a short nonce', { asked: { nonce: 'short' } }, 400, /nonce must be 30 to 255/],
    ['singpass', 'no nonce', { asked: { nonce: undefined } }, 400, /the parameter nonce is missing/],
    ['helseid', 'no nonce', { asked: { nonce: undefined } }, 400, /the parameter nonce is missing/],
    ['esignet', 'no state', { asked: { state: undefined } }, 400, /the parameter state is missing/],
    ['connectid-au', 'no nonce', { asked: { nonce: undefined } }, 400, /the parameter nonce is missing/],
    ['singpass', 'an empty type', { asked: { authentication_context_type: '' } }, 400, /_type is missing/],
    [
      'singpass',
      'a type that is none',
      { asked: { authentication_context_type: 'a' } },
      400,
      /_type must be/,
    ],
    [
      'singpass',
      'neither proof nor its key',
      { headers: { dpop: undefined } },
      400,
      /neither a DPoP proof nor/,
    ],
    [
      'esignet',
      'neither proof nor its key',
      { headers: { dpop: undefined } },
      400,
      /neither a DPoP proof nor/,
    ],
    [
      'singpass',
      'a long proof',
      { proof: { iat: now, exp: now + 500 } },
      400,
      /proof lives for more than 120 s/,
    ],
    [
      'singpass-myinfo',
      'a parameter of IDPartner',
      { asked: { idpartner_token: 'a' } },
      400,
      /idpartner_token is unknown/,
    ],
    [
      'openfinance-uae',
      'a parameter beside the signed request',
      { form: { scope: 'openid' } },
      400,
      /scope stands beside the signed re/,
    ],
    ['openfinance-uae', 'a strange one beside it', { form: { a: 'b' } }, 400, /the parameter a is unknown/],
    [
      'openfinance-uae',
      'sub among its claims',
      { request: { sub: 'a' } },
      400,
      /the parameter sub is unknown/,
    ],
    [
      'openfinance-uae',
      'a consent without content',
      { asked: { authorization_details: [] } },
      400,
      /must be a list with the/,
    ],
    [
      'openfinance-uae',
      'an old signed request',
      { request: { nbf: now - 700 } },
      400,
      /the nbf of the signed request is more than 10 min/,
    ],
    [
      'openfinance-uae',
      'a signed request that lives for long',
      { request: { exp: now + 3000 } },
      400,
      /the exp of the signed request is more than 10 min/,
    ],
    [
      'openfinance-uae',
      'no interaction id',
      { headers: { 'x-fapi-interaction-id': undefined } },
      400,
      /-id is no UUID/,
    ],
    [
      'connectid-au',
      'an interaction id that is no UUID',
      { headers: { 'x-fapi-interaction-id': 'one' } },
      400,
      /-id is no UUID/,
    ],
    [
      'connectid-au',
      'claims of userinfo',
      { asked: { claims: { id_token: { txn: { essential: true } }, userinfo: { email: null } } } },
      400,
      /nothing in userinfo/,
    ],
    [
      'connectid-au',
      'a txn that is optional',
      { asked: { claims: { id_token: { txn: null } } } },
      400,
      /must ask for txn in id_token as essential/,
    ],
  ])('%s, %s', async (network, _title, bend, status, why) => {
    const app = await appOf(network)
    app.lines.length = 0
    expect(await app.push(bend)).toMatchObject({ status, error_description: expect.stringMatching(why) })
    expect(app.lines).toEqual([expect.stringMatching(why)])
    expect(app.lines[0]).toMatch(/^sandbox: Mikomo Bank refused a (pushed )?request of sandbox-app: \w+: /)
  })
})

test.each<[string, (issuer: string) => unknown]>([
  ['the issuer in a list', (issuer) => [issuer]],
  ['an endpoint', (issuer) => `${issuer}/token`],
])('it refuses an assertion for %s, and not for the issuer', async (_title, audOf) => {
  const app = await appOf('singpass')
  expect(await app.push({ assertion: { aud: audOf(app.issuer) } })).toMatchObject({
    status: 401,
    error_description: expect.stringMatching(/has not the issuer, as one text, for its aud/),
  })
  expect(await app.push({ assertion: { aud: app.issuer } })).toMatchObject({ status: 201 })
})

describe('an assertion lives', () => {
  test.each<[Network, number]>([
    ['connectid-au', 300],
    ['singpass', 120],
    ['singpass-myinfo', 120],
    ['helseid', 60],
    ['esignet', 300],
    ['openfinance-uae', 300],
  ])('at %s for at most %i s, from its iat and from now', async (network, most) => {
    const app = await appOf(network)
    // A moment back, since time goes on while it is made.
    const iat = seconds() - 5
    expect(await app.push({ assertion: { iat, nbf: iat, exp: iat + most } })).toMatchObject({ status: 201 })
    const early = { iat, nbf: iat, exp: iat + most + 1 }
    expect(await app.push({ assertion: early })).toMatchObject({ status: 401, error: 'invalid_client' })
    const ahead = seconds() + 10
    const late = { iat: ahead, nbf: iat, exp: ahead + most }
    expect(await app.push({ assertion: late })).toMatchObject({ status: 401, error: 'invalid_client' })
  })
})

test.each<[Network, string[], string[]]>([
  ['singpass', ['ES256', 'ES384', 'ES512'], ['PS256', 'EdDSA']],
  ['helseid', ['PS256', 'ES256', 'ES384', 'ES512'], ['EdDSA']],
  ['esignet', ['PS256'], ['ES256', 'EdDSA']],
])('proofs of %s are signed with one of %j, and not with %j', async (network, known, unknown) => {
  const app = await appOf(network)
  for (const alg of [...known, ...unknown]) {
    const { status } = await app.push({ proofKey: await generateKey(alg) })
    expect({ alg, status }).toEqual({ alg, status: known.includes(alg) ? 201 : 400 })
  }
})

test('answers of HelseID have what its own have beside, and those of others do not', async () => {
  for (const network of ['helseid', 'esignet'] as const) {
    const app = await appOf(network)
    const { request_uri = '' } = await app.push()
    const browser = new Browser(app.callback)
    const { url } = await agree(browser, await browser.open(app.visit({ request_uri })))
    const names = [...new URL(url).searchParams.keys()].filter((name) => name !== 'tenant').sort()
    expect(names).toEqual(
      network === 'helseid' ? ['code', 'iss', 'session_state', 'state'] : ['code', 'iss', 'state'],
    )
  }
})

test('userinfo of a network with certificates has none without, and the sandbox prints why', async () => {
  const app = await appOf('openfinance-uae')
  app.lines.length = 0
  const response = await fetch(`${app.issuer}/me`, { headers: { authorization: 'Bearer any' } })
  expect(response.status).toBe(401)
  expect(response.headers.get('www-authenticate')).toMatch(/^Bearer error="invalid_token", .*no client cert/)
  expect(app.lines).toEqual([expect.stringMatching(/refused a userinfo request .* no client certificate/)])
})

test('a login that begins after a refusal has the fault that waits', async () => {
  const app = await appOf('singpass')
  app.sandbox.next({ fault: 'access_denied' })
  expect(await app.push({ asked: { nonce: undefined } })).toMatchObject({ status: 400 })
  const { request_uri = '' } = await app.push()
  const { url } = await new Browser(app.callback).open(app.visit({ request_uri }))
  expect(paramOf(url, 'error')).toBe('access_denied')
})

test.each<[Network, string]>([
  ['singpass', 'identity_number'],
  ['singpass-myinfo', 'person_info'],
  ['helseid', 'helseid://claims/identity/pid'],
  ['esignet', 'Philip Lindqvist'],
])('whoever agrees at a bank of %s reads what comes with openid: %s', async (network, what) => {
  const app = await appOf(network)
  const { request_uri = '' } = await app.push()
  const browser = new Browser(app.callback)
  const form = await browser.open(app.visit({ request_uri }))
  const consent = await browser.press(form, 'Log in', { login: 'mikomo_10', password: 'mikomo_10' })
  const [, shared = ''] = textOf(consent.html).split('The app will see nothing else')
  expect(shared).toContain(what)
})

test('an authorization URL holds nothing else, and the page says so', async () => {
  const app = await appOf('singpass')
  app.lines.length = 0
  const { request_uri = '' } = await app.push()
  const page = await new Browser(app.callback).open(app.visit({ request_uri, scope: 'openid' }))
  expect(page.status).toBe(400)
  expect(textOf(page.html)).toContain('the authorization URL holds scope beside client_id and request_uri')
  expect(app.lines).toEqual([expect.stringMatching(/refused an authorization request .* holds scope beside/)])
})

test('a verifier of Singpass has neither . nor ~', async () => {
  const app = await appOf('singpass')
  const verifier = 'a.~'.repeat(20)
  const { request_uri = '' } = await app.push({ asked: { code_challenge: sha256(verifier) } })
  const browser = new Browser(app.callback)
  const { url } = await agree(browser, await browser.open(app.visit({ request_uri })))
  expect(await app.redeem(paramOf(url, 'code'), { form: { code_verifier: verifier } })).toMatchObject({
    status: 400,
    error_description: expect.stringMatching(/code_verifier must be 43 to 128/),
  })
})

describe('a nonce of eSignet', () => {
  test('is good for fifteen seconds by its clock', async () => {
    const app = await appOf('esignet')
    const code = await app.code()
    const late = present((await app.redeem(code)).nonce)
    const clock = Date.now
    jest.spyOn(Date, 'now').mockImplementation(() => clock() + 15_000)
    const refused = await app.redeem(code, { proof: { nonce: late } })
    expect(refused).toMatchObject({ status: 400, error: 'use_dpop_nonce' })
    expect(refused.nonce).not.toBe(late)
    const { nonce } = refused
    jest.spyOn(Date, 'now').mockImplementation(() => clock() + 29_000)
    expect(await app.redeem(code, { proof: { nonce } })).toMatchObject({ status: 200, token_type: 'DPoP' })
  })

  test('is for one request alone, and for none of others that are under way', async () => {
    const app = await appOf('esignet')
    const { verifier } = app.proofs
    const one = { code: await app.code(), verifier: app.proofs.verifier }
    const two = { code: await app.code(), verifier: app.proofs.verifier }
    expect(verifier).not.toBe(one.verifier)
    const first = present((await app.redeem(one.code)).nonce)
    const second = present((await app.redeem(two.code)).nonce)
    expect(second).not.toBe(first)
    const redeem = ({ code, verifier: code_verifier }: typeof one, nonce: string): Promise<Answer> =>
      app.redeem(code, { form: { code_verifier }, proof: { nonce } })
    expect(await redeem(one, first)).toMatchObject({ status: 200 })
    expect(await redeem(two, first)).toMatchObject({ error: 'use_dpop_nonce' })
    expect(await redeem(two, second)).toMatchObject({ status: 200 })
  })
})

describe('Singpass without /fapi', () => {
  test('is a document without pushed requests', async () => {
    const app = await appOf('singpass')
    expect(app.issuer).toMatch(/\/banks\/mikomo-bank\/fapi$/)
    const issuer = app.issuer.replace(/\/fapi$/, '')
    const document = await discover(issuer)
    expect(document).toMatchObject({ issuer, token_endpoint: `${issuer}/token` })
    expect(document).not.toHaveProperty('pushed_authorization_request_endpoint')
  })

  test('and no other network has one', async () => {
    const app = await appOf('helseid')
    expect(app.issuer).toMatch(/\/banks\/mikomo-bank$/)
  })
})

test('an application without a key to encrypt to is told which it needs', async () => {
  const app = await NetworkApp.start('singpass', false)
  closing.push(() => app.close())
  const why = /include none for ECDH-ES\+A256KW, which singpass encrypts with/
  expect(await app.push()).toMatchObject({ status: 400, error_description: expect.stringMatching(why) })
  expect(app.lines).toEqual([expect.stringMatching(why)])
})

test('a network has no payments, and does not announce any', async () => {
  const { issuer } = await appOf('helseid')
  expect(Object.keys(await discover(issuer)).filter((name) => name.includes('payment'))).toEqual([])
  expect((await fetch(`${issuer}/payment_details`)).status).toBe(404)
})
