import * as v from 'valibot'
import { badOption } from '../client/option-errors.js'
import { IDPartnerError } from '../errors.js'
import { isTimeout, within } from '../net/deadline.js'
import type { SessionRequest } from '../passport/session.js'

/** Claims of a person, as the application keeps them. */
export type Claims = Record<string, unknown>

/** Where the claims of a user are; a promise of them will do. */
export type FindClaims = (user: unknown) => unknown

/** Milliseconds that the application has to find claims. */
const MAX_WAIT = 5000

/** Who a person is at their bank. */
export interface Person {
  iss: string
  sub: string
}

/** Whom Passport found in the session, or put there: whatever the application has for a user, which may be a name alone. */
export function userOf(req: object): unknown {
  const { user } = req as { user?: unknown }
  return user || undefined
}

/**
 * Passport reads the session's user, or drops it from there; where neither has happened, it has not been asked yet, and whoever
 * is logged in would be sent to log in for ever.
 *
 * @throws {IDPartnerError} `config_invalid`
 */
export function assertRead(req: object): void {
  const { session } = req as SessionRequest
  const kept = session?.['passport'] as { user?: unknown } | null | undefined
  if (kept?.user === undefined) return
  throw new IDPartnerError(
    'config_invalid',
    'somebody is logged in, and nobody has looked: put passport.session() before the guards',
  )
}

/** `user.claims`, or else the user itself. */
export const claimsOfUser: FindClaims = (user) => {
  const { claims } = user as { claims?: unknown }
  return isObject(claims) ? claims : user
}

/** The option "claims". */
export const findClaims = v.optional(
  v.custom<FindClaims>((value) => typeof value === 'function', 'must be a function'),
  () => claimsOfUser,
)

/** @throws {IDPartnerError} `config_invalid` where there are none */
export async function claimsOf(user: unknown, find: FindClaims): Promise<Claims> {
  const claims = await within(MAX_WAIT, () => Promise.resolve().then(() => find(user))).catch(
    (err: unknown) => {
      if (!isTimeout(err)) throw err
      throw badOption('claims', 'is a function that gave nothing within 5 s')
    },
  )
  if (isObject(claims)) return claims
  throw new IDPartnerError(
    'config_invalid',
    'the user has no claims: keep login.claims in the user as "claims", or name another place with the option "claims"',
  )
}

/** @throws {IDPartnerError} `config_invalid` where it cannot be told who somebody is */
export async function personOf(user: unknown, find: FindClaims): Promise<Person> {
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

export function isObject(value: unknown): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
