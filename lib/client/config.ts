import type { JWK } from 'jose'
import type { SigningAlg } from '../jwt/algorithms.js'
import type { CheckedKey } from '../jwt/keys.js'
import type { ClientJwks } from '../jwt/outside-keys.js'
import type { ClientTls } from '../net/http.js'
import type { DpopChoice } from './dpop-choice.js'
import type { Encrypted, Encryption, EncryptionOptions } from './encryption.js'
import type { Log } from './log.js'
import type { Network } from './networks.js'
import type { NetworkOptions, ResolvedNetwork } from './network.js'
import type { Profile, ResponseMode } from './profile.js'
import type { Source } from './sources.js'

/**
 * Which issuers may log people in: exact strings, or a function that decides.
 *
 * The function is asked once by each request that names an issuer: by the callback, and in the direct flow by the login
 * route as well, since the two are told the name by different parties and a bank may lose its trust in between.
 */
export type TrustedIssuers = readonly string[] | ((issuer: string) => boolean | Promise<boolean>)

/** Whether IDPartner's proxy stands between the application and the banks, or the application talks to them itself. */
export type Flow = 'proxy' | 'direct'

/**
 * How the application proves to a bank who it is.
 *
 * @see https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication
 * @see https://www.rfc-editor.org/rfc/rfc8705#section-2.1
 */
export type TokenEndpointAuthMethod = 'private_key_jwt' | 'client_secret_basic' | 'tls_client_auth'

/**
 * The options of {@link IDPartner}, named as IDPartner and OpenID client registration name them.
 *
 * @see https://openid.net/specs/openid-connect-registration-1_0.html#ClientMetadata
 */
export interface IDPartnerConfig extends EncryptionOptions, NetworkOptions {
  /** The application's client id at IDPartner. */
  client_id: string
  /**
   * Absolute URL of the application's callback route, exactly as registered. It is sent byte for byte and never
   * derived from a request. Plain http is accepted on loopback only.
   */
  callback: string
  /**
   * The application's private keys, as {@link generateJwks} makes them. Needed in the proxy flow and for
   * `private_key_jwt`. With an encryption key in it, an answer that is not encrypted is refused. A key may have a
   * `status`, with which keys are rotated: `current` (by default) signs, `next` and `retired` are published and decrypt.
   * An entry may be a KeyObject or a CryptoKey, or what signs or decrypts elsewhere, such as in an HSM.
   * A `file:` URL or a function reads them again while the application runs; so it is with certificates.
   */
  jwks?: Source<ClientJwks> | undefined
  /** `'proxy'` by default. */
  flow?: Flow | undefined
  /**
   * A network whose rules are known: its row has defaults for other options, and what it does not have is refused by the
   * constructor. None by default.
   */
  network?: Network | undefined
  /** The profile of FAPI that the banks follow; `'fapi1-advanced'` by default, and always so in the proxy flow. */
  profile?: Profile | undefined
  /**
   * How a bank's answer comes: `'jwt'` (signed) by default, and `'query'` by default with `fapi2-security`. With `'query'`,
   * which a FAPI 2.0 profile alone allows, it is `code`, `state` and `iss` in the callback's query.
   */
  response_mode?: ResponseMode | undefined
  /**
   * Whether a plain answer has to name its issuer (RFC 9207); `'required'` by default. `'optional'` is for banks that
   * name none, and only where exactly one issuer is trusted.
   */
  authorization_response_iss?: 'required' | 'optional' | undefined
  /** Whether a pushed request that is signed has `client_id` beside it; `false` by default with a FAPI 2.0 profile. */
  pushed_request_client_id?: boolean | undefined
  /** IDPartner's own by default. */
  oidc_proxy_service_url?: string | undefined
  /** IDPartner's own by default; its keys are at `/jwks` below it. */
  trust_directory_service_url?: string | undefined
  /** IDPartner's own by default; the page is at `/select-accounts` below it. Direct flow only. */
  account_selector_service_url?: string | undefined
  /** The `iss` that the proxy's document must have; `https://idpartner.com` by default. */
  trust_directory_issuer?: string | undefined
  /** Required in the direct flow. In the proxy flow it narrows further which banks are accepted. */
  trusted_issuers?: TrustedIssuers | undefined
  /** `'private_key_jwt'` by default. */
  token_endpoint_auth_method?: TokenEndpointAuthMethod | undefined
  /** For `client_secret_basic` alone. */
  client_secret?: string | undefined
  /** The client certificate, PEM or, as a Buffer, DER; for `tls_client_auth`, or beside another method for sender-constrained tokens. */
  tls_client_cert?: Source<string | Buffer> | undefined
  /** The private key of `tls_client_cert`, PEM or DER; encrypted only with a `tls_client_passphrase`. */
  tls_client_key?: Source<string | Buffer> | undefined
  /**
   * Both of these from a PKCS#12 file (`.p12`, `.pfx`), in place of them. Authorities in it are sent along, and not trusted:
   * that is what `tls_server_ca` is for.
   */
  tls_client_pfx?: Source<Buffer> | undefined
  /** What `tls_client_pfx` or `tls_client_key` is encrypted with. */
  tls_client_passphrase?: Source<string> | undefined
  /** PEM certificates, or one in DER, to trust instead of the usual authorities. */
  tls_server_ca?: Source<string | Buffer> | undefined
  /** The one algorithm accepted for the bank's answer (JARM); `'PS256'` by default. */
  authorization_signed_response_alg?: SigningAlg | undefined
  /** The one algorithm accepted for ID tokens; `'PS256'` by default. */
  id_token_signed_response_alg?: SigningAlg | undefined
  /**
   * The one algorithm accepted for signed userinfo; that of ID tokens by default. When it is set, userinfo that is not
   * signed is refused.
   */
  userinfo_signed_response_alg?: SigningAlg | undefined
  /** What requests are signed with; by default whatever the first signing key of `jwks` is for. */
  request_object_signing_alg?: SigningAlg | undefined
  /**
   * Seconds that a client assertion lives (`private_key_jwt`), with the time that it is dated back by; 120 by default,
   * 30 to 300.
   */
  client_assertion_lifetime?: number | undefined
  /** What client assertions are signed with (`private_key_jwt`); by default as requests by default. */
  token_endpoint_auth_signing_alg?: SigningAlg | undefined
  /**
   * Binds access tokens to a key of the application's (DPoP, RFC 9449), a new one for each login; `false` by default. The key
   * comes with the tokens.
   */
  dpop_bound_access_tokens?: boolean | undefined
  /** What DPoP proofs are signed with; `'ES256'` by default. `'PS256'` with a `dpop_key` alone. */
  dpop_signing_alg?: SigningAlg | undefined
  /** A private JWK to bind all tokens to, in place of a new key for each login. */
  dpop_key?: JWK | undefined
  /**
   * Origins of the banks' APIs, such as `['https://api.bank.example']`: beside those of a bank's own endpoints, the only ones
   * that {@link IDPartner.request} sends tokens to. None by default.
   */
  resource_servers?: readonly string[] | undefined
  /** Milliseconds for each HTTP request; 5000 by default. A whole callback takes at most twice as long, and half a second. */
  timeout?: number | undefined
  /** Seconds by which clocks may differ; 30 by default, 300 at most. */
  clock_tolerance?: number | undefined
  /**
   * Where a line goes for each login that fails, each document that cannot be renewed and each refresh that fails: a
   * function, or an object such as `console` or a pino logger; nowhere by default.
   */
  log?: Log | undefined
}

/** The options, checked and with every default filled in. */
export interface ResolvedConfig extends ResolvedNetwork {
  readonly client_id: string
  readonly callback: string
  readonly flow: Flow
  readonly network: Network | undefined
  readonly profile: Profile
  readonly response_mode: ResponseMode
  readonly authorization_response_iss: 'required' | 'optional'
  readonly pushed_request_client_id: boolean
  readonly oidc_proxy_service_url: string
  readonly trust_directory_service_url: string
  readonly account_selector_service_url: string
  readonly trust_directory_issuer: string
  readonly trusted_issuers: TrustedIssuers | undefined
  readonly token_endpoint_auth_method: TokenEndpointAuthMethod
  readonly client_secret: string | undefined
  readonly tls: ClientTls
  readonly authorization_signed_response_alg: SigningAlg
  readonly id_token_signed_response_alg: SigningAlg
  readonly userinfo_signed_response_alg: SigningAlg | undefined
  readonly request_object_signing_alg: SigningAlg | undefined
  readonly token_endpoint_auth_signing_alg: SigningAlg | undefined
  readonly client_assertion_lifetime: number
  readonly dpop: DpopChoice | undefined
  readonly encryption: Readonly<Record<Encrypted, Encryption>>
  readonly resource_servers: readonly string[]
  readonly timeout: number
  readonly clock_tolerance: number
  readonly log: Log | undefined
  readonly keys: CheckedKey[]
}
