import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, jest, test } from '@jest/globals'
import {
  IDPartner,
  IDPartnerStrategy,
  type IDPartnerLogin,
  type LoginStore,
  type PendingLogin,
  type TenantOptions,
} from 'passport-idpartner'
import { expectRefused } from '../support/expectations.js'
import { CLIENT_SECRET } from '../support/client-checks.js'
import { clientJwks } from '../support/key-pairs.js'
import { startScene, useScenes, type Scene } from '../support/scene.js'
import { keepSecret } from '../support/secrets.js'
import { settle, type Settled } from '../support/settle.js'

useScenes()

afterEach(() => {
  jest.useRealTimers()
})

/** An application with two tenants, and one browser that visits both. */
async function startTenants(flow: 'proxy' | 'direct', own: Record<string, object> = {}) {
  const scene = await startScene({ flow })
  const config = await scene.platform.config()
  const tenants: Record<string, object> = {
    north: { ...config, tenant: 'north', ...own['north'] },
    south: { ...config, tenant: 'south', ...own['south'] },
  }
  const logins: IDPartnerLogin[] = []
  const strategy = new IDPartnerStrategy<{ tenant: string }>(
    ({ tenant }) => (tenants[tenant] ?? notFound()) as TenantOptions<{ tenant: string }>,
    (login) => {
      logins.push(login)
      return Promise.resolve({ sub: login.claims.sub })
    },
  )
  const at = (tenant: string, path: string, query: Record<string, string>): Promise<Settled> =>
    settle(strategy, { ...scene.visitor.get(path, new URLSearchParams(query)), tenant })
  return {
    scene,
    tenants,
    logins,
    strategy,
    /** Begins a login at a tenant, and resolves with what the browser brings back from it. */
    begin: async (tenant: string): Promise<Record<string, string>> => {
      const iss: Record<string, string> = flow === 'direct' ? { iss: scene.platform.bankA.issuer } : {}
      const { via, value } = await at(tenant, '/login', iss)
      if (via !== 'redirect') throw new Error(`no login began: ${via}`, { cause: value })
      const url = value as string
      const request = await scene.platform.request(url)
      return scene.visitor.answerParams({ url, request, bank: 'bankA' })
    },
    bring: (tenant: string, answer: Record<string, string>): Promise<Settled> =>
      at(tenant, '/callback', answer),
  }
}

function notFound(): never {
  throw Object.assign(new Error('no such tenant'), { status: 404 })
}

const tokenRequests = ({ platform }: Scene): number => platform.count('bankA.token')

describe.each([{ flow: 'proxy' }, { flow: 'direct' }] as const)(
  "an answer to one tenant's login ($flow flow)",
  ({ flow }) => {
    test.each<[string, { north?: object; south?: object }, object]>([
      ['which has the same client id', {}, { code: 'login_missing', reason: 'no_login' }],
      [
        'which has a client id of its own',
        { south: { client_id: 'south-app' } },
        { code: 'response_invalid' },
      ],
      [
        'which looks for logins in the same place',
        { north: { store: sharedStore() }, south: { store: sharedStore() } },
        { code: 'login_missing', reason: 'no_login' },
      ],
    ])("is refused at the other's callback %s, and is good at its own", async (_which, own, refusal) => {
      const { scene, begin, bring, logins } = await startTenants(flow, own)
      const answer = await begin('north')
      expectRefused(await bring('south', answer), refusal as never)
      expect(tokenRequests(scene)).toBe(0)
      expect(logins).toEqual([])
      expect(await bring('north', answer)).toMatchObject({ via: 'success' })
      expect(logins[0]?.tenant).toBe('north')
    })

    test('is good while another one waits for a login in the same session', async () => {
      const { begin, bring, logins } = await startTenants(flow)
      const [north, south] = [await begin('north'), await begin('south')]
      expectRefused(await bring('north', south), { code: 'login_missing', reason: 'no_login' })
      expect(await bring('south', south)).toMatchObject({ via: 'success' })
      expect(await bring('north', north)).toMatchObject({ via: 'success' })
      expect(logins.map(({ tenant }) => tenant)).toEqual(['south', 'north'])
    })

    test('is refused once its tenant is another client', async () => {
      const { scene, tenants, begin, bring } = await startTenants(flow)
      const answer = await begin('north')
      tenants['north'] = { ...tenants['north'], client_id: 'new-app' }
      expectRefused(await bring('north', answer), { code: 'response_invalid' })
      expect(tokenRequests(scene)).toBe(0)
    })

    test('is refused once its tenant is gone', async () => {
      const { scene, tenants, begin, bring } = await startTenants(flow)
      const answer = await begin('north')
      delete tenants['north']
      expect(await bring('north', answer)).toMatchObject({ via: 'error', status: 404 })
      expect(tokenRequests(scene)).toBe(0)
    })

    test('is used once, though the client is another by then', async () => {
      const { scene, tenants, begin, bring } = await startTenants(flow)
      const answer = await begin('north')
      // A session in a cookie can be brought again as it was.
      const before = structuredClone(scene.visitor.session)
      expect(await bring('north', answer)).toMatchObject({ via: 'success' })
      scene.visitor.session = before
      tenants['north'] = { ...tenants['north'], timeout: 4000 }
      expectRefused(await bring('north', answer), { code: 'login_missing', reason: 'already_used' })
      expect(tokenRequests(scene)).toBe(1)
    })
  },
)

describe('a function that finds the options', () => {
  const asked = async (optionsOf: () => unknown): Promise<Settled> => {
    const strategy = new IDPartnerStrategy(optionsOf as never, () => Promise.resolve({}))
    return settle(strategy, { method: 'GET', url: '/login', headers: {}, session: {} })
  }
  const options = {
    client_id: 'app',
    callback: 'https://app.example/callback',
    flow: 'direct',
    token_endpoint_auth_method: 'client_secret_basic',
    client_secret: keepSecret(CLIENT_SECRET),
    trusted_issuers: ['https://bank.example'],
    tenant: 'north',
  }

  test.each<[string, () => unknown, RegExp]>([
    ['returns nothing', () => undefined, /returned none.*404/],
    ['returns null', () => null, /returned none/],
    ['returns a promise of nothing', () => Promise.resolve(), /returned none/],
    ['returns a text', () => 'north', /returned none/],
    ['returns an empty object', () => Object.create(null) as object, /option "tenant" is required/],
    ['names no tenant', () => ({ ...options, tenant: undefined }), /option "tenant" is required/],
    ['names the tenant with nothing', () => ({ ...options, tenant: '' }), /option "tenant" is required/],
    ['names the tenant by a number', () => ({ ...options, tenant: 7 }), /option "tenant" is required/],
    [
      'names it at length',
      () => ({ ...options, tenant: 'x'.repeat(201) }),
      /option "tenant" must be at most/,
    ],
    ['names the strategy', () => ({ ...options, name: 'other' }), /option "name" belongs to all/],
    ['puts logins elsewhere', () => ({ ...options, sessionKey: 'x' }), /option "sessionKey" belongs to all/],
    ['returns a list', () => [options], /option "tenant" is required/],
    ['returns a strategy', () => new IDPartnerStrategy(options as never, () => false), /option "/],
    ['returns a client', () => new IDPartner({ ...options, tenant: undefined } as never), /option "/],
    ['leaves out what is required', () => ({ ...options, client_id: undefined }), /option "client_id"/],
    ['knows an option that is none', () => ({ ...options, tenent: 'x' }), /option "tenent"/],
    ['contradicts itself', () => ({ ...options, flow: 'proxy', client_secret: 1 }), /option "client_secret"/],
  ])('and %s is an error of the application', async (_how, optionsOf, message) => {
    expectRefused(await asked(optionsOf), { code: 'config_invalid', message })
  })

  test.each<[string, () => unknown]>([
    ['throws', notFound],
    [
      'returns what throws when it is looked at',
      () => ({
        ...options,
        get jwks() {
          return notFound()
        },
      }),
    ],
    ['rejects', () => Promise.resolve().then(notFound)],
  ])('and %s ends the request with its own error', async (_how, optionsOf) => {
    const settled = await asked(optionsOf)
    expect(settled).toMatchObject({ via: 'error', status: 404 })
    expect(String(settled.value)).toBe('Error: no such tenant')
  })

  test('and never answers ends the request', async () => {
    jest.useFakeTimers()
    const ended = asked(() => new Promise(() => undefined))
    await jest.advanceTimersByTimeAsync(5000)
    expectRefused(await ended, { code: 'config_invalid', message: /did not answer within 5 s/ })
  })

  test('is not asked for what nobody wants: a prefetch', async () => {
    const optionsOf = jest.fn(() => options)
    const strategy = new IDPartnerStrategy(optionsOf as never, () => Promise.resolve({}))
    const headers = { 'sec-purpose': 'prefetch' }
    await settle(strategy, { method: 'GET', url: '/login', headers, session: {} })
    expect(optionsOf).not.toHaveBeenCalled()
  })
})

test('ten thousand tenants leave no more than a thousand clients', async () => {
  const strategy = new IDPartnerStrategy<{ tenant: number }>(
    ({ tenant }) => ({
      tenant: `tenant-${String(tenant)}`,
      client_id: `app-${String(tenant)}`,
      callback: 'https://app.example/callback',
      flow: 'direct',
      token_endpoint_auth_method: 'client_secret_basic',
      client_secret: 'a secret',
      trusted_issuers: ['https://bank.example'],
    }),
    () => Promise.resolve({}),
  )
  const clients: unknown[] = []
  for (let tenant = 0; tenant < 10_000; tenant++) clients.push(await strategy.clientOf({ tenant }))
  const kept = async (tenant: number): Promise<boolean> =>
    (await strategy.clientOf({ tenant })) === clients[tenant]
  // The one that was used last first, since whoever is made anew takes the place of another.
  for (let tenant = 9999; tenant >= 9000; tenant--) expect(await kept(tenant)).toBe(true)
  for (const tenant of [8999, 5000, 0]) expect(await kept(tenant)).toBe(false)
})

test('a tenant whose options are others each time keeps no client but the last', async () => {
  let asked = 0
  const strategy = new IDPartnerStrategy<object>(
    () => ({
      tenant: 'north',
      client_id: `app-${String((asked += 1))}`,
      callback: 'https://app.example/callback',
      flow: 'direct',
      token_endpoint_auth_method: 'client_secret_basic',
      client_secret: 'a secret',
      trusted_issuers: ['https://bank.example'],
      // Made anew each time, so that what is published cannot be shared either.
      log: () => undefined,
    }),
    () => Promise.resolve({}),
  )
  const clients: WeakRef<object>[] = []
  for (let made = 0; made < 2000; made++) clients.push(new WeakRef(await strategy.clientOf({})))
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  // A target that was looked at is kept until the end of its turn.
  await new Promise((resolve) => setImmediate(resolve))
  collect()
  const left = clients.filter((one) => one.deref() !== undefined)
  expect(left.length).toBeLessThan(200)
  expect(await strategy.clientOf({})).not.toBe(clients.at(-1)?.deref())
})

test('keys and secrets of tenants are in nothing that is printed', async () => {
  const { inspect } = await import('node:util')
  const jwks = await clientJwks()
  const strategy = new IDPartnerStrategy(
    () => ({ tenant: 'north', client_id: 'app', callback: 'https://app.example/callback', jwks }),
    () => Promise.resolve({}),
  )
  await strategy.clientOf({} as never)
  const shown = [inspect(strategy, { depth: Infinity, showHidden: true }), JSON.stringify(strategy)].join()
  expect(shown).not.toContain(String(jwks.keys[0]?.d))
})

/** One place for the logins of all tenants, as a table in a database is. */
const table = new Map<string, PendingLogin>()
function sharedStore(): LoginStore<object> {
  return {
    save: (_req, state, login) => Promise.resolve(void table.set(state, login)),
    peek: (_req, state) => Promise.resolve(table.get(state ?? '') ?? 'no_login'),
    take: (_req, state) => {
      const login = table.get(state)
      table.delete(state)
      return Promise.resolve(login ?? 'no_login')
    },
  }
}
