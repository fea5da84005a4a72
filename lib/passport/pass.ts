import type { IDPartner } from '../client/idpartner.js'
import { IDPartnerError, type MissingReason } from '../errors.js'
import type { PassEvent } from '../events.js'
import { within } from '../net/deadline.js'
import { isCallbackRoute } from './callback-route.js'
import type { PendingLogin } from './logins.js'
import type { Settings } from './options.js'

/** One pass of a login: whose request it is, and how long it may take. */
export interface Pass<Req extends object> {
  readonly client: IDPartner
  readonly settings: Readonly<Settings<Req>>
  readonly req: Req
  /** Ends with the time of the whole pass. */
  readonly signal: AbortSignal
  /** What a watcher of the pass gets to know. */
  readonly seen: PassEvent
}

/** In place of an issuer, for a visit to the account selector: no bank's answer can use it up, as none has this name. */
export const ACCOUNT_SELECTOR = 'account-selector'

/** Waits for the login store, which is the application's, and may fail or hang; it has as long as a bank has. */
export async function fromStore<T>(
  { client, signal }: Pick<Pass<object>, 'client' | 'signal'>,
  call: () => Promise<T> | undefined,
): Promise<T | undefined> {
  try {
    return await within(client.timeout, async () => call(), signal)
  } catch (err) {
    if (err instanceof IDPartnerError) throw err
    throw new IDPartnerError(
      'config_invalid',
      'the session or login store failed or did not answer in time',
      { cause: err },
    )
  }
}

/** What waits in this browser for an answer to this strategy, which others may share the store with. */
export async function waitingFor<Req extends object>(
  pass: Pass<Req>,
  state: string | undefined,
): Promise<PendingLogin | MissingReason | undefined> {
  const { req, settings } = pass
  const waiting = await fromStore(pass, () => settings.logins.peek?.(req, state, settings.id))
  // Of a store of the application's own it may be anything.
  const strategy = (waiting as Partial<PendingLogin> | null | undefined)?.strategy
  return typeof waiting === 'object' && strategy !== settings.id ? 'no_login' : waiting
}

/** Whether a login began on the callback's own route, as a pending login has it. */
export function sameRoute<Req extends object>({ req, settings }: Pass<Req>): true | undefined {
  return isCallbackRoute(req, settings.callback) ? true : undefined
}

/** Adds the id of a login to what goes wrong in some work, unless that knows its own. */
export async function withInteractionId<T>(id: string | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (err) {
    throw err instanceof IDPartnerError && err.interactionId === undefined ? err.withInteractionId(id) : err
  }
}
