import type { Flow, TokenEndpointAuthMethod } from './config.js'

/** Which profile of FAPI the banks follow, by its name. */
export type Profile = 'fapi1-advanced' | 'fapi2-security' | 'fapi2-message-signing'

/** How a bank's answer comes: signed (JARM), or as plain parameters of the callback. */
export type ResponseMode = 'jwt' | 'query'

/** In what one profile differs from the others. */
interface Rules {
  flows: readonly Flow[]
  /** The first unless the option says otherwise. */
  responseModes: readonly ResponseMode[]
  authMethods: readonly TokenEndpointAuthMethod[]
  /** Whether requests are signed. */
  signedRequests: 'always' | 'never' | 'with a key'
  /** Whether a pushed request has `client_id` beside its signed form (RFC 9126, section 3). */
  clientIdBesideRequest: boolean
  /** Whether the interaction id is among the parameters, as IDPartner has it, and not in the HTTP header alone. */
  interactionIdInRequest: boolean
  /** Whether access tokens have to be bound to the application, by its certificate or by DPoP. */
  boundTokens: boolean
}

const FAPI2 = {
  flows: ['direct'],
  // FAPI 2.0 Security Profile, section 5.3.2.1, point 6.
  authMethods: ['private_key_jwt', 'tls_client_auth'],
  clientIdBesideRequest: false,
  interactionIdInRequest: false,
  boundTokens: true,
} as const

/**
 * The profiles, as data.
 *
 * @see https://openid.net/specs/openid-financial-api-part-2-1_0.html
 * @see https://openid.net/specs/fapi-security-profile-2_0-final.html
 * @see https://openid.net/specs/fapi-message-signing-2_0-final.html
 */
export const PROFILES: Readonly<Record<Profile, Rules>> = {
  'fapi1-advanced': {
    flows: ['proxy', 'direct'],
    responseModes: ['jwt'],
    authMethods: ['private_key_jwt', 'client_secret_basic', 'tls_client_auth'],
    signedRequests: 'with a key',
    clientIdBesideRequest: true,
    interactionIdInRequest: true,
    boundTokens: false,
  },
  'fapi2-security': { ...FAPI2, responseModes: ['query', 'jwt'], signedRequests: 'never' },
  'fapi2-message-signing': { ...FAPI2, responseModes: ['jwt', 'query'], signedRequests: 'always' },
}
