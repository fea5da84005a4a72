import { BlockList, isIP } from 'node:net'

/**
 * Whether a host is this machine: the only place where plain http is good enough.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6761#section-6.3
 */
export function isLoopback(url: URL): boolean {
  const host = hostOf(url)
  return isLoopbackName(host) || isLoopbackAddress(host)
}

export function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost')
}

export function isLoopbackAddress(address: string): boolean {
  // Asked for several times a request, and a BlockList takes ten microseconds.
  return isIP(address) === 4 ? address.startsWith('127.') : inRange(LOOPBACK, address)
}

/** Whether the URL's host is spelled as an address that is not a public one. Loopback counts as private here. */
export function isPrivateAddress(url: URL): boolean {
  const host = hostOf(url)
  return isIP(host) !== 0 && !isPublicAddress(host)
}

/** Names that no public DNS has, and no public authority certifies (RFC 6761; RFC 6762, appendix G; RFC 8375). */
const PRIVATE_NAME =
  /^[^.]+$|\.(localhost|local|localdomain|internal|intranet|private|corp|home|lan|home\.arpa)$/

/** Whether the URL's host is a name that leads into a private network, as far as a name says so. */
export function isPrivateName(url: URL): boolean {
  const host = hostOf(url).replace(/\.$/, '')
  return isIP(host) === 0 && PRIVATE_NAME.test(host)
}

const LOOPBACK = rangesOf(['127.0.0.0/8', '::1/128'])

/** What of IPv4 is not the public internet's, or is only the way to something else. */
const SPECIAL_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '192.175.48.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
]

/** The same within what was ever given to anybody: tunnels, identifiers, examples. */
const SPECIAL_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '2620:4f:8000::/48', '3fff::/20']

/** What everybody's NAT64 puts before an IPv4 address (RFC 6052, section 2.1; RFC 8215). */
const NAT64 = ['64:ff9b::', '64:ff9b:1::']

/** All that was ever given to anybody. Outside of it are, among others, IPv4-compatible addresses. */
const GIVEN = rangesOf(['0.0.0.0/0', '2000::/3', ...NAT64.map((prefix) => `${prefix}/96`)])

const SPECIAL = rangesOf([
  ...SPECIAL_IPV4,
  ...SPECIAL_IPV6,
  ...NAT64.flatMap((prefix) => SPECIAL_IPV4.map((range) => behind(prefix, range))),
])

/**
 * Whether an address belongs to the public internet, and hides none that does not.
 *
 * Cannot know a NAT64 prefix that a network has chosen for itself (RFC 6052, section 2.2).
 *
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry
 */
export function isPublicAddress(address: string): boolean {
  const tunnelled = isatap(address)
  if (tunnelled !== undefined && !isPublicAddress(tunnelled)) return false
  return inRange(GIVEN, address) && !inRange(SPECIAL, address)
}

/** Whether an address is only the way to another one. */
export function isTunnel(address: string): boolean {
  return isatap(address) !== undefined
}

/** The far end of an ISATAP tunnel, under any prefix (RFC 5214, section 6.1). */
function isatap(address: string): string | undefined {
  if (isIP(address) !== 6 || !URL.canParse(`http://[${address}]`)) return undefined
  const { hostname } = new URL(`http://[${address}]`)
  const [, high, low] = /:(?:0|200)?:5efe:([0-9a-f]*):([0-9a-f]*)\]$/.exec(hostname) ?? []
  if (high === undefined || low === undefined) return undefined
  const bytes = Buffer.alloc(4)
  bytes.writeUInt16BE(parseInt(high || '0', 16))
  bytes.writeUInt16BE(parseInt(low || '0', 16), 2)
  return bytes.join('.')
}

/** A range of IPv4 as it looks behind a prefix of 96 bits. */
function behind(prefix: string, range: string): string {
  const [address, bits] = range.split('/')
  return `${prefix}${String(address)}/${String(96 + Number(bits))}`
}

export function rangesOf(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', bits] = range.split('/')
    list.addSubnet(address, Number(bits), familyOf(address))
  }
  return list
}

/** IPv4-mapped addresses are judged by the IPv4 ranges. */
export function inRange(ranges: BlockList, address: string): boolean {
  return isIP(address) !== 0 && ranges.check(address, familyOf(address))
}

/**
 * Of what is known to be an address. Not by isIP(): the first expression of Node's for IPv6 takes longer to compile than
 * the rest of this package takes to load.
 */
function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4'
}

/** The host without the brackets that a URL puts around IPv6. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}
