import { beforeEach, describe, expect, test } from '@jest/globals'
import { IDPartnerError } from '../../lib/errors.js'
import { startLogin, visitAccountSelector } from '../../lib/passport/begin-login.js'
import { proofsOf } from '../../lib/passport/logins.js'
import { SECOND, travel, useClock } from '../support/clock.js'
import { refusal } from '../support/settle.js'

useClock()

const BANK = 'https://bank.example'
const VERIFIER = 'v'.repeat(43)
const { interactionId, state, nonce } = proofsOf(VERIFIER)
/** The state of a visit to the account selector. */
const TICKET = 't'.repeat(43)

/** In the order in which they were asked for; each with what it was given. */
let steps: [string, ...unknown[]][] = []
beforeEach(() => {
  steps = []
})

interface Changes {
  flow?: 'proxy' | 'direct'
  client?: object
  peeked?: unknown
  taken?: unknown
  blind?: boolean
  url?: string
}

function passOf({
  flow = 'direct',
  client,
  peeked = 'no_login',
  taken,
  blind,
  url = '/login',
}: Changes = {}) {
  const step =
    (name: string, result: unknown) =>
    (...args: unknown[]) => {
      steps.push([name, ...args.map((one) => (one instanceof URLSearchParams ? one.toString() : one))])
      return Promise.resolve(result)
    }
  const { signal } = new AbortController()
  return {
    req: { url },
    signal,
    seen: {} as Record<string, unknown>,
    client: {
      flow,
      timeout: 1000,
      generateProofs: () => ({ state: TICKET, nonce: 'n', codeVerifier: 'c' }),
      generateCodeVerifier: () => VERIFIER,
      generateDpopKey: () => ({ dpopKey: 'a key' }),
      getAuthorizationUrl: step('getAuthorizationUrl', `${BANK}/authorize`),
      ...client,
    },
    settings: {
      id: 'mine',
      login: { scope: ['openid'], max_age: 60 },
      floor: 'floor',
      callback: 'https://app.example/callback',
      loginTtl: 600,
      logins: {
        save: step('save', undefined),
        take: step('take', taken),
        ...(!blind && { peek: step('peek', peeked) }),
      },
    },
  }
}

type StandIn = ReturnType<typeof passOf>
const start = (pass: StandIn, query = '', options = {}): Promise<string> =>
  startLogin(pass as never, new URLSearchParams(query), options)
const visit = (pass: StandIn, query = '', options = {}): Promise<string> =>
  visitAccountSelector(pass as never, new URLSearchParams(query), options)

const names = (): string[] => steps.map(([name]) => name)
const given = (name: string): unknown[] => steps.find(([one]) => one === name)?.slice(1) ?? []
const saved = (): Record<string, unknown> => given('save')[2] as Record<string, unknown>
const now = (): number => Math.floor(Date.now() / 1000)

describe('a login begins', () => {
  test('with an address, and then it waits', async () => {
    travel(0)
    const pass = passOf()
    const begun = now()
    expect(await start(pass, `iss=${BANK}`, { acr_values: 'high', state: { page: 1 } })).toBe(
      `${BANK}/authorize`,
    )
    const proofs = { state, nonce, codeVerifier: VERIFIER, dpopKey: 'a key' }
    const asked = { max_age: 60, acr_values: 'high', 'x-fapi-interaction-id': interactionId }
    const { signal, seen, req } = pass
    const query = new URLSearchParams({ iss: BANK }).toString()
    const login = {
      nonce,
      codeVerifier: VERIFIER,
      interactionId,
      strategy: 'mine',
      begun,
      issuer: BANK,
      max_age: undefined,
      acr_values: undefined,
      floor: 'floor',
      dpopKey: 'a key',
      sameRoute: undefined,
      state: { page: 1 },
    }
    expect(steps).toEqual([
      ['getAuthorizationUrl', query, proofs, ['openid'], asked, { signal, seen }],
      ['save', req, state, login, 600],
    ])
    expect(seen).toEqual({ interactionId })
  })

  test('with what was asked for in the end, and when it was begun', async () => {
    travel(0)
    const begun = now()
    const getAuthorizationUrl = (_params: unknown, proofs: object): Promise<string> => {
      Object.assign(proofs, { max_age: 30, acr_values: 'higher' })
      travel(10 * SECOND)
      return Promise.resolve('url')
    }
    await start(passOf({ client: { getAuthorizationUrl } }))
    expect(saved()).toMatchObject({ max_age: 30, acr_values: 'higher', begun })
  })

  test.each<['proxy' | 'direct', string, string | undefined]>([
    ['direct', `iss=${BANK}`, BANK],
    ['direct', 'iss=', undefined],
    ['proxy', `iss=${BANK}`, undefined],
  ])('in the %s flow with "%s", and its bank is %s', async (flow, query, issuer) => {
    await start(passOf({ flow }), query)
    expect(saved()).toMatchObject({ strategy: 'mine' })
    expect(saved()['issuer']).toBe(issuer)
  })

  test.each([
    ['/callback', true],
    ['/callback?iss=x', true],
    ['/login', undefined],
  ])('at the route %s, the callback: %s', async (url, expected) => {
    await start(passOf({ url }))
    expect(saved()['sameRoute']).toBe(expected)
  })

  test('not where the request cannot be made, which is told by its id', async () => {
    const err = new IDPartnerError('provider_unavailable', 'down')
    const pass = passOf({ client: { getAuthorizationUrl: () => Promise.reject(err) } })
    expect(await refusal(start(pass))).toMatchObject({ code: 'provider_unavailable', interactionId })
    expect(steps).toEqual([])
  })

  test('not where it cannot wait', async () => {
    const pass = passOf()
    pass.settings.logins.save = () => Promise.reject(new Error('full'))
    expect(await refusal(start(pass))).toMatchObject({ code: 'config_invalid' })
  })
})

const visited = { strategy: 'mine', state: '/orders' }

describe('back from the account selector', () => {
  const back = `iss=${BANK}&visitor_id=${TICKET}`
  const key = `account-selector.${TICKET}`

  test.each(['', 'me.', 'me.and.you.', 'x'.repeat(43) + '.'])(
    "a login has the application's value from before, behind %j",
    async (before) => {
      const pass = passOf({ peeked: visited, taken: visited })
      await start(pass, `visitor_id=${before}${TICKET}`)
      expect(saved()['state']).toBe('/orders')
      expect(names()).toEqual(['getAuthorizationUrl', 'peek', 'take', 'save'])
      expect(given('peek')).toEqual([pass.req, key, 'mine'])
      expect(given('take')).toEqual([pass.req, key])
    },
  )

  test('and one of its own before that', async () => {
    await start(passOf({ peeked: visited, taken: visited }), back, { state: 'own' })
    expect([saved()['state'], names()]).toEqual(['own', ['getAuthorizationUrl', 'save']])
  })

  test('also from a store that cannot look', async () => {
    await start(passOf({ blind: true, taken: visited }), back)
    expect(saved()['state']).toBe('/orders')
  })

  test.each<[string, string, Changes]>([
    ['no ticket', `iss=${BANK}`, {}],
    ['a short one', `visitor_id=${TICKET.slice(1)}`, {}],
    ['a long one', `visitor_id=${TICKET}t`, {}],
    ['one that is none', `visitor_id=${'!'.repeat(43)}`, {}],
    ['one with something behind it', `visitor_id=${TICKET}.x`, {}],
    ['two', `visitor_id=${TICKET}&visitor_id=${TICKET}`, {}],
    ['one, in the proxy flow', `visitor_id=${TICKET}`, { flow: 'proxy' }],
  ])('nothing is looked for with %s', async (_name, query, changes) => {
    await start(passOf({ peeked: visited, taken: visited, ...changes }), query)
    expect(names()).toEqual(['getAuthorizationUrl', 'save'])
    expect(saved()['state']).toBeUndefined()
  })

  test.each<[string, Changes, string[]]>([
    ['nothing waits', { peeked: 'no_login' }, ['peek']],
    ["another strategy's visit waits", { peeked: { ...visited, strategy: 'theirs' } }, ['peek']],
    ["another strategy's visit comes", { blind: true, taken: { ...visited, strategy: 'theirs' } }, ['take']],
    ['it was used meanwhile', { peeked: visited, taken: 'already_used' }, ['peek', 'take']],
    ['nothing comes', { blind: true, taken: undefined }, ['take']],
    ['null comes, as from many stores', { blind: true, taken: null }, ['take']],
    ['null waits', { peeked: null, taken: null }, ['peek']],
  ])('there is no value where %s', async (_name, changes, done) => {
    await start(passOf(changes), back)
    expect(saved()['state']).toBeUndefined()
    expect(names()).toEqual(['getAuthorizationUrl', ...done, 'save'])
  })
})

describe('the account selector is visited', () => {
  const waiting = {
    nonce: '-',
    codeVerifier: '-',
    interactionId: '-',
    strategy: 'mine',
    issuer: 'account-selector',
    sameRoute: undefined,
    state: undefined,
  }

  test('and the visit waits without a secret, so that a cancel is known for one', async () => {
    travel(0)
    const pass = passOf()
    const { signal, req } = pass
    expect(await visit(pass, 'visitor_id=me', { prompt: 'login' })).toBe(`${BANK}/authorize`)
    const asked = { max_age: 60, prompt: 'login' }
    expect(steps).toEqual([
      [
        'getAuthorizationUrl',
        'visitor_id=me',
        { state: TICKET, nonce: 'n', codeVerifier: 'c' },
        ['openid'],
        asked,
        { signal },
      ],
      ['save', req, 'account-selector', { ...waiting, begun: now() }, 600],
    ])
  })

  test('and does not wait where nobody could look', async () => {
    await visit(passOf({ blind: true }))
    expect(names()).toEqual(['getAuthorizationUrl'])
  })

  test.each([
    ['', TICKET],
    ['visitor_id=me', `me.${TICKET}`],
    ['visitor_id=', TICKET],
  ])("with the application's value it has a ticket: %j", async (query, visitor) => {
    for (const blind of [false, true]) {
      steps = []
      const params = new URLSearchParams(query)
      await visitAccountSelector(passOf({ blind }) as never, params, { state: { page: 1 } })
      expect(given('getAuthorizationUrl')[0]).toBe(`visitor_id=${visitor}`)
      expect(given('save')[1]).toBe(`account-selector.${TICKET}`)
      expect(saved()).toMatchObject({ ...waiting, state: { page: 1 } })
      // What the browser brought is not changed under anybody's hands.
      expect(params.toString()).toBe(query)
    }
  })

  test('at the callback, from where it comes back there', async () => {
    await visit(passOf({ url: '/callback' }))
    expect(saved()['sameRoute']).toBe(true)
  })
})
