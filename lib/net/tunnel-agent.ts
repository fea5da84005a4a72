import { Agent, type AgentOptions, type RequestOptions } from 'node:https'
import type { Duplex } from 'node:stream'
import { within } from './deadline.js'
import type { EgressProxy } from './egress-proxy.js'

type Done = (err: Error | null, stream: Duplex) => void

/** Keeps connections like any agent, and opens them through a proxy, with TLS from here to the bank. */
export class TunnelAgent extends Agent {
  readonly #proxy: EgressProxy
  readonly #limit: number

  /** @param limit milliseconds in which the proxy has to open a connection */
  constructor(options: AgentOptions, { proxy, limit }: { proxy: EgressProxy; limit: number }) {
    super(options)
    this.#proxy = proxy
    this.#limit = limit
  }

  override createConnection(options: RequestOptions, done?: Done): Duplex | null | undefined {
    const host = String(options.host)
    const port = Number(options.port)
    if (!this.#proxy.serves(host, port)) return super.createConnection(options, done)
    const opening = within(this.#limit, ({ signal }) => this.#open(options, { host, port, signal }))
    opening.then(
      (stream) => done?.(null, stream),
      (err: unknown) => (done as ((err: Error) => void) | undefined)?.(err as Error),
    )
    return undefined
  }

  async #open(
    options: RequestOptions,
    target: { host: string; port: number; signal: AbortSignal },
  ): Promise<Duplex> {
    const tunnel = await this.#proxy.open(target)
    if (target.signal.aborted) {
      tunnel.destroy()
      throw target.signal.reason
    }
    const stream = super.createConnection({ ...options, socket: tunnel } as RequestOptions) as Duplex
    // Over what is no socket of Node's, TLS leaves it open.
    stream.once('close', () => tunnel.destroy())
    return stream
  }
}
