import type { AuthorizationParams, ClaimsRequest, RequestedDetail } from './authorization-request.js'
import type { OwnParameters } from './own-parameters.js'

/** What logins ask for beyond the client's own options, under the names that the strategy has for it. */
export interface AskedFor {
  /** `openid` alone by default. */
  scope?: string | readonly string[] | undefined
  claims?: ClaimsRequest | undefined
  fetchUserInfo?: boolean | undefined
  prompt?: string | undefined
  /** Seconds. */
  max_age?: number | undefined
  acr_values?: string | undefined
  login_hint?: string | undefined
  ui_locales?: string | undefined
  id_token_hint?: string | undefined
  display?: string | undefined
  purpose?: string | undefined
  authorization_details?: readonly RequestedDetail[] | undefined
  authorization_params?: OwnParameters | undefined
}

/** What logins ask for, as the strategy has it, so that the login request that is tried is like theirs. */
export interface PreflightOptions extends AskedFor {
  /** Where the platform fetches the application's public keys; `/jwks` at the callback's origin by default. */
  jwks_uri?: string | undefined
  /** Whether to ask nobody, and look at the options alone; `false` by default. */
  offline?: boolean | undefined
}

/** What a login asks for beside its scope. */
export function parametersOf(asked: PreflightOptions): AuthorizationParams {
  const { claims, prompt, max_age, acr_values, login_hint, ui_locales, id_token_hint, display } = asked
  const { purpose, authorization_details, authorization_params } = asked
  return {
    claims,
    prompt,
    max_age,
    acr_values,
    login_hint,
    ui_locales,
    id_token_hint,
    display,
    purpose,
    authorization_details,
    authorization_params,
  }
}
