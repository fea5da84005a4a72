import { isLoopback, isPrivateAddress } from '../net/addresses.js'
import { parseEndpoint } from '../net/http.js'

/** In characters; what is longer is cut, as it would push everything else off a page. */
const MAX_NAME = 80

const MAX_LOGO = 2000

/** Marks above each other on one letter; more of them reach into the lines around it. */
const STACKED = /(\p{M}{3})\p{M}+/gu

/** What is not seen, or turns what stands beside it around: it makes one name look like another. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{DI}]/gu

/**
 * A name as it may be shown to people; nothing where nothing of it can be seen.
 *
 * Does not escape it for a page, and does not see that two letters look alike.
 */
export function cleanName(name: unknown): string | undefined {
  if (typeof name !== 'string') return undefined
  // Only what may be kept at all is looked at.
  const text = name.slice(0, 10 * MAX_NAME).normalize('NFC')
  const spaced = text
    .replace(/[\s\p{Zs}]+/gu, ' ')
    .replace(UNSEEN, '')
    .replace(STACKED, '$1')
    .trim()
  if (!/[\p{L}\p{N}]/u.test(spaced)) return undefined
  const letters = Array.from(spaced)
  return letters.length > MAX_NAME ? `${letters.slice(0, MAX_NAME - 1).join('')}…` : spaced
}

/**
 * The address of a bank's logo, for a browser: https, and not in a private network. Only a bank that is itself on loopback
 * may have one there. Nothing of it is ever fetched here.
 */
export function logoOf(logo: unknown, issuer: string): string | undefined {
  if (typeof logo !== 'string' || logo.length > MAX_LOGO) return undefined
  const url = parseEndpoint(logo)
  if (!url) return undefined
  if (isLoopback(url)) {
    const bank = parseEndpoint(issuer)
    return bank && isLoopback(bank) ? url.href : undefined
  }
  return isPrivateAddress(url) ? undefined : url.href
}

/**
 * What a bank calls itself, as it may be shown to people.
 *
 * @see https://openid.net/specs/openid-federation-1_0.html#name-informational-metadata-exte
 */
export function selfDescription(
  document: object,
  issuer: string,
): { organization_name?: string; logo_uri?: string } {
  const member = (name: string): unknown => Object.getOwnPropertyDescriptor(document, name)?.value
  const name = cleanName(member('display_name')) ?? cleanName(member('organization_name'))
  const logo = logoOf(member('logo_uri'), issuer)
  return {
    ...(name !== undefined && { organization_name: name }),
    ...(logo !== undefined && { logo_uri: logo }),
  }
}
