import type { ResolvedConfig } from './config.js'

/** The parties as messages name them, so that an operator knows whom to call: a bank by the host of its issuer. */
export const TRUST_DIRECTORY = "IDPartner's trust directory"

const MAX_HOST = 100

export function partyOf(
  issuer: string,
  { oidc_proxy_service_url }: Pick<ResolvedConfig, 'oidc_proxy_service_url'>,
): string {
  if (issuer === oidc_proxy_service_url) return "IDPartner's proxy"
  const { host } = new URL(issuer)
  // A host has no bound of its own.
  return `the bank ${host.length > MAX_HOST ? `${host.slice(0, MAX_HOST)}…` : host}`
}
