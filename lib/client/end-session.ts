import * as v from 'valibot'
import { IDPartnerError } from '../errors.js'
import { parseEndpoint } from '../net/http.js'
import type { TokenSet } from './tokens.js'

/** What is used of a login to end it at the bank: an {@link IDPartnerLogin}, or what the application kept of it. */
export interface EndedLogin {
  issuer: string
  /** With an ID token in it, the bank need not ask who is to be logged out. */
  tokens?: { [Name in 'id_token' | 'voucher' | 'interactionId']?: TokenSet[Name] | undefined } | undefined
}

/** @see https://openid.net/specs/openid-connect-rpinitiated-1_0.html#RPLogout */
export interface EndSessionParams {
  /** Where the bank sends the browser afterwards, as it is registered there. */
  post_logout_redirect_uri?: string | undefined
  /** The application's own value, which comes back with the browser; only with `post_logout_redirect_uri`. */
  state?: string | undefined
  /** Whose session it is, for a bank that is not given an ID token. */
  logout_hint?: string | undefined
  /** Space-separated language tags (BCP 47). */
  ui_locales?: string | undefined
}

const login = v.looseObject({
  issuer: v.string(),
  tokens: v.optional(
    v.looseObject({
      // A JWS: an encrypted one would be the application's to read, and no bank's.
      id_token: v.optional(v.pipe(v.string(), v.regex(/^[\w-]+\.[\w-]+\.[\w-]+$/))),
      voucher: v.optional(v.string()),
    }),
  ),
})
const A_TEXT = 'must be a text of 1 to 2048 characters'
const text = v.optional(v.pipe(v.string(A_TEXT), v.minLength(1, A_TEXT), v.maxLength(2048, A_TEXT)))
const params = v.strictObject({
  post_logout_redirect_uri: v.optional(
    v.custom<string>((value) => parseEndpoint(value) !== undefined, 'must be an absolute https: URL'),
  ),
  state: text,
  logout_hint: text,
  ui_locales: text,
})

/**
 * Checks what the application asks for, and that the ID token is of that bank: another would learn of its person.
 *
 * @throws {IDPartnerError} `config_invalid`
 */
export function checkEndSession(given: unknown, asked: unknown): void {
  if (!v.is(login, given)) {
    throw new IDPartnerError(
      'config_invalid',
      'the first argument must be a login, with the "issuer" of its bank',
    )
  }
  const checked = v.safeParse(params, asked)
  if (!checked.success) {
    const [issue] = checked.issues
    const name = v.getDotPath(issue)
    const known = Object.keys(params.entries).join(', ')
    const isKnown = name !== null && issue.expected !== 'never'
    throw new IDPartnerError(
      'config_invalid',
      isKnown ? `"${name}" ${issue.message}` : `the end of a session can only be asked for with ${known}`,
    )
  }
  const { state, post_logout_redirect_uri } = checked.output
  if (state !== undefined && post_logout_redirect_uri === undefined) {
    throw new IDPartnerError('config_invalid', '"state" needs "post_logout_redirect_uri" beside it')
  }
  const { id_token } = given.tokens ?? {}
  if (id_token !== undefined && issuerOf(id_token) !== given.issuer) {
    throw new IDPartnerError(
      'config_invalid',
      'the ID token is of another bank than the issuer that was named',
    )
  }
}

/** The URL with the parameters of a request for logout in it. */
export function endSessionUrl(
  endpoint: URL,
  clientId: string,
  { tokens }: EndedLogin,
  asked: EndSessionParams,
): URL {
  const query = { client_id: clientId, id_token_hint: tokens?.id_token, ...asked }
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) endpoint.searchParams.set(name, value)
  }
  return endpoint
}

function issuerOf(jws: string): unknown {
  try {
    const claims: unknown = JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString())
    return (claims as { iss?: unknown } | null)?.iss
  } catch {
    return undefined
  }
}
