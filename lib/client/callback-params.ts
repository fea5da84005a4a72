import { IDPartnerError, printable } from '../errors.js'
import { MAX_ANSWER_LENGTH } from '../jwt/jarm.js'
import type { ResponseMode } from './profile.js'

/** A plain answer, as a bank sends it without JARM (RFC 9207). Nobody has signed it. */
export interface PlainAnswer {
  code: string
  state: string
  iss: string | undefined
}

/** An error that is not inside a `response`, which proves nothing. */
export interface PlainError {
  error: string | undefined
  state: string | undefined
  /** Read where answers are plain alone. */
  iss?: string | undefined
}

/** What a browser may bring to the callback route. */
export type CallbackParams = { response: string } | PlainAnswer | PlainError

/**
 * Reads the parameters of a callback; `undefined` when they are not those of a callback.
 *
 * Does not say whether they are authentic.
 *
 * @param mode how a bank's answer comes: in the other way it is refused
 * @throws {IDPartnerError} `response_invalid`
 * @see https://openid.net/specs/oauth-v2-jarm-final.html#section-2.3
 */
export function callbackParams(params: URLSearchParams, mode: ResponseMode): CallbackParams | undefined {
  return mode === 'jwt' ? signedParams(params) : plainParams(params)
}

function signedParams(params: URLSearchParams): CallbackParams | undefined {
  if (params.has('response')) {
    const response = assertAtMostOnce(params, 'response')
    if (!response) throw invalid('the answer\'s parameter "response" is empty')
    return { response }
  }
  if (params.has('error'))
    return { error: printable(assertAtMostOnce(params, 'error')), state: assertAtMostOnce(params, 'state') }
  if (params.has('code')) {
    // Without JARM nothing ties a code to the bank and to us, so anyone could have put it there.
    throw invalid(
      'the answer holds a bare code, which is never used: it has to come inside a signed "response"',
    )
  }
  return undefined
}

function plainParams(params: URLSearchParams): CallbackParams | undefined {
  const brought = ['response', 'error', 'code'].filter((name) => params.has(name))
  if (brought.length > 1)
    throw invalid(`the answer holds ${brought.join(' and ')}, where one of them is an answer`)
  switch (brought[0]) {
    case 'response':
      throw invalid('the answer is a "response", and the option "response_mode" is "query"')
    case 'error':
      return plainError(params)
    case 'code': {
      const { state, iss } = plainError(params)
      const code = assertAtMostOnce(params, 'code')
      if (!code) throw invalid('the answer\'s parameter "code" is empty')
      if (!state) throw invalid('the answer has no "state"')
      return { code, state, iss }
    }
    default:
      return undefined
  }
}

function plainError(params: URLSearchParams): PlainError {
  const [error, state, iss] = ['error', 'state', 'iss'].map((name) => assertAtMostOnce(params, name))
  return { error: printable(error), state, iss }
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

/**
 * A parameter of the login route, which asks for little: one that is empty or repeated is as good as none.
 *
 * What a callback holds decides about a login, so there a repetition is refused: see {@link assertAtMostOnce}.
 */
export function optionalParam(params: URLSearchParams, name: string): string | undefined {
  const values = params.getAll(name)
  return values.length === 1 && values[0] !== '' ? values[0] : undefined
}

/** A parameter of a callback; a repeated one could be read as one thing here and as another elsewhere. */
function assertAtMostOnce(params: URLSearchParams, name: string): string | undefined {
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
