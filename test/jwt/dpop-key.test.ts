import { createHash, createPublicKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { exportJWK, type JWK } from 'jose'
import { IDPartnerError } from 'passport-idpartner'
import { DPOP_ALGS, importDpopKey, newDpopKey, readDpopKey } from '../../lib/jwt/dpop-key.js'
import { without } from '../support/bends.js'
import { ecKey, rsaKey } from '../support/key-pairs.js'

const failureOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch((err: unknown) => err)

const subtle: Record<string, object> = {
  ES256: { name: 'ECDSA', hash: 'SHA-256' },
  ES384: { name: 'ECDSA', hash: 'SHA-384' },
  ES512: { name: 'ECDSA', hash: 'SHA-512' },
  EdDSA: { name: 'Ed25519' },
}

async function isPair({
  alg,
  privateKey,
  publicKey,
}: Awaited<ReturnType<typeof readDpopKey>>): Promise<boolean> {
  const message = Buffer.from('message')
  const how = subtle[alg] as { name: string }
  const signature = await crypto.subtle.sign(how, privateKey, message)
  return crypto.subtle.verify(how, publicKey, signature, message)
}

describe.each(DPOP_ALGS)('a key of a login for %s', (alg) => {
  test('is a short text, another one for each login', () => {
    const keys = Array.from({ length: 20 }, () => newDpopKey(alg))
    expect(new Set(keys).size).toBe(20)
    for (const key of keys) {
      expect(key).toMatch(/^[A-Za-z\d]{5}\.[\w-]+$/)
      // RFC 7518, section 6.2.2.1: leading zeros stay.
      expect(key).toHaveLength({ ES256: 49, ES384: 70, ES512: 94, EdDSA: 49 }[alg])
    }
  })

  test('is a pair when it is read, the same at each time', async () => {
    const text = newDpopKey(alg)
    const [one, other] = await Promise.all([readDpopKey(text), readDpopKey(text)])
    expect(one.alg).toBe(alg)
    expect(await exportJWK(one.publicKey)).toEqual(await exportJWK(other.publicKey))
    expect(await isPair({ ...one, publicKey: other.publicKey })).toBe(true)
    expect(await isPair({ ...one, publicKey: (await readDpopKey(newDpopKey(alg))).publicKey })).toBe(false)
  })

  test('lets nobody read its private half again', async () => {
    const { privateKey, publicKey } = await readDpopKey(newDpopKey(alg))
    expect([privateKey.extractable, publicKey.extractable]).toEqual([false, true])
    expect(await exportJWK(publicKey)).not.toHaveProperty('d')
  })

  test.each<[string, (text: string) => string]>([
    ['a character less', (text) => text.slice(0, -1)],
    ['a character more', (text) => `${text}A`],
    ['padding', (text) => `${text}=`],
    ['another alphabet', (text) => `${text.slice(0, -1)}+`],
    ['a line break', (text) => `${text}\n`],
    ['a part more', (text) => `${text}.AAAA`],
    ['no algorithm', (text) => text.slice(text.indexOf('.') + 1)],
    ['another algorithm', (text) => text.replace(/^[^.]*/, alg === 'ES384' ? 'ES512' : 'ES384')],
    ['the algorithm in other letters', (text) => text.replace(/^[^.]*/, (name) => name.toLowerCase())],
    ['a name that every object has', (text) => text.replace(/^[^.]*/, 'constructor')],
    ['nothing but its algorithm', (text) => text.slice(0, text.indexOf('.') + 1)],
    ['nothing at all', () => ''],
  ])('is damaged with %s, and the error does not show it', async (_name, change) => {
    const text = newDpopKey(alg)
    const err = await failureOf(readDpopKey(change(text)))
    expect(err).toBeInstanceOf(IDPartnerError)
    expect(err).toMatchObject({ code: 'config_invalid', message: expect.stringMatching(/DPoP.* is damaged/) })
    expect((err as Error).cause).toBeUndefined()
    expect(String((err as Error).stack)).not.toContain(text.slice(6, 20))
  })
})

describe('a number that is no private key of its curve', () => {
  test.each([
    ['ES256', 0, 32],
    ['ES256', 255, 32],
    ['ES384', 0, 48],
    ['ES384', 255, 48],
    ['ES512', 0, 66],
    ['ES512', 255, 66],
  ])('is refused: %s, all bytes %d', async (alg, byte, bytes) => {
    const text = `${alg}.${Buffer.alloc(bytes, byte).toString('base64url')}`
    expect(await failureOf(readDpopKey(text))).toMatchObject({ code: 'config_invalid' })
  })
})

describe("a private JWK of the application's own", () => {
  const jwkOf = async (alg: string): Promise<JWK> => {
    const { privateKey } = alg === 'PS256' ? await rsaKey('own') : await ecKey('own')
    return { ...(privateKey.export({ format: 'jwk' }) as JWK), alg }
  }

  test.each(['PS256', 'ES256'])('is a pair whose public half holds nothing private: %s', async (alg) => {
    const jwk = await jwkOf(alg)
    const { privateKey, publicKey } = await importDpopKey(jwk)
    const shown = await exportJWK(publicKey)
    const expected = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }).export({ format: 'jwk' })
    expect(shown).toEqual(expected)
    expect(privateKey.extractable).toBe(false)
  })

  test.each<[string, (jwk: JWK) => JWK]>([
    ['without an algorithm', (jwk) => without('alg')({ ...jwk })],
    ['for RS256', (jwk) => ({ ...jwk, alg: 'RS256' })],
    ['for none', (jwk) => ({ ...jwk, alg: 'none' })],
    ['for another curve', (jwk) => ({ ...jwk, alg: 'ES384' })],
    ['for another kind of key', (jwk) => ({ ...jwk, alg: 'PS256' })],
    ['that is a secret', () => ({ kty: 'oct', k: createHash('sha256').digest('base64url'), alg: 'HS256' })],
    ['of which the halves do not belong together', (jwk) => ({ ...jwk, ...another() })],
  ])('is refused %s', async (_name, change) => {
    await expect(importDpopKey(change(await jwkOf('ES256')))).rejects.toThrow()
  })
})

function another(): Partial<JWK> {
  const { x, y } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })
  return { x, y } as Partial<JWK>
}
