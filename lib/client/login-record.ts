import { exportJWK, type CryptoKey } from 'jose'
import { IDPartnerError } from '../errors.js'
import { sourceOf } from '../jwt/key-set.js'
import { signingKey, type ClientKeys } from '../jwt/keys.js'
import {
  publicMembers,
  sealReceipt,
  type ChecksAt,
  type ReceiptParts,
  type SignedPart,
} from '../jwt/receipt.js'
import type { IdTokenChecks } from '../jwt/id-token.js'
import type { Witness } from '../jwt/signed-jwt.js'
import type { PlainAnswer } from './callback-params.js'
import type { ResolvedConfig } from './config.js'

/** What of a login is signed by others. */
export type SignedKind = 'document' | 'answer' | 'id_token' | 'userinfo'

/** A login that ended well, of which a receipt is made. */
export interface EndedWell {
  issuer: string
  state: string
  interactionId: string
  begun: number
  /** What its ID token had to match. */
  checks: IdTokenChecks
  /** The bank's answer where nobody signed it. */
  plain: PlainAnswer | undefined
}

/** Keeps what others signed during one login, as it was verified. It is the login's own, and secret as it is. */
export class LoginRecord {
  /** Plain answers are read at once. */
  readonly #begun = Math.floor(Date.now() / 1000)
  readonly #signed = new Map<SignedKind, { jws: string; key: CryptoKey; at: number }>()

  /** Told of what was verified as one kind of thing; the last counts, as a refused try is made again. */
  witness(kind: SignedKind): Witness {
    return (jws, key, now) => {
      this.#signed.set(kind, { jws, key, at: now })
    }
  }

  /**
   * Seals all of it.
   *
   * @throws {IDPartnerError} `config_invalid` where no key signs
   */
  async receipt(
    { issuer, state, interactionId, begun, checks, plain }: EndedWell,
    { client_id, clock_tolerance, trust_directory_issuer }: ResolvedConfig,
    keys: ClientKeys,
  ): Promise<string> {
    const signer = signingKey(keys)
    if (!signer) throw new IDPartnerError('config_invalid', 'a receipt needs a signing key in "jwks"')
    const used: ReceiptParts['keys'] = []
    const known = new Map<CryptoKey, number>()
    const signed: Partial<Record<SignedKind, SignedPart>> = {}
    const at: ChecksAt = { answer: this.#begun }
    for (const [kind, one] of this.#signed) {
      const index = known.get(one.key) ?? used.length
      if (index === used.length) used.push(await publishedKey(one.key))
      known.set(one.key, index)
      signed[kind] = { jws: one.jws, key: index }
      at[kind] = one.at
    }
    const { document, id_token, userinfo, answer = plain && withoutCode(plain) } = signed
    if (!answer || !id_token) throw new Error('a login without an answer or an ID token has not ended well')
    const { nonce, floor, ...needed } = checks
    return sealReceipt(
      { begun, ended: Math.floor(Date.now() / 1000), at },
      client_id,
      {
        login: {
          issuer,
          ...(document && { directory: trust_directory_issuer }),
          state,
          nonce,
          interaction_id: interactionId,
          clock_tolerance,
          ...asked(needed),
          ...(floor && { floor: asked(floor) }),
        },
        keys: used,
        ...(document && { document }),
        answer,
        id_token,
        ...(userinfo && { userinfo }),
      },
      signer,
    )
  }
}

async function publishedKey(key: CryptoKey): Promise<ReceiptParts['keys'][number]> {
  const jwk = publicMembers(await exportJWK(key))
  const source = sourceOf(key)
  if (!jwk || !source) throw new Error('a key of nobody verified something')
  return { ...source, jwk }
}

/** The code is used up, and says nothing. */
function withoutCode({ state, iss }: PlainAnswer): { state: string; iss?: string } {
  return { state, ...(iss !== undefined && { iss }) }
}

function asked({ max_age, acr_values }: Pick<IdTokenChecks, 'max_age' | 'acr_values'>): {
  max_age?: number
  acr_values?: string
} {
  return { ...(max_age !== undefined && { max_age }), ...(acr_values !== undefined && { acr_values }) }
}
