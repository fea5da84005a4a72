import * as v from 'valibot'
import { IDPartnerError } from '../errors.js'
import { parseEndpoint } from '../net/http.js'
import type { PrivateNetworks } from '../net/private-networks.js'
import { INTERACTION_ID } from './interaction-id.js'
import { isClosed } from './network.js'
import { badOption } from './option-errors.js'
import type { ProviderMetadata } from './provider-metadata.js'
import type { FreshTokensOptions } from './fresh-tokens.js'

/** What goes to an API of a bank, in the words of `fetch`. */
export interface ResourceRequest {
  /** `'GET'` by default. */
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | undefined
  /** Without `authorization` and whatever else this package or HTTP itself sets. */
  headers?: ConstructorParameters<typeof Headers>[0] | undefined
  /** At most 1 MiB; a text needs its `content-type` among the headers. */
  body?: string | URLSearchParams | undefined
  /** Renews the tokens where they have run out, or where the bank says so: as {@link IDPartner.freshTokens}. */
  fresh?: Pick<FreshTokensOptions, 'save'> | undefined
  /** Ends the call before its request's own timeout does. */
  signal?: AbortSignal | undefined
}

/** The same, checked. */
export interface CheckedRequest {
  url: URL
  method: string
  headers: Headers
  body: string | undefined
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']

const WITHOUT_BODY = ['GET', 'HEAD']

const MAX_BODY_BYTES = 1024 * 1024

/** What would send the token as something else, or the request elsewhere or in another form than was checked. */
const OURS = [
  'authorization',
  'dpop',
  INTERACTION_ID,
  'accept-encoding',
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

const isOrigin = (value: string): boolean => {
  const url = parseEndpoint(value)
  return (
    url !== undefined &&
    !value.includes('*') &&
    [url.origin, url.href].includes(value) &&
    url.href === `${url.origin}/`
  )
}

export const resourceServers = v.pipe(
  v.array(v.string('must be a list of origins'), 'must be a list of origins'),
  v.check((list) => list.every(isOrigin), 'must hold origins alone, such as "https://api.bank.example"'),
  v.transform((list): readonly string[] => list.map((one) => new URL(one).origin)),
)

const MEMBERS = ['method', 'headers', 'body', 'fresh', 'signal']

/**
 * Checks what a call is made with, as far as it needs no bank: what `fetch` has beside these would be left out in silence.
 *
 * @throws {IDPartnerError} `config_invalid`
 */
export function checkInit(init: unknown): asserts init is ResourceRequest {
  const known = `${MEMBERS.slice(0, -1).join(', ')} and ${String(MEMBERS.at(-1))}`
  if (typeof init !== 'object' || init === null)
    throw refused(`the fourth argument must be an object, with ${known}`)
  for (const [name, value] of Object.entries(init)) {
    if (value !== undefined && !MEMBERS.includes(name))
      throw refused(`"${name}" is not known: there are ${known}`)
  }
  const { signal } = init as ResourceRequest
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw refused('"signal" must be an AbortSignal')
}

/** @throws {IDPartnerError} `config_invalid`: what could never be connected to */
export function checkResourceServers(origins: readonly string[], networks: PrivateNetworks): void {
  if (origins.some((one) => isClosed(new URL(one), networks))) {
    throw badOption(
      'resource_servers',
      'must not hold private addresses, which are connected to only where "private_networks" lists them',
    )
  }
}

/**
 * Checks a call to an API of a bank before a token is near it.
 *
 * @param listed the origins of the option `resource_servers`
 * @param certificate whether the application has a certificate to show, which nothing but TLS can be shown
 * @throws {IDPartnerError} `config_invalid`, without a word of the URL, which may be anybody's
 */
export function checkedRequest(
  target: unknown,
  { method = 'GET', headers, body }: ResourceRequest,
  {
    metadata,
    listed,
    certificate,
  }: { metadata: ProviderMetadata; listed: readonly string[]; certificate: boolean },
): CheckedRequest {
  const text = target instanceof URL ? target.href : target
  const url = parseEndpoint(text)
  if (!url) throw refused('the URL must be an https: URL without credentials in it')
  if (String(text).includes('#')) throw refused('the URL must not have a fragment')
  const origins = [new URL(metadata.issuer).origin, ...(metadata.endpoint_origins ?? []), ...listed]
  if (!origins.includes(url.origin)) {
    throw refused('the URL is at no origin that this bank names: list its origin in "resource_servers"')
  }
  if (certificate && url.protocol !== 'https:') {
    throw refused('the URL must be an https: URL, or "tls_client_cert" could not be shown')
  }
  if (!METHODS.includes(method)) throw refused(`"method" must be one of ${METHODS.join(', ')}`)
  const form = body instanceof URLSearchParams
  if (body !== undefined && typeof body !== 'string' && !form) {
    throw refused('"body" must be a text or URLSearchParams')
  }
  if (body !== undefined && WITHOUT_BODY.includes(method)) throw refused(`${method} has no "body"`)
  const content = body?.toString()
  if (content !== undefined && Buffer.byteLength(content) > MAX_BODY_BYTES) {
    throw refused('"body" must be at most 1 MiB')
  }
  const checked = headersOf(headers)
  if (form && !checked.has('content-type')) checked.set('content-type', 'application/x-www-form-urlencoded')
  return { url, method, headers: checked, body: content }
}

function headersOf(given: ResourceRequest['headers']): Headers {
  let headers: Headers
  try {
    headers = new Headers(given)
  } catch {
    // The cause is left out: it quotes the header.
    throw refused('"headers" hold what is no header')
  }
  for (const name of headers.keys()) {
    if (OURS.includes(name) || name.startsWith('proxy-')) {
      throw refused(`the header "${name}" is set by this package alone`)
    }
  }
  return headers
}

/** Whether a bank says that a token is of no use any more (RFC 6750, section 3.1); it has done nothing then. */
export function hasRunOut({ status, headers }: Response): boolean {
  return status === 401 && /\berror="?invalid_token\b/i.test(headers.get('www-authenticate') ?? '')
}

/** Whether a bank refused a request for its proof alone (RFC 9449, section 9). */
export function asksForNonce({ status, headers }: Response): boolean {
  if (status === 401) return true
  return status === 400 && /\buse_dpop_nonce\b/.test(headers.get('www-authenticate') ?? '')
}

function refused(why: string): IDPartnerError {
  return new IDPartnerError('config_invalid', why)
}
