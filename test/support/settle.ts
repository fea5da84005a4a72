import { IDPartnerError } from 'passport-idpartner'
import { assertRedacted } from './secrets.js'

/** How Passport was told that a request ended. */
export interface Settled {
  via: 'success' | 'fail' | 'redirect' | 'error' | 'pass'
  /** The user, the challenge, the URL or the error. */
  value: unknown
  /** The status that Passport was told, or that the error carries for the application. */
  status?: number | undefined
  /** What becomes `req.authInfo`. */
  info?: unknown
}

/** What is needed of a strategy. */
interface Authenticating {
  authenticate(req: never, options?: never): void
}

/** Much longer than any request may take, so that only a hanging one gets here. */
const GUARD = 30_000

const OUTCOMES = ['success', 'fail', 'redirect', 'error', 'pass'] as const

/** Second outcomes of requests that had ended before: each would send a second answer to the browser. */
const surplus: string[] = []

/** Runs a strategy as Passport does, and resolves with how that ended. */
export async function settle(strategy: Authenticating, req: object, options: object = {}): Promise<Settled> {
  const settled = await new Promise<Settled>((resolve, reject) => {
    let first: string | undefined
    const guard = setTimeout(() => {
      reject(new Error('the request hangs'))
    }, GUARD)
    const run = Object.create(strategy) as Record<string, unknown> & Authenticating
    for (const via of OUTCOMES) {
      run[via] = (value: unknown, more?: unknown) => {
        clearTimeout(guard)
        if (first !== undefined) surplus.push(`${first}, then ${via}`)
        first = via
        resolve(outcome(via, value, more))
      }
    }
    run.authenticate(req as never, options as never)
  })
  if (settled.via === 'fail' || settled.via === 'error') assertRedacted(settled.value)
  return settled
}

/** The error of a call to the client, checked as those of the strategy are. */
export async function refusal(call: Promise<unknown>): Promise<IDPartnerError> {
  const err: unknown = await call.then(
    () => {
      throw new Error('the call succeeded')
    },
    (reason: unknown) => reason,
  )
  if (!(err instanceof IDPartnerError)) throw err as Error
  assertRedacted(err)
  return err
}

export function takeSurplus(): string[] {
  return surplus.splice(0)
}

function outcome(via: Settled['via'], value: unknown, more: unknown): Settled {
  if (via === 'success') return { via, value, info: more }
  if (via === 'error') return { via, value, status: (value as { status?: number } | undefined)?.status }
  return { via, value, status: more as number | undefined }
}
