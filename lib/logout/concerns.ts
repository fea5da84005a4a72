import type { BankLogout } from '../jwt/logout-token.js'

/**
 * Whether a bank's logout is about the login that brought these claims: of that bank, of that session where one is named,
 * of that person where one is named, and from before it.
 *
 * @see https://openid.net/specs/openid-connect-backchannel-1_0.html#BCActions
 */
export function concerns(
  { issuer, sub, sid, iat }: BankLogout,
  claims: { iss?: unknown; sub?: unknown; sid?: unknown; iat?: unknown },
): boolean {
  if (claims.iss !== issuer) return false
  if (sid !== undefined && claims.sid !== sid) return false
  if (sub !== undefined && claims.sub !== sub) return false
  return typeof claims.iat !== 'number' || claims.iat <= iat
}
