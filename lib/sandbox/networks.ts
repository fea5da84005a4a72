import type { SigningAlg } from '../jwt/algorithms.js'
import type { Network } from '../client/networks.js'
import type { AlgorithmOptions } from './algorithms.js'
import type { ResolvedOptions } from './options.js'
import type { PersonaClaims } from './bank/personas.js'

/** The options that a network has a say in: how an app is registered there. */
type Registered = Required<AlgorithmOptions> &
  Pick<
    ResolvedOptions,
    | 'flow'
    | 'profile'
    | 'response_mode'
    | 'dpop_bound_access_tokens'
    | 'tls_client_certificate_bound_access_tokens'
    | 'token_endpoint_auth_method'
  >

/** An example of what a login asks for, and what else an app sets that its `network` does not stand for. */
export interface NetworkExample {
  purpose?: string
  claims?: { id_token: Record<string, { essential: true }> }
  authorization_params?: Record<string, string>
  authorization_details?: { type: string; [member: string]: unknown }[]
  userinfo_signed_response_alg?: 'PS256'
  fetchUserInfo?: true
}

/** A value that a parameter may have, and how to say so. */
interface Values {
  ok: (value: unknown) => boolean
  must: string
}

/** What one network asks of an app, beyond the profile that it follows. */
export interface NetworkRules {
  /** The default of each option, and then what else an app can be registered for. */
  registered: { [name in keyof Registered]?: readonly [Registered[name], ...Registered[name][]] }
  example: NetworkExample
  /** Where each issuer ends. */
  path?: string
  /** The discovery document that stands where the issuer would be without that; addresses without their origin. */
  documentWithoutPath?: Readonly<Record<string, string | readonly string[]>>
  /** Whether each request of the app shows a client certificate. */
  certificate?: true
  /** Whether each has `x-fapi-interaction-id`. */
  interactionId?: true
  /** Seconds that a client assertion may live, from its `iat` and from now. */
  assertionSeconds: number
  /** How requests are pushed: signed, and then alone in their form, or plain. */
  pushed: 'signed' | 'plain'
  /** Parameters beside those of every login; all others are unknown. */
  parameters: readonly string[]
  required?: readonly string[]
  /** Of parameters of pushed requests and of token requests, by their names. */
  values?: Readonly<Record<string, Values>>
  dpop?: {
    algs: readonly SigningAlg[]
    /** Which endpoints ask for a nonce. */
    nonceAt: readonly string[]
    /** Seconds for which a nonce is good, where there is another for each code and each token. */
    nonceSeconds?: number
    /** Seconds that a proof may live. */
    proofSeconds?: number
    /** Whether a pushed request shows the key, by a proof or by `dpop_jkt`. */
    atPushed?: true
    /** Whether apps have one key for all logins: those for its algorithms are too slow to make for each. */
    lastingKey?: true
  }
  /** What its banks say of a person beside what they say everywhere. */
  claims: (of: PersonaClaims) => Record<string, unknown>
  /** Those claims that come with the scope `openid`. */
  openid: readonly string[]
  /** Whether claims come in userinfo alone. */
  inUserinfo?: true
  /** Whether token responses lack `scope`. */
  withoutScope?: true
  /** What stands in answers beside code, state and iss. */
  beside?: Readonly<Record<string, string>>
}

const WITH_DPOP = {
  flow: ['direct'],
  profile: ['fapi2-security'],
  response_mode: ['query'],
  dpop_bound_access_tokens: [true],
  tls_client_certificate_bound_access_tokens: [false],
  token_endpoint_auth_method: ['private_key_jwt'],
} as const

const SIGNED_WITH_CERTIFICATE = {
  flow: ['direct'],
  profile: ['fapi2-message-signing'],
  response_mode: ['query'],
  dpop_bound_access_tokens: [false],
  tls_client_certificate_bound_access_tokens: [true],
  token_endpoint_auth_method: ['private_key_jwt'],
  token_endpoint_auth_signing_alg: ['PS256'],
  request_object_signing_alg: ['PS256'],
  id_token_signed_response_alg: ['PS256'],
} as const

const SINGPASS_KEYS = ['ECDH-ES+A256KW', 'ECDH-ES+A128KW', 'ECDH-ES+A192KW'] as const

const SINGPASS_REGISTERED = {
  ...WITH_DPOP,
  token_endpoint_auth_signing_alg: ['ES256', 'ES384', 'ES512'],
  id_token_signed_response_alg: ['ES256'],
  id_token_encrypted_response_alg: SINGPASS_KEYS,
  id_token_encrypted_response_enc: ['A256CBC-HS512'],
} as const

const SINGPASS_VALUES: Record<string, Values> = {
  state: {
    ok: (value) => /^[A-Za-z0-9/+_\-=.]{30,255}$/.test(textOf(value)),
    must: 'must be 30 to 255 letters, digits and / + _ - = .',
  },
  nonce: { ok: (value) => /^.{30,255}$/s.test(textOf(value)), must: 'must be 30 to 255 characters long' },
  code_verifier: {
    ok: (value) => /^[\w-]{43,128}$/.test(textOf(value)),
    must: 'must be 43 to 128 letters, digits, - and _',
  },
}

/** Both kinds of its apps. */
const SINGPASS = {
  path: '/fapi',
  // Of the interface that ends in 2026, as far as an app finds out that it is not this one.
  documentWithoutPath: {
    authorization_endpoint: '/auth',
    token_endpoint: '/token',
    jwks_uri: '/.well-known/keys',
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
    token_endpoint_auth_methods_supported: ['private_key_jwt'],
  },
  assertionSeconds: 120,
  pushed: 'plain',
  dpop: { algs: ['ES256', 'ES384', 'ES512'], nonceAt: ['/me'], proofSeconds: 120, atPushed: true },
  withoutScope: true,
} as const

const SINGPASS_PARAMETERS = ['redirect_uri_https_type', 'app_launch_url', 'acr_values']

/**
 * The networks, as data: what is not here is as the profile has it. Written from what each network publishes, and not from
 * the client's own table, whose mistakes it is there to find.
 */
export const NETWORKS: Readonly<Record<Network, NetworkRules>> = {
  'connectid-au': {
    registered: SIGNED_WITH_CERTIFICATE,
    example: {
      purpose: 'To try a login',
      claims: {
        id_token: {
          txn: { essential: true },
          given_name: { essential: true },
          family_name: { essential: true },
        },
      },
    },
    certificate: true,
    interactionId: true,
    assertionSeconds: 300,
    pushed: 'signed',
    parameters: ['purpose', 'claims', 'prompt'],
    required: ['purpose', 'claims'],
    values: {
      purpose: {
        ok: (value) => /^.{3,300}$/su.test(textOf(value)),
        must: 'must be 3 to 300 characters long',
      },
      scope: { ok: (value) => value === 'openid', must: 'must be openid alone' },
      claims: {
        ok: (value) => {
          const { id_token, userinfo } = membersOf(value)
          const asked = membersOf(id_token)
          const isEssential = membersOf(asked['txn'])['essential'] === true
          return isEssential && !('acr' in asked) && Object.keys(membersOf(userinfo)).length === 0
        },
        must: 'must ask for txn in id_token as essential, for no acr, and for nothing in userinfo',
      },
    },
    claims: ({ sub }) => ({ txn: `transaction-of-${sub}` }),
    openid: [],
  },
  singpass: {
    ...SINGPASS,
    registered: SINGPASS_REGISTERED,
    example: { authorization_params: { authentication_context_type: 'APP_AUTHENTICATION_DEFAULT' } },
    parameters: [...SINGPASS_PARAMETERS, 'authentication_context_type', 'authentication_context_message'],
    required: ['authentication_context_type'],
    values: {
      ...SINGPASS_VALUES,
      authentication_context_type: {
        ok: (value) => /^[A-Z_]+$/.test(textOf(value)),
        must: 'must be one of its types, such as APP_AUTHENTICATION_DEFAULT',
      },
      authentication_context_message: {
        ok: (value) => /^[A-Za-z0-9 .,\-@'!()]{0,100}$/.test(textOf(value)),
        must: "must be at most 100 letters, digits, spaces and . , - @ ' ! ( )",
      },
    },
    claims: ({ name, email }) => ({
      sub_type: 'user',
      sub_attributes: { account_type: 'standard', identity_number: 'S0000000X', name, email },
    }),
    openid: ['sub_type', 'sub_attributes'],
  },
  'singpass-myinfo': {
    ...SINGPASS,
    registered: {
      ...SINGPASS_REGISTERED,
      userinfo_signed_response_alg: ['ES256'],
      userinfo_encrypted_response_alg: SINGPASS_KEYS,
      userinfo_encrypted_response_enc: ['A256GCM'],
    },
    example: { fetchUserInfo: true },
    parameters: SINGPASS_PARAMETERS,
    values: SINGPASS_VALUES,
    claims: ({ name, email }) => ({ person_info: { name: { value: name }, email: { value: email } } }),
    openid: ['person_info'],
    inUserinfo: true,
  },
  helseid: {
    registered: {
      ...WITH_DPOP,
      token_endpoint_auth_signing_alg: ['PS256', 'ES256', 'ES384', 'ES512'],
      id_token_signed_response_alg: ['PS256'],
    },
    example: {},
    assertionSeconds: 60,
    pushed: 'plain',
    parameters: ['resource', 'acr_values', 'prompt'],
    dpop: { algs: ['PS256', 'ES256', 'ES384', 'ES512'], nonceAt: ['/token'] },
    claims: () => ({ 'helseid://claims/identity/pid': '00000000000' }),
    openid: ['helseid://claims/identity/pid'],
    beside: { session_state: 'unused' },
  },
  esignet: {
    registered: {
      ...WITH_DPOP,
      token_endpoint_auth_signing_alg: ['PS256', 'ES256'],
      id_token_signed_response_alg: ['PS256'],
      userinfo_signed_response_alg: ['PS256'],
    },
    example: { userinfo_signed_response_alg: 'PS256', fetchUserInfo: true },
    assertionSeconds: 300,
    pushed: 'plain',
    parameters: [
      ...['display', 'prompt', 'acr_values', 'claims', 'max_age', 'claims_locales', 'ui_locales'],
      'id_token_hint',
    ],
    dpop: {
      algs: ['PS256'],
      nonceAt: ['/token', '/me'],
      nonceSeconds: 15,
      atPushed: true,
      lastingKey: true,
    },
    claims: () => ({}),
    openid: ['name', 'given_name', 'family_name', 'birthdate', 'email'],
    inUserinfo: true,
  },
  'openfinance-uae': {
    registered: SIGNED_WITH_CERTIFICATE,
    example: {
      authorization_details: [{ type: 'urn:openfinanceuae:account-access-consent:v1.2', consent: {} }],
    },
    certificate: true,
    interactionId: true,
    assertionSeconds: 300,
    pushed: 'signed',
    parameters: ['authorization_details', 'max_age'],
    required: ['authorization_details'],
    values: {
      authorization_details: {
        ok: (value) => Array.isArray(value) && value.length > 0,
        must: 'must be a list with the consent',
      },
      max_age: { ok: (value) => Number(value) <= 3600, must: 'must be at most 3600 s' },
    },
    claims: () => ({}),
    openid: ['name'],
  },
}

export const NETWORK_NAMES = Object.keys(NETWORKS) as Network[]

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function membersOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
