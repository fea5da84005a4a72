import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Express } from 'express'
import { generate } from 'selfsigned'
import { generateJwks, type IDPartnerConfig } from 'passport-idpartner'
import { startSandbox, type Sandbox, type SandboxOptions } from 'passport-idpartner/sandbox'
import { createApp } from '../../example-app/app.js'

export interface Example {
  url: string
  app: Express
  sandbox: Sandbox
  close(): Promise<void>
}

export interface ExampleOptions {
  /** Bends what the app is configured with. */
  config?: Partial<IDPartnerConfig>
  sandbox?: Partial<SandboxOptions>
  /** A free port by default. */
  port?: number
  /** At an https address, with a certificate that nobody trusts. */
  https?: boolean
  /** Sees each request and response before the app does; `true` keeps the request from it. */
  intercept?: (req: IncomingMessage, res: ServerResponse) => boolean
}

/** The example app with a sandbox of its own. */
export async function startExample(options: ExampleOptions = {}): Promise<Example> {
  const server = createServer()
  const servers: Server[] = [server]
  const origin = `http://localhost:${String(await listen(server, options.port))}`
  let url = origin
  if (options.https) {
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }])
    const outer = createTlsServer({ cert, key })
    servers.push(outer)
    url = `https://localhost:${String(await listen(outer))}`
  }
  const callback = options.config?.callback ?? `${url}/login/callback`
  const sandbox = await startSandbox({
    client_id: 'quayside',
    client_name: 'Quayside',
    client_uri: url,
    callback,
    jwks_uri: `${origin}/jwks`,
    post_logout_redirect_uris: [new URL('/', callback).href],
    backchannel_logout_uri: `${origin}/backchannel-logout`,
    ...options.sandbox,
  })
  const app = createApp({ ...sandbox.config, jwks: await generateJwks(), ...options.config })
  for (const one of servers) {
    one.on('request', (req, res) => {
      // As the proxy would that ends TLS.
      if (one !== server) req.headers['x-forwarded-proto'] = 'https'
      if (!options.intercept?.(req, res)) (app as RequestListener)(req, res)
    })
  }
  return {
    url,
    app,
    sandbox,
    async close() {
      await Promise.all([...servers.map(closed), sandbox.close()])
    },
  }
}

async function listen(server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve) => server.listen(port, 'localhost', resolve))
  return (server.address() as AddressInfo).port
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve()
    })
    server.closeAllConnections()
  })
}
