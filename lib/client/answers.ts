import { IDPartnerError } from '../errors.js'
import { loginStep, trace, type StepEvent } from '../events.js'
import { verifyJarm, type AuthorizationAnswer } from '../jwt/jarm.js'
import { printableUrl } from '../jwt/jwt-error.js'
import { verifyProxyDocument, type ProxyDocument } from '../jwt/proxy-document.js'
import type { FindKeys } from '../jwt/remote-keys.js'
import { inTime } from '../net/deadline.js'
import { authorizationError } from './authorization-error.js'
import { callbackParams, searchParams, type CallbackParams, type PlainAnswer } from './callback-params.js'
import { decryptionOf } from './encryption.js'
import { partyOf } from './party.js'
import { readPlainAnswer } from './plain-answer.js'
import type { ResponseMode } from './profile.js'
import type { CallOptions, Providers } from './providers.js'

/** Verifies the proxy's document, and asks whether its bank is allowed. */
export async function readDocument(
  { config, allowed }: Providers,
  keys: FindKeys,
  response: string,
  { record }: CallOptions,
): Promise<ProxyDocument> {
  return trace('document', {}, async (step) => {
    const document = await verifyProxyDocument(response, {
      keys,
      issuer: config.trust_directory_issuer,
      audience: config.client_id,
      clockTolerance: config.clock_tolerance,
      witness: record?.witness('document'),
    })
    const { issuer_url } = document.identity_provider
    allowed.vouch(issuer_url)
    await allowed.check(issuer_url)
    Object.assign(step, loginStep(document.interactionId, issuer_url))
    return document
  })
}

/**
 * Opens and verifies a bank's answer, of the bank of a verified document or else of any that is allowed: after this it is
 * authentic, but may belong to any login. A plain one is authentic for no other login than the one it names.
 *
 * @param issuer the bank that an answer without document has to be of, where that is known
 */
export async function readAnswer(
  providers: Providers,
  sealed: ProxyDocument | string | PlainAnswer,
  options: CallOptions,
  issuer?: string,
): Promise<AuthorizationAnswer> {
  if (typeof sealed === 'object' && 'code' in sealed) {
    return readingAnswer({}, () =>
      readPlainAnswer(sealed, providers.config, issuer, (from) =>
        inTime(options.signal, providers.allowed.check(from)),
      ),
    )
  }
  if (typeof sealed === 'string') return readSignedAnswer(providers, sealed, options, issuer)
  const { idp_response_code, identity_provider, interactionId } = sealed
  const { issuer_url } = identity_provider
  // readDocument has asked whether this bank is allowed.
  const keysOf = async (from: string): Promise<FindKeys> => (await providers.issuers).keys(from)
  const vouched = loginStep(interactionId, issuer_url)
  return verifyAnswer(providers, idp_response_code, issuer_url, keysOf, options, vouched)
}

/** A signed answer that no document came with. */
export async function readSignedAnswer(
  providers: Providers,
  response: unknown,
  options: CallOptions,
  issuer?: string,
): Promise<AuthorizationAnswer> {
  const keysOf = (from: string): Promise<FindKeys> => providers.keysOfAllowed(from, options.signal)
  return verifyAnswer(providers, response, issuer, keysOf, options)
}

async function verifyAnswer(
  { config, keys }: Providers,
  response: unknown,
  issuer: string | undefined,
  keysOf: (issuer: string) => Promise<FindKeys>,
  { signal, record }: CallOptions,
  vouched?: StepEvent,
): Promise<AuthorizationAnswer> {
  return readingAnswer(vouched ?? {}, async () => {
    const verifying = verifyJarm(response, {
      decryption: decryptionOf(config.encryption.authorization, await keys),
      alg: config.authorization_signed_response_alg,
      clientId: config.client_id,
      clockTolerance: config.clock_tolerance,
      issuer,
      vouched: vouched !== undefined,
      partyOf: (bank) => partyOf(bank, config),
      keysOf,
      witness: record?.witness('answer'),
    })
    return inTime(signal, verifying)
  })
}

/**
 * The signed answer in a callback's query, for whoever has no strategy that reads it.
 *
 * @throws {IDPartnerError} `response_invalid`; `access_denied` and `provider_error` for an error that anyone could have written
 */
export function signedAnswerOf(query: unknown): string {
  const brought = broughtBy(query, 'jwt')
  if (brought && 'response' in brought) return brought.response
  throw new IDPartnerError('response_invalid', 'the query holds no "response"')
}

/** The same of a plain one. */
export function plainAnswerOf(query: unknown): PlainAnswer {
  const brought = broughtBy(query, 'query')
  if (brought && 'code' in brought) return brought
  throw new IDPartnerError('response_invalid', 'the query holds no "code"')
}

function broughtBy(query: unknown, mode: ResponseMode): CallbackParams | undefined {
  const brought = callbackParams(searchParams(query), mode)
  if (brought && 'error' in brought) throw authorizationError(brought.error)
  return brought
}

/**
 * Refuses an answer of another bank than its login went to, where that is known.
 *
 * @throws {IDPartnerError} `response_invalid`
 * @see https://www.rfc-editor.org/rfc/rfc9700#section-4.4 (mix-up)
 */
export function assertFrom(issuer: string | undefined, answered: string): void {
  if (issuer === undefined || issuer === answered) return
  throw new IDPartnerError(
    'response_invalid',
    `the answer is from another bank than the login went to: ${printableUrl(answered)} and ${printableUrl(issuer)}`,
  )
}

/** Watches how a bank's answer is read. */
function readingAnswer(
  known: StepEvent,
  read: () => Promise<AuthorizationAnswer>,
): Promise<AuthorizationAnswer> {
  return trace('answer', known, async (step) => {
    const answer = await read()
    step.issuer = answer.issuer
    return answer
  })
}
