import { Agent as PlainAgent, request as plainRequest } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { createSecureContext } from 'node:tls'
import { hostOf, isLoopback, isPrivateAddress, isPrivateName, isPublicAddress } from './addresses.js'
import { MAX_BODY_BYTES, readAnswer, type Answer } from './answer.js'
import { decoded } from './content-coding.js'
import { Deadline } from './deadline.js'
import type { EgressProxy } from './egress-proxy.js'
import { IDPartnerError } from '../errors.js'
import { HostLookup } from './lookup.js'
import { Places } from './places.js'
import { PrivateNetworks } from './private-networks.js'
import { RequestFailure, connectionText, unavailable } from './request-failure.js'
import { TunnelAgent } from './tunnel-agent.js'

/** Certificate, key and CA as PEM: the first two for requests with `mutualTls`, the last for all. */
export interface ClientTls {
  cert?: string | Buffer
  key?: string | Buffer
  ca?: string | Buffer
}

export interface HttpSettings {
  /** Milliseconds that one request may take. */
  timeout: number
  tls?: ClientTls | undefined
  /** What beside the public internet may be connected to. */
  networks?: PrivateNetworks | undefined
  /** What all connections go through, except those to this machine. */
  egress?: EgressProxy | undefined
}

export interface HttpRequest {
  /** Whom this request asks for what, for messages: `the token endpoint of the bank login.bank.example`. */
  what: string
  method?: string | undefined
  headers?: Record<string, string> | undefined
  body?: string | URLSearchParams | null | undefined
  /** Ends the request before its own timeout does, such as the time budget of a whole callback. */
  signal?: AbortSignal | undefined
  /** Whose document named the URL. Only a party that is itself on loopback may name another loopback address. */
  namedBy?: string | undefined
  /** Shows the client certificate, where there is one. */
  mutualTls?: boolean | undefined
}

/** Interim answers (1xx) before the real one; each may have 16 KB of headers, which no bound on bodies counts. */
const MAX_INTERIM = 20

/** Connections to one origin at a time; further requests wait for one, within their own time. */
const MAX_CONNECTIONS = 32

/**
 * Milliseconds after which an unused connection is not used again, whatever the server announces: what a firewall has
 * dropped looks alive, and a code that is sent into the void is lost with its login.
 */
const MAX_IDLE = 4000

/** TLS 1.3, or 1.2 with one of the four suites of FAPI 1.0 Advanced, section 8.5. */
const TLS = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'DHE-RSA-AES128-GCM-SHA256',
    'DHE-RSA-AES256-GCM-SHA384',
  ].join(':'),
} as const

/** The package's only way out: bounded in time and size, no redirects, and no way into a private network. */
export class Http {
  /** Milliseconds that one request may take. */
  readonly timeout: number
  readonly #plain: PlainAgent
  readonly #tls: TlsAgent
  /** The same with the client certificate. */
  readonly #mutualTls: TlsAgent
  readonly #idleSince = new WeakMap<object, number>()
  readonly #networks: PrivateNetworks
  readonly #egress: EgressProxy | undefined
  /** Of each host behind a proxy: agents count connections once they are open, which takes a proxy a while. */
  readonly #places = new Map<string, Places>()

  constructor({ timeout, tls = {}, networks = new PrivateNetworks(), egress }: HttpSettings) {
    // Its node:http and node:https look up names, keep connections and check certificates in their own way.
    if (process.versions['bun'] !== undefined) {
      throw new IDPartnerError(
        'config_invalid',
        'Bun is not supported, since its connections are not those of Node: use Node',
      )
    }
    this.timeout = timeout
    this.#networks = networks
    this.#egress = egress
    const names = new HostLookup((address, name) => isPublicAddress(address) || networks.opens(address, name))
    const options = {
      lookup: names.lookup,
      keepAlive: true,
      maxSockets: MAX_CONNECTIONS,
      timeout: MAX_IDLE,
      // Said aloud, so that NODE_TLS_REJECT_UNAUTHORIZED changes nothing.
      rejectUnauthorized: true,
      minDHSize: 2048,
    }
    this.#plain = this.#watched(new PlainAgent(options))
    const tlsAgent = (shown: ClientTls): TlsAgent => {
      const secured = { ...options, secureContext: createSecureContext({ ...TLS, ...shown }) }
      return this.#watched(
        egress ? new TunnelAgent(secured, { proxy: egress, limit: timeout }) : new TlsAgent(secured),
      )
    }
    const { ca } = tls
    this.#tls = tlsAgent({ ...(ca && { ca }) })
    this.#mutualTls = tls.cert === undefined ? this.#tls : tlsAgent(tls)
  }

  /**
   * Sends one request and reads the whole answer.
   *
   * Does not follow redirects, does not retry, and does not judge the status.
   *
   * @throws {IDPartnerError} `provider_unavailable`: 502, or 504 when there was no whole answer in time
   */
  async fetch(target: string | URL, init: HttpRequest): Promise<Response> {
    const url = reachable(target, init, this.#networks)
    this.#assertPublicName(url, init.what)
    const deadline = new Deadline(this.timeout, init.signal)
    try {
      const { status, headers, body: coded } = await this.#exchange(url, init, deadline.signal)
      const body = decoded(coded, headers.get('content-encoding') ?? '', MAX_BODY_BYTES)
      // Response refuses a body, even an empty one, for these.
      return new Response([204, 205, 304].includes(status) ? null : body, { status, headers })
    } catch (err) {
      if (err instanceof RequestFailure) throw unavailable(init.what, err.message, err, err.status)
      if (deadline.signal.aborted) {
        throw unavailable(init.what, 'gave no whole answer in time (see the option "timeout")', err, 504)
      }
      throw unavailable(init.what, connectionText(err), err)
    } finally {
      deadline.clear()
    }
  }

  /**
   * The same for documents that may be asked for twice: one more try when the server failed, the connection broke, or
   * no answer came in time, which is how a kept connection looks whose other end is gone.
   *
   * @param init.slot waited for before that, at once by default
   */
  async get(
    target: string | URL,
    { slot, ...init }: HttpRequest & { slot?: () => Promise<void> },
  ): Promise<Response> {
    const first = await this.fetch(target, init).catch(() => undefined)
    if (first && first.status < 500) return first
    await slot?.()
    return this.fetch(target, init)
  }

  /** What a request goes through, if anything. */
  #proxyOf(url: URL): EgressProxy | undefined {
    const port = url.port === '' ? 443 : Number(url.port)
    return url.protocol === 'https:' && this.#egress?.serves(hostOf(url), port) ? this.#egress : undefined
  }

  /** The proxy would look it up, in a network that nobody here knows. */
  #assertPublicName(url: URL, what: string): void {
    if (!this.#proxyOf(url) || !isPrivateName(url) || this.#networks.lists(hostOf(url))) return
    throw unavailable(
      what,
      'has a name of a private network, which is refused (see the option "private_networks")',
    )
  }

  async #exchange(url: URL, init: HttpRequest, signal: AbortSignal): Promise<Answer> {
    const proxy = this.#proxyOf(url)
    if (!proxy) return this.#send(url, init, signal)
    const places = this.#places.get(url.host) ?? new Places(MAX_CONNECTIONS)
    this.#places.set(url.host, places)
    const leave = await places.take(signal)
    try {
      return await this.#send(url, init, signal, proxy)
    } finally {
      leave()
      if (places.isEmpty) this.#places.delete(url.host)
    }
  }

  async #send(url: URL, init: HttpRequest, signal: AbortSignal, proxy?: EgressProxy): Promise<Answer> {
    const isTls = url.protocol === 'https:'
    const agent = !isTls ? this.#plain : init.mutualTls ? this.#mutualTls : this.#tls
    await this.#closeUnusable(agent)
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      let isConnected = false
      const request = (isTls ? tlsRequest : plainRequest)(url, {
        agent,
        method: init.method ?? 'GET',
        headers: { 'accept-encoding': 'identity', ...init.headers },
        insecureHTTPParser: false,
      })
      const fail = (err: Error): void => {
        reject(err)
        request.destroy()
      }
      // A request that waits for a connection does not say that it was destroyed.
      signal.addEventListener('abort', () => {
        fail(proxy && !isConnected ? proxy.tooSlow(signal.reason) : (signal.reason as Error))
      })
      request.on('socket', () => {
        isConnected = true
      })
      request.on('error', fail)
      let interim = 0
      request.on('information', () => {
        if (++interim > MAX_INTERIM) fail(new RequestFailure('sent interim answers without end'))
      })
      // Not every end is an error, such as that of an answer which changes the protocol.
      const closed = (): void => {
        fail(new RequestFailure('closed the connection without an answer'))
      }
      request.on('close', closed)
      request.on('response', (response) => {
        request.off('close', closed)
        readAnswer(response).then(resolve, fail)
      })
      request.end(init.body?.toString())
    })
  }

  #watched<T extends PlainAgent>(agent: T): T {
    // Node's types have it return nothing; whether the connection is kept is what it returns.
    const keepSocketAlive = agent.keepSocketAlive.bind(agent) as (socket: Duplex) => boolean
    agent.keepSocketAlive = (socket) => {
      this.#idleSince.set(socket, Date.now())
      return keepSocketAlive(socket)
    }
    return agent
  }

  /** Lets go of connections that must not be used again; with a code that is lost, a login is lost. */
  async #closeUnusable(agent: PlainAgent): Promise<void> {
    const free = Object.values(agent.freeSockets).flat()
    if (free.length === 0) return
    // The agent's own timer does not run while the machine sleeps or the process is busy.
    for (const socket of free) {
      if (socket && Date.now() - (this.#idleSince.get(socket) ?? 0) > MAX_IDLE) socket.destroy()
    }
    // What the other end has closed already shows in the next turn of the event loop; the first ends the present one.
    await setImmediate()
    await setImmediate()
  }
}

/** A URL that may be an endpoint at all: https, or http on loopback, and without credentials in it. */
export function parseEndpoint(value: unknown): URL | undefined {
  const text = value instanceof URL ? value.href : value
  const url = typeof text === 'string' ? parsed(text) : undefined
  if (!url) return undefined
  if (url.username !== '' || url.password !== '') return undefined
  if (url.protocol === 'https:') return url
  return url.protocol === 'http:' && isLoopback(url) ? url : undefined
}

function parsed(text: string): URL | undefined {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}

/** The URL of a path below that of a service, whether or not the latter ends with a slash. */
export function joinUrl(base: string, path: string): string {
  return `${base.replace(/\/$/, '')}/${path}`
}

function reachable(target: string | URL, { what, namedBy }: HttpRequest, networks: PrivateNetworks): URL {
  const url = parseEndpoint(target)
  if (!url) throw unavailable(what, 'has an address that is not an https: URL')
  if (isLoopback(url)) {
    const from = namedBy === undefined ? url : parseEndpoint(namedBy)
    if (!from || !isLoopback(from))
      throw unavailable(what, 'has an address of this machine, which is refused')
  } else if (isPrivateAddress(url) && !networks.opens(hostOf(url), hostOf(url))) {
    throw unavailable(what, 'has a private address, which is refused (see the option "private_networks")')
  }
  return url
}
