import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Pem } from './certificates.js'

/** An HTTP proxy on loopback for CONNECT alone; every name leads to loopback, at the port that was asked for. */
export class ConnectProxy {
  readonly url: string
  /** What was asked for: `bank.example:443`, oldest first. */
  readonly asked: string[] = []
  readonly credentials: (string | undefined)[] = []
  /** The first bytes of each connection that came through it. */
  readonly seen: Buffer[] = []
  readonly sockets = new Set<Duplex>()
  /** Takes over what is done with a request, if it wants to. */
  intervene: ((socket: Duplex) => void) | undefined
  readonly #close: () => void

  private constructor(url: string, close: () => void) {
    this.url = url
    this.#close = close
  }

  static async start(tls?: Pem): Promise<ConnectProxy> {
    const server = tls ? createTlsServer(tls) : createServer()
    server.on('connection', (socket: Socket) => {
      proxy.sockets.add(socket)
      socket.on('error', () => undefined).on('close', () => proxy.sockets.delete(socket))
    })
    server.on('connect', (req: IncomingMessage, socket: Duplex) => {
      proxy.#connect(req, socket)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const origin = `${tls ? 'https' : 'http'}://127.0.0.1:${String((server.address() as AddressInfo).port)}`
    const proxy: ConnectProxy = new ConnectProxy(origin, () => server.close())
    return proxy
  }

  #connect({ url = '', headers }: IncomingMessage, socket: Duplex): void {
    socket.on('error', () => undefined)
    this.asked.push(url)
    this.credentials.push(headers['proxy-authorization'])
    if (this.intervene) {
      this.intervene(socket)
      return
    }
    const upstream = connect(Number(/\d+$/.exec(url)?.[0]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      socket.once('data', (chunk: Buffer) => this.seen.push(chunk))
      socket.pipe(upstream).pipe(socket)
    })
    upstream.on('error', () => socket.destroy())
    upstream.on('close', () => socket.destroy())
    socket.on('close', () => upstream.destroy())
  }

  close(): void {
    this.#close()
    for (const socket of this.sockets) socket.destroy()
  }
}
