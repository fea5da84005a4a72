import type { ServerResponse } from 'node:http'
import Router from 'router'
import { Bank } from './bank.js'
import { errorPage } from './error-page.js'
import { indexPage } from './index-page.js'
import { listen } from './listener.js'
import { logo } from './logo.js'
import { loadOidcProvider } from './oidc-provider.js'
import { resolveOptions, type SandboxOptions } from './options.js'
import { BANKS, type Persona } from './personas.js'
import { Proxy } from './proxy.js'
import { RelyingParty } from './relying-party.js'
import { sendPage } from './reply.js'
import { STYLESHEET } from './stylesheet.js'
import { TrustDirectory } from './trust-directory.js'

/** The options of the strategy that make the app talk to the sandbox; the app adds its own `jwks`. */
export interface SandboxConfig {
  client_id: string
  callback: string
  flow: 'proxy' | 'direct'
  oidc_proxy_service_url: string
  trust_directory_service_url: string
  account_selector_service_url: string
}

export interface SandboxBank {
  id: string
  name: string
  issuer: string
  personas: readonly Persona[]
}

/** A whole IDPartner on this machine. */
export interface Sandbox {
  /** Spreads into the options of the strategy: `new IDPartnerStrategy({ ...sandbox.config, jwks }, verify)`. */
  config: SandboxConfig
  /** A page that explains what runs here. */
  url: string
  banks: SandboxBank[]
  /** Ends everything; no socket or timer stays. */
  close(): Promise<void>
}

/**
 * Starts a whole IDPartner on loopback, in this process and in memory: the proxy with its account selector, the trust
 * directory, and banks with people to log in as.
 *
 * For development and tests only: everybody knows the passwords. Needs the optional peer dependency oidc-provider.
 *
 * @throws {TypeError} for an option that is unknown, wrong or contradicts another
 */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const resolved = resolveOptions(options)
  const oidcProvider = await loadOidcProvider()
  const app = Router()
  const listener = await listen((req, res) => {
    app(req, res, (err: unknown) => {
      finish(res, err)
    })
  }, resolved.port)
  const baseUrl = `http://localhost:${String(listener.port)}`
  const relyingParty = new RelyingParty({
    clientId: resolved.client_id,
    callback: resolved.callback,
    jwksUri: resolved.jwks_uri,
  })
  const appName = new URL(resolved.callback).host

  const registration = {
    client_id: resolved.client_id,
    redirect_uris: [resolved.callback],
    response_types: ['code' as const],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'private_key_jwt' as const,
    id_token_signed_response_alg: 'PS256' as const,
    authorization_signed_response_alg: 'PS256' as const,
  }
  const [trustDirectory, ...banks] = await Promise.all([
    TrustDirectory.create(baseUrl),
    ...BANKS.map((data) => Bank.create(oidcProvider, { data, baseUrl, appName, relyingParty, registration })),
  ])
  const proxy = new Proxy({ baseUrl, appName, banks, relyingParty, trustDirectory })

  const overview = {
    clientId: resolved.client_id,
    callback: resolved.callback,
    jwksUri: resolved.jwks_uri,
    flow: resolved.flow,
    endpoints: [
      ['OIDC proxy', proxy.url],
      ['Trust directory', trustDirectory.jwksUri],
    ] as const,
    banks,
  }
  app.get('/', (_req, res) => {
    sendPage(res, indexPage(overview))
  })
  app.get('/sandbox.css', (_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/css; charset=utf-8', 'Cache-Control': 'no-cache' })
    res.end(STYLESHEET)
  })
  app.get('/sandbox.svg', (_req, res) => {
    res.writeHead(200, { 'Content-Type': 'image/svg+xml', 'Cache-Control': 'no-cache' })
    res.end(logo('sandbox'))
  })
  app.use('/trust-directory', trustDirectory.router())
  app.use('/oidc-proxy', proxy.router())
  for (const bank of banks) {
    app.use(
      `/banks/${bank.id}`,
      bank.router((transaction, answer) => proxy.accept(transaction, answer)),
    )
  }

  return {
    url: baseUrl,
    banks: banks.map(({ id, name, issuer, personas }) => ({ id, name, issuer, personas })),
    config: {
      client_id: resolved.client_id,
      callback: resolved.callback,
      flow: resolved.flow,
      oidc_proxy_service_url: proxy.url,
      trust_directory_service_url: trustDirectory.url,
      account_selector_service_url: `${baseUrl}/v1`,
    },
    async close() {
      await listener.close()
      await relyingParty.close()
    },
  }
}

/** What no route answered, and what went wrong on the way. */
function finish(res: ServerResponse, err: unknown): void {
  if (res.headersSent) {
    res.destroy()
    return
  }
  const page = err
    ? errorPage({
        title: 'This did not work',
        problems: [err instanceof Error ? err.message : 'unknown error'],
        advice: 'Go back to the app and start again.',
      })
    : errorPage({
        title: 'Nothing is here',
        problems: ['The sandbox has no page at this address.'],
        advice: 'The first page explains what runs here.',
      })
  sendPage(res, page, err ? 500 : 404)
}
