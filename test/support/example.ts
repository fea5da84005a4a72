import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Express } from 'express'
import { generateJwks, type IDPartnerConfig } from 'passport-idpartner'
import { startSandbox, type Sandbox } from 'passport-idpartner/sandbox'
import { createApp } from '../../example-app/app.js'

export interface Example {
  url: string
  app: Express
  sandbox: Sandbox
  close(): Promise<void>
}

/** The example app, on a free port unless told otherwise, with a sandbox of its own; `options` bends what the app is configured with. */
export async function startExample(options: Partial<IDPartnerConfig> = {}, port = 0): Promise<Example> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(port, 'localhost', resolve))
  const url = `http://localhost:${String((server.address() as AddressInfo).port)}`
  const callback = options.callback ?? `${url}/login/callback`
  const sandbox = await startSandbox({ client_id: 'quayside', callback, jwks_uri: `${url}/jwks` })
  const app = createApp({ ...sandbox.config, jwks: await generateJwks(), ...options })
  server.on('request', app as RequestListener)
  return {
    url,
    app,
    sandbox,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await Promise.all([closed, sandbox.close()])
    },
  }
}
