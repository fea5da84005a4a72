import { BlockList, isIP } from 'node:net'
import { inRange, isTunnel, rangesOf } from './addresses.js'

/** What people number their own networks with (RFC 1918, RFC 6598, RFC 4193); nothing else can be opened. */
const PRIVATE_USE = rangesOf(['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'])

/**
 * Where clouds answer their own machines, credentials included, within those ranges: never opened. Other such services
 * are at link-local addresses, outside of them.
 */
const METADATA = rangesOf(['100.100.100.200/32', 'fd00:ec2::/32', 'fd20:ce::/32'])

/** The widest range that one entry may open, in bits of its prefix, and how many entries there may be. */
const WIDEST = { ipv4: 16, ipv6: 48 }
const MAX_ENTRIES = 20

const HOST = /^(?!-)[a-z0-9_-]+(\.[a-z0-9_-]+)*$/

/** Networks of the application's own that may be connected to: ranges, for whatever leads there, and single hosts. */
export class PrivateNetworks {
  readonly #ranges: BlockList
  readonly #hosts: ReadonlySet<string>

  /** @param entries each one that {@link networkProblem} has nothing against */
  constructor(entries: readonly string[] = []) {
    const ranges = entries.flatMap((entry) => rangeOf(entry) ?? [])
    this.#ranges = rangesOf(ranges.map(({ address, bits }) => `${address}/${String(bits)}`))
    this.#hosts = new Set(entries.filter((entry) => !rangeOf(entry)).map((entry) => entry.toLowerCase()))
  }

  /** Whether a private address may be connected to for this host, which may be the address itself. */
  opens(address: string, host: string): boolean {
    if (!inRange(PRIVATE_USE, address) || inRange(METADATA, address) || isTunnel(address)) return false
    return this.lists(host) || inRange(this.#ranges, address)
  }

  /** Whether a host is listed by its name. */
  lists(host: string): boolean {
    return this.#hosts.has(host.toLowerCase())
  }
}

/** What is wrong with a list of such networks, if anything. */
export function networkProblem(entries: readonly string[]): string | undefined {
  if (entries.length > MAX_ENTRIES) return `must hold at most ${String(MAX_ENTRIES)} entries`
  return entries.map(entryProblem).find((problem) => problem !== undefined)
}

function entryProblem(entry: string): string | undefined {
  const range = rangeOf(entry)
  if (range) {
    const { address, bits, family } = range
    if (!inRange(PRIVATE_USE, address) || inRange(METADATA, address) || isTunnel(address)) {
      return 'must hold ranges of private networks alone (RFC 1918, RFC 6598, RFC 4193): loopback, link-local and public addresses are not opened or closed here'
    }
    if (bits < WIDEST[family]) {
      return `must not hold a range wider than /${String(WIDEST[family])}: list the hosts, or the network that they are in`
    }
    return undefined
  }
  return isHost(entry)
    ? undefined
    : 'must hold names of hosts, such as "bank.internal", and ranges, such as "10.1.0.0/16"'
}

/** A name as a URL would have it, which is no other spelling of an address and not this machine. */
function isHost(entry: string): boolean {
  const host = entry.toLowerCase()
  if (!HOST.test(host) || !URL.canParse(`https://${host}`)) return false
  return new URL(`https://${host}`).hostname === host && !/(^|\.)localhost$/.test(host)
}

interface Range {
  address: string
  bits: number
  family: 'ipv4' | 'ipv6'
}

/** `10.1.0.0/16`, or a single address. */
function rangeOf(entry: string): Range | undefined {
  const [address = '', given, ...more] = entry.split('/')
  const version = isIP(address)
  // A scope such as %eth0 is of one machine alone.
  if (version === 0 || more.length > 0 || address.includes('%')) return undefined
  const whole = version === 4 ? 32 : 128
  if (given !== undefined && !/^\d{1,3}$/.test(given)) return undefined
  const bits = given === undefined ? whole : Number(given)
  return bits > whole ? undefined : { address, bits, family: version === 4 ? 'ipv4' : 'ipv6' }
}
