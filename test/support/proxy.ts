import type { Change } from './bends.js'
import { json } from './faults.js'
import { startServer, type Running, type ServerPlace, type Wire } from './loopback-server.js'

/** The OIDC proxy: a discovery document, and otherwise a place the browser is sent to. */
export class Proxy {
  /** Bends its discovery document. */
  metadata: Change = (document) => document
  readonly #server: Running

  private constructor(server: Running) {
    this.#server = server
  }

  static async start(wire: Wire, place: ServerPlace = {}): Promise<Proxy> {
    const server = await startServer(
      'proxy',
      { 'discovery /oidc-proxy/.well-known/openid-configuration': () => json(proxy.document()) },
      wire,
      place,
    )
    const proxy = new Proxy(server)
    return proxy
  }

  get issuer(): string {
    return `${this.#server.origin}/oidc-proxy`
  }

  document(): unknown {
    return this.metadata({
      issuer: this.issuer,
      authorization_endpoint: `${this.issuer}/auth`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
    })
  }

  close(): Promise<void> {
    return this.#server.close()
  }
}
