/**
 * The orders of the curves P-256, P-384 and P-521, by the length of half a signature in bytes.
 *
 * @see https://doi.org/10.6028/NIST.SP.800-186
 */
const ORDERS: Partial<Record<number, bigint>> = {
  32: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  48: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  66: 0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
}

/**
 * Writes an ECDSA signature in the one of its two ways that has the smaller `s`; who has no key can write the other, which is
 * as good, and would be another receipt of the same login.
 *
 * @param signature base64url of `r` and `s` (RFC 7518, section 3.4); of no other algorithm
 */
export function withLowS(signature: string): string {
  const bytes = Buffer.from(signature, 'base64url')
  const half = bytes.length / 2
  const order = ORDERS[half]
  if (order === undefined) return signature
  const s = BigInt(`0x${bytes.subarray(half).toString('hex')}`)
  if (s <= order / 2n) return signature
  const other = Buffer.from((order - s).toString(16).padStart(2 * half, '0'), 'hex')
  return Buffer.concat([bytes.subarray(0, half), other]).toString('base64url')
}
