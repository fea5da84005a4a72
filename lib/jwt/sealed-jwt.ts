import {
  compactDecrypt,
  compactVerify,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type CryptoKey,
  type JWTPayload,
} from 'jose'
import { IDPartnerError, printable, type ErrorCode } from '../errors.js'
import { isTooDeep } from '../net/json.js'
import {
  SIGNING_ALGS,
  type ContentEncryptionAlg,
  type KeyEncryptionAlg,
  type SigningAlg,
} from './algorithms.js'
import type { DecryptionKey } from './keys.js'
import type { FindKeys } from './remote-keys.js'

/** How one kind of JWT is encrypted to the application: not at all where the lists are empty. */
export interface Decryption {
  alg: readonly KeyEncryptionAlg[]
  enc: readonly ContentEncryptionAlg[]
  keys: readonly DecryptionKey[]
}

/** Whose JWT this is, in messages, and which code its refusal has. */
export interface JwtKind {
  code: Extract<ErrorCode, 'response_invalid' | 'token_invalid'>
  what: string
  /** How client registration calls it: its algorithm is `…_signed_response_alg`. None for IDPartner's own. */
  registered?: 'authorization' | 'id_token' | 'userinfo'
}

/** A JWS with the header of the JWE it came in, if it came in one. */
export interface OpenedJwt {
  jws: string
  outer: { iss?: unknown; aud?: unknown }
}

/**
 * Told of a JWS that was verified: what was signed, with which key, and by which moment its times were judged, in seconds
 * since 1970.
 */
export type Witness = (jws: string, key: CryptoKey, now: number) => void

/** Who watches a verification, and by which clock it is made. */
export interface Witnessed {
  witness?: Witness | undefined
  /** Seconds since 1970; the present by default. Another for what was verified then, and is again. */
  now?: number | undefined
}

export interface Expected extends Witnessed {
  alg: SigningAlg
  keys: FindKeys
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
  const fitting = decryption.keys.filter((one) => one.alg === alg)
  const named = fitting.filter((one) => one.kid === kid)
  const others = fitting.filter((one) => one.kid !== kid)
  for (const key of [...named, ...others]) {
    const plaintext = await opened(jwt, key).catch((err: unknown) => {
      const why = 'zip' in header ? 'is compressed, which is not accepted' : 'is malformed'
      throw invalidJwt(kind, why, safeCause(err))
    })
    if (plaintext) {
      const { iss, aud } = header
      return { jws: new TextDecoder().decode(plaintext), outer: { iss, aud } }
    }
  }
  const ours = shortened(decryption.keys.map((one) => one.kid).join(', '), 100)
  throw invalidJwt(
    kind,
    `was encrypted to a key that is not ours (${printable(kid) ?? 'no kid'}; ours: ${ours}): this application may have been restarted with new keys (generateJwks at every start), or publish an old JWKS`,
  )
}

/** What is inside; nothing where it was not encrypted to this key, or was changed. */
async function opened(jwe: string, key: DecryptionKey): Promise<Uint8Array | undefined> {
  // IDPartner compresses nothing; a few bytes that inflate to many are an attack.
  return compactDecrypt(jwe, key.key, { maxDecompressedLength: 0 }).then(
    ({ plaintext }) => plaintext,
    (err: unknown) => {
      if (err instanceof errors.JWEDecryptionFailed) return undefined
      throw err
    },
  )
}

/** Who an opened JWT says it is from: where to look for the keys, if that issuer is allowed. Nobody has signed it yet. */
export function claimedIssuer({ jws }: OpenedJwt, kind: JwtKind): string {
  let iss: unknown
  try {
    iss = decodeJwt(jws).iss
  } catch (err) {
    throw invalidJwt(kind, 'is malformed', err)
  }
  if (typeof iss !== 'string') throw wrongIssuer(kind, iss, undefined)
  return iss
}

/**
 * Checks signature, algorithm, issuer, audience and times of an opened JWT, and returns its claims.
 *
 * Does not check what only one kind of JWT has, such as `nonce` or `state`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8725
 */
export async function verifyJwt(opened: OpenedJwt, expected: Expected, kind: JwtKind): Promise<JWTPayload> {
  const { claims, key } = await verifySignature(opened.jws, expected, kind)
  const { now = Math.floor(Date.now() / 1000) } = expected
  checkRegisteredClaims(claims, { ...expected, now }, kind)
  checkEnvelope(opened, expected, kind)
  expected.witness?.(opened.jws, key, now)
  return claims
}

/**
 * Compares what the header of a JWE repeats, which has to be the same as inside.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7519#section-5.3
 */
export function checkEnvelope(
  { outer }: OpenedJwt,
  { issuer, audience }: Pick<Expected, 'issuer' | 'audience'>,
  kind: JwtKind,
): void {
  if (outer.iss !== undefined && outer.iss !== issuer)
    throw invalidJwt(kind, 'names another issuer in its header')
  if (outer.aud !== undefined && !isSame(outer.aud, audience)) {
    throw invalidJwt(kind, 'names another audience in its header')
  }
}

/** Which of a few keys made it does not matter, since the algorithm is pinned and all are the issuer's. */
async function verifySignature(
  jws: string,
  { alg, keys }: Expected,
  kind: JwtKind,
): Promise<{ claims: Record<string, unknown>; key: CryptoKey }> {
  if (jws.split('.').length !== 3) throw invalidJwt(kind, 'is malformed')
  const header = parsedHeader(jws, kind, 'is malformed')
  const kid = header['kid'] ?? undefined
  if (header['alg'] !== alg) throw invalidJwt(kind, otherAlgorithm(header['alg'], alg, kind))
  // RFC 7515, section 4.1.11: we understand no extension, and none is of use here.
  if ('crit' in header || (kid !== undefined && typeof kid !== 'string')) {
    throw invalidJwt(kind, 'is malformed')
  }
  let failed: unknown
  for await (const key of keys(alg, kid)) {
    try {
      const { payload } = await compactVerify(jws, key, { algorithms: [alg] })
      return { claims: claimsOf(payload, kind), key }
    } catch (err) {
      if (err instanceof IDPartnerError) throw err
      if (!(err instanceof errors.JWSSignatureVerificationFailed)) {
        throw invalidJwt(kind, 'is malformed', safeCause(err))
      }
      failed = err
    }
  }
  throw failed === undefined
    ? invalidJwt(kind, 'is signed with a key its issuer does not publish')
    : invalidJwt(kind, 'has a signature that does not verify', failed)
}

const REGISTERED_CLAIMS = ['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti']

/** The claims of a payload; a registered one that is `null` is absent, as many serializers write it. */
function claimsOf(payload: Uint8Array, kind: JwtKind): Record<string, unknown> {
  const claims = parseObject(payload, kind)
  return Object.fromEntries(
    Object.entries(claims).filter(([name, value]) => value !== null || !REGISTERED_CLAIMS.includes(name)),
  )
}

/** Parses the JSON object that is inside. */
export function parseObject(text: string | Uint8Array, kind: JwtKind): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(
      typeof text === 'string' ? text : new TextDecoder('utf-8', { fatal: true }).decode(text),
    )
  } catch (err) {
    throw invalidJwt(kind, 'is malformed', err)
  }
  return checkedObject(value, kind)
}

/** Refuses what is no JSON object, or one that is nested too deeply to be handed on. */
export function checkedObject(value: unknown, kind: JwtKind): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidJwt(kind, 'is malformed')
  }
  if (isTooDeep(value)) throw invalidJwt(kind, 'is nested too deeply')
  return value as Record<string, unknown>
}

/** @see https://www.rfc-editor.org/rfc/rfc7519#section-4.1 */
function checkRegisteredClaims(
  claims: JWTPayload,
  expected: Expected & { now: number },
  kind: JwtKind,
): void {
  const { issuer, audience, requiredClaims, clockTolerance, maxAge, now } = expected
  const missing = requiredClaims.find((name) => !Object.hasOwn(claims, name))
  if (missing !== undefined) throw wrongClaim(kind, missing)
  if (claims.iss !== issuer) throw wrongIssuer(kind, claims.iss, issuer)
  const audiences = [claims.aud].flat()
  if (!audiences.includes(audience)) throw wrongClaim(kind, 'aud')
  // A second audience could replay the JWT to us (Core 3.1.3.7, step 3), so we share none.
  if (audiences.length !== 1) throw invalidJwt(kind, 'is meant for others as well')
  const { nbf = -Infinity, exp = Infinity, iat } = checkedTimes(claims, kind)
  if (nbf > now + clockTolerance) throw outOfTime(kind, 'nbf')
  if (exp <= now - clockTolerance) throw outOfTime(kind, 'exp')
  if (maxAge === undefined) return
  if (iat === undefined) throw wrongClaim(kind, 'iat')
  const age = now - iat
  if (age > maxAge + clockTolerance || age < -clockTolerance) throw outOfTime(kind, 'iat')
}

function checkedTimes(claims: JWTPayload, kind: JwtKind): Pick<JWTPayload, 'nbf' | 'exp' | 'iat'> {
  const wrong = (['nbf', 'exp', 'iat'] as const).find(
    // JSON can spell a number that is none: 1e999.
    (name) => claims[name] !== undefined && !Number.isFinite(claims[name]),
  )
  if (wrong !== undefined) throw wrongClaim(kind, wrong)
  return claims
}

export function invalidJwt({ code, what }: JwtKind, why: string, cause?: unknown): IDPartnerError {
  return new IDPartnerError(code, `${what} ${why}`, { cause })
}

export function wrongClaim(kind: JwtKind, name: string): IDPartnerError {
  return invalidJwt(kind, `has a wrong or missing "${name}"`)
}

/** Names both: most often they differ in a slash at the end, in http for https, or in localhost for 127.0.0.1. */
export function wrongIssuer(
  kind: JwtKind,
  came: unknown,
  wanted: string | undefined,
  cause?: unknown,
): IDPartnerError {
  const which = wanted === undefined ? '' : `, and ${printableUrl(wanted)} is wanted`
  return invalidJwt(kind, `has a wrong or missing "iss": ${printableUrl(came)} came${which}`, cause)
}

function outOfTime(kind: JwtKind, name: string): IDPartnerError {
  return invalidJwt(
    kind,
    `is out of date by its "${name}": it came too late, or this server's clock is wrong`,
  )
}

function parsedHeader(jwt: string, kind: JwtKind, otherwise: string): Record<string, unknown> {
  try {
    return decodeProtectedHeader(jwt)
  } catch (err) {
    throw invalidJwt(kind, otherwise, safeCause(err))
  }
}

function isSame(aud: unknown, audience: string): boolean {
  return aud === audience || (Array.isArray(aud) && aud.length === 1 && aud[0] === audience)
}

function otherAlgorithm(came: unknown, wanted: SigningAlg, { registered }: JwtKind): string {
  const what = `is signed with ${printable(came) ?? 'no known algorithm'}, but ${wanted} is wanted`
  if (registered === undefined) return what
  const option = `${registered}_signed_response_alg`
  return `${what}: register ${option} ${wanted} at the bank, or set the option of that name to what is registered (${SIGNING_ALGS.join(', ')})`
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

/** jose quotes the name of a header that it does not know, which is the sender's text. */
function safeCause(err: unknown): unknown {
  return err instanceof errors.JOSENotSupported ? new Error('a header is not supported') : err
}

/** An issuer for messages: a URL of harmless characters, and not more of it than a line has room for. */
export function printableUrl(value: unknown): string {
  if (value === undefined) return 'none'
  return typeof value === 'string' && /^https?:\/\/[\w.:/~[\]-]+$/.test(value)
    ? shortened(value)
    : 'one that is no plain URL'
}

function shortened(text: string, most = 80): string {
  return text.length > most ? `${text.slice(0, most)}…` : text
}
