import type { JWTPayload } from 'jose'
import type { ClientMetadata } from 'oidc-provider'

/** A request to a bank, as far as networks have rules of their own for it. */
export interface Asked {
  /** What was pushed, in its form. */
  form: Record<string, string>
  /** What the form says of the request itself, wherever that stands in it. */
  request: JWTPayload & Record<string, unknown>
  /** The proof of DPoP beside it, if there is one. */
  proof: JWTPayload | undefined
  now: number
}

/** What one network asks of an application beyond FAPI 2.0. */
export interface NetworkRules {
  /** Where its issuers end. */
  path?: string
  /** What every request has to show: a client certificate, and the interaction id. */
  certificate?: boolean
  interactionId?: boolean
  /** Seconds that a client assertion may live, from its `iat` and from now. */
  assertionLifetime: number
  /** Parameters beside those of every login; it refuses all others. */
  parameters: string[]
  /** What is wrong with a pushed request, if anything. */
  complaint: (asked: Asked) => string | undefined
  /** How proofs are signed, and which endpoints want a nonce: each from the first proof on, or a new one for each code and token. */
  dpop?: { algs: readonly string[]; nonceAt: readonly string[]; newNonceForEach?: boolean }
  /** What it says of the person, and whether in userinfo alone. */
  claims: Record<string, unknown>
  inUserinfo?: boolean
  /** How it knows the application, beside its name, callback and keys. */
  registration: Partial<ClientMetadata>
  /** How it signs what it says. */
  alg: 'PS256' | 'ES256'
  /** What its token response has not. */
  withoutScope?: boolean
  /** What stands in its answers beside code, state and iss. */
  beside?: Record<string, string>
}

const TEN_MINUTES = 600

/** What stands beside the request, and how old and long a signed one is. */
function signedRequest({ form, request, now }: Asked): string | undefined {
  const beside = Object.keys(form).sort().join()
  if (beside !== 'client_assertion,client_assertion_type,request') return `the form holds ${beside}`
  const { nbf = 0, exp = Infinity } = request
  if (nbf < now - TEN_MINUTES || exp > nbf + TEN_MINUTES) return 'the request is too old or lives too long'
  return undefined
}

function plainRequest({ form, proof }: Asked): string | undefined {
  if ('request' in form || 'request_uri' in form) return 'the request is an object'
  if (!proof && !form['dpop_jkt']) return 'neither a DPoP proof nor dpop_jkt'
  return undefined
}

/** As Singpass has it for both of its kinds of application. */
function singpassRequest(asked: Asked): string | undefined {
  const { form, proof } = asked
  if (!/^[A-Za-z0-9/+_\-=.]{30,255}$/.test(form['state'] ?? '')) return 'no good state'
  if (!/^.{30,255}$/.test(form['nonce'] ?? '')) return 'no good nonce'
  if (proof && (proof.exp ?? Infinity) > (proof.iat ?? 0) + 120) return 'the DPoP proof lives too long'
  return plainRequest(asked)
}

const SINGPASS = {
  path: '/fapi',
  assertionLifetime: 120,
  dpop: { algs: ['ES256', 'ES384', 'ES512'], nonceAt: ['/me'] },
  alg: 'ES256',
  withoutScope: true,
} as const satisfies Partial<Record<keyof NetworkRules, unknown>>

const SINGPASS_PARAMETERS = ['redirect_uri_https_type', 'app_launch_url', 'acr_values']

const AUTHENTICATION_CONTEXT = ['authentication_context_type', 'authentication_context_message']

const SIGNED_PS256 = { request_object_signing_alg: 'PS256', require_signed_request_object: true } as const

const SINGPASS_REGISTRATION = {
  token_endpoint_auth_signing_alg: 'ES256',
  id_token_signed_response_alg: 'ES256',
  id_token_encrypted_response_alg: 'ECDH-ES+A256KW',
  id_token_encrypted_response_enc: 'A256CBC-HS512',
} as const

/** The blocks of docs/networks.md by their names, with the facts behind each. */
export const NETWORKS: Record<string, NetworkRules> = {
  connectId: {
    certificate: true,
    interactionId: true,
    assertionLifetime: 300,
    parameters: ['purpose', 'claims', 'prompt'],
    complaint: (asked) => {
      const { purpose, scope, claims = {}, acr_values } = asked.request
      const { id_token = {}, userinfo = {} } = claims as Record<
        string,
        Record<string, { essential?: boolean }>
      >
      if (typeof purpose !== 'string' || purpose.length < 3 || purpose.length > 300) return 'no good purpose'
      if (scope !== 'openid') return 'a scope beside openid'
      if (acr_values !== undefined || 'acr' in id_token) return 'acr was asked for'
      if (!id_token['txn']?.essential) return 'the claim txn was not asked for as essential'
      if (Object.keys(userinfo).length > 0) return 'claims of userinfo were asked for'
      return signedRequest(asked)
    },
    claims: { given_name: 'Kim', family_name: 'Example', txn: 'a-transaction' },
    registration: SIGNED_PS256,
    alg: 'PS256',
  },
  singpass: {
    ...SINGPASS,
    parameters: [...SINGPASS_PARAMETERS, ...AUTHENTICATION_CONTEXT],
    complaint: (asked) => {
      const { authentication_context_type: type = '', authentication_context_message: message = '' } =
        asked.form
      if (!/^[A-Z_]+$/.test(type)) return 'no authentication_context_type'
      if (!/^[A-Za-z0-9 .,\-@'!()]{0,100}$/.test(message)) return 'no good authentication_context_message'
      return singpassRequest(asked)
    },
    claims: {
      sub_type: 'user',
      sub_attributes: { account_type: 'standard', identity_number: 'S0000000X' },
    },
    registration: SINGPASS_REGISTRATION,
  },
  singpassMyinfo: {
    ...SINGPASS,
    parameters: SINGPASS_PARAMETERS,
    complaint: singpassRequest,
    claims: { person_info: { name: { value: 'Kim Example' } } },
    inUserinfo: true,
    registration: {
      ...SINGPASS_REGISTRATION,
      userinfo_signed_response_alg: 'ES256',
      userinfo_encrypted_response_alg: 'ECDH-ES+A256KW',
      userinfo_encrypted_response_enc: 'A256GCM',
    },
  },
  helseId: {
    assertionLifetime: 60,
    parameters: ['resource', 'acr_values', 'prompt'],
    complaint: ({ form }) => ('request' in form ? 'the request is an object' : undefined),
    dpop: { algs: ['PS256', 'ES256', 'ES384', 'ES512'], nonceAt: ['/token'] },
    claims: { 'helseid://claims/identity/pid': '00000000000' },
    registration: {},
    alg: 'PS256',
    beside: { session_state: 'unused' },
  },
  eSignet: {
    assertionLifetime: 300,
    parameters: [
      ...['display', 'prompt', 'acr_values', 'claims', 'max_age', 'claims_locales', 'ui_locales'],
      'id_token_hint',
    ],
    complaint: plainRequest,
    dpop: { algs: ['PS256'], nonceAt: ['/token', '/me'], newNonceForEach: true },
    claims: { name: 'Kim Example' },
    inUserinfo: true,
    registration: { userinfo_signed_response_alg: 'PS256' },
    alg: 'PS256',
  },
  openFinanceUae: {
    certificate: true,
    interactionId: true,
    assertionLifetime: 300,
    parameters: ['authorization_details', 'max_age'],
    complaint: (asked) => {
      const { authorization_details: details, max_age = 0 } = asked.request
      if (!Array.isArray(details) || details.length === 0) return 'no authorization_details'
      if (Number(max_age) > 3600) return 'max_age is too long'
      return signedRequest(asked)
    },
    claims: { name: 'Kim Example' },
    registration: SIGNED_PS256,
    alg: 'PS256',
  },
}
