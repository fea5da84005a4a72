import type { ResolvedConfig } from './config.js'

/** The parties as messages name them, so that an operator knows whom to call: a bank by the host of its issuer. */
export const TRUST_DIRECTORY = "IDPartner's trust directory"

export function partyOf(
  issuer: string,
  { oidc_proxy_service_url }: Pick<ResolvedConfig, 'oidc_proxy_service_url'>,
): string {
  return issuer === oidc_proxy_service_url ? "IDPartner's proxy" : `the bank ${new URL(issuer).host}`
}
