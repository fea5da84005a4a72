import ipaddr from 'ipaddr.js'

/**
 * Whether a host is this machine: the only place where plain http is good enough.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6761#section-6.3
 */
export function isLoopback(url: URL): boolean {
  const host = hostOf(url)
  return isLoopbackName(host) || (ipaddr.isValid(host) && isLoopbackAddress(host))
}

export function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost')
}

export function isLoopbackAddress(address: string): boolean {
  return ipaddr.process(address).range() === 'loopback'
}

/** Whether the URL's host is spelled as an address that is not a public one. Loopback counts as private here. */
export function isPrivateAddress(url: URL): boolean {
  const host = hostOf(url)
  return ipaddr.isValid(host) && !isPublicAddress(host)
}

/** What everybody's NAT64 puts before an IPv4 address (RFC 6052, section 2.1; RFC 8215). */
const NAT64 = [ipaddr.IPv6.parseCIDR('64:ff9b::/96'), ipaddr.IPv6.parseCIDR('64:ff9b:1::/96')]
/** All that was ever given to anybody. Outside of it are, among others, IPv4-compatible addresses. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3')

/**
 * Whether an address belongs to the public internet, and hides none that does not.
 *
 * Cannot know a NAT64 prefix that a network has chosen for itself (RFC 6052, section 2.2).
 *
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry
 */
export function isPublicAddress(address: string): boolean {
  // IPv4-compatible, which ipaddr.js takes for IPv4-mapped when it is spelled so (RFC 4291, section 2.5.5.1).
  if (/^::[\d.]+$/.test(address)) return false
  // process() unwraps IPv4-mapped IPv6.
  const ip = ipaddr.process(address)
  if (ip.kind() === 'ipv4') return ip.range() === 'unicast'
  const { parts } = ip as ipaddr.IPv6
  const [, , , , fifth = 0, sixth = 0, high = 0, low = 0] = parts
  const isPublicInside = new ipaddr.IPv4([high >> 8, high & 0xff, low >> 8, low & 0xff]).range() === 'unicast'
  if (NAT64.some((range) => ip.match(range))) return isPublicInside
  // The far end of an ISATAP tunnel, under any prefix (RFC 5214, section 6.1).
  if ((fifth & 0xfdff) === 0 && sixth === 0x5efe && !isPublicInside) return false
  return ip.range() === 'unicast' && ip.match(GLOBAL_UNICAST)
}

/** The host without the brackets that a URL puts around IPv6. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}
