import type { IncomingMessage, ServerResponse } from 'node:http'
import { IDPartnerError } from '../errors.js'
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
 * @throws {IDPartnerError} `config_invalid` for anything but a client
 * @see https://www.rfc-editor.org/rfc/rfc7517#section-5
 */
export function jwksRouter(client: IDPartner): JwksRouter {
  if (typeof (client as Partial<IDPartner> | undefined)?.getPublicJWKs !== 'function') {
    throw new IDPartnerError(
      'config_invalid',
      'jwksRouter needs the client, which a strategy has in it: jwksRouter(strategy.client)',
    )
  }
  return (req, res, next) => {
    // Frameworks cut the prefix under which a middleware is mounted off `url`.
    if (!PATH.test(req.url ?? '') || (req.method !== 'GET' && req.method !== 'HEAD')) {
      next()
      return
    }
    sendKeys(client, req, res).catch(next)
  }
}

async function sendKeys(client: IDPartner, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const body = JSON.stringify(await client.getPublicJWKs())
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.setHeader('Cache-Control', `public, max-age=${String(MAX_AGE_SECONDS)}`)
  res.setHeader('Content-Length', Buffer.byteLength(body))
  res.end(req.method === 'HEAD' ? undefined : body)
}
