import { types } from 'node:util'
import type { JWK } from 'jose'
import * as v from 'valibot'
import { SIGNING_ALGS } from '../jwt/algorithms.js'
import { checkJwks } from '../jwt/keys.js'
import type { ClientJwks } from '../jwt/outside-keys.js'
import { parseEndpoint } from '../net/http.js'
import { encryptionEntries } from './encryption.js'
import { isLog, type Log } from './log.js'
import { NETWORK_NAMES } from './networks.js'
import { networkEntries } from './network.js'
import { PROFILES, type Profile } from './profile.js'
import { resourceServers } from './resource-request.js'

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
const pem = v.optional(
  v.pipe(
    v.union([v.string(), v.instance(Buffer)], 'must be PEM text or a Buffer'),
    // Not as if it were not there: no certificate would be shown, or the usual authorities trusted.
    v.minLength(1, 'must not be empty'),
  ),
)
const signingAlg = v.picklist(SIGNING_ALGS, `must be one of ${SIGNING_ALGS.join(', ')}`)
const oneOf = <const T extends readonly string[]>(choices: T): v.GenericSchema<T[number]> =>
  v.picklist(choices, `must be ${choices.map((one) => `"${one}"`).join(' or ')}`)

/** What each option of the client has to be, and its default. */
export const configSchema = v.strictObject({
  client_id: nonEmpty,
  callback,
  jwks: v.optional(
    v.pipe(
      v.custom<ClientJwks>(
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
  tls_client_pfx: v.optional(v.instance(Buffer, 'must be a PKCS#12 file (.p12 or .pfx), as a Buffer')),
  tls_client_passphrase: v.optional(nonEmpty),
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
export const CONFIG_OPTIONS = Object.keys(configSchema.entries)

/** What was given in place of a JWKS; never the thing itself, which may be a private key. */
function given(value: unknown): string {
  if (typeof value === 'string')
    return '; this is a text, so parse it first: JSON.parse(…), or name its file: pathToFileURL(…)'
  if (types.isPromise(value)) return '; this is a promise, so await it first: await generateJwks()'
  if (Array.isArray(value)) return '; this is the list alone: { keys: […] }'
  return ''
}

function isJwks(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !('keys' in value) || !Array.isArray(value.keys))
    return false
  return value.keys.every((key) => typeof key === 'object' && key !== null)
}
