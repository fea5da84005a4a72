import { createHash, randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { EmbeddedJWK, calculateJwkThumbprint, jwtVerify } from 'jose'
import { ExpiringMap } from '../expiring-map.js'

/** As oidc-provider has them; RSA keys take too long to make for each login. */
export const DPOP_ALGS = ['ES256', 'ES384', 'ES512', 'EdDSA'] as const

const GOOD_FOR_SECONDS = 5 * 60

/** What is wrong with a proof, and the nonce to be used where it is that. */
export interface ProofRefusal {
  error: 'invalid_dpop_proof' | 'use_dpop_nonce'
  problem: string
  nonce?: string
}

/**
 * A bank's side of DPoP where oidc-provider has none: at the bank's own endpoints.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9449#section-7
 */
export class DpopResources {
  readonly #nonces = new ExpiringMap<true>()
  readonly #proofs = new ExpiringMap<true>()
  #newest: string | undefined

  /** A nonce that the bank gave away at another endpoint is as good here. */
  note(nonce: string): void {
    this.#nonces.set(nonce, true, GOOD_FOR_SECONDS)
    this.#newest = nonce
  }

  forgetNonces(): void {
    this.#nonces.deleteWhere(() => true)
    this.#newest = undefined
  }

  /** Checks the proof that came with a token, which is bound to the key with that thumbprint. */
  async refusal(
    { method, headers }: IncomingMessage,
    { url, token, jkt }: { url: string; token: string; jkt: string },
  ): Promise<ProofRefusal | undefined> {
    const invalid = (problem: string): ProofRefusal => ({ error: 'invalid_dpop_proof', problem })
    const { dpop } = headers
    if (typeof dpop !== 'string') return invalid('there is no DPoP proof')
    const verified = await jwtVerify(dpop, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: [...DPOP_ALGS],
    }).catch(() => undefined)
    if (!verified) return invalid('the DPoP proof is not one, or has expired')
    const { payload, protectedHeader } = verified
    const { jti, iat = 0, htm, htu, ath, nonce } = payload
    if (htm !== method) return invalid('the DPoP proof is of another method')
    if (htu !== url) return invalid('the DPoP proof is of another URL')
    if (ath !== sha256(token)) return invalid('the DPoP proof is of another token')
    if (Math.abs(Date.now() / 1000 - iat) > GOOD_FOR_SECONDS)
      return invalid('the DPoP proof is of another time')
    const { jwk } = protectedHeader
    if (!jwk || (await calculateJwkThumbprint(jwk)) !== jkt)
      return invalid('the token is bound to another key')
    if (typeof nonce !== 'string' || !this.#nonces.get(nonce)) {
      return {
        error: 'use_dpop_nonce',
        problem: 'the DPoP proof has no nonce of this bank',
        nonce: this.#next(),
      }
    }
    if (jti === undefined || this.#proofs.get(jti)) return invalid('the DPoP proof was used before')
    this.#proofs.set(jti, true, 2 * GOOD_FOR_SECONDS)
    return undefined
  }

  #next(): string {
    if (this.#newest === undefined || !this.#nonces.get(this.#newest)) this.note(randomUUID())
    return String(this.#newest)
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
