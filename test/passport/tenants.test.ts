import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import {
  IDPartner,
  IDPartnerStrategy,
  generateJwks,
  type IDPartnerLogin,
  type TenantOptions,
  type TokenSet,
} from 'passport-idpartner'
import { verifyReceipt } from 'passport-idpartner/receipt'
import { tlsCertificates } from '../support/certificates.js'
import { startScene, useScenes, type Scene } from '../support/scene.js'
import { settle } from '../support/settle.js'
import { thrown } from '../support/thrown.js'

useScenes()

const trusts = (): boolean => true
const options = (): TenantOptions => ({
  tenant: 'north',
  client_id: 'app',
  callback: 'https://app.example/callback',
  flow: 'direct',
  token_endpoint_auth_method: 'client_secret_basic',
  client_secret: 'a secret',
  trusted_issuers: ['https://bank.example'],
  claims: { id_token: { email: { essential: true } } },
})
const nobody = (): Promise<object> => Promise.resolve({})

describe('a strategy of several tenants', () => {
  test('has the name of the package, and no client of its own', () => {
    const strategy = new IDPartnerStrategy(options, nobody)
    expect(strategy.name).toBe('idpartner')
    const err = thrown(() => strategy.client)
    expect(err).toMatchObject({ code: 'config_invalid', message: expect.stringMatching(/clientOf\(req\)/) })
  })

  test('is not made without verify', () => {
    expect(thrown(() => new IDPartnerStrategy(options, undefined as never))).toMatchObject({
      code: 'config_invalid',
      message: 'the second argument must be the verify function',
    })
  })

  test('gives verify the request where that is asked for', async () => {
    const { platform, visitor } = await startScene()
    const config = await platform.config()
    const seen: unknown[] = []
    const strategy = new IDPartnerStrategy<{ shop: string }>(
      ({ shop }) => ({ ...config, tenant: shop, passReqToCallback: true }),
      (req, { tenant }) => {
        seen.push(req.shop, tenant)
        return Promise.resolve({})
      },
    )
    const at = (path: string, query: object) => ({
      ...visitor.get(path, new URLSearchParams(query as Record<string, string>)),
      shop: 'north',
    })
    const url = (await settle(strategy, at('/login', {}))).value as string
    const begun = { url, request: await platform.request(url), bank: 'bankA' } as const
    await settle(strategy, at('/callback', await visitor.answerParams(begun)))
    expect(seen).toEqual(['north', 'north'])
  })
})

test('a strategy of one application has one client for all requests', async () => {
  const strategy = new IDPartnerStrategy({ ...options(), tenant: undefined }, nobody)
  expect(strategy.client).toBeInstanceOf(IDPartner)
  expect(await strategy.clientOf({} as never)).toBe(strategy.client)
})

describe('the client of a tenant', () => {
  async function clients(first: () => TenantOptions, second: () => TenantOptions): Promise<IDPartner[]> {
    let asked = 0
    const strategy = new IDPartnerStrategy(() => (asked++ === 0 ? first() : second()), nobody)
    return [await strategy.clientOf({} as never), await strategy.clientOf({} as never)]
  }

  test('is the same while its options say the same', async () => {
    const { client } = await tlsCertificates()
    const made = (): TenantOptions => ({
      ...options(),
      tls_client_cert: Buffer.from(client.cert),
      tls_client_key: Buffer.from(client.key),
      log: console,
    })
    const [one, other] = await clients(made, made)
    expect(other).toBe(one)
  })

  test('is the same while its options are a row of the same data, with a class of its own', async () => {
    class Row {
      save(): void {
        throw new Error('a row knows how to save itself')
      }
    }
    const made = (): TenantOptions => Object.assign(new Row(), options())
    const [one, other] = await clients(made, made)
    expect(other).toBe(one)
  })

  test('is the same while a KeyObject holds the same key, and another one where it holds another', async () => {
    const [mine, another] = [0, 1].map(() => generateKeyPairSync('ed25519').privateKey)
    if (!mine || !another) throw new Error('there are two')
    const der = (key: KeyObject) =>
      ({ key: key.export({ format: 'der', type: 'pkcs8' }), format: 'der', type: 'pkcs8' }) as const
    const of = (key: KeyObject) => (): TenantOptions => ({
      ...options(),
      jwks: { keys: [{ key: createPrivateKey(der(key)), use: 'sig' }] },
    })
    const [one, same] = await clients(of(mine), of(mine))
    expect(same).toBe(one)
    const [first, second] = await clients(of(mine), of(another))
    expect(second).not.toBe(first)
  })

  test.each<[string, Partial<TenantOptions>]>([
    ['a secret', { client_secret: 'another secret' }],
    ['a list that is longer', { trusted_issuers: ['https://bank.example', 'https://other.example'] }],
    ['a list with another entry', { trusted_issuers: ['https://other.example'] }],
    ['a function in place of a list', { trusted_issuers: trusts }],
    ['something deep inside', { claims: { id_token: { email: { essential: false } } } }],
    ['one option more', { timeout: 4000 }],
    ['one option less', { claims: undefined }],
  ])('is another one after a change: %s', async (_what, change) => {
    const [one, other] = await clients(options, () => ({ ...options(), ...change }))
    expect(other).not.toBe(one)
  })

  test('is another one where a function is another one', async () => {
    const made = (): TenantOptions => ({ ...options(), trusted_issuers: () => true })
    const [one, other] = await clients(made, made)
    expect(other).not.toBe(one)
  })

  test('is the same while it is read from the same file, and another one where it is another file', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'tenants-'))
    const { server } = await tlsCertificates()
    const from = (name: string): (() => TenantOptions) => {
      writeFileSync(path.join(folder, name), server.cert)
      return () => ({ ...options(), tls_server_ca: pathToFileURL(path.join(folder, name)) })
    }
    const a = from('a.pem')
    const [one, same] = await clients(a, a)
    expect(same).toBe(one)
    const [first, second] = await clients(a, from('b.pem'))
    expect(second).not.toBe(first)
    rmSync(folder, { recursive: true })
  })

  test('is another one where a certificate is another one', async () => {
    const { server, client } = await tlsCertificates()
    const [one, other] = await clients(
      () => ({ ...options(), tls_server_ca: Buffer.from(server.cert) }),
      () => ({ ...options(), tls_server_ca: Buffer.from(client.cert) }),
    )
    expect(other).not.toBe(one)
  })

  test('is another one where the very same object has been changed', async () => {
    const kept = options()
    const [one, other] = await clients(
      () => kept,
      () => {
        ;(kept.trusted_issuers as string[]).push('https://other.example')
        return kept
      },
    )
    expect(other).not.toBe(one)
  })
})

describe('what banks and IDPartner publish', () => {
  /** Logs one person in at each tenant. */
  async function visit(scene: Scene, tenants: TenantOptions<{ at: number }>[]): Promise<void> {
    const { platform, visitor } = scene
    const strategy = new IDPartnerStrategy<{ at: number }>(
      ({ at }) => tenants[at] as TenantOptions<{ at: number }>,
      nobody,
    )
    for (const at of tenants.keys()) {
      const request = (path: string, query = new URLSearchParams()) => ({ ...visitor.get(path, query), at })
      const url = (await settle(strategy, request('/login'))).value as string
      const begun = { url, request: await platform.request(url), bank: 'bankA' } as const
      const answer = new URLSearchParams(await visitor.answerParams(begun))
      expect(await settle(strategy, request('/callback', answer))).toMatchObject({ via: 'success' })
    }
  }
  const published = ['proxy.discovery', 'directory.jwks', 'bankA.discovery', 'bankA.jwks']

  test('is fetched once for all tenants', async () => {
    const scene = await startScene()
    const config = await scene.platform.config()
    await visit(scene, [
      { ...config, tenant: 'north' },
      { ...config, tenant: 'south', trusted_issuers: () => true },
    ])
    for (const one of published) expect([one, scene.platform.count(one)]).toEqual([one, 1])
  })

  test('is fetched again for one that fetches in another way', async () => {
    const scene = await startScene()
    const config = await scene.platform.config()
    await visit(scene, [
      { ...config, tenant: 'north' },
      { ...config, tenant: 'south', timeout: 4000 },
    ])
    for (const one of published) expect([one, scene.platform.count(one)]).toEqual([one, 2])
  })
})

test('tokens are renewed once, though an option of their tenant has another value meanwhile', async () => {
  const scene = await startScene()
  const { platform, visitor } = scene
  await visitor.finish(await visitor.begin())
  const { tokens, issuer } = scene.logins[0] as IDPartnerLogin
  let tenant: TenantOptions = { ...(await platform.config()), trusted_issuers: [issuer], tenant: 'north' }
  const strategy = new IDPartnerStrategy(() => tenant, nobody)
  const over: TokenSet = { ...tokens, expires_at: 0 }
  const save = (): void => undefined
  const first = await (await strategy.clientOf({} as never)).freshTokens(over, { save })
  tenant = { ...tenant, clock_tolerance: 10 }
  const second = await (await strategy.clientOf({} as never)).freshTokens(over, { save })
  expect(second).toEqual(first)
  tenant = { ...tenant, client_id: 'other' }
  await (await strategy.clientOf({} as never)).freshTokens(over, { save }).catch(() => undefined)
  expect(platform.count('bankA.token')).toBe(3)
  platform.wire.complaints.splice(0)
})

test('each tenant seals receipts with keys of its own, and one without a key is told so', async () => {
  const scene = await startScene({ flow: 'direct', auth: 'client_secret_basic', encrypted: false })
  const { platform, visitor } = scene
  const config = await platform.config()
  const sealing = async (): Promise<object> => {
    const { keys } = await generateJwks({ alg: 'ES256' })
    return { jwks: { keys: keys.filter(({ use }) => use === 'sig') } }
  }
  const own: Record<string, object> = {
    north: await sealing(),
    south: await sealing(),
    none: { jwks: undefined },
  }
  const receipts: Record<string, string> = {}
  const strategy = new IDPartnerStrategy<{ at: string }>(
    ({ at }) => ({ ...config, ...own[at], tenant: at, receipt: true }),
    ({ tenant = '', receipt = '' }) => {
      receipts[tenant] = receipt
      return Promise.resolve({})
    },
  )
  for (const at of ['north', 'south']) {
    const request = (path: string, query: Record<string, string>) => ({
      ...visitor.get(path, new URLSearchParams(query)),
      at,
    })
    const url = (await settle(strategy, request('/login', { iss: platform.bankA.issuer }))).value as string
    const begun = { url, request: await platform.request(url), bank: 'bankA' } as const
    const answer = await visitor.answerParams(begun)
    expect(await settle(strategy, request('/callback', answer))).toMatchObject({ via: 'success' })
  }
  const anchors = async (at: string) => ({
    trustAnchors: { application: await (await strategy.clientOf({ at })).getPublicJWKs() },
  })
  expect(await verifyReceipt(receipts['south'], await anchors('south'))).toMatchObject({
    issuer: platform.bankA.issuer,
  })
  await expect(verifyReceipt(receipts['south'], await anchors('north'))).rejects.toMatchObject({
    code: 'token_invalid',
  })
  await expect(strategy.clientOf({ at: 'none' })).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('"receipt"'),
  })
  // Their keys are not registered, so that no request object is what was expected.
  platform.wire.complaints.splice(0)
})
