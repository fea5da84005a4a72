import type { IncomingMessage } from 'node:http'
import * as v from 'valibot'
import { badOption } from '../client/option-errors.js'
import { parseOptions } from '../client/parse-options.js'
import { IDPartnerError } from '../errors.js'
import { BANK } from '../passport/options.js'
import type { FailureInfo } from '../passport/outcome.js'
import type { IDPartnerStrategy } from '../passport/strategy.js'
import { addressOf, redirect, type Middleware } from './http.js'
import { localPath, path, pathnameOf } from './local-path.js'
import { asking, forgetTries, notedAsked } from './needs.js'
import { findClaims, isSame, personOf, userOf, type FindClaims, type Person } from './person.js'

/** What is used of Passport. */
export interface PassportLike {
  /** Makes the middleware that runs a strategy, and tells a callback how that ended. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as Passport's own types have it
  authenticate(strategy: string | object, options: any, callback: any): any
}

/** Options of {@link logIn}. */
export interface LogInOptions {
  /** Where a person goes after a login that no guard asked for; `'/'` by default. */
  home?: string | undefined
  /** Where the claims of a user are, as for the guards. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the application's own type
  claims?: ((user: any) => unknown) | undefined
}

const options = v.strictObject({
  home: v.optional(path, '/'),
  claims: findClaims,
})

/** What goes along with a login: in the session, and so nobody else's to write. */
const carried = v.object({
  return_to: v.optional(v.string()),
  /** Who it has to be, when somebody who is logged in logs in once more for a guard. */
  person: v.optional(v.object({ iss: v.string(), sub: v.string() })),
})
type Carried = v.InferOutput<typeof carried>

/**
 * Handles the login route and the callback route of an application with guards: asks for what they need, and brings the
 * person back to the page that they opened.
 *
 * A login that a guard asked for keeps the session's user: another person's is refused, after `verify` has seen it. What
 * ends in a failure goes to `next` as an {@link IDPartnerError}, 401 or 403, like what is broken.
 *
 * @param passport which has the strategy, and whose `session()` comes before
 * @throws {IDPartnerError} `config_invalid`, with a message that names the option
 */
export function logIn(
  passport: PassportLike,
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- of whatever request
  strategy: IDPartnerStrategy<any>,
  given: LogInOptions = {},
): Middleware {
  if (!isPassport(passport) || !isStrategy(strategy)) {
    throw new IDPartnerError(
      'config_invalid',
      'logIn() needs Passport, and then the strategy: logIn(passport, strategy)',
    )
  }
  const { home, claims: find } = parseOptions(
    options,
    given,
    "the options of logIn() must be an object, such as { home: '/' }",
  )
  return (req, res, next) => {
    const end = async (user: object | false | null, info: unknown, status: unknown): Promise<void> => {
      if (user) {
        const state = (info as { state?: unknown }).state
        const { person, return_to } = v.is(carried, state) ? state : {}
        await changeUser(req, { user, person, find })
        notedAsked(req)
        redirect(req, res, localPath(return_to) ?? home)
        return
      }
      const failure = (info ?? {}) as Partial<FailureInfo>
      // The Back button brings an answer again; whoever is logged in by it wants their page, not an error.
      if (failure.reason === 'already_used' && userOf(req)) redirect(req, res, home)
      else {
        forgetTries(req)
        next(failed(failure, status))
      }
    }
    const ended = (err: unknown, user: object | false | null, info: unknown, status: unknown): void => {
      if (err) next(err)
      else end(user, info, status).catch(next)
    }
    const begin = async (): Promise<void> => {
      if (pathnameOf(addressOf(req)) === pathnameOf(home)) {
        throw badOption('home', 'must be another page than the login route, which would begin the next login')
      }
      const login = { ...asking(req, await strategy.askedOf(req)), ...(await optionsBy(req, find)) }
      // By itself, since an application may have registered it by any name; and anew, as Passport writes into it.
      const authenticate = passport.authenticate(
        Object.create(strategy) as object,
        login,
        ended,
      ) as Middleware
      authenticate(req, res, next)
    }
    begin().catch(next)
  }
}

/**
 * The options of a login that begins here: what goes along with it, and its bank where it has to be somebody's.
 *
 * In the direct flow the account selector comes back to this route without them, and the strategy has kept what came at
 * the first visit.
 */
async function optionsBy(
  req: IncomingMessage,
  find: FindClaims,
): Promise<{ state?: Carried; [BANK]?: string }> {
  const address = addressOf(req)
  const query = new URLSearchParams(address.includes('?') ? address.slice(address.indexOf('?')) : '')
  const asked = localPath(query.get('return_to'))
  // Back at this route they would log in once more.
  const return_to = pathnameOf(asked ?? '') === pathnameOf(address) ? undefined : asked
  const user = query.has('again') ? userOf(req) : undefined
  const person = user === undefined ? undefined : await personOf(user, find)
  const state = { ...(return_to !== undefined && { return_to }), ...(person && { person }) }
  return { ...(Object.keys(state).length > 0 && { state }), ...(person && { [BANK]: person.iss }) }
}

/**
 * Puts the user of a login into the session, in which what else was there is kept for the same person alone.
 *
 * @throws {IDPartnerError} `access_denied` for another person than the one who had to be
 */
async function changeUser(
  req: IncomingMessage,
  { user, person, find }: { user: object; person: Person | undefined; find: FindClaims },
): Promise<void> {
  const before = userOf(req)
  // Applications without such guards need not keep who somebody is at the bank.
  const known = async (one: unknown): Promise<Person | undefined> =>
    personOf(one, find).catch((err: unknown) => {
      if (person) throw err
      return undefined
    })
  const present = before === undefined ? undefined : await known(before)
  const coming = await known(user)
  const same = present && coming && isSame(present, coming)
  if (person && (!coming || !isSame(person, coming) || same === false)) {
    throw new IDPartnerError(
      'access_denied',
      'another person logged in than the one who was asked to log in again',
      { status: 403 },
    )
  }
  const { logIn: put } = req as unknown as {
    logIn: (user: object, options: object, done: (err?: unknown) => void) => void
  }
  await new Promise<void>((resolve, reject) => {
    put.call(req, user, { keepSessionInfo: before === undefined || same === true }, (err) => {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- it is the session store's own
      if (err) reject(err)
      else resolve()
    })
  })
}

function isPassport(value: unknown): boolean {
  return (
    typeof (value as Partial<PassportLike> | undefined)?.authenticate === 'function' && !isStrategy(value)
  )
}

function isStrategy(value: unknown): boolean {
  return typeof (value as Partial<IDPartnerStrategy> | undefined)?.askedOf === 'function'
}

/** A failure as an error, for the one place where an application shows what went wrong. */
function failed(info: Partial<FailureInfo>, status: unknown): IDPartnerError {
  const { code = 'access_denied', message = 'you may not come in', ...details } = info
  const known = typeof status === 'number' ? { status } : {}
  return new IDPartnerError(code, message, { ...details, ...known })
}
