import type { IncomingMessage, ServerResponse } from 'node:http'
import * as v from 'valibot'
import { parseOptions } from '../client/parse-options.js'
import { badOption } from '../client/option-errors.js'
import { IDPartnerError } from '../errors.js'
import { addressOf, isNavigation, redirect, refuse, type Middleware } from './http.js'
import { localPath, loginPath, path, pathnameOf } from './local-path.js'
import { notedMet, noteNeed, wasAsked, type Need } from './needs.js'
import { assertRead, claimsOf, findClaims, isObject, userOf, type Claims } from './person.js'

/** Options of every guard. */
export interface GuardOptions {
  /** The path of the application's login route, which {@link logIn} handles; `'/login'` by default. */
  login?: string | undefined
  /** Where the claims of a user are; by default in `user.claims`, or else in the user itself. May return a promise. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the application's own type
  claims?: ((user: any) => unknown) | undefined
  /** A path of the application for those who may not pass; by default an error with status 403 goes to `next`. */
  page?: string | undefined
}

const options = v.strictObject({
  login: v.optional(loginPath, '/login'),
  claims: findClaims,
  page: v.optional(path),
})

/** A claim has to have this value. */
export type WantedClaims = Readonly<Record<string, string | number | boolean>>

/** How recently and how strongly a person has to have logged in at the bank. */
export interface WantedLogin {
  /** Seconds since then, at least 1; the time that the person spends at the bank after it counts. */
  max_age?: number | undefined
  /** Space-separated; the login has to have been by one of them. */
  acr_values?: string | undefined
}

const wantedLogin = v.strictObject({
  max_age: v.optional(
    v.pipe(
      v.number('must be a whole number of seconds'),
      v.safeInteger('must be a whole number of seconds'),
      v.minValue(1, 'must be at least 1 s'),
    ),
  ),
  // What can stand in a header between quotes.
  acr_values: v.optional(
    v.pipe(
      v.string('must be a string'),
      v.regex(
        /^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/,
        'must be names between single spaces',
      ),
    ),
  ),
})

/** What a guard asks of a person's claims. */
interface Requirement {
  need: Need
  /** Whether they meet it, might after another login, or will not. */
  judge: (claims: Claims) => 'met' | 'unknown' | 'unmet'
  /** What a login has to show, for messages. */
  what: string
}

/** A word, or the URI that makes a claim of somebody's own (RFC 7519, section 4.2). */
const CLAIM_NAME = /^[\w.:/#~%+-]{1,128}$/

/** Seconds by which a bank's clock may be ahead. */
const CLOCK_TOLERANCE = 60

/**
 * Lets only people pass who are logged in.
 *
 * Sends a person who opens a page (GET or HEAD) to the login route, which brings them back to it; anything else is
 * answered 401 with `WWW-Authenticate`. Looks at `req.user` alone, so Passport has to come before.
 *
 * @throws {IDPartnerError} `config_invalid`, with a message that names the option
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-3
 */
export function requireLogin(given: GuardOptions = {}): Middleware {
  return guard(undefined, given)
}

/**
 * Lets only people pass whose claims have these values, such as `{ age_over_21: true }`.
 *
 * Who lacks a claim is sent to a login that asks for it, once; who has another value, or lacks it after that, is refused
 * with 403 or sent to the application's `page`. Does not look at how old the claims are: see {@link requireFresh}.
 *
 * @throws {IDPartnerError} `config_invalid`, with a message that names the option
 */
export function requireClaims(wanted: WantedClaims, given: GuardOptions = {}): Middleware {
  const entries = isObject(wanted) ? Object.entries(wanted) : []
  if (entries.length === 0) throw badOption('claims', 'must name a claim, such as { age_over_21: true }')
  for (const [name, value] of entries) {
    const plain = ['string', 'boolean'].includes(typeof value) || Number.isFinite(value)
    if (!CLAIM_NAME.test(name) || !plain) {
      throw badOption('claims', 'must be names of claims with the text, number or boolean each has to be')
    }
  }
  const names = entries.map(([name]) => name)
  const requirement: Requirement = {
    need: { claims: names },
    what: names.join(', '),
    judge: (claims) => {
      const own = (name: string): unknown => (Object.hasOwn(claims, name) ? claims[name] : undefined)
      if (entries.every(([name, value]) => own(name) === value)) return 'met'
      const other = entries.some(([name, value]) => ![undefined, null, value].includes(own(name) as null))
      return other ? 'unmet' : 'unknown'
    },
  }
  return guard(requirement, given)
}

/**
 * Lets only people pass whose login at the bank is recent and strong enough; others log in once more, and stay who they are:
 * another person's login is refused by {@link logIn}.
 *
 * Goes by `auth_time` and `acr` in the claims that the application keeps, so it has to keep those of each login.
 *
 * @throws {IDPartnerError} `config_invalid`, with a message that names the option
 * @see https://www.rfc-editor.org/rfc/rfc9470
 */
export function requireFresh(wanted: WantedLogin, given: GuardOptions = {}): Middleware {
  const { max_age, acr_values } = parseOptions(
    wantedLogin,
    wanted,
    'requireFresh() needs to know what a login has to be, such as { max_age: 300 }',
  )
  if (max_age === undefined && acr_values === undefined) {
    throw badOption('max_age', 'or "acr_values" is required')
  }
  const requirement: Requirement = {
    need: { claims: [], max_age, acr_values },
    what: [max_age !== undefined && '"max_age"', acr_values !== undefined && '"acr_values"']
      .filter(Boolean)
      .join(' and '),
    judge: ({ auth_time, acr }) => {
      const now = Date.now() / 1000
      const recent =
        max_age === undefined ||
        (typeof auth_time === 'number' && auth_time >= now - max_age && auth_time <= now + CLOCK_TOLERANCE)
      const strong =
        acr_values === undefined || (typeof acr === 'string' && acr_values.split(' ').includes(acr))
      return recent && strong ? 'met' : 'unknown'
    },
  }
  return guard(requirement, given)
}

function guard(requirement: Requirement | undefined, given: GuardOptions): Middleware {
  const settings = parseOptions(
    options,
    given,
    "a guard's options must be an object, such as { login: '/login' }",
  )
  return (req, res, next) => {
    decide(req, requirement, settings)
      .then((verdict) => {
        deliver(verdict, { req, res, next, settings, requirement })
      })
      .catch(next)
  }
}

type Settings = v.InferOutput<typeof options>
type Verdict = 'pass' | 'login' | 'login-again' | 'no'

async function decide(
  req: IncomingMessage,
  requirement: Requirement | undefined,
  { login, claims: find }: Settings,
): Promise<Verdict> {
  // Put before all routes, a guard must not stand in front of the one that opens it.
  if (pathnameOf(addressOf(req)) === pathnameOf(login)) return 'pass'
  const user = userOf(req)
  if (user === undefined) assertRead(req)
  if (!requirement) return user ? 'pass' : 'login'
  const { need, judge } = requirement
  const judged = user ? judge(await claimsOf(user, find)) : 'unknown'
  if (judged === 'met') notedMet(req, need)
  if (judged !== 'unknown') return judged === 'met' ? 'pass' : 'no'
  if (user && wasAsked(req, need)) return 'no'
  const navigates = isNavigation(req)
  // A script without a login comes without a session, and shall not make one with each request.
  if (user || navigates) noteNeed(req, need, navigates)
  return user ? 'login-again' : 'login'
}

interface Answering {
  req: IncomingMessage
  res: ServerResponse
  next: (err?: unknown) => void
  settings: Settings
  requirement: Requirement | undefined
}

function deliver(verdict: Verdict, { req, res, next, settings, requirement }: Answering): void {
  const { login, page } = settings
  if (verdict === 'pass') {
    next()
    return
  }
  const what = requirement?.what ?? ''
  if (verdict === 'no') {
    if (page !== undefined && isNavigation(req) && pathnameOf(addressOf(req)) !== pathnameOf(page)) {
      redirect(req, res, page)
      return
    }
    const err = new IDPartnerError('access_denied', `this needs a login that shows ${what}`, { status: 403 })
    refuse(req, res, next, { err, body: { error: 'access_denied', error_description: err.message } })
    return
  }
  if (isNavigation(req)) {
    redirect(req, res, loginUrl(login, { req, again: verdict === 'login-again' }))
    return
  }
  const again = verdict === 'login-again'
  const error = again ? 'insufficient_user_authentication' : 'login_required'
  const message = again ? `please log in again: this needs a login that shows ${what}` : 'please log in first'
  const err = new IDPartnerError('access_denied', message, { status: 401 })
  const challenge = challengeOf(again ? { error, error_description: message } : {}, requirement?.need)
  refuse(req, res, next, { err, challenge, body: { error, error_description: message, login } })
}

/** The login route, and which page to come back to; the person that it has to be is in the session. */
function loginUrl(login: string, { req, again }: { req: IncomingMessage; again: boolean }): string {
  const query = new URLSearchParams()
  const back = localPath(addressOf(req))
  if (back !== undefined) query.set('return_to', back)
  if (again) query.set('again', '1')
  return query.size > 0 ? `${login}${login.includes('?') ? '&' : '?'}${query.toString()}` : login
}

/** @see https://www.rfc-editor.org/rfc/rfc9470#section-3 */
function challengeOf(error: Record<string, string>, need?: Need): string {
  const { max_age, acr_values } = need ?? {}
  const members = {
    realm: 'bank login',
    ...error,
    ...(max_age !== undefined && { max_age: String(max_age) }),
    ...(acr_values !== undefined && { acr_values }),
  }
  return `Bearer ${Object.entries(members)
    .map(([name, value]) => `${name}="${value.replaceAll('"', "'")}"`)
    .join(', ')}`
}
