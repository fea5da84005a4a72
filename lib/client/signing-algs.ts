import type { SigningAlg } from '../jwt/algorithms.js'
import type { ResolvedConfig } from './config.js'
import { PROFILES } from './profile.js'

/**
 * The algorithms of requests, client assertions and proofs of DPoP: none where they are not signed, or the keys are not
 * known yet; of several keys that of the first.
 */
export function signingAlgs(
  config: ResolvedConfig,
): Record<'request' | 'assertion' | 'dpop', SigningAlg | undefined> {
  const first = config.keys.find(({ use, status }) => use === 'sig' && status === 'current')?.alg as
    SigningAlg | undefined
  const { signedRequests } = PROFILES[config.profile]
  const asserts = config.token_endpoint_auth_method === 'private_key_jwt'
  const { dpop } = config
  return {
    request: signedRequests === 'never' ? undefined : (config.request_object_signing_alg ?? first),
    assertion: asserts ? (config.token_endpoint_auth_signing_alg ?? first) : undefined,
    dpop: dpop && ('alg' in dpop ? dpop.alg : (dpop.key.alg as SigningAlg)),
  }
}
