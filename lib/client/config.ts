import { types } from 'node:util'
import type { JSONWebKeySet, JWK } from 'jose'
import * as v from 'valibot'
import { IDPartnerError } from '../errors.js'
import { parseEndpoint, type ClientTls } from '../net/http.js'
import { SIGNING_ALGS, canSign, isSigningAlg, signingAlgOf, type SigningAlg } from '../jwt/algorithms.js'
import { DPOP_ALGS, type DpopAlg } from '../jwt/dpop-key.js'
import { checkJwks } from '../jwt/keys.js'
import { asPem, checkCertificate } from './certificates.js'
import {
  encryptionEntries,
  resolveEncryption,
  type Encrypted,
  type Encryption,
  type EncryptionOptions,
} from './encryption.js'
import { isLog, type Log } from './log.js'
import { NETWORK_NAMES, checkNetwork, withNetwork, type Network } from './networks.js'
import { networkEntries, resolveNetwork, type NetworkOptions, type ResolvedNetwork } from './network.js'
import { badOption, unknownOption } from './option-errors.js'
import { checkResourceServers, resourceServers } from './resource-request.js'
import { PROFILES, type Profile, type ResponseMode } from './profile.js'

/**
 * Which issuers may log people in: exact strings, or a function that decides.
 *
 * The function is asked once by each request that names an issuer: by the callback, and in the direct flow by the login
 * route as well, since the two are told the name by different parties and a bank may lose its trust in between.
 */
export type TrustedIssuers = readonly string[] | ((issuer: string) => boolean | Promise<boolean>)

export type Flow = 'proxy' | 'direct'

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
   */
  jwks?: JSONWebKeySet | undefined
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
  tls_client_cert?: string | Buffer | undefined
  /** The private key of `tls_client_cert`, PEM or DER. */
  tls_client_key?: string | Buffer | undefined
  /** PEM certificates, or one in DER, to trust instead of the usual authorities. */
  tls_server_ca?: string | Buffer | undefined
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

/** What tokens are bound to by DPoP: always the same key, or a new one of that algorithm. */
export type DpopChoice = { readonly key: JWK } | { readonly alg: DpopAlg }

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
  readonly keys: ReturnType<typeof checkJwks>
}

/** What an authorization response may carry; a callback with one of these of its own could not be told apart. */
const RESPONSE_PARAMETERS = ['response', 'code', 'error', 'error_description', 'state', 'iss']

const endpoint = v.pipe(
  v.string('must be a URL'),
  v.check(
    (value) => parseEndpoint(value) !== undefined,
    'must be an https: URL (plain http: on loopback only) without credentials in it',
  ),
)
const withoutQuery = (message: string): v.GenericSchema<string> =>
  v.pipe(
    endpoint,
    v.check((value) => !/[?#]/.test(value), message),
  )
const issuer = withoutQuery('must hold issuers without query and fragment')
/** What is fetched there lies below it. */
const service = withoutQuery('must be a URL without query and fragment')
const callback = v.pipe(
  endpoint,
  v.check((value) => !value.includes('#'), 'must not have a fragment'),
  v.check((value) => !/,https?:/.test(value), 'must be a single URL: make a client for each callback'),
  v.check(
    (value) => !RESPONSE_PARAMETERS.some((name) => new URL(value).searchParams.has(name)),
    `must not have a query parameter named ${RESPONSE_PARAMETERS.join(', ')}`,
  ),
)
const nonEmpty = v.pipe(v.string('must be a string'), v.minLength(1, 'must not be empty'))
const pem = v.optional(v.union([v.string(), v.instance(Buffer)], 'must be PEM text or a Buffer'))
const signingAlg = v.picklist(SIGNING_ALGS, `must be one of ${SIGNING_ALGS.join(', ')}`)
const oneOf = <const T extends readonly string[]>(choices: T): v.GenericSchema<T[number]> =>
  v.picklist(choices, `must be ${choices.map((one) => `"${one}"`).join(' or ')}`)

const schema = v.strictObject({
  client_id: nonEmpty,
  callback,
  jwks: v.optional(
    v.pipe(
      v.custom<JSONWebKeySet>(
        isJwks,
        ({ input }) => `must be a JWKS: an object with a list of keys${given(input)}`,
      ),
      v.transform(checkJwks),
    ),
  ),
  flow: v.optional(v.picklist(['proxy', 'direct'], 'must be "proxy" or "direct"'), 'proxy'),
  network: v.optional(oneOf(NETWORK_NAMES)),
  profile: v.optional(oneOf(Object.keys(PROFILES) as Profile[]), 'fapi1-advanced'),
  response_mode: v.optional(oneOf(['jwt', 'query'])),
  authorization_response_iss: v.optional(oneOf(['required', 'optional']), 'required'),
  pushed_request_client_id: v.optional(v.boolean('must be true or false')),
  oidc_proxy_service_url: v.optional(service, 'https://auth-api.idpartner.com/oidc-proxy'),
  trust_directory_service_url: v.optional(service, 'https://auth-api.idpartner.com/trust-directory'),
  account_selector_service_url: v.optional(service, 'https://preferences.idpartner.com/v1'),
  trust_directory_issuer: v.optional(endpoint, 'https://idpartner.com'),
  trusted_issuers: v.optional(
    v.union(
      [
        v.pipe(v.array(issuer), v.minLength(1, 'must not be an empty list')),
        v.custom<(issuer: string) => boolean | Promise<boolean>>((value) => typeof value === 'function'),
      ],
      'must be a list of issuer URLs, spelled exactly as the banks spell them, or a function',
    ),
  ),
  token_endpoint_auth_method: v.optional(
    v.picklist(
      ['private_key_jwt', 'client_secret_basic', 'tls_client_auth'],
      'must be "private_key_jwt", "client_secret_basic" or "tls_client_auth"',
    ),
    'private_key_jwt',
  ),
  client_secret: v.optional(nonEmpty),
  tls_client_cert: pem,
  tls_client_key: pem,
  tls_server_ca: pem,
  authorization_signed_response_alg: v.optional(signingAlg, 'PS256'),
  id_token_signed_response_alg: v.optional(signingAlg, 'PS256'),
  userinfo_signed_response_alg: v.optional(signingAlg),
  request_object_signing_alg: v.optional(signingAlg),
  token_endpoint_auth_signing_alg: v.optional(signingAlg),
  client_assertion_lifetime: v.optional(
    v.pipe(
      v.number('must be a whole number of seconds'),
      v.integer('must be a whole number of seconds'),
      v.minValue(30, 'must be at least 30 s'),
      v.maxValue(300, 'must be at most 300 s'),
    ),
    120,
  ),
  dpop_bound_access_tokens: v.optional(v.boolean('must be true or false'), false),
  dpop_signing_alg: v.optional(signingAlg),
  dpop_key: v.optional(
    v.custom<JWK>((value) => typeof value === 'object' && value !== null, 'must be a JWK'),
  ),
  ...encryptionEntries,
  ...networkEntries,
  resource_servers: v.optional(resourceServers, []),
  timeout: v.optional(
    v.pipe(
      v.number('must be a whole number of milliseconds'),
      v.integer('must be a whole number of milliseconds'),
      v.minValue(1, 'must be at least 1 ms'),
      v.maxValue(120_000, 'must be at most 120000 ms'),
    ),
    5000,
  ),
  clock_tolerance: v.optional(
    v.pipe(
      v.number('must be a number of seconds'),
      v.minValue(0, 'must not be negative'),
      v.maxValue(300, 'must be at most 300 s'),
    ),
    30,
  ),
  log: v.optional(
    v.custom<Log>(
      isLog,
      'must be a function, or an object with the functions info, warn and error, such as console',
    ),
  ),
})

/** The name of each option of the client. */
export const CONFIG_OPTIONS = Object.keys(schema.entries)

/**
 * Checks the options and fills in the defaults; leaves the caller's object as it is.
 *
 * @throws {IDPartnerError} `config_invalid`, with a message that names the option
 */
export function resolveConfig(config: IDPartnerConfig): ResolvedConfig {
  const {
    tls_client_cert,
    tls_client_key,
    tls_server_ca,
    jwks,
    dpop_bound_access_tokens,
    dpop_signing_alg,
    dpop_key,
    private_networks,
    egress_proxy,
    ...options
  } = parseOptions(schema, withNetwork(config))
  const cert = asPem('tls_client_cert', tls_client_cert)
  const key = asPem('tls_client_key', tls_client_key)
  const ca = asPem('tls_server_ca', tls_server_ca)
  const keys = jwks ?? []
  const rules = PROFILES[options.profile]
  const resolved = {
    ...withoutEncryption(options),
    ...resolveNetwork({ private_networks, egress_proxy }, options.trusted_issuers, ca),
    network: options.network,
    response_mode: options.response_mode ?? rules.responseModes[0] ?? 'jwt',
    pushed_request_client_id: options.pushed_request_client_id ?? rules.clientIdBesideRequest,
    client_secret: options.client_secret,
    trusted_issuers: options.trusted_issuers,
    userinfo_signed_response_alg: options.userinfo_signed_response_alg,
    request_object_signing_alg: options.request_object_signing_alg,
    token_endpoint_auth_signing_alg: options.token_endpoint_auth_signing_alg,
    encryption: resolveEncryption(options, keys),
    dpop: resolveDpop({ dpop_bound_access_tokens, dpop_signing_alg, dpop_key }),
    log: options.log,
    keys,
    tls: { ...(cert && { cert }), ...(key && { key }), ...(ca && { ca }) },
  }
  if (resolved.flow === 'direct' && resolved.trusted_issuers === undefined) {
    throw badOption(
      'trusted_issuers',
      'is required in the direct flow: the browser names the bank there, and without this list anyone could log in from a bank of their own making',
    )
  }
  checkResourceServers(resolved.resource_servers, resolved.networks)
  checkNetwork(resolved)
  checkProfile(resolved)
  checkKeys(resolved)
  checkAuthentication(resolved)
  checkCertificate(resolved.tls, resolved.clock_tolerance)
  return Object.freeze(resolved)
}

/** Parses options with a schema; the first thing wrong becomes an error that names the option. */
export function parseOptions<T extends v.GenericSchema>(schema: T, options: unknown): v.InferOutput<T> {
  if (typeof options !== 'object' || options === null) {
    throw new IDPartnerError(
      'config_invalid',
      'options are required: an object with at least client_id and callback',
    )
  }
  const result = v.safeParse(schema, options, { abortPipeEarly: true })
  if (result.success) return result.output
  const [issue] = result.issues
  const name = v.getDotPath(issue)?.split('.')[0] ?? 'options'
  if (issue.expected === 'never') throw unknownOption(name, CONFIG_OPTIONS)
  if ((options as Record<string, unknown>)[name] === undefined) throw badOption(name, 'is required')
  throw badOption(name, issue.message)
}

/** @throws {IDPartnerError} `config_invalid`: what the profile does not have */
function checkProfile(config: ResolvedConfig): void {
  const { profile, flow, response_mode, token_endpoint_auth_method: method, trusted_issuers, tls } = config
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
  if (rules.boundTokens && tls.cert === undefined && config.dpop === undefined) {
    throw badOption(
      'profile',
      `is ${profile}, whose tokens are bound to the application: set dpop_bound_access_tokens, or tls_client_cert and tls_client_key`,
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

function resolveDpop({
  dpop_bound_access_tokens: bound,
  dpop_signing_alg: alg,
  dpop_key: key,
}: Pick<IDPartnerConfig, 'dpop_bound_access_tokens' | 'dpop_signing_alg' | 'dpop_key'>):
  DpopChoice | undefined {
  if (!bound) {
    const useless = alg !== undefined ? 'dpop_signing_alg' : key !== undefined ? 'dpop_key' : undefined
    if (useless !== undefined) throw badOption(useless, 'needs dpop_bound_access_tokens beside it')
    return undefined
  }
  if (key === undefined) {
    const made = DPOP_ALGS.find((one) => one === (alg ?? 'ES256'))
    if (made === undefined)
      throw badOption(
        'dpop_signing_alg',
        `is ${String(alg)}, whose keys are too slow to make for each login: set dpop_key`,
      )
    return { alg: made }
  }
  const kind = { kty: String(key.kty), crv: key.crv }
  const own = alg ?? key.alg ?? signingAlgOf(kind)
  if (!isSigningAlg(own) || !canSign(kind, own) || (key.alg ?? own) !== own) {
    throw badOption('dpop_key', `must be a private key for ${alg ?? SIGNING_ALGS.join(', ')}`)
  }
  const jwk = { ...key, alg: own }
  try {
    checkJwks({ keys: [{ ...jwk, use: 'sig' }] })
  } catch {
    throw badOption('dpop_key', 'must be a private JWK that is whole')
  }
  return { key: jwk }
}

function withoutEncryption<T extends object>(options: T): Omit<T, keyof EncryptionOptions> {
  const entries = Object.entries(options).filter(([name]) => !Object.hasOwn(encryptionEntries, name))
  return Object.fromEntries(entries) as Omit<T, keyof EncryptionOptions>
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

function checkAuthentication({
  token_endpoint_auth_method: method,
  client_secret,
  tls,
}: ResolvedConfig): void {
  if (method === 'client_secret_basic' && client_secret === undefined) {
    throw badOption('client_secret', 'is required for client_secret_basic')
  }
  if (method !== 'client_secret_basic' && client_secret !== undefined) {
    throw badOption(
      'client_secret',
      `contradicts token_endpoint_auth_method "${method}", which never sends it`,
    )
  }
  if (method === 'tls_client_auth' && tls.cert === undefined) {
    throw badOption('tls_client_cert', 'is required for tls_client_auth')
  }
}

/** What was given in place of a JWKS; never the thing itself, which may be a private key. */
function given(value: unknown): string {
  if (typeof value === 'string') return '; this is a text, so parse it first: JSON.parse(…)'
  if (types.isPromise(value)) return '; this is a promise, so await it first: await generateJwks()'
  if (Array.isArray(value)) return '; this is the list alone: { keys: […] }'
  return ''
}

function isJwks(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('keys' in value) || !Array.isArray(value.keys))
    return false
  return value.keys.every((key) => typeof key === 'object' && key !== null)
}
