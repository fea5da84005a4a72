import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { mkdirSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import {
  IDPartnerStrategy,
  generateJwks,
  type Check,
  type Checks,
  type IDPartnerLogin,
  type IDPartnerStrategyOptions,
  type PreflightOptions,
} from 'passport-idpartner'
import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, type JSONWebKeySet } from 'jose'
import { fetch, Agent } from 'undici'
import { networkScope, withNetwork } from '../lib/client/networks.js'
import { startApp } from './support/app.js'
import { Browser } from './support/browser.js'
import { tlsCertificates } from './support/certificates.js'
import { cliJson } from './support/cli.js'
import { NetworkBank, type Got } from './support/network-bank.js'
import { NETWORKS } from './support/network-rules.js'
import { settle, type Settled } from './support/settle.js'
import { SnippetFolder, snippetsOf } from './support/snippets.js'
import { checkTablesOfTests } from './support/tables-of-tests.js'

checkTablesOfTests('docs/networks.md', 26)

const NAMES = Object.keys(NETWORKS)
const CALLBACK = 'https://app.example/login/callback'
const folder = new SnippetFolder('networks')
const closing: (() => Promise<unknown>)[] = []
let dispatcher: Agent

beforeAll(async () => {
  // oidc-provider warns about every Node.js before 22 while it is being loaded.
  jest.spyOn(console, 'warn').mockImplementation(() => undefined)
  const { server, client } = await tlsCertificates()
  dispatcher = new Agent({ connect: { ca: server.cert } })
  closing.push(() => dispatcher.close())
  const [usual, curved] = await Promise.all([
    generateJwks(),
    generateJwks({ alg: 'ES256', enc: 'ECDH-ES+A256KW' }),
  ])
  const signing = usual.keys.filter(({ use }) => use === 'sig')
  const { keys } = await generateJwks()
  for (const name of ['idpartner', ...NAMES]) {
    const files = {
      'jwks.json': JSON.stringify(
        NETWORKS[name] ? (NETWORKS[name].alg === 'ES256' ? curved : { keys: signing }) : usual,
      ),
      'client.pem': client.cert,
      'client-key.pem': client.key,
      'dpop-key.json': JSON.stringify({ ...keys[0], use: undefined }),
    }
    mkdirSync(path.join(folder.path, name))
    for (const [file, text] of Object.entries(files)) writeFileSync(path.join(folder.path, name, file), text)
  }
})

afterAll(async () => {
  for (const close of closing.reverse()) await close()
})

/** The options that a block of the page exports, where its files are those of this test. */
async function optionsOf(name: string): Promise<IDPartnerStrategyOptions> {
  const block = snippetsOf('docs/networks.md').find(({ file }) => file === `${name}.ts`)
  if (!block) throw new Error(`docs/networks.md has no ${name}.ts`)
  const code = block.code.replace(/'([\w-]+\.(?:json|pem))'/g, (_, file: string) =>
    JSON.stringify(path.join(folder.path, name, file)),
  )
  const target = loaded.get(name) ?? folder.write(block.file, code)
  loaded.set(name, target)
  return ((await import(target)) as { options: IDPartnerStrategyOptions }).options
}
const loaded = new Map<string, string>()

interface At {
  options: IDPartnerStrategyOptions
  bank: NetworkBank
}

/** The block of a network, and a bank of it that the application trusts. */
function at(name: string): Promise<At> {
  const one = open.get(name) ?? openAt(name)
  open.set(name, one)
  return one
}
const open = new Map<string, Promise<At>>()

async function openAt(name: string): Promise<At> {
  const rules = NETWORKS[name]
  if (!rules) throw new Error(`no rules of ${name}`)
  const options = await optionsOf(name)
  const { server } = await tlsCertificates()
  const { client_id, callback: redirect_uri } = options
  const { client } = strategyOf(options)
  // As text, in which it is published.
  const jwks = JSON.parse(JSON.stringify(await client.getPublicJWKs())) as JSONWebKeySet
  const bank = await NetworkBank.start(rules, { client_id, redirect_uri, jwks }, server)
  closing.push(() => bank.close())
  return {
    options: { ...options, trusted_issuers: [bank.issuer], tls_server_ca: server.cert, timeout: 30_000 },
    bank,
  }
}

const strategyOf = (options: IDPartnerStrategyOptions): IDPartnerStrategy =>
  new IDPartnerStrategy({ ...options, passReqToCallback: false }, () => undefined)

type ServerAnswer = [status: number, body: string, headers?: Record<string, string>]

interface Ended {
  ended: Settled
  logins: IDPartnerLogin[]
}

/** Begins a login, goes to the bank and comes back. */
async function logIn({ options, bank }: At): Promise<Ended> {
  const logins: IDPartnerLogin[] = []
  const strategy = new IDPartnerStrategy({ ...options, passReqToCallback: false }, (login) => {
    logins.push(login)
    return Promise.resolve({ sub: login.claims.sub })
  })
  const session = {}
  const get = (path: string, query: URLSearchParams): object => ({
    method: 'GET',
    url: `${path}?${query.toString()}`,
    headers: { cookie: 'sid=1' },
    session,
  })
  const begun = await settle(strategy, get('/login', new URLSearchParams({ iss: bank.issuer })))
  if (begun.via !== 'redirect') return { ended: begun, logins }
  const browser = new Browser(CALLBACK, {
    fetch: ((url: string, init: object) => fetch(url, { ...init, dispatcher })) as never,
  })
  const { url, html } = await browser.open(begun.value as string)
  if (!url.startsWith(CALLBACK)) throw new Error(html)
  return { ended: await settle(strategy, get('/login/callback', new URL(url).searchParams)), logins }
}

test.each(NAMES)('the block of %s logs a person in at a bank of that network', async (name) => {
  const { ended, logins } = await logIn(await at(name))
  expect(ended).toMatchObject({ via: 'success', value: { sub: 'person' } })
  const { claims, inUserinfo } = NETWORKS[name] ?? {}
  const [login] = logins
  expect(inUserinfo ? login?.userInfo : login?.claims).toMatchObject(claims ?? {})
})

describe('preflight', () => {
  const rowsOf = async (name: string, asked: PreflightOptions): Promise<Record<string, Check>> => {
    const { options, bank } = await at(name)
    const { checks } = await strategyOf(options).client.preflight(asked)
    return Object.fromEntries(checks.map((one) => [one.id.replace(` ${bank.issuer}`, ''), one]))
  }

  test.each(NAMES)('tries a login request of %s, with what its logins ask for', async (name) => {
    const { options, bank } = await at(name)
    const before = bank.got.length
    const { bank: row } = await rowsOf(name, await strategyOf(options).askedOf({} as never))
    expect(row).toMatchObject({ status: 'ok', message: 'takes a login request' })
    expect(bank.got.slice(before)).toMatchObject([{ path: '/request', error: undefined }])
  })

  test.each([
    ['connectId', 'purpose, claims'],
    ['singpass', 'authentication_context_type'],
    ['openFinanceUae', 'authorization_details'],
  ])('tries none without what %s requires, and says so', async (name, lacked) => {
    const { bank: row } = await rowsOf(name, {})
    expect(row).toMatchObject({
      status: 'skip',
      message: expect.stringMatching(new RegExp(`no login request was tried, .* needs ${lacked}$`)),
    })
  })

  test('tells a request that the network refuses', async () => {
    const { bank: row } = await rowsOf('helseId', { purpose: 'To log in' })
    expect(row).toMatchObject({ status: 'fail', message: expect.stringMatching(/invalid_request/) })
  })

  test.each<[string, () => ServerAnswer, RegExp]>([
    ['they are elsewhere', () => [302, '', { location: '/keys' }], /HTTP 302|redirect/],
    ['they are behind a login', () => [403, ''], /HTTP 403/],
    ['one of them is private', () => [200, '{"keys":[{"kty":"EC","d":"AA"}]}'], /private key is published/],
    ['they are a page', () => [200, '<h1>Keys</h1>'], /JSON/],
  ])('tells public keys that a network could not fetch: %s', async (_what, answer, message) => {
    const server = createServer((_req, res) => {
      const [status, body, headers = {}] = answer()
      res.writeHead(status, headers).end(body)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const jwks_uri = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/jwks`
    const { published_keys: row } = await rowsOf('singpass', { jwks_uri })
    server.close()
    expect(row).toMatchObject({ status: 'fail', message: expect.stringMatching(message) })
  })

  test('is what doctor does, with all options', async () => {
    const { options } = await at('connectId')
    const file = path.join(folder.path, 'doctor.json')
    const text = (value: unknown): unknown => (Buffer.isBuffer(value) ? value.toString() : value)
    const plain = Object.entries(options).map(([key, value]) => [key, text(value)])
    writeFileSync(file, JSON.stringify(Object.fromEntries(plain)))
    const { checks } = await cliJson<Checks>(['doctor', '--config', file])
    expect(checks.find(({ id }) => id.startsWith('bank '))).toMatchObject({
      status: 'ok',
      message: 'takes a login request',
    })
  })
})

test('the block of idpartner logs a person in through IDPartner', async () => {
  const { client_id, jwks } = await optionsOf('idpartner')
  const app = await startApp({ sandbox: { client_id }, strategy: { client_id, jwks } })
  closing.push(() => app.close())
  const browser = new Browser('nowhere:')
  const bank = await browser.press(await browser.open(`${app.url}/login`), 'Mikomo Bank')
  const asked = await browser.press(bank, 'Log in', { login: 'mikomo_10', password: 'mikomo_10' })
  const { html } = await browser.press(asked, 'Share and continue')
  expect(JSON.parse(html)).toEqual({ user: { sub: app.logins[0]?.claims.sub } })
})

describe('what the application signs', () => {
  test.each(NAMES)('names its key: %s', async (name) => {
    const { options, bank } = await at(name)
    const before = bank.got.length
    await logIn({ options, bank })
    const signed = bank.got.slice(before).flatMap(({ body }) => {
      const form = new URLSearchParams(body)
      return ['client_assertion', 'request'].flatMap((one) => form.get(one) ?? [])
    })
    const [key] = (options.jwks as JSONWebKeySet).keys
    expect(signed.length).toBeGreaterThan(1)
    expect(new Set(signed.map((jwt) => decodeProtectedHeader(jwt).kid))).toEqual(new Set([key?.kid]))
  })
})

describe('logins at the same time', () => {
  test('have each a key and proofs of their own', async () => {
    const one = await at('singpassMyinfo')
    const before = one.bank.got.length
    const ended = await Promise.all([logIn(one), logIn(one), logIn(one)])
    expect(ended.map((login) => login.ended.via)).toEqual(['success', 'success', 'success'])
    const taken = one.bank.got.slice(before).filter(({ error }) => error === undefined)
    const proofs = await Promise.all(
      taken.map(async ({ path: where, headers: { dpop = '' } }) => {
        const { jwk } = decodeProtectedHeader(dpop)
        return { where, key: await calculateJwkThumbprint(jwk ?? {}), ...decodeJwt(dpop) }
      }),
    )
    // At each endpoint each login shows its own, and the same at all three.
    const keysAt = ['/request', '/token', '/me'].map(
      (path) => new Set(proofs.filter(({ where }) => where === path).map(({ key }) => key)),
    )
    expect(keysAt[0]?.size).toBe(3)
    expect(keysAt).toEqual([keysAt[0], keysAt[0], keysAt[0]])
    expect(new Set(proofs.map(({ jti }) => jti)).size).toBe(9)
    for (const { exp = Infinity, iat = 0 } of proofs) expect(exp - iat).toBeLessThanOrEqual(120)
  })
})

test.each(['singpass', 'singpassMyinfo'])(
  'tokens of %s come without a scope, which is no reason to refuse them',
  async (name) => {
    const { ended, logins } = await logIn(await at(name))
    expect(ended.via).toBe('success')
    expect(logins[0]?.tokens).not.toHaveProperty('scope')
  },
)

/** What an application is that was configured by hand, so that nothing but the bank knows the network's rules. */
function byHand(options: IDPartnerStrategyOptions): IDPartnerStrategyOptions {
  const { scope = networkScope(options.network), ...others } = withNetwork(options)
  return { ...others, scope, network: undefined }
}

const BESIDE = /the form holds client_assertion,client_assertion_type,client_id,request/
const UNKNOWN = { authorization_params: { surprise: 'yes' } }

describe('a bank of that network refuses', () => {
  test.each<[string, string, Partial<IDPartnerStrategyOptions>, RegExp]>([
    ['connectId', 'client_id beside the request', { pushed_request_client_id: true }, BESIDE],
    ['connectId', 'requests that are not signed', { profile: 'fapi2-security' }, /request/],
    ['connectId', 'no purpose', { purpose: undefined }, /no good purpose/],
    ['connectId', 'a purpose of two characters', { purpose: 'no' }, /no good purpose/],
    ['connectId', 'another scope', { scope: ['openid', 'email'] }, /a scope beside openid|scope/],
    ['connectId', 'acr_values', { acr_values: 'urn:any' }, /acr_values is unknown/],
    [
      'connectId',
      'acr among the claims',
      { claims: { id_token: { acr: null, txn: { essential: true } } } },
      /acr was asked for/,
    ],
    ['connectId', 'no transaction', { claims: { id_token: { given_name: null } } }, /the claim txn/],
    ['connectId', 'a parameter it does not know', UNKNOWN, /the parameter surprise is unknown/],
    [
      'singpass',
      'no authentication_context_type',
      { authorization_params: {} },
      /no authentication_context_type/,
    ],
    [
      'singpass',
      'markup in the message',
      {
        authorization_params: {
          authentication_context_type: 'A',
          authentication_context_message: '<b>',
        },
      },
      /no good authentication_context_message/,
    ],
    ['singpass', 'a long assertion', { client_assertion_lifetime: 121 }, /the assertion lives too long/],
    [
      'singpass',
      'a parameter it does not know',
      { authorization_params: { authentication_context_type: 'A', surprise: 1 } },
      /the parameter surprise is unknown/,
    ],
    [
      'singpass',
      'a parameter of another network',
      { purpose: 'To log in' },
      /the parameter purpose is unknown/,
    ],
    [
      'singpassMyinfo',
      'authentication_context_type',
      { authorization_params: { authentication_context_type: 'A' } },
      /the parameter authentication_context_type is unknown/,
    ],
    ['helseId', 'a long assertion', { client_assertion_lifetime: 61 }, /the assertion lives too long/],
    ['helseId', 'a parameter it does not know', UNKNOWN, /the parameter surprise is unknown/],
    [
      'helseId',
      'a parameter of another network',
      { purpose: 'To log in' },
      /the parameter purpose is unknown/,
    ],
    ['eSignet', 'signed requests', { profile: 'fapi2-message-signing', response_mode: 'query' }, /object/],
    ['eSignet', 'a parameter it does not know', UNKNOWN, /the parameter surprise is unknown/],
    ['openFinanceUae', 'client_id beside the request', { pushed_request_client_id: true }, BESIDE],
    ['openFinanceUae', 'requests that are not signed', { profile: 'fapi2-security' }, /request/],
    [
      'openFinanceUae',
      'nothing to authorize',
      { authorization_details: undefined },
      /no authorization_details/,
    ],
    ['openFinanceUae', 'a max_age of more than an hour', { max_age: 3601 }, /max_age is too long/],
    ['openFinanceUae', 'a parameter it does not know', UNKNOWN, /the parameter surprise is unknown/],
  ])('%s: %s', async (name, _title, bend, reason) => {
    const { options, bank } = await at(name)
    const { ended } = await logIn({ options: { ...byHand(options), ...bend }, bank })
    expect(ended).toMatchObject({ via: 'error', value: { code: 'provider_error' } })
    expect((ended.value as Error).cause).toMatchObject({ message: expect.stringMatching(reason) })
  })
})

const DPOP = NAMES.filter((name) => NETWORKS[name]?.dpop)
const MUTUAL = NAMES.filter((name) => NETWORKS[name]?.certificate)

/** The last request of a login to that endpoint, which the bank took. */
async function lastOf(name: string, path: string): Promise<{ at: At; got: Got }> {
  const one = await at(name)
  const { options, bank } = one
  const { ended } = await logIn({ options: { ...options, fetchUserInfo: true }, bank })
  expect(ended).toMatchObject({ via: 'success' })
  const got = bank.got.findLast((request) => request.path === path && request.error === undefined)
  if (!got) throw new Error(`nothing came to ${path}`)
  return { at: one, got }
}

/** Sends it as it was, or with other headers. */
async function again({ at: { options, bank }, got }: { at: At; got: Got }, headers = {}): Promise<string> {
  const { tls_client_cert: cert, tls_client_key: key, tls_server_ca: ca } = options
  const as = new Agent({ connect: { ca: ca as string, cert, key } as object })
  const present = Object.entries({ ...got.headers, ...headers }).filter(([, value]) => value !== '')
  const response = await fetch(`${bank.issuer}${got.path}`, {
    ...(got.path === '/me' ? { method: 'GET' } : { method: 'POST', body: new URLSearchParams(got.body) }),
    headers: Object.fromEntries(present) as Record<string, string>,
    dispatcher: as,
  })
  const said = `${String(response.status)} ${await response.text()} ${response.headers.get('www-authenticate') ?? ''}`
  await as.close()
  return said
}

describe('a bank of that network takes no request twice:', () => {
  test.each(NAMES)('%s, one with a used assertion', async (name) => {
    expect(await again(await lastOf(name, '/request'))).toMatch(/^401 .*invalid_client.*only be used once/)
  })

  test.each(DPOP)('%s, one with a used proof', async (name) => {
    expect(await again(await lastOf(name, '/me'))).toMatch(
      /^401 .*(invalid_dpop_proof|invalid_token|use_dpop_nonce)/,
    )
  })
})

describe('a bank of that network gives nothing', () => {
  test.each(DPOP)('for a token without its proof: %s', async (name) => {
    const last = await lastOf(name, '/me')
    const { authorization = '' } = last.got.headers
    const bearer = { dpop: '', authorization: authorization.replace(/^DPoP/, 'Bearer') }
    expect(await again(last, bearer)).toMatch(/^401 /)
    expect(await again(last, { dpop: '' })).toMatch(/^40[01] /)
  })

  test.each(DPOP)('for a proof without a nonce that it gave: %s', async (name) => {
    const { bank } = await at(name)
    const before = bank.got.length
    await lastOf(name, '/me')
    const { nonceAt = [] } = NETWORKS[name]?.dpop ?? {}
    const asked = bank.got.slice(before).filter(({ error }) => error === 'use_dpop_nonce')
    expect(asked.map(({ path }) => path)).toEqual(nonceAt)
  })

  test.each(MUTUAL)('without a client certificate: %s', async (name) => {
    const last = await lastOf(name, '/request')
    const options = { ...last.at.options, tls_client_cert: undefined, tls_client_key: undefined }
    expect(await again({ ...last, at: { ...last.at, options } })).toMatch(/^400 .*no client certificate/)
  })
})
