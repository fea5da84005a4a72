import { X509Certificate, createPrivateKey } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { IDPartnerError } from '../errors.js'
import type { ClientTls } from '../net/http.js'
import { badOption } from './option-errors.js'

/** DER as PEM, which is all that Node's TLS takes. */
export function asPem(name: string, value: string | Buffer | undefined): string | Buffer | undefined {
  // Every DER certificate and key is a SEQUENCE.
  if (!(value instanceof Buffer) || value[0] !== 0x30) return value
  if (name !== 'tls_client_key') {
    const x509 = certificate(name, value)
    if (x509.raw.length !== value.length) throw notCertificates(name)
    return x509.toString()
  }
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    try {
      return createPrivateKey({ key: value, format: 'der', type }).export({ type: 'pkcs8', format: 'pem' })
    } catch {
      // It may be of the next type.
    }
  }
  throw badOption(name, 'must be a private key in PEM or DER, without a passphrase')
}

/** @throws {IDPartnerError} `config_invalid`, with a message that names the option */
export function checkCertificate({ cert, key, ca }: ClientTls, clockTolerance: number): void {
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
    throw badOption('tls_client_key', 'must be a private key in PEM or DER, without a passphrase')
  }
  if (matching < 0) throw badOption('tls_client_key', 'is not the key of tls_client_cert')
  if (matching > 0) throw badOption('tls_client_cert', 'must begin with the certificate of tls_client_key')
  for (const one of chain) checkTimes(one, clockTolerance)
  tryTls('tls_client_cert', { cert, key })
}

/** Of a whole chain: the bank refuses one with an old authority in it as well. */
function checkTimes({ validFrom, validTo }: X509Certificate, clockTolerance: number): void {
  if (Date.parse(validFrom) > Date.now() + clockTolerance * 1000)
    throw badOption('tls_client_cert', `is not valid before ${validFrom}: check it and this server's clock`)
  if (Date.parse(validTo) < Date.now()) throw badOption('tls_client_cert', `expired on ${validTo}`)
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
function certificates(name: string, pem: string | Buffer): X509Certificate[] {
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
