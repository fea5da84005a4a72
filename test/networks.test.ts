import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { mkdirSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
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
import { fetch as undiciFetch, Agent } from 'undici'
import { networkScope, withNetwork, type Network } from '../lib/client/networks.js'
import { NETWORKS, type NetworkRules } from '../lib/sandbox/networks.js'
import { startSandbox, type Sandbox } from 'passport-idpartner/sandbox'
import { startApp } from './support/app.js'
import { Browser } from './support/browser.js'
import { cliJson } from './support/cli.js'
import { agree } from './support/sandbox-app.js'
import { settle, type Settled } from './support/settle.js'
import { SnippetFolder, snippetsOf } from './support/snippets.js'
import { checkTablesOfTests } from './support/tables-of-tests.js'
import { Traffic, type Got } from './support/traffic.js'

checkTablesOfTests('docs/networks.md', 26)

/** The blocks of the page, and whose they are. */
const BLOCKS: Record<string, Network> = {
  connectId: 'connectid-au',
  singpass: 'singpass',
  singpassMyinfo: 'singpass-myinfo',
  helseId: 'helseid',
  eSignet: 'esignet',
  openFinanceUae: 'openfinance-uae',
}
const NAMES = Object.keys(BLOCKS)
const CALLBACK = 'https://app.example/login/callback'
const folder = new SnippetFolder('networks')
const closing: (() => Promise<unknown>)[] = []
const traffic = Traffic.begin()

function rulesOf(name: string): NetworkRules {
  const network = BLOCKS[name]
  if (!network) throw new Error(`no network of ${name}`)
  return NETWORKS[network]
}

beforeAll(async () => {
  const [usual, curved, { keys }] = await Promise.all([
    generateJwks(),
    generateJwks({ alg: 'ES256', enc: 'ECDH-ES+A256KW' }),
    generateJwks(),
  ])
  const signing = usual.keys.filter(({ use }) => use === 'sig')
  for (const name of ['idpartner', ...NAMES]) {
    const jwks = name.startsWith('singpass') ? curved : name === 'idpartner' ? usual : { keys: signing }
    const files = {
      'jwks.json': JSON.stringify(jwks),
      'client.pem': 'of the directory',
      'client-key.pem': 'of the directory',
      'dpop-key.json': JSON.stringify({ ...keys[0], use: undefined }),
    }
    mkdirSync(path.join(folder.path, name))
    for (const [file, text] of Object.entries(files)) writeFileSync(path.join(folder.path, name, file), text)
  }
})

afterAll(async () => {
  traffic.end()
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
  sandbox: Sandbox
  issuer: string
  /** What its bank was asked behind the browser's back so far. */
  got: () => (Got & { path: string })[]
  /** Why requests were refused, as the sandbox printed it. */
  lines: string[]
}

/** The block of a network, and a bank of it that the application trusts. */
function at(name: string): Promise<At> {
  const one = open.get(name) ?? openAt(name)
  open.set(name, one)
  return one
}
const open = new Map<string, Promise<At>>()

async function openAt(name: string): Promise<At> {
  const options = await optionsOf(name)
  const { client_id, callback } = options
  const lines: string[] = []
  const sandbox = await startSandbox({
    client_id,
    callback,
    network: BLOCKS[name],
    jwks_uri: await publish(publicOf(options.jwks as JSONWebKeySet)),
    banks: [{ name: 'Mikomo Bank' }],
    log: (line) => lines.push(line),
  })
  closing.push(() => sandbox.close())
  const { trusted_issuers = [], tls_server_ca, tls_client_cert, tls_client_key } = sandbox.config
  const [issuer = ''] = trusted_issuers
  const bases = [issuer, (await aliasesOf(issuer))?.token_endpoint?.replace(/\/token$/, '') ?? issuer]
  return {
    options: {
      ...options,
      ...{ trusted_issuers, tls_server_ca, tls_client_cert, tls_client_key },
      timeout: 30_000,
    },
    sandbox,
    issuer,
    lines,
    got: () =>
      traffic.got.flatMap((one) => {
        const path = bases
          .map((base) => one.url.replace(base, ''))
          .find((rest) => BACK_CHANNEL.includes(rest))
        return path === undefined ? [] : [{ ...one, path }]
      }),
  }
}

const BACK_CHANNEL = ['/request', '/token', '/me']

async function aliasesOf(issuer: string): Promise<Record<string, string> | undefined> {
  const response = await fetch(`${issuer}/.well-known/openid-configuration`)
  const { mtls_endpoint_aliases: aliases } = (await response.json()) as Record<string, unknown>
  return aliases as Record<string, string> | undefined
}

/** As `jwksRouter` does for an application that runs. */
async function publish(jwks: JSONWebKeySet): Promise<string> {
  const server = createServer((_req, res) => res.end(JSON.stringify(jwks))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(async () => {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  })
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/jwks`
}

function publicOf({ keys }: JSONWebKeySet): JSONWebKeySet {
  const PUBLIC = ['kty', 'kid', 'use', 'alg', 'n', 'e', 'crv', 'x', 'y']
  return {
    keys: keys.map(
      (key) => Object.fromEntries(Object.entries(key).filter(([name]) => PUBLIC.includes(name))) as never,
    ),
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
async function logIn({ options, issuer }: Pick<At, 'options' | 'issuer'>): Promise<Ended> {
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
  const begun = await settle(strategy, get('/login', new URLSearchParams({ iss: issuer })))
  if (begun.via !== 'redirect') return { ended: begun, logins }
  const browser = new Browser(CALLBACK)
  const { url, html } = await agree(browser, await browser.open(begun.value as string))
  if (!url.startsWith(CALLBACK)) throw new Error(html)
  return { ended: await settle(strategy, get('/login/callback', new URL(url).searchParams)), logins }
}

test.each(NAMES)('the block of %s logs a person in at a bank of that network', async (name) => {
  const one = await at(name)
  const { ended, logins } = await logIn(one)
  const { sub, ...known }: Record<string, unknown> = one.sandbox.banks[0]?.personas[0]?.claims ?? {}
  expect(ended).toMatchObject({ via: 'success', value: { sub } })
  const { openid, inUserinfo } = rulesOf(name)
  const told = name === 'connectId' ? ['txn', 'given_name', 'family_name'] : openid
  expect(told.length).toBeGreaterThan(0)
  const [login] = logins
  const expected = Object.fromEntries(told.map((claim) => [claim, known[claim]]))
  expect(inUserinfo ? login?.userInfo : login?.claims).toMatchObject(expected)
  if (inUserinfo) expect(told.filter((claim) => claim in (login?.claims ?? {}))).toEqual([])
  expect(one.lines).toEqual([])
})

test('your own options log in at the sandbox, as the page tries them', async () => {
  const { options } = await at('connectId')
  const block = snippetsOf('docs/networks.md').find(({ file }) => file === 'try.ts')
  const jwks_uri = await publish(publicOf(options.jwks as JSONWebKeySet))
  const code = String(block?.code).replace('http://localhost:3000/jwks', jwks_uri)
  const { sandbox, here } = (await import(folder.write('try.ts', code))) as {
    sandbox: Sandbox
    here: IDPartnerStrategyOptions
  }
  closing.push(() => sandbox.close())
  expect(here).toMatchObject({ purpose: options.purpose, claims: options.claims })
  const [issuer = ''] = sandbox.config.trusted_issuers ?? []
  const { ended } = await logIn({ options: here, issuer })
  expect(ended).toMatchObject({ via: 'success' })
})

describe('preflight', () => {
  const rowsOf = async (name: string, asked: PreflightOptions): Promise<Record<string, Check>> => {
    const { options, issuer } = await at(name)
    const { checks } = await strategyOf(options).client.preflight(asked)
    return Object.fromEntries(checks.map((one) => [one.id.replace(` ${issuer}`, ''), one]))
  }

  test.each(NAMES)('tries a login request of %s, with what its logins ask for', async (name) => {
    const { options, got } = await at(name)
    const before = got().length
    const { bank: row } = await rowsOf(name, await strategyOf(options).askedOf({} as never))
    expect(row).toMatchObject({ status: 'ok', message: 'takes a login request' })
    expect(got().slice(before)).toMatchObject([{ path: '/request', error: undefined }])
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
    const one = await at(name)
    const { options, got } = one
    const before = got().length
    await logIn(one)
    const signed = got()
      .slice(before)
      .flatMap(({ body }) => {
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
    const before = one.got().length
    const ended = await Promise.all([logIn(one), logIn(one), logIn(one)])
    expect(ended.map((login) => login.ended.via)).toEqual(['success', 'success', 'success'])
    const taken = one
      .got()
      .slice(before)
      .filter(({ error }) => error === undefined)
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

const BESIDE = /client_id stands beside the signed request/
const UNKNOWN = { authorization_params: { surprise: 'yes' } }

describe('a bank of that network refuses', () => {
  test.each<[string, string, Partial<IDPartnerStrategyOptions>, RegExp]>([
    ['connectId', 'client_id beside the request', { pushed_request_client_id: true }, BESIDE],
    ['connectId', 'requests that are not signed', { profile: 'fapi2-security' }, /request/],
    ['connectId', 'no purpose', { purpose: undefined }, /the parameter purpose is missing/],
    [
      'connectId',
      'a purpose of two characters',
      { purpose: 'no' },
      /purpose must be 3 to 300 characters long/,
    ],
    ['connectId', 'another scope', { scope: ['openid', 'email'] }, /scope must be openid alone/],
    ['connectId', 'acr_values', { acr_values: 'urn:any' }, /acr_values is unknown/],
    [
      'connectId',
      'acr among the claims',
      { claims: { id_token: { acr: null, txn: { essential: true } } } },
      /claims must ask for .* no acr/,
    ],
    [
      'connectId',
      'no transaction',
      { claims: { id_token: { given_name: null } } },
      /claims must ask for txn/,
    ],
    ['connectId', 'a parameter it does not know', UNKNOWN, /the parameter surprise is unknown/],
    [
      'singpass',
      'no authentication_context_type',
      { authorization_params: {} },
      /the parameter authentication_context_type is missing/,
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
      /authentication_context_message must be at most 100/,
    ],
    [
      'singpass',
      'a long assertion',
      { client_assertion_lifetime: 121 },
      /the client assertion lives for more than 120 s/,
    ],
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
    [
      'helseId',
      'a long assertion',
      { client_assertion_lifetime: 61 },
      /the client assertion lives for more than 60 s/,
    ],
    ['helseId', 'a parameter it does not know', UNKNOWN, /the parameter surprise is unknown/],
    [
      'helseId',
      'a parameter of another network',
      { purpose: 'To log in' },
      /the parameter purpose is unknown/,
    ],
    [
      'helseId',
      'signed requests',
      { profile: 'fapi2-message-signing', response_mode: 'query' },
      /signed requests .* are not known/,
    ],
    [
      'eSignet',
      'signed requests',
      { profile: 'fapi2-message-signing', response_mode: 'query' },
      /signed requests .* are not known/,
    ],
    ['eSignet', 'a parameter it does not know', UNKNOWN, /the parameter surprise is unknown/],
    ['openFinanceUae', 'client_id beside the request', { pushed_request_client_id: true }, BESIDE],
    ['openFinanceUae', 'requests that are not signed', { profile: 'fapi2-security' }, /request/],
    [
      'openFinanceUae',
      'nothing to authorize',
      { authorization_details: undefined },
      /the parameter authorization_details is missing/,
    ],
    ['openFinanceUae', 'a max_age of more than an hour', { max_age: 3601 }, /max_age must be at most 3600 s/],
    ['openFinanceUae', 'a parameter it does not know', UNKNOWN, /the parameter surprise is unknown/],
  ])('%s: %s', async (name, _title, bend, reason) => {
    const one = await at(name)
    one.lines.length = 0
    const { ended } = await logIn({ ...one, options: { ...byHand(one.options), ...bend } })
    expect(ended).toMatchObject({ via: 'error', value: { code: 'provider_error' } })
    expect((ended.value as Error).cause).toMatchObject({ message: expect.stringMatching(reason) })
    expect(one.lines).toEqual([expect.stringMatching(reason)])
  })
})

const DPOP = NAMES.filter((name) => rulesOf(name).dpop)
const MUTUAL = NAMES.filter((name) => rulesOf(name).certificate)

/** The last request of a login to that endpoint, which the bank took. */
async function lastOf(name: string, path: string): Promise<{ at: At; got: Got }> {
  const one = await at(name)
  const { ended } = await logIn({ ...one, options: { ...one.options, fetchUserInfo: true } })
  expect(ended).toMatchObject({ via: 'success' })
  const got = one.got().findLast((request) => request.path === path && request.error === undefined)
  if (!got) throw new Error(`nothing came to ${path}`)
  return { at: one, got }
}

/** Sends it as it was, or with other headers. */
async function again({ at: { options }, got }: { at: At; got: Got }, headers = {}): Promise<string> {
  const { tls_client_cert: cert, tls_client_key: key, tls_server_ca: ca } = options
  const as = new Agent({ connect: { ca: ca as string, cert, key } as object })
  const present = Object.entries({ ...got.headers, ...headers }).filter(([, value]) => value !== '')
  const response = await undiciFetch(got.url, {
    method: got.method,
    ...(got.method === 'POST' && { body: new URLSearchParams(got.body) }),
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
    const { got } = await at(name)
    const before = got().length
    await lastOf(name, '/me')
    const { nonceAt = [] } = rulesOf(name).dpop ?? {}
    const asked = got()
      .slice(before)
      .filter(({ error }) => error === 'use_dpop_nonce')
    expect(asked.map(({ path }) => path)).toEqual(nonceAt)
  })

  test.each(MUTUAL)('without a client certificate: %s', async (name) => {
    const last = await lastOf(name, '/request')
    const options = { ...last.at.options, tls_client_cert: undefined, tls_client_key: undefined }
    expect(await again({ ...last, at: { ...last.at, options } })).toMatch(
      /^401 .*invalid_client.*no client certificate/,
    )
  })
})
