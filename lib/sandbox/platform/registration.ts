import type { JSONWebKeySet } from 'jose'
import type { ClientMetadata } from 'oidc-provider'
import { ENCRYPTED, recipientOf } from '../algorithms.js'
import type { ResolvedOptions } from '../options.js'
import { CLIENT_SUBJECT } from '../http/tls.js'

const RESPONSE_MODES = { query: ['query'], jwt: ['jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt'] }

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
  return {
    client_id: options.client_id,
    redirect_uris: [options.callback],
    ...(options.post_logout_redirect_uris && {
      post_logout_redirect_uris: [...options.post_logout_redirect_uris],
    }),
    ...(options.backchannel_logout_uri !== undefined && {
      backchannel_logout_uri: options.backchannel_logout_uri,
      backchannel_logout_session_required: true,
    }),
    response_types: ['code'],
    response_modes: RESPONSE_MODES[options.response_mode],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: options.token_endpoint_auth_method,
    ...(clientSecret !== undefined && { client_secret: clientSecret }),
    ...(options.token_endpoint_auth_method === 'tls_client_auth' && {
      tls_client_auth_subject_dn: CLIENT_SUBJECT,
    }),
    ...(bindsTokens(options) && { tls_client_certificate_bound_access_tokens: true }),
    ...(options.dpop_bound_access_tokens && { dpop_bound_access_tokens: true }),
    ...(options.profile === 'fapi2-message-signing' && { require_signed_request_object: true }),
    ...(keys && { jwks: { keys: keys.keys } }),
    authorization_signed_response_alg: options.authorization_signed_response_alg ?? 'PS256',
    id_token_signed_response_alg: options.id_token_signed_response_alg ?? 'PS256',
    ...(options.userinfo_signed_response_alg && {
      userinfo_signed_response_alg: options.userinfo_signed_response_alg,
    }),
    ...(options.request_object_signing_alg && {
      request_object_signing_alg: options.request_object_signing_alg,
    }),
    ...(options.token_endpoint_auth_signing_alg && {
      token_endpoint_auth_signing_alg: options.token_endpoint_auth_signing_alg,
    }),
    ...encryption(options, keys),
  }
}

/** Whether access tokens are bound to the app's certificate (RFC 8705, section 3). */
export function bindsTokens(options: ResolvedOptions): boolean {
  return (
    options.tls_client_certificate_bound_access_tokens ??
    (options.token_endpoint_auth_method === 'tls_client_auth' && !options.dpop_bound_access_tokens)
  )
}

function encryption(options: ResolvedOptions, keys: JSONWebKeySet | undefined): Partial<ClientMetadata> {
  return Object.fromEntries(
    ENCRYPTED.flatMap((kind) => {
      const recipient = recipientOf(options, kind, keys)
      if (!recipient) return []
      const name = `${kind}_encrypted_response`
      return [
        [`${name}_alg`, recipient.alg],
        [`${name}_enc`, recipient.enc],
      ]
    }),
  )
}
