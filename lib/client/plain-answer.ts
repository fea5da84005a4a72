import { IDPartnerError } from '../errors.js'
import type { AuthorizationAnswer } from '../jwt/jarm.js'
import { printableUrl } from '../jwt/jwt-error.js'
import type { PlainAnswer, PlainError } from './callback-params.js'
import type { ResolvedConfig } from './config.js'

type Trust = Pick<ResolvedConfig, 'authorization_response_iss' | 'trusted_issuers'>

/**
 * The answer that plain parameters are, and of which bank, if that is allowed.
 *
 * Nobody has signed it: it is authentic only for a login that waits in this browser, has its state and went to its issuer,
 * which the caller compares. What an attacker puts there is then of no use, since the code is bound to the login (PKCE).
 *
 * @param expected the bank it has to be from, where that is known
 * @param check refuses an issuer that is not allowed, with `provider_refused`
 * @throws {IDPartnerError} `response_invalid`; what `check` throws
 * @see https://www.rfc-editor.org/rfc/rfc9207#section-2.4
 */
export async function readPlainAnswer(
  { code, state, iss }: PlainAnswer,
  trust: Trust,
  expected: string | undefined,
  check: (issuer: string) => Promise<void>,
): Promise<AuthorizationAnswer> {
  const issuer = answeringIssuer(iss, trust)
  if (issuer === undefined) throw wrongIssuer(iss, expected)
  if (expected !== undefined && issuer !== expected) throw wrongIssuer(iss, expected)
  await check(issuer).catch((err: unknown) => {
    // Anybody can write a name there, so it is a wrong answer and not a bank that was refused.
    throw err instanceof IDPartnerError && err.code === 'provider_refused'
      ? wrongIssuer(iss, undefined, err)
      : err
  })
  return { issuer, state, outcome: { code } }
}

/** The bank that a plain error is from; none where it does not say so as it has to. */
export function readPlainError(
  { error, state, iss }: PlainError,
  trust: Trust,
): AuthorizationAnswer | undefined {
  const issuer = answeringIssuer(iss, trust)
  return issuer === undefined || !state ? undefined : { issuer, state, outcome: { error } }
}

/** Only where a single issuer is trusted can an answer without its name be nobody else's. */
function answeringIssuer(
  iss: string | undefined,
  { authorization_response_iss, trusted_issuers }: Trust,
): string | undefined {
  if (iss !== undefined) return iss
  return authorization_response_iss === 'optional' && typeof trusted_issuers === 'object'
    ? trusted_issuers[0]
    : undefined
}

function wrongIssuer(came: unknown, wanted: string | undefined, cause?: unknown): IDPartnerError {
  const which = wanted === undefined ? '' : `, and ${printableUrl(wanted)} is wanted`
  const hint = came === undefined ? ' (see the option "authorization_response_iss")' : ''
  return new IDPartnerError(
    'response_invalid',
    `the bank's answer has a wrong or missing "iss": ${printableUrl(came)} came${which}${hint}`,
    { cause },
  )
}
