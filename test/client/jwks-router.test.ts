import { createServer, type RequestListener } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals'
import connect from 'connect'
import express from 'express'
import { IDPartner, jwksRouter, type JwksRouter } from 'passport-idpartner'
import { clientJwks, ecKey } from '../support/key-pairs.js'
import { thrown } from '../support/thrown.js'

// Its types are those of Express 5, which would be the wrong ones.
const express4 = createRequire(import.meta.url)('express4') as () => RequestListener & {
  use(prefix: string, middleware: JwksRouter): void
}

let client: IDPartner
let close: () => Promise<void>

beforeAll(async () => {
  const ec = (await ecKey('client')).privateKey.export({ format: 'jwk' }) as { kty: string }
  const { keys } = await clientJwks()
  client = new IDPartner({
    client_id: 'app',
    callback: 'https://app.example/callback',
    jwks: { keys: [...keys, { ...ec, use: 'sig', kid: 'ec' }] },
  })
})

afterEach(async () => {
  jest.restoreAllMocks()
  await close()
})

async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  close = () =>
    new Promise((resolve) => {
      server.close(() => {
        resolve()
      })
      server.closeAllConnections()
    })
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
}

/** Plain http, as Connect calls a middleware. */
const plain = (): Promise<string> => {
  const router = jwksRouter(client)
  return listen((req, res) => {
    router(req, res, (err?: unknown) => {
      res.statusCode = err ? 500 : 404
      res.end('not of the router')
    })
  })
}

const underExpress = (prefix?: string): Promise<string> => {
  const app = express()
  if (prefix === undefined) app.use(jwksRouter(client))
  else app.use(prefix, jwksRouter(client))
  app.use((_req, res) => {
    res.status(404).send('not of the router')
  })
  return listen(app as RequestListener)
}

const underExpress4 = (prefix = ''): Promise<string> => {
  const app = express4()
  app.use(prefix, jwksRouter(client))
  return listen(app)
}

const underConnect = (prefix = ''): Promise<string> => listen(connect().use(prefix, jwksRouter(client)))

describe.each<[string, (prefix?: string) => Promise<string>]>([
  ['without a framework', plain],
  ['under Express', underExpress],
])('%s', (_name, start) => {
  test('GET /jwks is answered with the public keys', async () => {
    const response = await fetch(`${await start()}/jwks`)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(await response.json()).toEqual(await client.getPublicJWKs())
  })

  test('and with no private member of any', async () => {
    const text = await (await fetch(`${await start()}/jwks`)).text()
    const { keys } = JSON.parse(text) as { keys: Record<string, unknown>[] }
    expect(keys).toHaveLength(3)
    const members = new Set(keys.flatMap((key) => Object.keys(key)))
    expect([...members].sort()).toEqual(['alg', 'crv', 'e', 'kid', 'kty', 'n', 'use', 'x', 'y'])
    const { keys: own } = await clientJwks()
    for (const { d, p } of own) {
      expect(text).not.toContain(d)
      expect(text).not.toContain(p)
    }
  })

  test('may be kept for five minutes by anyone', async () => {
    const response = await fetch(`${await start()}/jwks`)
    expect(response.headers.get('cache-control')).toBe('public, max-age=300')
    expect(response.headers.get('set-cookie')).toBeNull()
  })

  test('HEAD /jwks is answered with the same headers and no body', async () => {
    const url = `${await start()}/jwks`
    const [head, get] = await Promise.all([fetch(url, { method: 'HEAD' }), fetch(url)])
    expect(head.status).toBe(200)
    for (const name of ['content-type', 'content-length', 'cache-control']) {
      expect(head.headers.get(name)).toBe(get.headers.get(name))
    }
    expect(await head.text()).toBe('')
    expect(get.headers.get('content-length')).toBe(String(Buffer.byteLength(await get.text())))
  })

  test.each([
    ['GET', '/'],
    ['GET', '/jwks.json'],
    ['GET', '/jwks/private'],
    ['GET', '/other'],
    ['POST', '/jwks'],
    ['PUT', '/jwks'],
    ['DELETE', '/jwks'],
    ['OPTIONS', '/jwks'],
    ['GET', '/jwksx'],
    ['GET', '/x?path=/jwks'],
  ])('%s %s is left to the application', async (method, path) => {
    const response = await fetch(`${await start()}${path}`, { method })
    expect(response.status).toBe(404)
    expect(await response.text()).toBe('not of the router')
  })

  test.each(['/jwks?v=1', '/jwks/', '/JWKS', '/jwks/?v=1'])('%s is the same path', async (path) => {
    expect((await fetch(`${await start()}${path}`)).status).toBe(200)
  })
})

describe.each<[string, (prefix?: string) => Promise<string>]>([
  ['Express 5', underExpress],
  ['Express 4', underExpress4],
  ['Connect', underConnect],
])('under %s', (_name, start) => {
  test('it can be mounted under a prefix', async () => {
    const url = await start('/bank')
    expect((await fetch(`${url}/bank/jwks`)).status).toBe(200)
    expect((await fetch(`${url}/jwks`)).status).toBe(404)
    expect((await fetch(`${url}/bank/other`)).status).toBe(404)
  })
})

test('an application without keys publishes an empty list', async () => {
  const router = jwksRouter(
    new IDPartner({
      client_id: 'app',
      callback: 'https://app.example/callback',
      flow: 'direct',
      trusted_issuers: ['https://bank.example'],
      token_endpoint_auth_method: 'client_secret_basic',
      client_secret: 'secret',
    }),
  )
  const url = await listen((req, res) => {
    router(req, res, () => res.end())
  })
  expect(await (await fetch(`${url}/jwks`)).json()).toEqual({ keys: [] })
})

test('a failure is passed on to the application', async () => {
  const failing = { getPublicJWKs: () => Promise.reject(new Error('no keys')) } as unknown as IDPartner
  const router = jwksRouter(failing)
  const url = await listen((req, res) => {
    router(req, res, (err?: unknown) => {
      res.statusCode = 500
      res.end(err instanceof Error ? err.message : 'no error')
    })
  })
  const response = await fetch(`${url}/jwks`)
  expect(response.status).toBe(500)
  expect(await response.text()).toBe('no keys')
})

test('each tenant publishes its own keys, where its client is found by the request', async () => {
  const none = new IDPartner({
    client_id: 'app',
    callback: 'https://app.example/callback',
    flow: 'direct',
    trusted_issuers: ['https://bank.example'],
    token_endpoint_auth_method: 'client_secret_basic',
    client_secret: 'secret',
  })
  const app = express()
  const tenants: Record<string, IDPartner> = { north: client, south: none }
  app.use(
    '/:tenant',
    jwksRouter(({ params }: express.Request) => {
      const found = tenants[String(params['tenant'])]
      if (found) return found
      throw Object.assign(new Error('no such tenant'), { status: 404 })
    }),
    (_req, res) => res.send('another page'),
  )
  const url = await listen(app as RequestListener)
  const keysOf = async (tenant: string): Promise<number> =>
    ((await (await fetch(`${url}/${tenant}/jwks`)).json()) as { keys: unknown[] }).keys.length
  expect([await keysOf('north'), await keysOf('south')]).toEqual([3, 0])
  // Whose it is, is asked for the keys alone.
  expect((await fetch(`${url}/nobody/other`)).status).toBe(200)
  jest.spyOn(console, 'error').mockImplementation(() => undefined)
  expect((await fetch(`${url}/nobody/jwks`)).status).toBe(404)
})

test.each([[() => undefined], [() => Promise.resolve({ client: {} })]])(
  'a function that finds no client is an error of the application',
  async (find) => {
    const url = await listen((req, res) => {
      jwksRouter(find as never)(req, res, (err?: unknown) => {
        res.end(JSON.stringify(err))
      })
    })
    expect(await (await fetch(`${url}/jwks`)).json()).toMatchObject({ code: 'config_invalid', status: 500 })
  },
)

test.each([[{ client: { getPublicJWKs: () => undefined } }], [undefined], [{}]])(
  'needs the client, and not the strategy around it: %j',
  (given) => {
    expect(thrown(() => jwksRouter(given as never))).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('jwksRouter(strategy.client)'),
    })
  },
)
