import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { TLSSocket } from 'node:tls'
import { json, send, type Fault, type Reply } from './faults.js'

/** A request that reached the platform. */
export interface SeenRequest {
  /** Party and endpoint, such as `bankA.token`. */
  endpoint: string
  method: string
  url: string
  headers: IncomingHttpHeaders
  body: string
  /** Whose certificate the client showed; only over TLS, and where the server asks for one. */
  certificate?: string
}

export type Handler = (request: SeenRequest) => Reply | Promise<Reply>

/** What all servers of one platform share. */
export class Wire {
  readonly requests: SeenRequest[] = []
  /** What the platform found wrong with our requests. */
  readonly complaints: string[] = []
  /** Told of each request before it is answered. */
  seen: (request: SeenRequest) => void = () => undefined
  readonly #faults = new Map<string, { fault: Fault; times: number }>()

  plan(endpoint: string, fault: Fault, times: number): void {
    this.#faults.set(endpoint, { fault, times })
  }

  heal(): void {
    this.#faults.clear()
  }

  forget(): void {
    this.requests.length = 0
    this.complaints.length = 0
    this.heal()
  }

  next(endpoint: string): Fault | undefined {
    const planned = this.#faults.get(endpoint)
    if (!planned || planned.times === 0) return undefined
    planned.times--
    return planned.fault
  }
}

export interface Running {
  origin: string
  close(): Promise<void>
}

export interface ServerPlace {
  /** This machine by one of its own names; `127.0.0.1` by default. */
  host?: string
  /** What its origin calls it, where a test leads that name to loopback. */
  hostname?: string
  tls?: ServerOptions
}

/** A real HTTP server on loopback, on whatever port is free. */
export async function startServer(
  party: string,
  routes: Record<string, Handler>,
  wire: Wire,
  { host = '127.0.0.1', hostname = host, tls }: ServerPlace = {},
): Promise<Running> {
  const listener = (req: IncomingMessage, res: ServerResponse): void => {
    serve(party, routes, wire, req, res).catch((err: unknown) => {
      wire.complaints.push(`${party} failed: ${String(err)}`)
      res.destroy()
    })
  }
  const server = tls ? createTlsServer(tls, listener) : createServer(listener)
  const port = await listen(server, host)
  let closed: Promise<void> | undefined
  return {
    origin: `${tls ? 'https' : 'http'}://${hostname}:${String(port)}`,
    close() {
      closed ??= new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        server.closeAllConnections()
      })
      return closed
    },
  }
}

/** A URL at which nobody listens. */
export async function unusedOrigin(): Promise<string> {
  const server = await startServer('nobody', {}, new Wire())
  await server.close()
  return server.origin
}

async function serve(
  party: string,
  routes: Record<string, Handler>,
  wire: Wire,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const url = req.url ?? '/'
  const path = url.split('?')[0] ?? ''
  const name = Object.keys(routes).find((route) => route.slice(route.indexOf(' ') + 1) === path)
  const endpoint = `${party}.${name?.split(' ')[0] ?? 'unknown'}`
  const certificate = certificateOf(req)
  const seen = {
    endpoint,
    method: req.method ?? '',
    url,
    headers: req.headers,
    body: await bodyOf(req),
    ...(certificate !== undefined && { certificate }),
  }
  wire.requests.push(seen)
  wire.seen(seen)
  const fault = wire.next(endpoint)
  const genuine = name === undefined ? json({}, 404) : await routes[name]?.(seen)
  ;(fault ?? send)(res, genuine ?? json({}, 404))
}

function certificateOf({ socket }: IncomingMessage): string | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  // Of a client that showed none, an empty object.
  const { subject } = socket.getPeerCertificate() as { subject?: { CN: string } }
  return subject?.CN
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

function listen(server: Server, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, host, () => {
      resolve((server.address() as AddressInfo).port)
    })
  })
}
