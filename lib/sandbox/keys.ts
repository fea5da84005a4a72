import { randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, type CryptoKey, type GenerateKeyPairResult, type JWK } from 'jose'
import type { SigningAlg } from '../jwt/algorithms.js'

/** A signing key made for this run of the sandbox; it is never on disk. */
export interface SigningKey {
  kid: string
  alg: SigningAlg
  privateKey: CryptoKey
  privateJwk: JWK
  publicJwk: JWK
}

/** Pairs of sandboxes that were closed: the next one in this process need not wait until new RSA keys are found. */
const spare = new Map<SigningAlg, GenerateKeyPairResult[]>()

/** The keys of one sandbox, no two of which are the same. */
export class SigningKeys {
  readonly #used: [SigningAlg, GenerateKeyPairResult][] = []

  async generate(alg: SigningAlg): Promise<SigningKey> {
    const pair = spare.get(alg)?.pop() ?? (await generateKeyPair(alg, { extractable: true }))
    this.#used.push([alg, pair])
    const about = { kid: randomUUID(), alg, use: 'sig' }
    return {
      kid: about.kid,
      alg,
      privateKey: pair.privateKey,
      privateJwk: { ...(await exportJWK(pair.privateKey)), ...about },
      publicJwk: { ...(await exportJWK(pair.publicKey)), ...about },
    }
  }

  /** Lets the next sandbox have them, under other names. */
  close(): void {
    for (const [alg, pair] of this.#used.splice(0)) spare.set(alg, [...(spare.get(alg) ?? []), pair])
  }
}
