import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'

/** A request that a server of this process got, to be sent once more, and the error that it was answered with. */
export interface Got {
  method: string
  url: string
  headers: Record<string, string>
  body: string
  error: string | undefined
}

const KEPT = ['authorization', 'dpop', 'x-fapi-interaction-id']

/** Hears what the servers of this process get and answer, until it is ended. */
export class Traffic {
  readonly got: Got[] = []
  readonly #hear = (message: unknown): void => {
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse }
    this.#note(request, response)
  }

  static begin(): Traffic {
    const traffic = new Traffic()
    subscribe('http.server.request.start', traffic.#hear)
    return traffic
  }

  end(): void {
    unsubscribe('http.server.request.start', this.#hear)
  }

  #note(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = []
    // A router changes it on the way.
    const { method = '', url = '', socket, headers } = request
    const push = request.push.bind(request)
    // Nothing is read here, so that whoever answers it still can.
    request.push = (chunk: Buffer | null, encoding?: BufferEncoding) => {
      if (chunk) chunks.push(chunk)
      return push(chunk, encoding)
    }
    const end = response.end.bind(response) as (...args: unknown[]) => ServerResponse
    response.end = (...args: unknown[]) => {
      const scheme = socket instanceof TLSSocket ? 'https' : 'http'
      this.got.push({
        method,
        url: `${scheme}://${String(headers.host)}${url}`,
        headers: Object.fromEntries(KEPT.map((name) => [name, String(headers[name] ?? '')])),
        body: Buffer.concat(chunks).toString(),
        error: errorIn(args[0]) ?? /error="(\w+)"/.exec(String(response.getHeader('www-authenticate')))?.[1],
      })
      return end(...args)
    }
  }
}

function errorIn(body: unknown): string | undefined {
  if (typeof body !== 'string' && !Buffer.isBuffer(body)) return undefined
  return /^\{"error":"(\w+)"/.exec(body.toString())?.[1]
}
