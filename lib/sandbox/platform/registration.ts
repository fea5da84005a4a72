import type { JSONWebKeySet, JWK } from 'jose'
import type { ClientMetadata } from 'oidc-provider'
import type { ResolvedOptions } from '../options.js'
import { CLIENT_SUBJECT } from '../http/tls.js'

/**
 * The app as every bank has it registered, with the keys it publishes now.
 *
 * @see https://openid.net/specs/openid-connect-registration-1_0.html#ClientMetadata
 */
export function registration(
  options: ResolvedOptions,
  clientSecret: string | undefined,
  keys: JSONWebKeySet | undefined,
): ClientMetadata {
  const encrypted = encryptionKey(keys) !== undefined
  return {
    client_id: options.client_id,
    redirect_uris: [options.callback],
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: options.token_endpoint_auth_method,
    ...(clientSecret !== undefined && { client_secret: clientSecret }),
    ...(options.token_endpoint_auth_method === 'tls_client_auth' && {
      tls_client_auth_subject_dn: CLIENT_SUBJECT,
    }),
    ...(bindsTokens(options) && { tls_client_certificate_bound_access_tokens: true }),
    ...(keys && { jwks: { keys: keys.keys } }),
    authorization_signed_response_alg: options.authorization_signed_response_alg ?? 'PS256',
    id_token_signed_response_alg: options.id_token_signed_response_alg ?? 'PS256',
    ...(options.userinfo_signed_response_alg && {
      userinfo_signed_response_alg: options.userinfo_signed_response_alg,
    }),
    ...(encrypted && {
      authorization_encrypted_response_alg: 'RSA-OAEP',
      authorization_encrypted_response_enc: 'A256CBC-HS512',
      id_token_encrypted_response_alg: 'RSA-OAEP',
      id_token_encrypted_response_enc: 'A256CBC-HS512',
    }),
    ...(options.userinfo_encrypted_response_alg && {
      userinfo_encrypted_response_alg: options.userinfo_encrypted_response_alg,
      userinfo_encrypted_response_enc: 'A256CBC-HS512',
    }),
  }
}

/** Whether access tokens are bound to the app's certificate (RFC 8705, section 3). */
export function bindsTokens(options: ResolvedOptions): boolean {
  return (
    options.tls_client_certificate_bound_access_tokens ??
    options.token_endpoint_auth_method === 'tls_client_auth'
  )
}

/** The key to which a bank encrypts, when the app publishes one. */
export function encryptionKey(keys: JSONWebKeySet | undefined): JWK | undefined {
  return keys?.keys.find(
    ({ kty, use, alg }) => kty === 'RSA' && use === 'enc' && (alg === undefined || alg === 'RSA-OAEP'),
  )
}
