import { ownError } from '../errors.js'
import { Http, type HttpRequest } from '../net/http.js'
import { NotReached } from '../net/request-failure.js'
import { fail, ok, skip, warn, type Check } from './check.js'
import type { ResolvedConfig } from './config.js'

/** Like the client's own way out, and remembers what the answers say of the time. */
export class WatchedHttp extends Http {
  /** Seconds by which servers are ahead of this machine. */
  readonly ahead: number[] = []
  /** Hosts to which nothing got through, and why. */
  readonly unreached = new Map<string, string>()

  override async fetch(target: string | URL, init: HttpRequest): Promise<Response> {
    const sent = Date.now()
    const response = await super.fetch(target, init).catch((err: unknown) => {
      const why = networkFailure(err)
      if (why !== undefined) this.unreached.set(new URL(target).host, why)
      throw err
    })
    const date = Date.parse(response.headers.get('date') ?? '')
    // It was written between the request and the answer, and has whole seconds.
    if (!Number.isNaN(date)) this.ahead.push((date + 500 - (sent + Date.now()) / 2) / 1000)
    return response
  }
}

/** Whether this machine's clock is that of the servers that were asked. */
export function clockCheck(ahead: readonly number[], { clock_tolerance }: ResolvedConfig): Check {
  const id = 'clock'
  const [middle] = [...ahead].sort((one, other) => one - other).slice(Math.floor(ahead.length / 2))
  if (middle === undefined) return skip(id, 'no server said what time it is')
  const seconds = Math.round(Math.abs(middle))
  const found = `this machine's clock is ${String(seconds)} s ${middle > 0 ? 'behind' : 'ahead of'} that of others`
  const fix =
    "set the clock, and have it kept right (NTP); answers are refused that differ by more than 'clock_tolerance'"
  if (seconds > clock_tolerance) return fail(id, found, fix)
  return seconds > 5 ? warn(id, found, fix) : ok(id, 'the clock is right')
}

/** Why a request did not get through, where that is of the network. */
function networkFailure(err: unknown): string | undefined {
  const own = ownError(err)
  if (own?.code !== 'provider_unavailable') return undefined
  const between = NotReached.reasonOf(own.cause)
  if (between !== undefined) return between
  if (own.status === 504) return 'no answer in time'
  const { code } = (own.cause ?? {}) as { code?: unknown }
  return typeof code === 'string' && BLOCKED.has(code) ? code : undefined
}

const BLOCKED = new Set([
  'ENOTFOUND',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
  'EACCES',
  'EPERM',
  'ETIMEDOUT',
])

/** Whether requests get out of here, and by which way. */
export function egressCheck(config: ResolvedConfig, unreached: ReadonlyMap<string, string>): Check {
  const proxies = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy']
  const set = proxies.find((name) => process.env[name])
  const urls = [
    ...(config.flow === 'proxy' ? [config.oidc_proxy_service_url, config.trust_directory_service_url] : []),
    ...(typeof config.trusted_issuers === 'object' ? config.trusted_issuers : []),
  ]
  const hosts = [...new Set(urls.map((url) => new URL(url).host))].join(', ')
  if (unreached.size > 0) {
    const which = [...unreached].map(([host, why]) => `${host} (${why})`).join(', ')
    if (config.egress) {
      return fail(
        'egress',
        `nothing gets through from here to ${which}, through ${config.egress.name}`,
        'have it allow CONNECT to these hosts and ports, and check "egress_proxy"',
      )
    }
    const unused =
      set === undefined ? '' : `; ${set} is set, and requests of this package do not go through it`
    return fail(
      'egress',
      `nothing gets through from here to ${which}${unused}`,
      "check the names, this machine's DNS, and the firewall: it has to be let out straight, to these hosts and ports",
    )
  }
  if (config.egress) {
    return ok(
      'egress',
      `requests go through ${config.egress.name}, to ${hosts} and the hosts that the banks name`,
    )
  }
  return set === undefined
    ? ok('egress', `requests go straight to ${hosts}, and to the hosts that the banks name`)
    : warn(
        'egress',
        `${set} is set, and requests of this package do not go through it`,
        `set egress_proxy: 'env', or let this machine out to ${hosts} and to the hosts that the banks name`,
      )
}
