import type { IncomingMessage } from 'node:http'

/** More than any form here can hold. */
const MAX_BYTES = 64 * 1024

/** The query of a request, at whatever path a router has it mounted. */
export function queryOf({ url }: IncomingMessage): URLSearchParams {
  return new URL(url ?? '', 'http://localhost').searchParams
}

/** Reads a form that a page of the sandbox sent. */
export async function readForm(req: IncomingMessage): Promise<URLSearchParams> {
  return new URLSearchParams(await readBody(req))
}

/** Reads a JSON body; `undefined` when it is not JSON. */
export async function readJson(req: IncomingMessage): Promise<unknown> {
  try {
    return JSON.parse(await readBody(req)) as unknown
  } catch {
    return undefined
  }
}

async function readBody(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BYTES) throw new Error('the request body is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
