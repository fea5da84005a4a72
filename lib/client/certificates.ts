import { X509Certificate, createPrivateKey, type KeyObject } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { IDPartnerError } from '../errors.js'
import type { ClientTls } from '../net/http.js'
import { badOption } from './option-errors.js'
import { readPkcs12 } from './pkcs12.js'

/** The options from which a client certificate, its key and the authorities that are trusted come. */
export interface TlsOptions {
  tls_client_cert?: string | Buffer | undefined
  tls_client_key?: string | Buffer | undefined
  tls_client_pfx?: Buffer | undefined
  tls_client_passphrase?: string | undefined
  tls_server_ca?: string | Buffer | undefined
}

/**
 * Certificates and key as PEM without a passphrase, which is all that is kept.
 *
 * @throws {IDPartnerError} `config_invalid`, with a message that names the option
 */
export function resolveTls(options: TlsOptions): ClientTls {
  const { tls_client_cert, tls_client_key, tls_client_pfx: pfx, tls_client_passphrase: passphrase } = options
  if (passphrase !== undefined && pfx === undefined && tls_client_key === undefined) {
    throw badOption('tls_client_passphrase', 'opens nothing: it goes with tls_client_pfx or tls_client_key')
  }
  const ca = certificatesAsPem('tls_server_ca', options.tls_server_ca)
  if (pfx !== undefined) {
    const other = tls_client_cert === undefined ? 'tls_client_key' : 'tls_client_cert'
    if (options[other] !== undefined)
      throw badOption('tls_client_pfx', `takes the place of ${other}: set one of them`)
    return { ...fromPkcs12(pfx, passphrase), ...(ca && { ca }) }
  }
  const cert = certificatesAsPem('tls_client_cert', tls_client_cert)
  const key = keyAsPem(tls_client_key, passphrase)
  return { ...(cert && { cert }), ...(key && { key }), ...(ca && { ca }) }
}

function certificatesAsPem(name: string, value: string | Buffer | undefined): string | Buffer | undefined {
  if (!isDer(value)) return value
  const x509 = certificate(name, value)
  if (x509.raw.length !== value.length) throw notCertificates(name)
  return x509.toString()
}

/** Every DER certificate and key is a SEQUENCE. */
function isDer(value: unknown): value is Buffer {
  return value instanceof Buffer && value[0] === 0x30
}

function keyAsPem(
  value: string | Buffer | undefined,
  passphrase: string | undefined,
): string | Buffer | undefined {
  const given = passphrase === undefined ? {} : { passphrase }
  if (!isDer(value)) {
    if (value === undefined || !isEncrypted(value)) return value
    if (passphrase === undefined) throw badOption('tls_client_key', 'is encrypted: set tls_client_passphrase')
    try {
      return exported(createPrivateKey({ key: value, ...given }))
    } catch {
      throw badOption('tls_client_key', 'cannot be opened with this tls_client_passphrase')
    }
  }
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    try {
      return exported(createPrivateKey({ key: value, format: 'der', type, ...given }))
    } catch {
      // It may be of the next type.
    }
  }
  throw badOption('tls_client_key', `${A_KEY}, or in DER with another passphrase`)
}

const A_KEY = 'must be a private key in PEM or DER'

/** PKCS#8, or the older way of OpenSSL, which says so in a line of the header. */
function isEncrypted(pem: string | Buffer): boolean {
  return /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem.toString())
}

function exported(key: KeyObject): string | Buffer {
  return key.export({ type: 'pkcs8', format: 'pem' })
}

function fromPkcs12(pfx: Buffer, passphrase: string | undefined): ClientTls {
  const { key, certificates } = readPkcs12('tls_client_pfx', pfx, passphrase)
  const own = certificates.find((one) => one.checkPrivateKey(key))
  if (!own) throw badOption('tls_client_pfx', 'must hold the certificate of its private key')
  // What issued it comes after it, each before its own issuer (RFC 8446, section 4.4.2).
  const chain = [own]
  for (;;) {
    const last = chain.at(-1)
    const issuer = certificates.find((one) => !chain.includes(one) && last?.checkIssued(one))
    if (!issuer) break
    chain.push(issuer)
  }
  return { cert: chain.map(String).join(''), key: exported(key) }
}

/**
 * @param from the option that the certificate came from
 * @throws {IDPartnerError} `config_invalid`, with a message that names the option
 */
export function checkCertificate(
  { cert, key, ca }: ClientTls,
  clockTolerance: number,
  from: 'tls_client_cert' | 'tls_client_pfx' = 'tls_client_cert',
): void {
  if (cert === undefined && key !== undefined)
    throw badOption('tls_client_cert', 'is missing beside tls_client_key')
  if (ca !== undefined) {
    certificates('tls_server_ca', ca)
    tryTls('tls_server_ca', { ca })
  }
  if (cert === undefined) return
  if (key === undefined) throw badOption('tls_client_key', 'is missing beside tls_client_cert')
  const chain = certificates('tls_client_cert', cert)
  let matching: number
  try {
    const own = createPrivateKey(key)
    matching = chain.findIndex((one) => one.checkPrivateKey(own))
  } catch {
    throw badOption('tls_client_key', A_KEY)
  }
  if (matching < 0) throw badOption('tls_client_key', 'is not the key of tls_client_cert')
  if (matching > 0) throw badOption('tls_client_cert', 'must begin with the certificate of tls_client_key')
  for (const one of chain) checkTimes(one, clockTolerance, from)
  tryTls(from, { cert, key })
}

/** Of a whole chain: the bank refuses one with an old authority in it as well. */
function checkTimes({ validFrom, validTo }: X509Certificate, clockTolerance: number, name: string): void {
  if (Date.parse(validFrom) > Date.now() + clockTolerance * 1000)
    throw badOption(name, `is not valid before ${validFrom}: check it and this server's clock`)
  if (Date.parse(validTo) < Date.now()) throw badOption(name, `expired on ${validTo}`)
}

/** OpenSSL refuses some that can be read, such as those with a key that is too short. */
function tryTls(name: string, tls: ClientTls): void {
  try {
    createSecureContext(tls)
  } catch {
    throw badOption(name, 'is refused by OpenSSL: make it with a longer key or a newer algorithm')
  }
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----/gs

/**
 * All certificates of a file: X509Certificate reads the first alone, and TLS ignores what it cannot read, so that a file
 * that was cut off would pass.
 *
 * What stands before a certificate is a comment, if it does not look like a part of one.
 */
export function certificates(name: string, pem: string | Buffer): X509Certificate[] {
  const text = pem.toString()
  const blocks = text.match(BLOCK) ?? []
  const comments = text.split(BLOCK).filter((_, at) => at % 2 === 0)
  const rest = comments.join('\n')
  if (
    blocks.length === 0 ||
    comments.at(-1)?.trim() ||
    /-----(BEGIN|END) |^[A-Za-z0-9+/=]{60,}\r?$/m.test(rest)
  ) {
    throw notCertificates(name)
  }
  return blocks.map((one) => certificate(name, one))
}

function certificate(name: string, encoded: string | Buffer): X509Certificate {
  try {
    return new X509Certificate(encoded)
  } catch {
    throw notCertificates(name)
  }
}

function notCertificates(name: string): IDPartnerError {
  return badOption(name, 'must be a certificate in PEM or DER, or several in PEM, and nothing else')
}
