import { createPublicKey } from 'node:crypto'
import type { JWK } from 'jose'
import type { CheckedKey } from '../jwt/keys.js'
import { fail, ok, skip, warn, type Check } from './check.js'

/**
 * What can be said of the application's own keys beyond that they are good ones, which the constructor sees to.
 *
 * Names keys by their `kid` alone.
 *
 * @param dpopKey the one that binds all tokens, if there is one
 */
export function keyChecks(keys: readonly CheckedKey[], dpopKey?: JWK): Check[] {
  if (keys.length === 0) {
    return [
      skip(
        'keys',
        'the application has no keys of its own, so requests are not signed nor answers encrypted',
      ),
    ]
  }
  return [signingCheck(keys), encryptionCheck(keys), usesCheck(keys, dpopKey)]
}

function signingCheck(keys: readonly CheckedKey[]): Check {
  const id = 'signing_key'
  const signing = keys.filter(({ use }) => use === 'sig')
  if (signing.length === 0) return skip(id, 'there is none, so nothing is signed')
  const current = signing.filter(({ status }) => status === 'current')
  if (current.length === 0) {
    return fail(
      id,
      `none of the signing keys is "current": ${described(signing)}`,
      'make the next one current: npx passport-idpartner keys promote FILE',
    )
  }
  const second = current.find(({ alg }, at) => current.findIndex((one) => one.alg === alg) < at)
  if (second) {
    return warn(
      id,
      `several keys for ${second.alg} are "current", of which only the first signs: ${described(current)}`,
      'retire those that should not sign: npx passport-idpartner keys retire FILE KID',
    )
  }
  return ok(id, described(signing))
}

function encryptionCheck(keys: readonly CheckedKey[]): Check {
  const id = 'encryption_key'
  const encryption = keys.filter(({ use }) => use === 'enc')
  if (encryption.length === 0) return skip(id, 'there is none, so answers are signed but not encrypted')
  if (!encryption.some(({ status }) => status === 'current')) {
    return warn(
      id,
      `none of the encryption keys is "current": ${described(encryption)}`,
      'make the next one current: npx passport-idpartner keys promote FILE',
    )
  }
  return ok(id, described(encryption))
}

/** A key for two purposes is only as good as the weaker use of it (NIST SP 800-57 part 1, section 5.2). */
function usesCheck(keys: readonly CheckedKey[], dpopKey: JWK | undefined): Check {
  const id = 'key_uses'
  const twice = keys.find(
    ({ jwk, use }) =>
      use === 'enc' && keys.some((one) => one.use === 'sig' && material(one.jwk) === material(jwk)),
  )
  if (!twice) {
    const bound = dpopKey && keys.find(({ jwk }) => material(jwk) === material(dpopKey))
    if (!bound) return ok(id, 'no key is for both signing and encryption')
    return warn(
      id,
      `one of "jwks" binds tokens as well, as "dpop_key": ${described([bound])}`,
      'leave dpop_key out, so that each login has a key of its own, or make another: npx passport-idpartner keys new FILE',
    )
  }
  return fail(
    id,
    `one key is used for both signing and encryption: ${described([twice])}`,
    'use two keys: npx passport-idpartner keys new FILE',
  )
}

/** Each key in a few words: name, algorithm, size and, while keys are being rotated, status. */
export function described(keys: readonly CheckedKey[]): string {
  return keys
    .map(({ jwk, alg, status }) => {
      const words = [jwk.kid ?? 'a key without kid', alg, sizeOf(jwk), status === 'current' ? '' : status]
      return words.filter(Boolean).join(' ')
    })
    .join('; ')
}

/** `2048 bits`, or the curve. */
export function sizeOf(jwk: JWK): string {
  const { asymmetricKeyDetails } = createPublicKey({ key: { ...jwk }, format: 'jwk' })
  const bits = asymmetricKeyDetails?.modulusLength
  return bits === undefined ? (jwk.crv ?? '') : `${String(bits)} bits`
}

/** What two entries of one key have in common. */
export function material({ kty, crv, x, y, n, e }: JWK): string {
  return JSON.stringify(kty === 'RSA' ? { kty, n, e } : { kty, crv, x, y })
}
