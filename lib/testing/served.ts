import { once } from 'node:events'
import { createServer, type RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An application: where it listens, its server, or the handler of its requests, such as an Express application. */
export type App = string | URL | Server | RequestListener

/**
 * Runs something while an application listens: one that does not listen by itself does so at the callback's port, for
 * that time alone.
 *
 * @throws {Error} where something else listens there
 */
export async function whileServed<T>(
  app: App,
  callback: string,
  run: (origin: string) => Promise<T>,
): Promise<T> {
  if (typeof app === 'string' || app instanceof URL) return await run(new URL(app).origin)
  const { protocol, hostname, port, origin } = new URL(callback)
  if (app instanceof Server && app.listening) {
    return await run(`${protocol}//${hostname}:${String((app.address() as AddressInfo).port)}`)
  }
  const server = app instanceof Server ? app : createServer(app)
  server.prependListener('request', endsConnection)
  server.listen(Number(port || 80), hostname.replace(/^\[(.*)\]$/, '$1'))
  try {
    await once(server, 'listening')
  } catch (cause) {
    throw new Error(
      `login: the app cannot listen at ${origin}, where its callback is; if it listens there already, give its URL`,
      { cause },
    )
  }
  try {
    return await run(origin)
  } finally {
    server.off('request', endsConnection)
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
}

/** The next login listens at the same address, where a connection of this one would be dead. */
const endsConnection: RequestListener = (_req, res) => {
  res.shouldKeepAlive = false
}
