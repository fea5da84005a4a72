import { scopeText, type ClaimsRequest } from './authorization-request.js'
import { optionalParam } from './callback-params.js'
import type { ResolvedConfig } from './config.js'
import { joinUrl } from '../net/http.js'

/**
 * The page of IDPartner where a person chooses a bank in the direct flow. It sends the browser back to the login route
 * with that bank's issuer.
 *
 * @param params the login route's query, of which `visitor_id` goes along
 * @throws {IDPartnerError} `config_invalid` for a scope without `openid`
 */
export function accountSelectorUrl(
  { account_selector_service_url, client_id }: ResolvedConfig,
  params: URLSearchParams,
  scope: string | readonly string[],
  claims: ClaimsRequest | undefined,
): URL {
  const base = account_selector_service_url
  const url = new URL(base.endsWith('/select-accounts') ? base : joinUrl(base, 'select-accounts'))
  url.searchParams.set('client_id', client_id)
  const visitor = optionalParam(params, 'visitor_id')
  if (visitor !== undefined) url.searchParams.set('visitor_id', visitor)
  url.searchParams.set('scope', scopeText(scope))
  const names = new Set([...Object.keys(claims?.userinfo ?? {}), ...Object.keys(claims?.id_token ?? {})])
  if (names.size > 0) url.searchParams.set('claims', [...names].join(' '))
  return url
}
