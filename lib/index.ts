/// <reference types="node" preserve="true" />
export type {
  AuthorizationDetail,
  AuthorizationParams,
  ClaimRequest,
  ClaimsRequest,
  Proofs,
  RequestedClaims,
  RequestedDetail,
  TakeProofs,
  VerifiedClaimsRequest,
} from './client/authorization-request.js'
export type { EndedLogin, EndSessionParams } from './client/end-session.js'
export type { Flow, IDPartnerConfig, TokenEndpointAuthMethod, TrustedIssuers } from './client/config.js'
export type { FreshTokensOptions } from './client/fresh-tokens.js'
export { IDPartnerError, type ErrorCode, type MissingReason } from './errors.js'
export type {
  EventOutcome,
  ExpiringEvent,
  FetchEvent,
  IDPartnerEvents,
  IDPartnerSpans,
  KeptEvent,
  LoginBegunEvent,
  LoginEndedEvent,
  PassEvent,
  RefusedEvent,
  ReloadedEvent,
  StaleEvent,
  StepEvent,
} from './events.js'
export type { Log, LogLevel } from './client/log.js'
export { IDPartner } from './client/idpartner.js'
export type { CallOptions } from './client/providers.js'
export type { Bank } from './client/banks.js'
export type { ClientOf } from './client/client-of.js'
export { jwksRouter, type JwksRouter } from './client/jwks-router.js'
export type { AddressClaim, IDPartnerClaims, UserInfo, VerifiedClaims } from './jwt/claims.js'
export type { ContentEncryptionAlg, KeyEncryptionAlg, SigningAlg } from './jwt/algorithms.js'
export type { EncryptionOptions } from './client/encryption.js'
export type { Check, Checks } from './client/check.js'
export type { PreflightOptions } from './client/asked-for.js'
export type { Network } from './client/networks.js'
export type { OwnParameters } from './client/own-parameters.js'
export { generateJwks } from './jwt/keys.js'
export type { LoginStore, PendingLogin } from './passport/logins.js'
export type { ResourceRequest } from './client/resource-request.js'
export type { Profile, ResponseMode } from './client/profile.js'
export type { IdentityProvider } from './jwt/proxy-document.js'
export { IDPartnerStrategy } from './passport/strategy.js'
export type { FailureInfo } from './passport/outcome.js'
export type { OptionsOf } from './passport/tenants.js'
export type {
  AuthenticateOptions,
  IDPartnerStrategyOptions,
  LoginOptions,
  TenantOptions,
} from './passport/options.js'
export type { ClientJwks, HeldKey, OutsideDecrypter, OutsideSigner } from './jwt/outside-keys.js'
export type { Source } from './client/sources.js'
export type { TokenSet } from './client/tokens.js'
export type { Done, IDPartnerLogin, Verify, VerifyResult, VerifyWithRequest } from './passport/verify.js'
