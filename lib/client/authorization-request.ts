import { createHash } from 'node:crypto'
import type { ResolvedConfig } from './config.js'
import { IDPartnerError, printable } from '../errors.js'
import { INTERACTION_ID, interactionIdFrom } from './interaction-id.js'
import { jsonOf } from './json-parameters.js'
import { checkNetworkLogin } from './networks.js'
import { isReserved, withOwnParameters, type OwnParameters } from './own-parameters.js'
import { PROFILES } from './profile.js'

/**
 * The secrets of one login. Keep them in the session on the server, never in a cookie that scripts or people can
 * read, and never in a log.
 */
export interface Proofs {
  state: string
  nonce: string
  codeVerifier: string
  /** What the ID token has to show; {@link IDPartner.getAuthorizationUrl} notes here what it was asked for. */
  max_age?: number | undefined
  acr_values?: string | undefined
  /** The bank that the login went to, noted as well; known in the direct flow alone. */
  issuer?: string | undefined
  /** When the login began, in seconds since 1970; there where `max_age` is. */
  begun?: number | undefined
  /** The key that tokens of this login are bound to, with `dpop_bound_access_tokens`. */
  dpopKey?: string | undefined
  /** The `x-fapi-interaction-id` that the application chose itself. */
  interactionId?: string | undefined
}

/**
 * Finds the proofs of the login that has this `state`, of those that wait in this browser, and forgets them: an answer counts
 * once. Nothing where there is none.
 */
export type TakeProofs = (state: string) => Proofs | undefined | Promise<Proofs | undefined>

/** One thing that a person is asked to allow, such as a payment (RFC 9396, section 2). */
export interface AuthorizationDetail {
  type: string
  [member: string]: unknown
}

/** One that is asked for; an interface of the application's own fits it as well. */
export type RequestedDetail = AuthorizationDetail | { type: string }

/** How a single claim is asked for; `null` asks for it as voluntary. */
export type ClaimRequest = null | { essential?: boolean; value?: unknown; values?: unknown[] }

/**
 * The `claims` request parameter.
 *
 * @see https://openid.net/specs/openid-connect-core-1_0.html#ClaimsParameter
 */
export interface ClaimsRequest {
  userinfo?: RequestedClaims
  id_token?: RequestedClaims
}

/** Claims by their names. */
export interface RequestedClaims {
  acr?: ClaimRequest
  /** One kind of verification, or several of which each brings what it has. */
  verified_claims?: VerifiedClaimsRequest | readonly VerifiedClaimsRequest[]
  [claim: string]: ClaimRequest | VerifiedClaimsRequest | readonly VerifiedClaimsRequest[] | undefined
}

/**
 * Claims that are wanted with how they were verified; whether what comes is good enough is the application's to decide.
 *
 * @see https://openid.net/specs/openid-connect-4-identity-assurance-1_0-final.html
 */
export interface VerifiedClaimsRequest {
  verification: {
    /** Any for `null`, or those of `value` or `values`. */
    trust_framework: ClaimRequest
    /** Such as `evidence` or `assurance_level`, as the bank knows them. */
    [member: string]: unknown
  }
  claims: Record<string, ClaimRequest>
}

/** Further parameters of an authorization request (Core 3.1.2.1); what protects the login cannot be among them. */
export interface AuthorizationParams {
  prompt?: string | undefined
  claims?: ClaimsRequest | undefined
  /** Seconds; checked in the ID token. */
  max_age?: number | undefined
  /** Space-separated; checked in the ID token. */
  acr_values?: string | undefined
  authorization_details?: readonly RequestedDetail[] | undefined
  /** A network's own; what has a name above, or an option, cannot be among them. */
  authorization_params?: OwnParameters | undefined
  [parameter: string]:
    string | number | boolean | ClaimsRequest | readonly RequestedDetail[] | OwnParameters | undefined
}

/** What they are in a request object; in PAR all of it is text. */
export type RequestParameters = Record<string, string | number | boolean | object>

/** The parameters of an authorization request. */
export function requestParameters(
  config: ResolvedConfig,
  proofs: Proofs,
  scope: string | readonly string[],
  extra: AuthorizationParams,
): RequestParameters {
  const asked = withOwnParameters(extra)
  checkNetworkLogin(config.network, scope, asked, 'login')
  const parameters: RequestParameters = {
    client_id: config.client_id,
    redirect_uri: config.callback,
    response_type: 'code',
    // Without this parameter a code comes in the query, and some banks know no other way (Multiple Response Types, section 2.1).
    ...(config.response_mode !== 'query' && { response_mode: config.response_mode }),
    scope: scopeText(scope),
    state: proofs.state,
    nonce: proofs.nonce,
    // openid-client would send so small a hash to the thread pool, and wait behind signatures.
    code_challenge: createHash('sha256').update(proofs.codeVerifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...(PROFILES[config.profile].interactionIdInRequest && {
      [INTERACTION_ID]: interactionIdFrom(proofs.codeVerifier),
    }),
  }
  for (const [name, value] of Object.entries(asked)) {
    // Where it is no parameter, it is a header.
    if (value === undefined || (name === INTERACTION_ID && parameters[name] === undefined)) continue
    if (isReserved(name)) {
      throw new IDPartnerError(
        'config_invalid',
        `the authorization parameter "${name}" is set by this package alone`,
      )
    }
    parameters[name] = typeof value === 'object' ? jsonOf(name, value) : value
  }
  return parameters
}

/** The same as texts, of which those that are JSON hold it. */
export function textParameters(parameters: RequestParameters): Record<string, string> {
  const texts = Object.entries(parameters).map(([name, value]): [string, string] => [
    name,
    typeof value === 'object' ? JSON.stringify(value) : String(value),
  ])
  return Object.fromEntries(texts)
}

/** What of them is about a person, and in no error: the kinds of details are not. */
export function personalParameters({
  claims,
  login_hint,
  authorization_details: details,
}: RequestParameters): unknown {
  const kindless = (detail: object): object => ({ ...detail, type: undefined })
  return [claims, login_hint, Array.isArray(details) ? details.map(kindless) : undefined]
}

/**
 * Notes in the proofs which bank has to answer, and what the ID token has to show of how the person logged in, since only
 * they are there when it comes.
 *
 * @throws {IDPartnerError} `config_invalid` for proofs that cannot be written to
 */
export function noteChecks(
  proofs: Proofs,
  { max_age, acr_values, claims, [INTERACTION_ID]: chosen }: AuthorizationParams,
  issuer: string | undefined,
): void {
  const acr = neededAcr({ acr_values, claims })
  const interactionId = chosen === undefined ? undefined : interactionIdOf(chosen)
  const checks: Partial<Proofs> = {
    ...(max_age !== undefined && { max_age, begun: Math.floor(Date.now() / 1000) }),
    ...(acr !== undefined && { acr_values: acr }),
    ...(issuer !== undefined && { issuer }),
    ...(interactionId !== undefined &&
      interactionId !== interactionIdFrom(proofs.codeVerifier) && { interactionId }),
  }
  if (Object.keys(checks).length === 0) return
  try {
    Object.assign(proofs, checks)
  } catch {
    throw new IDPartnerError(
      'config_invalid',
      'the proofs are frozen: the bank, "max_age" and "acr_values" are noted in them, to be checked at the end',
    )
  }
}

/**
 * The values of `acr` of which an ID token has to show one, space-separated.
 *
 * An essential `acr` of the `claims` counts like `acr_values` (Core 5.5.1.1); of both, what is in both.
 */
export function neededAcr({
  acr_values,
  claims,
}: Pick<AuthorizationParams, 'acr_values' | 'claims'>): string | undefined {
  const essential = essentialAcr(claims)
  const asked = (acr_values ?? '').split(' ').filter(Boolean)
  const both = asked.filter((value) => essential.includes(value))
  const needed = both.length > 0 ? both : essential.length > 0 ? essential : asked
  return needed.length > 0 ? needed.join(' ') : undefined
}

function essentialAcr(claims: ClaimsRequest | undefined): string[] {
  const acr = claims?.id_token?.['acr']
  if (acr?.essential !== true) return []
  return [acr.value, acr.values].flat().filter((value) => typeof value === 'string')
}

/** It is sent as a header. */
function interactionIdOf(chosen: unknown): string {
  const id = printable(chosen)
  if (id !== undefined) return id
  throw new IDPartnerError('config_invalid', `"${INTERACTION_ID}" must be a UUID`)
}

export function scopeText(scope: unknown): string {
  const text = Array.isArray(scope) ? scope.join(' ') : scope
  if (typeof text !== 'string' || !text.split(' ').includes('openid')) {
    throw new IDPartnerError(
      'config_invalid',
      'the scope must include "openid", or there are no claims to log in with',
    )
  }
  return text
}
