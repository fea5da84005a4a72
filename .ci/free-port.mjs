import { once } from 'node:events'
import { createServer } from 'node:net'

/** A port at which nobody listens, whatever `localhost` is: for a server that is started elsewhere. */
export async function freePort() {
  const server = createServer().listen(0)
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
