import { createHash } from 'node:crypto'
import { IDPartnerError } from '../errors.js'
import { checkClaims, type IDPartnerClaims } from './claims.js'
import { hashOf, type SigningAlg } from './algorithms.js'
import type { FindKeys } from './remote-keys.js'
import { decryptJwt, type Decryption } from './encrypted-jwt.js'
import { invalidJwt, type JwtKind } from './jwt-error.js'
import { verifyJwt, type Witnessed } from './signed-jwt.js'

/** How a person has to have logged in at the bank. */
interface AuthenticationChecks {
  /** Seconds between that and the beginning of this login. */
  max_age?: number | undefined
  /** Space-separated; the bank has to have met one of them. */
  acr_values?: string | undefined
}

/** What a login asked for and its ID token has to match. */
export interface IdTokenChecks extends AuthenticationChecks {
  nonce: string
  /** When this login began, in seconds since 1970; by default it is compared with the present. */
  begun?: number | undefined
  /** What is asked for beside that, by whoever finishes the login. */
  floor?: AuthenticationChecks | undefined
}

export interface IdTokenExpected extends Witnessed {
  /** Whose ID token it is, for messages. */
  what: string
  decryption: Decryption
  keys: FindKeys
  alg: SigningAlg
  issuer: string
  clientId: string
  /** Seconds. */
  clockTolerance: number
  /** What it came with: both are of the same person. None where that was compared before, and is not there any more. */
  accessToken: string | undefined
  /**
   * The login it completes. None when tokens are refreshed: that ID token need not repeat what a login asked for (Core
   * 12.2), and whose it is the caller compares.
   */
  login: IdTokenChecks | undefined
}

/** An ID token is fetched in the moment it is issued, so an old one is a replay even before its `exp`. */
const MAX_AGE_SECONDS = 600

/** @param what whose ID token it is, for messages: `the ID token of the bank login.bank.example` */
export function idTokenKind(what: string): Required<JwtKind> {
  return { code: 'token_invalid', what, registered: 'id_token' }
}

/**
 * Opens an ID token and checks all of it: signature, algorithm, issuer, audience and times, the access token it came
 * with, and the login it completes. Returns the signed JWT inside.
 *
 * What it says of the person has the types it should, and is otherwise as the bank wrote it.
 *
 * @throws {IDPartnerError} `token_invalid`
 * @see https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
 */
export async function verifyIdToken(
  sealed: string,
  { what, decryption, clientId, accessToken, login, ...expected }: IdTokenExpected,
): Promise<{ jws: string; claims: IDPartnerClaims }> {
  const kind = idTokenKind(what)
  const jwt = await decryptJwt(sealed, decryption, kind)
  const payload = await verifyJwt(
    jwt,
    { ...expected, audience: clientId, requiredClaims: ['exp', 'sub'], maxAge: MAX_AGE_SECONDS },
    kind,
  )
  const claims = checkClaims(payload as IDPartnerClaims, kind)
  if ((claims.azp ?? clientId) !== clientId) throw invalidJwt(kind, 'was issued to another client')
  if (accessToken !== undefined) matchAccessToken(claims, accessToken, expected.alg, kind)
  if (login) matchLogin(claims, login, expected.clockTolerance, kind, expected.now)
  return { jws: jwt.jws, claims }
}

/**
 * Compares an ID token with the login that it is to complete.
 *
 * @throws {IDPartnerError} `token_invalid`; 401 where it is the person who has to log in again
 * @see https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
 */
export function matchLogin(
  claims: IDPartnerClaims,
  checks: IdTokenChecks,
  clockTolerance: number,
  kind: JwtKind,
  now = Date.now() / 1000,
): void {
  if (claims.nonce !== checks.nonce) throw invalidJwt(kind, 'belongs to another login: its "nonce" differs')
  if (typeof claims.auth_time === 'number' && claims.auth_time > now + clockTolerance)
    throw invalidJwt(kind, 'has an "auth_time" that is still to come')
  // A person takes their time at the bank, and that is no part of "max_age".
  const begun = Math.min(checks.begun ?? now, now) - clockTolerance
  for (const asked of [checks, checks.floor]) {
    if (!isRecent(claims, begun, asked)) throw unmet(kind, 'that the person logged in within "max_age"')
    if (!isStrong(claims, asked)) throw unmet(kind, 'any of the "acr_values" asked for')
  }
}

function isRecent(claims: IDPartnerClaims, begun: number, { max_age }: AuthenticationChecks = {}): boolean {
  if (max_age === undefined) return true
  return typeof claims.auth_time === 'number' && claims.auth_time >= begun - max_age
}

function isStrong(claims: IDPartnerClaims, { acr_values }: AuthenticationChecks = {}): boolean {
  const wanted = acr_values?.split(' ').filter((value) => value !== '') ?? []
  return wanted.length === 0 || wanted.includes(claims.acr ?? '')
}

/** Nothing is broken: the person logged in, but too long ago or not strongly enough. */
function unmet({ code, what: token }: JwtKind, what: string): IDPartnerError {
  return new IDPartnerError(code, `${token} does not show ${what}; please log in again`, { status: 401 })
}

/**
 * Compares an ID token with the access token it came with, if it names one: parts of two answers would let one person's
 * data be asked for in the name of another.
 *
 * @throws {IDPartnerError} `token_invalid`
 * @see https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowTokenValidation
 */
export function matchAccessToken(
  claims: IDPartnerClaims,
  accessToken: string,
  alg: SigningAlg,
  kind: JwtKind,
): void {
  if (claims['at_hash'] === undefined) return
  const hash = createHash(hashOf(alg)).update(accessToken).digest()
  if (claims['at_hash'] !== hash.subarray(0, hash.length / 2).toString('base64url')) {
    throw invalidJwt(kind, 'belongs to another access token: its "at_hash" differs')
  }
}
