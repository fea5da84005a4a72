import { IDPartnerError, accessDenied, printable } from '../errors.js'

/** In characters; what is longer is no answer of a bank. */
export const MAX_ANSWER_LENGTH = 64 * 1024

/** What a browser may bring to the callback route. An error that is not inside a `response` proves nothing. */
export type CallbackParams = { response: string } | { error: string | undefined; state: string | undefined }

/**
 * Reads the parameters of a callback; `undefined` when they are not those of a callback.
 *
 * Does not say whether they are authentic.
 *
 * @throws {IDPartnerError} `response_invalid`
 * @see https://openid.net/specs/oauth-v2-jarm-final.html#section-2.3
 */
export function callbackParams(params: URLSearchParams): CallbackParams | undefined {
  if (params.has('response')) {
    const response = only(params, 'response')
    if (!response) throw invalid('the answer\'s parameter "response" is empty')
    return { response }
  }
  if (params.has('error')) return { error: printable(only(params, 'error')), state: only(params, 'state') }
  if (params.has('code')) {
    // Without JARM nothing ties a code to the bank and to us, so anyone could have put it there.
    throw invalid(
      'the answer holds a bare code, which is never used: it has to come inside a signed "response"',
    )
  }
  return undefined
}

/** Express' `req.query`, a parsed body or URLSearchParams as URLSearchParams, repeated parameters kept. */
export function searchParams(query: unknown): URLSearchParams {
  if (query instanceof URLSearchParams) return query
  if (typeof query === 'string') return new URLSearchParams(query)
  const params = new URLSearchParams()
  if (typeof query !== 'object' || query === null) return params
  for (const [name, value] of Object.entries(query)) {
    // What a parser made an object or an empty list of is no value: twice nothing is refused as repeated.
    const values: unknown[] =
      Array.isArray(value) && value.length > 0 ? value : typeof value === 'object' ? ['', ''] : [value]
    for (const one of values) params.append(name, typeof one === 'string' ? one : '')
  }
  return params
}

/** A parameter that may be there once; a repeated one is as good as none. */
export function single(params: URLSearchParams, name: string): string | undefined {
  const values = params.getAll(name)
  return values.length === 1 && values[0] !== '' ? values[0] : undefined
}

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

/** An error in a query that nobody signed: a failure of this login, whatever it says, and of nothing behind us. */
export function unsignedError(error: string | undefined): IDPartnerError {
  if (error === 'access_denied') return accessDenied()
  const name = error !== undefined && REGISTERED.includes(error) ? error : 'no known reason'
  return new IDPartnerError('provider_error', `the login ended with an error: ${name}`, {
    providerError: error,
    status: 401,
  })
}

function only(params: URLSearchParams, name: string): string | undefined {
  const values = params.getAll(name)
  if (values.length > 1) throw invalid(`the answer's parameter "${name}" came more than once`)
  const [value] = values
  if (value !== undefined && value.length > MAX_ANSWER_LENGTH) {
    throw invalid(`the answer's parameter "${name}" is longer than 64 KiB`)
  }
  return value
}

function invalid(message: string): IDPartnerError {
  return new IDPartnerError('response_invalid', message)
}
