import { X509Certificate, createPrivateKey } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { ClientTls } from '../net/http.js'
import { badOption } from './option-errors.js'

/** DER as PEM, which is all that Node's TLS takes. */
export function asPem(name: string, value: string | Buffer | undefined): string | Buffer | undefined {
  // Every DER certificate and key is a SEQUENCE.
  if (!(value instanceof Buffer) || value[0] !== 0x30) return value
  if (name !== 'tls_client_key') return certificate(name, value).toString()
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
    checkBundle('tls_server_ca', ca)
    tryTls('tls_server_ca', { ca })
  }
  if (cert === undefined) return
  if (key === undefined) throw badOption('tls_client_key', 'is missing beside tls_client_cert')
  const x509 = certificate('tls_client_cert', cert)
  let matches: boolean
  try {
    matches = x509.checkPrivateKey(createPrivateKey(key))
  } catch {
    throw badOption('tls_client_key', 'must be a private key in PEM or DER, without a passphrase')
  }
  if (!matches) throw badOption('tls_client_key', 'is not the key of tls_client_cert')
  const [from, to] = [x509.validFrom, x509.validTo].map((date) => Date.parse(date))
  if (Number(from) > Date.now() + clockTolerance * 1000)
    throw badOption(
      'tls_client_cert',
      `is not valid before ${x509.validFrom}: check it and this server's clock`,
    )
  if (Number(to) < Date.now()) throw badOption('tls_client_cert', `expired on ${x509.validTo}`)
  tryTls('tls_client_cert', { cert, key })
}

/** OpenSSL refuses some that can be read, such as those with a key that is too short. */
function tryTls(name: string, tls: ClientTls): void {
  try {
    createSecureContext(tls)
  } catch {
    throw badOption(name, 'is refused by OpenSSL: make it with a longer key or a newer algorithm')
  }
}

/** X509Certificate reads the first certificate of a bundle alone, and TLS ignores what it cannot read. */
function checkBundle(name: string, pem: string | Buffer): void {
  const certificates = pem.toString().split(/(?=-----BEGIN )/)
  // What stands before the first is a comment.
  const [first = '', ...others] = certificates.filter((one) => one.startsWith('-----BEGIN '))
  for (const one of [first, ...others]) certificate(name, one)
}

function certificate(name: string, encoded: string | Buffer): X509Certificate {
  try {
    return new X509Certificate(encoded)
  } catch {
    throw badOption(name, 'must be a certificate in PEM or DER')
  }
}
