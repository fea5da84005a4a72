import dns from 'node:dns'
import type { LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { Agent, request } from 'undici'
import { Deadline } from './deadline.js'
import { IDPartnerError, isError } from '../errors.js'

/** Certificate, key and CA as PEM, for the connections to banks. */
export interface ClientTls {
  cert?: string | Buffer
  key?: string | Buffer
  ca?: string | Buffer
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
}

/** A larger answer than any document of this protocol is an attack or a mistake. */
const MAX_BODY_BYTES = 1024 * 1024

/** The package's only way out: bounded in time and size, no redirects, and no way into a private network. */
export class Http {
  readonly #timeout: number
  readonly #agent: Agent

  constructor({ timeout, tls }: { timeout: number; tls?: ClientTls }) {
    this.#timeout = timeout
    this.#agent = new Agent({ connect: { ...tls, lookup: guardedLookup, timeout } })
  }

  /**
   * Sends one request and reads the whole answer.
   *
   * Does not follow redirects, does not retry, and does not judge the status.
   *
   * @throws {IDPartnerError} `provider_unavailable`: 502, or 504 when there was no whole answer in time
   */
  async fetch(target: string | URL, init: HttpRequest): Promise<Response> {
    const url = reachable(target, init)
    const { what } = init
    const deadline = new Deadline(this.#timeout, init.signal)
    try {
      const answer = await request(url, {
        dispatcher: this.#agent,
        method: (init.method ?? 'GET') as 'GET',
        headers: init.headers ?? {},
        body: init.body?.toString() ?? null,
        signal: deadline.signal,
        headersTimeout: 0,
        bodyTimeout: 0,
      })
      const chunks: Buffer[] = []
      let size = 0
      for await (const chunk of answer.body as AsyncIterable<Buffer>) {
        size += chunk.length
        // Leaving the loop closes the connection.
        if (size > MAX_BODY_BYTES) throw unavailable(what, 'answered with more than 1 MiB')
        chunks.push(chunk)
      }
      // Response refuses a body, even an empty one, for these.
      const body = [204, 205, 304].includes(answer.statusCode) ? null : Buffer.concat(chunks)
      return new Response(body, { status: answer.statusCode, headers: flat(answer.headers) })
    } catch (err) {
      if (err instanceof IDPartnerError) throw err
      if (deadline.signal.aborted) {
        throw unavailable(what, 'gave no whole answer in time (see the option "timeout")', err, 504)
      }
      throw unavailable(what, failureText(err), err)
    } finally {
      deadline.clear()
    }
  }

  /**
   * The same for documents that may be asked for twice: one more try when the server failed, the connection broke, or
   * no answer came in time, which is how a kept connection looks whose other end is gone.
   */
  async get(target: string | URL, init: HttpRequest): Promise<Response> {
    const first = await this.fetch(target, init).catch(() => undefined)
    return first && first.status < 500 ? first : this.fetch(target, init)
  }
}

/** Whether a host is this machine: the only place where plain http is good enough. */
export function isLoopback(url: URL): boolean {
  const host = hostOf(url)
  return host === 'localhost' || (ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback')
}

/** A URL that may be an endpoint at all: https, or http on loopback, and without credentials in it. */
export function parseEndpoint(value: unknown): URL | undefined {
  const text = value instanceof URL ? value.href : value
  if (typeof text !== 'string' || !URL.canParse(text)) return undefined
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') return undefined
  if (url.protocol === 'https:') return url
  return url.protocol === 'http:' && isLoopback(url) ? url : undefined
}

/** The URL of something that a service has below its own URL, whether or not that ends with a slash. */
export function below(base: string, path: string): string {
  return `${base.replace(/\/$/, '')}/${path}`
}

/** Whether the URL's host is spelled as an address that is not a public one. Loopback counts as private here. */
export function isPrivateAddress(url: URL): boolean {
  const host = hostOf(url)
  return ipaddr.isValid(host) && !isPublic(host)
}

/** The host without the brackets that a URL puts around IPv6. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

function isPublic(address: string): boolean {
  // process() unwraps IPv4-mapped IPv6, behind which a private address could hide.
  return ipaddr.process(address).range() === 'unicast'
}

function reachable(target: string | URL, { what, namedBy }: HttpRequest): URL {
  const url = parseEndpoint(target)
  if (!url) throw unavailable(what, 'has an address that is not an https: URL')
  if (isLoopback(url)) {
    const from = namedBy === undefined ? url : parseEndpoint(namedBy)
    if (!from || !isLoopback(from))
      throw unavailable(what, 'has an address of this machine, which is refused')
  } else if (isPrivateAddress(url)) {
    throw unavailable(what, 'has a private address, which is refused')
  }
  return url
}

/**
 * Checks what a name resolves to at the moment of connecting, since a name under an attacker's control may
 * resolve to something else each time it is asked for.
 */
const guardedLookup: LookupFunction = (hostname, options, callback) => {
  dns.lookup(hostname, options, (err, address, family) => {
    if (err) {
      callback(err, address, family)
      return
    }
    const found = Array.isArray(address) ? address.map((a) => a.address) : [address]
    const wanted =
      hostname === 'localhost' ? (ip: string) => ipaddr.process(ip).range() === 'loopback' : isPublic
    callback(found.every(wanted) ? null : new PrivateAddress(), address, family)
  })
}

class PrivateAddress extends Error {
  readonly code = 'PRIVATE_ADDRESS'
  constructor() {
    super('the name resolves to a private address')
  }
}

/** A host has no bound of its own, and every message of ours ends within 300 characters. */
const MAX_WHAT = 150

/** The URL stays out of it: its path and query may hold anything, a token included. */
function unavailable(what: string, why: string, cause?: unknown, status?: number): IDPartnerError {
  const who = what.length > MAX_WHAT ? `${what.slice(0, MAX_WHAT)}…` : what
  return new IDPartnerError('provider_unavailable', `${who} ${why}`, { cause, status })
}

/** How it looks when a server ends a connection: many do, where a client certificate is missing. */
const BROKEN_OFF = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']

function failureText(err: unknown): string {
  const code = isError(err) && 'code' in err && typeof err.code === 'string' ? err.code : 'unknown'
  if (code === 'PRIVATE_ADDRESS') return 'resolves to a private address, which is refused'
  if (code.startsWith('ERR_SSL_') || BROKEN_OFF.includes(code)) {
    return `broke the connection off (${code}); if this bank asks for a client certificate, check tls_client_cert`
  }
  if (/CERT|SIGNATURE|ISSUER/.test(code)) {
    return `showed a certificate that is not trusted (${code}); see the option "tls_server_ca"`
  }
  return `could not be reached (${code})`
}

function flat(headers: Record<string, string | string[] | undefined>): Headers {
  const result = new Headers()
  for (const [name, value] of Object.entries(headers)) {
    for (const one of [value ?? []].flat()) result.append(name, one)
  }
  return result
}
