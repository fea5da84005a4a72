import { constants, createHmac, sign, type KeyObject } from 'node:crypto'
import type { KeyPair } from './key-pairs.js'

export type Members = Record<string, unknown>

/**
 * Makes a JWS by hand, since no library would make the wrong ones.
 *
 * Signs as its header says, so that a header bent to another algorithm still has a signature that verifies.
 */
export function signJws(header: Members, payload: Members | string, { privateKey }: KeyPair): string {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload)
  const input = `${base64url(JSON.stringify(header))}.${base64url(text)}`
  return `${input}.${signature(header['alg'], Buffer.from(input), privateKey).toString('base64url')}`
}

/** Changes every byte of the signature and nothing else. */
export function withBrokenSignature(jws: string): string {
  const [header, payload, signature] = jws.split('.')
  const bytes = Buffer.from(signature ?? '', 'base64url').map((byte) => byte ^ 0x5a)
  return [header, payload, Buffer.from(bytes).toString('base64url')].join('.')
}

export function payloadOf(jws: string): Members {
  return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()) as Members
}

export function base64url(text: string | Buffer): string {
  return Buffer.from(text).toString('base64url')
}

function signature(alg: unknown, input: Buffer, key: KeyObject): Buffer {
  switch (alg) {
    case 'none':
      return Buffer.alloc(0)
    case 'HS256':
      return createHmac('sha256', key).update(input).digest()
    case 'RS256':
      return sign('sha256', input, key)
    case 'ES256':
    case 'ES256K':
      return sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' })
    case 'ES384':
      return sign('sha384', input, { key, dsaEncoding: 'ieee-p1363' })
    case 'ES512':
      return sign('sha512', input, { key, dsaEncoding: 'ieee-p1363' })
    case 'EdDSA':
    case 'Ed25519':
      return sign(null, input, key)
    case 'PS512':
      return sign('sha512', input, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 })
    default:
      return sign('sha256', input, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 })
  }
}
