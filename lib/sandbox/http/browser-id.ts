import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

const COOKIE = 'sandbox_browser'

/** The browser that sends a request, when a page was shown to it before; `undefined` also where it keeps no cookies. */
export function browserOf(req: IncomingMessage): string | undefined {
  return new RegExp(`(?:^|; )${COOKIE}=([\\w-]{22})(?:;|$)`).exec(req.headers.cookie ?? '')?.[1]
}

/**
 * Gives a browser something to be known by again.
 *
 * An answer is repeated to the browser that had it, and to no other: whoever learned its address from a log must not
 * get it. The path keeps the cookie away from the app, since browsers send those of one localhost port to every other.
 */
export function rememberBrowser(req: IncomingMessage, res: ServerResponse, path: string): void {
  if (browserOf(req) !== undefined) return
  const id = randomBytes(16).toString('base64url')
  res.appendHeader('Set-Cookie', `${COOKIE}=${id}; Path=${path}; HttpOnly; SameSite=Lax`)
}
