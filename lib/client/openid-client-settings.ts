import * as oidc from 'openid-client'

/** Lets openid-client pass http: URLs on; which of them are fetched, Http decides. Recognised by identity. */
// eslint-disable-next-line @typescript-eslint/no-deprecated -- deprecated only to stand out
export const leaveTransportToHttp: (client: oidc.Configuration) => void = oidc.allowInsecureRequests
