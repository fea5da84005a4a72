import { request as plainRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { Socket, isIP } from 'node:net'
import { Duplex } from 'node:stream'
import { createSecureContext } from 'node:tls'
import { isLoopbackAddress, isLoopbackName } from './addresses.js'
import { HostLookup } from './lookup.js'
import { exceptionsOf, type IsException } from './no-proxy.js'
import { NotReached, errorCode, type RequestFailure } from './request-failure.js'

/** Where a connection is to lead; it has to be given up when the signal ends. */
export interface ConnectTarget {
  host: string
  port: number
  signal: AbortSignal
}

/** Opens a connection to a host by some way of the application's own. What is sent over it is TLS, and opened nowhere. */
export type Connect = (target: ConnectTarget) => Promise<Duplex>

interface Settings {
  /** What messages call it, without any password. */
  name: string
  connect: Connect
  isException?: IsException
}

/** The one way out of a network that has no other: for all but this machine, and what is excepted. */
export class EgressProxy {
  readonly name: string
  readonly #connect: Connect
  readonly #isException: IsException

  private constructor({ name, connect, isException = () => false }: Settings) {
    this.name = name
    this.#connect = connect
    this.#isException = isException
  }

  /**
   * @param url one that {@link isProxyUrl} has nothing against
   * @param options.ca whom to trust instead of the usual authorities, where the proxy itself is spoken to over TLS
   * @param options.exceptions hosts that are connected to without it, as in `NO_PROXY`
   */
  static at(url: URL, options: { ca?: string | Buffer | undefined; exceptions?: string } = {}): EgressProxy {
    const tunnels = new Tunnels(url, options.ca)
    return new EgressProxy({
      name: `the proxy ${url.host}`,
      connect: (target) => tunnels.open(target),
      isException: exceptionsOf(options.exceptions ?? ''),
    })
  }

  static by(connect: Connect): EgressProxy {
    const name = 'the function "egress_proxy"'
    return new EgressProxy({
      name,
      async connect(target) {
        try {
          const stream: unknown = await connect(target)
          if (stream instanceof Duplex && isOfBytes(stream)) return stream
        } catch (err) {
          throw new NotReached(`${name} failed`, 503, err)
        }
        throw new NotReached(`${name} returned no stream of bytes`, 503)
      },
    })
  }

  /** Whether a host is connected to through the proxy; this machine never is. */
  serves(host: string, port: number): boolean {
    return !isLoopbackName(host) && !isLoopbackAddress(host) && !this.#isException(host, port)
  }

  /** @throws {RequestFailure} */
  open(target: ConnectTarget): Promise<Duplex> {
    return this.#connect(target)
  }

  /** What is said of a request that has got no connection in its time. */
  tooSlow(cause?: unknown): RequestFailure {
    return new NotReached(`${this.name} opened no connection in time (see the option "timeout")`, 504, cause)
  }
}

/** TLS is bytes, and Node ends the process where a stream other than a socket of its own gives anything else. */
function isOfBytes(stream: Duplex): boolean {
  const { readableObjectMode, writableObjectMode, readableEncoding } = stream
  return stream instanceof Socket || (!readableObjectMode && !writableObjectMode && readableEncoding === null)
}

/** Whether a URL can be that of a proxy: http or https, with nothing but a host, a port and credentials. */
export function isProxyUrl(url: URL): boolean {
  const { protocol, pathname, search, hash } = url
  return ['http:', 'https:'].includes(protocol) && pathname === '/' && search === '' && hash === ''
}

/** Connections through an HTTP proxy (RFC 9110, section 9.3.6). */
class Tunnels {
  readonly #url: URL
  readonly #authorization: string | undefined
  readonly #tls: object
  /** The operator has named it, wherever it is. */
  readonly #names = new HostLookup(() => true)

  constructor(url: URL, ca?: string | Buffer) {
    this.#url = url
    const { username, password } = url
    const credentials = [username, password].map(decoded).join(':')
    this.#authorization =
      username === '' && password === '' ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`
    this.#tls =
      url.protocol === 'https:'
        ? { secureContext: createSecureContext({ minVersion: 'TLSv1.2', ca }), rejectUnauthorized: true }
        : {}
  }

  open({ host, port, signal }: ConnectTarget): Promise<Duplex> {
    const { protocol, hostname, port: own, host: name } = this.#url
    const isTls = protocol === 'https:'
    const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${String(port)}`
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      const request: ClientRequest = (isTls ? tlsRequest : plainRequest)({
        method: 'CONNECT',
        hostname: hostname.replace(/^\[|\]$/g, ''),
        port: own === '' ? (isTls ? 443 : 80) : Number(own),
        path: authority,
        headers: {
          host: authority,
          ...(this.#authorization !== undefined && { 'proxy-authorization': this.#authorization }),
        },
        // A connection of its own, which is the bank's from then on.
        agent: false,
        lookup: this.#names.lookup,
        insecureHTTPParser: false,
        ...this.#tls,
      })
      const fail = (err: Error): void => {
        signal.removeEventListener('abort', stop)
        reject(err)
        request.destroy()
      }
      const stop = (): void => {
        fail(signal.reason as Error)
      }
      signal.addEventListener('abort', stop)
      request.on('error', (err) => {
        fail(new NotReached(`the proxy ${name} could not be reached (${errorCode(err)})`, 503, err))
      })
      request.on('close', () => {
        fail(new NotReached(`the proxy ${name} closed the connection without an answer`, 503))
      })
      request.on('connect', ({ statusCode = 0 }: IncomingMessage, socket: Duplex, head: Buffer) => {
        // Neither a refusal nor what comes with it is an answer of the bank's.
        if (statusCode < 200 || statusCode > 299) {
          socket.destroy()
          fail(refusal(name, statusCode))
          return
        }
        if (head.length > 0) socket.unshift(head)
        signal.removeEventListener('abort', stop)
        resolve(socket)
      })
      request.end()
    })
  }
}

function refusal(name: string, status: number): RequestFailure {
  const answered = `the proxy ${name} answered HTTP ${String(status)}`
  // Some answer a wrong password as a server would that is no proxy.
  if ([401, 407].includes(status)) {
    return new NotReached(`${answered}: check the credentials in "egress_proxy"`, 503)
  }
  if ([403, 405].includes(status)) return new NotReached(`${answered}: it has to allow CONNECT to there`, 503)
  return new NotReached(answered, status === 504 ? 504 : 503)
}

/** What is no encoding stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
