import type { ResolvedConfig } from './config.js'
import { parseEndpoint } from '../net/http.js'

/** The parties as messages name them, so that an operator knows whom to call: a bank by the host of its issuer. */
export const TRUST_DIRECTORY = "IDPartner's trust directory"

const MAX_HOST = 100

/** What is no issuer at all is a bank without a name. */
export function partyOf(
  issuer: string,
  { oidc_proxy_service_url }: Pick<ResolvedConfig, 'oidc_proxy_service_url'>,
): string {
  if (issuer === oidc_proxy_service_url) return "IDPartner's proxy"
  const host = parseEndpoint(issuer)?.host
  if (host === undefined) return 'the bank'
  // A host has no bound of its own.
  return `the bank ${host.length > MAX_HOST ? `${host.slice(0, MAX_HOST)}…` : host}`
}
