import * as v from 'valibot'
import type { AuthorizationDetail } from './authorization-request.js'
import type { IDPartnerClaims } from '../jwt/claims.js'
import { IDPartnerError } from '../errors.js'
import { printableUrl } from '../jwt/jwt-error.js'

/**
 * What the bank issued for a login, as plain JSON that can be stored and used later.
 *
 * It is the application's secret: whoever has it can ask the bank in the person's name.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-5.1
 */
export interface TokenSet {
  access_token: string
  /** `'dpop'` where it is bound to a key of the application's (RFC 9449); see `dpop_key`. */
  token_type: 'bearer' | 'dpop'
  /** Seconds from the moment of issue. */
  expires_in?: number
  /** Seconds since 1970. */
  expires_at?: number
  scope?: string
  refresh_token?: string
  /** What the person has allowed in detail, as the bank grants it (RFC 9396, section 7); what it says is the bank's word. */
  authorization_details?: AuthorizationDetail[]
  /** What the bank calls the person's consent, where it has a name for it (Grant Management for OAuth 2.0). */
  grant_id?: string
  /** The signed ID token, decrypted. */
  id_token?: string
  /**
   * Shows every process of this application that IDPartner vouched for the bank. Only in the proxy flow without
   * `trusted_issuers`.
   */
  voucher?: string
  /** The claims of the ID token, verified as the bank's, with the types they are declared with; what they say of the person is the bank's word. */
  claims?: IDPartnerClaims
  /**
   * The private key that the tokens are bound to, as a short text; not there where it is that of the option `dpop_key`.
   * Without it nobody can use them, and with it and them anybody can.
   */
  dpop_key?: string
  /** The `x-fapi-interaction-id` of the login, which later calls with these tokens repeat. */
  interactionId?: string
}

/** What a token may consist of (RFC 6749, appendices A.12 and A.17): anything else could forge a header or a log line. */
const token = v.pipe(v.string(), v.regex(/^[\x20-\x7e]+$/))

const seconds = v.union([
  v.pipe(v.number(), v.finite(), v.minValue(0)),
  v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number)),
])

/** The part of a token response that is read here. */
const tokenResponse = v.object({
  access_token: token,
  token_type: v.pipe(v.string(), v.toLowerCase(), v.picklist(['bearer', 'dpop'])),
  expires_in: v.optional(seconds),
  scope: v.optional(token),
  refresh_token: v.optional(token),
  id_token: v.optional(v.string()),
  authorization_details: v.optional(v.array(v.looseObject({ type: v.string() }))),
  grant_id: v.optional(token),
})
type TokenResponse = v.InferOutput<typeof tokenResponse>

/**
 * Reads the known members of a token response; `undefined` for what is no JSON object. One that is `null` or empty is not
 * there, as many serializers write what they have not.
 *
 * @param what whose response it is, for messages
 * @param bound whether the tokens have to be bound by DPoP, and must not be otherwise: a key that we have not may bind them
 * @throws {IDPartnerError} `token_invalid`
 */
export function readTokenResponse(body: unknown, what: string, bound: boolean): TokenResponse | undefined {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined
  const present = Object.entries(body).filter(([, value]) => value !== null && value !== '')
  const parsed = v.safeParse(tokenResponse, Object.fromEntries(present))
  if (parsed.success) {
    if ((parsed.output.token_type === 'dpop') === bound) return parsed.output
    const wrong = bound
      ? 'is not bound by DPoP, although "dpop_bound_access_tokens" is set: register the client so at the bank'
      : 'is bound by DPoP, which was not asked for: set the option "dpop_bound_access_tokens"'
    throw new IDPartnerError('token_invalid', `${what} ${wrong}`)
  }
  throw new IDPartnerError(
    'token_invalid',
    `${what} has no usable "${v.getDotPath(parsed.issues[0])?.split('.')[0] ?? ''}"`,
  )
}

/** Picks the known members of a token response; a bank's further ones are not the application's concern. */
export function tokenSet(
  {
    access_token,
    token_type,
    expires_in,
    scope,
    refresh_token,
    id_token,
    authorization_details,
    grant_id,
  }: TokenResponse,
  claims: IDPartnerClaims | undefined,
  interactionId: string,
): TokenSet {
  return {
    access_token,
    token_type,
    ...(expires_in !== undefined && { expires_in, expires_at: Math.floor(Date.now() / 1000) + expires_in }),
    ...(scope !== undefined && { scope }),
    ...(refresh_token !== undefined && { refresh_token }),
    ...(id_token !== undefined && { id_token }),
    ...(authorization_details !== undefined && { authorization_details }),
    ...(grant_id !== undefined && { grant_id }),
    ...(claims !== undefined && { claims }),
    interactionId,
  }
}

const tokenSetShape = v.looseObject({
  access_token: token,
  refresh_token: v.optional(token),
  token_type: v.optional(v.string()),
  dpop_key: v.optional(v.string()),
  voucher: v.optional(v.string()),
  // It goes into a header.
  interactionId: v.optional(v.pipe(v.string(), v.regex(/^[\w.:-]{1,64}$/))),
  claims: v.optional(v.looseObject({ iss: v.string(), sub: v.string() })),
})

/**
 * Checks that what the application hands back is a token set, since it may come from any store, and is of that bank: a
 * bank that gets another's tokens can use them.
 *
 * Cannot tell whose a set without claims is: its voucher may.
 *
 * @throws {IDPartnerError} `config_invalid`
 */
export function checkTokens(tokens: unknown, issuer: string): asserts tokens is TokenSet {
  if (!v.is(tokenSetShape, tokens)) {
    throw new IDPartnerError('config_invalid', 'the tokens must be the token set of a login, as it was given')
  }
  // As a bearer token, whoever reads a log of the bank's could use it.
  if (tokens.dpop_key !== undefined && tokens.token_type?.toLowerCase() !== 'dpop') {
    throw new IDPartnerError(
      'config_invalid',
      'these tokens are bound by DPoP, and their "token_type" is another: store all of a token set',
    )
  }
  if (tokens.claims && tokens.claims.iss !== issuer) {
    throw ofAnotherBank(tokens.claims.iss, issuer)
  }
}

export function ofAnotherBank(theirs: string, issuer: string): IDPartnerError {
  return new IDPartnerError(
    'config_invalid',
    `these tokens are of another bank than the issuer that was named, ${printableUrl(theirs)} and not ${printableUrl(issuer)}: pass the "iss" of their claims`,
  )
}

/** The same for a single token: there is no telling whose it is. */
export function checkToken(value: unknown): asserts value is string {
  if (!v.is(token, value)) throw new IDPartnerError('config_invalid', 'this cannot be a token')
}

/**
 * Compares the claims of a refreshed ID token with the earlier ones; issuer and audience were verified.
 *
 * @param party whose it is, for messages
 * @throws {IDPartnerError} `token_invalid`
 * @see https://openid.net/specs/openid-connect-core-1_0.html#RefreshTokenResponse
 */
export function checkRefreshed(renewed: IDPartnerClaims, earlier: IDPartnerClaims, party: string): void {
  const what = `the refreshed ID token of ${party}`
  if (renewed.sub !== earlier.sub) {
    throw new IDPartnerError('token_invalid', `${what} is of another person`)
  }
  for (const name of ['nonce', 'auth_time'] as const) {
    // Neither has to be there again.
    const [one, other] = [renewed[name], earlier[name]]
    if (one !== undefined && other !== undefined && one !== other) {
      throw new IDPartnerError('token_invalid', `${what} is of another login: its "${name}" differs`)
    }
  }
}

/** What a bank does not say again with renewed tokens (RFC 9396, section 6): it goes on as it was. */
export function goesOn({
  authorization_details,
  grant_id,
}: TokenSet): Pick<TokenSet, 'authorization_details' | 'grant_id'> {
  return {
    ...(authorization_details !== undefined && { authorization_details }),
    ...(grant_id !== undefined && { grant_id }),
  }
}
