import { randomBytes, type X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { TLSSocket } from 'node:tls'
import { decodeJwt, decodeProtectedHeader, type JSONWebKeySet } from 'jose'
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
import type { NetworkRules } from './network-rules.js'

export interface NetworkClient {
  client_id: string
  redirect_uri: string
  /** Its public keys. */
  jwks: JSONWebKeySet
}

/** A request that the bank got, to be sent once more, and the error that it was answered with. */
export interface Got {
  path: string
  headers: Record<string, string>
  body: string
  error: string | undefined
}

/** A bank of a network, which refuses whatever that network does not have. Everybody is logged in who comes. */
export class NetworkBank {
  readonly issuer: string
  readonly got: readonly Got[]
  readonly #close: () => Promise<void>

  private constructor(issuer: string, got: Got[], close: () => Promise<void>) {
    this.issuer = issuer
    this.got = got
    this.#close = close
  }

  static async start(rules: NetworkRules, client: NetworkClient, tls: Pem): Promise<NetworkBank> {
    let handle: (req: IncomingMessage, res: ServerResponse) => unknown = () => undefined
    const server = createServer(
      { ...tls, requestCert: true, rejectUnauthorized: false },
      (req, res) => void handle(req, res),
    ).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const path = rules.path ?? ''
    const issuer = `https://127.0.0.1:${String((server.address() as AddressInfo).port)}${path}`
    const got: Got[] = []
    const bank: Parties = {
      issuer,
      rules,
      client,
      keys: await keysFor(rules.alg),
      stores: new Map(),
      note: (one) => void got.push(one),
    }
    let provider = providerOf(bank)
    const nonces = new FreshNonces(rules)
    handle = async (req, res) => {
      if (req.url?.startsWith(`${path}/interaction/`)) {
        await provider.interactionFinished(req, res, { login: { accountId: 'person' } })
        return
      }
      if (!req.url?.startsWith(path)) {
        res.writeHead(404).end()
        return
      }
      // Mounted below a path, as Connect does it.
      Object.assign(req, { originalUrl: req.url, url: req.url.slice(path.length) || '/' })
      // It makes a secret of its own for them.
      if (nonces.areToBeNew(req, res)) provider = providerOf(bank)
      await provider.callback()(req, res)
    }
    return new NetworkBank(issuer, got, async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    })
  }

  close(): Promise<void> {
    return this.#close()
  }
}

/** Made once, since RSA keys are slow to make. */
const made = new Map<string, Promise<JSONWebKeySet>>()

function keysFor(alg: NetworkRules['alg']): Promise<JSONWebKeySet> {
  const keys = made.get(alg) ?? generateJwks({ alg, enc: 'ECDH-ES' })
  made.set(alg, keys)
  return keys
}

interface Parties {
  issuer: string
  rules: NetworkRules
  client: NetworkClient
  keys: JSONWebKeySet
  stores: Map<string, BankStore>
  note: (one: Got) => void
}

/** Where each code and each token has a nonce of its own: what a proof brings from elsewhere is none. */
class FreshNonces {
  readonly #rules: NetworkRules
  readonly #given = new Set<string>()

  constructor(rules: NetworkRules) {
    this.#rules = rules
  }

  areToBeNew({ url = '', headers }: IncomingMessage, res: ServerResponse): boolean {
    const { dpop } = this.#rules
    const proof = headers['dpop']
    if (!dpop?.newNonceForEach || !dpop.nonceAt.includes(url) || typeof proof !== 'string') return false
    if (this.#given.delete(String(decodeJwt(proof)['nonce']))) return false
    res.once('finish', () => this.#given.add(String(res.getHeader('dpop-nonce'))))
    return true
  }
}

function providerOf(bank: Parties): Provider {
  const { rules, note } = bank
  const provider = new Provider(bank.issuer, configuration(bank))
  provider.silent = true
  // What it keeps to itself, and what is looked for here.
  provider.on('pushed_authorization_request.error', (ctx, { error, error_detail: detail }) => {
    if (detail !== undefined) ctx.body = { error, error_description: detail }
  })
  provider.use(async (context, next) => {
    const ctx = context as KoaContextWithOIDC
    const before = missing(ctx, rules)
    if (before === undefined) await next()
    const complaint = before ?? complaintOf(ctx, bank)
    if (complaint !== undefined) {
      ctx.status = 400
      ctx.body = { error: 'invalid_request', error_description: complaint }
    }
    if (!rules.dpop?.nonceAt.includes(ctx.path)) ctx.remove('dpop-nonce')
    if (BACK_CHANNEL.includes(ctx.path)) note(gotOf(ctx))
  })
  return provider
}

function gotOf(ctx: KoaContextWithOIDC): Got {
  const { authorization = '', dpop = '', 'x-fapi-interaction-id': id = '' } = ctx.headers
  const { error } = (ctx.body ?? {}) as { error?: string }
  return {
    path: ctx.path,
    headers: { authorization, dpop: String(dpop), 'x-fapi-interaction-id': String(id) },
    body: new URLSearchParams(formOf(ctx)).toString(),
    error,
  }
}

function configuration({ issuer, rules, client, keys, stores }: Parties): Configuration {
  const { path = '', dpop, alg } = rules
  const registered = (id: string): Promise<ClientMetadata | undefined> =>
    Promise.resolve(id === client.client_id ? registration(rules, client) : undefined)
  const algs = alg === 'PS256' ? ['PS256' as const] : ['ES256' as const, 'ES384' as const, 'ES512' as const]
  return {
    adapter: (model) => {
      if (model === 'Client') return Object.assign(new BankStore(), { find: registered })
      const store = stores.get(model) ?? new BankStore()
      stores.set(model, store)
      return store
    },
    jwks: { keys: keys.keys.filter(({ use }) => use === 'sig') },
    cookies: { keys: ['only of this run'] },
    features: {
      devInteractions: { enabled: false },
      claimsParameter: { enabled: true },
      dPoP: dpop
        ? {
            enabled: true,
            nonceSecret: randomBytes(32),
            requireNonce: (ctx) => dpop.nonceAt.includes(ctx.path),
          }
        : { enabled: false },
      encryption: { enabled: true },
      fapi: { enabled: true, profile: '2.0' },
      jwtUserinfo: { enabled: true },
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
    discovery: rules.certificate
      ? {
          mtls_endpoint_aliases: {
            pushed_authorization_request_endpoint: `${issuer}/request`,
            token_endpoint: `${issuer}/token`,
            userinfo_endpoint: `${issuer}/me`,
          },
        }
      : {},
    claims: { openid: ['sub', ...Object.keys(rules.claims)] },
    conformIdTokenClaims: rules.inUserinfo ?? false,
    scopes: ['openid'],
    extraParams: rules.parameters.filter((name) => !OF_THE_PROVIDER.includes(name)),
    pkce: { required: () => true },
    enabledJWA: {
      dPoPSigningAlgValues: dpop?.algs ?? ['ES256'],
      clientAuthSigningAlgValues: algs,
      idTokenSigningAlgValues: algs,
      requestObjectSigningAlgValues: ['PS256'],
      userinfoSigningAlgValues: algs,
      idTokenEncryptionAlgValues: ['ECDH-ES+A128KW', 'ECDH-ES+A256KW'],
      idTokenEncryptionEncValues: ['A256CBC-HS512'],
      userinfoEncryptionAlgValues: ['ECDH-ES+A128KW', 'ECDH-ES+A256KW'],
      userinfoEncryptionEncValues: ['A256GCM'],
    } as Configuration['enabledJWA'],
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

/** Parameters that oidc-provider knows by itself. */
const OF_THE_PROVIDER = [
  'acr_values',
  'claims',
  'display',
  'id_token_hint',
  'max_age',
  'prompt',
  'claims_locales',
  'ui_locales',
]

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
    token_endpoint_auth_signing_alg: rules.alg,
    id_token_signed_response_alg: rules.alg,
    jwks,
    ...(rules.certificate && { tls_client_certificate_bound_access_tokens: true }),
    ...(rules.dpop && { dpop_bound_access_tokens: true }),
    ...rules.registration,
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
  if (!interactionId) return undefined
  const id = ctx.get('x-fapi-interaction-id')
  ctx.set('x-fapi-interaction-id', id)
  return /^[\da-f]{8}-([\da-f]{4}-){3}[\da-f]{12}$/.test(id) ? undefined : 'no x-fapi-interaction-id'
}

const OF_EVERY_LOGIN = [
  ...['client_id', 'redirect_uri', 'response_type', 'scope', 'state', 'nonce'],
  ...['code_challenge', 'code_challenge_method', 'dpop_jkt'],
]

const AUTHENTICATION = ['client_assertion', 'client_assertion_type']

const OF_A_REQUEST_OBJECT = ['iss', 'aud', 'exp', 'iat', 'nbf', 'jti']

/** Looked for when oidc-provider has read the form, and has nothing against it. */
function complaintOf(ctx: KoaContextWithOIDC, bank: Parties): string | undefined {
  if (ctx.status >= 400) return undefined
  if (ctx.path.startsWith('/auth')) return complaintOfVisit(ctx, bank)
  if (ctx.path !== '/request' && ctx.path !== '/token') return undefined
  const { rules, issuer } = bank
  const form = formOf(ctx)
  const now = Math.floor(Date.now() / 1000)
  const about = complaintOfAssertion(form['client_assertion'] ?? '', issuer, rules.assertionLifetime, now)
  if (about !== undefined) return about
  if (ctx.path === '/token') {
    if (rules.withoutScope) delete (ctx.body as { scope?: string }).scope
    return /^[\w-]{43,128}$/.test(form['code_verifier'] ?? '') ? undefined : 'no good code_verifier'
  }
  const inside = form['request']
  const request = inside === undefined ? form : decodeJwt(inside)
  const known = [...OF_EVERY_LOGIN, ...rules.parameters]
  const beside = [...known, ...AUTHENTICATION, 'request']
  const unknown =
    Object.keys(form).find((name) => !beside.includes(name)) ??
    Object.keys(inside === undefined ? {} : request).find(
      (name) => ![...known, ...OF_A_REQUEST_OBJECT].includes(name),
    )
  if (unknown !== undefined) return `the parameter ${unknown} is unknown`
  const proof = ctx.get('dpop')
  return rules.complaint({ form, request, proof: proof === '' ? undefined : decodeJwt(proof), now })
}

/** What the browser brings, and what is sent back with it. */
function complaintOfVisit(ctx: KoaContextWithOIDC, { rules, client }: Parties): string | undefined {
  const names = Object.keys(ctx.query).sort().join()
  if (ctx.path === '/auth' && names !== 'client_id,request_uri')
    return 'the authorization URL holds more than client_id and request_uri'
  const back = ctx.response.get('location')
  if (rules.beside && back.startsWith(client.redirect_uri)) {
    ctx.set('location', `${back}&${new URLSearchParams(rules.beside).toString()}`)
  }
  return undefined
}

function complaintOfAssertion(
  jwt: string,
  issuer: string,
  lifetime: number,
  now: number,
): string | undefined {
  const { typ, kid } = decodeProtectedHeader(jwt)
  const { aud, iat = 0, exp = Infinity, ...others } = decodeJwt(jwt)
  if (typ !== 'JWT' || kid === undefined) return 'the assertion has no typ JWT, or no kid'
  if (Object.keys(others).sort().join() !== 'iss,jti,nbf,sub') return 'the assertion has other claims'
  if (aud !== issuer) return 'the assertion has not the issuer for its one aud'
  return exp > iat + lifetime || exp > now + lifetime ? 'the assertion lives too long' : undefined
}

function formOf(ctx: KoaContextWithOIDC): Record<string, string> {
  const form = Object.entries((ctx as Partial<KoaContextWithOIDC>).oidc?.body ?? {}).filter(
    ([, value]) => value !== undefined,
  )
  return Object.fromEntries(form) as Record<string, string>
}
