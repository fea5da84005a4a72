import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { errorCode } from './error-code.js'

/** A server on this machine alone, reachable under the name `localhost`. */
export interface Listener {
  port: number
  /** Ends every connection, busy ones too, and resolves when the port is free again. */
  close(): Promise<void>
}

/** How often a free port is looked for again when something else has it on the other loopback address. */
const ATTEMPTS = 10

/**
 * Listens on 127.0.0.1 and on ::1, since `localhost` may lead to either and another program could have the same
 * port on the one that was left out.
 */
export async function listen(handler: RequestListener, port: number, tls?: ServerOptions): Promise<Listener> {
  for (let attempt = 1; ; attempt++) {
    const first = await bound(handler, port, '127.0.0.1', tls)
    const { port: actual } = first.address() as AddressInfo
    try {
      const second = await bound(handler, actual, '::1', tls)
      return listener(actual, [first, second])
    } catch (err) {
      if (isWithoutIPv6(err)) return listener(actual, [first])
      await closed(first)
      if (port !== 0 || attempt === ATTEMPTS) throw err
    }
  }
}

function listener(port: number, servers: Server[]): Listener {
  return {
    port,
    async close() {
      await Promise.all(servers.map(closed))
    },
  }
}

function bound(handler: RequestListener, port: number, host: string, tls?: ServerOptions): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = tls ? createTlsServer(tls, handler) : createServer(handler)
    server.once('error', reject)
    server.listen({ port, host, ipv6Only: true }, () => {
      server.off('error', reject)
      resolve(server)
    })
  })
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve()
    })
    server.closeAllConnections()
  })
}

function isWithoutIPv6(err: unknown): boolean {
  const code = errorCode(err)
  return code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT'
}
