import * as v from 'valibot'
import type { AuthenticateOptions, LoginOptions } from '../passport/options.js'
import { sessionOf, type SessionRequest } from '../passport/session.js'

/** What a login has to bring, so that a guard lets its person pass. */
export interface Need {
  claims: readonly string[]
  max_age?: number | undefined
  acr_values?: string | undefined
}

/** Where in the session the guards keep what logins are to bring. */
const KEY = 'idpartner-guards'

/** Seconds in which the same login is not asked for again. A loop takes no longer; a person who comes back later does. */
const PAUSE = 60

/** How often a person is sent to log in within that time who comes back without having done so. */
const MAX_TRIES = 3

/** Guards that one session remembers. */
const MAX_NEEDS = 10

const entry = v.object({
  claims: v.array(v.string()),
  max_age: v.optional(v.number()),
  acr_values: v.optional(v.string()),
  /** Logins that were begun for it, since when one of them ended it is as if there had been all. */
  tries: v.number(),
  /** When it was last asked for, in seconds since 1970. */
  at: v.number(),
})
const entries = v.array(entry)
type Entry = v.InferOutput<typeof entry>

/**
 * Notes what a login has to bring.
 *
 * All that is noted in a session goes into its next login: two guards in front of one page would otherwise send a person
 * from one login to the other, each without what the other wants.
 */
export function noteNeed(req: object, { claims, max_age, acr_values }: Need, began: boolean): void {
  const known = entryOf(req, { claims, max_age, acr_values })
  const tries = (known && isRecent(known) ? known.tries : 0) + (began ? 1 : 0)
  const noted = { claims: [...claims], ...given({ max_age, acr_values }), tries, at: now() }
  write(req, [...read(req).filter((one) => !isSame(one, noted)), noted].slice(-MAX_NEEDS))
}

/** Whether a login for it was just made, or begun again and again. */
export function wasAsked(req: object, need: Need): boolean {
  const known = entryOf(req, need)
  return known !== undefined && isRecent(known) && known.tries >= MAX_TRIES
}

/**
 * What was met may be asked for again when it no longer is. It stays noted, as a later login would bring less otherwise.
 */
export function notedMet(req: object, need: Need): void {
  const known = entryOf(req, need)
  if (!known || known.tries === 0) return
  write(
    req,
    read(req).map((one) => (isSame(one, need) ? { ...one, tries: 0 } : one)),
  )
}

/** A login ended: what was noted was asked for in it. */
export function notedAsked(req: object): void {
  const asked = read(req)
  if (asked.length > 0) {
    write(
      req,
      asked.map((one) => ({ ...one, tries: MAX_TRIES, at: now() })),
    )
  }
}

/** Nobody logged in: it may be tried again. */
export function forgetTries(req: object): void {
  const asked = read(req)
  if (asked.length > 0) {
    write(
      req,
      asked.map((one) => ({ ...one, tries: 0 })),
    )
  }
}

/** What a login asks for, beside what all logins of a strategy do. */
export function asking(req: object, always: LoginOptions): AuthenticateOptions {
  const needs = read(req)
  const claims = needs.flatMap((one) => one.claims)
  const ages = [always.max_age, ...needs.map((one) => one.max_age)].filter((age) => age !== undefined)
  const acr_values = needs.findLast((one) => one.acr_values !== undefined)?.acr_values
  const { userinfo, id_token } = always.claims ?? {}
  const essential = Object.fromEntries(
    claims.map((name) => {
      const asked = id_token?.[name]
      // Of several kinds of verification none is essential by itself.
      return [name, Array.isArray(asked) ? asked : { ...(asked as object | undefined), essential: true }]
    }),
  )
  return given({
    max_age: ages.length > 0 ? Math.min(...ages) : undefined,
    acr_values,
    claims:
      claims.length > 0
        ? { ...(userinfo && { userinfo }), id_token: { ...id_token, ...essential } }
        : undefined,
  })
}

function entryOf(req: object, need: Need): Entry | undefined {
  return read(req).find((one) => isSame(one, need))
}

function isSame(one: Need, other: Need): boolean {
  const text = ({ claims, max_age, acr_values }: Need): string =>
    JSON.stringify([claims, max_age ?? null, acr_values ?? null])
  return text(one) === text(other)
}

function isRecent({ at }: Entry): boolean {
  return at > now() - PAUSE
}

function read(req: object): Entry[] {
  const { session } = req as SessionRequest
  // Also what an earlier version of this package may have left there.
  const { success, output } = v.safeParse(entries, session?.[KEY])
  return success ? output : []
}

function write(req: object, needs: Entry[]): void {
  const session = sessionOf(req)
  session[KEY] = needs
}

function given<T extends object>(members: T): T {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as T
}

function now(): number {
  return Math.floor(Date.now() / 1000)
}
