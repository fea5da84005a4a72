import { printable } from '../errors.js'
import { parseEndpoint } from '../net/http.js'
import { selfDescription } from './bank-name.js'
import { KEY_ENCRYPTION_ALGS, SIGNING_ALGS, knownName } from '../jwt/algorithms.js'

/** Endpoints of which a provider may have a second one for mutual TLS (RFC 8705, section 5). */
const ENDPOINTS = [
  'pushed_authorization_request_endpoint',
  'token_endpoint',
  'userinfo_endpoint',
  'revocation_endpoint',
  'payment_details_info_endpoint',
  'payment_processing_endpoint',
] as const
export type Endpoint = (typeof ENDPOINTS)[number]

const OTHERS = ['authorization_endpoint', 'end_session_endpoint', 'jwks_uri'] as const

/**
 * Lists of what a provider supports that are compared with what is needed, each with the option that it is about.
 *
 * Not those of `enc` values, nor how userinfo is encrypted: there, banks are known to publish other values than they
 * use, or placeholders, and a login that would have worked must not end for that.
 */
const LISTS = {
  response_modes_supported: 'response_mode',
  code_challenge_methods_supported: undefined,
  token_endpoint_auth_methods_supported: 'token_endpoint_auth_method',
  token_endpoint_auth_signing_alg_values_supported: 'token_endpoint_auth_signing_alg',
  request_object_signing_alg_values_supported: 'request_object_signing_alg',
  authorization_signing_alg_values_supported: 'authorization_signed_response_alg',
  authorization_encryption_alg_values_supported: 'authorization_encrypted_response_alg',
  id_token_signing_alg_values_supported: 'id_token_signed_response_alg',
  id_token_encryption_alg_values_supported: 'id_token_encrypted_response_alg',
  userinfo_signing_alg_values_supported: 'userinfo_signed_response_alg',
  dpop_signing_alg_values_supported: 'dpop_signing_alg',
} as const
type SupportList = keyof typeof LISTS

/** What is looked for in these lists, and so kept of them however long they are. */
const NEEDED: readonly string[] = [
  'jwt',
  'query',
  'S256',
  'private_key_jwt',
  'client_secret_basic',
  'tls_client_auth',
  ...SIGNING_ALGS,
  ...KEY_ENCRYPTION_ALGS,
]

/** How much of the rest of a list is kept, to say what there is instead. */
const MAX_OTHERS = 5

/** A list in which one of some values has to be, if it is there at all. */
export type Need = readonly [list: SupportList, oneOf: readonly string[]]

/** The part of a discovery document that is read here or by openid-client. */
export type ProviderMetadata = { issuer: string } & Partial<
  Record<Endpoint | (typeof OTHERS)[number], string> & {
    mtls_endpoint_aliases: Partial<Record<Endpoint, string>>
    organization_name: string
    /** Where its endpoints are beside its own origin, those that are not used here too. */
    endpoint_origins: string[]
    logo_uri: string
  } & Record<SupportList, string[]>
>

/**
 * Keeps what is used of a discovery document: openid-client copies all it is given for each request, so a long
 * document would cost each login what it cost the first.
 *
 * Does not check the values beyond that they are text: whoever uses an endpoint does.
 */
export function usedMetadata(document: { issuer: string; [member: string]: unknown }): ProviderMetadata {
  const { issuer, mtls_endpoint_aliases: aliases } = document
  return {
    issuer,
    ...endpointOrigins(document),
    ...texts(document, [...ENDPOINTS, ...OTHERS]),
    ...lists(document),
    ...selfDescription(document, issuer),
    ...(typeof aliases === 'object' && aliases && { mtls_endpoint_aliases: texts(aliases, ENDPOINTS) }),
  }
}

/** More than any bank has, whose APIs are named in a list elsewhere. */
const MAX_ORIGINS = 20

function endpointOrigins(document: { issuer: string; mtls_endpoint_aliases?: unknown }): {
  endpoint_origins?: string[]
} {
  const { issuer, mtls_endpoint_aliases: aliases } = document
  const origins = [document, typeof aliases === 'object' && aliases ? aliases : {}].flatMap((members) =>
    Object.entries(members).flatMap(([name, value]) => {
      const url = name.endsWith('_endpoint') ? parseEndpoint(value) : undefined
      return url && url.origin !== parseEndpoint(issuer)?.origin ? [url.origin] : []
    }),
  )
  const others = [...new Set(origins)].slice(0, MAX_ORIGINS)
  return others.length > 0 ? { endpoint_origins: others } : {}
}

function texts<Name extends string>(members: object, names: readonly Name[]): Partial<Record<Name, string>> {
  const kept: Partial<Record<Name, string>> = {}
  for (const name of names) {
    const value: unknown = Object.getOwnPropertyDescriptor(members, name)?.value
    if (typeof value === 'string') kept[name] = value
  }
  return kept
}

function lists(members: object): Partial<Record<SupportList, string[]>> {
  const kept: Partial<Record<SupportList, string[]>> = {}
  for (const name of Object.keys(LISTS) as SupportList[]) {
    const value: unknown = Object.getOwnPropertyDescriptor(members, name)?.value
    if (!Array.isArray(value)) continue
    const listed = value.map((one: unknown) => printable(knownName(one)))
    const others = listed.filter((one) => one !== undefined && !NEEDED.includes(one)) as string[]
    kept[name] = [...NEEDED.filter((one) => listed.includes(one)), ...others.slice(0, MAX_OTHERS)]
  }
  return kept
}

/** Why a login cannot end well with what a provider says it supports; nothing where nothing speaks against it. */
export function unsupported(metadata: ProviderMetadata, needs: readonly Need[]): string | undefined {
  for (const [list, oneOf] of needs) {
    const listed = metadata[list]
    // A list that is not there says nothing (Discovery, section 3).
    if (!listed || oneOf.some((one) => listed.includes(one))) continue
    const option = LISTS[list]
    const about = option === undefined ? '' : ` (see the option "${option}")`
    return `does not have ${oneOf.join(' or ')} in ${list}${about}; it has ${listed.join(', ') || 'nothing there'}`
  }
  return undefined
}
