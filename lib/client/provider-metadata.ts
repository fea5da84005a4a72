import { SIGNING_ALGS } from '../jwt/algorithms.js'

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

const OTHERS = ['authorization_endpoint', 'jwks_uri'] as const

/** Lists of what a provider supports, of which what this package may need is kept. */
const LISTS = [
  'response_modes_supported',
  'code_challenge_methods_supported',
  'request_object_signing_alg_values_supported',
  'authorization_signing_alg_values_supported',
  'id_token_signing_alg_values_supported',
] as const
export type SupportList = (typeof LISTS)[number]
const NEEDED = ['jwt', 'query', 'S256', ...SIGNING_ALGS]

/** The part of a discovery document that is read here or by openid-client. */
export type ProviderMetadata = { issuer: string } & Partial<
  Record<Endpoint | (typeof OTHERS)[number], string> & {
    mtls_endpoint_aliases: Partial<Record<Endpoint, string>>
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
    ...texts(document, [...ENDPOINTS, ...OTHERS]),
    ...lists(document),
    ...(typeof aliases === 'object' && aliases && { mtls_endpoint_aliases: texts(aliases, ENDPOINTS) }),
  }
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
  for (const name of LISTS) {
    const value: unknown = Object.getOwnPropertyDescriptor(members, name)?.value
    if (Array.isArray(value)) kept[name] = NEEDED.filter((one) => value.includes(one))
  }
  return kept
}
