import * as oidc from 'openid-client'

/** Lets openid-client pass http: URLs on; which of them are fetched, Http decides. Recognised by identity. */
// eslint-disable-next-line @typescript-eslint/no-deprecated -- deprecated only to stand out
export const leaveTransportToHttp: (client: oidc.Configuration) => void = oidc.allowInsecureRequests

/** In seconds from its `iat`: IDPartner takes requests of five minutes at most, and banks assertions of two. */
export const LIFETIME = { request: 300, assertion: 120 } as const

/** The most that a statement is dated back, so that half of the time of the shortest is still to come. */
const MAX_BACKDATING = 60

/**
 * Sets the times of what the application signs: back by as much as clocks may differ, since banks refuse what begins in
 * their future, and short.
 *
 * @param clockTolerance seconds, of which a minute counts
 * @param lifetime seconds in all
 * @see https://openid.net/specs/openid-financial-api-part-2-1_0.html#confidential-client
 */
export function timesOf(
  clockTolerance: number,
  lifetime: number,
): (header: unknown, claims: Record<string, unknown>) => void {
  return (_header, claims) => {
    const iat = Math.floor(Date.now() / 1000 - Math.min(clockTolerance, MAX_BACKDATING))
    Object.assign(claims, { iat, nbf: iat, exp: iat + lifetime })
  }
}
