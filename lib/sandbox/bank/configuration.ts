import {
  errors,
  interactionPolicy,
  type ClientMetadata,
  type Configuration,
  type JWK,
  type KoaContextWithOIDC,
} from 'oidc-provider'
import { randomBytes } from 'node:crypto'
import type { Profile } from '../../client/profile.js'
import { DPOP_ALGS } from './dpop.js'
import { checkAssertion } from './network-rules.js'
import { STEP_SECONDS } from './ended-steps.js'
import { BankStore } from './store.js'
import { ACR, claimsByScope } from './claims.js'
import type { BankAlgorithms } from '../algorithms.js'
import type { SigningKey } from '../keys.js'
import type { NetworkRules } from '../networks.js'
import type { Persona } from './personas.js'
import { CLIENT_SUBJECT, clientCertificateOf } from '../http/tls.js'

export interface BankConfigurationInput {
  id: string
  /** As its customers know it; published in the discovery document. */
  name: string
  issuer: string
  algs: BankAlgorithms
  profile: Profile
  /** What it asks for as a bank of a network, if it is one. */
  network: NetworkRules | undefined
  /** Whether the app's tokens are bound by DPoP. */
  dpop: boolean
  keys: readonly SigningKey[]
  cookieKeys: readonly string[]
  stores: Map<string, BankStore>
  personas: readonly Persona[]
  /** The app, if the id is the app's, as the bank has it registered. */
  client: (clientId: string) => Promise<ClientMetadata | undefined>
  /** Whether IDPartner gave this token to somebody who chose this bank. */
  isSelectorToken: (token: string) => Promise<boolean>
  /** Where the bank can be reached with a client certificate, if it can. */
  mutualTlsUrl: string | undefined
  renderError: NonNullable<Configuration['renderError']>
  /** The page that asks whether to log out, around the form that does. */
  renderLogout: (form: string) => string
  /** The page after that, for who is still logged in as well. */
  renderLogoutAnswer: (isLoggedIn: boolean) => string
}

/**
 * What makes oidc-provider a bank of IDPartner: the FAPI 1.0 Final profile, answers as JARM alone, and everything
 * that the recorded discovery document of a real one announces.
 *
 * @see https://openid.net/specs/openid-financial-api-part-2-1_0.html
 */
export function bankConfiguration(input: BankConfigurationInput): Configuration {
  const { id, issuer, keys, personas, client, mutualTlsUrl, network } = input
  const mountPath = new URL(issuer).pathname
  return {
    adapter: (model) => {
      if (model === 'Client') return Object.assign(new BankStore(), { find: client })
      const store = input.stores.get(model) ?? new BankStore()
      input.stores.set(model, store)
      return store
    },
    jwks: { keys: keys.map((key) => key.privateJwk as JWK) },
    cookies: {
      keys: input.cookieKeys,
      // A browser sends the cookies of one localhost port to every other, so each bank has names and a path of its own.
      names: { session: `${id}_session`, interaction: `${id}_interaction`, resume: `${id}_resume` },
      long: { path: mountPath, httpOnly: true, sameSite: 'lax', signed: true },
      short: { httpOnly: true, sameSite: 'lax', signed: true },
    },
    features: {
      devInteractions: { enabled: false },
      dPoP: input.dpop
        ? {
            enabled: true,
            nonceSecret: randomBytes(32),
            requireNonce: ({ path }) => asksForNonce(path, network),
          }
        : { enabled: false },
      claimsParameter: { enabled: true },
      encryption: { enabled: true },
      fapi: { enabled: true, profile: input.profile === 'fapi1-advanced' ? '1.0 Final' : '2.0' },
      introspection: { enabled: true, allowedPolicy: isOwnToken },
      jwtResponseModes: { enabled: true },
      jwtUserinfo: { enabled: true },
      ...(mutualTlsUrl !== undefined && { mTLS: mutualTls() }),
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
      requestObjects: { enabled: true },
      resourceIndicators: { enabled: false },
      revocation: { enabled: true, allowedPolicy: isOwnToken },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => {
          ctx.body = input.renderLogout(form)
        },
        postLogoutSuccessSource: async (ctx) => {
          const { accountId } = await ctx.oidc.provider.Session.get(ctx)
          ctx.body = input.renderLogoutAnswer(accountId !== undefined)
        },
      },
    },
    discovery: {
      organization_name: input.name,
      logo_uri: `${issuer}/logo.svg`,
      ...discoveryAdditions(issuer, mutualTlsUrl, network),
    },
    acrValues: [ACR],
    claims: {
      openid: ['sub', ...(network?.openid ?? [])],
      acr: null,
      sid: null,
      auth_time: null,
      iss: null,
      ...claimsByScope(personas),
    },
    scopes: ['openid', 'offline_access'],
    // Relying parties of IDPartner read the claims from the ID token.
    conformIdTokenClaims: false,
    responseTypes: ['code'],
    subjectTypes: ['public'],
    clientAuthMethods: [
      'private_key_jwt',
      'client_secret_basic',
      ...(mutualTlsUrl === undefined ? [] : ['tls_client_auth' as const]),
    ],
    enabledJWA: algorithms(input.algs, network),
    ...(network && { assertJwtClientAuthClaimsAndHeader: checkAssertion(network, issuer) }),
    pkce: { required: () => true },
    allowOmittingSingleRegisteredRedirectUri: false,
    clientBasedCORS: () => false,
    // Somebody who logs in again, in another tab, must not spoil the code and the tokens of the login before.
    expiresWithSession: () => false,
    extraParams: extraParams(input),
    // The app is on this machine, which oidc-provider keeps its own requests away from.
    fetch: (url, init) => {
      Reflect.deleteProperty(init ?? {}, 'dispatcher')
      return fetch(url, init)
    },
    ttl: {
      AccessToken: 15 * 60,
      AuthorizationCode: 60,
      Grant: 24 * 60 * 60,
      IdToken: 5 * 60,
      Interaction: STEP_SECONDS,
      RefreshToken: 24 * 60 * 60,
      Session: 24 * 60 * 60,
    },
    findAccount: (_ctx, sub) => {
      const persona = personas.find(({ claims }) => claims.sub === sub)
      if (!persona) return undefined
      const told = (use: string) =>
        use === 'id_token' && network?.inUserinfo ? { sub } : { ...persona.claims }
      return { accountId: sub, claims: told }
    },
    interactions: {
      policy: policyOfABank(),
      url: (_ctx, interaction) => `${mountPath}/interaction/${interaction.uid}`,
    },
    loadExistingGrant: grantOfThisLogin,
    renderError: input.renderError,
  }
}

/** As the strictest networks do, unless it is one that does not: a first proof is never good. */
function asksForNonce(path: string, network: NetworkRules | undefined): boolean {
  return network?.dpop?.nonceAt.includes(path) ?? true
}

function algorithms(
  { signing, encryption }: BankAlgorithms,
  network: NetworkRules | undefined,
): NonNullable<Configuration['enabledJWA']> {
  const { authorization, id_token, userinfo } = encryption
  return {
    dPoPSigningAlgValues: [...(network?.dpop?.algs ?? DPOP_ALGS)],
    clientAuthSigningAlgValues: signing,
    requestObjectSigningAlgValues: signing,
    requestObjectEncryptionAlgValues: [],
    requestObjectEncryptionEncValues: [],
    authorizationSigningAlgValues: signing,
    authorizationEncryptionAlgValues: authorization.alg,
    authorizationEncryptionEncValues: authorization.enc,
    idTokenSigningAlgValues: signing,
    idTokenEncryptionAlgValues: id_token.alg,
    idTokenEncryptionEncValues: id_token.enc,
    userinfoSigningAlgValues: signing,
    userinfoEncryptionAlgValues: userinfo.alg,
    userinfoEncryptionEncValues: userinfo.enc,
  }
}

/** What a bank of IDPartner has beside the endpoints of OpenID Connect; see `mtls_endpoint_aliases` in RFC 8705. */
function discoveryAdditions(
  issuer: string,
  mutualTlsUrl: string | undefined,
  network: NetworkRules | undefined,
): Record<string, unknown> {
  const payments = (base: string) =>
    !network && {
      payment_details_info_endpoint: `${base}/payment_details`,
      payment_processing_endpoint: `${base}/payment_processing`,
    }
  if (mutualTlsUrl === undefined) return { ...payments(issuer) }
  return {
    ...payments(issuer),
    mtls_endpoint_aliases: {
      token_endpoint: `${mutualTlsUrl}/token`,
      introspection_endpoint: `${mutualTlsUrl}/token/introspection`,
      revocation_endpoint: `${mutualTlsUrl}/token/revocation`,
      userinfo_endpoint: `${mutualTlsUrl}/me`,
      pushed_authorization_request_endpoint: `${mutualTlsUrl}/request`,
      ...payments(mutualTlsUrl),
    },
  }
}

function mutualTls() {
  return {
    enabled: true,
    tlsClientAuth: true,
    certificateBoundAccessTokens: true,
    getCertificate: (ctx: KoaContextWithOIDC) => clientCertificateOf(ctx.req),
    certificateAuthorized: (ctx: KoaContextWithOIDC) => clientCertificateOf(ctx.req) !== undefined,
    certificateSubjectMatches: (ctx: KoaContextWithOIDC) =>
      clientCertificateOf(ctx.req)?.subject === CLIENT_SUBJECT,
  } as const
}

/**
 * Parameters beside those of OAuth: what the account selector gave the app along, which is checked, and the sandbox's
 * own note of where a request came from; at a network its own alone.
 */
function extraParams({
  id,
  isSelectorToken,
  network,
}: BankConfigurationInput): NonNullable<Configuration['extraParams']> {
  if (network) return network.parameters.filter((name) => !OF_THE_PROVIDER.includes(name))
  return {
    identity_provider_id: (_ctx, value) => {
      if (value === undefined || value === id) return
      throw new errors.InvalidRequest(
        `identity_provider_id must be "${id}", the idp_id that the login route got`,
      )
    },
    idpartner_token: async (_ctx, value) => {
      if (value === undefined || (await isSelectorToken(value))) return
      throw new errors.InvalidRequest('idpartner_token is not the one that the login route got for this bank')
    },
    proxy_transaction: () => undefined,
  }
}

/** Parameters that oidc-provider knows by itself. */
const OF_THE_PROVIDER = [
  ...['acr_values', 'claims', 'claims_locales', 'display', 'id_token_hint', 'max_age', 'prompt'],
  'ui_locales',
]

/** A bank asks for the login each time, whoever is logged in there already. */
function policyOfABank() {
  const { base, Check } = interactionPolicy
  const policy = base()
  const everyLogin = new Check('every_login', 'End-User authentication is required', ({ oidc }) =>
    !oidc.prompts.has('none') && !oidc.result?.login ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
  )
  policy.get('login')?.checks.add(everyLogin)
  return policy
}

/** And for consent each time, except when the app wants no question asked at all. */
async function grantOfThisLogin({ oidc }: KoaContextWithOIDC) {
  const sessionGrant = oidc.prompts.has('none')
    ? oidc.session?.grantIdFor(oidc.client?.clientId ?? '')
    : undefined
  const grantId = oidc.result?.consent?.grantId ?? sessionGrant
  return grantId === undefined ? undefined : oidc.provider.Grant.find(grantId)
}

function isOwnToken(
  _ctx: unknown,
  caller: { clientId: string },
  token: { clientId?: string | undefined },
): boolean {
  return token.clientId === caller.clientId
}
