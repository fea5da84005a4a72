import { X509Certificate, createDecipheriv, createPrivateKey, pbkdf2Sync, type KeyObject } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { isError } from '../errors.js'
import { inside, octets, readBer, required, type Ber } from './ber.js'
import { badOption } from './option-errors.js'

/*
 * TLS of Node would take the file as it is, and would then trust whatever authority is in it to vouch for servers, beside the
 * usual ones or those of `tls_server_ca`. So what belongs to the client is taken out of it.
 */

/** The private key of a PKCS#12 file, and all its certificates, in no order. */
export interface Pkcs12 {
  key: KeyObject
  certificates: X509Certificate[]
}

/**
 * Reads a PKCS#12 file, whose integrity OpenSSL checks first.
 *
 * Does not read what is encrypted in other ways than PBES2, such as with RC2 or Triple DES: they protect nothing any more.
 *
 * @throws {IDPartnerError} `config_invalid`, with a message that names the option
 * @see https://www.rfc-editor.org/rfc/rfc7292#section-4
 */
export function readPkcs12(name: string, file: Buffer, passphrase: string | undefined): Pkcs12 {
  const isWhole = checked(name, file, passphrase)
  let bags: Bag[]
  try {
    bags = bagsOf(file, passphrase ?? '')
  } catch (err) {
    throw err instanceof OtherEncryption ? outdated(name) : unreadable(name)
  }
  if (!isWhole) throw unreadable(name)
  const keys = bags.filter(({ kind }) => kind === 'keyBag' || kind === 'shroudedKeyBag')
  const [key] = keys
  if (keys.length > 1) throw badOption(name, 'must hold one private key, not several')
  if (!key) throw unreadable(name)
  try {
    return {
      key: createPrivateKey({ key: key.der, format: 'der', type: 'pkcs8', passphrase: passphrase ?? '' }),
      certificates: bags.flatMap(({ kind, der }) => (kind === 'certBag' ? [new X509Certificate(der)] : [])),
    }
  } catch {
    throw unreadable(name)
  }
}

interface Bag {
  kind: string | undefined
  der: Buffer
}

class OtherEncryption extends Error {}

const DATA = '2a864886f70d010701'
const PBES2 = '2a864886f70d01050d'
const SEQUENCE = 0x30
const HMAC_SHA1 = '2a864886f70d0207'

const BAGS = new Map([
  ['2a864886f70d010c0a0101', 'keyBag'],
  ['2a864886f70d010c0a0102', 'shroudedKeyBag'],
  ['2a864886f70d010c0a0103', 'certBag'],
])

/** What PBKDF2 is made with, and what encrypts (RFC 8018, appendix B). */
const HASHES = new Map([
  [HMAC_SHA1, 'sha1'],
  ['2a864886f70d0209', 'sha256'],
  ['2a864886f70d020a', 'sha384'],
  ['2a864886f70d020b', 'sha512'],
])
const CIPHERS = new Map([
  ['608648016503040102', 'aes-128-cbc'],
  ['608648016503040116', 'aes-192-cbc'],
  ['60864801650304012a', 'aes-256-cbc'],
])

function bagsOf(file: Buffer, passphrase: string): Bag[] {
  const [, safe] = readBer(inside(file))
  return readBer(inside(dataOf(required(safe)))).flatMap((info) =>
    readBer(inside(safeContents(info, passphrase))).map(bagOf),
  )
}

/** What is in a ContentInfo (RFC 5652, section 3) that is not encrypted. */
function dataOf({ content }: Ber): Buffer {
  const [type, value] = readBer(content)
  if (hex(type) !== DATA) throw new RangeError()
  return octets(required(readBer(required(value).content)[0]))
}

function safeContents(info: Ber, passphrase: string): Buffer {
  const [type, value] = readBer(info.content)
  return hex(type) === DATA ? dataOf(info) : decrypted(inside(required(value).content), passphrase)
}

function bagOf({ content }: Ber): Bag {
  const [id, value] = readBer(content)
  const kind = BAGS.get(hex(id))
  const { content: der } = required(value)
  if (kind !== 'certBag') return { kind, der }
  const [, certificate] = readBer(inside(der))
  return { kind, der: octets(required(readBer(required(certificate).content)[0])) }
}

/** The content of an EncryptedData (RFC 5652, section 8). */
function decrypted(encryptedData: Buffer, passphrase: string): Buffer {
  const [, info] = readBer(encryptedData)
  const [, algorithm, content] = readBer(required(info).content)
  const [scheme, parameters] = readBer(required(algorithm).content)
  if (hex(scheme) !== PBES2) throw new OtherEncryption()
  const [derivation, encryption] = readBer(required(parameters).content)
  const [, pbkdf2] = readBer(required(derivation).content)
  const [salt, iterations, ...more] = readBer(required(pbkdf2).content)
  // Between them there may be the length of the key, which follows from the cipher.
  const prf = more.find(({ tag }) => tag === SEQUENCE)
  const hash = HASHES.get(prf ? hex(readBer(prf.content)[0]) : HMAC_SHA1)
  const [cipherId, iv] = readBer(required(encryption).content)
  const cipher = CIPHERS.get(hex(cipherId))
  if (hash === undefined || cipher === undefined) throw new OtherEncryption()
  const { content: count } = required(iterations)
  const bits = Number(cipher.slice('aes-'.length, -'-cbc'.length))
  const times = count.readUIntBE(0, count.length)
  const key = pbkdf2Sync(passphrase, octets(required(salt)), times, bits / 8, hash)
  const decipher = createDecipheriv(cipher, key, octets(required(iv)))
  return Buffer.concat([decipher.update(octets(required(content))), decipher.final()])
}

function hex(id: Ber | undefined): string {
  return required(id).content.toString('hex')
}

/** Whether OpenSSL takes it; what it does not say is whether it knows the encryption at all. */
function checked(name: string, pfx: Buffer, passphrase: string | undefined): boolean {
  try {
    createSecureContext({ pfx, ...(passphrase !== undefined && { passphrase }) })
    return true
  } catch (err) {
    if (!isError(err) || !err.message.startsWith('mac ')) return false
    throw badOption(name, 'cannot be opened with this tls_client_passphrase')
  }
}

function outdated(name: string): Error {
  return badOption(
    name,
    'is encrypted in an outdated way, such as RC2 or Triple DES: open it with "openssl pkcs12 -legacy -in OLD -out ALL.pem", and pack it again with "openssl pkcs12 -export -in ALL.pem -out NEW"',
  )
}

function unreadable(name: string): Error {
  return badOption(
    name,
    'must be a PKCS#12 file (.p12 or .pfx) as a Buffer, with a private key and its certificate',
  )
}
