import {
  compactDecrypt,
  decodeProtectedHeader,
  errors,
  jwtVerify,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose'
import { IDPartnerError, ownError, printable, type ErrorCode } from '../errors.js'
import { ENCRYPTION_ALG, type ImportedKey, type SigningAlg } from './keys.js'

/** The one content encryption accepted, as IDPartner uses it. */
const CONTENT_ENCRYPTION_ALG = 'A256CBC-HS512'

/** Whose JWT this is, in messages, and which code its refusal has. */
export interface JwtKind {
  code: Extract<ErrorCode, 'response_invalid' | 'token_invalid'>
  what: string
}

/** A JWS with the header of the JWE it came in, if it came in one. */
export interface OpenedJwt {
  jws: string
  outer: { iss?: unknown; aud?: unknown }
}

export interface Expected {
  alg: SigningAlg
  keys: JWTVerifyGetKey
  issuer: string
  audience: string
  clockTolerance: number
  /** Claims that have to be there, beside `iss` and `aud`. */
  requiredClaims: string[]
  /** Seconds since `iat`, for what is used at once. */
  maxAge?: number
}

/**
 * Opens the envelope of a JWT: decrypts where the application has encryption keys, and then refuses what is not
 * encrypted; without such keys it refuses what is.
 *
 * Says nothing of authenticity: anyone can encrypt to a public key. See {@link verifyJwt}.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7519#section-7.2
 */
export async function decryptJwt(
  jwt: string,
  keys: readonly ImportedKey[],
  kind: JwtKind,
): Promise<OpenedJwt> {
  const parts = jwt.split('.').length
  if (keys.length === 0) {
    if (parts !== 3) throw invalidJwt(kind, 'is not a signed JWT, and there is no key to decrypt another')
    return { jws: jwt, outer: {} }
  }
  if (parts !== 5) throw invalidJwt(kind, 'is not encrypted, although the application has an encryption key')
  // Whatever the kid says: a bank may still use the name of a key that was renamed in a rotation.
  for (const { key } of keys) {
    const opened = await compactDecrypt(jwt, key, {
      keyManagementAlgorithms: [ENCRYPTION_ALG],
      contentEncryptionAlgorithms: [CONTENT_ENCRYPTION_ALG],
      // IDPartner compresses nothing; a few bytes that inflate to many are an attack.
      maxDecompressedLength: 0,
    }).then(
      ({ plaintext, protectedHeader }) => ({
        jws: new TextDecoder().decode(plaintext),
        outer: { iss: protectedHeader['iss'], aud: protectedHeader['aud'] },
      }),
      (err: unknown) => {
        if (err instanceof errors.JWEDecryptionFailed) return undefined
        jweHeader(jwt, kind)
        throw invalidJwt(kind, `is not encrypted with ${ENCRYPTION_ALG} and ${CONTENT_ENCRYPTION_ALG}`, err)
      },
    )
    if (opened) return opened
  }
  const { kid } = jweHeader(jwt, kind)
  const kids = keys.map((one) => one.kid).join(', ')
  throw invalidJwt(
    kind,
    `was encrypted to a key that is not ours (${printable(kid) ?? 'no kid'}; ours: ${kids}); is the published JWKS current?`,
  )
}

/**
 * Checks signature, algorithm, issuer, audience and times of an opened JWT, and returns its claims.
 *
 * Does not check what only one kind of JWT has, such as `nonce` or `state`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8725
 */
export async function verifyJwt(
  { jws, outer }: OpenedJwt,
  expected: Expected,
  kind: JwtKind,
): Promise<JWTPayload> {
  const { issuer, audience } = expected
  const payload = await jwtVerify(jws, expected.keys, {
    algorithms: [expected.alg],
    issuer,
    audience,
    clockTolerance: expected.clockTolerance,
    requiredClaims: expected.requiredClaims,
    ...(expected.maxAge !== undefined && { maxTokenAge: expected.maxAge }),
  }).then(
    (result) => result.payload,
    (err: unknown) => {
      throw ownError(err) ?? invalidJwt(kind, reason(err, jws, expected), err)
    },
  )
  // A second audience could replay the JWT to us (Core 3.1.3.7, step 3), so we share none.
  if ([payload.aud].flat().length !== 1) throw invalidJwt(kind, 'is meant for others as well')
  // RFC 7519, section 5.3: what the header of a JWE repeats has to be the same inside.
  if (outer.iss !== undefined && outer.iss !== issuer)
    throw invalidJwt(kind, 'names another issuer in its header')
  if (outer.aud !== undefined && !isSame(outer.aud, audience)) {
    throw invalidJwt(kind, 'names another audience in its header')
  }
  return payload
}

export function invalidJwt({ code, what }: JwtKind, why: string, cause?: unknown): IDPartnerError {
  return new IDPartnerError(code, `${what} ${why}`, { cause })
}

function jweHeader(jwt: string, kind: JwtKind): { kid?: unknown } {
  try {
    return decodeProtectedHeader(jwt)
  } catch (err) {
    throw invalidJwt(kind, 'is not a JWE', err)
  }
}

function isSame(aud: unknown, audience: string): boolean {
  return aud === audience || (Array.isArray(aud) && aud.length === 1 && aud[0] === audience)
}

function reason(err: unknown, jws: string, { alg }: Expected): string {
  if (err instanceof errors.JOSEAlgNotAllowed) {
    const claimed = printable(decodeProtectedHeader(jws).alg) ?? 'no known algorithm'
    return `is signed with ${claimed}, but ${alg} is configured (…_signed_response_alg)`
  }
  if (err instanceof errors.JWTExpired || isOutOfTime(err)) {
    return `is out of date by its "${err.claim}": it came too late, or this server's clock is wrong`
  }
  if (err instanceof errors.JWTClaimValidationFailed) return `has a wrong or missing "${err.claim}"`
  if (err instanceof errors.JWKSNoMatchingKey) return 'is signed with a key its issuer does not publish'
  if (err instanceof errors.JWKSMultipleMatchingKeys) return 'does not say which of several keys signed it'
  if (err instanceof errors.JWSSignatureVerificationFailed) return 'has a signature that does not verify'
  return 'is malformed'
}

function isOutOfTime(err: unknown): err is errors.JWTClaimValidationFailed {
  if (!(err instanceof errors.JWTClaimValidationFailed) || err.reason !== 'check_failed') return false
  return err.claim === 'iat' || err.claim === 'nbf'
}
