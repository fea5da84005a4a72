import * as v from 'valibot'
import { IDPartnerError } from '../errors.js'
import { joinUrl, parseEndpoint } from '../net/http.js'
import type { Provider } from './provider.js'

const credentialMetadata = v.looseObject({
  credential_endpoint: v.string(),
  credential_issuer: v.optional(v.string()),
})

/**
 * Asks an issuer's credential endpoint, which only its own metadata names.
 *
 * @see https://openid.net/specs/openid-4-verifiable-credential-issuance-1_0.html#name-credential-issuer-metadata
 */
export async function credential(
  bank: Provider,
  party: string,
  accessToken: string,
  request: object,
): Promise<unknown> {
  const { issuer } = bank
  const url = new URL(joinUrl(issuer, '.well-known/openid-credential-issuer'))
  const metadata = await bank.document(url, 'credential issuer metadata')
  const known = v.is(credentialMetadata, metadata) ? metadata : undefined
  const endpoint = parseEndpoint(known?.credential_endpoint)
  if (!endpoint || (known?.credential_issuer ?? issuer) !== issuer) {
    throw new IDPartnerError(
      'provider_unavailable',
      `the credential issuer metadata of ${party} is of another issuer or names no credential_endpoint`,
    )
  }
  return bank.json(endpoint, 'credential endpoint', accessToken, request)
}
