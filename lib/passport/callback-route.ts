import type { IncomingMessage } from 'node:http'

/**
 * Whether a request is for the path of the option `callback`.
 *
 * Proxies cut a prefix off a path, or put one before it, so one has to be the end of the other.
 */
export function isCallbackRoute(req: object, callback: string): boolean {
  const { originalUrl, url } = req as IncomingMessage & { originalUrl?: string }
  const here = pathOf(originalUrl ?? url ?? '')
  const there = pathOf(callback)
  if (here === there) return true
  return (here !== '' && there.endsWith(here)) || (there !== '' && here.endsWith(there))
}

/** Routers see no difference between capitals and small letters, nor a slash at the end. */
function pathOf(url: string): string {
  const { pathname } = URL.canParse(url, 'http://localhost')
    ? new URL(url, 'http://localhost')
    : { pathname: '' }
  return pathname.toLowerCase().replace(/\/+$/, '')
}
