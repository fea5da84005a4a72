import { IDPartnerError } from '../errors.js'

/** Claims of a person, as the application keeps them. */
export type Claims = Record<string, unknown>

/** Where the claims of a user are; a promise of them will do. */
export type FindClaims = (user: object) => unknown

/** Who a person is at their bank. */
export interface Person {
  iss: string
  sub: string
}

/** Whom Passport found in the session, or put there. */
export function userOf(req: object): object | undefined {
  const { user } = req as { user?: unknown }
  return typeof user === 'object' && user !== null ? user : undefined
}

/** `user.claims`, or else the user itself. */
export const claimsOfUser: FindClaims = (user) => {
  const { claims } = user as { claims?: unknown }
  return isObject(claims) ? claims : user
}

/** @throws {IDPartnerError} `config_invalid` where there are none */
export async function claimsOf(user: object, find: FindClaims): Promise<Claims> {
  const claims: unknown = await find(user)
  if (isObject(claims)) return claims
  throw new IDPartnerError(
    'config_invalid',
    'the user has no claims: keep login.claims in the user as "claims", or name another place with the option "claims"',
  )
}

/** @throws {IDPartnerError} `config_invalid` where it cannot be told who somebody is */
export async function personOf(user: object, find: FindClaims): Promise<Person> {
  const { iss, sub } = await claimsOf(user, find)
  if (typeof iss === 'string' && typeof sub === 'string') return { iss, sub }
  throw new IDPartnerError(
    'config_invalid',
    'the user\'s claims have no "iss" and "sub", without which two people cannot be told apart',
  )
}

export function isSame(one: Person, other: Person): boolean {
  return one.iss === other.iss && one.sub === other.sub
}

function isObject(value: unknown): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
