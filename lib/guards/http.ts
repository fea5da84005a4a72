import type { IncomingMessage, ServerResponse } from 'node:http'
import type { IDPartnerError } from '../errors.js'
import { isSpeculative } from '../passport/speculative.js'

/** A middleware as Connect and Express call it. */
export type Middleware = (req: IncomingMessage, res: ServerResponse, next: (err?: unknown) => void) => void

/** The address that was asked for, also where a router was mounted below some path. */
export function addressOf(req: IncomingMessage): string {
  return (req as { originalUrl?: string }).originalUrl ?? req.url ?? ''
}

/**
 * Whether a person opens a page, who can be sent to log in and back; a script cannot follow, and what was posted would be
 * lost.
 *
 * @see https://www.w3.org/TR/fetch-metadata/#sec-fetch-dest-header
 */
export function isNavigation(req: IncomingMessage): boolean {
  const { method, headers } = req
  if (method !== 'HEAD' && (method !== 'GET' || isSpeculative(req))) return false
  return wantsPage(req) && (headers['sec-fetch-dest'] ?? 'document') === 'document'
}

/** Whether an answer is read by a person. */
export function wantsPage({ headers }: IncomingMessage): boolean {
  if (String(headers['x-requested-with']).toLowerCase() === 'xmlhttprequest') return false
  const accept = headers.accept ?? ''
  return weight(accept, 'text/html') > weight(accept, 'application/json')
}

/** How much somebody wants a type that they name; of two that they want alike, the one that comes first. */
function weight(accept: string, type: string): number {
  const types = accept.toLowerCase().split(',')
  const at = types.findIndex((one) => one.split(';')[0]?.trim() === type)
  const quality = /;\s*q=([\d.]+)/.exec(types[at] ?? '')?.[1] ?? '1'
  return at < 0 ? 0 : Number(quality) - at / 1e6
}

export function redirect(req: IncomingMessage, res: ServerResponse, path: string): void {
  res.statusCode = req.method === 'POST' ? 303 : 302
  res.setHeader('Cache-Control', 'no-store')
  res.setHeader('Location', path)
  res.end()
}

/** Refuses a request: a page for people, by the application's own error handler, and JSON for scripts. */
export function refuse(
  req: IncomingMessage,
  res: ServerResponse,
  next: (err?: unknown) => void,
  { err, challenge, body }: { err: IDPartnerError; challenge?: string | undefined; body: object },
): void {
  const headers = { ...err.headers, ...(challenge !== undefined && { 'WWW-Authenticate': challenge }) }
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
  if (wantsPage(req)) {
    // Hosts drop what was set before an error, and set what it has.
    next(Object.defineProperty(err, 'headers', { value: headers }))
    return
  }
  res.statusCode = err.status
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.end(req.method === 'HEAD' ? undefined : JSON.stringify(body))
}
