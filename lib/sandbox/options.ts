import { z } from 'zod'
import type { SigningAlg } from './keys.js'

export type SandboxFlow = 'proxy' | 'direct'

export type SandboxAuthMethod = 'private_key_jwt' | 'client_secret_basic' | 'tls_client_auth'

/** What {@link startSandbox} needs to know about the app. Names are those of OpenID client registration. */
export interface SandboxOptions {
  /** Any name; the app uses it as its client id. */
  client_id: string
  /** The app's callback route, byte for byte as the app sends it. */
  callback: string
  /**
   * Where the app publishes its public keys with `jwksRouter`. Needed in the proxy flow and for `private_key_jwt`. With
   * an encryption key there, the banks encrypt what they sign.
   */
  jwks_uri?: string | undefined
  /** A free port by default. */
  port?: number | undefined
  /** `'proxy'` by default. */
  flow?: SandboxFlow | undefined
  /**
   * Direct flow: the app's login route, to which the account selector sends the browser back with the chosen bank;
   * `/login` on the callback's host by default.
   */
  login_url?: string | undefined
  /** How the app authenticates at the banks; `'private_key_jwt'` by default. */
  token_endpoint_auth_method?: SandboxAuthMethod | undefined
  /** Binds access tokens to the app's TLS certificate (RFC 8705); always so with `tls_client_auth`. */
  tls_client_certificate_bound_access_tokens?: boolean | undefined
  /** `'PS256'` by default, as everywhere at IDPartner. */
  authorization_signed_response_alg?: SigningAlg | undefined
  /** `'PS256'` by default, as everywhere at IDPartner. */
  id_token_signed_response_alg?: SigningAlg | undefined
  /** Makes userinfo a signed JWT; plain JSON by default. */
  userinfo_signed_response_alg?: SigningAlg | undefined
  /** Encrypts that JWT to the app's encryption key. */
  userinfo_encrypted_response_alg?: 'RSA-OAEP' | undefined
}

const url = z.url({ protocol: /^https?$/, error: 'must be an absolute http: or https: URL' })
const flag = z.boolean('must be true or false')
const signingAlg = z.enum(['PS256', 'ES256'], 'must be "PS256" or "ES256"')

const schema = z.strictObject({
  client_id: z.string('must be a string').min(1, 'must not be empty'),
  callback: url.refine((value) => !value.includes('#'), { error: 'must not have a fragment' }),
  jwks_uri: url.optional(),
  port: z
    .int('must be a port number')
    .min(0, 'must be a port number')
    .max(65535, 'must be a port number')
    .default(0),
  flow: z.enum(['proxy', 'direct'], 'must be "proxy" or "direct"').default('proxy'),
  login_url: url.optional(),
  token_endpoint_auth_method: z
    .enum(
      ['private_key_jwt', 'client_secret_basic', 'tls_client_auth'],
      'must be "private_key_jwt", "client_secret_basic" or "tls_client_auth"',
    )
    .default('private_key_jwt'),
  tls_client_certificate_bound_access_tokens: flag.optional(),
  authorization_signed_response_alg: signingAlg.optional(),
  id_token_signed_response_alg: signingAlg.optional(),
  userinfo_signed_response_alg: signingAlg.optional(),
  userinfo_encrypted_response_alg: z.literal('RSA-OAEP', 'must be "RSA-OAEP"').optional(),
})

export type ResolvedOptions = z.output<typeof schema>

/** @throws {TypeError} that names the option and what it must be */
export function resolveOptions(options: SandboxOptions): ResolvedOptions {
  const parsed = schema.safeParse(options)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    if (issue?.code === 'unrecognized_keys') throw badOption(issue.keys[0] ?? '', 'is not a known option')
    throw badOption(String(issue?.path[0] ?? 'options'), issue?.message ?? 'is not valid')
  }
  checkTogether(parsed.data)
  return parsed.data
}

function checkTogether(options: ResolvedOptions): void {
  const { jwks_uri, flow, token_endpoint_auth_method: method } = options
  if (jwks_uri === undefined) {
    if (flow === 'proxy') {
      throw badOption('jwks_uri', 'is required in the proxy flow, where every request of the app is signed')
    }
    if (method === 'private_key_jwt') throw badOption('jwks_uri', 'is required for private_key_jwt')
    if (options.userinfo_encrypted_response_alg) {
      throw badOption('jwks_uri', 'is required for userinfo_encrypted_response_alg')
    }
  }
  if (flow === 'proxy' && options.login_url !== undefined) {
    throw badOption('login_url', 'is for the direct flow; the proxy sends the browser to the callback')
  }
  if (method === 'tls_client_auth' && options.tls_client_certificate_bound_access_tokens === false) {
    throw badOption('tls_client_certificate_bound_access_tokens', 'cannot be false with tls_client_auth')
  }
  if (options.userinfo_encrypted_response_alg && !options.userinfo_signed_response_alg) {
    throw badOption('userinfo_encrypted_response_alg', 'needs userinfo_signed_response_alg beside it')
  }
}

function badOption(name: string, expectation: string): TypeError {
  return new TypeError(`startSandbox: option "${name}" ${expectation}`)
}
