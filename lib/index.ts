export type { AuthorizationParams, Proofs } from './authorization-request.js'
export type { AddressClaim, ClaimRequest, ClaimsRequest, IDPartnerClaims, UserInfo } from './claims.js'
export type { Flow, IDPartnerConfig, TokenEndpointAuthMethod, TrustedIssuers } from './config.js'
export { IDPartnerError, type ErrorCode, type MissingReason } from './errors.js'
export { IDPartner, type CallOptions } from './idpartner.js'
export { jwksRouter } from './jwks-router.js'
export { generateJwks, type SigningAlg } from './keys.js'
export type { LoginStore, PendingLogin } from './logins.js'
export type { IdentityProvider } from './proxy-document.js'
export {
  IDPartnerStrategy,
  type AuthenticateOptions,
  type FailureInfo,
  type IDPartnerStrategyOptions,
  type LoginOptions,
} from './strategy.js'
export type { TokenSet } from './tokens.js'
export type { Done, IDPartnerLogin, Verify, VerifyResult, VerifyWithRequest } from './verify.js'
