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
  success(user: object, info?: object): unknown
  fail(challenge?: unknown, status?: number): unknown
  redirect(url: string, status?: number): unknown
  pass(): void
  error(err: unknown): unknown
}

/** The class that Passport's strategies extend. */
export const PassportStrategy = passportStrategy.Strategy as unknown as new () => Ending
