import { describe, expect, test } from '@jest/globals'
import { IDPartner, type ResourceRequest, type TokenSet } from 'passport-idpartner'
import { clientCertificate, tlsCertificates } from '../support/certificates.js'
import { expectLoggedIn } from '../support/expectations.js'
import { answer, drip, hang, huge, redirect, reset, send, type Fault } from '../support/faults.js'
import { startScene, useScenes, type Scene, type SceneOptions } from '../support/scene.js'
import { refusal } from '../support/settle.js'
import { thrown } from '../support/thrown.js'

useScenes()

const bound = { flow: 'direct', profile: 'fapi2-security', dpop: true } satisfies SceneOptions

interface LoggedIn extends Scene {
  issuer: string
  tokens: TokenSet
  api: string
}

async function logIn(options: SceneOptions = { flow: 'direct' }): Promise<LoggedIn> {
  const scene = await startScene(options)
  expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
  const [login] = scene.logins
  if (!login) throw new Error('nobody logged in')
  const { issuer, tokens } = login
  return Object.assign(scene, { issuer, tokens, api: `${issuer}/payment-details` })
}

const nothing: Fault = (res) => res.writeHead(204).end()

const API = 'bankA.paymentDetails'

describe('an API of the bank is called', () => {
  test.each<[string, SceneOptions]>([
    ['with a bearer token', { flow: 'direct' }],
    ['with a token bound by DPoP', bound],
    ['with a token bound to a certificate', { ...bound, auth: 'tls_client_auth', mutual: true }],
  ])('%s', async (_name, options) => {
    const { strategy, tokens, issuer, platform } = await logIn(options)
    const { mtls_endpoint_aliases } = platform.bankA.document()
    const { payment_details_info_endpoint: api = `${issuer}/payment-details` } =
      mtls_endpoint_aliases as Record<string, string>
    const response = await strategy.client.request(issuer, tokens, api)
    expect(response).toBeInstanceOf(Response)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ account: 'DE00' })
    const { headers } = platform.wire.requests.at(-1) ?? { headers: {} }
    expect(headers).toMatchObject({ 'x-fapi-interaction-id': tokens.interactionId })
  })

  // RFC 8705, section 3: the token is good with the certificate alone to which it was issued.
  test('with the certificate of its token, after another has taken its place', async () => {
    const { client: old } = await tlsCertificates()
    const renewed = await clientCertificate('renewed', 365, old)
    let current = old
    const { strategy, tokens, issuer, platform } = await logIn({
      ...bound,
      mutual: true,
      strategy: { tls_client_cert: () => current.cert, tls_client_key: () => current.key },
    })
    const shown = async (of: TokenSet): Promise<unknown> => {
      const { mtls_endpoint_aliases } = platform.bankA.document()
      const { payment_details_info_endpoint: api = '' } = mtls_endpoint_aliases as Record<string, string>
      await strategy.client.request(issuer, of, api)
      return platform.wire.requests.at(-1)?.certificate
    }
    current = renewed
    await strategy.client.reload()
    expect(await shown(tokens)).toBe('test-app')
    // Of another process, or of before a restart, nobody knows to which it was.
    expect(await shown({ ...tokens })).toBe('renewed')
    expect(await shown(await strategy.client.refreshToken(issuer, tokens))).toBe('renewed')
  })

  test('as it was asked: method, headers, query, body', async () => {
    const { strategy, tokens, issuer, platform } = await logIn()
    const init: ResourceRequest = {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-idempotency-key': '1' },
      body: '{"amount":1}',
    }
    await strategy.client.request(issuer, tokens, new URL(`${issuer}/payment?a=1`), init)
    expect(platform.wire.requests.at(-1)).toMatchObject({
      method: 'POST',
      body: '{"amount":1}',
      headers: { 'content-type': 'application/json', 'x-idempotency-key': '1' },
    })
  })

  test.each([204, 301, 302, 307, 400, 403, 404, 409, 429, 500, 503])(
    'once, and what it answers is for the application to judge: %d',
    async (status) => {
      const { strategy, tokens, issuer, platform, api } = await logIn()
      platform.fault(API, status === 204 ? nothing : answer(status, { why: 'x' }))
      expect((await strategy.client.request(issuer, tokens, api)).status).toBe(status)
      expect(platform.count(API)).toBe(1)
    },
  )

  test('and a redirect is followed nowhere', async () => {
    const { strategy, tokens, issuer, platform, api } = await logIn()
    platform.fault(API, redirect(`${platform.evil.origin}/steal`), 1)
    const response = await strategy.client.request(issuer, tokens, api)
    expect([response.status, response.headers.get('location')]).toEqual([
      302,
      `${platform.evil.origin}/steal`,
    ])
    // useScenes() fails the test where a request went there.
  })

  test('with a nonce at the second try, and no third', async () => {
    const { strategy, tokens, issuer, platform, api } = await logIn(bound)
    platform.bankA.dpop.asks.add('resource')
    expect((await strategy.client.request(issuer, tokens, api)).status).toBe(200)
    expect(platform.count(API)).toBe(2)
    platform.bankA.dpop.insatiable = true
    expect((await strategy.client.request(issuer, tokens, api)).status).toBe(401)
    expect(platform.count(API)).toBe(4)
  })

  test('once where a refusal brings a nonce by the way: it may have done something', async () => {
    const { strategy, tokens, issuer, platform, api } = await logIn(bound)
    const refused: Fault = (res) => {
      send(res, { status: 400, headers: { 'dpop-nonce': 'another' }, body: '{}' })
    }
    platform.fault(API, refused)
    expect((await strategy.client.request(issuer, tokens, api)).status).toBe(400)
    expect(platform.count(API)).toBe(1)
  })
})

describe('a token goes nowhere else', () => {
  test.each<[string, (issuer: string, scene: LoggedIn) => unknown, RegExp]>([
    ['another origin', () => 'https://evil.example/payment', /at no origin/],
    ['another bank', (_issuer, { platform }) => platform.bankB.issuer, /at no origin/],
    [
      'another port',
      (issuer) => `http://127.0.0.1:${String(Number(new URL(issuer).port) + 1)}/`,
      /at no origin/,
    ],
    ['another name of this machine', (issuer) => issuer.replace('127.0.0.1', 'localhost'), /at no origin/],
    ['TLS in place of none', (issuer) => issuer.replace('http:', 'https:'), /at no origin/],
    ['plain http', () => 'http://bank.example/', /must be an https: URL/],
    ['a person in the URL', (issuer) => issuer.replace('//', '//user:pw@'), /without credentials/],
    ['a host behind one', (issuer) => `https://${new URL(issuer).host}@evil.example/`, /without credentials/],
    ['a private address', () => 'https://10.0.0.1/', /at no origin/],
    ['the metadata service', () => 'https://169.254.169.254/latest', /at no origin/],
    ['a host with a dot at its end', () => 'https://bank.example./', /at no origin/],
    ['a host of look-alike letters', () => 'https://bаnk.example/', /at no origin/],
    ['a fragment', (issuer) => `${issuer}/payment-details#x`, /fragment/],
    ['an empty fragment', (issuer) => `${issuer}/payment-details#`, /fragment/],
    ['no host', () => '/payment-details', /must be an https: URL/],
    ['a file', () => 'file:///etc/passwd', /must be an https: URL/],
    ['a script', () => 'javascript:alert(1)', /must be an https: URL/],
    ['nothing', () => undefined, /must be an https: URL/],
    ['a list', (issuer) => [issuer], /must be an https: URL/],
  ])('%s', async (_name, urlOf, why) => {
    const scene = await logIn()
    const { strategy, tokens, issuer, platform } = scene
    const before = platform.requests.length
    const err = await refusal(strategy.client.request(issuer, tokens, urlOf(issuer, scene) as string))
    expect(err).toMatchObject({ code: 'config_invalid', message: expect.stringMatching(why) })
    expect(err.message).not.toMatch(/evil|user|10\.0|169/)
    expect(platform.requests).toHaveLength(before)
  })

  test.each<[string, unknown, RegExp]>([
    ['another token', { headers: { Authorization: 'Bearer mine' } }, /the header "authorization" is set/],
    ['another proof', { headers: [['DPoP', 'mine']] }, /the header "dpop" is set/],
    ['another host', { headers: { host: 'evil.example' } }, /the header "host" is set/],
    ['another interaction', { headers: { 'X-FAPI-Interaction-Id': '1' } }, /"x-fapi-interaction-id" is set/],
    ['a second request', { headers: { 'transfer-encoding': 'chunked' } }, /"transfer-encoding" is set/],
    ['a length', { headers: { 'content-length': '1' } }, /"content-length" is set/],
    ['a connection', { headers: { connection: 'upgrade' } }, /"connection" is set/],
    ['a way through proxies', { headers: { 'proxy-authorization': 'x' } }, /"proxy-authorization" is set/],
    ['a line break', { headers: { 'x-a': 'b\r\nauthorization: c' } }, /hold what is no header/],
    ['a line break in a name', { headers: { 'x-a\r\nb': 'c' } }, /hold what is no header/],
    ['headers that are none', { headers: 'x' }, /hold what is no header/],
    ['a method of others', { method: 'CONNECT' }, /"method" must be one of/],
    ['a method in small letters', { method: 'get' }, /"method" must be one of/],
    ['a method with a line break', { method: 'GET / HTTP/1.1\r\n' }, /"method" must be one of/],
    ['a body where there is none', { body: 'x' }, /GET has no "body"/],
    ['a body of another kind', { method: 'POST', body: { a: 1 } }, /"body" must be a text/],
    ['a stream', { method: 'POST', body: new Blob(['x']).stream() }, /"body" must be a text/],
    ['nothing to ask with', null, /the fourth argument must be an object, with method/],
    ['a method alone', 'POST', /the fourth argument must be an object/],
    [
      'a misspelt member',
      { methd: 'POST' },
      /"methd" is not known: there are method, headers, body, fresh and/,
    ],
    ['redirects to follow', { redirect: 'follow' }, /"redirect" is not known/],
    ['a body under another name', { method: 'POST', json: {} }, /"json" is not known/],
    ['a signal that is none', { signal: 'now' }, /"signal" must be an AbortSignal/],
    ['a body without end', { method: 'POST', body: 'ä'.repeat(600_000) }, /"body" must be at most 1 MiB/],
  ])('nor with %s', async (_name, init, why) => {
    const { strategy, tokens, issuer, platform, api } = await logIn()
    const before = platform.requests.length
    expect(
      await refusal(strategy.client.request(issuer, tokens, api, init as ResourceRequest)),
    ).toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(why),
    })
    expect(platform.requests).toHaveLength(before)
  })

  test('nor that of another bank, nor a bound one as anybody could send it', async () => {
    const { strategy, tokens, issuer, platform, api } = await logIn(bound)
    const before = platform.requests.length
    const { client } = strategy
    const theirs = platform.bankB.issuer
    for (const call of [
      () => client.request(theirs, tokens, `${theirs}/payment-details`),
      () => client.request(issuer, { ...tokens, token_type: 'bearer' }, api),
      () => client.userInfo(issuer, { ...tokens, token_type: 'bearer' }),
      () => client.request(issuer, { ...tokens, dpop_key: undefined as never }, api),
      () => client.request(issuer, 'a token' as never, api),
    ]) {
      expect(await refusal(call())).toMatchObject({ code: 'config_invalid' })
    }
    expect(platform.requests).toHaveLength(before)
  })

  test.each<[string, Fault]>([
    ['never answers', hang],
    ['never ends', drip],
  ])('an API that %s has no longer than any other', async (_name, fault) => {
    const { platform, tokens, issuer, api } = await logIn()
    const client = new IDPartner({ ...(await platform.config()), timeout: 200 })
    platform.fault(API, fault, 1)
    expect(await refusal(client.request(issuer, tokens, api))).toMatchObject({
      code: 'provider_unavailable',
      status: 504,
    })
    const ended = AbortSignal.abort()
    expect(await refusal(client.request(issuer, tokens, api, { signal: ended }))).toBeDefined()
  })

  test.each<[string, Fault]>([
    ['has more than 1 MiB', huge],
    ['breaks off', reset],
  ])('an answer that %s is none', async (_name, fault) => {
    const { strategy, platform, tokens, issuer, api } = await logIn()
    platform.fault(API, fault)
    expect(await refusal(strategy.client.request(issuer, tokens, api))).toMatchObject({
      code: 'provider_unavailable',
    })
    expect(platform.count(API)).toBe(1)
  })
})

describe('tokens that have run out', () => {
  const over: Fault = (res) => {
    const challenge = 'Bearer realm="api", error="invalid_token"'
    send(res, { status: 401, headers: { 'www-authenticate': challenge }, body: '' })
  }

  test('are renewed, saved, and the call is made once more', async () => {
    const { strategy, tokens, issuer, platform, api } = await logIn()
    platform.fault(API, over, 1)
    const saved: TokenSet[] = []
    const fresh = { save: (one: TokenSet) => saved.push(one) }
    const response = await strategy.client.request(issuer, tokens, api, { fresh })
    expect([response.status, platform.count(API), saved.length]).toEqual([200, 2, 1])
    expect(platform.wire.requests.at(-1)?.headers.authorization).toBe(
      `Bearer ${saved[0]?.access_token ?? ''}`,
    )
  })

  test('once: a bank that refuses those too has its answer handed on', async () => {
    const { strategy, tokens, issuer, platform, api } = await logIn()
    platform.fault(API, over)
    const fresh = { save: () => undefined }
    const response = await strategy.client.request(issuer, tokens, api, { fresh })
    expect([response.status, platform.count(API), platform.count('bankA.token')]).toEqual([401, 2, 2])
  })

  test.each<[string, (issuer: string) => string, ResourceRequest]>([
    ['goes nowhere', () => 'https://evil.example/', {}],
    ['is no URL', () => 'accounts', {}],
    ['has a header of ours', (issuer) => `${issuer}/payment-details`, { headers: { dpop: 'x' } }],
    ['has a body where there is none', (issuer) => `${issuer}/payment-details`, { body: 'x' }],
  ])('but for no call that %s: nothing is renewed for it', async (_name, urlOf, init) => {
    for (const options of [{ flow: 'direct' }, bound] as const) {
      const { strategy, tokens, issuer, platform } = await logIn(options)
      const saved: TokenSet[] = []
      const call = strategy.client.request(issuer, { ...tokens, expires_at: 1 }, urlOf(issuer), {
        ...init,
        fresh: { save: (one) => saved.push(one) },
      })
      expect(await refusal(call)).toMatchObject({ code: 'config_invalid', status: 500 })
      expect([platform.count('bankA.token'), saved]).toEqual([1, []])
    }
  })

  test('before the call, where it is known', async () => {
    const { strategy, tokens, issuer, platform, api } = await logIn()
    const fresh = { save: () => undefined }
    await strategy.client.request(issuer, { ...tokens, expires_at: 1 }, api, { fresh })
    expect([platform.count(API), platform.count('bankA.token')]).toEqual([1, 2])
  })

  test.each<[string, Fault, boolean]>([
    ['without "fresh"', over, false],
    ['with another refusal', answer(401, { error: 'invalid_token' }), true],
    ['with too small a scope', answer(403), true],
  ])('or the answer is handed on: %s', async (_name, fault, renewing) => {
    const { strategy, tokens, issuer, platform, api } = await logIn()
    platform.fault(API, fault)
    const init = renewing ? { fresh: { save: () => undefined } } : {}
    expect((await strategy.client.request(issuer, tokens, api, init)).ok).toBe(false)
    expect([platform.count(API), platform.count('bankA.token')]).toEqual([1, 1])
  })

  test('and without a refresh token the person has to log in again', async () => {
    const { strategy, tokens, issuer, platform, api } = await logIn()
    platform.fault(API, over, 1)
    const others = { ...tokens, refresh_token: undefined as never }
    const call = strategy.client.request(issuer, others, api, { fresh: { save: () => undefined } })
    expect(await refusal(call)).toMatchObject({ code: 'access_denied', status: 401 })
  })
})

describe('resource_servers', () => {
  test('open origins of APIs that the bank does not name, and no more', async () => {
    const { platform, tokens, issuer } = await logIn()
    const config = await platform.config()
    const other = platform.bankB.issuer
    const listed = new IDPartner({ ...config, resource_servers: [new URL(other).origin] })
    const response = await listed.request(issuer, tokens, `${other}/nothing-there`)
    expect(response.status).toBe(404)
  })

  test.each([
    'https://api.bank.example/accounts',
    'https://api.bank.example?x',
    'https://api.bank.example/#',
    'https://*.bank.example',
    'https://user@api.bank.example',
    'http://api.bank.example',
    'api.bank.example',
    'https://10.0.0.1',
    '*',
    '',
    1,
  ])('are refused where they are no origins: %j', async (one) => {
    const { platform } = await startScene()
    const config = await platform.config()
    expect(thrown(() => new IDPartner({ ...config, resource_servers: [one as string] }))).toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(/^option "resource_servers" must /),
    })
  })
})
