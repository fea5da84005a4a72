import { createECDH, createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { importJWK, type CryptoKey, type JWK } from 'jose'
import { IDPartnerError } from '../errors.js'
import { canSign, isSigningAlg, type SigningAlg } from './algorithms.js'

/** What proofs are signed with: a key pair, whose public half goes along in each (RFC 9449, section 4.2). */
export interface DpopKey {
  alg: SigningAlg
  privateKey: CryptoKey
  publicKey: CryptoKey
}

/** The algorithms whose keys are made in no time and fit into a session; those of RSA do not. */
const MADE = {
  ES256: { curve: 'prime256v1', crv: 'P-256', bytes: 32 },
  ES384: { curve: 'secp384r1', crv: 'P-384', bytes: 48 },
  ES512: { curve: 'secp521r1', crv: 'P-521', bytes: 66 },
  EdDSA: { curve: 'ed25519', crv: 'Ed25519', bytes: 32 },
} as const
export type DpopAlg = keyof typeof MADE
export const DPOP_ALGS = Object.keys(MADE) as DpopAlg[]

/** RFC 8410, section 7: what stands before the 32 bytes of a private key. */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * A new key for one login, as a short text: the public half follows from it.
 *
 * It is a secret of the login, like its PKCE verifier.
 */
export function newDpopKey(alg: DpopAlg): string {
  const { privateKey } =
    alg === 'EdDSA'
      ? generateKeyPairSync('ed25519')
      : generateKeyPairSync('ec', { namedCurve: MADE[alg].crv })
  return `${alg}.${String(privateKey.export({ format: 'jwk' }).d)}`
}

/**
 * The key that a text of {@link newDpopKey} is.
 *
 * @throws {IDPartnerError} `config_invalid`: a session or a store has given something else
 */
export async function readDpopKey(text: string): Promise<DpopKey> {
  try {
    return await importDpopKey(jwkOf(text))
  } catch {
    // The cause is left out: it may quote the key.
    throw new IDPartnerError('config_invalid', 'the key that binds these tokens (DPoP) is damaged')
  }
}

/** Imports a private JWK as a key for proofs; its public half alone can be read again. */
export async function importDpopKey(jwk: JWK): Promise<DpopKey> {
  const { alg, kty, crv, x, y, n, e } = jwk
  if (!isSigningAlg(alg) || !canSign({ kty: String(kty), crv }, alg)) throw new Error('of another kind')
  const halves = [jwk, { kty, crv, x, y, n, e } as JWK].map(
    (half, index) => importJWK(half, alg, { extractable: index === 1 }) as Promise<CryptoKey>,
  )
  const [privateKey, publicKey] = (await Promise.all(halves)) as [CryptoKey, CryptoKey]
  return { alg, privateKey, publicKey }
}

function jwkOf(text: string): JWK {
  const [name = '', d = '', ...more] = text.split('.')
  if (!Object.hasOwn(MADE, name) || more.length > 0) throw new Error('of another algorithm')
  const alg = name as DpopAlg
  const { curve, crv, bytes } = MADE[alg]
  const secret = Buffer.from(d, 'base64url')
  if (secret.length !== bytes || secret.toString('base64url') !== d) throw new Error('of another length')
  if (alg === 'EdDSA') {
    const der = Buffer.concat([ED25519_PKCS8, secret])
    return {
      ...(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'jwk' }) as JWK),
      alg,
    }
  }
  const ecdh = createECDH(curve)
  ecdh.setPrivateKey(secret)
  const point = ecdh.getPublicKey().subarray(1)
  const [x, y] = [point.subarray(0, bytes), point.subarray(bytes)].map((half) => half.toString('base64url'))
  return { kty: 'EC', crv, x, y, d, alg } as JWK
}
