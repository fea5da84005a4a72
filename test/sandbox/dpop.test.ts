import { createHash, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { SignJWT, type JWTPayload } from 'jose'
import { startSandbox, type Sandbox } from '../../lib/sandbox/index.js'
import { Browser } from '../support/browser.js'
import { SandboxApp, agree, generateKey, paramOf, present, type Key } from '../support/sandbox-app.js'

let app: SandboxApp
let sandbox: Sandbox
let issuer: string
let key: Key
let token: string
const lines: string[] = []

beforeAll(async () => {
  app = await SandboxApp.start({ alg: 'ES256', encrypted: false })
  key = await generateKey('ES256')
  sandbox = await startSandbox({
    ...app.options,
    flow: 'direct',
    profile: 'fapi2-security',
    dpop_bound_access_tokens: true,
    id_token_signed_response_alg: 'ES256',
    banks: [{ name: 'Mikomo Bank' }],
    log: (line) => lines.push(line),
  })
  issuer = present(sandbox.banks[0]).issuer
  token = await accessToken()
})

afterAll(async () => {
  await sandbox.close()
  await app.close()
})

beforeEach(() => {
  lines.length = 0
})

const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url')

function proof(claims: JWTPayload, by: Key = key): Promise<string> {
  const { kty, crv, x, y } = by.jwk
  return new SignJWT({ jti: randomUUID(), iat: Math.floor(Date.now() / 1000), ...claims })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: { kty, crv, x, y } as never })
    .sign(by.privateKey)
}

/** Posts a form with a proof, a second time with the nonce that is asked for. */
async function posted(url: string, form: Record<string, string>): Promise<Record<string, string>> {
  let nonce: string | null = null
  for (;;) {
    const response = await fetch(url, {
      method: 'POST',
      body: new URLSearchParams({ ...form, ...(await app.assertion(issuer)) }),
      headers: { dpop: await proof({ htm: 'POST', htu: url, ...(nonce !== null && { nonce }) }) },
    })
    const body = (await response.json()) as Record<string, string>
    if (response.ok) return body
    if (nonce !== null || body.error !== 'use_dpop_nonce') throw new Error(JSON.stringify(body))
    nonce = response.headers.get('dpop-nonce')
  }
}

async function accessToken(): Promise<string> {
  const proofs = app.newProofs()
  const asked = { ...app.authorizationParams(proofs), scope: 'openid payment_details' } as Record<
    string,
    string
  >
  delete asked['response_mode']
  const { request_uri = '' } = await posted(`${issuer}/request`, asked)
  const query = new URLSearchParams({ client_id: app.clientId, request_uri })
  const browser = new Browser(app.callback)
  const { url } = await agree(browser, await browser.open(`${issuer}/auth?${query.toString()}`))
  const { access_token = '' } = await posted(`${issuer}/token`, {
    grant_type: 'authorization_code',
    code: paramOf(url, 'code'),
    redirect_uri: app.callback,
    code_verifier: proofs.verifier,
  })
  return access_token
}

const details = (): string => `${issuer}/payment_details`

async function ask(
  headers: Record<string, string>,
): Promise<{ status: number; error?: string; nonce?: string }> {
  const response = await fetch(details(), { headers })
  const { error } = (await response.json()) as { error?: string }
  const nonce = response.headers.get('dpop-nonce')
  return { status: response.status, ...(error !== undefined && { error }), ...(nonce !== null && { nonce }) }
}

const good = async (): Promise<Record<string, unknown>> => {
  const first = await ask({
    authorization: `DPoP ${token}`,
    dpop: await proof({ htm: 'GET', htu: details(), ath: sha256(token) }),
  })
  expect(first).toMatchObject({ status: 401, error: 'use_dpop_nonce' })
  return { htm: 'GET', htu: details(), ath: sha256(token), nonce: first.nonce }
}

describe("a token that is bound by DPoP, at the bank's own endpoints", () => {
  test('is taken with a proof that has a nonce of the bank', async () => {
    const dpop = await proof(await good())
    expect(await ask({ authorization: `DPoP ${token}`, dpop })).toEqual({ status: 200 })
  })

  test.each<[string, Record<string, unknown>]>([
    ['of another method', { htm: 'POST' }],
    ['of another URL', { htu: 'http://localhost/payment_details' }],
    ['of another token', { ath: sha256('another') }],
    ['of no token', { ath: undefined }],
    ['of an hour ago', { iat: Math.floor(Date.now() / 1000) - 3600 }],
    ['that has expired', { exp: Math.floor(Date.now() / 1000) - 3600 }],
    ['without an id', { jti: undefined }],
  ])('is refused with a proof %s', async (_name, bend) => {
    const dpop = await proof({ ...(await good()), ...bend })
    expect(await ask({ authorization: `DPoP ${token}`, dpop })).toEqual({
      status: 401,
      error: 'invalid_dpop_proof',
    })
  })

  test('is refused with a proof that was used before', async () => {
    const dpop = await proof(await good())
    await ask({ authorization: `DPoP ${token}`, dpop })
    expect(await ask({ authorization: `DPoP ${token}`, dpop })).toMatchObject({ error: 'invalid_dpop_proof' })
    expect(lines.at(-1)).toBe(
      'sandbox: Mikomo Bank refused a request for payment_details of sandbox-app: invalid_dpop_proof: the DPoP proof was used before',
    )
  })

  test('is refused with a proof of another key', async () => {
    const dpop = await proof(await good(), await generateKey('ES256'))
    expect(await ask({ authorization: `DPoP ${token}`, dpop })).toMatchObject({ error: 'invalid_dpop_proof' })
  })

  test('is refused with a nonce that the bank never gave', async () => {
    const dpop = await proof({ ...(await good()), nonce: randomUUID() })
    expect(await ask({ authorization: `DPoP ${token}`, dpop })).toMatchObject({ error: 'use_dpop_nonce' })
  })

  test('is refused without a proof', async () => {
    expect(await ask({ authorization: `DPoP ${token}` })).toMatchObject({ error: 'invalid_dpop_proof' })
  })

  test('is refused as a bearer token, there and at userinfo', async () => {
    expect(await ask({ authorization: `Bearer ${token}` })).toMatchObject({
      status: 401,
      error: 'invalid_token',
    })
    const headers = { authorization: `Bearer ${token}` }
    expect((await fetch(`${issuer}/me`, { headers })).status).toBe(401)
  })
})

describe('each request of the app that is refused is one line', () => {
  test('which says who was refused, and why', async () => {
    await app.push(issuer, { redirect_uri: 'https://elsewhere.example' }, { signed: false })
    expect(lines).toEqual([
      expect.stringMatching(
        /^sandbox: Mikomo Bank refused a pushed request of sandbox-app: invalid_\w+: .+$/,
      ),
    ])
  })

  test('without what is secret, and without line ends of somebody else', async () => {
    const secret = `token-${randomUUID()}`
    await ask({ authorization: `Bearer ${secret}` })
    const scope = encodeURIComponent('openid\nsandbox: forged')
    await fetch(`${sandbox.url}/v1/select-accounts?client_id=nobody&scope=${scope}`)
    expect(lines).toHaveLength(2)
    expect(lines.join('')).not.toContain(secret)
    expect(lines.join('')).toMatch(/^\P{Cc}+$/u)
  })

  test('but not where a nonce is asked for', async () => {
    await good()
    expect(lines).toEqual([])
  })
})

test('an assertion that was used before is refused', async () => {
  const again = await app.assertion(issuer)
  const answers = []
  for (let time = 0; time < 2; time++) {
    const body = new URLSearchParams({ ...again, grant_type: 'refresh_token', refresh_token: 'none' })
    const response = await fetch(`${issuer}/token`, { method: 'POST', body })
    answers.push(((await response.json()) as { error: string }).error)
  }
  expect(answers).toEqual(['invalid_grant', 'invalid_client'])
})
