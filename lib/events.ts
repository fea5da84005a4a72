import { channel, tracingChannel, type Channel, type TracingChannel } from 'node:diagnostics_channel'
import { ownError, printable, type ErrorCode, type MissingReason } from './errors.js'

/*
 * What an application may watch, by node:diagnostics_channel; docs/events.md is the interface. No payload has room for
 * a code, token, claim or anything else of a person, nor for an error, whose causes hold a bank's own words.
 */

/** `fail`: the person, their browser or the bank's decision; `error`: something is broken behind us. */
export type EventOutcome = 'success' | 'fail' | 'error'

/** What every payload may have; what is not known (yet) is left out. */
export interface StepEvent {
  /** The `x-fapi-interaction-id` of the login. */
  interactionId?: string
  /** The bank, or whoever else was asked: only one that is configured or was allowed. */
  issuer?: string
  /** Milliseconds; there at the end. */
  duration?: number
  /** There at the end. */
  outcome?: EventOutcome
  code?: ErrorCode
  reason?: MissingReason
}

/** One request that Passport handed to the strategy. */
export interface PassEvent extends StepEvent {
  /** `begin` leads to the bank, `select` to the account selector, `callback` comes back; none where it was never known. */
  pass?: 'begin' | 'select' | 'callback'
}

/** A discovery document or a set of keys is asked for. */
export interface FetchEvent extends StepEvent {
  document: 'metadata' | 'keys'
  /** Whether there is an earlier copy, which goes on to serve if this fails. */
  renewal: boolean
}

/** A copy past its time was used, since it could not be renewed. */
export interface StaleEvent {
  issuer: string
  document: 'metadata' | 'keys'
  /** Milliseconds since it was fetched. */
  age: number
}

/** Nobody asks for keys once more where a thousand wait for them already. */
export interface RefusedEvent {
  issuer: string
  document: 'metadata' | 'keys'
}

/** New keys or certificates are in use. */
export interface ReloadedEvent {
  /** The options that were read again, such as `jwks`. */
  options: string[]
}

/** New keys or certificates are no good, and those in use stay so. */
export interface KeptEvent {
  code: ErrorCode
  /** What is wrong with them, in our own words. */
  message: string
}

/** A certificate expires within 30 days, or has expired. */
export interface ExpiringEvent {
  option: string
  /** ISO 8601 */
  expires: string
  /** Whole days that are left; below 0 when there are none. */
  days: number
}

/** A browser was sent on its way to a bank, or could not be. */
export type LoginBegunEvent = PassEvent & Required<Pick<PassEvent, 'duration' | 'outcome'>>
/** A browser came back, and this is what became of the login. */
export type LoginEndedEvent = LoginBegunEvent

/** Spans: the payloads of {@link https://nodejs.org/api/diagnostics_channel.html#class-tracingchannel | tracing channels}. */
export interface IDPartnerSpans {
  'passport-idpartner:pass': PassEvent
  'passport-idpartner:request': StepEvent
  'passport-idpartner:document': StepEvent
  'passport-idpartner:answer': StepEvent
  'passport-idpartner:exchange': StepEvent
  'passport-idpartner:userinfo': StepEvent
  'passport-idpartner:refresh': StepEvent
  'passport-idpartner:fetch': FetchEvent
}

/** Moments: the payloads of plain channels. */
export interface IDPartnerEvents {
  'passport-idpartner:begun': LoginBegunEvent
  'passport-idpartner:ended': LoginEndedEvent
  'passport-idpartner:stale': StaleEvent
  'passport-idpartner:refused': RefusedEvent
  'passport-idpartner:reloaded': ReloadedEvent
  'passport-idpartner:kept': KeptEvent
  'passport-idpartner:expiring': ExpiringEvent
}

type Name<Full> = Full extends `passport-idpartner:${infer Short}` ? Short : never
type SpanName = Name<keyof IDPartnerSpans>
type EventName = Name<keyof IDPartnerEvents>

const span = (name: SpanName): TracingChannel<unknown, object> =>
  tracingChannel<unknown, object>(`passport-idpartner:${name}`)
const moment = (name: EventName): Channel => channel(`passport-idpartner:${name}`)

// Held here: Node lets go of channels that nobody holds.
const SPANS: Record<SpanName, TracingChannel<unknown, object>> = {
  pass: span('pass'),
  request: span('request'),
  document: span('document'),
  answer: span('answer'),
  exchange: span('exchange'),
  userinfo: span('userinfo'),
  refresh: span('refresh'),
  fetch: span('fetch'),
}

const MOMENTS: Record<EventName, Channel> = {
  begun: moment('begun'),
  ended: moment('ended'),
  stale: moment('stale'),
  refused: moment('refused'),
  reloaded: moment('reloaded'),
  kept: moment('kept'),
  expiring: moment('expiring'),
}

/**
 * Lets a step be watched while it runs. The work completes the payload with what it learns; what it returns or throws
 * stays out of it, which is why this is not Node's own `tracePromise`.
 */
export function trace<N extends SpanName, T>(
  name: N,
  payload: IDPartnerSpans[`passport-idpartner:${N}`],
  work: (payload: IDPartnerSpans[`passport-idpartner:${N}`]) => Promise<T>,
): Promise<T> {
  const { [name]: channels } = SPANS
  if (!channels.hasSubscribers) return work(payload)
  const begun = performance.now()
  const finish = (outcome: EventOutcome): void => {
    payload.duration = performance.now() - begun
    payload.outcome ??= outcome
    if (payload.outcome !== 'success') channels.error.publish(payload)
    channels.asyncStart.publish(payload)
    channels.asyncEnd.publish(payload)
  }
  const running = channels.start.runStores(payload, async () => {
    try {
      const result = await work(payload)
      finish('success')
      return result
    } catch (err) {
      noteFailure(payload, err)
      finish('error')
      throw err
    }
  })
  channels.end.publish(payload)
  return running
}

/** A payload of one login: ids that are not harmless to print are left out, since others may have made them. */
export function loginStep(interactionId: string | undefined, issuer?: string): StepEvent {
  const id = printable(interactionId)
  return { ...(id !== undefined && { interactionId: id }), ...(issuer !== undefined && { issuer }) }
}

/** Completes a payload with what may be said of an error. */
export function noteFailure(payload: StepEvent, err: unknown): void {
  const own = ownError(err)
  payload.outcome = own?.isFailure ? 'fail' : 'error'
  if (own === undefined) return
  payload.code = own.code
  if (own.reason !== undefined) payload.reason = own.reason
  const id = printable(own.interactionId)
  if (id !== undefined) payload.interactionId ??= id
}

/** Tells whoever watches of a moment. */
export function publish<N extends EventName>(
  name: N,
  payload: IDPartnerEvents[`passport-idpartner:${N}`],
): void {
  const { [name]: channel } = MOMENTS
  if (channel.hasSubscribers) channel.publish(payload)
}
