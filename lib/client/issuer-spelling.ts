import { isLoopback } from '../net/addresses.js'

/** What may stand in an issuer at all; whatever else a URL parser forgives is not repeated in a message. */
const PRINTABLE = /^[\w.:/[\]~%-]{1,90}$/

/** An issuer without all that people get wrong about one: scheme, port, name of this machine, case, and where it ends. */
function likeness(issuer: string): string | undefined {
  if (!PRINTABLE.test(issuer) || !URL.canParse(issuer)) return undefined
  const url = new URL(issuer)
  const host = isLoopback(url) ? 'localhost' : url.hostname
  const port = ['80', '443'].includes(url.port) ? '' : url.port
  const path = url.pathname.replace(/\/\.well-known\/openid-configuration$/, '').replace(/\/+$/, '')
  return `${host}:${port}${path}`.toLowerCase()
}

/**
 * The configured issuer that another is nearly spelled as. Both are then safe to print.
 *
 * Decides nothing: an issuer counts only when it is spelled exactly so (Discovery, section 4.3).
 */
export function nearlySpelled(issuer: unknown, configured: readonly string[]): string | undefined {
  const like = typeof issuer === 'string' ? likeness(issuer) : undefined
  return like === undefined ? undefined : configured.find((one) => one !== issuer && likeness(one) === like)
}
