import { compactVerify, decodeProtectedHeader } from 'jose'
import { SIGNING_ALGS } from '../jwt/algorithms.js'
import { KeySet } from '../jwt/key-set.js'
import { withLowS } from '../jwt/low-s.js'
import { RECEIPT_TYPE, invalidReceipt, sealedJws, type RedactedReceipt } from '../jwt/receipt.js'
import { goodKeys, type CheckedAnchors } from './trust-anchors.js'

/**
 * Verifies that the application sealed a statement, with a key that was good when it did.
 *
 * Which algorithm a key is for its kind decides, and nothing that is written in the receipt.
 *
 * @param known as of when keys are known to be revoked, in seconds since 1970
 * @throws {IDPartnerError} `token_invalid`, with `status` 400
 * @see https://www.rfc-editor.org/rfc/rfc8725#section-3.1
 */
export async function verifySeal(
  receipt: RedactedReceipt,
  { application }: CheckedAnchors,
  known: number,
): Promise<void> {
  const { seal, statement } = receipt
  if (seal.split('..').some((part) => !isCanonical(part))) throw invalidReceipt('has a malformed seal')
  const [, signature = ''] = seal.split('..')
  const { typ, kid, crit } = headerOf(seal)
  if (typ !== RECEIPT_TYPE || crit !== undefined) throw invalidReceipt('has a seal of another kind')
  const keys = new KeySet(goodKeys(application, statement.ended, known))
  for (const alg of SIGNING_ALGS) {
    const { keys: candidates } = await keys.candidates(alg, kid)
    if (alg.startsWith('ES') && withLowS(signature) !== signature) continue
    for (const key of candidates) {
      const good = await compactVerify(sealedJws(receipt), key, { algorithms: [alg] }).then(
        () => true,
        () => false,
      )
      if (good) return
    }
  }
  throw invalidReceipt(
    'was not sealed by any key of "trustAnchors.application" that was good then, or was changed since',
  )
}

function headerOf(seal: string): { typ?: unknown; kid?: string | undefined; crit?: unknown } {
  try {
    return decodeProtectedHeader(seal)
  } catch {
    throw invalidReceipt('has a malformed seal')
  }
}

/** The last character of base64url has bits that nobody reads, so that another one would do as well. */
function isCanonical(part: string): boolean {
  return Buffer.from(part, 'base64url').toString('base64url') === part
}
