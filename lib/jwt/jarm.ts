import * as v from 'valibot'
import { IDPartnerError, printable } from '../errors.js'
import type { SigningAlg } from './algorithms.js'
import type { FindKeys } from './remote-keys.js'
import { decryptJwt, type Decryption } from './encrypted-jwt.js'
import { invalidJwt, printableUrl, wrongIssuer, type JwtKind } from './jwt-error.js'
import { claimedIssuer, verifyJwt, type Witnessed } from './signed-jwt.js'

/** A bank's authentic answer to an authorization request: a code, or the name of an error. */
export interface AuthorizationAnswer {
  issuer: string
  state: string
  outcome: { code: string } | { error: string | undefined; description?: string }
}

export interface JarmExpected extends Witnessed {
  decryption: Decryption
  alg: SigningAlg
  clientId: string
  /** Seconds. */
  clockTolerance: number
  /** The bank it has to be from, where that is known. */
  issuer: string | undefined
  /** Whether that bank is allowed, so that messages may name it from the beginning. */
  vouched: boolean
  /** How messages call a bank that is allowed. */
  partyOf: (issuer: string) => string
  /** The keys of an issuer; refuses one that may not be asked with `provider_refused`. */
  keysOf: (issuer: string) => Promise<FindKeys>
}

/** In characters; what is longer is no answer of a bank. */
export const MAX_ANSWER_LENGTH = 64 * 1024

/** What an answer is called while nobody but itself says whose it is. */
const UNNAMED = "the bank's answer"

function kindOf(what: string): Required<JwtKind> {
  return { code: 'response_invalid', what, registered: 'authorization' }
}

const text = v.pipe(v.string(), v.minLength(1))
/** A `null` is no value, as many serializers write it. */
const absent = v.optional(v.null())
const answer = v.union([
  v.looseObject({ state: text, error: v.string(), code: absent }),
  v.looseObject({ state: text, code: text, error: absent }),
])

/**
 * Opens and verifies a bank's answer (JARM). The order counts: nobody is asked for keys before the name that stands in
 * the answer was allowed, and nothing else in it is looked at before the signature was verified.
 *
 * Does not say whether a login waits for it: an authentic answer may belong to any login.
 *
 * @throws {IDPartnerError} `response_invalid`; what `keysOf` throws
 * @see https://openid.net/specs/oauth-v2-jarm-final.html#section-2.4
 */
export async function verifyJarm(response: unknown, expected: JarmExpected): Promise<AuthorizationAnswer> {
  const { decryption, alg, clientId, clockTolerance, witness, now } = expected
  const answerOf = (bank: string): Required<JwtKind> => kindOf(`the answer of ${expected.partyOf(bank)}`)
  const kind = expected.vouched && expected.issuer !== undefined ? answerOf(expected.issuer) : kindOf(UNNAMED)
  if (typeof response !== 'string' || response.length > MAX_ANSWER_LENGTH) {
    throw invalidJwt(kind, 'is missing or longer than 64 KiB')
  }
  const jwt = await decryptJwt(response, decryption, kind)
  const issuer = claimedIssuer(jwt, kind)
  if (expected.issuer !== undefined && issuer !== expected.issuer) {
    throw wrongIssuer(kind, issuer, expected.issuer)
  }
  const keys = await expected.keysOf(issuer).catch((err: unknown) => {
    // Nobody has signed this name yet, so it is a wrong answer and not a bank that was refused.
    throw err instanceof IDPartnerError && err.code === 'provider_refused'
      ? notAllowed(kind, issuer, err)
      : err
  })
  const allowed = answerOf(issuer)
  const payload: unknown = await verifyJwt(
    jwt,
    { alg, keys, issuer, audience: clientId, clockTolerance, requiredClaims: ['exp'], witness, now },
    allowed,
  )
  if (!v.is(answer, payload)) {
    throw invalidJwt(allowed, 'has no "state", or neither or both of "code" and "error"')
  }
  const { state, code, error, error_description: description } = payload
  if (typeof code === 'string') return { issuer, state, outcome: { code } }
  const words = typeof description === 'string' ? { description } : {}
  return { issuer, state, outcome: { error: printable(error), ...words } }
}
function notAllowed(kind: JwtKind, issuer: string, refused: IDPartnerError): IDPartnerError {
  const came = printableUrl(issuer)
  const which = refused.message.includes(came) ? '' : `${came} came; `
  return invalidJwt(kind, `has a wrong or missing "iss": ${which}${refused.message}`, refused)
}
