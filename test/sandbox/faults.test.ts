import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  compactVerify,
  decodeJwt,
  decodeProtectedHeader,
  importJWK,
  type JSONWebKeySet,
  type JWTPayload,
} from 'jose'
import { IDPartner, IDPartnerError, generateJwks, jwksRouter } from '../../lib/index.js'
import { faultsOf } from '../../lib/sandbox/faults.js'
import {
  FAULTS,
  startSandbox,
  type Fault,
  type Sandbox,
  type SandboxOptions,
} from '../../lib/sandbox/index.js'
import { Browser } from '../support/browser.js'
import { SandboxApp, agree, logInThroughProxy, paramOf, present } from '../support/sandbox-app.js'

/** What the app sees: `logged in`, or the code and status of the error; and what its message says. */
type Outcome = [seen: string, says?: RegExp]

const EXPECTED: Record<Fault, Outcome> = {
  access_denied: ['access_denied 401'],
  login_required: ['provider_error 401', /login_required/],
  server_error: ['provider_error 502', /server_error/],
  temporarily_unavailable: ['provider_error 503', /temporarily_unavailable/],
  unknown_parameter: ['provider_error 502', /invalid_request/],
  client_refused: ['provider_error 502', /invalid_client/],
  expired_document: ['response_invalid 401', /expired|clock/],
  clock_off: ['response_invalid 401', /clock/],
  rogue_key: ['response_invalid 401', /signature/],
  wrong_audience: ['response_invalid 401', /"aud"/],
  unencrypted: ['response_invalid 401', /is not encrypted/],
  forged_answer: ['response_invalid 401', /signature/],
  other_state: ['login_missing 401'],
  wrong_iss: ['response_invalid 401', /another-bank\.example/],
  missing_iss: ['response_invalid 401', /iss/],
  doubled_iss: ['response_invalid 401', /iss/],
  id_token_rogue_key: ['token_invalid 502', /signature/],
  id_token_wrong_nonce: ['token_invalid 502', /nonce/],
  id_token_unencrypted: ['token_invalid 502', /is not encrypted/],
  id_token_expired: ['token_invalid 502', /expired|clock/],
  bank_down: ['provider_unavailable 503', /HTTP 503/],
  token_error: ['provider_error 502', /invalid_grant/],
  slow: ['provider_unavailable 504', /in time|timeout/],
  other_token_type: ['token_invalid 502', /bound by DPoP/],
  dpop_new_nonces: ['logged in'],
  dpop_endless_nonces: ['provider_error 502', /use_dpop_nonce/],
  dpop_no_nonce: ['provider_error 502', /asked for a DPoP nonce, and sent no nonce/],
  dpop_replayed: ['provider_error 502', /invalid_dpop_proof/],
  rotated_keys: ['logged in'],
}

/** What nobody has signed does not count against the bank. */
const UNSIGNED: Partial<Record<Fault, string>> = {
  server_error: 'provider_error 401',
  temporarily_unavailable: 'provider_error 401',
}

const ES256 = {
  authorization_signed_response_alg: 'ES256',
  id_token_signed_response_alg: 'ES256',
  id_token_encrypted_response_alg: 'ECDH-ES',
  authorization_encrypted_response_alg: 'ECDH-ES',
} as const
const bound = { ...ES256, flow: 'direct', dpop_bound_access_tokens: true } as const
const SETTINGS: [string, Partial<SandboxOptions>][] = [
  ['the proxy flow', { flow: 'proxy' }],
  ['the direct flow', { ...ES256, flow: 'direct' }],
  ['the direct flow, bound by DPoP', bound],
  ['FAPI 2.0, bound by DPoP', { ...bound, profile: 'fapi2-security' }],
  ['FAPI 2.0 with signed messages, bound by DPoP', { ...bound, profile: 'fapi2-message-signing' }],
  [
    'FAPI 2.0 with signed messages, bound by a certificate',
    {
      ...ES256,
      flow: 'direct',
      profile: 'fapi2-message-signing',
      token_endpoint_auth_method: 'tls_client_auth',
    },
  ],
]

describe.each(SETTINGS)('in %s', (_name, options) => {
  const { flow = 'proxy', profile = 'fapi1-advanced', dpop_bound_access_tokens = false } = options
  const response_mode = profile === 'fapi2-security' ? 'query' : 'jwt'
  const possible = faultsOf({ flow, response_mode, dpop_bound_access_tokens })
  let server: Server
  let sandbox: Sandbox
  let client: IDPartner
  let impatient: IDPartner

  beforeAll(async () => {
    const jwks = await generateJwks(flow === 'proxy' ? {} : { alg: 'ES256', enc: 'ECDH-ES' })
    server = createServer()
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
    const origin = `http://localhost:${String((server.address() as AddressInfo).port)}`
    sandbox = await startSandbox({
      client_id: 'faulty',
      callback: `${origin}/callback?tenant=a%20b`,
      jwks_uri: `${origin}/jwks`,
      banks: [{ name: 'Mikomo Bank', id: 'mikomo' }],
      ...options,
    })
    client = new IDPartner({ ...sandbox.config, jwks, timeout: 30_000 })
    impatient = new IDPartner({ ...sandbox.config, jwks, timeout: 2500 })
    const router = jwksRouter(client)
    server.on('request', (req, res) => {
      router(req, res, () => res.end())
    })
  })

  afterAll(async () => {
    await sandbox.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  async function logIn(at = client): Promise<{ seen: string; message: string }> {
    const bank = present(sandbox.banks[0])
    const proofs = client.generateProofs()
    const query = flow === 'direct' ? { iss: bank.issuer } : {}
    try {
      const url = await client.getAuthorizationUrl(query, proofs, ['openid', 'email'])
      const browser = new Browser(sandbox.config.callback)
      let page = await browser.open(url)
      if (flow === 'proxy') page = await browser.press(page, bank.name)
      // A bank that refuses at once shows no page.
      if (page.status !== 0) page = await agree(browser, page)
      expect(page.url).toMatch(`${sandbox.config.callback}&`)
      const answer = new URL(page.url).searchParams
      const response =
        flow === 'proxy'
          ? (await at.unpackProxyResponse(answer)).idp_response_code
          : response_mode === 'query'
            ? answer
            : paramOf(page.url, 'response')
      const set = await at.token(response, proofs, bank.issuer)
      expect(set.claims.email).toBe('philip.lindqvist@example.com')
      const info = await at.userInfo(bank.issuer, set)
      expect(info.sub).toBe(set.claims.sub)
      return { seen: 'logged in', message: '' }
    } catch (err) {
      if (!(err instanceof IDPartnerError)) throw err
      return { seen: `${err.code} ${String(err.status)}`, message: err.message }
    }
  }

  test.each(possible)('%s is seen as it says, once', async (fault) => {
    const [signed, says = /^/] = EXPECTED[fault]
    const seen = (response_mode === 'query' && UNSIGNED[fault]) || signed
    sandbox.next({ fault })
    expect(await logIn(fault === 'slow' ? impatient : client)).toEqual({
      seen,
      message: expect.stringMatching(says),
    })
    expect((await logIn()).seen).toBe('logged in')
  })

  test('what cannot happen here is refused, and the message says what it needs', () => {
    for (const fault of (Object.keys(FAULTS) as Fault[]).filter((one) => !possible.includes(one))) {
      expect(() => {
        sandbox.next({ fault })
      }).toThrow(
        /^sandbox\.next: fault "\w+" needs (the direct flow|dpop_bound_access_tokens|signed answers)/,
      )
    }
  })

  test('only the login that begins next goes wrong, not one that is under way', async () => {
    const bank = present(sandbox.banks[0])
    const proofs = client.generateProofs()
    const query = flow === 'direct' ? { iss: bank.issuer } : {}
    const browser = new Browser(sandbox.config.callback)
    let page = await browser.open(await client.getAuthorizationUrl(query, proofs, ['openid', 'email']))
    sandbox.next({ fault: 'access_denied' })
    if (flow === 'proxy') page = await browser.press(page, bank.name)
    page = await agree(browser, page)
    expect(new URL(page.url).searchParams.has(response_mode === 'jwt' ? 'response' : 'code')).toBe(true)
    expect((await logIn()).seen).toBe('access_denied 401')
  })

  test('the last fault named is the one that counts', async () => {
    sandbox.next({ fault: 'slow' })
    sandbox.next({ fault: 'token_error' })
    expect((await logIn()).seen).toBe('provider_error 502')
    expect((await logIn()).seen).toBe('logged in')
  })

  test('keys can be rotated again and again', async () => {
    for (let round = 0; round < 3; round++) {
      sandbox.next({ fault: 'rotated_keys' })
      expect((await logIn()).seen).toBe('logged in')
    }
  })

  test.each(['explode', '', 'toString', '__proto__', undefined])('the fault %j is refused', (fault) => {
    expect(() => {
      sandbox.next({ fault: fault as Fault })
    }).toThrow(TypeError)
    expect(() => {
      sandbox.next({ fault: fault as Fault })
    }).toThrow(/ is not one of access_denied, login_required, server_error, /)
  })
})

describe('a fault bends one thing and leaves the rest as it was', () => {
  let app: SandboxApp
  let sandbox: Sandbox

  beforeAll(async () => {
    app = await SandboxApp.start()
    sandbox = await startSandbox(app.options)
  })

  afterAll(async () => {
    await sandbox.close()
    await app.close()
  })

  async function callback(fault: Fault, proofs = app.newProofs()): Promise<string> {
    sandbox.next({ fault })
    return paramOf((await logInThroughProxy(app, sandbox, proofs)).url, 'response')
  }

  const now = () => Math.floor(Date.now() / 1000)

  test.each<[Fault, (document: JWTPayload) => boolean]>([
    ['expired_document', ({ iat, exp }) => exp === Number(iat) + 60 && exp < now() - 500],
    [
      'clock_off',
      ({ iat, exp, nbf }) => exp === Number(iat) + 60 && Number(iat) > now() + 500 && nbf === iat,
    ],
    ['wrong_audience', ({ aud, exp }) => aud === 'another-app' && Number(exp) > now()],
  ])('%s: the document is signed by IDPartner all the same', async (fault, isBent) => {
    const response = await callback(fault)
    const { keys } = await trustDirectoryKeys(sandbox)
    const { payload } = await compactVerify(response, await importJWK(present(keys[0]), 'PS256'))
    const document = JSON.parse(new TextDecoder().decode(payload)) as JWTPayload
    expect(isBent(document)).toBe(true)
    expect(
      (await app.read(present(document.sub), present(sandbox.banks[0]).issuer)).claims.code,
    ).toBeDefined()
  })

  test('rogue_key: the document is right but for the signature', async () => {
    const response = await callback('rogue_key')
    const { keys } = await trustDirectoryKeys(sandbox)
    expect(decodeProtectedHeader(response)).toEqual({ alg: 'PS256', kid: keys[0]?.kid })
    const verified = compactVerify(response, await importJWK(present(keys[0]), 'PS256'))
    await expect(verified).rejects.toMatchObject({ code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' })
    expect(decodeJwt(response)).toMatchObject({ iss: 'https://idpartner.com', aud: app.clientId })
  })

  test('unencrypted: the answer is signed by the bank', async () => {
    const { sub } = decodeJwt(await callback('unencrypted'))
    const { claims, jweHeader } = await app.read(present(sub), present(sandbox.banks[0]).issuer)
    expect(jweHeader).toBeUndefined()
    expect(claims).toHaveProperty('code')
  })

  test('forged_answer: the answer is encrypted to the app', async () => {
    const { sub } = decodeJwt(await callback('forged_answer'))
    await expect(app.read(present(sub), present(sandbox.banks[0]).issuer)).rejects.toMatchObject({
      code: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED',
    })
  })

  test('rotated_keys: none of the old keys is published any longer', async () => {
    const issuer = present(sandbox.banks[0]).issuer
    const kids = async () =>
      [
        await trustDirectoryKeys(sandbox),
        (await fetch(`${issuer}/jwks`).then((r) => r.json())) as JSONWebKeySet,
      ]
        .flatMap(({ keys }) => keys)
        .map(({ kid }) => kid)
    const before = await kids()
    await callback('rotated_keys')
    const after = await kids()
    expect(after.length).toBe(before.length)
    expect(after.filter((kid) => before.includes(kid))).toEqual([])
  })
})

test('every fault is in the table of this test', () => {
  expect(Object.keys(EXPECTED)).toEqual(Object.keys(FAULTS))
})

async function trustDirectoryKeys({ config }: Sandbox): Promise<JSONWebKeySet> {
  return (await (await fetch(`${config.trust_directory_service_url}/jwks`)).json()) as JSONWebKeySet
}

test('closing ends a token endpoint that is slow on purpose', async () => {
  // See the row of "slow" above: it hangs until the app gives up. Here the sandbox goes first.
  const jwks = await generateJwks()
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  const origin = `http://localhost:${String((server.address() as AddressInfo).port)}`
  const sandbox = await startSandbox({
    client_id: 'faulty',
    callback: `${origin}/callback`,
    jwks_uri: `${origin}/jwks`,
  })
  const client = new IDPartner({ ...sandbox.config, jwks, timeout: 60_000 })
  const router = jwksRouter(client)
  server.on('request', (req, res) => {
    router(req, res, () => res.end())
  })
  sandbox.next({ fault: 'slow' })
  const proofs = client.generateProofs()
  const browser = new Browser(sandbox.config.callback)
  const selector = await browser.open(await client.getAuthorizationUrl({}, proofs, ['openid']))
  const { url } = await agree(browser, await browser.press(selector, 'Mikomo Bank'))
  const { idp_response_code } = await client.unpackProxyResponse(
    Object.fromEntries(new URL(url).searchParams),
  )
  const claims = client.claims(idp_response_code, proofs)
  const settled = expect(claims).rejects.toMatchObject({ code: 'provider_unavailable' })
  await sandbox.close()
  await settled
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})
