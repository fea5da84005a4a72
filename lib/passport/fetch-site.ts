import type { IncomingHttpHeaders } from 'node:http'

/**
 * From where a browser says that it was sent here; `undefined` where it does not say.
 *
 * @see https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
 */
export function fetchSite(req: object): string | undefined {
  const { headers } = req as { headers?: IncomingHttpHeaders }
  const site = headers?.['sec-fetch-site']
  return typeof site === 'string' ? site : undefined
}

/**
 * How little the person is known to want what a browser asks for: 0 where this site or nobody sent it here, 1 where
 * another site did after the person had touched its page, 2 where it did by itself.
 *
 * @see https://www.w3.org/TR/fetch-metadata/#sec-fetch-user-header
 */
export function intrusionOf(req: object): 0 | 1 | 2 {
  if (fetchSite(req) !== 'cross-site') return 0
  const { headers } = req as { headers?: IncomingHttpHeaders }
  return headers?.['sec-fetch-user'] === '?1' ? 1 : 2
}
