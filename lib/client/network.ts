import * as v from 'valibot'
import { hostOf, isLoopback, isPrivateAddress } from '../net/addresses.js'
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
}

export interface ResolvedNetwork {
  readonly networks: PrivateNetworks
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
}

/** @throws {IDPartnerError} `config_invalid`, with a message that names the option */
export function resolveNetwork(
  { private_networks }: NetworkOptions,
  trusted: TrustedIssuers | undefined,
): ResolvedNetwork {
  const networks = new PrivateNetworks(private_networks)
  const issuers = typeof trusted === 'object' ? trusted : []
  if (issuers.some((issuer) => isClosed(new URL(issuer), networks))) {
    throw badOption(
      'trusted_issuers',
      'must not hold private addresses, which are connected to only where "private_networks" lists them',
    )
  }
  return { networks }
}

/** Whether a URL's host is spelled as a private address that nobody has opened; those of this machine are another matter. */
export function isClosed(url: URL, networks: PrivateNetworks): boolean {
  const host = hostOf(url)
  return !isLoopback(url) && isPrivateAddress(url) && !networks.opens(host, host)
}
