import { decodeJwt } from 'jose'
import * as v from 'valibot'
import { IDPartnerError, accessDenied, printable } from '../errors.js'
import { refused, type OpenedJwt, type Refusal } from './sealed-jwt.js'

/** A bank's authentic answer to an authorization request: a code, or the name of an error. */
export interface AuthorizationAnswer {
  issuer: string
  state: string
  outcome: { code: string } | { error: string | undefined }
}

export const jarmRefusal: Refusal = { code: 'response_invalid', what: "the bank's answer" }

const text = v.pipe(v.string(), v.minLength(1))
const answer = v.union([
  v.looseObject({ state: text, error: v.string(), code: v.optional(v.undefined()) }),
  v.looseObject({ state: text, code: text, error: v.optional(v.undefined()) }),
])

/**
 * Reads the payload of a JARM answer whose signature was verified.
 *
 * @throws {IDPartnerError} `response_invalid`
 * @see https://openid.net/specs/oauth-v2-jarm-final.html#section-2.1
 */
export function readAnswer(issuer: string, payload: unknown): AuthorizationAnswer {
  if (!v.is(answer, payload)) {
    throw refused(jarmRefusal, 'has no "state", or neither or both of "code" and "error"')
  }
  const { state, code, error } = payload
  return { issuer, state, outcome: code === undefined ? { error: printable(error) } : { code } }
}

/** Who an opened answer says it is from: where to look for the keys, if that issuer is allowed. */
export function answerIssuer({ jws }: OpenedJwt): string {
  let iss: unknown
  try {
    iss = decodeJwt(jws).iss
  } catch (err) {
    throw refused(jarmRefusal, 'is malformed', err)
  }
  if (typeof iss !== 'string') throw refused(jarmRefusal, 'has a wrong or missing "iss"')
  return iss
}

/** The error of an authentic answer: the bank's decision, or a bank that is down and says so. */
export function signedError(error: string | undefined): IDPartnerError {
  if (error === 'access_denied') return accessDenied()
  return new IDPartnerError(
    'provider_error',
    `the bank did not log the person in: ${error ?? 'no known reason'}`,
    {
      providerError: error,
      status: error === 'server_error' ? 502 : error === 'temporarily_unavailable' ? 503 : 401,
    },
  )
}
