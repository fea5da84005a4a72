/** The algorithms this package signs with and accepts signatures in. */
export const SIGNING_ALGS = ['PS256', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const
/** A signature algorithm by its name in RFC 7518, section 3.1, or RFC 8037. */
export type SigningAlg = (typeof SIGNING_ALGS)[number]

/** How the keys of encrypted answers may be wrapped (RFC 7518, section 4.1). */
export const KEY_ENCRYPTION_ALGS = [
  'RSA-OAEP',
  'RSA-OAEP-256',
  'ECDH-ES',
  'ECDH-ES+A128KW',
  'ECDH-ES+A192KW',
  'ECDH-ES+A256KW',
] as const
/** How the key of an encrypted message is wrapped, by its name in RFC 7518, section 4.1. */
export type KeyEncryptionAlg = (typeof KEY_ENCRYPTION_ALGS)[number]

/** How their content may be encrypted (RFC 7518, section 5.1). */
export const CONTENT_ENCRYPTION_ALGS = ['A128GCM', 'A256GCM', 'A128CBC-HS256', 'A256CBC-HS512'] as const
/** How the content of a message is encrypted, by its name in RFC 7518, section 5.1. */
export type ContentEncryptionAlg = (typeof CONTENT_ENCRYPTION_ALGS)[number]

/** A kind of key, as a JWK names it. */
interface KeyKind {
  kty: string
  crv?: string | null | undefined
}

/**
 * The keys of each algorithm, and the hash that `at_hash` takes from it (Core 3.1.3.6); EdDSA here means Ed25519, which
 * hashes with SHA-512.
 */
const SIGNATURES: Record<SigningAlg, { key: KeyKind; hash: string }> = {
  PS256: { key: { kty: 'RSA' }, hash: 'sha256' },
  ES256: { key: { kty: 'EC', crv: 'P-256' }, hash: 'sha256' },
  ES384: { key: { kty: 'EC', crv: 'P-384' }, hash: 'sha384' },
  ES512: { key: { kty: 'EC', crv: 'P-521' }, hash: 'sha512' },
  EdDSA: { key: { kty: 'OKP', crv: 'Ed25519' }, hash: 'sha512' },
}

/** The curves of RFC 7518, section 6.2.1.1. */
const CURVES = ['P-256', 'P-384', 'P-521']

export function isSigningAlg(alg: unknown): alg is SigningAlg {
  return SIGNING_ALGS.some((one) => one === alg)
}

export function isKeyEncryptionAlg(alg: unknown): alg is KeyEncryptionAlg {
  return KEY_ENCRYPTION_ALGS.some((one) => one === alg)
}

/** RFC 9864, section 2.2, has a newer name for what is `EdDSA` here. */
const NEWER_NAME = 'Ed25519'

/** The name under which an algorithm is known here. */
export function knownName(alg: unknown): unknown {
  return alg === NEWER_NAME ? 'EdDSA' : alg
}

/** All names of an algorithm in the header of a signature. */
export function namesOf(alg: SigningAlg): string[] {
  return alg === 'EdDSA' ? [alg, NEWER_NAME] : [alg]
}

/** Whether a key of that kind makes signatures of that algorithm. */
export function canSign({ kty, crv }: KeyKind, alg: SigningAlg): boolean {
  const { key } = SIGNATURES[alg]
  return kty === key.kty && (key.crv === undefined || crv === key.crv)
}

/** The algorithm of a key that says none itself. */
export function signingAlgOf(key: KeyKind): SigningAlg | undefined {
  return SIGNING_ALGS.find((alg) => canSign(key, alg))
}

/** Whether what is encrypted so can be opened with a key of that kind. */
export function canDecrypt({ kty, crv }: KeyKind, alg: KeyEncryptionAlg): boolean {
  return alg.startsWith('RSA') ? kty === 'RSA' : kty === 'EC' && CURVES.includes(crv ?? '')
}

/** The hash that belongs to a signature, by its name in node:crypto. */
export function hashOf(alg: SigningAlg): string {
  return SIGNATURES[alg].hash
}
