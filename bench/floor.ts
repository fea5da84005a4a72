// The cryptography that one login cannot do without, by node:crypto alone and with keys that are ready.
import {
  constants,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  privateDecrypt,
  randomBytes,
  sign,
  timingSafeEqual,
  verify,
  type KeyObject,
  type SigningOptions,
} from 'node:crypto'
import type { JWK } from 'jose'
import type { Sample, Setup } from './platform.js'

/** Returns what does the cryptography of one login. */
export function floor({ flow, alg, jwks }: Setup, sample: Sample): () => void {
  const privateKey = (use: string): KeyObject => {
    const jwk = jwks.keys.find((one) => one.use === use)
    return createPrivateKey({ key: { ...jwk }, format: 'jwk' })
  }
  const signing = privateKey('sig')
  const decryption = privateKey('enc')
  const publicKey = (jwk: JWK): KeyObject => createPublicKey({ key: { ...jwk }, format: 'jwk' })
  const [directory, bank] = [publicKey(sample.keys.directory), publicKey(sample.keys.bank)]
  // As long as a request object and a client assertion are.
  const [request, assertion] = [Buffer.alloc(900, 'r'), Buffer.alloc(400, 'a')]
  return () => {
    // state, nonce, and the PKCE verifier with its challenge
    for (let secrets = 0; secrets < 3; secrets++) randomBytes(32)
    createHash('sha256').update(randomBytes(43)).digest()
    // In the direct flow the application authenticates at PAR, too.
    if (flow === 'direct') signed(assertion, signing, alg)
    signed(request, signing, alg)
    if (flow === 'proxy') verified(sample.document, directory, 'PS256')
    verified(decrypted(sample.jarm, decryption), bank, alg)
    signed(assertion, signing, alg)
    verified(decrypted(sample.idToken, decryption), bank, alg)
    // at_hash
    createHash('sha256').update(assertion).digest()
  }
}

/** RFC 7518, sections 3.4 and 3.5. */
function keyFor(alg: string, key: KeyObject): SigningOptions & { key: KeyObject } {
  if (alg === 'ES256') return { key, dsaEncoding: 'ieee-p1363' }
  return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
}

function signed(input: Buffer, key: KeyObject, alg: string): void {
  sign('sha256', input, keyFor(alg, key))
}

function verified(jws: string, key: KeyObject, alg: string): void {
  const end = jws.lastIndexOf('.')
  const signature = Buffer.from(jws.slice(end + 1), 'base64url')
  const input = Buffer.from(jws.slice(0, end))
  if (!verify('sha256', input, keyFor(alg, key), signature)) throw new Error('bad signature')
}

/** RFC 7518, sections 4.3 and 5.2.5. */
function decrypted(jwe: string, key: KeyObject): string {
  const [header = '', ...parts] = jwe.split('.')
  const [wrapped, iv, ciphertext, tag] = parts.map((part) => Buffer.from(part, 'base64url')) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ]
  const cek = privateDecrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' }, wrapped)
  const bits = Buffer.alloc(8)
  bits.writeBigUInt64BE(BigInt(header.length * 8))
  const mac = createHmac('sha512', cek.subarray(0, 32))
    .update(header)
    .update(iv)
    .update(ciphertext)
    .update(bits)
  if (!timingSafeEqual(mac.digest().subarray(0, 32), tag)) throw new Error('bad tag')
  const decipher = createDecipheriv('aes-256-cbc', cek.subarray(32), iv)
  return decipher.update(ciphertext, undefined, 'utf8') + decipher.final('utf8')
}
