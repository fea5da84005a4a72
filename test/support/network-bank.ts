import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { X509Certificate } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { TLSSocket } from 'node:tls'
import { decodeJwt, decodeProtectedHeader, type JSONWebKeySet, type JWTPayload } from 'jose'
import {
  Provider,
  interactionPolicy,
  type ClientMetadata,
  type Configuration,
  type KoaContextWithOIDC,
} from 'oidc-provider'
import { generateJwks } from 'passport-idpartner'
import { BankStore } from '../../lib/sandbox/bank/store.js'
import type { Pem } from './certificates.js'

/** A request to a bank, as far as networks have rules of their own for it. */
export interface Asked {
  /** What was pushed, in its form. */
  form: Record<string, string>
  /** What the form says of the request itself, wherever that stands in it. */
  request: JWTPayload & Record<string, unknown>
  assertion: { header: Record<string, unknown>; claims: JWTPayload }
  now: number
}

/** What one network asks of an application beyond FAPI 2.0. */
export interface NetworkRules {
  /** Where its issuers end. */
  path?: string
  signed: boolean
  /** What every request has to show: a client certificate, and the interaction id. */
  certificate: boolean
  interactionId: boolean
  /** Parameters of its own. */
  parameters: string[]
  /** What is wrong with a pushed request, if anything. */
  complaint: (asked: Asked) => string | undefined
  claims: Record<string, unknown>
}

export interface NetworkClient {
  client_id: string
  redirect_uri: string
  /** Its public keys. */
  jwks: JSONWebKeySet
}

/** A bank of a network, which refuses whatever that network does not have. Everybody is logged in who comes. */
export class NetworkBank {
  readonly issuer: string
  readonly #close: () => Promise<void>

  private constructor(issuer: string, close: () => Promise<void>) {
    this.issuer = issuer
    this.#close = close
  }

  static async start(rules: NetworkRules, client: NetworkClient, tls: Pem): Promise<NetworkBank> {
    let handle: (req: IncomingMessage, res: ServerResponse) => unknown = () => undefined
    const server = createServer(
      { ...tls, requestCert: true, rejectUnauthorized: false },
      (req, res) => void handle(req, res),
    ).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const origin = `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`
    const issuer = `${origin}${rules.path ?? ''}`
    const keys = await generateJwks()
    const provider = new Provider(issuer, configuration(issuer, rules, client, keys))
    provider.silent = true
    provider.use(async (ctx, next) => {
      const before =
        rules.certificate || rules.interactionId ? missing(ctx as KoaContextWithOIDC, rules) : undefined
      if (before === undefined) await next()
      const complaint = before ?? afterwards(ctx as KoaContextWithOIDC, rules)
      if (complaint === undefined) return
      ctx.status = 400
      ctx.body = { error: 'invalid_request', error_description: complaint }
    })
    const app = provider.callback()
    const interaction = `${rules.path ?? ''}/interaction/`
    handle = async (req, res) => {
      const path = rules.path ?? ''
      if (req.url?.startsWith(interaction)) {
        await provider.interactionFinished(req, res, { login: { accountId: 'person' } })
        return
      }
      if (!req.url?.startsWith(path)) {
        res.writeHead(404).end()
        return
      }
      // Mounted below a path, as Connect does it.
      Object.assign(req, { originalUrl: req.url, url: req.url.slice(path.length) || '/' })
      await app(req, res)
    }
    const close = async (): Promise<void> => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    }
    return new NetworkBank(issuer, close)
  }

  close(): Promise<void> {
    return this.#close()
  }
}

function configuration(
  issuer: string,
  rules: NetworkRules,
  client: NetworkClient,
  { keys }: JSONWebKeySet,
): Configuration {
  const { path = '' } = rules
  const stores = new Map<string, BankStore>()
  const registered = (id: string): Promise<ClientMetadata | undefined> =>
    Promise.resolve(id === client.client_id ? registration(rules, client) : undefined)
  return {
    adapter: (model) => {
      if (model === 'Client') return Object.assign(new BankStore(), { find: registered })
      const store = stores.get(model) ?? new BankStore()
      stores.set(model, store)
      return store
    },
    jwks: { keys: keys.filter(({ use }) => use === 'sig') },
    cookies: { keys: ['only of this run'] },
    features: {
      devInteractions: { enabled: false },
      claimsParameter: { enabled: true },
      fapi: { enabled: true, profile: '2.0' },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        getCertificate: (ctx: KoaContextWithOIDC) => certificateOf(ctx),
      },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
      requestObjects: { enabled: true },
      resourceIndicators: { enabled: false },
      rpInitiatedLogout: { enabled: false },
    },
    discovery: {
      mtls_endpoint_aliases: {
        pushed_authorization_request_endpoint: `${issuer}/request`,
        token_endpoint: `${issuer}/token`,
        userinfo_endpoint: `${issuer}/me`,
      },
    },
    claims: { openid: ['sub', ...Object.keys(rules.claims)] },
    conformIdTokenClaims: false,
    scopes: ['openid'],
    extraParams: rules.parameters,
    pkce: { required: () => true },
    enabledJWA: {
      clientAuthSigningAlgValues: ['PS256'],
      idTokenSigningAlgValues: ['PS256'],
      requestObjectSigningAlgValues: ['PS256'],
    },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub, ...rules.claims }) }),
    ttl: {
      AccessToken: 600,
      AuthorizationCode: 60,
      Grant: 600,
      IdToken: 600,
      Interaction: 600,
      Session: 600,
    },
    interactions: { policy: everybodyAgrees(), url: (_ctx, { uid }) => `${path}/interaction/${uid}` },
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({
        clientId: oidc.client?.clientId ?? '',
        accountId: oidc.session?.accountId ?? '',
      })
      grant.addOIDCScope('openid')
      grant.addOIDCClaims(Object.keys(rules.claims))
      await grant.save()
      return grant
    },
  }
}

function everybodyAgrees(): ReturnType<typeof interactionPolicy.base> {
  const policy = interactionPolicy.base()
  policy.remove('consent')
  return policy
}

function registration(rules: NetworkRules, { client_id, redirect_uri, jwks }: NetworkClient): ClientMetadata {
  return {
    client_id,
    redirect_uris: [redirect_uri],
    response_types: ['code'],
    grant_types: ['authorization_code'],
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'PS256',
    id_token_signed_response_alg: 'PS256',
    ...(rules.signed && { request_object_signing_alg: 'PS256', require_signed_request_object: true }),
    jwks,
    tls_client_certificate_bound_access_tokens: rules.certificate,
  }
}

function certificateOf({ req }: KoaContextWithOIDC): X509Certificate | undefined {
  return req.socket instanceof TLSSocket ? req.socket.getPeerX509Certificate() : undefined
}

const BACK_CHANNEL = ['/request', '/token', '/me']

/** What every request of an application has to show, before anything of it is looked at. */
function missing(ctx: KoaContextWithOIDC, { certificate, interactionId }: NetworkRules): string | undefined {
  if (!BACK_CHANNEL.includes(ctx.path)) return undefined
  if (certificate && !certificateOf(ctx)) return 'no client certificate'
  if (interactionId && !/^[\da-f]{8}-([\da-f]{4}-){3}[\da-f]{12}$/.test(ctx.get('x-fapi-interaction-id')))
    return 'no x-fapi-interaction-id'
  ctx.set('x-fapi-interaction-id', ctx.get('x-fapi-interaction-id'))
  return undefined
}

/** oidc-provider has read the form by then. */
function afterwards(ctx: KoaContextWithOIDC, rules: NetworkRules): string | undefined {
  if (ctx.path === '/auth' && Object.keys(ctx.query).sort().join() !== 'client_id,request_uri') {
    return 'the authorization URL holds more than client_id and request_uri'
  }
  if (ctx.path !== '/request' || ctx.status >= 400) return undefined
  const form = Object.fromEntries(
    Object.entries(ctx.oidc.body ?? {}).filter(([, value]) => value !== undefined),
  ) as Record<string, string>
  const jwt = form['client_assertion'] ?? ''
  return rules.complaint({
    form,
    request: form['request'] === undefined ? form : decodeJwt(form['request']),
    assertion: { header: { ...decodeProtectedHeader(jwt) }, claims: decodeJwt(jwt) },
    now: Math.floor(Date.now() / 1000),
  })
}
