import type { JWTPayload } from 'jose'

/** A postal address. See https://openid.net/specs/openid-connect-core-1_0.html#AddressClaim */
export interface AddressClaim {
  formatted?: string
  street_address?: string
  locality?: string
  region?: string
  postal_code?: string
  country?: string
}

/**
 * What a bank says of a person. Only `iss`, `sub`, `aud`, `exp` and `iat` are always there; the rest depends on
 * what was asked for and consented to.
 *
 * @see https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims
 */
export interface IDPartnerClaims extends JWTPayload {
  iss: string
  /** The person at this bank. Link accounts by `iss` and `sub` together, never by `email`. */
  sub: string
  aud: string | string[]
  exp: number
  iat: number
  nonce?: string
  auth_time?: number
  acr?: string
  amr?: string[]
  azp?: string
  name?: string
  given_name?: string
  family_name?: string
  middle_name?: string
  nickname?: string
  preferred_username?: string
  email?: string
  email_verified?: boolean
  phone_number?: string
  phone_number_verified?: boolean
  gender?: string
  /** ISO 8601-1, `YYYY-MM-DD`; the year may be `0000`. */
  birthdate?: string
  zoneinfo?: string
  locale?: string
  updated_at?: number
  address?: AddressClaim
  age_over_18?: boolean
  age_over_21?: boolean
  age_over_25?: boolean
  payment_details?: unknown
  payment_processing?: unknown
  /** A verifiable credential. */
  [credential: `vc.${string}`]: unknown
}

/** What UserInfo answers: the same claims without those of a token. */
export type UserInfo = Omit<Partial<IDPartnerClaims>, 'sub'> & { sub: string }
