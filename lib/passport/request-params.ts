import type { IncomingMessage } from 'node:http'
import { searchParams } from '../client/callback-params.js'
import { IDPartnerError } from '../errors.js'

/** The parameters of a request of any framework: those of its URL, and of its form if somebody parsed it. */
export function requestParams(req: object): URLSearchParams {
  const { originalUrl, url, method, body, headers } = req as IncomingMessage & {
    originalUrl?: string
    body?: unknown
  }
  const target = originalUrl ?? url ?? ''
  const params = new URLSearchParams(target.includes('?') ? target.slice(target.indexOf('?')) : '')
  if (method !== 'POST') return params
  const form = headers['content-type']?.toLowerCase().startsWith('application/x-www-form-urlencoded')
  // A parser of other types may have left an empty object behind.
  const posted = searchParams(body)
  if (form && headers['content-length'] !== '0' && posted.size === 0) {
    throw new IDPartnerError(
      'config_invalid',
      'a form was posted that nobody parsed: add express.urlencoded() before passport.authenticate() on this route',
    )
  }
  for (const [name, value] of posted) params.append(name, value)
  return params
}
