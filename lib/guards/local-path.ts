import * as v from 'valibot'

/** In characters; a longer path is nobody's page, and would not fit into a session that is a cookie. */
const MAX_LENGTH = 1000

/**
 * A path of this site, or nothing: anything else would let strangers send our visitors elsewhere.
 *
 * Two slashes at the beginning name a host, and so do a slash and a backslash; browsers drop tabs and line ends before
 * they look.
 *
 * @see https://url.spec.whatwg.org/#relative-slash-state
 */
export function localPath(path: unknown): string | undefined {
  if (typeof path !== 'string' || path.length > MAX_LENGTH) return undefined
  return /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/.test(path) ? path : undefined
}

/** An option that is such a path. */
export const path = v.custom<string>((value) => localPath(value) !== undefined, 'must be a path of this site')

/** The path of a login route, which gets a query, and so has no fragment before it. */
export const loginPath = v.pipe(
  path,
  v.check((value) => !value.includes('#'), 'must have no fragment'),
)

/** The path of an address without its query, as routers compare it. */
export function pathnameOf(path: string): string {
  return (path.split(/[?#]/)[0] ?? '').toLowerCase().replace(/\/+$/, '')
}
