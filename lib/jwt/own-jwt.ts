import { CompactSign } from 'jose'
import type { SigningKey } from './keys.js'

/**
 * Signs a JWT of the application's own with one of its keys, wherever that is.
 *
 * @param header what beside `alg` and `kid` stands in it
 * @throws {IDPartnerError} `config_invalid` where a signer elsewhere gives no good signature
 * @see https://www.rfc-editor.org/rfc/rfc7515#section-5.1
 */
export async function signJwt(
  signer: SigningKey,
  header: { typ: string },
  claims: Record<string, unknown>,
): Promise<string> {
  const { alg, kid, key } = signer
  const protectedHeader = { alg, ...header, kid }
  const payload = JSON.stringify(claims)
  if (key) {
    return new CompactSign(new TextEncoder().encode(payload)).setProtectedHeader(protectedHeader).sign(key)
  }
  const input = [JSON.stringify(protectedHeader), payload].map(base64url).join('.')
  return `${input}.${base64url(await signer.sign(new TextEncoder().encode(input)))}`
}

function base64url(data: string | Uint8Array): string {
  return Buffer.from(data as Uint8Array).toString('base64url')
}
