import { ownError } from '../errors.js'

/** One thing that was looked at before anybody logs in. */
export interface Check {
  /** What was looked at, such as `keys` or `clock`; with the bank behind a space where there may be several. */
  id: string
  status: 'ok' | 'warn' | 'fail' | 'skip'
  /** What was found, in a sentence without anything secret. */
  message: string
  /** What to do about it. */
  fix?: string
}

/** The checks of one run. */
export interface Checks {
  /** Whether nothing failed; a warning is no failure. */
  ok: boolean
  checks: Check[]
}

export function ok(id: string, message: string): Check {
  return { id, status: 'ok', message }
}

export function warn(id: string, message: string, fix: string): Check {
  return { id, status: 'warn', message, fix }
}

export function fail(id: string, message: string, fix: string): Check {
  return { id, status: 'fail', message, fix }
}

export function skip(id: string, message: string): Check {
  return { id, status: 'skip', message }
}

export function summary(checks: Check[]): Checks {
  return { ok: checks.every(({ status }) => status !== 'fail'), checks }
}

/** Our own words alone: others may quote what they had in hand. */
export function said(err: unknown): string {
  return ownError(err)?.message ?? 'it took too long, or failed in an unexpected way'
}

/** What to do about what a check threw. */
export function adviceFor(err: unknown): string {
  const own = ownError(err)
  if (own?.code === 'provider_error') return 'compare the options with what is registered at the bank'
  if (own?.code === 'config_invalid' || own?.code === 'provider_refused') return 'correct the option it names'
  return 'check the spelling of its URL, and that this machine may reach it; if so, ask who runs it'
}
