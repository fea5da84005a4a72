import { X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { ServerOptions } from 'node:https'
import { TLSSocket } from 'node:tls'
import { withPeers } from '../peers.js'

/** The subject that the banks have registered for the app's certificate. */
export const CLIENT_SUBJECT = 'CN=IDPartner sandbox app'

const DAY = 24 * 60 * 60 * 1000

/**
 * Which client certificate to have: one that the banks accept, one that has expired, one that a stranger's authority
 * issued, or one that the sandbox's own authority issued to another app.
 */
export type ClientCertificateKind = 'valid' | 'expired' | 'stranger' | 'other_app'

/** A client certificate under the names of the strategy's options, PEM. */
export interface ClientCertificate {
  tls_client_cert: string
  tls_client_key: string
}

interface Pem {
  cert: string
  key: string
}

type Issue = (commonName: string, validity?: { from: Date; to: Date }) => Promise<Pem>

interface Authority {
  certificate: string
  issueServer: () => Promise<Pem>
  issueClient: Issue
}

/** The certificates of one run: an authority, a server certificate, and client certificates of every kind. */
export class Certificates {
  readonly #authority: Authority
  readonly #server: Pem

  private constructor(authority: Authority, server: Pem) {
    this.#authority = authority
    this.#server = server
  }

  static async create(): Promise<Certificates> {
    const authority = await createAuthority('IDPartner sandbox CA')
    return new Certificates(authority, await authority.issueServer())
  }

  /** The authority's certificate, PEM: what the app has to trust. */
  get authority(): string {
    return this.#authority.certificate
  }

  /**
   * Certificates are asked for, but each is judged later, so that a bad one is answered with an OAuth error and not
   * with a broken connection.
   */
  get serverOptions(): ServerOptions {
    return { ...this.#server, ca: this.authority, requestCert: true, rejectUnauthorized: false }
  }

  async client(kind: ClientCertificateKind): Promise<ClientCertificate> {
    const { cert, key } = await this.#issue(kind)
    return { tls_client_cert: cert, tls_client_key: key }
  }

  async #issue(kind: ClientCertificateKind): Promise<Pem> {
    const name = CLIENT_SUBJECT.slice(3)
    switch (kind) {
      case 'valid':
        return this.#authority.issueClient(name)
      case 'expired': {
        const now = Date.now()
        return this.#authority.issueClient(name, { from: new Date(now - 3 * DAY), to: new Date(now - DAY) })
      }
      case 'stranger':
        return (await createAuthority("A stranger's CA")).issueClient(name)
      case 'other_app':
        return this.#authority.issueClient('Another app')
    }
  }
}

/** The certificate that came with a request, if it is one of the sandbox's authority. */
export function clientCertificateOf(req: IncomingMessage): X509Certificate | undefined {
  const { socket } = req
  return socket instanceof TLSSocket && socket.authorized ? socket.getPeerX509Certificate() : undefined
}

/** What is wrong with the certificate that came with a request; nothing when there is none. */
export function certificateProblem({ socket }: IncomingMessage): string | undefined {
  if (!(socket instanceof TLSSocket) || socket.authorized || !socket.getPeerX509Certificate())
    return undefined
  const code = String(socket.authorizationError)
  return code === 'CERT_HAS_EXPIRED'
    ? 'the client certificate has expired'
    : `the client certificate is not one that IDPartner issued (${code})`
}

async function createAuthority(name: string): Promise<Authority> {
  const { generate } = await withPeers(() => import('selfsigned'))
  const common = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const
  // A day back, for clocks that differ.
  const usual = () => ({
    notBeforeDate: new Date(Date.now() - DAY),
    notAfterDate: new Date(Date.now() + 90 * DAY),
  })
  const authority = await generate([{ name: 'commonName', value: name }], {
    ...common,
    ...usual(),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  })
  const ca = { cert: authority.cert, key: authority.private }
  return {
    certificate: authority.cert,
    async issueServer() {
      const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
        ...common,
        ...usual(),
        ca,
        extensions: [
          { name: 'keyUsage', digitalSignature: true, critical: true },
          { name: 'extKeyUsage', serverAuth: true },
          {
            name: 'subjectAltName',
            altNames: [
              { type: 2, value: 'localhost' },
              { type: 7, ip: '127.0.0.1' },
              { type: 7, ip: '::1' },
            ],
          },
        ],
      })
      return { cert, key }
    },
    async issueClient(commonName, validity) {
      const { cert, private: key } = await generate([{ name: 'commonName', value: commonName }], {
        ...common,
        ...(validity ? { notBeforeDate: validity.from, notAfterDate: validity.to } : usual()),
        ca,
        extensions: [
          { name: 'keyUsage', digitalSignature: true, critical: true },
          { name: 'extKeyUsage', clientAuth: true },
        ],
      })
      return { cert, key }
    },
  }
}
