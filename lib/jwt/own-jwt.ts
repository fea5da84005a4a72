import { CompactSign } from 'jose'
import type { SigningKey } from './keys.js'

/**
 * Signs a JWT of the application's own with one of its keys.
 *
 * @param header what beside `alg` and `kid` stands in it
 * @see https://www.rfc-editor.org/rfc/rfc7515#section-5.1
 */
export async function signJwt(
  signer: SigningKey,
  header: { typ: string },
  claims: Record<string, unknown>,
): Promise<string> {
  const { alg, kid, key } = signer
  return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
    .setProtectedHeader({ alg, ...header, kid })
    .sign(key)
}
