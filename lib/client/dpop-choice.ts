import type { JWK } from 'jose'
import { SIGNING_ALGS, canSign, isSigningAlg, signingAlgOf } from '../jwt/algorithms.js'
import { DPOP_ALGS, type DpopAlg } from '../jwt/dpop-key.js'
import { checkJwks } from '../jwt/keys.js'
import type { IDPartnerConfig } from './config.js'
import { badOption } from './option-errors.js'

/** What tokens are bound to by DPoP: always the same key, or a new one of that algorithm. */
export type DpopChoice = { readonly key: JWK } | { readonly alg: DpopAlg }

/** @throws {IDPartnerError} `config_invalid`: a key or an algorithm that tokens cannot be bound to */
export function resolveDpop({
  dpop_bound_access_tokens: bound,
  dpop_signing_alg: alg,
  dpop_key: key,
}: Pick<IDPartnerConfig, 'dpop_bound_access_tokens' | 'dpop_signing_alg' | 'dpop_key'>):
  DpopChoice | undefined {
  if (!bound) {
    const useless = alg !== undefined ? 'dpop_signing_alg' : key !== undefined ? 'dpop_key' : undefined
    if (useless !== undefined) throw badOption(useless, 'needs dpop_bound_access_tokens beside it')
    return undefined
  }
  if (key === undefined) {
    const made = DPOP_ALGS.find((one) => one === (alg ?? 'ES256'))
    if (made === undefined)
      throw badOption(
        'dpop_signing_alg',
        `is ${String(alg)}, whose keys are too slow to make for each login: set dpop_key`,
      )
    return { alg: made }
  }
  const kind = { kty: String(key.kty), crv: key.crv }
  const own = alg ?? key.alg ?? signingAlgOf(kind)
  if (!isSigningAlg(own) || !canSign(kind, own) || (key.alg ?? own) !== own) {
    throw badOption('dpop_key', `must be a private key for ${alg ?? SIGNING_ALGS.join(', ')}`)
  }
  const jwk = { ...key, alg: own }
  // Keys elsewhere are for "jwks" alone: a proof is made for each request.
  if (typeof jwk.d !== 'string') throw badOption('dpop_key', 'must be a private JWK that is whole')
  try {
    checkJwks({ keys: [{ ...jwk, use: 'sig' }] })
  } catch {
    throw badOption('dpop_key', 'must be a private JWK that is whole')
  }
  return { key: jwk }
}
