import { IDPartnerError } from '../errors.js'
import { readReceipt, readRedacted } from '../jwt/receipt.js'

/**
 * What is left of a receipt without anything of a person: the checks, their times, hashes of what was signed, and the
 * application's seal on them.
 *
 * Does not verify the seal. With the receipt its salt is gone too, so that nobody can find out whose hashes these are.
 *
 * @throws {IDPartnerError} `token_invalid` with `status` 400, where a part of the receipt is not what was sealed
 */
export function redactReceipt(receipt: unknown): string {
  const { statement, seal } = readReceipt(receipt)
  return JSON.stringify({ statement, seal })
}

/**
 * Whether a redacted receipt is that of a full one, every byte of which is what was sealed.
 *
 * Verifies neither seal: verify one of the two, see {@link verifyReceipt}.
 */
export function matchReceipt(receipt: unknown, redacted: unknown): boolean {
  try {
    return redactReceipt(receipt) === JSON.stringify(readRedacted(redacted))
  } catch (err) {
    if (err instanceof IDPartnerError) return false
    throw err
  }
}
