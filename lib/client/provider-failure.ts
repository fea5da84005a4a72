import { ClientError, ResponseBodyError, WWWAuthenticateChallengeError } from 'openid-client'
import { IDPartnerError, ownError, printable, type ErrorCode } from '../errors.js'
import { unusableAnswer } from '../net/json.js'

/** openid-client's codes for an answer that is no answer at all, rather than one with a wrong content. */
const UNUSABLE = ['OAUTH_RESPONSE_IS_NOT_CONFORM', 'OAUTH_RESPONSE_IS_NOT_JSON', 'OAUTH_PARSE_ERROR']

/**
 * Turns whatever went wrong in a call to a bank into our own error: the one place that reads openid-client's.
 *
 * The bank's status is never ours: a 401 of its token endpoint would look as if our own visitor were not logged in.
 *
 * @param what whose answer it was, for the message: `the token endpoint of the bank login.bank.example`
 * @param otherwise the code when the bank answered, but wrongly
 */
export function providerFailure(err: unknown, what: string, otherwise: ErrorCode): IDPartnerError {
  const own = ownError(err)
  if (own) return own
  if (err instanceof ResponseBodyError) {
    return refusal(what, printable(err.error), err)
  }
  if (err instanceof WWWAuthenticateChallengeError) {
    const named = err.cause.map((challenge) => printable(challenge.parameters.error)).find(Boolean)
    return refusal(what, named ?? (err.status === 401 ? 'invalid_client' : undefined), err)
  }
  if (err instanceof ClientError && UNUSABLE.includes(err.code ?? '')) {
    const status = err.cause instanceof Response ? err.cause.status : undefined
    return unusableAnswer(what, status, err)
  }
  return new IDPartnerError(otherwise, `${what} gave an answer that fails a check`, {
    cause: err,
  })
}

/** A discovery document that says something which cannot be used. */
export function badMetadata(party: string, why: string): IDPartnerError {
  return new IDPartnerError('provider_unavailable', `the discovery document of ${party} ${why}`)
}

/** What the site's owner can do about the OAuth errors that come from a wrong set-up (RFC 6749, section 5.2). */
const HINTS = new Map([
  [
    'invalid_client',
    "check this application's key, secret or certificate, its expiry, and what is registered",
  ],
  ['unauthorized_client', 'check what this application is registered for'],
  ['invalid_grant', 'the code or refresh token was used before, has expired, or is of another client'],
  ['invalid_token', 'the access token has expired, was revoked, or is bound to another certificate'],
  ['invalid_scope', 'check the option "scope" against what this application is registered for'],
  ['insufficient_scope', 'the login did not ask for the scope that this needs'],
])

function refusal(what: string, providerError: string | undefined, cause: unknown): IDPartnerError {
  const hint = HINTS.get(providerError ?? '')
  const text = `${what} refused: ${providerError ?? 'no known reason'}${hint ? ` (${hint})` : ''}`
  return new IDPartnerError('provider_error', text, { cause, providerError })
}
