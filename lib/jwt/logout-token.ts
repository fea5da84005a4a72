import { decodeProtectedHeader } from 'jose'
import * as v from 'valibot'
import { IDPartnerError } from '../errors.js'
import type { SigningAlg } from './algorithms.js'
import type { FindKeys } from './remote-keys.js'
import { decryptJwt, type Decryption } from './encrypted-jwt.js'
import { invalidJwt, wrongClaim, wrongIssuer, type JwtKind } from './jwt-error.js'
import { claimedIssuer, verifyJwt } from './signed-jwt.js'

/** A bank's word that somebody logged out there: of one session (`sid`), or else of all sessions of a person (`sub`). */
export interface BankLogout {
  issuer: string
  sub?: string
  sid?: string
  /** When, in seconds since 1970. */
  iat: number
  /** The name of this word, which is not used twice. */
  jti: string
}

export interface LogoutTokenExpected {
  decryption: Decryption
  alg: SigningAlg
  clientId: string
  /** Seconds. */
  clockTolerance: number
  /** The keys of an issuer; refuses one that may not be asked with `provider_refused`. */
  keysOf: (issuer: string) => Promise<FindKeys>
}

const LOGOUT_TOKEN: Required<JwtKind> = {
  code: 'token_invalid',
  what: "the bank's logout token",
  registered: 'id_token',
}

/** It is sent in the moment it is issued. */
export const MAX_AGE_SECONDS = 600

const MAX_LENGTH = 64 * 1024

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(255))

/**
 * Opens and verifies a logout token: signed as this bank signs ID tokens, and never one of them.
 *
 * It may be encrypted, and need not be: nobody gains by reading it, and a logout that is not heard leaves a session open.
 * Does not say whether it was used before.
 *
 * @throws {IDPartnerError} `token_invalid`; what `keysOf` throws
 * @see https://openid.net/specs/openid-connect-backchannel-1_0.html#Validation
 */
export async function verifyLogoutToken(
  token: string,
  { decryption, alg, clientId, clockTolerance, keysOf }: LogoutTokenExpected,
): Promise<BankLogout> {
  if (token.length > MAX_LENGTH) throw invalidJwt(LOGOUT_TOKEN, 'is longer than 64 KiB')
  const sealed = token.split('.').length === 5
  const jwt = await decryptJwt(token, sealed ? decryption : { ...decryption, keys: [] }, LOGOUT_TOKEN)
  const issuer = claimedIssuer(jwt, LOGOUT_TOKEN)
  const keys = await keysOf(issuer).catch((err: unknown) => {
    throw err instanceof IDPartnerError && err.code === 'provider_refused'
      ? wrongIssuer(LOGOUT_TOKEN, issuer, undefined, err)
      : err
  })
  const claims: Record<string, unknown> = await verifyJwt(
    jwt,
    {
      alg,
      keys,
      issuer,
      audience: clientId,
      clockTolerance,
      requiredClaims: ['exp', 'iat', 'jti', 'events'],
      maxAge: MAX_AGE_SECONDS,
    },
    LOGOUT_TOKEN,
  )
  const { typ } = decodeProtectedHeader(jwt.jws)
  // Section 2.4 recommends a type, and many banks write what any JWT may have (RFC 7519, section 5.1); an ID token is told apart by
  // its claims in any case.
  if (typ !== undefined && !/^((application\/)?logout\+jwt|JWT)$/i.test(typ)) {
    throw invalidJwt(LOGOUT_TOKEN, 'has another "typ" in its header')
  }
  if ('nonce' in claims) throw invalidJwt(LOGOUT_TOKEN, 'has a "nonce", so it is an ID token')
  const { events, jti, iat } = claims
  if (!isObject(events) || !isObject(events[EVENT])) {
    throw wrongClaim(LOGOUT_TOKEN, 'events')
  }
  if (!v.is(name, jti)) throw wrongClaim(LOGOUT_TOKEN, 'jti')
  const [sub, sid] = ['sub', 'sid'].map((one) => {
    const value = claims[one] ?? undefined
    if (value !== undefined && !v.is(name, value)) throw wrongClaim(LOGOUT_TOKEN, one)
    return value
  })
  if (sub === undefined && sid === undefined) throw invalidJwt(LOGOUT_TOKEN, 'has neither "sub" nor "sid"')
  return {
    issuer,
    ...(sub !== undefined && { sub }),
    ...(sid !== undefined && { sid }),
    iat: iat as number,
    jti,
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
