import { randomBytes } from 'node:crypto'
import type { ClientMetadata, Configuration, JWK, KoaContextWithOIDC } from 'oidc-provider'
import type * as OidcProvider from 'oidc-provider'
import { BankStore } from './bank-store.js'
import { ACR, SCOPE_CLAIMS } from './claims.js'
import type { SigningKey } from './keys.js'
import type { Persona } from './personas.js'

/** Parameters beside those of OAuth and OpenID Connect that a bank takes note of. */
export const EXTRA_PARAMS = [
  'identity_provider_id',
  'idpartner_token',
  'visitor_id',
  'proxy_transaction',
] as const

export interface BankConfigurationInput {
  id: string
  issuer: string
  keys: readonly SigningKey[]
  personas: readonly Persona[]
  /** The app, if the id is the app's, as the bank has it registered. */
  client: (clientId: string) => Promise<ClientMetadata | undefined>
  renderError: NonNullable<Configuration['renderError']>
}

/**
 * What makes oidc-provider a bank of IDPartner: the FAPI 1.0 Final profile, answers as JARM alone, and everything
 * that the recorded discovery document of a real one announces.
 *
 * @see https://openid.net/specs/openid-financial-api-part-2-1_0.html
 */
export function bankConfiguration(
  { interactionPolicy }: typeof OidcProvider,
  { id, issuer, keys, personas, client, renderError }: BankConfigurationInput,
): Configuration {
  const mountPath = new URL(issuer).pathname
  return {
    adapter: (model) => {
      const store = new BankStore()
      return model === 'Client' ? Object.assign(store, { find: client }) : store
    },
    jwks: { keys: keys.map((key) => key.privateJwk as JWK) },
    cookies: {
      keys: [randomBytes(32).toString('base64url')],
      // A browser sends the cookies of one localhost port to every other, so each bank has names and a path of its own.
      names: { session: `${id}_session`, interaction: `${id}_interaction`, resume: `${id}_resume` },
      long: { path: mountPath, httpOnly: true, sameSite: 'lax', signed: true },
      short: { httpOnly: true, sameSite: 'lax', signed: true },
    },
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      claimsParameter: { enabled: true },
      encryption: { enabled: true },
      fapi: { enabled: true, profile: '1.0 Final' },
      introspection: {
        enabled: true,
        allowedPolicy: (_ctx, caller, token) => token.clientId === caller.clientId,
      },
      jwtResponseModes: { enabled: true },
      jwtUserinfo: { enabled: true },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
      requestObjects: { enabled: true },
      resourceIndicators: { enabled: false },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, caller, token) => token.clientId === caller.clientId,
      },
      rpInitiatedLogout: { enabled: false },
    },
    acrValues: [ACR],
    claims: { openid: ['sub'], acr: null, sid: null, auth_time: null, iss: null, ...SCOPE_CLAIMS },
    scopes: ['openid', 'offline_access'],
    // Relying parties of IDPartner read the claims from the ID token.
    conformIdTokenClaims: false,
    responseTypes: ['code'],
    subjectTypes: ['public'],
    clientAuthMethods: ['private_key_jwt', 'client_secret_basic'],
    enabledJWA: {
      clientAuthSigningAlgValues: ['PS256', 'ES256'],
      requestObjectSigningAlgValues: ['PS256', 'ES256'],
      idTokenSigningAlgValues: ['PS256', 'ES256'],
      userinfoSigningAlgValues: ['PS256', 'ES256'],
      authorizationSigningAlgValues: ['PS256', 'ES256'],
      idTokenEncryptionAlgValues: ['RSA-OAEP'],
      idTokenEncryptionEncValues: ['A256CBC-HS512'],
      userinfoEncryptionAlgValues: ['RSA-OAEP'],
      userinfoEncryptionEncValues: ['A256CBC-HS512'],
      authorizationEncryptionAlgValues: ['RSA-OAEP'],
      authorizationEncryptionEncValues: ['A256CBC-HS512'],
      requestObjectEncryptionAlgValues: [],
      requestObjectEncryptionEncValues: [],
    },
    pkce: { required: () => true },
    allowOmittingSingleRegisteredRedirectUri: false,
    clientBasedCORS: () => false,
    extraParams: [...EXTRA_PARAMS],
    ttl: {
      AccessToken: 15 * 60,
      AuthorizationCode: 60,
      Grant: 24 * 60 * 60,
      IdToken: 5 * 60,
      Interaction: 30 * 60,
      RefreshToken: 24 * 60 * 60,
      Session: 24 * 60 * 60,
    },
    findAccount: (_ctx, sub) => {
      const persona = personas.find(({ claims }) => claims.sub === sub)
      if (!persona) return undefined
      return { accountId: sub, claims: () => ({ ...persona.claims }) }
    },
    interactions: {
      policy: policyOfABank(interactionPolicy),
      url: (_ctx, interaction) => `${mountPath}/interaction/${interaction.uid}`,
    },
    loadExistingGrant: grantOfThisLogin,
    renderError,
  }
}

/** A bank asks for the login each time, whoever is logged in there already. */
function policyOfABank({ base, Check }: typeof OidcProvider.interactionPolicy) {
  const policy = base()
  policy
    .get('login')
    ?.checks.add(
      new Check('every_login', 'End-User authentication is required', ({ oidc }) =>
        !oidc.prompts.has('none') && !oidc.result?.login ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
      ),
    )
  return policy
}

/** And for consent each time, except when the app asks for no question at all. */
async function grantOfThisLogin({ oidc }: KoaContextWithOIDC) {
  const sessionGrant = oidc.prompts.has('none')
    ? oidc.session?.grantIdFor(oidc.client?.clientId ?? '')
    : undefined
  const grantId = oidc.result?.consent?.grantId ?? sessionGrant
  return grantId === undefined ? undefined : oidc.provider.Grant.find(grantId)
}
