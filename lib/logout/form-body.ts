import type { IncomingMessage } from 'node:http'
import { searchParams } from '../client/callback-params.js'
import { IDPartnerError } from '../errors.js'

/** In bytes; a logout token has a few hundred. */
const MAX_BYTES = 64 * 1024

/**
 * The form that was posted, whether or not somebody parsed it, and no more of it than a logout token may have.
 *
 * @throws {IDPartnerError} `response_invalid`
 */
export async function formBody(req: IncomingMessage): Promise<URLSearchParams> {
  const type = req.headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/x-www-form-urlencoded') throw invalid('is no form')
  if (Number(req.headers['content-length'] ?? 0) > MAX_BYTES) throw invalid('is too long')
  const parsed = searchParams((req as { body?: unknown }).body)
  // A parser of other types may have left an empty object behind.
  return parsed.size > 0 ? parsed : new URLSearchParams(await textOf(req))
}

/** Not with `for await`, which closes the connection on which the answer is still to go. */
function textOf(req: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    if (req.readableEnded) {
      reject(invalid('was read before, and nobody kept it'))
      return
    }
    req
      .on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length <= MAX_BYTES) chunks.push(chunk)
        else {
          req.pause()
          reject(invalid('is too long'))
        }
      })
      .once('end', () => {
        resolve(Buffer.concat(chunks).toString())
      })
      .once('close', () => {
        reject(invalid('ended early'))
      })
      .once('error', (err) => {
        reject(invalid('ended early', err))
      })
  })
}

export function invalid(why: string, cause?: unknown): IDPartnerError {
  return new IDPartnerError('response_invalid', `what was posted for a logout ${why}`, { cause })
}
