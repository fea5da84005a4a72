import { IDPartnerError, type ErrorResponse } from '../errors.js'
import { loginHint } from './refusal-hint.js'

/** The bank's own state, which it tells us in place of a login; anything else is between the person and the bank. */
const SIGNED_STATUS = new Map([
  ['server_error', 502],
  ['temporarily_unavailable', 503],
])

/**
 * What an authorization endpoint may answer with (RFC 6749, section 4.1.2.1; Core 3.1.2.6; RFC 9101, section 7). Anyone
 * can write a word of theirs in a query, and a message may be shown on a page.
 */
const REGISTERED = [
  'invalid_request',
  'unauthorized_client',
  'unsupported_response_type',
  'invalid_scope',
  'server_error',
  'temporarily_unavailable',
  'interaction_required',
  'login_required',
  'account_selection_required',
  'consent_required',
  'invalid_request_uri',
  'invalid_request_object',
  'request_not_supported',
  'request_uri_not_supported',
]

const UNKNOWN = 'no known reason'

/**
 * The error that an authorization request was answered with, as ours.
 *
 * Only a signed one can count against the bank: an unsigned one could be anyone's, so it is always a failure of this
 * login (401), and of nothing behind us.
 *
 * @param error the OAuth error, if it is printable
 * @param signed whose verified answer it came in, and with which words; nothing for an error that nobody signed
 * @param ofLogin whether it answers a login of this browser, and so is worth a look at the options; what anyone can write
 *   into a link is not
 */
export function authorizationError(
  error: string | undefined,
  signed?: { party: string; cause: ErrorResponse },
  ofLogin = signed !== undefined,
): IDPartnerError {
  if (error === 'access_denied') {
    // Unsigned it comes from the account selector as well, where no bank has been asked yet.
    const where = signed ? ` at ${signed.party}` : ''
    return new IDPartnerError('access_denied', `the login was cancelled or refused${where}`, {
      cause: signed?.cause,
      providerError: error,
    })
  }
  const name = error !== undefined && (signed || REGISTERED.includes(error)) ? error : UNKNOWN
  const what = signed ? `${signed.party} did not log the person in` : 'the login ended with an error'
  const hint = ofLogin ? loginHint(name, signed?.cause.error_description) : undefined
  return new IDPartnerError('provider_error', `${what}: ${name}${hint === undefined ? '' : ` (${hint})`}`, {
    cause: signed?.cause,
    providerError: error,
    status: (signed ? SIGNED_STATUS.get(name) : undefined) ?? 401,
  })
}
