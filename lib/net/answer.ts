import type { IncomingMessage } from 'node:http'
import { tooLarge } from './content-coding.js'

/** A larger answer than any document of this protocol is an attack or a mistake. */
export const MAX_BODY_BYTES = 1024 * 1024

/** An HTTP answer as it came. */
export interface Answer {
  status: number
  headers: Headers
  body: Buffer
}

/** Reads the whole body of an answer; what is too long is broken off. */
export function readAnswer(response: IncomingMessage): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    response.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > MAX_BODY_BYTES) reject(tooLarge())
      else chunks.push(chunk)
    })
    response.on('error', reject)
    response.on('end', () => {
      resolve({ status: response.statusCode ?? 0, headers: headersOf(response), body: Buffer.concat(chunks) })
    })
  })
}

/** The headers as they came: Node would drop the second of several, or all but the first. */
function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers()
  for (let at = 0; at < rawHeaders.length; at += 2) {
    headers.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '')
  }
  return headers
}
