import type { TokenEndpointAuthMethod } from './config.js'

/** Causes of `invalid_client`, the likeliest first. */
const BY_METHOD: Record<TokenEndpointAuthMethod, string> = {
  private_key_jwt:
    'check that the bank has the public keys of "jwks" (not new ones at every start), then "client_id", this server\'s clock, and the method registered',
  client_secret_basic: 'check "client_secret", then "client_id", and the method registered',
  tls_client_auth:
    'check that "tls_client_cert" is the certificate registered and has not expired, then "client_id"',
}

const DPOP =
  'check "dpop_bound_access_tokens" against what "client_id" is registered for, then "dpop_signing_alg", and this server\'s clock'

const NOT_NOW =
  '"prompt", "max_age" or "acr_values" ask for more than this person or the bank can do at the moment'

/** What is likely behind an OAuth error, the likeliest first, with the option to look at. */
const BY_ERROR = new Map([
  // RFC 6749, sections 4.1.2.1 and 5.2; RFC 9101, section 7
  [
    'invalid_request',
    'check "profile", "callback", "scope", the public keys of "jwks", and this server\'s clock',
  ],
  [
    'invalid_request_object',
    'check that the bank has the public keys of "jwks" for this algorithm, then this server\'s clock and "client_id"',
  ],
  ['invalid_request_uri', 'the pushed request has expired, was used, or is of another "client_id"'],
  ['invalid_redirect_uri', '"callback" is not registered there as it is spelled here'],
  ['request_not_supported', 'the bank takes no signed requests: ask it, or leave signing keys out of "jwks"'],
  ['request_uri_not_supported', 'the bank takes no pushed requests: ask it'],
  [
    'invalid_grant',
    'the code or refresh token was used before, has expired, or is of another client, "callback", or client certificate ("tls_client_cert")',
  ],
  ['invalid_scope', 'check the option "scope" against what this application is registered for'],
  ['unauthorized_client', 'check what this application ("client_id") is registered for'],
  ['unsupported_grant_type', 'check which grant types this application ("client_id") is registered for'],
  ['unsupported_response_type', 'check that "client_id" is registered for the response type code'],
  ['unsupported_response_mode', 'check that "client_id" is registered for the response mode jwt'],
  ['access_denied', 'check what this application ("client_id") is registered for'],
  ['server_error', "the bank failed; some say so when they cannot fetch this application's public keys"],
  ['temporarily_unavailable', 'the bank is busy or down: try again later'],
  ['slow_down', 'the bank is asked too often: try again later'],
  // OpenID Connect Core, section 3.1.2.6
  ['login_required', NOT_NOW],
  ['interaction_required', NOT_NOW],
  ['consent_required', NOT_NOW],
  ['account_selection_required', NOT_NOW],
  ['unmet_authentication_requirements', NOT_NOW],
  // RFC 6750, section 3.1
  [
    'invalid_token',
    'the access token has expired, was revoked, or is bound to another certificate ("tls_client_cert") or key (DPoP)',
  ],
  ['insufficient_scope', 'the login did not ask for the scope that this needs: check the option "scope"'],
  // RFC 7009, section 2.2.1; RFC 8707, section 2; RFC 9396, section 5; RFC 9449, sections 5 and 8
  ['unsupported_token_type', 'the bank does not revoke tokens of this kind'],
  ['invalid_target', 'the bank does not know the "resource" asked for'],
  ['invalid_authorization_details', 'check the option "authorization_details" against what the bank offers'],
  ['invalid_dpop_proof', DPOP],
  [
    'use_dpop_nonce',
    'the bank wants tokens bound by DPoP: check "dpop_bound_access_tokens" against what "client_id" is registered for',
  ],
])

/** Words by which banks say more than the name of the error, the narrowest first. */
const BY_WORDS: [RegExp, string][] = [
  [/\bdpop\b/i, DPOP],
  [/redirect[ _-]?ur[il]|callback/i, '"callback" is not registered there as it is spelled here'],
  [/\bscopes?\b/i, 'check the option "scope" against what this application is registered for'],
  [
    /certificate|x5t|m-?tls\b/i,
    'check that "tls_client_cert" is the certificate registered and has not expired',
  ],
  [/\bsecret\b/i, 'check "client_secret" against what is registered'],
  [
    /\b(iat|nbf|exp)\b|\bclock\b|in the future|not (yet |currently )?active|not yet valid|expired|too (old|early|late)/i,
    'check this server\'s clock, then "clock_tolerance"',
  ],
  [
    /signature|\bkeys?\b|\bkid\b|\bjwks?\b/i,
    'check that the bank has the public keys of "jwks" (not new ones at every start)',
  ],
  [
    /client_id|(unknown|unregistered|no such) client|client[\w ]* not (found|known|registered)|client not exist/i,
    'check "client_id": the bank does not know it',
  ],
]

/** With these, words say nothing better: what has expired is the code, the token or the person's visit, and nothing signed. */
const OF_OTHERS = [
  'use_dpop_nonce',
  'invalid_grant',
  'invalid_token',
  'login_required',
  'interaction_required',
  'consent_required',
  'account_selection_required',
  'unmet_authentication_requirements',
]

/**
 * What the site's owner can look at when a bank refused a request: options of ours by name, in our own words.
 *
 * Does not repeat the bank's words: they only choose between our sentences, where the error's name leaves several causes.
 */
export function refusalHint(
  error: string | undefined,
  words: string | undefined,
  auth: TokenEndpointAuthMethod | undefined,
): string {
  return (
    hintOf(error, words, auth && BY_METHOD[auth]) ?? 'see "cause" for the HTTP status and what the bank said'
  )
}

/** The same of a person's login, where the bank may have its reasons: then there is nothing to look at. */
export function loginHint(error: string | undefined, words: string | undefined): string | undefined {
  return hintOf(error, words)
}

function hintOf(error = '', words = '', byMethod?: string): string | undefined {
  const told = OF_OTHERS.includes(error) ? undefined : BY_WORDS.find(([pattern]) => pattern.test(words))
  if (told) return told[1]
  return error === 'invalid_client' && byMethod !== undefined ? byMethod : BY_ERROR.get(error)
}
