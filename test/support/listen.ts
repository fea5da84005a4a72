import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A server of which the address is known before what it serves is. */
export interface Listening {
  url: string
  serve(app: RequestListener): void
  close(): Promise<void>
}

export async function listen(): Promise<Listening> {
  const server = createServer()
  server.listen(0, 'localhost')
  await once(server, 'listening')
  return {
    url: `http://localhost:${String((server.address() as AddressInfo).port)}`,
    serve(app) {
      server.on('request', app)
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
