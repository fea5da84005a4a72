import { checkCertificate, resolveTls } from './certificates.js'
import type { IDPartnerConfig, ResolvedConfig } from './config.js'
import { configSchema } from './config-schema.js'
import { resolveDpop } from './dpop-choice.js'
import { encryptionEntries, resolveEncryption, type EncryptionOptions } from './encryption.js'
import { checkNetwork, withNetwork } from './networks.js'
import { resolveNetwork } from './network.js'
import { badOption } from './option-errors.js'
import { parseOptions } from './parse-options.js'
import { PROFILES } from './profile.js'
import { checkResourceServers } from './resource-request.js'

/**
 * Checks the options and fills in the defaults; leaves the caller's object as it is.
 *
 * @param config with values alone: see `Source`
 * @param isWhole whether no key nor certificate is awaited; what goes together is checked only then
 * @throws {IDPartnerError} `config_invalid`, with a message that names the option
 */
export function resolveConfig(config: IDPartnerConfig, { isWhole = true } = {}): ResolvedConfig {
  const {
    tls_client_cert,
    tls_client_key,
    tls_client_pfx,
    tls_client_passphrase,
    tls_server_ca,
    jwks,
    dpop_bound_access_tokens,
    dpop_signing_alg,
    dpop_key,
    private_networks,
    egress_proxy,
    ...options
  } = parseOptions(configSchema, withNetwork(config))
  const tls = resolveTls({
    tls_client_cert,
    tls_client_key,
    tls_client_pfx,
    tls_client_passphrase,
    tls_server_ca,
  })
  const keys = jwks ?? []
  const rules = PROFILES[options.profile]
  const resolved = {
    ...withoutEncryption(options),
    ...resolveNetwork({ private_networks, egress_proxy }, options.trusted_issuers, tls.ca),
    network: options.network,
    response_mode: options.response_mode ?? rules.responseModes[0] ?? 'jwt',
    pushed_request_client_id: options.pushed_request_client_id ?? rules.clientIdBesideRequest,
    client_secret: options.client_secret,
    trusted_issuers: options.trusted_issuers,
    userinfo_signed_response_alg: options.userinfo_signed_response_alg,
    request_object_signing_alg: options.request_object_signing_alg,
    token_endpoint_auth_signing_alg: options.token_endpoint_auth_signing_alg,
    encryption: resolveEncryption(options, isWhole ? keys : undefined),
    dpop: resolveDpop({ dpop_bound_access_tokens, dpop_signing_alg, dpop_key }),
    log: options.log,
    keys,
    tls,
  }
  if (resolved.flow === 'direct' && resolved.trusted_issuers === undefined) {
    throw badOption(
      'trusted_issuers',
      'is required in the direct flow: the browser names the bank there, and without this list anyone could log in from a bank of their own making',
    )
  }
  checkResourceServers(resolved.resource_servers, resolved.networks)
  checkNetwork(resolved, isWhole)
  checkProfile(resolved)
  checkSecret(resolved)
  if (!isWhole) return Object.freeze(resolved)
  checkBinding(resolved)
  checkKeys(resolved)
  checkCertificate(
    resolved.tls,
    resolved.clock_tolerance,
    tls_client_pfx === undefined ? 'tls_client_cert' : 'tls_client_pfx',
  )
  return Object.freeze(resolved)
}

function withoutEncryption<T extends object>(options: T): Omit<T, keyof EncryptionOptions> {
  const entries = Object.entries(options).filter(([name]) => !Object.hasOwn(encryptionEntries, name))
  return Object.fromEntries(entries) as Omit<T, keyof EncryptionOptions>
}

/** @throws {IDPartnerError} `config_invalid`: what the profile does not have */
function checkProfile(config: ResolvedConfig): void {
  const { profile, flow, response_mode, token_endpoint_auth_method: method, trusted_issuers } = config
  const rules = PROFILES[profile]
  if (!rules.flows.includes(flow)) {
    throw badOption(
      'profile',
      `is ${profile}, which the ${flow} flow does not have: there it is fapi1-advanced`,
    )
  }
  if (!rules.responseModes.includes(response_mode)) {
    throw badOption(
      'response_mode',
      `cannot be "${response_mode}" with the profile ${profile}: such an answer is safe with FAPI 2.0 alone`,
    )
  }
  if (!rules.authMethods.includes(method)) {
    throw badOption(
      'token_endpoint_auth_method',
      `cannot be "${method}" with the profile ${profile}, which has ${rules.authMethods.join(' and ')}`,
    )
  }
  if (config.authorization_response_iss === 'optional') {
    // Of two banks, one could pass the other's answer off as its own (RFC 9207, section 1).
    if (typeof trusted_issuers !== 'object' || trusted_issuers.length !== 1) {
      throw badOption(
        'authorization_response_iss',
        'may be "optional" only where "trusted_issuers" is a list of exactly one',
      )
    }
    if (response_mode !== 'query') {
      throw badOption(
        'authorization_response_iss',
        'is for the response_mode "query": a signed answer has its issuer',
      )
    }
  }
}

function checkKeys({ keys, flow, profile, token_endpoint_auth_method, ...algs }: ResolvedConfig): void {
  const signing = keys.filter(({ use, status }) => use === 'sig' && status === 'current')
  for (const name of ['request_object_signing_alg', 'token_endpoint_auth_signing_alg'] as const) {
    const alg = algs[name]
    if (alg !== undefined && !signing.some((one) => one.alg === alg)) {
      throw badOption(name, `is ${alg}, and "jwks" holds no signing key for it`)
    }
  }
  if (signing.length > 0) return
  if (keys.some((one) => one.use === 'sig')) {
    throw badOption(
      'jwks',
      'holds signing keys, but none with the status "current", so that nothing is signed',
    )
  }
  if (flow === 'proxy') {
    throw badOption(
      'jwks',
      'needs a signing key in the proxy flow, which signs every request (see generateJwks)',
    )
  }
  if (PROFILES[profile].signedRequests === 'always') {
    throw badOption(
      'jwks',
      `needs a signing key for ${profile}, which signs every request (see generateJwks)`,
    )
  }
  if (token_endpoint_auth_method === 'private_key_jwt') {
    throw badOption('jwks', 'needs a signing key for private_key_jwt (see generateJwks)')
  }
}

function checkSecret({
  token_endpoint_auth_method: method,
  client_secret,
}: Pick<ResolvedConfig, 'token_endpoint_auth_method' | 'client_secret'>): void {
  if (method === 'client_secret_basic' && client_secret === undefined) {
    throw badOption('client_secret', 'is required for client_secret_basic')
  }
  if (method !== 'client_secret_basic' && client_secret !== undefined) {
    throw badOption(
      'client_secret',
      `contradicts token_endpoint_auth_method "${method}", which never sends it`,
    )
  }
}

/** What a certificate is needed for. */
function checkBinding({ profile, token_endpoint_auth_method: method, tls, dpop }: ResolvedConfig): void {
  if (tls.cert !== undefined) return
  if (PROFILES[profile].boundTokens && dpop === undefined) {
    throw badOption(
      'profile',
      `is ${profile}, whose tokens are bound to the application: set dpop_bound_access_tokens, or tls_client_cert and tls_client_key`,
    )
  }
  if (method === 'tls_client_auth') throw badOption('tls_client_cert', 'is required for tls_client_auth')
}
