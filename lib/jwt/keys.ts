import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type CryptoKey,
  type JSONWebKeySet,
  type JWK,
} from 'jose'
import { IDPartnerError } from '../errors.js'

/** The algorithms this package signs with and accepts signatures in. */
export const SIGNING_ALGS = ['PS256', 'ES256'] as const
export type SigningAlg = (typeof SIGNING_ALGS)[number]

/** The one key management algorithm accepted for encrypted answers. */
export const ENCRYPTION_ALG = 'RSA-OAEP'

/** What RFC 7518, sections 3.5 and 4.3 ask for at least, of our keys and of others'. */
export const MIN_RSA_BITS = 2048
export const MAX_RSA_BITS = 16_384

export interface ImportedKey {
  kid: string
  key: CryptoKey
}

/** The application's own keys, ready for use and not exportable. */
export interface ClientKeys {
  /** The key that signs: the first signing key of the JWKS. */
  signing: ImportedKey | undefined
  /** All encryption keys, so that answers to a key just retired can still be read. */
  decryption: ImportedKey[]
  public: JSONWebKeySet
}

/**
 * Makes a new private JWKS: one signing key (PS256) and one encryption key (RSA-OAEP), each with `kid`, `alg`, `use`.
 *
 * Does not store it: keep it where only the application can read it, and never in the repository.
 *
 * @param options.modulusLength size of both RSA keys in bits, 2048 by default
 * @throws {IDPartnerError} `config_invalid`
 * @see https://www.rfc-editor.org/rfc/rfc7517#section-5
 */
export async function generateJwks({
  modulusLength = 2048,
}: { modulusLength?: number } = {}): Promise<JSONWebKeySet> {
  if (!Number.isInteger(modulusLength) || modulusLength < MIN_RSA_BITS || modulusLength > MAX_RSA_BITS) {
    throw new IDPartnerError(
      'config_invalid',
      `option "modulusLength" must be a number of bits from ${String(MIN_RSA_BITS)} to ${String(MAX_RSA_BITS)}`,
    )
  }
  const make = async (alg: string, use: string): Promise<JWK> => {
    const { privateKey } = await generateKeyPair(alg, { modulusLength, extractable: true })
    const jwk = await exportJWK(privateKey)
    return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg, use }
  }
  return { keys: await Promise.all([make('PS256', 'sig'), make(ENCRYPTION_ALG, 'enc')]) }
}

/** What a JWK of the application is for; its `use` and `alg` decide, and must not contradict each other. */
interface CheckedKey {
  jwk: JWK
  use: 'sig' | 'enc'
  alg: string
}

/**
 * Checks a private JWKS without importing it, so that the constructor can refuse it at once.
 *
 * @throws {IDPartnerError} `config_invalid`
 */
export function checkJwks(jwks: JSONWebKeySet): CheckedKey[] {
  if (jwks.keys.length === 0) throw badKeys('holds no key')
  const kids = new Set<string>()
  return jwks.keys.map((jwk, index) => {
    const name = `key ${String(index + 1)}`
    const checked = { jwk, ...purpose(jwk, name) }
    checkPrivate(jwk, name)
    if (jwk.kid !== undefined) {
      if (typeof (jwk.kid as unknown) !== 'string') throw badKeys(`has a kid in ${name} that is no text`)
      if (kids.has(jwk.kid)) throw badKeys(`has the kid of ${name} twice`)
      kids.add(jwk.kid)
    }
    return checked
  })
}

/** Imports what {@link checkJwks} found good; once, since an import costs more than a signature. */
export async function importKeys(checked: CheckedKey[]): Promise<ClientKeys> {
  const imported = await Promise.all(
    checked.map(async ({ jwk, use, alg }) => {
      const kid = jwk.kid ?? (await calculateJwkThumbprint(jwk))
      const key = (await importJWK(privateJwk(jwk), alg, { extractable: false })) as CryptoKey
      return { use, kid, key, public: publicJwk(jwk, { kid, alg, use }) }
    }),
  )
  const keyOf = ({ kid, key }: ImportedKey): ImportedKey => ({ kid, key })
  return {
    signing: imported.filter((one) => one.use === 'sig').map(keyOf)[0],
    decryption: imported.filter((one) => one.use === 'enc').map(keyOf),
    public: { keys: imported.map((one) => one.public) },
  }
}

function purpose(jwk: JWK, name: string): { use: 'sig' | 'enc'; alg: string } {
  const signs = jwk.use === 'sig' || (jwk.use === undefined && isSigningAlg(jwk.alg))
  const decrypts = jwk.use === 'enc' || (jwk.use === undefined && jwk.alg === ENCRYPTION_ALG)
  if (!signs && !decrypts) throw badKeys(`needs "use" ("sig" or "enc") in ${name}`)
  if (decrypts) {
    if (jwk.kty !== 'RSA' || (jwk.alg ?? ENCRYPTION_ALG) !== ENCRYPTION_ALG) {
      throw badKeys(`may have encryption keys for ${ENCRYPTION_ALG} only; ${name} is another`)
    }
    return { use: 'enc', alg: ENCRYPTION_ALG }
  }
  const alg = jwk.alg ?? (jwk.kty === 'EC' ? 'ES256' : 'PS256')
  const fits = alg === 'ES256' ? jwk.kty === 'EC' && jwk.crv === 'P-256' : jwk.kty === 'RSA'
  if (!isSigningAlg(alg) || !fits) throw badKeys(`may sign with PS256 or ES256 only; ${name} is another`)
  return { use: 'sig', alg }
}

function checkPrivate(jwk: JWK, name: string): void {
  if (jwk.d === undefined) throw badKeys(`must hold private keys; ${name} is public only`)
  let key: KeyObject
  try {
    key = createPrivateKey({ key: { ...jwk }, format: 'jwk' })
    // Parts of two keys make a key that signs what nobody can verify.
    const probe = Buffer.from(name)
    if (!verify('sha256', probe, createPublicKey(key), sign('sha256', probe, key))) throw new Error()
  } catch {
    // The cause is left out: it may quote the key.
    throw badKeys(`holds a damaged key: ${name}`)
  }
  const bits = key.asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && bits < MIN_RSA_BITS) {
    throw badKeys(`needs RSA keys of at least ${String(MIN_RSA_BITS)} bits; ${name} has ${String(bits)}`)
  }
}

/** The members that make the key. What else a JWK says of its use is ours to decide. */
function privateJwk({ kty, crv, x, y, n, e, d, p, q, dp, dq, qi }: JWK): JWK {
  return (kty === 'EC' ? { kty, crv, x, y, d } : { kty, n, e, d, p, q, dp, dq, qi }) as JWK
}

/** Picks the public members by name: whatever else a JWK holds stays here. */
function publicJwk(jwk: JWK, meta: { kid: string; alg: string; use: string }): JWK {
  const { kty, n, e, crv, x, y } = jwk
  const members = kty === 'EC' ? { kty, crv, x, y } : { kty, n, e }
  return { ...members, ...meta } as JWK
}

function isSigningAlg(alg: unknown): alg is SigningAlg {
  return SIGNING_ALGS.some((one) => one === alg)
}

function badKeys(what: string): IDPartnerError {
  return new IDPartnerError('config_invalid', `option "jwks" ${what}`)
}
