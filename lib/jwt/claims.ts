import type { JWTPayload } from 'jose'
import * as v from 'valibot'
import { invalidJwt, type JwtKind } from './jwt-error.js'

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
 * Claims with how they were verified; what else stands in them is handed on as it came.
 *
 * @see https://openid.net/specs/openid-ida-verified-claims-1_0-final.html
 */
export interface VerifiedClaims {
  verification: {
    /** The rules by which the person was identified, such as `eidas`. */
    trust_framework: string
    /** Of whatever kind. */
    evidence?: unknown[]
    [member: string]: unknown
  }
  claims: Record<string, unknown>
}

/**
 * What a bank says of a person. Only `iss`, `sub`, `aud`, `exp` and `iat` are always there; the rest depends on
 * what was asked for and consented to.
 *
 * @see https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims
 */
export interface IDPartnerClaims extends JWTPayload {
  iss: string
  /** The person at this bank, in 255 ASCII characters at most. Link accounts by `iss` and `sub` together, never by `email`. */
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
  profile?: string
  picture?: string
  website?: string
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
  verified_claims?: VerifiedClaims | VerifiedClaims[]
  payment_details?: unknown
  payment_processing?: unknown
  /** A verifiable credential. */
  [credential: `vc.${string}`]: unknown
}

/** What UserInfo answers: the same claims without those of a token. */
export type UserInfo = Omit<Partial<IDPartnerClaims>, 'sub'> & { sub: string }

const text = v.string()
/** Some write `"true"`, and in JavaScript `"false"` would pass for it. */
const boolean = v.union([
  v.boolean(),
  v.pipe(
    v.string(),
    v.regex(/^(true|false)$/i),
    v.transform((spelled) => spelled.toLowerCase() === 'true'),
  ),
])
/** JSON can spell a number that is none: 1e999. */
const number = v.pipe(v.number(), v.finite())
const part = v.nullish(text)

/** What is promised of each claim; those that are not listed are handed on as they came. */
const TYPES = new Map<string, v.GenericSchema>([
  // Core, section 2. A control character has no use in a name but to forge a line of a log.
  ['sub', v.pipe(text, v.regex(/^[ -~]{1,255}$/))],
  ['nonce', text],
  ['auth_time', v.pipe(number, v.minValue(0))],
  ['acr', text],
  ['amr', v.array(text)],
  ['azp', text],
  ['at_hash', text],
  ['name', text],
  ['given_name', text],
  ['family_name', text],
  ['middle_name', text],
  ['nickname', text],
  ['preferred_username', text],
  ['profile', text],
  ['picture', text],
  ['website', text],
  ['email', text],
  ['email_verified', boolean],
  ['phone_number', text],
  ['phone_number_verified', boolean],
  ['gender', text],
  ['birthdate', text],
  ['zoneinfo', text],
  ['locale', text],
  ['updated_at', number],
  [
    'address',
    v.pipe(
      v.unknown(),
      v.check((value) => !Array.isArray(value)),
      v.looseObject({
        formatted: part,
        street_address: part,
        locality: part,
        region: part,
        postal_code: part,
        country: part,
      }),
    ),
  ],
])

const members = v.pipe(
  v.unknown(),
  v.check((value) => !Array.isArray(value)),
  v.looseObject({}),
)

/** OpenID Identity Assurance Schema, section 5: without a framework nobody can tell what the verification is worth. */
const verified = v.pipe(
  members,
  v.looseObject({
    verification: v.pipe(
      members,
      v.looseObject({
        trust_framework: v.pipe(text, v.minLength(1)),
        evidence: v.optional(v.array(v.unknown())),
      }),
    ),
    claims: v.pipe(
      members,
      v.check((claims) => Object.keys(claims).length > 0),
    ),
  }),
)
TYPES.set('verified_claims', v.union([verified, v.pipe(v.array(verified), v.minLength(1))]))

/** What a claim needs whose form is not told by its name. */
const NEEDS = new Map([
  ['verified_claims', 'each needs a verification with a trust_framework, and claims that it is of'],
])

function typeOf(name: string): v.GenericSchema | undefined {
  return /^age_over_\d+$/.test(name) ? boolean : TYPES.get(name)
}

/**
 * Checks that the known claims are what their types say, and turns booleans that are spelled as text into booleans. A
 * known claim that is `null` is absent, as many serializers write it.
 *
 * Does not check whether what they say is true, and leaves claims alone that are not known here.
 *
 * @throws {IDPartnerError} the code of what they came in, naming the claim and not its value
 * @see https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims
 */
export function checkClaims<T extends object>(claims: T, kind: JwtKind): T {
  const checked = Object.entries(claims).flatMap(([name, value]): [string, unknown][] => {
    const type = typeOf(name)
    if (!type) return [[name, value]]
    if (value === null) return []
    const { success, output } = v.safeParse(type, value)
    if (!success) {
      const needs = NEEDS.get(name)
      throw invalidJwt(
        kind,
        `has a wrong type or length in "${name}"${needs === undefined ? '' : `: ${needs}`}`,
      )
    }
    return [[name, output]]
  })
  return Object.fromEntries(checked) as T
}
