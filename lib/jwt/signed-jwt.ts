import { compactVerify, decodeJwt, errors, type CryptoKey, type JWTPayload } from 'jose'
import { IDPartnerError, printable } from '../errors.js'
import { isTooDeep } from '../net/json.js'
import { SIGNING_ALGS, namesOf, type SigningAlg } from './algorithms.js'
import { checkEnvelope, type OpenedJwt } from './encrypted-jwt.js'
import { invalidJwt, parsedHeader, safeCause, wrongClaim, wrongIssuer, type JwtKind } from './jwt-error.js'
import type { FindKeys } from './remote-keys.js'

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

/** Which of a few keys made it does not matter, since the algorithm is pinned and all are the issuer's. */
async function verifySignature(
  jws: string,
  { alg, keys }: Expected,
  kind: JwtKind,
): Promise<{ claims: Record<string, unknown>; key: CryptoKey }> {
  if (jws.split('.').length !== 3) throw invalidJwt(kind, 'is malformed')
  const header = parsedHeader(jws, kind, 'is malformed')
  const kid = header['kid'] ?? undefined
  const algorithms = namesOf(alg)
  if (!algorithms.some((one) => one === header['alg'])) {
    throw invalidJwt(kind, otherAlgorithm(header['alg'], alg, kind))
  }
  // RFC 7515, section 4.1.11: we understand no extension, and none is of use here.
  if ('crit' in header || (kid !== undefined && typeof kid !== 'string')) {
    throw invalidJwt(kind, 'is malformed')
  }
  let failed: unknown
  for await (const key of keys(alg, kid)) {
    try {
      const { payload } = await compactVerify(jws, key, { algorithms })
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

function outOfTime(kind: JwtKind, name: string): IDPartnerError {
  return invalidJwt(
    kind,
    `is out of date by its "${name}": it came too late, or this server's clock is wrong`,
  )
}

function otherAlgorithm(came: unknown, wanted: SigningAlg, { registered }: JwtKind): string {
  const what = `is signed with ${printable(came) ?? 'no known algorithm'}, but ${wanted} is wanted`
  if (registered === undefined) return what
  const option = `${registered}_signed_response_alg`
  return `${what}: register ${option} ${wanted} at the bank, or set the option of that name to what is registered (${SIGNING_ALGS.join(', ')})`
}
