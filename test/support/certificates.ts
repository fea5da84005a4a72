import { generate } from 'selfsigned'

export interface Pem {
  cert: string
  key: string
}

let certificates: Promise<{ server: Pem; client: Pem }> | undefined

/** Certificates for mutual TLS on loopback, each its own authority. */
export function tlsCertificates(): Promise<{ server: Pem; client: Pem }> {
  certificates ??= Promise.all([
    selfSigned('bank on loopback', { serverAuth: true }),
    selfSigned('test-app', { clientAuth: true }),
  ]).then(([server, client]) => ({ server, client }))
  return certificates
}

/** For what has suites of RSA alone. */
export function rsaCertificate(): Promise<Pem> {
  rsa ??= selfSigned('bank on loopback', { serverAuth: true }, 'rsa')
  return rsa
}

let rsa: Promise<Pem> | undefined

/** Names that tests lead to loopback: a bank on the internet, and one in a private network. */
const names = ['bank.example', 'bank.internal'].map((value) => ({ type: 2, value }) as const)

/** A client certificate of its own, with so many days left, or so many since it ended; or one that another has issued. */
export function clientCertificate(commonName: string, days = 365, issuer?: Pem): Promise<Pem> {
  return selfSigned(commonName, { clientAuth: true }, 'ec', days, issuer)
}

async function selfSigned(
  commonName: string,
  usage: object,
  keyType: 'ec' | 'rsa' = 'ec',
  days = 365,
  issuer?: Pem,
): Promise<Pem> {
  const pem = await generate([{ name: 'commonName', value: commonName }], {
    keyType,
    algorithm: 'sha256',
    ...(issuer && { ca: issuer }),
    notBeforeDate: new Date(Date.now() - 365 * 86_400_000),
    notAfterDate: new Date(Date.now() + days * 86_400_000),
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true },
      { name: 'extKeyUsage', ...usage },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }, ...names] },
    ],
  })
  return { cert: pem.cert, key: pem.private }
}
