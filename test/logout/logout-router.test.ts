import { createRequire } from 'node:module'
import type { RequestListener } from 'node:http'
import { afterEach, describe, expect, test } from '@jest/globals'
import connect from 'connect'
import express from 'express'
import { IDPartner, IDPartnerStrategy } from 'passport-idpartner'
import { concerns, logoutRouter, type BankLogout, type LogoutRouter } from 'passport-idpartner/logout'
import { set, without } from '../support/bends.js'
import { listen } from '../support/listen.js'
import { startScene, useScenes } from '../support/scene.js'

useScenes()

const express4 = createRequire(import.meta.url)('express4') as typeof express

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

type Host = { use: (...middlewares: (string | LogoutRouter)[]) => unknown } & RequestListener

const hosts: Record<string, () => Host> = {
  Connect: () => connect() as unknown as Host,
  'Express 4': () => express4() as unknown as Host,
  'Express 5': () => express() as unknown as Host,
  'Express 5 with a parser of forms': () => express().use(express.urlencoded()) as unknown as Host,
  'Express 4 with a parser of JSON': () => express4().use(express4.json()) as unknown as Host,
}

async function serve(app: Host): Promise<string> {
  const server = await listen()
  closing.push(() => server.close())
  server.serve(app)
  return server.url
}

describe.each(Object.keys(hosts))('on %s', (host) => {
  test("a bank's word ends the sessions that are meant", async () => {
    const { platform, strategy, visitor } = await startScene()
    await visitor.finish(await visitor.begin())
    const logouts: BankLogout[] = []
    const app = hosts[host]?.()
    if (!app) throw new Error('no host')
    app.use('/auth', logoutRouter(strategy.client, { onLogout: (one) => Promise.resolve(logouts.push(one)) }))
    const url = await serve(app)
    const post = async (token: string): Promise<number> => {
      const body = new URLSearchParams({ logout_token: token })
      return (await fetch(`${url}/auth/backchannel-logout`, { method: 'POST', body })).status
    }
    const { bankA } = platform
    expect(await post(await bankA.logoutToken({ sub: 'me', sid: 'one' }))).toBe(200)
    expect(await post(await bankA.logoutToken({ sid: 'two' }))).toBe(200)
    // It need not be encrypted, nor say of what type it is.
    expect(await post(await bankA.logoutToken({ sub: 'me' }, { unsealed: true }))).toBe(200)
    expect(await post(await bankA.logoutToken({ sub: 'me', sid: null }, { header: without('typ') }))).toBe(
      200,
    )
    expect(
      await post(await bankA.logoutToken({ sub: 'x' }, { header: set({ typ: 'application/logout+jwt' }) })),
    ).toBe(200)
    expect(await post(await bankA.logoutToken({ sub: 'y' }, { header: set({ typ: 'JWT' }) }))).toBe(200)
    const of = { issuer: bankA.issuer, iat: expect.any(Number), jti: expect.any(String) }
    expect(logouts).toEqual([
      { ...of, sub: 'me', sid: 'one' },
      { ...of, sid: 'two' },
      { ...of, sub: 'me' },
      { ...of, sub: 'me' },
      { ...of, sub: 'x' },
      { ...of, sub: 'y' },
    ])
  })
})

test('what is not for it goes on', async () => {
  const { strategy } = await startScene()
  const app = express()
  app.use(logoutRouter(strategy.client, { onLogout: () => undefined, path: '/bye' }), (_req, res) => {
    res.send('another')
  })
  const url = await serve(app as unknown as Host)
  for (const [method, path] of [
    ['GET', '/bye'],
    ['POST', '/backchannel-logout'],
    ['POST', '/bye/bye'],
  ] as const) {
    expect(await (await fetch(url + path, { method })).text()).toBe('another')
  }
  expect((await fetch(`${url}/bye/?x`, { method: 'POST' })).status).toBe(400)
})

describe('of several tenants', () => {
  async function tenants(clientOf: (req: { url: string }) => unknown) {
    const heard: unknown[] = []
    const errors: unknown[] = []
    const app = express()
    const onLogout = (logout: BankLogout, req: express.Request): void => {
      heard.push([req.params['tenant'], logout.sub])
    }
    const router = logoutRouter(clientOf as never, { onLogout, onError: (err) => errors.push(err) })
    app.use('/:tenant', router as express.RequestHandler)
    const url = await serve(app as unknown as Host)
    const post = async (tenant: string, logout_token: string): Promise<number> => {
      const body = new URLSearchParams({ logout_token })
      return (await fetch(`${url}/${tenant}/backchannel-logout`, { method: 'POST', body })).status
    }
    return { heard, errors, post }
  }

  /** Two clients of one bank, of which the bank knows that of the north. */
  async function northAndSouth() {
    const { platform } = await startScene({ flow: 'direct' })
    const config = await platform.config()
    const strategy = new IDPartnerStrategy<{ originalUrl: string }>(
      ({ originalUrl }) => {
        const [, tenant = ''] = originalUrl.split('/')
        return { ...config, tenant, client_id: tenant === 'north' ? config.client_id : `app-${tenant}` }
      },
      () => Promise.resolve({}),
    )
    return { bankA: platform.bankA, ...(await tenants((req) => strategy.clientOf(req as never))) }
  }

  test("a bank's word is read with the client of the tenant, and heard with the request", async () => {
    const { bankA, heard, errors, post } = await northAndSouth()
    const token = await bankA.logoutToken({ sub: 'me' })
    // It is for another client id than that of this tenant, and still good for the one that is meant.
    expect(await post('south', token)).toBe(400)
    expect(errors).toMatchObject([{ code: 'token_invalid', message: expect.stringContaining('"aud"') }])
    expect(await post('north', token)).toBe(200)
    expect(heard).toEqual([['north', 'me']])
  })

  test('one name is used once for each client', async () => {
    const { bankA, heard, post } = await northAndSouth()
    const tokens = {
      north: await bankA.logoutToken({ sub: 'me', jti: 'one' }),
      south: await bankA.logoutToken({ sub: 'me', jti: 'one', aud: 'app-south' }, { unsealed: true }),
    }
    expect([await post('north', tokens.north), await post('south', tokens.south)]).toEqual([200, 200])
    expect([await post('north', tokens.north), await post('south', tokens.south)]).toEqual([400, 400])
    expect(heard).toHaveLength(2)
  })

  test.each<[string, () => unknown, object]>([
    [
      'throws',
      () => {
        throw new Error('no such tenant')
      },
      { message: 'no such tenant' },
    ],
    ['rejects', () => Promise.reject(new Error('no such tenant')), { message: 'no such tenant' }],
    ['finds nobody', () => undefined, { code: 'config_invalid' }],
    ['finds something else', () => ({ logoutTokenExpected: () => ({}) }), { code: 'config_invalid' }],
  ])('a function that %s ends nothing: 400', async (_how, clientOf, error) => {
    const { heard, errors, post } = await tenants(clientOf)
    expect(await post('north', 'x.y.z')).toBe(400)
    expect(errors).toEqual([expect.objectContaining(error)])
    expect(heard).toEqual([])
  })
})

describe('a mistake is found when the application starts', () => {
  const client = new IDPartner({
    client_id: 'a',
    callback: 'https://app.example/cb',
    flow: 'direct',
    token_endpoint_auth_method: 'client_secret_basic',
    client_secret: 'a secret',
    trusted_issuers: ['https://bank.example'],
  })
  test.each<[string, () => unknown]>([
    ['strategy.client', () => logoutRouter({} as never, { onLogout: () => undefined })],
    ['onLogout', () => logoutRouter(client, {} as never)],
    ['onLogout', () => logoutRouter(client, undefined as never)],
    ['onLogout', () => logoutRouter(client, (() => undefined) as never)],
    ['it is called "onLogout" here', () => logoutRouter(client, { onLogout() {}, onlogout: 1 } as never)],
    ['onLogout', () => logoutRouter(client, { onLogout: 'x' } as never)],
    ['onError', () => logoutRouter(client, { onLogout: () => undefined, onError: 1 } as never)],
    ['path', () => logoutRouter(client, { onLogout: () => undefined, path: 'x' })],
    ['onlogout', () => logoutRouter(client, { onLogout: () => undefined, onlogout: 1 } as never)],
  ])('%s', (name, make) => {
    expect(make).toThrow(
      expect.objectContaining({ code: 'config_invalid', message: expect.stringContaining(name) }),
    )
  })
})

describe('a logout concerns a login', () => {
  const login = { iss: 'https://bank.example', sub: 'me', sid: 'one', iat: 100 }
  const logout = { issuer: 'https://bank.example', sub: 'me', sid: 'one', iat: 200, jti: 'x' }
  test.each<[string, Partial<BankLogout>, object, boolean]>([
    ['of that session', {}, {}, true],
    ['of that session, whoever it is', { sub: undefined as never }, {}, true],
    ['of that person, whichever session', { sid: undefined as never }, { sid: 'two' }, true],
    ['of which nobody knows when it was', {}, { iat: undefined }, true],
    ['and none of another session', {}, { sid: 'two' }, false],
    ['and none without a session, where one is named', {}, { sid: undefined }, false],
    ['and none of another person', {}, { sub: 'you' }, false],
    ['and none of another bank', {}, { iss: 'https://other.example' }, false],
    ['and none that came after it', {}, { iat: 201 }, false],
  ])('%s', (_what, other, claims, expected) => {
    expect(concerns({ ...logout, ...other }, { ...login, ...claims })).toBe(expected)
  })
})
