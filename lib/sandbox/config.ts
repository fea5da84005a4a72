import type { JWK } from 'jose'
import { ALGORITHM_OPTIONS, type AlgorithmOptions } from './algorithms.js'
import type { Certificates } from './http/tls.js'
import type { SigningKeys } from './keys.js'
import { NETWORKS, type NetworkExample, type NetworkRules } from './networks.js'
import type { ResolvedOptions } from './options.js'
import type { Flow, TokenEndpointAuthMethod } from '../client/config.js'
import type { Network } from '../client/networks.js'
import type { Profile, ResponseMode } from '../client/profile.js'

/** The options of the strategy that make the app talk to the sandbox; the app adds its own `jwks`. */
export interface SandboxConfig extends AlgorithmOptions, Omit<NetworkExample, keyof AlgorithmOptions> {
  client_id: string
  callback: string
  flow: Flow
  /** Where it is not FAPI 1.0 Advanced. */
  profile?: Profile
  response_mode?: ResponseMode
  dpop_bound_access_tokens?: true
  /** Of the option `network`; its defaults are then left out, and an example of what its logins ask for is there. */
  network?: Network
  /** Made for this run, where an app of the network has one key of DPoP for all logins. */
  dpop_key?: JWK
  oidc_proxy_service_url: string
  trust_directory_service_url: string
  account_selector_service_url: string
  token_endpoint_auth_method: TokenEndpointAuthMethod
  /** All banks of the sandbox; in the direct flow. */
  trusted_issuers?: string[]
  /** With `client_secret_basic`. */
  client_secret?: string
  /** With `tls_client_auth` and with certificate-bound access tokens, PEM. */
  tls_client_cert?: string
  tls_client_key?: string
  tls_server_ca?: string
}

interface ConfigInput {
  options: ResolvedOptions
  certificates: Certificates | undefined
  clientSecret: string | undefined
  keys: SigningKeys
  services: Pick<
    SandboxConfig,
    'oidc_proxy_service_url' | 'trust_directory_service_url' | 'account_selector_service_url'
  >
  issuers: string[]
}

/** What the app has to be given, beside its keys. */
export async function sandboxConfig(input: ConfigInput): Promise<SandboxConfig> {
  const { options, certificates, clientSecret, keys, services, issuers } = input
  const { network } = options
  return {
    client_id: options.client_id,
    callback: options.callback,
    flow: options.flow,
    ...(network ? await ofNetwork(network, keys) : ofProfile(options)),
    ...services,
    token_endpoint_auth_method: options.token_endpoint_auth_method,
    ...(options.flow === 'direct' && { trusted_issuers: issuers }),
    ...(clientSecret !== undefined && { client_secret: clientSecret }),
    ...(certificates && {
      ...(await certificates.client('valid')),
      tls_server_ca: certificates.authority,
    }),
    ...algorithmOptions(options, network && NETWORKS[network]),
  }
}

function ofProfile({ profile, response_mode, dpop_bound_access_tokens }: ResolvedOptions) {
  return {
    ...(profile !== 'fapi1-advanced' && { profile, response_mode }),
    ...(dpop_bound_access_tokens && { dpop_bound_access_tokens }),
  }
}

async function ofNetwork(network: Network, keys: SigningKeys) {
  const { example, dpop } = NETWORKS[network]
  if (!dpop?.lastingKey) return { network, ...example }
  const { kty, n, e, d, p, q, dp, dq, qi, alg } = (await keys.generate('PS256')).privateJwk
  return { network, ...example, dpop_key: { kty, n, e, d, p, q, dp, dq, qi, alg } as JWK }
}

/** What the app is registered for is what it has to accept, and to sign with. */
function algorithmOptions(resolved: ResolvedOptions, network: NetworkRules | undefined): AlgorithmOptions {
  const given = ALGORITHM_OPTIONS.filter(
    // Its defaults at a network are those of the client's option `network`.
    (name) => resolved[name] !== undefined && resolved[name] !== network?.registered[name]?.[0],
  )
  return Object.fromEntries(given.map((name) => [name, resolved[name]]))
}
