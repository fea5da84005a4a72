import { IDPartnerError } from '../errors.js'

export function badOption(name: string, expectation: string): IDPartnerError {
  return new IDPartnerError('config_invalid', `option "${name}" ${expectation}`)
}

/** What other libraries call something of ours, and what stands for it here. */
const ELSEWHERE = new Map([
  ['callbackurl', 'it is called "callback" here'],
  ['redirecturi', 'it is called "callback" here'],
  ['issuer', 'each bank is an issuer of its own; list those you trust in "trusted_issuers"'],
  ['jwksuri', 'your own private keys go into "jwks", and those of the banks are found by discovery'],
])

/** What an option is likely to have been meant for, if anything. */
export function meantOption(name: string, known: readonly string[]): string | undefined {
  const near = known.find((one) => one !== name && likeness(one) === likeness(name))
  return ELSEWHERE.get(likeness(name)) ?? (near && `it is called "${near}" here`)
}

export function unknownOption(name: string, known: readonly string[]): IDPartnerError {
  const hint = meantOption(name, known)
  return badOption(name, `is not a known option${hint === undefined ? '' : `: ${hint}`}`)
}

/** The same for `maxAge`, `max_age` and `max-ages`. */
function likeness(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z]/g, '')
    .replace(/s$/, '')
}
