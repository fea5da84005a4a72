import { ClientError, WWWAuthenticateChallengeError } from 'openid-client'
import * as v from 'valibot'
import type { TokenEndpointAuthMethod } from './config.js'
import { ErrorResponse, IDPartnerError, ownError, printable, withoutText, type ErrorCode } from '../errors.js'
import { INTERACTION_ID } from './interaction-id.js'
import { unusableAnswer } from '../net/json.js'
import { refusalHint } from './refusal-hint.js'

/** A request to a provider, as far as its refusals are told apart by it. */
export interface Asked {
  /** Whose endpoint it went to, for messages: `the token endpoint of the bank login.bank.example`. */
  what: string
  /** How the application authenticated; not where a person's access token did. */
  auth?: TokenEndpointAuthMethod | undefined
  /** Secrets that went along. A server that repeats them in its error would get them into our log. */
  sent: string[]
  /** What else went along and belongs into no log, such as a payment: words of a server that repeat any of it are left out. */
  content?: unknown
}

/** openid-client's codes for an answer that is no answer at all, rather than one with a wrong content. */
const UNUSABLE = ['OAUTH_RESPONSE_IS_NOT_CONFORM', 'OAUTH_RESPONSE_IS_NOT_JSON', 'OAUTH_PARSE_ERROR']

const errorBody = v.looseObject({ error: v.string(), error_description: v.optional(v.unknown()) })

/**
 * The failure that an HTTP answer stands for by its status and what its body says of an error (RFC 6749, section 5.2).
 *
 * Knows nothing of what is in headers: a challenge is left to openid-client, and then to {@link providerFailure}.
 */
export async function errorResponse(response: Response, asked: Asked): Promise<IDPartnerError | undefined> {
  const { status, headers } = response
  if (status < 400) return undefined
  const body: unknown = await response
    .clone()
    .json()
    .catch(() => undefined)
  const said = v.is(errorBody, body) ? body : undefined
  if (!said && headers.has('www-authenticate')) return undefined
  // A server that is down or busy has not refused anything, whatever it calls that.
  if (status >= 500 || status === 429 || (!said && status !== 401)) {
    return unusableAnswer(asked.what, status, answered(asked, response, said))
  }
  return refusal(asked, response, said)
}

/**
 * Turns whatever went wrong in a call to a provider into our own error: the one place that reads openid-client's.
 *
 * The provider's status is never ours: a 401 of its token endpoint would look as if our own visitor were not logged in.
 *
 * @param otherwise the code when the provider answered, but wrongly
 */
export function providerFailure(err: unknown, asked: Asked, otherwise: ErrorCode): IDPartnerError {
  const own = ownError(err)
  if (own) return own
  if (err instanceof WWWAuthenticateChallengeError) {
    const challenges = err.cause.map(({ parameters }) => parameters)
    return refusal(asked, err.response, challenges.find(({ error }) => printable(error)) ?? challenges[0])
  }
  if (err instanceof ClientError && UNUSABLE.includes(err.code ?? '')) {
    const response = err.cause instanceof Response ? err.cause : undefined
    if (response?.status === 401 && asked.auth) return refusal(asked, response, undefined)
    return unusableAnswer(asked.what, response?.status, err)
  }
  return new IDPartnerError(otherwise, `${asked.what} gave an answer that fails a check`, {
    cause: err instanceof ClientError ? err : withoutText(err),
  })
}

const mismatch = v.object({
  cause: v.object({ attribute: v.literal('issuer'), body: v.looseObject({ issuer: v.string() }) }),
})

/** The issuer that a discovery document names, where discovery failed because it is not the one that was asked for. */
export function issuerInstead(err: unknown): string | undefined {
  const parsed = v.safeParse(mismatch, err)
  return parsed.success ? parsed.output.cause.body.issuer : undefined
}

/** A discovery document that says something which cannot be used. */
export function badMetadata(party: string, why: string): IDPartnerError {
  return new IDPartnerError('provider_unavailable', `the discovery document of ${party} ${why}`)
}

interface Said {
  error?: unknown
  error_description?: unknown
}

function refusal(asked: Asked, response: Response, said: Said | undefined): IDPartnerError {
  const { what, auth } = asked
  const { status } = response
  const named = printable(said?.error)
  // A server that does not know us is not to be believed about anything else: some call it by another name.
  const error = status === 401 ? (auth ? 'invalid_client' : (named ?? 'invalid_token')) : named
  const cause = answered(asked, response, said)
  const hint = refusalHint(error, cause.error_description, auth)
  return new IDPartnerError('provider_error', `${what} refused: ${error ?? 'no known reason'} (${hint})`, {
    cause,
    providerError: error,
  })
}

function answered(
  { sent, content }: Asked,
  { status, headers }: Response,
  said: Said | undefined,
): ErrorResponse {
  const answeredId = printable(headers.get(INTERACTION_ID))
  const description = said?.error_description
  const words = repeats(description, content) ? undefined : description
  return new ErrorResponse(status, printable(said?.error), words, sent, answeredId)
}

/** Whether some words hold a value of what was sent, however it is spaced and spelled. */
function repeats(words: unknown, content: unknown): boolean {
  if (typeof words !== 'string') return false
  if (typeof content === 'object' && content !== null) {
    return Object.values(content).some((value) => repeats(words, value))
  }
  if (typeof content !== 'string' && typeof content !== 'number') return false
  // What is shorter is a part of many words.
  const value = bare(String(content))
  return value.length > 2 && bare(words).includes(value)
}

function bare(text: string): string {
  return text.replace(/[\s.,'-]/g, '').toLowerCase()
}
