import { beforeEach, describe, expect, test } from '@jest/globals'
import { IDPartnerError } from '../../lib/errors.js'
import { finishLogin } from '../../lib/passport/finish-login.js'
import type { PendingLogin } from '../../lib/passport/logins.js'
import { refusal } from '../support/settle.js'

const BANK = 'https://bank.example'
const OTHER = 'https://other.example'
const CALLBACK = 'https://app.example/callback'

const pending: PendingLogin = {
  nonce: 'nonce',
  codeVerifier: 'verifier',
  interactionId: 'login-1',
  strategy: 'mine',
  begun: 1000,
  issuer: BANK,
  floor: 'floor',
}

const document = {
  identity_provider: { issuer_url: BANK, name: 'from the document' },
  idp_response_code: 'a.b.c',
  interactionId: 'document-1',
}

const answer = { issuer: BANK, state: 'state', outcome: { code: 'code' } }
const tokens = { access_token: 'token', claims: { sub: 'me' } }
const record = { a: 'record' }

/** In the order in which they were asked for; each with what it was given. */
let steps: [string, ...unknown[]][] = []
beforeEach(() => {
  steps = []
})

interface Changes {
  flow?: 'proxy' | 'direct'
  client?: object
  settings?: object
  /** What waits in this browser, as the store tells; a store that cannot look has no first one. */
  peeked?: unknown
  taken?: unknown
  blind?: boolean
}

function passOf({
  flow = 'direct',
  client,
  settings,
  peeked = pending,
  taken = pending,
  blind,
}: Changes = {}) {
  const step =
    (name: string, result: unknown) =>
    (...args: unknown[]) => {
      steps.push([name, ...args])
      return result instanceof Error ? Promise.reject(result) : Promise.resolve(result)
    }
  const { signal } = new AbortController()
  const req = { headers: {} }
  return {
    req,
    signal,
    seen: {} as Record<string, unknown>,
    client: {
      flow,
      timeout: 1000,
      newRecord: step('newRecord', record),
      readProxyDocument: step('readProxyDocument', document),
      readAnswer: step('readAnswer', answer),
      identityProviderOf: (issuer: string) => ({ issuer_url: issuer, name: 'as it is called' }),
      redeem: step('redeem', tokens),
      readUserInfo: step('readUserInfo', { sub: 'me', email: 'me@bank.example' }),
      receipt: step('receipt', 'a receipt'),
      readError: () => undefined,
      ...client,
    },
    settings: {
      id: 'mine',
      tenant: undefined,
      login: { scope: ['openid'], max_age: 60, acr_values: 'high' },
      floor: 'floor',
      callback: CALLBACK,
      routes: { startsElsewhere: false },
      loginTtl: 600,
      fetchUserInfo: false,
      receipt: false,
      logins: {
        save: step('save', undefined),
        take: step('take', taken),
        ...(!blind && { peek: step('peek', peeked) }),
      },
      ...settings,
    },
  }
}

type Brought = Parameters<typeof finishLogin>[1]
const SIGNED = { response: 'h.p.s' } as Brought
const PLAIN = { code: 'code', state: 'state', iss: BANK } as Brought

type StandIn = ReturnType<typeof passOf>
const finish = (pass: StandIn, brought = SIGNED): ReturnType<typeof finishLogin> =>
  finishLogin(pass as never, brought)
const names = (): string[] => steps.map(([name]) => name)
const given = (name: string): unknown[] => steps.find(([one]) => one === name)?.slice(1) ?? []

describe('a login is finished', () => {
  test('in this order: the answer, the login it is of, what the application says, the code, the person', async () => {
    const pass = passOf({
      settings: {
        fetchUserInfo: true,
        receipt: true,
        tenant: 'north',
        acceptProvider: (provider: unknown, req: unknown) => {
          steps.push(['acceptProvider', provider, req])
          return true
        },
      },
    })
    const { req, signal } = pass
    expect(await finish(pass)).toEqual({
      claims: tokens.claims,
      identityProvider: { issuer_url: BANK, name: 'as it is called' },
      issuer: BANK,
      tokens,
      userInfo: { sub: 'me', email: 'me@bank.example' },
      interactionId: 'login-1',
      state: undefined,
      tenant: 'north',
      receipt: 'a receipt',
    })
    const call = { signal, record }
    const checks = { ...pending, floor: undefined }
    const ended = {
      issuer: BANK,
      state: 'state',
      interactionId: 'login-1',
      begun: 1000,
      checks,
      plain: undefined,
    }
    expect(steps).toEqual([
      ['newRecord'],
      ['readAnswer', 'h.p.s', call],
      ['peek', req, 'state'],
      ['take', req, 'state'],
      ['acceptProvider', { issuer_url: BANK, name: 'as it is called' }, req],
      ['redeem', answer, checks, call],
      ['readUserInfo', BANK, tokens, call],
      ['receipt', record, ended],
    ])
    expect(pass.seen).toEqual({ issuer: BANK, interactionId: 'login-1' })
  })

  test('without what was not asked for', async () => {
    const pass = passOf({ taken: { ...pending, state: { page: '/a' } } })
    const login = await finish(pass)
    expect(Object.keys(login).sort()).toEqual(
      ['claims', 'identityProvider', 'interactionId', 'issuer', 'state', 'tokens'].sort(),
    )
    expect(login.state).toEqual({ page: '/a' })
    expect(names()).toEqual(['readAnswer', 'peek', 'take', 'redeem'])
    expect(given('readAnswer')[1]).toEqual({ signal: pass.signal, record: undefined })
  })

  test('in the proxy flow with what IDPartner says of the bank, wherever the login went', async () => {
    const pass = passOf({ flow: 'proxy', taken: { ...pending, issuer: undefined }, peeked: 'no_login' })
    const { identityProvider } = await finish(pass)
    expect(identityProvider).toBe(document.identity_provider)
    expect(names()).toEqual(['readProxyDocument', 'readAnswer', 'peek', 'take', 'redeem'])
    expect(given('readProxyDocument')).toEqual(['h.p.s', { signal: pass.signal, record: undefined }])
    expect(given('readAnswer')[0]).toBe(document)
  })

  test('with a plain answer, of which a receipt has what it was', async () => {
    for (const flow of ['direct', 'proxy'] as const) {
      steps = []
      await finish(passOf({ flow, settings: { receipt: true } }), PLAIN)
      expect(names()).not.toContain('readProxyDocument')
      expect(given('readAnswer')[0]).toBe(PLAIN)
      expect(given('receipt')[1]).toMatchObject({ plain: PLAIN })
    }
  })

  test('in a store that cannot look', async () => {
    await finish(passOf({ blind: true }))
    expect(names()).toEqual(['readAnswer', 'take', 'redeem'])
  })

  test.each<[boolean, boolean | undefined]>([
    [true, undefined],
    [true, false],
    [false, true],
  ])(
    'and then logins begin elsewhere than at the callback, %s: sameRoute %s',
    async (expected, sameRoute) => {
      const pass = passOf({ taken: { ...pending, sameRoute } })
      await finish(pass)
      expect(pass.settings.routes.startsElsewhere).toBe(expected)
    },
  )

  test.each<[string, unknown, unknown]>([
    ['the same', 'floor', undefined],
    ['something else', 'another', { max_age: 60, acr_values: 'high' }],
    ['nothing', undefined, { max_age: 60, acr_values: 'high' }],
  ])(
    'with all that its strategy asks of every login, where it began with %s',
    async (_name, floor, expected) => {
      await finish(passOf({ taken: { ...pending, floor } }))
      expect(given('redeem')[1]).toEqual({ ...pending, floor: expected })
    },
  )
})

describe('a login that was refused at the bank', () => {
  test('is no question to the application', async () => {
    const refused = { ...answer, outcome: { error: 'access_denied' } }
    const pass = passOf({
      client: { readAnswer: () => Promise.resolve(refused) },
      settings: { acceptProvider: () => Promise.reject(new Error('was asked')) },
    })
    await finish(pass)
    expect(given('redeem')[0]).toBe(refused)
  })
})

const broken = new IDPartnerError('token_invalid', 'not good')

describe('an answer is refused', () => {
  test.each<[string, Changes, object, string[]]>([
    [
      'before anything is looked at, where it is not authentic',
      { client: { readAnswer: () => Promise.reject(broken) } },
      { code: 'token_invalid' },
      [],
    ],
    [
      'and its login stays, where that went to another bank',
      { peeked: { ...pending, issuer: OTHER } },
      {
        code: 'response_invalid',
        message: `the answer is from another bank than the login went to: ${BANK} and ${OTHER}`,
      },
      ['readAnswer', 'peek'],
    ],
    [
      'and its login stays, where another strategy began that',
      { peeked: { ...pending, strategy: 'theirs' } },
      { code: 'login_missing', reason: 'no_login' },
      ['readAnswer', 'peek'],
    ],
    [
      'and nothing is used up, where what waits is no login',
      { peeked: { ...pending, nonce: '' } },
      { code: 'config_invalid' },
      ['readAnswer', 'peek'],
    ],
    ['where what waits is nothing', { peeked: null }, { code: 'config_invalid' }, ['readAnswer', 'peek']],
    [
      'where the login that is taken is of another bank',
      { blind: true, taken: { ...pending, issuer: OTHER } },
      { code: 'response_invalid' },
      ['readAnswer', 'take'],
    ],
    [
      'where the login that is taken is of another strategy',
      { blind: true, taken: { ...pending, strategy: 'theirs' } },
      { code: 'login_missing', reason: 'no_login' },
      ['readAnswer', 'take'],
    ],
    [
      'where what is taken is no login',
      { taken: { ...pending, codeVerifier: 1 } },
      { code: 'config_invalid', message: 'the login store returned something that is no pending login' },
      ['readAnswer', 'peek', 'take'],
    ],
    [
      'where a login of the direct flow does not say to which bank it went',
      { taken: { ...pending, issuer: undefined } },
      { code: 'config_invalid', message: 'the login store returned something that is no pending login' },
      ['readAnswer', 'peek', 'take'],
    ],
    ...['no_session', 'no_login', 'expired', 'already_used'].map(
      (reason): [string, Changes, object, string[]] => [
        `where the store has none: ${reason}`,
        { peeked: 'no_login', taken: reason },
        { code: 'login_missing', reason },
        ['readAnswer', 'peek', 'take'],
      ],
    ),
    [
      'where the store gives nothing',
      { taken: null },
      { code: 'login_missing', reason: 'no_login' },
      ['readAnswer', 'peek', 'take'],
    ],
    [
      'by the bank, at whose word the login is over',
      { client: { redeem: () => Promise.reject(broken) } },
      { code: 'token_invalid', interactionId: 'login-1' },
      ['readAnswer', 'peek', 'take'],
    ],
    [
      'by its own id where that is known',
      { client: { redeem: () => Promise.reject(broken.withInteractionId('its-own')) } },
      { code: 'token_invalid', interactionId: 'its-own' },
      ['readAnswer', 'peek', 'take'],
    ],
  ])('%s', async (_name, changes, error, done) => {
    const pass = passOf(changes)
    const err = await refusal(finish(pass))
    expect(err).toMatchObject(error)
    if (done.length === 0) expect(err.interactionId).toBeUndefined()
    expect(names()).toEqual(done)
    expect(pass.settings.routes.startsElsewhere).toBe(false)
  })

  test('with the id that the document says, until the login is known', async () => {
    const readAnswer = (): Promise<never> => Promise.reject(broken)
    const pass = passOf({ flow: 'proxy', client: { readAnswer } })
    expect(await refusal(finish(pass))).toMatchObject({ interactionId: 'document-1' })
    expect(pass.seen).toEqual({ interactionId: 'document-1', issuer: BANK })
  })

  test('and where the session is gone, with where to look', async () => {
    const err = await refusal(finish(passOf({ peeked: 'no_session', taken: 'no_session' })))
    expect((err.cause as IDPartnerError).message).toContain("the callback's host, app.example")
  })

  test.each([false, undefined, null, 1, 'true', {}])(
    'where the application says %j of the bank, before the code is of use',
    async (said) => {
      for (const accepted of [said, Promise.resolve(said)]) {
        steps = []
        const pass = passOf({ settings: { acceptProvider: () => accepted } })
        expect(await refusal(finish(pass))).toMatchObject({
          code: 'provider_refused',
          interactionId: 'login-1',
        })
        expect(names()).toEqual(['readAnswer', 'peek', 'take'])
      }
    },
  )
})

describe('an error that nobody signed', () => {
  const DENIED = { error: 'access_denied', state: 'state' } as Brought
  const WRONG = { error: 'invalid_scope', state: 'state' } as Brought

  test.each<[string, Changes, object]>([
    ['leaves the login waiting, and has its id', {}, { code: 'access_denied', interactionId: 'login-1' }],
    [
      'is of no login that another strategy began',
      { peeked: { ...pending, strategy: 'theirs' } },
      { code: 'login_missing', reason: 'no_login' },
    ],
    ['is of none where none waits', { peeked: 'expired' }, { code: 'login_missing', reason: 'expired' }],
    [
      'has no id where it came from the account selector',
      { peeked: { ...pending, issuer: 'account-selector', interactionId: '-' } },
      { code: 'access_denied' },
    ],
    ['has none in a store that cannot look', { blind: true }, { code: 'access_denied' }],
  ])('%s', async (_name, changes, error) => {
    const err = await refusal(finish(passOf(changes), DENIED))
    expect(err).toMatchObject(error)
    if (!('interactionId' in error)) expect(err.interactionId).toBeUndefined()
    expect(names()).toEqual(changes.blind ? [] : ['peek'])
  })

  test('says where to look for a session that is gone', async () => {
    const err = await refusal(finish(passOf({ peeked: 'no_session' }), DENIED))
    expect([err.reason, (err.cause as IDPartnerError).message]).toEqual([
      'no_session',
      expect.stringContaining('app.example'),
    ])
  })

  test('is asked for by its state, and for this strategy', async () => {
    const pass = passOf()
    const err = await refusal(finish(pass, WRONG))
    expect(given('peek')).toEqual([pass.req, 'state', 'mine'])
    expect(err.message).toBe('the login ended with an error: invalid_scope')
  })

  describe('but is an answer where answers are plain', () => {
    const readError = (): object => ({ ...answer, outcome: { error: 'invalid_scope' } })

    test('ends its login, and says which option it may be', async () => {
      const err = await refusal(finish(passOf({ client: { readError } }), WRONG))
      expect(err).toMatchObject({
        code: 'provider_error',
        status: 401,
        interactionId: 'login-1',
        message: expect.stringMatching(/: invalid_scope \(check the option "scope"/),
      })
      expect(names()).toEqual(['peek', 'take'])
    })

    test.each<[string, Changes, object]>([
      ['of another bank', { peeked: { ...pending, issuer: OTHER } }, { code: 'response_invalid' }],
      ['of no login', { peeked: 'no_login', taken: 'already_used' }, { reason: 'already_used' }],
    ])('and none %s', async (_name, changes, error) => {
      expect(await refusal(finish(passOf({ ...changes, client: { readError } }), WRONG))).toMatchObject(error)
    })
  })
})
