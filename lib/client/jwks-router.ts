import Router from 'router'
import type { IDPartner } from './idpartner.js'

/** Long enough to spare the application, short enough for a key rotation. */
const MAX_AGE_SECONDS = 300

/**
 * A Connect or Express router that publishes the application's public keys at `GET /jwks`, where IDPartner and the
 * banks fetch them.
 *
 * Never serves a private member of a key, and leaves every other path to the application.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7517#section-5
 */
export function jwksRouter(client: IDPartner): Router.Router {
  const router = Router()
  router.get('/jwks', async (req, res) => {
    const body = JSON.stringify(await client.getPublicJWKs())
    res.setHeader('Content-Type', 'application/json; charset=utf-8')
    res.setHeader('Cache-Control', `public, max-age=${String(MAX_AGE_SECONDS)}`)
    res.setHeader('Content-Length', Buffer.byteLength(body))
    res.end(req.method === 'HEAD' ? undefined : body)
  })
  return router
}
