import * as v from 'valibot'
import type { IDPartnerClaims } from '../jwt/claims.js'
import { IDPartnerError } from '../errors.js'

/**
 * What the bank issued for a login, as plain JSON that can be stored and used later.
 *
 * It is the application's secret: whoever has it can ask the bank in the person's name.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-5.1
 */
export interface TokenSet {
  access_token: string
  token_type: 'bearer'
  /** Seconds from the moment of issue. */
  expires_in?: number
  /** Seconds since 1970. */
  expires_at?: number
  scope?: string
  refresh_token?: string
  /** The signed ID token, decrypted. */
  id_token?: string
  /** The claims of the ID token, verified as the bank's; what they say of the person is as the bank wrote it. */
  claims?: IDPartnerClaims
}

/** The part of openid-client's token response that is read here. */
interface TokenResponse {
  readonly access_token: string
  readonly token_type: string
  readonly expires_in?: number
  readonly scope?: string
  readonly refresh_token?: string
  readonly id_token?: string
}

/** Picks the known members of a token response; a bank's further ones are not the application's concern. */
export function tokenSet(response: TokenResponse, claims: IDPartnerClaims | undefined): TokenSet {
  const { access_token, expires_in, scope, refresh_token, id_token } = response
  if (response.token_type !== 'bearer') {
    throw new IDPartnerError('token_invalid', 'the bank issued a token of a type that was not asked for')
  }
  return {
    access_token,
    token_type: 'bearer',
    ...(expires_in !== undefined && { expires_in, expires_at: Math.floor(Date.now() / 1000) + expires_in }),
    ...(scope !== undefined && { scope }),
    ...(refresh_token !== undefined && { refresh_token }),
    ...(id_token !== undefined && { id_token }),
    ...(claims !== undefined && { claims }),
  }
}

const tokenSetShape = v.looseObject({ access_token: v.pipe(v.string(), v.minLength(1)) })

/** Checks that what the application hands back is a token set, since it may come from any store. */
export function checkTokens(tokens: unknown): asserts tokens is TokenSet {
  if (!v.is(tokenSetShape, tokens)) {
    throw new IDPartnerError('config_invalid', 'the second argument must be the token set of a login')
  }
}
