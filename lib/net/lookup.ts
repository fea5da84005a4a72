import dns, { type LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { isLoopbackAddress, isLoopbackName, isPublicAddress } from './addresses.js'
import { RequestFailure } from './request-failure.js'

/** Milliseconds that a name may take. */
const LIMIT = 3000
/** Milliseconds for which a name that failed is not looked up again. */
const REMEMBERED = 3000
/** Milliseconds after which the DNS is asked beside a system that has not answered. */
const PATIENCE = 300
/** Far more names than one application meets; a bound all the same. */
const MAX_NAMES = 1000

/** Whether an address may be connected to for that name. */
type Judge = (address: string, name: string) => boolean

/**
 * Finds the addresses of names for the connections of one client, and refuses those that it may not connect to.
 *
 * The system is asked first, since it knows more than the DNS, such as its hosts file. But it cannot be told to stop,
 * and a name whose servers are silent holds one of the two threads that libuv has for this, for half a minute. So it
 * is asked for one name at a time, and whoever waits for it asks the DNS as well, which can be told to stop.
 */
export class HostLookup {
  readonly #pending = new Map<string, Promise<LookupAddress[]>>()
  readonly #failed = new Map<string, { err: Error; at: number }>()
  /** Who waits for their turn with the system. */
  readonly #queue = new Set<() => void>()
  readonly #isWanted: Judge
  #isBusy = false

  /** @param isWanted public addresses by default; those of this machine are for names of this machine alone */
  constructor(isWanted: Judge = isPublicAddress) {
    this.#isWanted = isWanted
  }

  /**
   * The `lookup` of net.connect, called for each connection: a name under an attacker's control may lead elsewhere each
   * time it is asked for.
   */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    this.#addresses(hostname).then(
      (found) => {
        if (options.all) callback(null, found)
        else callback(null, found[0]?.address ?? '', found[0]?.family)
      },
      (err: unknown) => {
        callback(err as Error, [])
      },
    )
  }

  async #addresses(hostname: string): Promise<LookupAddress[]> {
    // Names of this machine are not for the DNS (RFC 6761, section 6.3); not every system knows those below localhost.
    const isLocal = isLoopbackName(hostname)
    const found = await (isLocal ? askSystem('localhost') : this.#shared(hostname))
    const isWanted = isLocal ? isLoopbackAddress : this.#isWanted
    if (found.every(({ address }) => isWanted(address, hostname))) return found
    throw new RequestFailure(
      'resolves to a private address, which is refused (see the option "private_networks")',
    )
  }

  /** One lookup for all who ask for a name at the same time, or soon after it failed. */
  #shared(hostname: string): Promise<LookupAddress[]> {
    const pending = this.#pending.get(hostname)
    if (pending) return pending
    const failed = this.#failed.get(hostname)
    if (failed && Date.now() - failed.at < REMEMBERED) return Promise.reject(failed.err)
    this.#failed.delete(hostname)
    if (this.#pending.size >= MAX_NAMES) return Promise.reject(tooSlow())
    const asking = this.#ask(hostname)
      .catch((err: unknown) => {
        const [oldest] = this.#failed.keys()
        if (oldest !== undefined && this.#failed.size >= MAX_NAMES) this.#failed.delete(oldest)
        this.#failed.set(hostname, { err: err as Error, at: Date.now() })
        throw err
      })
      .finally(() => this.#pending.delete(hostname))
    this.#pending.set(hostname, asking)
    return asking
  }

  async #ask(hostname: string): Promise<LookupAddress[]> {
    let network: dns.promises.Resolver | undefined
    const timers: NodeJS.Timeout[] = []
    let begin = (): void => undefined
    try {
      return await new Promise<LookupAddress[]>((resolve, reject) => {
        begin = () => {
          this.#isBusy = true
          askSystem(hostname)
            .then(resolve, reject)
            .finally(() => {
              this.#isBusy = false
              this.#next()
            })
        }
        this.#queue.add(begin)
        this.#next()
        const askNetwork = (): void => {
          network = new dns.promises.Resolver({ timeout: 800, tries: 2 })
          // What the DNS does not know, the system may.
          askDns(network, hostname).then(resolve, () => undefined)
        }
        timers.push(
          setTimeout(askNetwork, PATIENCE).unref(),
          setTimeout(() => {
            reject(tooSlow())
          }, LIMIT).unref(),
        )
      })
    } finally {
      this.#queue.delete(begin)
      for (const timer of timers) clearTimeout(timer)
      network?.cancel()
    }
  }

  #next(): void {
    const [begin] = this.#queue
    if (this.#isBusy || !begin) return
    this.#queue.delete(begin)
    begin()
  }
}

function askSystem(hostname: string): Promise<LookupAddress[]> {
  return new Promise((resolve, reject) => {
    const options: dns.LookupOptions = { all: true }
    dns.lookup(hostname, options, (err, found, family) => {
      if (err) reject(err)
      // What applications put in the place of dns.lookup does not always know the option.
      else resolve(typeof found === 'string' ? [{ address: found, family }] : found)
    })
  })
}

async function askDns(network: dns.promises.Resolver, hostname: string): Promise<LookupAddress[]> {
  const [four, six] = await Promise.allSettled([network.resolve4(hostname), network.resolve6(hostname)])
  const found = [
    ...(four.status === 'fulfilled' ? four.value : []).map((address) => ({ address, family: 4 })),
    ...(six.status === 'fulfilled' ? six.value : []).map((address) => ({ address, family: 6 })),
  ]
  if (found.length === 0) throw new Error('no address')
  return found
}

function tooSlow(): RequestFailure {
  return new RequestFailure('has a name that was not resolved in time', 504)
}
