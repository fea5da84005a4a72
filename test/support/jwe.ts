import {
  constants,
  createCipheriv,
  createHmac,
  publicEncrypt,
  randomBytes,
  type KeyObject,
} from 'node:crypto'
import { deflateRawSync } from 'node:zlib'
import { base64url, type Members } from './jws.js'

/** Makes a JWE by hand, in whatever algorithms its header names, also those no library of today offers. */
export function encryptJwe(header: Members, plaintext: string, recipient: KeyObject): string {
  const protectedHeader = base64url(JSON.stringify(header))
  const enc = typeof header['enc'] === 'string' ? header['enc'] : ''
  const cek = randomBytes(KEY_BYTES[enc] ?? 64)
  const content = header['zip'] === 'DEF' ? deflateRawSync(plaintext) : Buffer.from(plaintext)
  const { iv, ciphertext, tag } = enc.endsWith('GCM')
    ? gcm(cek, content, protectedHeader)
    : cbcHmac(cek, content, protectedHeader)
  const wrapped = wrap(header['alg'], cek, recipient)
  return [protectedHeader, ...[wrapped, iv, ciphertext, tag].map(base64url)].join('.')
}

const KEY_BYTES: Record<string, number> = { 'A128CBC-HS256': 32, A256GCM: 32, 'A256CBC-HS512': 64 }

interface Encrypted {
  iv: Buffer
  ciphertext: Buffer
  tag: Buffer
}

function wrap(alg: unknown, cek: Buffer, key: KeyObject): Buffer {
  if (alg === 'RSA1_5') return publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, cek)
  const oaepHash = alg === 'RSA-OAEP-256' ? 'sha256' : 'sha1'
  return publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, cek)
}

function gcm(cek: Buffer, content: Buffer, aad: string): Encrypted {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', cek, iv).setAAD(Buffer.from(aad))
  const ciphertext = Buffer.concat([cipher.update(content), cipher.final()])
  return { iv, ciphertext, tag: cipher.getAuthTag() }
}

/** RFC 7518, section 5.2: the first half of the key authenticates, the second encrypts. */
function cbcHmac(cek: Buffer, content: Buffer, aad: string): Encrypted {
  const half = cek.length / 2
  const iv = randomBytes(16)
  const cipher = createCipheriv(half === 32 ? 'aes-256-cbc' : 'aes-128-cbc', cek.subarray(half), iv)
  const ciphertext = Buffer.concat([cipher.update(content), cipher.final()])
  const length = Buffer.alloc(8)
  length.writeBigUInt64BE(BigInt(aad.length * 8))
  const mac = createHmac(half === 32 ? 'sha512' : 'sha256', cek.subarray(0, half))
  const tag = mac.update(aad).update(iv).update(ciphertext).update(length).digest().subarray(0, half)
  return { iv, ciphertext, tag }
}
