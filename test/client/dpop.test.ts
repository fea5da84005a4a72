import { createHash } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { EmbeddedJWK, decodeJwt, jwtVerify, type JWTPayload, type ProtectedHeaderParameters } from 'jose'
import * as oidc from 'openid-client'
import { DpopNonces, dpopHandle, dpopProof } from '../../lib/client/dpop.js'
import { DPOP_ALGS, newDpopKey, readDpopKey, type DpopKey } from '../../lib/jwt/dpop-key.js'

const API = 'https://bank.example/accounts/a%20b'

const answered = (nonce?: string, status = 200): Response =>
  new Response(null, { status, ...(nonce !== undefined && { headers: { 'dpop-nonce': nonce } }) })

const newKey = (alg: (typeof DPOP_ALGS)[number] = 'ES256'): Promise<DpopKey> => readDpopKey(newDpopKey(alg))

/** What openid-client sends to an API with our handle, at each of so many calls. */
async function sent(
  key: DpopKey,
  {
    url = API,
    nonces = new DpopNonces(),
    calls = 1,
  }: { url?: string; nonces?: DpopNonces; calls?: number } = {},
): Promise<string[]> {
  const client = new oidc.Configuration({ issuer: 'https://bank.example' }, 'client')
  const proofs: string[] = []
  client[oidc.customFetch] = (_url, { headers }) => {
    proofs.push(String(headers['dpop']))
    return Promise.resolve(new Response(null))
  }
  const DPoP = dpopHandle(client, key, nonces)
  for (let call = 0; call < calls; call++) {
    await oidc.fetchProtectedResource(client, 'token', new URL(url), 'POST', null, undefined, { DPoP })
  }
  return proofs
}

const makers: [string, (key: DpopKey, url: string, nonces: DpopNonces) => Promise<string>, object][] = [
  [
    'of openid-client',
    async (key, url, nonces) => (await sent(key, { url, nonces }))[0] ?? '',
    { ath: ath('token') },
  ],
  ['of our own, without a token', (key, url, nonces) => dpopProof(key, 'POST', url, nonces), {}],
]

function ath(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}

async function verified(
  proof: string,
): Promise<{ payload: JWTPayload; protectedHeader: ProtectedHeaderParameters }> {
  return jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt' })
}

describe.each(makers)('a proof %s', (_name, make, more) => {
  test('says for which request it is, for how long, and nothing else', async () => {
    const { payload } = await verified(await make(await newKey(), `${API}?to=x`, new DpopNonces()))
    expect(payload).toEqual({
      jti: expect.stringMatching(/^[\w-]{20,}$/),
      htm: 'POST',
      htu: API,
      iat: expect.any(Number),
      exp: Number(payload.iat) + 120,
      ...more,
    })
    expect(Math.abs(Number(payload.iat) - Date.now() / 1000)).toBeLessThan(60)
  })

  test.each([
    ['https://bank.example/a?b=c', 'https://bank.example/a'],
    ['https://bank.example/a?', 'https://bank.example/a'],
    ['https://bank.example:8443/a/', 'https://bank.example:8443/a/'],
    ['https://bank.example:443/a', 'https://bank.example/a'],
    ['https://BANK.example', 'https://bank.example/'],
    ['https://bank.example/a/../b', 'https://bank.example/b'],
  ])('names %s as %s', async (url, htu) => {
    expect(decodeJwt(await make(await newKey(), url, new DpopNonces()))).toMatchObject({ htu })
  })

  test.each(DPOP_ALGS)('is signed with %s, by a key of which it shows the public half', async (alg) => {
    const key = await newKey(alg)
    const { protectedHeader } = await verified(await make(key, API, new DpopNonces()))
    expect(Object.keys(protectedHeader).sort()).toEqual(['alg', 'jwk', 'typ'])
    expect(protectedHeader.alg).toBe(alg)
    const members = alg === 'EdDSA' ? ['crv', 'kty', 'x'] : ['crv', 'kty', 'x', 'y']
    expect(Object.keys(protectedHeader.jwk ?? {}).sort()).toEqual(members)
  })

  test('is another one at each time', async () => {
    const key = await newKey()
    const nonces = new DpopNonces()
    const proofs = [await make(key, API, nonces), await make(key, API, nonces), await make(key, API, nonces)]
    expect(new Set(proofs.map((proof) => decodeJwt(proof).jti)).size).toBe(3)
  })

  test("holds the newest nonce of the request's own origin", async () => {
    const key = await newKey()
    const nonces = new DpopNonces()
    nonces.note('https://bank.example/token', answered('first'))
    nonces.note('https://bank.example/par', answered('second', 400))
    for (const other of ['https://bank.example:8443', 'https://api.bank.example', 'http://bank.example']) {
      nonces.note(other, answered('of another'))
    }
    expect(decodeJwt(await make(key, API, nonces))).toMatchObject({ nonce: 'second' })
    expect(decodeJwt(await make(key, 'https://other.example/', nonces))).not.toHaveProperty('nonce')
  })
})

test('the proofs of one handle have the nonce that came between them', async () => {
  const key = await newKey()
  const nonces = new DpopNonces()
  const [before = ''] = await sent(key, { nonces })
  nonces.note(API, answered('n'))
  const after = await sent(key, { nonces, calls: 2 })
  expect([before, ...after].map((proof) => decodeJwt(proof)['nonce'])).toEqual([undefined, 'n', 'n'])
  expect(new Set([before, ...after].map((proof) => decodeJwt(proof).jti)).size).toBe(3)
})

describe('nonces', () => {
  test.each([200, 201, 204, 400, 401, 500])('are taken from answers of any status: %d', (status) => {
    const nonces = new DpopNonces()
    expect(nonces.note(API, answered('n', status))).toBe('n')
    expect(nonces.of('https://bank.example/elsewhere')).toBe('n')
  })

  test('stay where an answer brings none', () => {
    const nonces = new DpopNonces()
    nonces.note(API, answered('n'))
    expect(nonces.note(API, answered())).toBeUndefined()
    expect(nonces.of(API)).toBe('n')
  })

  test.each<[string, string]>([
    ['empty', ''],
    ['two of them', 'a, b'],
    ['quoted', '"n"'],
    ['with a backslash', 'a\\b'],
    ['with a space', 'a b'],
    ['with a letter of Latin-1', 'ä'],
    ['a novel', 'x'.repeat(1025)],
  ])('are none where they are %s', (_name, value) => {
    const nonces = new DpopNonces()
    nonces.note(API, answered('n'))
    expect(nonces.note(API, answered(value))).toBeUndefined()
    expect(nonces.of(API)).toBe('n')
  })

  test.each(['!', '~', '#', '[', ']', '^', 'x'.repeat(1024)])('may be what RFC 9449 allows: %s', (value) => {
    const nonces = new DpopNonces()
    expect(nonces.note(API, answered(value))).toBe(value)
  })

  test('are remembered of a thousand origins, and that of the longest silence goes first', () => {
    const nonces = new DpopNonces()
    const origin = (at: number): string => `https://bank${String(at)}.example/`
    for (let at = 0; at < 1000; at++) nonces.note(origin(at), answered(`n${String(at)}`))
    expect(nonces.of(origin(0))).toBe('n0')
    nonces.note(origin(0), answered('again'))
    nonces.note(origin(1000), answered('n1000'))
    expect([0, 1, 2, 1000].map((at) => nonces.of(origin(at)))).toEqual(['again', undefined, 'n2', 'n1000'])
  })
})
