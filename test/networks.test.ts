import path from 'node:path'
import { writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import {
  IDPartnerStrategy,
  generateJwks,
  type IDPartnerLogin,
  type IDPartnerStrategyOptions,
} from 'passport-idpartner'
import type { JSONWebKeySet } from 'jose'
import { fetch, Agent } from 'undici'
import { Browser } from './support/browser.js'
import { tlsCertificates } from './support/certificates.js'
import { NetworkBank, type Asked, type NetworkRules } from './support/network-bank.js'
import { settle, type Settled } from './support/settle.js'
import { SnippetFolder, snippetsOf } from './support/snippets.js'
import { checkTablesOfTests } from './support/tables-of-tests.js'

checkTablesOfTests('docs/networks.md', 13)

const TEN_MINUTES = 600

/** What stands beside the request, and how old and long a signed one is. */
function signedRequest({ form, request, now }: Asked): string | undefined {
  const beside = Object.keys(form).sort().join()
  if (beside !== 'client_assertion,client_assertion_type,request') return `the form holds ${beside}`
  const { nbf = 0, exp = Infinity } = request
  if (nbf < now - TEN_MINUTES || exp > nbf + TEN_MINUTES) return 'the request is too old or lives too long'
  return undefined
}

/** As docs/networks.md has them, with the facts behind each. */
const NETWORKS: Record<string, NetworkRules> = {
  connectId: {
    signed: true,
    certificate: true,
    interactionId: true,
    parameters: ['purpose'],
    complaint: (asked) => {
      const { purpose, scope, claims, acr_values } = asked.request
      const { id_token = {}, userinfo = {} } = claims as Record<
        string,
        Record<string, { essential?: boolean }>
      >
      if (typeof purpose !== 'string' || purpose.length < 3 || purpose.length > 300) return 'no good purpose'
      if (scope !== 'openid') return 'a scope beside openid'
      if (acr_values !== undefined || 'acr' in id_token) return 'acr was asked for'
      if (!id_token['txn']?.essential) return 'the claim txn was not asked for as essential'
      if (Object.keys(userinfo).length > 0) return 'claims of userinfo were asked for'
      return signedRequest(asked)
    },
    claims: { given_name: 'Kim', family_name: 'Example', txn: 'a-transaction' },
  },
  openFinanceUae: {
    signed: true,
    certificate: true,
    interactionId: true,
    parameters: ['authorization_details'],
    complaint: (asked) => {
      const { authorization_details: details, max_age = 0 } = asked.request
      const { aud, iat = 0, exp = Infinity } = asked.assertion.claims
      if (!Array.isArray(details) || details.length === 0) return 'no authorization_details'
      if (Number(max_age) > 3600) return 'max_age is too long'
      if (typeof aud !== 'string' || exp > iat + 300)
        return 'the assertion lives too long, or has a list as aud'
      return signedRequest(asked)
    },
    claims: { name: 'Kim Example' },
  },
}

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
  const { keys } = await generateJwks()
  const jwks = { keys: keys.filter(({ use }) => use === 'sig') }
  writeFileSync(path.join(folder.path, 'jwks.json'), JSON.stringify(jwks))
  writeFileSync(path.join(folder.path, 'client.pem'), client.cert)
  writeFileSync(path.join(folder.path, 'client-key.pem'), client.key)
})

afterAll(async () => {
  for (const close of closing.reverse()) await close()
})

/** The options that a block of the page exports, where its files are those of this test. */
async function optionsOf(name: string): Promise<IDPartnerStrategyOptions> {
  const block = snippetsOf('docs/networks.md').find(({ file }) => file === `${name}.ts`)
  if (!block) throw new Error(`docs/networks.md has no ${name}.ts`)
  const code = block.code.replace(/'([\w-]+\.(?:json|pem))'/g, (_, file: string) =>
    JSON.stringify(path.join(folder.path, file)),
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
async function at(name: string): Promise<At> {
  const rules = NETWORKS[name]
  if (!rules) throw new Error(`no rules of ${name}`)
  const options = await optionsOf(name)
  const { server } = await tlsCertificates()
  const { client_id, callback: redirect_uri } = options
  const { client } = new IDPartnerStrategy({ ...options, passReqToCallback: false }, () => undefined)
  // As text, in which it is published.
  const jwks = JSON.parse(JSON.stringify(await client.getPublicJWKs())) as JSONWebKeySet
  const bank = await NetworkBank.start(rules, { client_id, redirect_uri, jwks }, server)
  closing.push(() => bank.close())
  return {
    options: { ...options, trusted_issuers: [bank.issuer], tls_server_ca: server.cert, timeout: 30_000 },
    bank,
  }
}

/** Begins a login, goes to the bank and comes back. */
async function logIn({ options, bank }: At): Promise<{ ended: Settled; logins: IDPartnerLogin[] }> {
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

test.each(Object.keys(NETWORKS))(
  'the block of %s logs a person in at a bank of that network',
  async (name) => {
    const { ended, logins } = await logIn(await at(name))
    expect(ended).toMatchObject({ via: 'success', value: { sub: 'person' } })
    expect(logins[0]?.claims).toMatchObject(NETWORKS[name]?.claims ?? {})
  },
)

const BESIDE = /the form holds client_assertion,client_assertion_type,client_id,request/

describe('a bank of that network refuses', () => {
  test.each<[string, string, Partial<IDPartnerStrategyOptions>, RegExp]>([
    ['connectId', 'client_id beside the request', { pushed_request_client_id: true }, BESIDE],
    ['connectId', 'requests that are not signed', { profile: 'fapi2-security' }, /request/],
    ['connectId', 'no purpose', { purpose: undefined }, /no good purpose/],
    ['connectId', 'a purpose of two characters', { purpose: 'no' }, /no good purpose/],
    ['connectId', 'another scope', { scope: ['openid', 'email'] }, /a scope beside openid|scope/],
    ['connectId', 'acr_values', { acr_values: 'urn:any' }, /acr was asked for/],
    ['connectId', 'no transaction', { claims: { id_token: { given_name: null } } }, /the claim txn/],
    ['openFinanceUae', 'client_id beside the request', { pushed_request_client_id: true }, BESIDE],
    ['openFinanceUae', 'requests that are not signed', { profile: 'fapi2-security' }, /request/],
    [
      'openFinanceUae',
      'nothing to authorize',
      { authorization_details: undefined },
      /no authorization_details/,
    ],
    ['openFinanceUae', 'a max_age of more than an hour', { max_age: 3601 }, /max_age is too long/],
  ])('%s: %s', async (name, _title, bend, reason) => {
    const { options, bank } = await at(name)
    const { ended } = await logIn({ options: { ...options, ...bend }, bank })
    expect(ended).toMatchObject({ via: 'error', value: { code: 'provider_error' } })
    expect((ended.value as Error).cause).toMatchObject({ message: expect.stringMatching(reason) })
  })
})
