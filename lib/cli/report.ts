import type { Check, Checks } from '../client/check.js'
import type { Terminal } from './terminal.js'

const MARKS: Record<Check['status'], string> = { ok: 'ok', warn: 'WARN', fail: 'FAIL', skip: '-' }

/** Prints checks as JSON or as a table, in which a row says what to do where there is something to do. */
export function report({ ok, checks }: Checks, json: boolean | undefined, terminal: Terminal): void {
  if (json) {
    terminal.out(`${JSON.stringify({ ok, checks }, null, 2)}\n`)
    return
  }
  const width = Math.max(...checks.map(({ id }) => id.length))
  for (const { id, status, message, fix } of checks) {
    terminal.out(`${MARKS[status].padEnd(4)}  ${id.padEnd(width)}  ${message}\n`)
    if (fix !== undefined) terminal.out(`${' '.repeat(width + 6)}  → ${fix}\n`)
  }
  const count = (wanted: Check['status']): number => checks.filter(({ status }) => status === wanted).length
  const [failed, warned] = [count('fail'), count('warn')]
  const warnings = warned === 0 ? '' : `, ${String(warned)} to look at`
  terminal.out(`\n${ok ? 'All well' : `${String(failed)} wrong`}${warnings}.\n`)
}
