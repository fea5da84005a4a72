import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from '@jest/globals'
import { IDPartner, type IDPartnerConfig, type Proofs, type TokenSet } from 'passport-idpartner'
import { startApp, type TestApp } from './support/app.js'
import { Browser } from './support/browser.js'

/** The left column of the page's table, as text without its code marks. */
const page = readFileSync('docs/migration.md', 'utf8')
const rows = [...page.matchAll(/^\| (.*?) +\| .*\|$/gm)]
  .map(([, cell = '']) => cell.replaceAll('`', ''))
  .filter((cell) => !/^(vendor's module|-+)$/.test(cell))

let app: TestApp | undefined

afterEach(async () => {
  await app?.close()
  app = undefined
})

interface Stage {
  client: IDPartner
  config: IDPartnerConfig
  issuer: string
  proofs: Proofs
  /** The query that the browser came back with. */
  query: Record<string, string>
}

/** Logs a person in with the protocol client alone, up to the point where the browser is back at the application. */
async function backFromTheBank(flow: 'proxy' | 'direct'): Promise<Stage> {
  app = await startApp({ sandbox: { flow } })
  const { client } = app.strategy
  const { config, banks } = app.sandbox
  const issuer = banks[0]?.issuer ?? ''
  const proofs = client.generateProofs()
  const scope = [
    'openid',
    'email',
    'offline_access',
    'payment_details',
    'payment_processing',
    'vc.MockBankCredential',
  ]
  const url = await client.getAuthorizationUrl({ iss: issuer, visitor_id: 'one' }, proofs, scope, {
    prompt: 'consent',
  })
  const browser = new Browser(`${app.url}/callback`)
  let page = await browser.open(url)
  if (flow === 'proxy') page = await browser.press(page, banks[0]?.name ?? '')
  page = await browser.press(page, 'Log in', { login: 'mikomo_10', password: 'mikomo_10' })
  page = await browser.press(page, 'Share and continue')
  return { client, config, issuer, proofs, query: Object.fromEntries(new URL(page.url).searchParams) }
}

async function loggedIn(): Promise<Stage & { tokens: TokenSet & { claims: { sub: string } } }> {
  const stage = await backFromTheBank('direct')
  const { client, query, proofs, issuer } = stage
  return { ...stage, tokens: await client.token(query['response'] ?? '', proofs, issuer) }
}

const covered: Record<string, () => Promise<void>> = {
  'new IDPartner(config) (0.x: proxy flow)': async () => {
    const { client, config } = await backFromTheBank('proxy')
    expect(client.flow).toBe('proxy')
    expect(() => new IDPartner({ ...config, jwks: '{"keys":[]}' })).toThrow(/"jwks" must be a JWKS/)
  },
  'new IDPartner(config) (1.x to 5.x: direct flow)': async () => {
    const { client, config } = await backFromTheBank('direct')
    expect(client.flow).toBe('direct')
    expect(() => new IDPartner({ ...config, trusted_issuers: undefined })).toThrow(
      /"trusted_issuers" is required/,
    )
  },
  'callback with several URLs, split by commas': async () => {
    const { config } = await backFromTheBank('proxy')
    const callback = 'https://one.example/cb,https://two.example/cb'
    expect(() => new IDPartner({ ...config, callback })).toThrow(/"callback" must be a single URL/)
  },
  'generateProofs()': async () => {
    const { client } = await backFromTheBank('proxy')
    const proofs = client.generateProofs()
    expect(Object.keys(proofs).sort()).toEqual(['codeVerifier', 'nonce', 'state'])
    const others = client.generateProofs()
    for (const name of ['state', 'nonce', 'codeVerifier'] as const)
      expect(proofs[name]).not.toBe(others[name])
  },
  'getAuthorizationUrl(query, proofs, scope, params)': async () => {
    const { client, proofs, issuer } = await backFromTheBank('direct')
    const url = new URL(
      await client.getAuthorizationUrl({ iss: issuer }, proofs, ['openid'], { prompt: 'login' }),
    )
    expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri'])
  },
  'getPublicJWKs() and a route': async () => {
    const { client } = await backFromTheBank('proxy')
    const published = await fetch(`${app?.url ?? ''}/jwks`)
    expect(await published.json()).toEqual(await client.getPublicJWKs())
  },
  '0.x unpackProxyResponse(query)': async () => {
    const { client, query, issuer } = await backFromTheBank('proxy')
    const { identity_provider, idp_response_code } = await client.unpackProxyResponse(query)
    expect(identity_provider.issuer_url).toBe(issuer)
    expect(idp_response_code.split('.')).toHaveLength(5)
  },
  '0.x claims(idp_response_code, proofs)': async () => {
    const { client, query, proofs, issuer } = await backFromTheBank('proxy')
    const { idp_response_code } = await client.unpackProxyResponse(query)
    await expect(client.claims(idp_response_code, proofs, `${issuer}/other`)).rejects.toMatchObject({
      code: 'response_invalid',
    })
    await expect(client.claims(idp_response_code, proofs)).resolves.toMatchObject({
      iss: issuer,
      nonce: proofs.nonce,
    })
  },
  '5.x claims(query, iss, proofs)': async () => {
    const { client, query, proofs, issuer } = await backFromTheBank('direct')
    const claims = await client.claims(query['response'] ?? '', proofs, issuer)
    expect(claims).toMatchObject({ iss: issuer, nonce: proofs.nonce })
  },
  '5.x token(query, iss, proofs)': async () => {
    const { tokens } = await loggedIn()
    expect(JSON.parse(JSON.stringify(tokens))).toEqual(tokens)
    expect(tokens.claims.sub).toEqual(expect.any(String))
  },
  '5.x refreshToken(iss, refreshToken)': async () => {
    const { client, issuer, tokens } = await loggedIn()
    const renewed = await client.refreshToken(issuer, tokens)
    const again = await client.refreshToken(issuer, renewed.refresh_token ?? '')
    expect(again.claims?.sub).toBe(tokens.claims.sub)
  },
  '5.x userInfo(iss, accessToken)': async () => {
    const { client, issuer, tokens } = await loggedIn()
    await expect(client.userInfo(issuer, tokens)).resolves.toMatchObject({ sub: tokens.claims.sub })
  },
  '5.x basicUserInfo(iss, tokens)': async () => {
    const { tokens } = await loggedIn()
    expect(tokens.claims).toHaveProperty('email')
  },
  '5.x paymentDetailsInfo(iss, tokens)': async () => {
    const { client, issuer, tokens } = await loggedIn()
    await expect(client.paymentDetailsInfo(issuer, tokens)).resolves.toEqual(expect.any(Object))
  },
  '5.x paymentProcessing(iss, tokens, { body })': async () => {
    const { client, issuer, tokens } = await loggedIn()
    await expect(client.paymentProcessing(issuer, tokens, { amount: 3 })).resolves.toMatchObject({
      amount: 3,
    })
  },
  '5.x credential(iss, tokens, body)': async () => {
    const { client, issuer, tokens } = await loggedIn()
    await expect(client.credential(issuer, tokens, { format: 'jwt_vc_json' })).resolves.toEqual(
      expect.any(Object),
    )
  },
  'timeout 3500': async () => {
    const { client } = await backFromTheBank('proxy')
    expect(client.timeout).toBe(5000)
  },
}

describe('the migration table', () => {
  test('has no row that is not tried here, and the other way round', () => {
    expect(rows).toEqual(Object.keys(covered))
  })

  test.each(Object.entries(covered))('holds for %s', (_row, run) => run())
})
