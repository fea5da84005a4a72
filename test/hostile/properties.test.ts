import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { IDPartnerError } from 'passport-idpartner'
import { travel } from '../support/clock.js'
import { expectLoggedIn } from '../support/expectations.js'
import { answer } from '../support/faults.js'
import { base64url } from '../support/jws.js'
import { startScene, type Scene, useScenes } from '../support/scene.js'
import { settle, type Settled } from '../support/settle.js'

useScenes()

/** Whatever it was: a failure or an error of ours, with a code of the list, and no more. */
function expectOurs({ via, value, status }: Settled): void {
  if (via === 'fail') {
    expect(value).toEqual(expect.objectContaining({ code: expect.any(String), message: expect.any(String) }))
    expect([401, 403]).toContain(status)
  } else {
    expect(via).toBe('error')
    expect(value).toBeInstanceOf(IDPartnerError)
    expect([500, 502, 503, 504]).toContain(status)
  }
}

/** Brings many things while one login is pending; at the end that login still succeeds. */
async function whilePending<T>(
  scene: Scene,
  arbitrary: fc.Arbitrary<T>,
  bring: (value: T) => Promise<Settled>,
  numRuns = 150,
): Promise<void> {
  const login = await scene.victim.begin()
  await fc.assert(
    fc.asyncProperty(arbitrary, async (value) => {
      // So that an unknown key need not wait for the next fetch of the keys.
      travel(1001)
      expectOurs(await bring(value))
    }),
    { numRuns },
  )
  expect(scene.logins).toEqual([])
  expect(scene.platform.requests).not.toContain('bankA.token')
  expectLoggedIn(await scene.victim.finish(login), scene)
}

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.base64String(),
  fc.constantFrom('', '.', '..', '....', 'e30.e30.', 'null', '{}', '__proto__', 'access_denied'),
)

const answerNames = fc.constantFrom('response', 'error', 'code')
const names = fc.oneof(
  answerNames,
  fc.constantFrom(
    'state',
    'iss',
    'error_description',
    'response[]',
    'response[x]',
    '__proto__',
    'session_state',
  ),
  text,
)

/** A query that has to be taken for a callback. */
const callbackQuery = fc
  .tuple(fc.tuple(answerNames, text), fc.array(fc.tuple(names, text), { maxLength: 5 }), fc.nat())
  .map(([answered, others, at]) => {
    const place = at % (others.length + 1)
    return [...others.slice(0, place), answered, ...others.slice(place)]
  })

const mutation = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at: fc.nat(), by: fc.integer({ min: 1, max: 63 }) }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(), length: fc.integer({ min: 1, max: 400 }) }),
  fc.record({ kind: fc.constant('insert' as const), at: fc.nat(), text }),
  fc.record({ kind: fc.constant('swap' as const), at: fc.nat(), with: fc.nat() }),
  fc.record({ kind: fc.constant('graft' as const), at: fc.nat(), text: fc.json() }),
  fc.record({ kind: fc.constant('splice' as const), at: fc.nat() }),
)
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Changes a compact JWS or JWE; `other` is a second genuine one. */
function mutated(jwt: string, change: Mutation, other: string): string {
  const at = change.at % jwt.length
  const parts = jwt.split('.')
  const index = change.at % parts.length
  switch (change.kind) {
    case 'flip': {
      const value = ALPHABET.indexOf(jwt[at] ?? '')
      const flipped = value === -1 ? '' : ALPHABET[value ^ change.by]
      return `${jwt.slice(0, at)}${flipped ?? ''}${jwt.slice(at + 1)}`
    }
    case 'cut':
      return jwt.slice(0, at) + jwt.slice(at + change.length)
    case 'insert':
      return jwt.slice(0, at) + change.text + jwt.slice(at)
    case 'swap': {
      const second = change.with % parts.length
      return parts
        .map((part, place) => (place === index ? parts[second] : place === second ? parts[index] : part))
        .join('.')
    }
    case 'graft':
      return parts.map((part, place) => (place === index ? base64url(change.text) : part)).join('.')
    case 'splice': {
      const others = other.split('.')
      return parts.map((part, place) => (place === index ? (others[place] ?? '') : part)).join('.')
    }
  }
}

/** Base64url has more than one spelling of the same bytes, and the same bytes are the same answer. */
function meansTheSame(one: string, another: string): boolean {
  const bytes = (jwt: string): string =>
    jwt
      .split('.')
      .map((part) => Buffer.from(part, 'base64url').toString('hex'))
      .join('.')
  return bytes(one) === bytes(another)
}

describe.each([{ flow: 'proxy' }, { flow: 'direct' }] as const)(
  'nothing gets in ($flow flow)',
  ({ flow }) => {
    test('as a callback query', async () => {
      const scene = await startScene({ flow })
      await whilePending(scene, callbackQuery, (query) =>
        settle(scene.strategy, scene.victim.get('/callback', new URLSearchParams(query))),
      )
    })

    test('as a posted body', async () => {
      const scene = await startScene({ flow })
      const body = fc
        .tuple(answerNames, fc.oneof(text, fc.anything()), fc.dictionary(fc.string(), fc.anything()))
        .map(([name, value, others]) => ({ ...others, [name]: value }))
      await whilePending(scene, body, (parsed) =>
        settle(scene.strategy, {
          ...scene.victim.get('/callback', new URLSearchParams()),
          method: 'POST',
          body: parsed,
        }),
      )
    })

    test('as a genuine answer of this login with something changed', async () => {
      const scene = await startScene({ flow })
      const { victim } = scene
      const logins = [await victim.begin(), await victim.begin()] as const
      let [genuine, other, made] = ['', '', 0]
      await whilePending(
        scene,
        mutation,
        async (change) => {
          // None is refused for its age.
          if (Date.now() - made > 30_000) {
            genuine = await victim.answer(logins[0])
            other = await victim.answer(logins[1])
            made = Date.now()
          }
          const response = mutated(genuine, change, other)
          fc.pre(response !== '' && !meansTheSame(response, genuine))
          return settle(scene.strategy, victim.get('/callback', new URLSearchParams({ response })))
        },
        300,
      )
    }, 60_000)

    test("as a bank's answer with something changed, in whatever carries it", async () => {
      const scene = await startScene({ flow })
      const { platform, victim } = scene
      const login = await victim.begin()
      const other = await platform.bankA.answer((await victim.begin()).request, platform.person)
      await whilePending(
        scene,
        mutation,
        async (change) => {
          const raw = (jwt: string): string => {
            const bent = mutated(jwt, change, other)
            return meansTheSame(bent, jwt) ? 'unchanged' : bent
          }
          return victim.finish(login, { answer: { raw } })
        },
        100,
      )
    })
  },
)

/** Any JSON, but more often something near to what is right. */
const near = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(null, true, 0, -1, 1e300, '', [], {}, 'https://idpartner.com/'),
)

const member = (...of: string[]): fc.Arbitrary<Record<string, unknown>> =>
  fc.tuple(fc.constantFrom(...of), near).map(([name, value]) => ({ [name]: value }))

describe('whoever signs nonsense is refused, and crashes nothing', () => {
  test('as a document of IDPartner', async () => {
    const scene = await startScene()
    const login = await scene.victim.begin()
    await whilePending(
      scene,
      fc.oneof(fc.json(), fc.string(), member('iss', 'aud', 'sub', 'identity_provider', 'iat')),
      (bend) =>
        scene.victim.finish(login, {
          document: { claims: (claims) => (typeof bend === 'string' ? bend : { ...claims, ...bend }) },
        }),
    )
  })

  test("as a bank's answer", async () => {
    const scene = await startScene({ flow: 'direct' })
    const login = await scene.victim.begin()
    await whilePending(scene, fc.oneof(fc.json(), fc.string(), member('iss', 'aud', 'state')), (bend) =>
      scene.victim.finish(login, {
        answer: { claims: (claims) => (typeof bend === 'string' ? bend : { ...claims, ...bend }) },
      }),
    )
  })

  test('as a header', async () => {
    const scene = await startScene({ flow: 'direct' })
    const login = await scene.victim.begin()
    const header = fc.oneof(fc.dictionary(fc.string(), near), member('alg', 'crit'))
    await whilePending(
      scene,
      header,
      (bend) =>
        scene.victim.finish(login, {
          answer: { header: (right) => ('alg' in bend || 'crit' in bend ? { ...right, ...bend } : bend) },
        }),
      100,
    )
  })

  test('as an ID token, a token response or userinfo', async () => {
    const scene = await startScene()
    const artefact = fc.constantFrom('idToken' as const, 'tokens' as const, 'userInfo' as const)
    await fc.assert(
      fc.asyncProperty(artefact, fc.dictionary(fc.string(), near), async (what, content) => {
        const nonsense = (): Record<string, unknown> => content
        const bends = what === 'idToken' ? { idToken: { claims: nonsense } } : { [what]: nonsense }
        const settled = await scene.victim.finish(await scene.victim.begin(), bends)
        expectOurs(settled)
        expect(settled).toMatchObject({ via: 'error', value: { code: 'token_invalid' }, status: 502 })
      }),
      { numRuns: 60 },
    )
    expect(scene.logins).toEqual([])
  })

  test('as whatever an endpoint may answer', async () => {
    const endpoints = fc.constantFrom(
      'directory.jwks',
      'bankA.discovery',
      'bankA.jwks',
      'bankA.token',
      'bankA.userinfo',
    )
    const statuses = fc.constantFrom(200, 201, 204, 302, 304, 400, 401, 404, 418, 500, 503, 599)
    await fc.assert(
      fc.asyncProperty(
        endpoints,
        statuses,
        fc.oneof(fc.json(), fc.string()),
        async (endpoint, status, body) => {
          const scene = await startScene()
          scene.platform.fault(endpoint, answer(status, [204, 304].includes(status) ? '' : body))
          const settled = await scene.victim.finish(await scene.victim.begin())
          expect(settled.via).not.toBe('success')
          expectOurs(settled)
        },
      ),
      { numRuns: 80 },
    )
  })
})

describe('a session is as trustworthy as its store:', () => {
  test('any value in it begins and ends logins, or is as good as not there', async () => {
    const scene = await startScene()
    const response = await scene.victim.answer(await scene.victim.begin())
    await fc.assert(
      fc.asyncProperty(fc.oneof(near, fc.anything()), async (slot) => {
        scene.victim.session['idpartner'] = slot
        const settled = await scene.victim.bring({ response })
        expectOurs(settled)
        expect(settled.value).toMatchObject({ code: 'login_missing' })
        expect((await scene.victim.login({})).via).toBe('redirect')
      }),
      { numRuns: 100 },
    )
    expect(scene.platform.requests).not.toContain('bankA.token')
  })

  test('a login record with a wrong member in it lets nobody in', async () => {
    const scene = await startScene()
    const wrong = fc.oneof(
      member('v', 'n', 'o', 'k'),
      fc.constantFrom(null, '9e99', [], {}, -1, 0).map((t) => ({ t })),
      fc.constantFrom(null, '9e99', [], {}, -1e12).map((b) => ({ b })),
    )
    await fc.assert(
      fc.asyncProperty(wrong, async (bent) => {
        const { victim } = scene
        victim.session = {}
        const response = await victim.answer(await victim.begin())
        const slot = victim.session['idpartner'] as { p: [object] }
        victim.session['idpartner'] = { ...slot, p: [{ ...slot.p[0], ...bent }] }
        expectOurs(await victim.bring({ response }))
      }),
      { numRuns: 80 },
    )
    expect(scene.logins).toEqual([])
  })
})

describe('the client alone', () => {
  test('fails with nothing but errors of ours, whatever it is given', async () => {
    const { strategy, platform } = await startScene()
    const { client } = strategy
    const ours = async (call: () => Promise<unknown>): Promise<void> => {
      const err: unknown = await call().catch((reason: unknown) => reason)
      expect(err).toBeInstanceOf(IDPartnerError)
    }
    await fc.assert(
      fc.asyncProperty(fc.oneof(text, fc.anything()), fc.oneof(text, fc.anything()), async (one, another) => {
        await ours(() => client.unpackProxyResponse(one))
        await ours(() => client.claims(one as never, another as never))
        await ours(() => client.refreshToken(one as never, another as never))
        await ours(() => client.userInfo(one as never, another as never))
        await ours(() => client.paymentDetailsInfo(one as never, another as never))
        await ours(() => client.revokeToken(one as never, another as never))
      }),
      { numRuns: 200 },
    )
    expect(platform.requests).toEqual([])
  })
})
