import * as v from 'valibot'
import { bankId, type OwnBank, type OwnPersona } from './bank/personas.js'
import type { Flow, TokenEndpointAuthMethod } from '../client/config.js'
import type { Profile, ResponseMode } from '../client/profile.js'
import type { ContentEncryptionAlg, KeyEncryptionAlg, SigningAlg } from '../jwt/algorithms.js'
import { NETWORKS, NETWORK_NAMES } from './networks.js'
import type { Network } from '../client/networks.js'
import { CONTENT_ENCRYPTION_ALGS, ENCRYPTED, KEY_ENCRYPTION_ALGS, SIGNING_ALGS } from './algorithms.js'

/** What {@link startSandbox} needs to know about the app. Names are those of OpenID client registration. */
export interface SandboxOptions {
  /** Any name; the app uses it as its client id. */
  client_id: string
  /** How the pages of IDPartner and the banks call the app; the callback's host by default. */
  client_name?: string | undefined
  /** The app's home page, to which every dead end leads back; `/` on the callback's host by default. */
  client_uri?: string | undefined
  /** The app's callback route, byte for byte as the app sends it. */
  callback: string
  /**
   * Where the app publishes its public keys with `jwksRouter`. Needed in the proxy flow and for `private_key_jwt`. With
   * an encryption key there, the banks encrypt what they sign.
   */
  jwks_uri?: string | undefined
  /**
   * The name under which browsers find the sandbox: `'localhost'` by default. With `'127.0.0.1'` (or `'[::1]'`) it is on
   * another site than an app at `localhost`, as in life, and a session cookie with `SameSite=Strict` fails.
   */
  host?: 'localhost' | '127.0.0.1' | '[::1]' | undefined
  /**
   * What the banks follow; `'fapi1-advanced'` by default. With `fapi2-security` they answer in plain parameters, with
   * `fapi2-message-signing` they take signed requests alone. In the direct flow.
   */
  profile?: Profile | undefined
  /**
   * Makes the banks behave as those of that network, and refuse whatever it does not have; the options that it decides
   * on, such as `profile`, are then its own, and another value is refused. In the direct flow.
   */
  network?: Network | undefined
  /** How their answers come; as plain parameters (`'query'`) with `fapi2-security` and signed (`'jwt'`) else, by default. */
  response_mode?: ResponseMode | undefined
  /** Binds access tokens to a key of the app (DPoP, RFC 9449); the banks then ask for a nonce everywhere. */
  dpop_bound_access_tokens?: boolean | undefined
  /**
   * Takes one line for each request of the app that is refused: who refused it, and why. `console.warn` by default;
   * `false` for nowhere.
   */
  log?: ((line: string) => void) | false | undefined
  /** A free port by default. */
  port?: number | undefined
  /** People of your own at every bank; one with the login of a customer who is there takes that one's place. */
  personas?: OwnPersona[] | undefined
  /** Banks of your own in place of the sandbox's. */
  banks?: OwnBank[] | undefined
  /** Lets the sandbox start although `NODE_ENV` is `production`; `false` by default. */
  allow_production?: boolean | undefined
  /** `'proxy'` by default. */
  flow?: Flow | undefined
  /**
   * Direct flow: the app's login route, to which the account selector sends the browser back with the chosen bank;
   * `/login` on the callback's host by default.
   */
  login_url?: string | undefined
  /** Where the banks may send a browser after a logout. */
  post_logout_redirect_uris?: readonly string[] | undefined
  /** Where the app hears from a bank that somebody logged out there: see `logoutRouter`. */
  backchannel_logout_uri?: string | undefined
  /** How the app authenticates at the banks; `'private_key_jwt'` by default. */
  token_endpoint_auth_method?: TokenEndpointAuthMethod | undefined
  /** Binds access tokens to the app's TLS certificate (RFC 8705); always so with `tls_client_auth`. */
  tls_client_certificate_bound_access_tokens?: boolean | undefined
  /** `'PS256'` by default, as everywhere at IDPartner. */
  authorization_signed_response_alg?: SigningAlg | undefined
  /** `'PS256'` by default, as everywhere at IDPartner. */
  id_token_signed_response_alg?: SigningAlg | undefined
  /** Makes userinfo a signed JWT; plain JSON by default. */
  userinfo_signed_response_alg?: SigningAlg | undefined
  /** The one algorithm in which the app may sign requests; any by default. */
  request_object_signing_alg?: SigningAlg | undefined
  /** The one algorithm in which it may sign client assertions; any by default. */
  token_endpoint_auth_signing_alg?: SigningAlg | undefined
  /**
   * How answers are encrypted. With none of these options, the answer and the ID token are, with RSA-OAEP, where the app
   * publishes a key for that; with any of them, what they name.
   */
  authorization_encrypted_response_alg?: KeyEncryptionAlg | undefined
  authorization_encrypted_response_enc?: ContentEncryptionAlg | undefined
  id_token_encrypted_response_alg?: KeyEncryptionAlg | undefined
  id_token_encrypted_response_enc?: ContentEncryptionAlg | undefined
  /** Encrypts signed userinfo. */
  userinfo_encrypted_response_alg?: KeyEncryptionAlg | undefined
  userinfo_encrypted_response_enc?: ContentEncryptionAlg | undefined
}

const url = v.pipe(
  v.string('must be an absolute http: or https: URL'),
  v.check(
    (text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol),
    'must be an absolute http: or https: URL',
  ),
)
const nonEmpty = v.pipe(v.string('must be a string'), v.minLength(1, 'must not be empty'))
const personas = v.optional(
  v.pipe(
    v.array(
      v.strictObject({
        login: nonEmpty,
        password: v.optional(nonEmpty),
        claims: v.optional(
          v.looseObject(
            { sub: v.optional(nonEmpty), name: v.optional(nonEmpty) },
            'must hold claims by name',
          ),
        ),
      }),
      'must be a list of people, each with a login',
    ),
    v.check((all) => distinct(all.map(({ login }) => login)), 'must not have a login twice'),
    v.check(
      (all) => distinct(all.flatMap(({ claims }) => claims?.sub ?? [])),
      'must not have a sub twice: it is what tells people apart',
    ),
  ),
)
const banks = v.optional(
  v.pipe(
    v.array(
      v.strictObject({
        name: nonEmpty,
        id: v.optional(v.string()),
        tagline: v.optional(nonEmpty),
        personas,
      }),
      'must be a list of banks, each with a name',
    ),
    v.minLength(1, 'must not be an empty list'),
    v.check(
      (all) => all.every((bank) => /^[a-z0-9-]+$/.test(bankId(bank))),
      'must have an id of small letters, digits and hyphens for each bank',
    ),
    v.check((all) => distinct(all.map(bankId)), 'must not have an id twice'),
  ),
)
const flag = v.optional(v.boolean('must be true or false'))
const oneOf = <const T extends readonly string[]>(choices: T) =>
  v.optional(v.picklist(choices, `must be one of ${choices.join(', ')}`))
const signingAlg = oneOf(SIGNING_ALGS)
const keyAlg = oneOf(KEY_ENCRYPTION_ALGS)
const contentAlg = oneOf(CONTENT_ENCRYPTION_ALGS)

const schema = v.strictObject({
  client_id: nonEmpty,
  client_name: v.optional(nonEmpty),
  client_uri: v.optional(url),
  callback: v.pipe(
    url,
    v.check((value) => !value.includes('#'), 'must not have a fragment'),
  ),
  jwks_uri: v.optional(url),
  host: v.optional(
    v.picklist(['localhost', '127.0.0.1', '[::1]'], 'must be "localhost", "127.0.0.1" or "[::1]"'),
    'localhost',
  ),
  port: v.optional(
    v.pipe(
      v.number('must be a port number'),
      v.integer('must be a port number'),
      v.minValue(0, 'must be a port number'),
      v.maxValue(65535, 'must be a port number'),
    ),
    0,
  ),
  personas,
  banks,
  allow_production: flag,
  flow: v.optional(v.picklist(['proxy', 'direct'], 'must be "proxy" or "direct"'), 'proxy'),
  profile: v.optional(
    v.picklist(
      ['fapi1-advanced', 'fapi2-security', 'fapi2-message-signing'],
      'must be "fapi1-advanced", "fapi2-security" or "fapi2-message-signing"',
    ),
    'fapi1-advanced',
  ),
  network: v.optional(v.picklist(NETWORK_NAMES, `must be one of ${NETWORK_NAMES.join(', ')}`)),
  response_mode: v.optional(v.picklist(['jwt', 'query'], 'must be "jwt" or "query"')),
  dpop_bound_access_tokens: v.optional(v.boolean('must be true or false'), false),
  log: v.optional(
    v.union(
      [v.literal(false), v.custom<(line: string) => void>((value) => typeof value === 'function')],
      'must be a function that takes a line, or false',
    ),
    // Asked for anew each time, for tests that look at what is printed.
    () => (line: string) => {
      console.warn(line)
    },
  ),
  login_url: v.optional(url),
  post_logout_redirect_uris: v.optional(v.array(url, 'must be a list of absolute http: or https: URLs')),
  backchannel_logout_uri: v.optional(url),
  token_endpoint_auth_method: v.optional(
    v.picklist(
      ['private_key_jwt', 'client_secret_basic', 'tls_client_auth'],
      'must be "private_key_jwt", "client_secret_basic" or "tls_client_auth"',
    ),
    'private_key_jwt',
  ),
  tls_client_certificate_bound_access_tokens: flag,
  authorization_signed_response_alg: signingAlg,
  id_token_signed_response_alg: signingAlg,
  userinfo_signed_response_alg: signingAlg,
  request_object_signing_alg: signingAlg,
  token_endpoint_auth_signing_alg: signingAlg,
  authorization_encrypted_response_alg: keyAlg,
  authorization_encrypted_response_enc: contentAlg,
  id_token_encrypted_response_alg: keyAlg,
  id_token_encrypted_response_enc: contentAlg,
  userinfo_encrypted_response_alg: keyAlg,
  userinfo_encrypted_response_enc: contentAlg,
})

type Parsed = v.InferOutput<typeof schema>

export type ResolvedOptions = Parsed & { response_mode: ResponseMode }

/** @throws {TypeError} that names the option and what it must be */
export function resolveOptions(options: SandboxOptions): ResolvedOptions {
  const parsed = v.safeParse(schema, withNetwork(options), { abortPipeEarly: true })
  if (!parsed.success) {
    const [issue] = parsed.issues
    const name = v.getDotPath(issue)?.split('.')[0] ?? 'options'
    throw badOption(name, issue.expected === 'never' ? 'is not a known option' : issue.message)
  }
  const { response_mode = parsed.output.profile === 'fapi2-security' ? 'query' : 'jwt' } = parsed.output
  const resolved = { ...parsed.output, response_mode }
  checkTogether(resolved)
  return resolved
}

/**
 * Options with those of the network where the app has none of its own.
 *
 * @throws {TypeError} for an option with a value for which no app can be registered there
 */
function withNetwork(options: SandboxOptions): SandboxOptions {
  const { network } = (options as SandboxOptions | undefined) ?? {}
  if (network === undefined || !NETWORK_NAMES.includes(network)) return options
  const own = Object.entries(options).filter(([, value]) => value !== undefined)
  const registered = Object.entries<readonly unknown[]>(NETWORKS[network].registered)
  for (const [name, choices] of registered) {
    const given = options[name as keyof SandboxOptions]
    if (given !== undefined && !choices.includes(given)) {
      throw badOption(name, `must be ${choices.map(String).join(' or ')} (network "${network}")`)
    }
  }
  const defaults = registered.map(([name, [first]]) => [name, first])
  return { ...Object.fromEntries(defaults), ...Object.fromEntries(own) } as SandboxOptions
}

function checkTogether(options: ResolvedOptions): void {
  const { jwks_uri, flow, token_endpoint_auth_method: method } = options
  if (jwks_uri === undefined) {
    if (flow === 'proxy') {
      throw badOption('jwks_uri', 'is required in the proxy flow, where every request of the app is signed')
    }
    if (method === 'private_key_jwt') throw badOption('jwks_uri', 'is required for private_key_jwt')
    const encrypted = ENCRYPTED.find((kind) => options[`${kind}_encrypted_response_alg`])
    if (encrypted) throw badOption('jwks_uri', `is required for ${encrypted}_encrypted_response_alg`)
  }
  if (options.profile === 'fapi1-advanced' && options.response_mode === 'query') {
    throw badOption('response_mode', 'cannot be "query" with fapi1-advanced, which has signed answers alone')
  }
  if (options.profile !== 'fapi1-advanced') {
    if (flow === 'proxy')
      throw badOption('profile', `is ${options.profile}, which the proxy flow does not have`)
    if (method === 'client_secret_basic') {
      throw badOption('token_endpoint_auth_method', `cannot be client_secret_basic with ${options.profile}`)
    }
    const bound = options.dpop_bound_access_tokens || options.tls_client_certificate_bound_access_tokens
    if (!bound && method !== 'tls_client_auth') {
      throw badOption(
        'profile',
        `is ${options.profile}, whose tokens are bound: set dpop_bound_access_tokens`,
      )
    }
  }
  if (flow === 'proxy' && options.login_url !== undefined) {
    throw badOption('login_url', 'is for the direct flow; the proxy sends the browser to the callback')
  }
  if (
    method === 'tls_client_auth' &&
    options.tls_client_certificate_bound_access_tokens === false &&
    !options.dpop_bound_access_tokens
  ) {
    throw badOption('tls_client_certificate_bound_access_tokens', 'cannot be false with tls_client_auth')
  }
  for (const kind of ENCRYPTED) {
    if (options[`${kind}_encrypted_response_enc`] && !options[`${kind}_encrypted_response_alg`]) {
      throw badOption(`${kind}_encrypted_response_enc`, `needs ${kind}_encrypted_response_alg beside it`)
    }
  }
  if (options.userinfo_encrypted_response_alg && !options.userinfo_signed_response_alg) {
    throw badOption('userinfo_encrypted_response_alg', 'needs userinfo_signed_response_alg beside it')
  }
}

function distinct(values: readonly string[]): boolean {
  return new Set(values).size === values.length
}

function badOption(name: string, expectation: string): TypeError {
  return new TypeError(`startSandbox: option "${name}" ${expectation}`)
}
