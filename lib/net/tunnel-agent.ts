import { Agent, type AgentOptions, type RequestOptions } from 'node:https'
import type { Duplex } from 'node:stream'
import { within } from './deadline.js'
import type { EgressProxy } from './egress-proxy.js'
import { RequestFailure } from './request-failure.js'

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
    const fail = done as ((err: Error) => void) | undefined
    opening.then(
      ({ stream, failure }) => {
        if (stream.destroyed) fail?.(failure() ?? new RequestFailure('closed the connection at once'))
        else done?.(null, stream)
      },
      (err: unknown) => fail?.(err as Error),
    )
    return undefined
  }

  async #open(
    options: RequestOptions,
    target: { host: string; port: number; signal: AbortSignal },
  ): Promise<{ stream: Duplex; failure: () => Error | undefined }> {
    const tunnel = await this.#proxy.open(target)
    // Also what nobody waits for any more would end the process.
    tunnel.on('error', () => undefined)
    if (target.signal.aborted) {
      tunnel.destroy()
      throw target.signal.reason
    }
    const stream = super.createConnection({ ...options, socket: tunnel } as RequestOptions) as Duplex
    // Over what is no socket of Node's, TLS leaves it open.
    stream.once('close', () => tunnel.destroy())
    // Who asked for it listens some turns later, and a stream may fail before that.
    let first: Error | undefined
    stream.on('error', (err) => {
      first ??= err
    })
    return { stream, failure: () => first }
  }
}
