import type { JWTPayload, JWTVerifyGetKey } from 'jose'
import type { ImportedKey, SigningAlg } from './keys.js'
import { decryptJwt, verifyJwt, type JwtKind } from './sealed-jwt.js'

export interface UserInfoExpected {
  decryption: readonly ImportedKey[]
  keys: JWTVerifyGetKey
  alg: SigningAlg
  issuer: string
  clientId: string
  /** Seconds. */
  clockTolerance: number
}

const USERINFO: JwtKind = { code: 'token_invalid', what: "the bank's userinfo" }

/**
 * Verifies userinfo that came as a JWT.
 *
 * Does not compare its `sub` with that of the ID token: openid-client does so with every kind of userinfo.
 *
 * @throws {IDPartnerError} `token_invalid`
 * @see https://openid.net/specs/openid-connect-core-1_0.html#UserInfoResponse
 */
export async function verifyUserInfo(
  jwt: string,
  { decryption, clientId, ...expected }: UserInfoExpected,
): Promise<JWTPayload> {
  // Whether userinfo is encrypted is registered apart from ID tokens, so signed only is no downgrade here.
  const opened =
    jwt.split('.').length === 5 ? await decryptJwt(jwt, decryption, USERINFO) : { jws: jwt, outer: {} }
  // It need not expire.
  return verifyJwt(opened, { ...expected, audience: clientId, requiredClaims: [] }, USERINFO)
}
