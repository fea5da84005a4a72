import { inspect } from 'node:util'

/** Whatever may never show up in an error or in what Passport is told of a failure. */
const secrets = new Set<string>()

/** Stands for whatever a server writes in its own words; no name, and short enough for JSON.parse to quote. */
export const FREE_TEXT = 'zZ words'

export function keepSecret<T extends string>(value: T): T {
  // What is shorter is no secret, and would be found in any text.
  if (value.length >= 16) secrets.add(value)
  return value
}

export function forgetSecrets(): void {
  secrets.clear()
}

/** All the ways in which an error gets into a log or onto a page. */
export function assertRedacted(failure: unknown): void {
  const { stack } = failure as { stack?: string }
  const printed = [
    inspect(failure, { depth: Infinity, showHidden: true, maxStringLength: Infinity }),
    JSON.stringify(failure),
    String(failure),
    stack ?? '',
  ].join('\n')
  for (const secret of [FREE_TEXT, ...secrets]) {
    if (printed.includes(secret)) throw new Error(`a failure shows the secret ${secret}:\n${printed}`)
  }
}
