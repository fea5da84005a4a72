import * as oidc from 'openid-client'

/** Lets openid-client pass http: URLs on; which of them are fetched, Http decides. Recognised by identity. */
// eslint-disable-next-line @typescript-eslint/no-deprecated -- deprecated only to stand out
export const leaveTransportToHttp: (client: oidc.Configuration) => void = oidc.allowInsecureRequests

/**
 * Sets a signed statement's times: a few seconds back, for banks whose clock is a little behind, and still short.
 *
 * FAPI 1.0 Advanced, 5.2.2-13 allows 60 minutes; IDPartner allows five.
 */
export function backdated(_header: unknown, claims: Record<string, unknown>): void {
  const now = Math.floor(Date.now() / 1000)
  Object.assign(claims, { iat: now - 10, nbf: now - 10, exp: now + 240 })
}
