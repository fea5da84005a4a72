import * as v from 'valibot'
import { hostOf, isLoopback, isPrivateAddress } from '../net/addresses.js'
import { EgressProxy, isProxyUrl, type Connect } from '../net/egress-proxy.js'
import { PrivateNetworks, networkProblem } from '../net/private-networks.js'
import type { TrustedIssuers } from './config.js'
import { badOption } from './option-errors.js'

/** How requests leave, and where they may lead beside the public internet. */
export interface NetworkOptions {
  /**
   * Private networks that may be connected to, such as `['bank.internal', '10.1.0.0/16']`; none by default. A name opens
   * the private addresses that it leads to, a range (at most /16, or /48 in IPv6) itself, whatever name leads there.
   * Loopback and link-local addresses cannot be opened.
   */
  private_networks?: readonly string[] | undefined
  /**
   * The proxy that all requests go through, except those to this machine: the URL of an HTTP proxy, `'env'` for
   * `HTTPS_PROXY` and `NO_PROXY` of the environment, or a function that opens a connection to a host. None by default. TLS
   * reaches from here to the bank: the proxy sees which host is asked, and nothing else.
   */
  egress_proxy?: string | URL | Connect | undefined
}

export interface ResolvedNetwork {
  readonly networks: PrivateNetworks
  readonly egress: EgressProxy | undefined
}

const entries = v.array(v.string('must be a list of names and ranges'), 'must be a list of names and ranges')

export const networkEntries = {
  private_networks: v.optional(
    v.pipe(
      entries,
      v.check(
        (list) => networkProblem(list) === undefined,
        ({ input }) => networkProblem(input) ?? '',
      ),
    ),
  ),
  egress_proxy: v.optional(
    v.custom<string | URL | Connect>(
      (value) => value === 'env' || typeof value === 'function' || proxyUrl(value) !== undefined,
      'must be "env", the URL of an HTTP proxy such as "http://proxy.internal:3128", or a function that connects',
    ),
  ),
}

/** @throws {IDPartnerError} `config_invalid`, with a message that names the option */
export function resolveNetwork(
  { private_networks, egress_proxy }: NetworkOptions,
  trusted: TrustedIssuers | undefined,
  ca: string | Buffer | undefined,
): ResolvedNetwork {
  const networks = new PrivateNetworks(private_networks)
  const issuers = typeof trusted === 'object' ? trusted : []
  if (issuers.some((issuer) => isClosed(new URL(issuer), networks))) {
    throw badOption(
      'trusted_issuers',
      'must not hold private addresses, which are connected to only where "private_networks" lists them',
    )
  }
  return { networks, egress: egressOf(egress_proxy, ca) }
}

function egressOf(
  option: NetworkOptions['egress_proxy'],
  ca: string | Buffer | undefined,
): EgressProxy | undefined {
  if (typeof option === 'function') return EgressProxy.by(option)
  if (option !== 'env') {
    const url = proxyUrl(option)
    return url && EgressProxy.at(url, { ca })
  }
  const variable = (...names: string[]): string =>
    names.flatMap((name) => [process.env[name] ?? '', process.env[name.toUpperCase()] ?? '']).find(Boolean) ??
    ''
  const text = variable('https_proxy', 'all_proxy')
  if (text === '') return undefined
  const url = proxyUrl(text.includes('://') ? text : `http://${text}`)
  if (!url) {
    // Not the value, which may hold a password.
    throw badOption('egress_proxy', 'is "env", and HTTPS_PROXY is not the URL of an HTTP proxy')
  }
  return EgressProxy.at(url, { ca, exceptions: variable('no_proxy') })
}

function proxyUrl(value: unknown): URL | undefined {
  const text = value instanceof URL ? value.href : value
  if (typeof text !== 'string' || !URL.canParse(text)) return undefined
  const url = new URL(text)
  return isProxyUrl(url) ? url : undefined
}

/** Whether a URL's host is spelled as a private address that nobody has opened; those of this machine are another matter. */
export function isClosed(url: URL, networks: PrivateNetworks): boolean {
  const host = hostOf(url)
  return !isLoopback(url) && isPrivateAddress(url) && !networks.opens(host, host)
}
