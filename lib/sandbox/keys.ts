import { randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, type CryptoKey, type JWK } from 'jose'
import type { SigningAlg } from '../jwt/algorithms.js'

/** A signing key made for this run of the sandbox; it is never on disk. */
export interface SigningKey {
  kid: string
  alg: SigningAlg
  privateKey: CryptoKey
  privateJwk: JWK
  publicJwk: JWK
}

export async function generateSigningKey(alg: SigningAlg): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const about = { kid: randomUUID(), alg, use: 'sig' }
  return {
    kid: about.kid,
    alg,
    privateKey,
    privateJwk: { ...(await exportJWK(privateKey)), ...about },
    publicJwk: { ...(await exportJWK(publicKey)), ...about },
  }
}
