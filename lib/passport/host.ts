import { types } from 'node:util'
import passportStrategy from 'passport-strategy'

/*
 * What this package needs of the types of its hosts. It installs none of them: two versions of `@types/express` in one
 * application do not go together, and a Fastify or Koa application wants none.
 */

/** Express' own request, in the version that the application has; `any` where it has none. */
// eslint-disable-next-line @typescript-eslint/ban-ts-comment -- an error only where there are no types of Express
/** @ts-ignore */
export type ExpressRequest = import('express').Request

/**
 * How a strategy ends a request. Passport adds these to a copy of the strategy for each request; nowhere else can they
 * be called. What they return is what a callback of the application returned.
 *
 * @see https://www.passportjs.org/concepts/authentication/strategies/
 */
export interface Ending {
  /** Somebody is logged in. */
  success(user: object, info?: object): unknown
  /** Nobody is, which is the doing of the person, their browser or their bank. */
  fail(challenge?: unknown, status?: number): unknown
  /** The browser goes to the bank. */
  redirect(url: string, status?: number): unknown
  /** Another strategy may try; this one does not call it. */
  pass(): void
  /** Something is broken behind the application. */
  error(err: unknown): unknown
}

/** The class that Passport's strategies extend. */
export const PassportStrategy = passportStrategy.Strategy as unknown as new () => Ending

/** Where Passport sends a browser after a login, of the options of `passport.authenticate()`. */
export interface Landings {
  successRedirect?: unknown
  successReturnToOrRedirect?: unknown
  failureRedirect?: unknown
}

/** Calls something of the application, and hands on what it throws or what its promise rejects with. */
export function heard(call: () => unknown, thrown: (err: unknown) => void): void {
  try {
    const returned = call()
    if (types.isPromise(returned)) returned.catch(thrown)
  } catch (err) {
    thrown(err)
  }
}

/**
 * Hears what is thrown once a person is in the session: `req.logIn` calls back out of the session's store, where nobody
 * catches, and the process would end.
 */
export function hearLogIn(req: object, call: (done: () => unknown) => void): void {
  const { logIn } = req as { logIn?: unknown }
  if (typeof logIn !== 'function') return
  const heardLogIn = (...args: unknown[]): unknown => {
    const done: unknown = args.at(-1)
    if (typeof done === 'function') {
      args[args.length - 1] = (...answer: unknown[]): void => {
        call(() => (done as (...given: unknown[]) => unknown)(...answer))
      }
    }
    return logIn.apply(req, args) as unknown
  }
  Object.assign(req, { login: heardLogIn, logIn: heardLogIn })
}

/** Where a login that succeeded goes; as Passport has it, a page that the session names comes first. */
export function successLanding(
  req: object,
  { successRedirect, successReturnToOrRedirect: either }: Landings,
): unknown {
  const { session } = req as { session?: { returnTo?: unknown } | null }
  return either ? session?.returnTo || either : successRedirect
}

/** Whether Passport has called `res.redirect` on a response that has none, such as Connect's. */
export function lacksRedirect(err: unknown): boolean {
  return err instanceof TypeError && err.message.endsWith('.redirect is not a function')
}
