import { about, failureText, writeLog, type Log, type LogLevel } from '../client/log.js'
import { IDPartnerError, isError, printable } from '../errors.js'
import { loginStep, noteFailure, publish, trace, type LoginEndedEvent, type PassEvent } from '../events.js'

/** How a pass ended, as far as it is seen from outside. */
type Ended =
  | { type: 'redirect' | 'success' }
  | { type: 'fail'; err?: IDPartnerError | undefined }
  | { type: 'error'; err: Error }

/** Runs one pass, tells whoever watches of it, and writes a line for an operator if a login ended in a failure. */
export function watched<T extends Ended>(
  log: Log | undefined,
  run: (seen: PassEvent) => Promise<T>,
): Promise<T> {
  return trace('pass', {}, async (seen) => {
    const begun = performance.now()
    const ended = await run(seen)
    note(seen, ended)
    const { outcome = 'success', interactionId, issuer, ...rest } = seen
    const duration = performance.now() - begun
    const event: LoginEndedEvent = { ...rest, ...loginStep(interactionId, issuer), duration, outcome }
    if (ended.type !== 'redirect') publish('ended', event)
    else if (seen.pass === 'begin') publish('begun', event)
    if (log) writeEnd(log, seen, ended)
    return ended
  })
}

function note(seen: PassEvent, ended: Ended): void {
  if ('err' in ended && ended.err) noteFailure(seen, ended.err)
  seen.outcome = ended.type === 'fail' || ended.type === 'error' ? ended.type : 'success'
}

function writeEnd(log: Log, seen: PassEvent, ended: Ended): void {
  if (!('err' in ended) && ended.type !== 'fail') return
  const { err } = ended
  if (err instanceof IDPartnerError) writeLog(log, levelOf(err), `a login failed ${failureText(err, seen)}`)
  else if (err === undefined) writeLog(log, 'info', `a login was refused by verify${about(seen)}`)
  else writeLog(log, 'error', `a login failed in a function of the application: ${nameOf(err)}${about(seen)}`)
}

/** Ways in which a bank asks that a person does something: nothing that an operator could change. */
const OF_THE_PERSON = [
  'login_required',
  'interaction_required',
  'consent_required',
  'account_selection_required',
]

/** What an operator may have to mend is `warn` or `error`; what people do every day is `info`. */
function levelOf(err: IDPartnerError): LogLevel {
  const { code, reason, providerError = '' } = err
  if (!err.isFailure) return 'error'
  const everyday =
    code === 'access_denied' ||
    (code === 'login_missing' && reason !== 'no_session') ||
    (code === 'provider_error' && OF_THE_PERSON.includes(providerError))
  return everyday ? 'info' : 'warn'
}

/** Its text is the application's own, and may be about a person. */
function nameOf(err: unknown): string {
  if (!isError(err)) return 'something that is no error'
  const code = 'code' in err ? printable(err.code) : undefined
  return [printable(err.name) ?? 'Error', code].filter(Boolean).join(' ')
}
