import { isLoopback } from '../net/addresses.js'
import { parseEndpoint } from '../net/http.js'
import { signingKey } from '../jwt/keys.js'
import { IDPartnerError } from '../errors.js'
import type { ResolvedConfig } from './config.js'
import type { Encrypted } from './encryption.js'
import { issuerHint } from './networks.js'
import { partyOf } from './party.js'
import type { ProviderContext } from './provider-call.js'
import { badMetadata } from './provider-failure.js'
import { unsupported, type Endpoint, type Need } from './provider-metadata.js'

/**
 * The endpoint's URL; where the application has a certificate, one that can be shown it: the alias for mutual TLS, or
 * else the endpoint itself (RFC 8705, section 5).
 *
 * An alias that is no https: URL is as good as none. Over plain http there is nothing to show a certificate to, and a
 * token that should be bound to it would turn into one that anybody can use.
 */
export function endpointUrl(context: ProviderContext, name: Endpoint): URL {
  const { config, metadata } = context
  const ordinary = parseEndpoint(metadata[name])
  if (config.tls.cert === undefined) {
    if (!ordinary) {
      // Another issuer of the same bank has documents without.
      const hint = name === 'pushed_authorization_request_endpoint' ? issuerHint(config.network) : ''
      throw badMetadata(partyNamed(context), `names no usable ${name}${hint}`)
    }
    return ordinary
  }
  const alias = parseEndpoint(metadata.mtls_endpoint_aliases?.[name])
  const url = [alias, ordinary].find((one) => one?.protocol === 'https:')
  if (url) return url
  throw new IDPartnerError(
    'config_invalid',
    `"tls_client_cert" cannot be used: in the discovery document of ${partyNamed(context)} neither mtls_endpoint_aliases.${name} nor ${name} is an https: URL`,
  )
}

/** What a login needs at its end has to be there before the person is sent to the bank. */
export function assertComplete(context: ProviderContext): void {
  const { config, keys, metadata, dpop } = context
  endpointUrl(context, 'pushed_authorization_request_endpoint')
  if (!parseEndpoint(metadata.jwks_uri)) throw badMetadata(partyNamed(context), 'names no usable jwks_uri')
  endpointUrl(context, 'token_endpoint')
  const method = config.token_endpoint_auth_method
  const signer = method === 'private_key_jwt' && signingKey(keys, config.token_endpoint_auth_signing_alg)
  assertSupports(context, [
    ...askedFor(config),
    ['token_endpoint_auth_methods_supported', [method]],
    ...(signer ? [['token_endpoint_auth_signing_alg_values_supported', [signer.alg]] as const] : []),
    ...(config.response_mode === 'jwt' ? signedAnswer(context) : []),
    ['id_token_signing_alg_values_supported', [config.id_token_signed_response_alg]],
    ['id_token_encryption_alg_values_supported', encryptionAlgs(context, 'id_token')],
    ['userinfo_signing_alg_values_supported', [config.userinfo_signed_response_alg ?? []].flat()],
    ...(dpop ? [['dpop_signing_alg_values_supported', [dpop.alg]] as const] : []),
  ])
}

function signedAnswer(context: ProviderContext): Need[] {
  return [
    ['authorization_signing_alg_values_supported', [context.config.authorization_signed_response_alg]],
    ['authorization_encryption_alg_values_supported', encryptionAlgs(context, 'authorization')],
  ]
}

export function assertSupports(context: ProviderContext, needs: readonly Need[]): void {
  const why = unsupported(
    context.metadata,
    needs.filter(([, oneOf]) => oneOf.length > 0),
  )
  if (why !== undefined) throw badMetadata(partyNamed(context), why)
}

/** What a bank has to be able to encrypt with, where it has to encrypt. */
function encryptionAlgs(context: ProviderContext, kind: Encrypted): string[] {
  const { config, keys } = context
  return config.encryption[kind].alg.filter((alg) => keys.decryption.some((one) => one.alg === alg))
}

/** A page the browser is sent to: openid-client would let any scheme pass. */
export function browserEndpoint(
  context: ProviderContext,
  name: 'authorization_endpoint' | 'end_session_endpoint',
): URL {
  const url = parseEndpoint(context.metadata[name])
  if (!url || (isLoopback(url) && !isLoopback(new URL(context.metadata.issuer)))) {
    throw badMetadata(partyNamed(context), `names no usable ${name}`)
  }
  return url
}

/** What messages call this provider. */
export function partyNamed({ config, metadata }: ProviderContext): string {
  return partyOf(metadata.issuer, config)
}

/** What every authorization request asks for. */
export function askedFor({ response_mode }: ResolvedConfig): Need[] {
  return [
    ['response_modes_supported', [response_mode]],
    ['code_challenge_methods_supported', ['S256']],
  ]
}
