import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import Router from 'router'
import { Bank } from './bank/bank.js'
import { CONTINUE_SCRIPT } from './pages/continue.js'
import { errorPage } from './pages/error.js'
import { Faults, faultsOf, type Fault } from './faults.js'
import { indexPage } from './pages/index.js'
import type { AppLink } from './pages/layout.js'
import { isLoopback } from './http/host.js'
import { listen, type Listener } from './http/listener.js'
import { logo } from './pages/logo.js'
import type { ResolvedOptions } from './options.js'
import { NETWORKS, type NetworkRules } from './networks.js'
import { Refusals } from './refusals.js'
import { bankAlgorithms } from './algorithms.js'
import { sandboxConfig, type SandboxConfig } from './config.js'
import { banksOf, type Persona } from './bank/personas.js'
import { SigningKeys } from './keys.js'
import { Proxy } from './platform/proxy.js'
import { bindsTokens } from './platform/registration.js'
import { RelyingParty } from './platform/relying-party.js'
import { redirect, sendJson, sendPage } from './http/reply.js'
import { readForm } from './http/request.js'
import { accountSelector } from './platform/account-selector.js'
import { STYLESHEET } from './pages/stylesheet.js'
import { Certificates, type ClientCertificate, type ClientCertificateKind } from './http/tls.js'
import { TrustDirectory } from './platform/trust-directory.js'

/** A bank of the sandbox, and who can log in there. */
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
  /**
   * Lets exactly one login go wrong: the next that begins. Called again before that, it replaces the fault.
   *
   * @throws {TypeError} for a fault that is not in the list
   */
  next(fault: { fault: Fault }): void
  /**
   * For tests of how the app reports a certificate that the banks refuse. Spreads over `config`.
   *
   * @throws {Error} where the sandbox was started without client certificates
   */
  clientCertificate(kind: ClientCertificateKind): Promise<ClientCertificate>
  /** Ends everything; no socket or timer stays. */
  close(): Promise<void>
}

/** Starts everything; see `startSandbox`. */
export async function openSandbox(resolved: ResolvedOptions): Promise<Sandbox> {
  const network = resolved.network && NETWORKS[resolved.network]
  const certificates = needsCertificates(resolved) ? await Certificates.create() : undefined
  const app = Router()
  const listeners: Listener[] = []
  const clientSecret =
    resolved.token_endpoint_auth_method === 'client_secret_basic'
      ? randomBytes(32).toString('base64url')
      : undefined
  const relyingParty = new RelyingParty(resolved, clientSecret)
  const keys = new SigningKeys()
  let home = ''
  const close = async () => {
    await Promise.all(listeners.map((listener) => listener.close()))
    relyingParty.close()
    keys.close()
  }

  try {
    const handler = (req: IncomingMessage, res: ServerResponse) => {
      if (!isLoopback(req.headers.host)) {
        refuseHost(req, res, relyingParty, home)
        return
      }
      app(req, res, (err: unknown) => {
        finish(res, err, relyingParty)
      })
    }
    const open = async (scheme: string, ...args: Parameters<typeof listen>) => {
      const listener = await listen(...args)
      listeners.push(listener)
      return `${scheme}://${resolved.host}:${String(listener.port)}`
    }
    const baseUrl = await open('http', handler, resolved.port)
    home = baseUrl
    const mutualTlsBaseUrl = certificates && (await open('https', handler, 0, certificates.serverOptions))

    const faults = new Faults(resolved)
    const trustDirectory = await TrustDirectory.create(baseUrl, faults, keys)
    const refusals = new Refusals(resolved)
    const algs = bankAlgorithms(resolved)
    const banks: Bank[] = []
    const proxy = new Proxy({ baseUrl, banks, faults, refusals, relyingParty, trustDirectory })
    banks.push(
      ...(await Promise.all(
        banksOf(resolved, network?.claims).map((data) =>
          Bank.create({
            data,
            algs,
            keys,
            profile: resolved.profile,
            dpop: resolved.dpop_bound_access_tokens,
            network,
            baseUrl,
            mutualTlsBaseUrl,
            flow: resolved.flow,
            faults,
            relyingParty,
            refusals,
            returnToProxy: (transaction, answer) => proxy.accept(transaction, data.id, answer),
            isSelectorToken: (token, issuer) => trustDirectory.isToken(token, issuer),
          }),
        ),
      )),
    )
    const loginUrl = resolved.login_url ?? new URL('/login', resolved.callback).href
    const selector = accountSelector({ banks, loginUrl, network, refusals, relyingParty, trustDirectory })

    app.use(pages(resolved, { app: relyingParty, baseUrl, faults, proxy, trustDirectory, banks }))
    app.use('/trust-directory', trustDirectory.router())
    if (resolved.flow === 'proxy') app.use('/oidc-proxy', proxy.router())
    else app.use('/v1/select-accounts', selector)
    for (const bank of banks) {
      app.use(bank.path, bank.router())
      if (!network?.documentWithoutPath) continue
      app.use(`/banks/${bank.id}`, documentWithoutPath(`${baseUrl}/banks/${bank.id}`, network))
    }

    return {
      url: baseUrl,
      banks: banks.map(({ id, name, issuer, personas }) => ({ id, name, issuer, personas })),
      config: await sandboxConfig({
        options: resolved,
        certificates,
        clientSecret,
        keys,
        services: {
          oidc_proxy_service_url: proxy.url,
          trust_directory_service_url: trustDirectory.url,
          account_selector_service_url: `${baseUrl}/v1`,
        },
        issuers: banks.map(({ issuer }) => issuer),
      }),
      next(fault) {
        faults.arm(fault)
      },
      async clientCertificate(kind) {
        if (certificates) return certificates.client(kind)
        throw new Error(
          'This sandbox has no client certificates: start it with tls_client_auth or bound tokens',
        )
      },
      close,
    }
  } catch (err) {
    await close()
    throw err
  }
}

/** What is no part of IDPartner: the first page, and what all pages need. */
function pages(
  options: ResolvedOptions,
  parts: {
    app: AppLink
    baseUrl: string
    faults: Faults
    proxy: Proxy
    trustDirectory: TrustDirectory
    banks: readonly Bank[]
  },
): Router.Router {
  const { client_id, callback, jwks_uri, flow, network } = options
  const { app, baseUrl, faults, proxy, trustDirectory, banks } = parts
  const router = Router()
  const overview = {
    app,
    clientId: client_id,
    callback,
    jwksUri: jwks_uri,
    flow,
    network,
    endpoints: {
      ...(flow === 'proxy'
        ? { 'OIDC proxy': proxy.url }
        : { 'Account selector': `${baseUrl}/v1/select-accounts` }),
      'Trust directory': trustDirectory.jwksUri,
    },
    faults: faultsOf(options),
    banks,
  }
  router.get('/', (_req, res) => {
    sendPage(res, indexPage({ ...overview, waiting: faults.waiting }))
  })
  router.post('/next', async (req, res) => {
    const chosen = (await readForm(req)).get('fault') ?? ''
    if (chosen === '') faults.disarm()
    else faults.arm({ fault: chosen as Fault })
    redirect(res, '/')
  })
  router.get(STYLESHEET_PATH, (_req, res) => {
    sendStylesheet(res)
  })
  const files = {
    '/sandbox.svg': ['image/svg+xml', logo('sandbox')],
    '/continue.js': ['text/javascript; charset=utf-8', CONTINUE_SCRIPT],
  } as const
  for (const [path, [type, content]] of Object.entries(files)) {
    router.get(path, (_req, res) => {
      res.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'no-cache' })
      res.end(content)
    })
  }
  return router
}

/** Says no more than what the app is called: a stranger's page can read that. */
function refuseHost(req: IncomingMessage, res: ServerResponse, app: AppLink, home: string): void {
  if (req.url === STYLESHEET_PATH) {
    sendStylesheet(res)
    return
  }
  const title = 'This is another address'
  const problems = ['The sandbox answers under the names localhost, 127.0.0.1 and [::1] alone.']
  sendPage(res, errorPage({ title, problems, advice: 'Start at your app.', app, home }), 421)
}

const STYLESHEET_PATH = '/sandbox.css'

function sendStylesheet(res: ServerResponse): void {
  res.writeHead(200, { 'Content-Type': 'text/css; charset=utf-8', 'Cache-Control': 'no-cache' })
  res.end(STYLESHEET)
}

/** What an app finds that forgot how the issuers of its network end. */
function documentWithoutPath(issuer: string, { documentWithoutPath }: NetworkRules): Router.Router {
  const router = Router()
  const members = Object.entries(documentWithoutPath ?? {}).map(([name, value]): [string, unknown] => [
    name,
    typeof value === 'string' ? `${issuer}${value}` : value,
  ])
  const document = { issuer, ...Object.fromEntries(members) }
  router.get('/.well-known/openid-configuration', (_req, res) => {
    sendJson(res, document)
  })
  return router
}

function needsCertificates(options: ResolvedOptions): boolean {
  return options.token_endpoint_auth_method === 'tls_client_auth' || bindsTokens(options)
}

/** What no route answered, and what went wrong on the way. */
function finish(res: ServerResponse, err: unknown, app: AppLink): void {
  if (res.headersSent) {
    res.destroy()
    return
  }
  if (!err) {
    const problems = ['The sandbox has no page at this address.']
    sendPage(res, errorPage({ title: 'Nothing is here', problems, advice: 'Start at your app.', app }), 404)
    return
  }
  const { message, status } = err as { message?: string; status?: number }
  const advice = 'Start again at the app.'
  const page = errorPage({ title: 'This did not work', problems: [message ?? 'Unknown error'], advice, app })
  sendPage(res, page, status ?? 500)
}
