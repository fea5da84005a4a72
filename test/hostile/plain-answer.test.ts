import { describe, expect, test } from '@jest/globals'
import type { LoginStore, PendingLogin } from 'passport-idpartner'
import { set, without } from '../support/bends.js'
import { expectLoggedIn, expectRefused, type Refusal } from '../support/expectations.js'
import { plainAnswers } from '../support/profiles.js'
import {
  nextScene,
  startScene,
  useScenes,
  type Begun,
  type Scene,
  type SceneOptions,
} from '../support/scene.js'

useScenes()

/** Where a bank's answer is signed by nobody: state and issuer are all there is to check. */
const plain = { flow: 'direct', profile: 'fapi2-security', mutual: true } satisfies SceneOptions

type Params = [string, string][]

interface Row {
  name: string
  /** What the browser brings, made of the genuine answer. */
  query: (genuine: Record<string, string>, scene: Scene) => Params
  refusal: Refusal
}

const changed =
  (members: Record<string, string>) =>
  (genuine: Record<string, string>): Params =>
    Object.entries({ ...genuine, ...members })

const lacking =
  (...names: string[]) =>
  (genuine: Record<string, string>): Params =>
    Object.entries(genuine).filter(([name]) => !names.includes(name))

const twice =
  (name: string, value?: string) =>
  (genuine: Record<string, string>): Params => [
    ...Object.entries(genuine),
    [name, value ?? genuine[name] ?? ''],
  ]

const rows: Row[] = [
  {
    name: 'its "iss" is missing',
    query: lacking('iss'),
    refusal: { code: 'response_invalid', message: /"iss": none came/ },
  },
  { name: 'its "iss" is empty', query: changed({ iss: '' }), refusal: { code: 'response_invalid' } },
  {
    name: 'its "iss" has a letter more',
    query: (genuine) => changed({ iss: `${genuine['iss'] ?? ''}1` })(genuine),
    refusal: { code: 'response_invalid', message: /"iss"/ },
  },
  {
    name: 'its "iss" ends with a slash more',
    query: (genuine) => changed({ iss: `${genuine['iss'] ?? ''}/` })(genuine),
    refusal: { code: 'response_invalid', message: /"iss"/ },
  },
  {
    name: 'its "iss" is another bank that is trusted',
    query: (genuine, { platform }) => changed({ iss: platform.bankB.issuer })(genuine),
    refusal: { code: 'response_invalid', message: /another bank/ },
  },
  {
    name: 'its "iss" is a stranger',
    query: (genuine, { platform }) => changed({ iss: platform.evil.origin })(genuine),
    refusal: { code: 'response_invalid', message: /"iss"/ },
  },
  {
    name: 'its "iss" came twice',
    query: twice('iss'),
    refusal: { code: 'response_invalid', message: /more than once/ },
  },
  {
    name: 'its "iss" came with another',
    query: twice('iss', 'https://evil.example'),
    refusal: { code: 'response_invalid', message: /more than once/ },
  },
  {
    name: 'its "state" is missing',
    query: lacking('state'),
    refusal: { code: 'response_invalid', message: /"state"/ },
  },
  {
    name: 'its "state" is empty',
    query: changed({ state: '' }),
    refusal: { code: 'response_invalid', message: /"state"/ },
  },
  {
    name: 'its "state" is of another login',
    query: (genuine) => changed({ state: `${genuine['state'] ?? ''}1` })(genuine),
    refusal: { code: 'login_missing', reason: 'no_login' },
  },
  {
    name: 'its "state" came twice',
    query: twice('state'),
    refusal: { code: 'response_invalid', message: /more than once/ },
  },
  {
    name: 'its "state" came with another',
    query: twice('state', 'another'),
    refusal: { code: 'response_invalid', message: /more than once/ },
  },
  {
    name: 'its "code" is empty',
    query: changed({ code: '' }),
    refusal: { code: 'response_invalid', message: /"code"/ },
  },
  {
    name: 'its "code" came twice',
    query: twice('code'),
    refusal: { code: 'response_invalid', message: /more than once/ },
  },
  {
    name: 'its "code" came with another',
    query: twice('code', 'another'),
    refusal: { code: 'response_invalid', message: /more than once/ },
  },
  {
    name: 'an error came with it',
    query: changed({ error: 'access_denied' }),
    refusal: { code: 'response_invalid', message: /error and code/ },
  },
  {
    name: 'a signed answer came with it',
    query: changed({ response: 'a.b.c' }),
    refusal: { code: 'response_invalid', message: /response and code/ },
  },
]

const banks = (scene: Scene): string[] => scene.platform.requests.filter((one) => /token|userinfo/.test(one))

async function expectLeftAlone(scene: Scene, query: Row['query'], refusal: Refusal): Promise<void> {
  const login = await scene.victim.begin()
  const before = structuredClone(scene.victim.session)
  const genuine = await scene.victim.answerParams(login)
  expectRefused(await scene.victim.bring(query(genuine, scene)), refusal)
  expect(banks(scene)).toEqual([])
  expect(scene.victim.session).toEqual(before)
  expectLoggedIn(await scene.victim.bring(genuine), scene)
}

describe.each(plainAnswers)('with $setup a plain answer is refused when', ({ options }) => {
  test.each(rows)('$name', async ({ query, refusal }) => {
    await expectLeftAlone(await nextScene(options), query, refusal)
  })
})

describe('a plain answer is refused, and the login stays, when', () => {
  test.each(rows)('$name', async ({ query, refusal }) => {
    await expectLeftAlone(await startScene(plain), query, refusal)
  })

  test('it is signed, as another profile has it', async () => {
    const scene = await startScene(plain)
    const login = await scene.victim.begin()
    const response = await scene.victim.answer(login)
    expectRefused(await scene.victim.bring({ response }), {
      code: 'response_invalid',
      message: /"response_mode" is "query"/,
    })
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test('no session came with it', async () => {
    const scene = await startScene(plain)
    const genuine = await scene.victim.answerParams(await scene.victim.begin())
    const settled = await scene.newVisitor().bring(genuine)
    expectRefused(settled, { code: 'login_missing', reason: 'no_session' })
  })

  test("another person's login is waiting", async () => {
    const scene = await startScene(plain)
    const attacker = scene.newVisitor()
    const answer = await attacker.answerParams(await attacker.begin())
    const login = await scene.victim.begin()
    expectRefused(await scene.victim.bring(answer), { code: 'login_missing', reason: 'no_login' })
    expectLoggedIn(await scene.victim.finish(login), scene)
  })
})

describe('a plain answer', () => {
  test.each([
    { auth: 'private_key_jwt', profile: 'fapi2-security' },
    { auth: 'tls_client_auth', profile: 'fapi2-security' },
    { auth: 'private_key_jwt', profile: 'fapi2-message-signing', responseMode: 'query' },
  ] as const)('logs in once: $profile, $auth', async (options) => {
    const scene = await startScene({ ...plain, ...options })
    const genuine = await scene.victim.answerParams(await scene.victim.begin())
    expectLoggedIn(await scene.victim.bring(genuine), scene)
    expectRefused(await scene.victim.bring(genuine), { code: 'login_missing', reason: 'already_used' })
    expect(scene.platform.count('bankA+mtls.token')).toBe(1)
  })

  test('with the code of another login is refused by the bank, whom the verifier tells', async () => {
    const scene = await startScene(plain)
    const attacker = scene.newVisitor()
    const { code = '' } = await attacker.answerParams(await attacker.begin())
    const login = await scene.victim.begin()
    const genuine = await scene.victim.answerParams(login)
    expectRefused(await scene.victim.bring({ ...genuine, code }), {
      code: 'provider_error',
      providerError: 'invalid_grant',
    })
    expect(scene.logins).toEqual([])
  })

  test.each(['fapi1-advanced', 'fapi2-message-signing'] as const)(
    'is refused where answers are signed: %s',
    async (profile) => {
      const scene = await startScene({ ...plain, profile })
      const login = await scene.victim.begin()
      const { state } = login.request
      const { issuer } = scene.platform.bankA
      expectRefused(await scene.victim.bring({ code: 'code', state, iss: issuer }), {
        code: 'response_invalid',
        message: /bare code/,
      })
      expectLoggedIn(await scene.victim.finish(login), scene)
    },
  )
})

/** A store that cannot look without taking. */
class BlindStore implements LoginStore {
  readonly #logins = new Map<string, PendingLogin>()

  save(_req: unknown, state: string, login: PendingLogin): Promise<void> {
    this.#logins.set(state, login)
    return Promise.resolve()
  }

  take(_req: unknown, state: string): Promise<PendingLogin | 'no_login'> {
    const login = this.#logins.get(state) ?? 'no_login'
    this.#logins.delete(state)
    return Promise.resolve(login)
  }
}

describe('a plain error', () => {
  const denied = ({ request }: Begun, iss?: string): Record<string, string> => ({
    error: 'access_denied',
    error_description: 'injected',
    state: request.state,
    ...(iss !== undefined && { iss }),
  })

  test('of the right bank and login ends that login', async () => {
    const scene = await startScene(plain)
    const login = await scene.victim.begin()
    const error = denied(login, scene.platform.bankA.issuer)
    expectRefused(await scene.victim.bring(error), { code: 'access_denied', providerError: 'access_denied' })
    expectRefused(await scene.victim.finish(login), { code: 'login_missing', reason: 'already_used' })
    expect(banks(scene)).toEqual([])
  })

  test.each([
    { by: 'the right bank', iss: true, message: /: invalid_scope \(check the option "scope" .*\)$/ },
    { by: 'anybody', iss: false, message: /: invalid_scope$/ },
  ])('of $by says what to look at, or not', async ({ iss, message }) => {
    const scene = await startScene(plain)
    const login = await scene.victim.begin()
    const error = denied(login, iss ? scene.platform.bankA.issuer : undefined)
    expectRefused(await scene.victim.bring({ ...error, error: 'invalid_scope' }), {
      code: 'provider_error',
      via: 'fail',
      status: 401,
      message,
    })
  })

  test('is never more than a failure of this login, since nobody signed it', async () => {
    const scene = await startScene(plain)
    const login = await scene.victim.begin()
    const { issuer } = scene.platform.bankA
    const error = { ...denied(login, issuer), error: 'server_error' }
    expectRefused(await scene.victim.bring(error), {
      code: 'provider_error',
      via: 'fail',
      status: 401,
      providerError: 'server_error',
    })
  })

  test.each<{
    name: string
    query: (login: Begun, scene: Scene) => Params | Record<string, string>
    refusal: Refusal
  }>([
    {
      name: 'does not say of which bank',
      query: (login) => denied(login),
      refusal: { code: 'access_denied' },
    },
    {
      name: 'is of another bank that is trusted',
      query: (login, { platform }) => denied(login, platform.bankB.issuer),
      refusal: { code: 'response_invalid', message: /another bank/ },
    },
    {
      name: 'is of a stranger',
      query: (login, { platform }) => denied(login, platform.evil.origin),
      refusal: { code: 'response_invalid', message: /another bank/ },
    },
    {
      name: 'is of two banks',
      query: (login, { platform }) => [
        ...Object.entries(denied(login, platform.bankA.issuer)),
        ['iss', platform.bankB.issuer],
      ],
      refusal: { code: 'response_invalid', message: /more than once/ },
    },
    {
      name: 'is of another login',
      query: (login, { platform }) => ({ ...denied(login, platform.bankA.issuer), state: 'another' }),
      refusal: { code: 'login_missing', reason: 'no_login' },
    },
    {
      name: 'is of no login',
      query: (_login, { platform }) => ({ error: 'access_denied', iss: platform.bankA.issuer }),
      refusal: { code: 'access_denied' },
    },
    {
      name: 'is a word of nobody',
      query: (login) => ({ ...denied(login), error: 'you_have_to_pay' }),
      refusal: { code: 'provider_error', via: 'fail', status: 401 },
    },
  ])('leaves the login alone when it $name', async ({ query, refusal }) => {
    const scene = await startScene(plain)
    const login = await scene.victim.begin()
    const before = structuredClone(scene.victim.session)
    expectRefused(await scene.victim.bring(query(login, scene)), refusal)
    expect(scene.victim.session).toEqual(before)
    expectLoggedIn(await scene.victim.finish(login), scene)
  })

  test('of the right bank and login ends it in a store that cannot look, too', async () => {
    const scene = await startScene({ ...plain, strategy: { store: new BlindStore() } })
    const login = await scene.victim.begin()
    const error = denied(login, scene.platform.bankA.issuer)
    expectRefused(await scene.victim.bring(error), { code: 'access_denied' })
    expectRefused(await scene.victim.finish(login), { code: 'login_missing', reason: 'no_login' })
  })
})

describe('where the one bank there is names itself nowhere', () => {
  const nameless = async (): Promise<Scene> => {
    const { platform } = await startScene(plain)
    const strategy = {
      authorization_response_iss: 'optional',
      trusted_issuers: [platform.bankA.issuer],
    } as const
    return startScene({ ...plain, platform, strategy })
  }

  test('an answer without "iss" logs in', async () => {
    const scene = await nameless()
    const login = await scene.victim.begin()
    expectLoggedIn(await scene.victim.finish(login, { answer: { claims: without('iss') } }), scene)
  })

  test('an error without "iss" ends the login it names, and no other', async () => {
    const scene = await nameless()
    const login = await scene.victim.begin()
    expectRefused(await scene.victim.bring({ error: 'access_denied' }), { code: 'access_denied' })
    expectRefused(await scene.victim.bring({ error: 'access_denied', state: 'another' }), {
      code: 'login_missing',
      reason: 'no_login',
    })
    expectRefused(await scene.victim.bring({ error: 'access_denied', state: login.request.state }), {
      code: 'access_denied',
    })
    expectRefused(await scene.victim.finish(login), { code: 'login_missing', reason: 'already_used' })
  })

  test.each(['', 'https://evil.example'])('another "iss" is refused all the same: %j', async (iss) => {
    const scene = await nameless()
    const login = await scene.victim.begin()
    expectRefused(await scene.victim.finish(login, { answer: { claims: set({ iss }) } }), {
      code: 'response_invalid',
    })
    expectLoggedIn(await scene.victim.finish(login), scene)
  })
})
