import { types } from 'node:util'
import { ErrorResponse, IDPartnerError, isError } from '../errors.js'
import type { StepEvent } from '../events.js'

const LEVELS = ['info', 'warn', 'error'] as const

/** How much a line of the log matters; nothing finer is written. */
export type LogLevel = (typeof LEVELS)[number]

/** Where lines go: a function, or an object with a function for each level, such as `console` or a pino logger. */
export type Log =
  ((line: string, level: LogLevel) => unknown) | { [level in LogLevel]: (line: string) => unknown }

export function isLog(value: unknown): boolean {
  if (typeof value === 'function') return true
  if (typeof value !== 'object' || value === null) return false
  return LEVELS.every((level) => typeof (value as Record<string, unknown>)[level] === 'function')
}

/** In characters: a message, a bank's own words and what they were caused by, each of which has its own bound. */
const MAX_LINE = 1500

/** Writes one line of printable ASCII. Whatever the log does with it, no login fails of it. */
export function writeLog(log: Log | undefined, level: LogLevel, text: string): void {
  if (!log) return
  const line = `passport-idpartner: ${text.replaceAll('…', '...').replace(/[^\x20-\x7e]+/g, '?')}`
  const bounded = line.length > MAX_LINE ? `${line.slice(0, MAX_LINE - 3)}...` : line
  try {
    const returned: unknown = typeof log === 'function' ? log(bounded, level) : log[level](bounded)
    if (types.isPromise(returned)) returned.catch(() => undefined)
  } catch {
    // There is nobody left to tell.
  }
}

/** What an error of ours says, with what it was caused by: there are a bank's own words, already bounded and redacted. */
export function failureText(err: IDPartnerError, step: StepEvent = {}): string {
  const { code, reason, message } = err
  const kind = reason === undefined ? code : `${code}, ${reason}`
  const causes = causesOf(err)
  return `(${kind}): ${message}${about(step)}${causes.map((cause) => `; because ${cause}`).join('')}`
}

/** Which bank and which login a line is about. */
export function about({ issuer, interactionId }: StepEvent): string {
  const bank = issuer !== undefined && URL.canParse(issuer) ? `bank ${new URL(issuer).host}` : undefined
  const known = [bank, interactionId && `interaction ${interactionId}`].filter(Boolean)
  return known.length > 0 ? ` [${known.join(', ')}]` : ''
}

function causesOf(err: Error): string[] {
  const causes: string[] = []
  for (let at = err.cause; isError(at) && causes.length < 4; at = at.cause) {
    const own = at instanceof IDPartnerError || at instanceof ErrorResponse
    const { code } = at as { code?: unknown }
    const named = typeof code === 'string' && !at.message.includes(code) ? `${at.name} ${code}` : at.name
    // Some errors, such as that of a host with several addresses, have a code alone.
    causes.push(own ? at.message : [named, at.message].filter(Boolean).join(': '))
  }
  return causes
}

/** A line for tokens that the application could not have refreshed. */
export function logNotRefreshed(log: Log | undefined, err: unknown, step: StepEvent): void {
  if (!log || !(err instanceof IDPartnerError)) return
  writeLog(log, err.isFailure ? 'warn' : 'error', `could not refresh tokens ${failureText(err, step)}`)
}

/** A line for what could not be renewed while its copy goes on to serve. */
export function logNotRenewed(log: Log | undefined, what: string, err: unknown, age: number): void {
  if (!log) return
  const failure = err instanceof IDPartnerError ? failureText(err) : '(unknown)'
  const minutes = Math.round(age / 60_000)
  writeLog(
    log,
    'warn',
    `could not renew ${what}, whose copy of ${String(minutes)} min ago serves on ${failure}`,
  )
}
