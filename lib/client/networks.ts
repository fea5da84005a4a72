import type { AuthorizationParams } from './authorization-request.js'
import type { IDPartnerConfig, ResolvedConfig } from './config.js'
import { badOption } from './option-errors.js'
import { withOwnParameters } from './own-parameters.js'
import { signingAlgs } from './signing-algs.js'

/** A bank network whose rules are known; see docs/networks.md. */
export type Network =
  'connectid-au' | 'singpass' | 'singpass-myinfo' | 'helseid' | 'esignet' | 'openfinance-uae'

/** What a network has that can be known before anybody is asked. */
interface Rules {
  /** What stands for options that are not given. */
  defaults: Partial<IDPartnerConfig>
  /** What a login asks for where the application names no scope; the usual ones by default. */
  scope?: readonly string[]
  /** Whether it has no scope beside those. */
  scopeAlone?: boolean
  /** The values that options have there. */
  only: Readonly<Partial<Record<keyof ReturnType<typeof inUse>, readonly (string | boolean)[]>>>
  /** How each issuer ends. */
  issuerEnd?: string
  /** Seconds that a client assertion may live. */
  maxAssertionLifetime?: number
  /** Seconds that a signed request may live; as long as elsewhere by default. */
  maxRequestLifetime?: number
  /** Whether each request shows a client certificate. */
  certificate?: boolean
  /** Parameters that every login has. */
  required?: readonly string[]
  /** Those that a single login may bring, since they differ from one to the next. */
  requiredOfLogin?: readonly string[]
  forbidden?: readonly string[]
  /** Which values a parameter may have, and how to say so, by its name. */
  values?: Readonly<Record<string, { ok: (value: unknown) => boolean; must: string }>>
}

const FAPI2_WITH_DPOP = {
  flow: 'direct',
  profile: 'fapi2-security',
  dpop_bound_access_tokens: true,
} as const satisfies Partial<IDPartnerConfig>

const SIGNED_WITH_CERTIFICATE = {
  flow: 'direct',
  profile: 'fapi2-message-signing',
  response_mode: 'query',
} as const satisfies Partial<IDPartnerConfig>

const ONLY = { flow: ['direct'], token_endpoint_auth_method: ['private_key_jwt'] }

const ONLY_PLAIN = { ...ONLY, profile: ['fapi2-security'], response_mode: ['query'] }

const ONLY_SIGNED = {
  ...ONLY,
  profile: ['fapi2-message-signing'],
  response_mode: ['query'],
  request_object_signing_alg: ['PS256'],
}

const ECDSA = ['ES256', 'ES384', 'ES512']

const ONLY_SINGPASS = {
  ...ONLY_PLAIN,
  token_endpoint_auth_signing_alg: ECDSA,
  dpop_bound_access_tokens: [true],
  dpop_signing_alg: ECDSA,
}

/** Both of Singpass: `A256CBC-HS512` for ID tokens, and another for userinfo. */
const SINGPASS: Partial<IDPartnerConfig> = {
  ...FAPI2_WITH_DPOP,
  id_token_signed_response_alg: 'ES256',
  id_token_encrypted_response_alg: ['ECDH-ES+A128KW', 'ECDH-ES+A192KW', 'ECDH-ES+A256KW'],
  id_token_encrypted_response_enc: 'A256CBC-HS512',
}

/** Of Singpass: for its Login alone, which refuses a login without the first, as Myinfo refuses one with it. */
const AUTHENTICATION_CONTEXT = ['authentication_context_type', 'authentication_context_message']

/** The networks, as data: what is not here is like everywhere else. */
const NETWORKS: Readonly<Record<Network, Rules>> = {
  'connectid-au': {
    defaults: { ...SIGNED_WITH_CERTIFICATE, request_object_signing_alg: 'PS256' },
    only: {
      ...ONLY_SIGNED,
      id_token_signed_response_alg: ['PS256'],
      pushed_request_client_id: [false],
      dpop_bound_access_tokens: [false],
    },
    scope: ['openid'],
    scopeAlone: true,
    certificate: true,
    required: ['purpose', 'claims'],
    forbidden: ['acr_values'],
    values: {
      purpose: {
        ok: (value) => /^.{3,300}$/su.test(textOf(value)),
        must: 'must be 3 to 300 characters long',
      },
      claims: {
        ok: (value) => {
          const { id_token, userinfo } = membersOf(value)
          const { txn, ...others } = membersOf(id_token)
          return (
            membersOf(txn)['essential'] === true &&
            !Object.hasOwn(others, 'acr') &&
            Object.keys(membersOf(userinfo)).length === 0
          )
        },
        must: 'must ask for txn in id_token as essential, for no acr, and for nothing in userinfo',
      },
    },
  },
  singpass: {
    defaults: SINGPASS,
    only: ONLY_SINGPASS,
    scope: ['openid'],
    issuerEnd: '/fapi',
    maxAssertionLifetime: 120,
    required: ['authentication_context_type'],
    values: {
      authentication_context_message: {
        ok: (value) => /^[A-Za-z0-9 .,\-@'!()]{0,100}$/.test(textOf(value)),
        must: "must be at most 100 letters, digits, spaces and . , - @ ' ! ( )",
      },
    },
  },
  'singpass-myinfo': {
    defaults: {
      ...SINGPASS,
      userinfo_signed_response_alg: 'ES256',
      userinfo_encrypted_response_alg: ['ECDH-ES+A128KW', 'ECDH-ES+A192KW', 'ECDH-ES+A256KW'],
      userinfo_encrypted_response_enc: 'A256GCM',
    },
    only: ONLY_SINGPASS,
    scope: ['openid'],
    issuerEnd: '/fapi',
    maxAssertionLifetime: 120,
    forbidden: AUTHENTICATION_CONTEXT,
  },
  helseid: {
    defaults: { ...FAPI2_WITH_DPOP, client_assertion_lifetime: 60 },
    only: {
      ...ONLY,
      profile: ['fapi2-security', 'fapi2-message-signing'],
      dpop_bound_access_tokens: [true],
    },
    scope: ['openid'],
    maxAssertionLifetime: 60,
    maxRequestLifetime: 60,
  },
  esignet: { defaults: FAPI2_WITH_DPOP, only: ONLY_PLAIN, scope: ['openid'] },
  'openfinance-uae': {
    defaults: {
      ...SIGNED_WITH_CERTIFICATE,
      request_object_signing_alg: 'PS256',
      token_endpoint_auth_signing_alg: 'PS256',
    },
    only: { ...ONLY_SIGNED, token_endpoint_auth_signing_alg: ['PS256'] },
    scope: ['openid'],
    maxAssertionLifetime: 300,
    certificate: true,
    requiredOfLogin: ['authorization_details'],
    values: {
      max_age: { ok: (value) => Number(value) <= 3600, must: 'must be at most 3600 s' },
    },
  },
}

export const NETWORK_NAMES = Object.keys(NETWORKS) as Network[]

function rulesOf(network: unknown): Rules | undefined {
  return NETWORK_NAMES.includes(network as Network) ? NETWORKS[network as Network] : undefined
}

/** Options with those of the network where the application has none of its own. */
export function withNetwork<T extends object>(options: T): T {
  // What is no object at all is found later.
  const rules = rulesOf((options as { network?: unknown } | undefined)?.network)
  if (!rules) return options
  const all: Record<string, unknown> = { ...rules.defaults }
  // An option may be inherited, from what several applications share.
  for (const name in options) if (options[name] !== undefined) all[name] = options[name]
  return all as T
}

/** The scope of logins that name none. */
export function networkScope(network: unknown): string[] | undefined {
  const scope = rulesOf(network)?.scope
  return scope && [...scope]
}

/**
 * @param isWhole whether keys and certificate are known; what is about them is checked only then
 * @throws {IDPartnerError} `config_invalid`: what the network does not have, by its name and that of the option
 */
export function checkNetwork(config: ResolvedConfig, isWhole: boolean): void {
  const { network, trusted_issuers, tls, client_assertion_lifetime: lifetime } = config
  const rules = rulesOf(network)
  if (!network || !rules) return
  const { only, issuerEnd = '', maxAssertionLifetime = Infinity } = rules
  const values = inUse(config)
  for (const name of Object.keys(only) as (keyof typeof values)[]) {
    const [value, choices = []] = [values[name], only[name]]
    if (value === undefined || choices.includes(value)) continue
    throw ofNetwork(network, name, `must be ${choices.map((one) => JSON.stringify(one)).join(' or ')}`)
  }
  const issuers = typeof trusted_issuers === 'object' ? trusted_issuers : []
  if (issuers.some((one) => !one.endsWith(issuerEnd))) {
    throw ofNetwork(network, 'trusted_issuers', `must hold issuers that end in ${issuerEnd}`)
  }
  if (isWhole && rules.certificate && tls.cert === undefined) {
    throw ofNetwork(network, 'tls_client_cert', 'is required')
  }
  if (lifetime > maxAssertionLifetime) {
    throw ofNetwork(network, 'client_assertion_lifetime', `must be at most ${String(maxAssertionLifetime)} s`)
  }
}

/** The values of options that a network may fix, also where they follow from a key; none of what is not known yet. */
function inUse(config: ResolvedConfig) {
  const { assertion, dpop } = signingAlgs(config)
  return {
    flow: config.flow,
    profile: config.profile,
    response_mode: config.response_mode,
    token_endpoint_auth_method: config.token_endpoint_auth_method,
    pushed_request_client_id: config.pushed_request_client_id,
    request_object_signing_alg: config.request_object_signing_alg,
    id_token_signed_response_alg: config.id_token_signed_response_alg,
    dpop_bound_access_tokens: config.dpop !== undefined,
    token_endpoint_auth_signing_alg: assertion,
    dpop_signing_alg: dpop,
  }
}

/**
 * Checks what a login asks for against the rules of its network.
 *
 * @param when `'start'`, where single logins may bring more, or `'login'`
 * @throws {IDPartnerError} `config_invalid`, which names network and option
 */
export function checkNetworkLogin(
  network: Network | undefined,
  scope: string | readonly string[],
  asked: AuthorizationParams,
  when: 'start' | 'login',
): void {
  const rules = rulesOf(network)
  if (!network || !rules) return
  const { required = [], requiredOfLogin = [], forbidden = [], values = {} } = rules
  const scopes = typeof scope === 'string' ? scope.split(' ') : scope
  if (rules.scopeAlone && scopes.some((one) => !rules.scope?.includes(one))) {
    throw ofNetwork(network, 'scope', `must be ${rules.scope?.join(' ') ?? ''} alone`)
  }
  for (const name of when === 'login' ? [...required, ...requiredOfLogin] : required) {
    if (!isThere(asked, name)) throw ofNetwork(network, name, 'is required')
  }
  for (const name of forbidden) {
    if (isThere(asked, name)) throw ofNetwork(network, name, 'is not known there')
  }
  for (const [name, { ok, must }] of Object.entries(values)) {
    if (isThere(asked, name) && !ok(asked[name])) throw ofNetwork(network, name, must)
  }
}

/** Seconds. */
export function maxRequestLifetime(network: Network | undefined): number {
  return rulesOf(network)?.maxRequestLifetime ?? Infinity
}

/** What every login at the network has to ask for, and this one does not. */
export function lackedOfNetwork(network: Network | undefined, asked: AuthorizationParams): string[] {
  const { required = [], requiredOfLogin = [] } = rulesOf(network) ?? {}
  const given = withOwnParameters(asked)
  return [...required, ...requiredOfLogin].filter((name) => !isThere(given, name))
}

/** What to look at where a bank's document lacks what its network has. */
export function issuerHint(network: Network | undefined): string {
  const end = rulesOf(network)?.issuerEnd
  return end === undefined ? '' : `; at ${String(network)} the issuer ends in ${end}`
}

function ofNetwork(network: Network, option: string, must: string): Error {
  return badOption(option, `${must} (network "${network}")`)
}

function isThere(asked: AuthorizationParams, name: string): boolean {
  const value = asked[name]
  return value !== undefined && value !== '' && !(Array.isArray(value) && value.length === 0)
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function membersOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
