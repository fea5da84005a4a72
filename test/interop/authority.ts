import { generate } from 'selfsigned'
import type { Pem } from '../support/certificates.js'

const LOOPBACK = [
  { type: 2, value: 'localhost' },
  { type: 7, ip: '127.0.0.1' },
] as const

/** A certificate authority that lives as long as the run. */
export class Authority {
  /** @internal */
  readonly pem: Pem

  constructor(pem: Pem) {
    this.pem = pem
  }

  static async create(commonName: string): Promise<Authority> {
    const { cert, private: key } = await generate([{ name: 'commonName', value: commonName }], {
      keyType: 'ec',
      algorithm: 'sha256',
      extensions: [
        { name: 'basicConstraints', cA: true, critical: true },
        { name: 'keyUsage', keyCertSign: true, critical: true },
      ],
    })
    return new Authority({ cert, key })
  }

  get certificate(): string {
    return this.pem.cert
  }

  async server(): Promise<Pem> {
    return this.#issue('loopback', { serverAuth: true })
  }

  async client(commonName: string): Promise<Pem> {
    return this.#issue(commonName, { clientAuth: true })
  }

  async #issue(commonName: string, usage: { serverAuth?: boolean; clientAuth?: boolean }): Promise<Pem> {
    const { cert, private: key } = await generate([{ name: 'commonName', value: commonName }], {
      keyType: 'ec',
      algorithm: 'sha256',
      ca: this.pem,
      extensions: [
        { name: 'basicConstraints', cA: false },
        { name: 'keyUsage', digitalSignature: true },
        { name: 'extKeyUsage', ...usage },
        ...(usage.serverAuth ? [{ name: 'subjectAltName' as const, altNames: [...LOOPBACK] }] : []),
      ],
    })
    return { cert, key }
  }
}
