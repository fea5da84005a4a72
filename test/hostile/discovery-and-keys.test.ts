import { describe, expect, jest, test } from '@jest/globals'
import type { JWK } from 'jose'
import { Http } from '../../lib/net/http.js'
import { Issuers } from '../../lib/client/issuers.js'
import { remoteKeys } from '../../lib/jwt/remote-keys.js'
import { fromNow, set, without, type Change, type JwtBend } from '../support/bends.js'
import { HOUR, MINUTE, travel } from '../support/clock.js'
import { expectLoggedIn, expectOnly, expectRefused, type Refusal } from '../support/expectations.js'
import { answer, hang, reset, type Fault } from '../support/faults.js'
import { ecKey, ed25519Key, publicJwk, renamed, rsaKey } from '../support/key-pairs.js'
import { newPerson } from '../support/platform.js'
import { firstOf } from '../support/published-keys.js'
import { startScene, type Scene, useScenes } from '../support/scene.js'
import { refusal } from '../support/settle.js'
import { es256 } from './jwt-rows.js'
import { otherIssuer, unfit } from './metadata-rows.js'

useScenes()

async function expectNothingPushed({ platform, victim }: Scene, change: Change): Promise<void> {
  platform.bankA.metadata = change
  expectRefused(await victim.login({ iss: platform.bankA.issuer }), { code: 'provider_unavailable' })
  expectOnly(platform, ['bankA.discovery'])
  expect(victim.session).toEqual({})
}

describe('a discovery document is refused when', () => {
  test.each(otherIssuer)("the proxy's: $name", async ({ change }) => {
    const { platform, victim } = await startScene()
    platform.proxy.metadata = change
    expectRefused(await victim.login({}), { code: 'provider_unavailable' })
    expectOnly(platform, ['proxy.discovery'])
    expect(victim.session).toEqual({})
  })

  test.each<[string, unknown]>([
    ['authorization_endpoint', undefined],
    ['authorization_endpoint', 'javascript:alert(1)'],
    ['response_modes_supported', ['query']],
    ['code_challenge_methods_supported', ['plain']],
    ['request_object_signing_alg_values_supported', ['none']],
  ])("the proxy's, before the person is sent there: its %s is %j", async (name, value) => {
    const { platform, victim } = await startScene()
    platform.proxy.metadata = set({ [name]: value })
    expectRefused(await victim.login({}), { code: 'provider_unavailable' })
    expectOnly(platform, ['proxy.discovery'])
    expect(victim.session).toEqual({})
  })

  test.each(otherIssuer)("the bank's, before the login begins: $name", async ({ change }) => {
    const { platform, victim } = await startScene({ flow: 'direct' })
    platform.bankA.metadata = change
    expectRefused(await victim.login({ iss: platform.bankA.issuer }), { code: 'provider_unavailable' })
    expectOnly(platform, ['bankA.discovery'])
    expect(victim.session).toEqual({})
  })

  test.each(otherIssuer)("the bank's, behind the proxy: $name", async ({ change }) => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    scene.platform.bankA.metadata = change
    expectRefused(await scene.victim.finish(login), { code: 'provider_unavailable' })
    expectOnly(scene.platform, ['proxy.discovery', 'directory.jwks', 'bankA.discovery'])
    scene.platform.bankA.metadata = (document) => document
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test.each<{ name: string; change: Change; allowed: string[] }>([
    { name: 'it names no "jwks_uri"', change: without('jwks_uri'), allowed: [] },
    { name: 'its "jwks_uri" is a number', change: set({ jwks_uri: 1 }), allowed: [] },
    { name: 'its "jwks_uri" is http', change: set({ jwks_uri: 'http://bank.example/jwks' }), allowed: [] },
    { name: 'it names no "token_endpoint"', change: without('token_endpoint'), allowed: ['bankA.jwks'] },
    {
      name: 'its "token_endpoint" is a path',
      change: set({ token_endpoint: '/token' }),
      allowed: ['bankA.jwks'],
    },
    {
      name: 'its "token_endpoint" is http',
      change: set({ token_endpoint: 'http://bank.example/token' }),
      allowed: ['bankA.jwks'],
    },
    {
      name: 'it names no "userinfo_endpoint", where userinfo is wanted',
      change: without('userinfo_endpoint'),
      allowed: ['bankA.jwks', 'bankA.token'],
    },
  ])('$name', async ({ change, allowed }) => {
    const { platform, victim } = await startScene()
    platform.bankA.metadata = change
    expectRefused(await victim.finish(await victim.begin()), { code: 'provider_unavailable' })
    expectOnly(platform, ['proxy.discovery', 'directory.jwks', 'bankA.discovery', ...allowed])
  })

  test.each(unfit)('$name, before anything is pushed', async ({ change }) => {
    const plain = { auth: 'client_secret_basic', encrypted: false, strategy: { jwks: undefined } } as const
    for (const options of [{}, plain]) {
      await expectNothingPushed(await startScene({ flow: 'direct', ...options }), change)
    }
  })
  test.each<{ name: string; change: Change }>([
    { name: 'it names no "authorization_endpoint"', change: without('authorization_endpoint') },
    {
      name: 'its "authorization_endpoint" is script',
      change: set({ authorization_endpoint: 'javascript:alert(1)//' }),
    },
    {
      name: 'its "authorization_endpoint" is http',
      change: set({ authorization_endpoint: 'http://proxy.example/auth' }),
    },
  ])("the proxy's: $name", async ({ change }) => {
    const { platform, victim } = await startScene()
    platform.proxy.metadata = change
    expectRefused(await victim.login({}), { code: 'provider_unavailable' })
    expect(victim.session).toEqual({})
  })
})

const bare =
  (...names: string[]) =>
  (jwk: JWK): JWK =>
    without(...names)({ ...jwk })

/** The key that the bank signs with, bent, among its other keys. */
const signer =
  (change: (jwk: JWK) => JWK) =>
  (keys: JWK[]): JWK[] =>
    keys.map((jwk) => (jwk.kid === 'bankA' && jwk.kty === 'RSA' ? change(jwk) : jwk))

/** A key of each kind of each party, as a publisher has them who gives no key a name. */
async function namelessKeys(...parties: string[]): Promise<JWK[]> {
  const pairs = await Promise.all(
    parties.flatMap((party) => [rsaKey(party), ecKey(party), ecKey(party, 'secp256k1'), ed25519Key(party)]),
  )
  return pairs.map((pair) => bare('kid')(publicJwk(pair, { use: 'sig' })))
}

describe("the bank's keys: its answer is refused when", () => {
  test.each<{ name: string; jwks: (keys: JWK[]) => JWK[]; refusal?: Refusal }>([
    {
      name: 'there are none',
      jwks: () => [],
      refusal: { code: 'provider_unavailable', message: /is none for PS256/ },
    },
    { name: 'its key is for encryption', jwks: signer((jwk) => ({ ...jwk, use: 'enc' })) },
    { name: 'its key is for RS256', jwks: signer((jwk) => ({ ...jwk, alg: 'RS256' })) },
    { name: 'its key is not for verifying', jwks: signer((jwk) => ({ ...jwk, key_ops: ['encrypt'] })) },
    {
      name: 'its key is damaged',
      jwks: signer((jwk) => ({ ...jwk, n: `${jwk.n?.slice(0, -8) ?? ''}AAAAAAAA` })),
    },
    {
      name: 'its key is too short to be secure',
      jwks: signer((jwk) => ({ ...jwk, n: jwk.n?.slice(0, 171) ?? '' })),
      refusal: { code: 'provider_unavailable' },
    },
    {
      name: 'its key is half there',
      jwks: signer(bare('n')),
      refusal: { code: 'provider_unavailable' },
    },
    {
      name: 'a list of keys holds no keys',
      jwks: () => ['key', null] as unknown as JWK[],
      refusal: { code: 'provider_unavailable' },
    },
    {
      name: 'what is called keys is an object',
      jwks: () => ({}) as JWK[],
      refusal: { code: 'provider_unavailable' },
    },
  ])('$name', async ({ jwks, refusal: expected = { code: 'response_invalid' } }) => {
    const scene = await startScene({ flow: 'direct' })
    const login = await scene.victim.begin()
    scene.platform.bankA.jwks = jwks
    expectRefused(await scene.victim.finish(login), expected)
    expect(scene.platform.requests).not.toContain('bankA.token')
  })

  test.each<{ name: string; jwks: (keys: JWK[]) => JWK[] }>([
    {
      name: 'no key says what it is for, and all have names',
      jwks: (keys) => keys.map(bare('use', 'alg')),
    },
    { name: 'its key is for verifying', jwks: signer((jwk) => ({ ...jwk, key_ops: ['verify'] })) },
    {
      name: 'keys have members nobody knows',
      jwks: (keys) => keys.map((jwk) => Object.assign({ logo: 1 }, jwk)),
    },
    {
      name: 'a key is of a kind nobody knows',
      jwks: (keys) => [{ kty: 'LATTICE', kid: 'bankA' }, ...keys],
    },
    {
      name: 'every key is listed twice',
      jwks: (keys) => [...keys, ...keys],
    },
    {
      name: 'its key is listed with an algorithm and without',
      jwks: (keys) => [...keys, ...signer(bare('alg'))(keys)],
    },
    {
      name: 'another key has its name, as in a rollover',
      jwks: (keys) =>
        keys.flatMap((jwk) => (jwk.kid === 'bankA-extra' ? [{ ...jwk, kid: 'bankA' }, jwk] : [jwk])),
    },
    {
      name: 'a key too short to be secure has its name',
      jwks: (keys) => [...signer((jwk) => ({ ...jwk, n: jwk.n?.slice(0, 171) ?? '' }))(keys), ...keys],
    },
    ...['alg', 'use', 'key_ops', 'x5c', 'x5t'].map((name) => ({
      name: `keys have null as their ${name}`,
      jwks: (keys: JWK[]) => keys.map((jwk) => ({ ...jwk, [name]: null })),
    })),
    {
      name: 'its key has null as its name',
      jwks: signer((jwk) => ({ ...jwk, kid: null }) as unknown as JWK),
    },
    {
      name: 'there are things beside its keys that are none',
      jwks: (keys) => [null, {}, 'key', 1, [], { kty: 1, kid: 'bankA' }, ...keys] as JWK[],
    },
    {
      name: 'a secret is among them',
      jwks: (keys) => [{ kty: 'oct', k: 'c2VjcmV0', kid: 'bankA' }, ...keys],
    },
  ])('but accepted when $name', async ({ jwks }) => {
    const scene = await startScene({ flow: 'direct' })
    scene.platform.bankA.jwks = jwks
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
  })

  test('but accepted when it names no key, and it is one of a few that fit', async () => {
    const scene = await startScene({ flow: 'direct' })
    const several = await namelessKeys('stranger', 'decoy', 'bankA')
    scene.platform.bankA.jwks = () => several
    const nameless = { header: without('kid') }
    const login = await scene.victim.begin()
    expectLoggedIn(await scene.victim.finish(login, { answer: nameless, idToken: nameless }), scene)
  })

  test('it names no key, and none of those that fit signed it', async () => {
    const scene = await startScene({ flow: 'direct' })
    const several = await namelessKeys('decoy', 'stranger')
    scene.platform.bankA.jwks = () => several
    const login = await scene.victim.begin()
    expectRefused(await scene.victim.finish(login, { answer: { header: without('kid') } }), {
      code: 'response_invalid',
      message: /does not verify/,
    })
    expect(scene.platform.requests).not.toContain('bankA.token')
    scene.platform.bankA.jwks = (keys) => keys
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test('it names no key, and so many fit that not all of them are tried', async () => {
    const scene = await startScene({
      flow: 'direct',
      strategy: { authorization_signed_response_alg: 'ES256' },
    })
    const several = await namelessKeys('a', 'b', 'c', 'd', 'e', 'bankA')
    scene.platform.bankA.jwks = () => several
    const login = await scene.victim.begin()
    const answer = { ...es256('bankA'), header: () => ({ alg: 'ES256' }) }
    expectRefused(await scene.victim.finish(login, { answer }), { code: 'response_invalid' })
    expect(scene.platform.requests).not.toContain('bankA.token')
  })

  test.each([
    { alg: 'PS256', genuine: {} },
    { alg: 'ES256', genuine: es256('bankA') },
  ] as const)(
    'but accepted when it names no key and one alone fits, by kind, curve and use: $alg',
    async ({ alg, genuine }) => {
      const scene = await startScene({
        flow: 'direct',
        strategy: { authorization_signed_response_alg: alg, id_token_signed_response_alg: alg },
      })
      const [single, sealing] = await Promise.all([namelessKeys('bankA'), namelessKeys('decoy')])
      scene.platform.bankA.jwks = () => [...sealing.map((jwk) => ({ ...jwk, use: 'enc' })), ...single]
      const nameless = { ...genuine, header: () => ({ alg }) }
      const login = await scene.victim.begin()
      expectLoggedIn(await scene.victim.finish(login, { answer: nameless, idToken: nameless }), scene)
    },
  )
})

test('a bank that says Ed25519 for what is registered as EdDSA lets its people in', async () => {
  const scene = await startScene({
    flow: 'direct',
    strategy: { authorization_signed_response_alg: 'EdDSA', id_token_signed_response_alg: 'EdDSA' },
  })
  const { platform, victim } = scene
  const key = await ed25519Key('bankA-new')
  platform.bankA.metadata = set({
    authorization_signing_alg_values_supported: ['Ed25519'],
    id_token_signing_alg_values_supported: ['Ed25519'],
  })
  platform.bankA.jwks = () => [publicJwk(key, { use: 'sig', alg: 'Ed25519' })]
  const bend: JwtBend = { header: set({ alg: 'Ed25519', kid: key.kid }), key: () => Promise.resolve(key) }
  const idToken = { ...bend, claims: without('at_hash') }
  expectLoggedIn(await victim.finish(await victim.begin(), { answer: bend, idToken }), scene)
})

test('an ID token is refused when it names no key, and none of those that fit signed it', async () => {
  const scene = await startScene({
    flow: 'direct',
    strategy: { authorization_signed_response_alg: 'ES256' },
  })
  const { platform, victim } = scene
  const several = await namelessKeys('decoy', 'stranger')
  // The answer before it names its key, which is of another kind.
  platform.bankA.jwks = (keys) => [...keys.filter(({ kid }) => kid === 'bankA-P-256'), ...several]
  const idToken = { header: without('kid') }
  const response = await victim.answer(await victim.begin(), { answer: es256('bankA'), idToken })
  expectRefused(await victim.bring({ response }), { code: 'token_invalid', message: /does not verify/ })
  expectRefused(await victim.bring({ response }), { code: 'login_missing', reason: 'already_used' })
  expect(platform.count('bankA.token')).toBe(1)
  expect(platform.requests).not.toContain('bankA.userinfo')
})

describe('keys rotated', () => {
  test.each([{ party: 'bankA' }, { party: 'directory' }] as const)(
    'a moment before signing ($party) are fetched again, once',
    async ({ party }) => {
      const scene = await startScene()
      expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
      scene.platform[party].signer = `${party}-rotated`
      expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
      expect(scene.platform.count(`${party}.jwks`)).toBe(2)
      expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
      expect(scene.platform.count(`${party}.jwks`)).toBe(2)
    },
  )

  test('under the same name are fetched again', async () => {
    const scene = await startScene()
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    const { bankA } = scene.platform
    bankA.signer = 'bankA-rotated'
    bankA.jwks = (keys) => keys.map((jwk) => (jwk.kid === 'bankA-rotated' ? { ...jwk, kid: 'bankA' } : jwk))
    const named: JwtBend = { header: set({ kid: 'bankA' }) }
    const login = await scene.victim.begin()
    expectLoggedIn(await scene.victim.finish(login, { answer: named, idToken: named }), scene)
    expect(scene.platform.count('bankA.jwks')).toBe(2)
  })

  test('between the answer and the ID token are fetched again', async () => {
    const scene = await startScene()
    const { platform, victim } = scene
    expectLoggedIn(await victim.finish(await victim.begin()), scene)
    const response = await victim.answer(await victim.begin())
    platform.bankA.signer = 'bankA-rotated'
    platform.bankA.jwks = (keys) => keys.filter(({ kid }) => kid === 'bankA-rotated')
    expectLoggedIn(await victim.bring({ response }), scene)
    expect(platform.count('bankA.jwks')).toBe(2)
  })

  test('do not let a flood of forged answers through to whoever publishes them', async () => {
    const scene = await startScene()
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    const login = await scene.victim.begin()
    const forged = Array.from({ length: 25 }, (_, at) =>
      scene.victim.finish(login, {
        document: { key: () => renamed(rsaKey('stranger'), `unknown-${String(at)}`) },
      }),
    )
    const began = performance.now()
    for (const one of forged) expectRefused(await one, { code: 'response_invalid' })
    const seconds = Math.ceil((performance.now() - began) / 1000)
    expect(scene.platform.count('directory.jwks')).toBeLessThanOrEqual(2 + seconds)
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test('reach an honest login although twelve forged answers asked for unknown ones before', async () => {
    const scene = await startScene()
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    const login = await scene.victim.begin()
    for (let forged = 0; forged < 12; forged++) {
      const document = { key: () => renamed(rsaKey('stranger'), `unknown-${String(forged)}`) }
      expectRefused(await scene.victim.finish(login, { document }), { code: 'response_invalid' })
    }
    scene.platform.directory.signer = 'directory-rotated'
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test('and not to be had: what is known still counts, and the unknown is no fault of the browser', async () => {
    const scene = await startScene()
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    scene.platform.fault('bankA.jwks', answer(500))
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    scene.platform.bankA.signer = 'bankA-rotated'
    expectRefused(await scene.victim.finish(await scene.victim.begin()), { code: 'provider_unavailable' })
  })
})

describe('what is published', () => {
  test('is asked for once by twenty callbacks at once', async () => {
    const scene = await startScene()
    const waiting = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const visitor = scene.newVisitor(newPerson())
        const login = await visitor.begin()
        return () => visitor.finish(login)
      }),
    )
    const settled = await Promise.all(waiting.map((finish) => finish()))
    expect(settled.map(({ via }) => via)).toEqual(Array.from({ length: 20 }, () => 'success'))
    const { platform } = scene
    for (const endpoint of ['proxy.discovery', 'directory.jwks', 'bankA.discovery', 'bankA.jwks']) {
      expect([endpoint, platform.count(endpoint)]).toEqual([endpoint, 1])
    }
    expect(platform.count('bankA.token')).toBe(20)
  })

  const published = ['proxy.discovery', 'directory.jwks', 'bankA.discovery', 'bankA.jwks']

  test('serves from its last good copy while it cannot be had', async () => {
    const scene = await startScene()
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    for (const endpoint of published) scene.platform.fault(endpoint, answer(503))
    travel(11 * MINUTE)
    for (let login = 0; login < 3; login++) {
      expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    }
    // Beside the good one, one try and one retry each, and then no more for a while.
    for (const endpoint of published) expect(scene.platform.count(endpoint)).toBeLessThanOrEqual(3)
  })

  test('serves from its last good copy while nobody answers', async () => {
    const scene = await startScene()
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    for (const endpoint of published) scene.platform.fault(endpoint, hang)
    travel(11 * MINUTE)
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    for (const endpoint of published)
      expect([endpoint, scene.platform.count(endpoint)]).toEqual([endpoint, 2])
  })

  test.each(['proxy', 'direct'] as const)(
    'lets every login in while nobody answers, however short the timeout (%s flow)',
    async (flow) => {
      // As short as a busy machine allows.
      const scene = await startScene({ flow, strategy: { timeout: 600 } })
      expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
      for (const endpoint of published) scene.platform.fault(endpoint, hang)
      for (const pause of [11, 0, 0.5, 0.6, 61, 0, 0.6, 6, 61, 120]) {
        travel(pause * MINUTE)
        expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
      }
    },
  )

  test('does not serve from a copy that is older than a day', async () => {
    const scene = await startScene()
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    for (const endpoint of published) scene.platform.fault(endpoint, answer(500))
    travel(25 * HOUR)
    expectRefused(await scene.victim.login({}), { code: 'provider_unavailable' })
    scene.platform.wire.heal()
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
  })

  test('is asked for as JSON', async () => {
    const scene = await startScene()
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    const { requests } = scene.platform.wire
    const asked = published.map((one) => requests.find(({ endpoint }) => endpoint === one)?.headers.accept)
    expect(asked).toEqual(published.map(() => 'application/json'))
  })

  test('is asked for anew after a while', async () => {
    const scene = await startScene()
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    travel(11 * MINUTE)
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    for (const endpoint of published)
      expect([endpoint, scene.platform.count(endpoint)]).toEqual([endpoint, 2])
  })

  test('is not asked for anew in between', async () => {
    const scene = await startScene()
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    travel(4 * MINUTE)
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    for (const endpoint of published)
      expect([endpoint, scene.platform.count(endpoint)]).toEqual([endpoint, 1])
  })

  test.each(published)('%s: a failure is not kept', async (endpoint) => {
    const scene = await startScene()
    scene.platform.fault(endpoint, answer(404))
    if (endpoint === 'proxy.discovery') {
      expectRefused(await scene.victim.login({}), { code: 'provider_unavailable' })
    } else {
      expectRefused(await scene.victim.finish(await scene.victim.begin()), { code: 'provider_unavailable' })
    }
    scene.platform.wire.heal()
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
  })
})

/** Begins a login, which asks the proxy, and finishes it, which asks everybody else. */
async function wholeLogin({ victim }: Scene): ReturnType<typeof victim.login> {
  const begun = await victim.begin().catch((err: unknown) => {
    throw (err as Error).cause
  })
  return victim.finish(begun)
}

describe('retries', () => {
  const broken: { kind: string; fault: Fault }[] = [
    { kind: 'a reset connection', fault: reset },
    { kind: 'HTTP 500', fault: answer(500) },
    { kind: 'HTTP 503', fault: answer(503) },
    { kind: 'no answer in time', fault: hang },
  ]
  const strategy = { timeout: 1500 }
  const published = ['proxy.discovery', 'directory.jwks', 'bankA.discovery', 'bankA.jwks']
  const gets = published.flatMap((endpoint) => broken.map((one) => ({ endpoint, ...one })))

  test.each(gets)('$endpoint is asked a second time after $kind', async ({ endpoint, fault }) => {
    const scene = await startScene({ strategy })
    scene.platform.fault(endpoint, fault, 1)
    expectLoggedIn(await wholeLogin(scene), scene)
    expect(scene.platform.count(endpoint)).toBe(2)
  })

  test.each(published)('%s is not asked a third time', async (endpoint) => {
    const scene = await startScene({ strategy })
    scene.platform.fault(endpoint, reset)
    if (endpoint === 'proxy.discovery') await scene.victim.login({})
    else await wholeLogin(scene)
    expect(scene.platform.count(endpoint)).toBe(2)
  })

  test.each(published)('%s is not asked a second time after HTTP 404', async (endpoint) => {
    const scene = await startScene({ strategy })
    scene.platform.fault(endpoint, answer(404))
    if (endpoint === 'proxy.discovery') await scene.victim.login({})
    else await wholeLogin(scene)
    expect(scene.platform.count(endpoint)).toBe(1)
  })

  test.each(broken)('a code is sent once, also after $kind', async ({ fault }) => {
    const scene = await startScene({ strategy })
    scene.platform.fault('bankA.token', fault)
    expect((await wholeLogin(scene)).via).toBe('error')
    expect(scene.platform.count('bankA.token')).toBe(1)
  })

  test.each(broken)(
    'a request is pushed again after no more than HTTP 5xx: $kind',
    async ({ kind, fault }) => {
      const { platform, victim } = await startScene({ flow: 'direct', strategy })
      platform.fault('bankA.par', fault)
      expect((await victim.login({ iss: platform.bankA.issuer })).via).toBe('error')
      expect(platform.count('bankA.par')).toBe(kind.startsWith('HTTP 5') ? 2 : 1)
    },
  )

  test.each(broken)(
    'a payment is ordered, a credential and a refresh asked for once, also after $kind',
    async ({ fault }) => {
      const scene = await startScene({ strategy })
      const { platform } = scene
      expectLoggedIn(await wholeLogin(scene), scene)
      const tokens = scene.logins[0]?.tokens
      if (!tokens) throw new Error('no tokens')
      const { issuer } = platform.bankA
      for (const endpoint of ['bankA.payment', 'bankA.credential', 'bankA.token', 'bankA.revocation']) {
        platform.fault(endpoint, fault)
      }
      const before = platform.count('bankA.token')
      const { client } = scene.strategy
      const calls = [
        () => client.paymentProcessing(issuer, tokens, { amount: 1 }),
        () => client.credential(issuer, tokens, { format: 'jwt_vc' }),
        () => client.refreshToken(issuer, tokens),
        () => client.revokeToken(issuer, tokens),
      ]
      for (const call of calls) expect(await refusal(call())).toMatchObject({ code: 'provider_unavailable' })
      expect(platform.count('bankA.payment')).toBe(1)
      expect(platform.count('bankA.credential')).toBe(1)
      expect(platform.count('bankA.revocation')).toBe(1)
      expect(platform.count('bankA.token')).toBe(before + 1)
    },
  )
})

describe('a publisher whose server fails', () => {
  test.each(['discovery', 'keys'] as const)('is asked for its %s once a second at most', async (which) => {
    jest.useFakeTimers()
    const asked: number[] = []
    const http = new Http({ timeout: 20_000 })
    jest.spyOn(http, 'fetch').mockImplementation(() => {
      asked.push(Date.now())
      return Promise.resolve(new Response(null, { status: 503 }))
    })
    const party = 'https://bank.example'
    const issuers = new Issuers(http, { oidc_proxy_service_url: 'https://proxy.example' })
    const keys = remoteKeys(http, 'the keys of the bank', `${party}/jwks`, { issuer: party })
    const logins: Promise<unknown>[] = []
    for (let at = 0; at < 3000; at += 100) {
      const login = which === 'discovery' ? issuers.metadata(party) : firstOf(keys('PS256', 'kid'))
      logins.push(refusal(Promise.resolve(login)))
      await jest.advanceTimersByTimeAsync(100)
    }
    await jest.advanceTimersByTimeAsync(5000)
    for (const err of await Promise.all(logins)) {
      expect(err).toMatchObject({ code: 'provider_unavailable', status: 503 })
    }
    expect(asked.length).toBeGreaterThan(3)
    const gaps = asked.slice(1).map((at, index) => at - (asked[index] ?? 0))
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1000)
  })
})

describe('an issuer', () => {
  test.each([
    { asked: 'https://bank.example', answered: 'https://bank.example/' },
    { asked: 'https://bank.example/', answered: 'https://bank.example' },
  ])('$asked is not $answered', async ({ asked, answered }) => {
    const http = new Http({ timeout: 20_000 })
    jest.spyOn(http, 'get').mockImplementation(() => Promise.resolve(Response.json({ issuer: answered })))
    const err = await refusal(
      new Issuers(http, { oidc_proxy_service_url: 'https://proxy.example' }).metadata(asked),
    )
    expect(err).toMatchObject({ code: 'provider_unavailable', status: 502 })
  })

  test('is discovered wherever its document says its keys are', async () => {
    const scene = await startScene({ flow: 'direct' })
    const { bankA, bankB } = scene.platform
    const keys = await bankA.keys()
    bankA.metadata = set({ jwks_uri: `${bankB.origin}/b/jwks?of=a` })
    bankB.jwks = () => keys
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin()), scene)
    expect(scene.platform.requests).not.toContain('bankA.jwks')
  })

  test('may be one that ends with a slash', async () => {
    const scene = await startScene({ flow: 'direct' })
    expectLoggedIn(await scene.victim.finish(await scene.victim.begin('bankB')), scene)
    expect(scene.logins[0]?.issuer).toMatch(/\/b\/$/)
  })

  test('that is unreachable when the application starts is asked again when it is back', async () => {
    const scene = await startScene()
    for (const endpoint of ['proxy.discovery', 'directory.jwks', 'bankA.discovery']) {
      scene.platform.fault(endpoint, reset)
    }
    expectRefused(await scene.victim.login({}), { code: 'provider_unavailable' })
    scene.platform.wire.heal()
    expectLoggedIn(
      await scene.victim.finish(await scene.victim.begin(), { idToken: { claims: fromNow({ iat: 0 }) } }),
      scene,
    )
  })
})
