import type { IncomingMessage, ServerResponse } from 'node:http'
import { asClientOf, type ClientOf } from './client-of.js'
import type { IDPartner } from './idpartner.js'

/** Long enough to spare the application, short enough for a key rotation. */
const MAX_AGE_SECONDS = 300

/** As routers match a path: whatever the case, and with or without a slash at its end. */
const PATH = /^\/jwks\/?(\?|$)/i

/** A middleware as Connect and Express call it. */
export type JwksRouter = (req: IncomingMessage, res: ServerResponse, next: (err?: unknown) => void) => void

/**
 * A Connect or Express middleware that publishes the application's public keys at `GET /jwks`, where IDPartner and the
 * banks fetch them.
 *
 * Never serves a private member of a key, and leaves every other path and method to the application.
 *
 * @param client or a function that finds the client of the tenant that a request is for; what it throws goes to `next`
 * @throws {IDPartnerError} `config_invalid` for anything else
 * @see https://www.rfc-editor.org/rfc/rfc7517#section-5
 */
export function jwksRouter(client: IDPartner | ClientOf): JwksRouter {
  const clientOf = asClientOf(client, 'jwksRouter', 'jwksRouter(strategy.client)')
  return (req, res, next) => {
    // Frameworks cut the prefix under which a middleware is mounted off `url`.
    if (!PATH.test(req.url ?? '') || (req.method !== 'GET' && req.method !== 'HEAD')) {
      next()
      return
    }
    sendKeys(clientOf, req, res).catch(next)
  }
}

async function sendKeys(clientOf: ClientOf, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const client = await clientOf(req)
  const body = JSON.stringify(await client.getPublicJWKs())
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.setHeader('Cache-Control', `public, max-age=${String(MAX_AGE_SECONDS)}`)
  res.setHeader('Content-Length', Buffer.byteLength(body))
  res.end(req.method === 'HEAD' ? undefined : body)
}
