import { createHmac } from 'node:crypto'

/** Names one login in the logs of both sides: a header of requests, and in FAPI 1.0 a parameter as well. */
export const INTERACTION_ID = 'x-fapi-interaction-id'

/** A value that follows from a code verifier, from which nothing can be learnt of that (RFC 5869). */
export function derive(codeVerifier: string, name: string): Buffer {
  return createHmac('sha256', codeVerifier).update(name).digest()
}

/** The interaction id of a login: it follows from its one secret, so that nobody has to keep it. */
export function interactionIdFrom(codeVerifier: string): string {
  return uuid(derive(codeVerifier, 'interaction id'))
}

/** RFC 9562, section 5.4: as good as random, and some banks take no other version. */
function uuid(bytes: Buffer): string {
  bytes[6] = (bytes.readUInt8(6) & 0x0f) | 0x40
  bytes[8] = (bytes.readUInt8(8) & 0x3f) | 0x80
  const hex = bytes.toString('hex', 0, 16)
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
