import { compactDecrypt, errors } from 'jose'
import { IDPartnerError, printable } from '../errors.js'
import type { ContentEncryptionAlg, KeyEncryptionAlg } from './algorithms.js'
import { invalidJwt, parsedHeader, safeCause, shortened, type JwtKind } from './jwt-error.js'
import type { DecryptionKey } from './keys.js'

/** How one kind of JWT is encrypted to the application: not at all where the lists are empty. */
export interface Decryption {
  alg: readonly KeyEncryptionAlg[]
  enc: readonly ContentEncryptionAlg[]
  keys: readonly DecryptionKey[]
}

/** A JWS with the header of the JWE it came in, if it came in one. */
export interface OpenedJwt {
  jws: string
  outer: { iss?: unknown; aud?: unknown }
}

/**
 * Opens the envelope of a JWT: decrypts where the application has encryption keys, and then refuses what is not
 * encrypted; without such keys it refuses what is.
 *
 * Says nothing of authenticity: anyone can encrypt to a public key. See `verifyJwt`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7519#section-7.2
 */
export async function decryptJwt(
  jwt: string,
  decryption: Decryption,
  kind: Required<JwtKind>,
): Promise<OpenedJwt> {
  const parts = jwt.split('.').length
  if (decryption.keys.length === 0) {
    if (parts === 5) throw invalidJwt(kind, unexpectedlyEncrypted(decryption, kind))
    return { jws: jwt, outer: {} }
  }
  if (parts !== 5) throw invalidJwt(kind, notEncrypted(decryption, kind))
  const header = parsedHeader(jwt, kind, 'is not a JWE')
  const { alg, enc, kid } = header
  const isOne = (allowed: readonly string[], value: unknown): boolean => allowed.some((one) => one === value)
  if (!isOne(decryption.alg, alg) || !isOne(decryption.enc, enc)) {
    throw invalidJwt(kind, otherEncryption(header, decryption, kind))
  }
  // That of the name first, and then whatever the kid says: a bank may still use the name of a key that was renamed.
  const fitting = decryption.keys.filter((one) => one.alg === alg && !(Number(one.until) < Date.now()))
  const named = fitting.filter((one) => one.kid === kid)
  const others = fitting.filter((one) => one.kid !== kid && (kid === undefined || isTriedForAny(one)))
  for (const key of [...named, ...others]) {
    const plaintext = await opened(jwt, key).catch((err: unknown) => {
      if (err instanceof IDPartnerError) throw err
      const why = 'zip' in header ? 'is compressed, which is not accepted' : 'is malformed'
      throw invalidJwt(kind, why, safeCause(err))
    })
    if (plaintext) {
      const { iss, aud } = header
      return { jws: new TextDecoder().decode(plaintext), outer: { iss, aud } }
    }
  }
  const present = decryption.keys.filter(({ until }) => until === undefined)
  const ours = shortened(present.map((one) => one.kid).join(', '), 100)
  throw invalidJwt(
    kind,
    `was encrypted to a key that is not ours (${printable(kid) ?? 'no kid'}; ours: ${ours}): this application may have been restarted with new keys (generateJwks at every start), or publish an old JWKS`,
  )
}

/** What is inside; nothing where it was not encrypted to this key, or was changed. */
async function opened(jwe: string, key: DecryptionKey): Promise<Uint8Array | undefined> {
  const own = key.key ? { jwe, key: key.key } : await key.readdress(jwe)
  if (!own) return undefined
  // IDPartner compresses nothing; a few bytes that inflate to many are an attack.
  return compactDecrypt(own.jwe, own.key, { maxDecompressedLength: 0 }).then(
    ({ plaintext }) => plaintext,
    (err: unknown) => {
      if (err instanceof errors.JWEDecryptionFailed) return undefined
      throw err
    },
  )
}

/** Whether a key is tried on what names another: not where each try is a call to a key service, nor where it is gone. */
function isTriedForAny({ key, until }: DecryptionKey): boolean {
  return key !== undefined && until === undefined
}

/**
 * Compares what the header of a JWE repeats, which has to be the same as inside.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7519#section-5.3
 */
export function checkEnvelope(
  { outer }: OpenedJwt,
  { issuer, audience }: { issuer: string; audience: string },
  kind: JwtKind,
): void {
  if (outer.iss !== undefined && outer.iss !== issuer)
    throw invalidJwt(kind, 'names another issuer in its header')
  if (outer.aud !== undefined && !isSame(outer.aud, audience)) {
    throw invalidJwt(kind, 'names another audience in its header')
  }
}

function isSame(aud: unknown, audience: string): boolean {
  return aud === audience || (Array.isArray(aud) && aud.length === 1 && aud[0] === audience)
}

/** Says that a JWT has to be encrypted, and how. */
export function notEncrypted(decryption: Decryption, kind: Required<JwtKind>): string {
  return `is not encrypted, although the application has an encryption key: ${registerEncryption(decryption, kind)}`
}

function unexpectedlyEncrypted({ alg }: Decryption, { registered }: Required<JwtKind>): string {
  return alg.length > 0
    ? 'is encrypted, and there is no key to decrypt it: add an encryption key to the option "jwks" (see generateJwks)'
    : `is encrypted, and the option "${registered}_encrypted_response_alg" is missing beside the others`
}

function otherEncryption(
  { alg, enc, kid }: Record<string, unknown>,
  decryption: Decryption,
  kind: Required<JwtKind>,
): string {
  const [wrapping, content] = [alg, enc].map((one) => printable(one) ?? 'no known algorithm')
  const to = printable(kid) ?? 'no kid'
  return `is encrypted with ${String(wrapping)} and ${String(content)} (to ${to}): ${registerEncryption(decryption, kind)}`
}

function registerEncryption({ alg, enc }: Decryption, { registered }: Required<JwtKind>): string {
  const name = `${registered}_encrypted_response`
  return `register ${name}_alg ${alg.join(' or ')} and ${name}_enc ${enc.join(' or ')} at the bank, or set the options so`
}
