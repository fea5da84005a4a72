import { IDPartnerError, type ErrorCode, type MissingReason } from '../errors.js'
import { hearLogIn, heard, lacksRedirect, successLanding, type Ending, type Landings } from './host.js'

/** What Passport hands on when a login fails: `failureMessage`, `failureFlash` and custom callbacks get it. */
export interface FailureInfo {
  code: ErrorCode
  message: string
  reason?: MissingReason
  providerError?: string
  interactionId?: string
}

/** How a request ends in Passport. */
export type Outcome =
  | { type: 'redirect'; url: string }
  | { type: 'success'; user: object; info: object }
  | { type: 'fail'; info: object; status: number | undefined; err?: IDPartnerError }
  | { type: 'error'; err: Error }

/**
 * The only place that talks to Passport, once for each request.
 *
 * A callback of the application that throws has been called, and is not called again with what it threw itself. One that
 * is async and rejects is heard where Passport hands its promise on, which it does not for a failure.
 */
export function deliver(passport: Ending, req: object, options: Landings, outcome: Outcome): void {
  const throwing =
    (landing?: unknown) =>
    (err: unknown): void => {
      const { next } = req as { next?: (err: unknown) => void }
      // Passport has come to its last line, where it redirects.
      if (typeof landing === 'string' && lacksRedirect(err)) passport.redirect(landing)
      else if (typeof next === 'function') next(asError(err))
      else if (outcome.type !== 'error') passport.error(asError(err))
    }
  if (outcome.type === 'success') {
    hearLogIn(req, (done) => {
      heard(done, throwing(successLanding(req, options)))
    })
  }
  heard(
    () => tell(passport, outcome),
    throwing(outcome.type === 'fail' ? options.failureRedirect : undefined),
  )
}

function tell(passport: Ending, outcome: Outcome): unknown {
  switch (outcome.type) {
    case 'redirect':
      return passport.redirect(outcome.url)
    case 'success':
      return passport.success(outcome.user, outcome.info)
    case 'fail':
      // Passport takes a missing status for its default.
      return passport.fail(outcome.info, outcome.status)
    case 'error':
      return passport.error(outcome.err)
  }
}

/** What is broken behind us, or in the application. */
export function failed(err: unknown): Outcome {
  return { type: 'error', err: asError(err) }
}

/** Passport hands an error to `next`, where nothing at all means to go on, and `'route'` to go elsewhere. */
function asError(err: unknown): Error {
  if (typeof err === 'object' && err !== null) return err as Error
  return new IDPartnerError(
    'config_invalid',
    'a function of the application failed with something that is no error',
  )
}

export function failureInfo({
  code,
  message,
  reason,
  providerError,
  interactionId,
}: IDPartnerError): FailureInfo {
  return {
    code,
    message,
    ...(reason !== undefined && { reason }),
    ...(providerError !== undefined && { providerError }),
    ...(interactionId !== undefined && { interactionId }),
  }
}
