import { decodeJwt, type JWTPayload } from 'jose'
import { errors, type Configuration, type KoaContextWithOIDC, type Provider } from 'oidc-provider'
import { plainAnswerIn } from './answers.js'
import { clientCertificateOf } from '../http/tls.js'
import type { NetworkRules } from '../networks.js'

interface NetworkBanking {
  network: NetworkRules
  refused: (what: string, why: string) => void
}

/** What an app asks a bank for behind the browser's back, by path. */
const BACK_CHANNEL: Readonly<Record<string, string>> = {
  '/request': 'a pushed request',
  '/token': 'a token request',
  '/me': 'a userinfo request',
}

interface Refusal {
  error: 'invalid_request' | 'invalid_client' | 'invalid_dpop_proof' | 'invalid_token'
  why: string
}

/** Refuses what a network does not have, where oidc-provider has nothing against it. */
export function followNetwork(provider: Provider, { network, refused }: NetworkBanking): void {
  provider.use(async (context, next) => {
    const ctx = context as KoaContextWithOIDC
    const before = refusalOfVisit(ctx) ?? refusalBefore(ctx, network)
    if (!before) await next()
    const refusal = before ?? refusalOfForm(ctx, network)
    if (refusal) {
      refuse(ctx, refusal)
      refused(BACK_CHANNEL[ctx.path] ?? 'an authorization request', `${refusal.error}: ${refusal.why}`)
    }
    bendToNetwork(ctx, network)
  })
}

function refuse(ctx: KoaContextWithOIDC, { error, why }: Refusal): void {
  ctx.status = error === 'invalid_client' || ctx.path === '/me' ? 401 : 400
  ctx.body = { error, error_description: why }
  if (ctx.path === '/me') {
    const scheme = ctx.get('dpop') === '' ? 'Bearer' : 'DPoP'
    ctx.set('www-authenticate', `${scheme} error="${error}", error_description="${why}"`)
  }
}

/** The browser brings the reference of a pushed request, and no parameter beside it. */
function refusalOfVisit({ path, query }: KoaContextWithOIDC): Refusal | undefined {
  if (path !== '/auth') return undefined
  const others = Object.keys(query).filter((name) => name !== 'client_id' && name !== 'request_uri')
  if (others.length === 0) return undefined
  const why = `the authorization URL holds ${others.join(', ')} beside client_id and request_uri`
  return { error: 'invalid_request', why }
}

/** What every request shows, whatever it asks for. */
function refusalBefore(ctx: KoaContextWithOIDC, network: NetworkRules): Refusal | undefined {
  if (BACK_CHANNEL[ctx.path] === undefined) return undefined
  if (network.certificate && !clientCertificateOf(ctx.req)) {
    const error = ctx.path === '/me' ? 'invalid_token' : 'invalid_client'
    return { error, why: 'there is no client certificate; mtls_endpoint_aliases say where it can be shown' }
  }
  const id = ctx.get('x-fapi-interaction-id')
  if (network.interactionId && !/^[\da-f]{8}-([\da-f]{4}-){3}[\da-f]{12}$/i.test(id)) {
    return { error: 'invalid_request', why: 'the header x-fapi-interaction-id is no UUID' }
  }
  const { iat = 0, exp } = claimsOf(ctx.get('dpop')) ?? {}
  const { proofSeconds = Infinity } = network.dpop ?? {}
  if (exp !== undefined && exp > iat + proofSeconds) {
    return {
      error: 'invalid_dpop_proof',
      why: `the DPoP proof lives for more than ${String(proofSeconds)} s`,
    }
  }
  return undefined
}

/** Parameters that a login has everywhere. */
const OF_EVERY_LOGIN = [
  ...['client_id', 'redirect_uri', 'response_type', 'scope', 'state', 'nonce'],
  ...['code_challenge', 'code_challenge_method', 'dpop_jkt'],
]

const AUTHENTICATION = ['client_assertion', 'client_assertion_type']

const OF_A_JWT = ['iss', 'aud', 'exp', 'iat', 'nbf', 'jti']

/** What stands in a form, once oidc-provider has read it and takes it. */
function refusalOfForm(ctx: KoaContextWithOIDC, network: NetworkRules): Refusal | undefined {
  const isPushed = ctx.path === '/request'
  if (ctx.status >= 400 || (!isPushed && ctx.path !== '/token')) return undefined
  const form = Object.fromEntries(
    Object.entries(ctx.oidc.body ?? {}).filter(([, value]) => value !== undefined),
  )
  const request = claimsOf(form['request']) ?? form
  const why =
    (isPushed ? problemOfPushed(form, request, ctx.get('dpop'), network) : undefined) ??
    problemOfValues(request, network)
  return why === undefined ? undefined : { error: 'invalid_request', why }
}

type Members = Readonly<Record<string, unknown>>

function problemOfPushed(
  form: Members,
  request: Members,
  proof: string,
  { pushed, parameters, required = [], dpop }: NetworkRules,
): string | undefined {
  const isSigned = 'request' in form
  if (isSigned !== (pushed === 'signed')) {
    return isSigned ? 'signed requests (request) are not known here' : 'the request is not signed'
  }
  const known = [...OF_EVERY_LOGIN, ...parameters]
  const beside = isSigned ? ['request'] : known
  const strange = Object.keys(form).find((name) => ![...AUTHENTICATION, ...beside].includes(name))
  if (strange !== undefined) {
    return isSigned && known.includes(strange)
      ? `${strange} stands beside the signed request, which is alone in its form`
      : `the parameter ${strange} is unknown`
  }
  const unknown = isSigned && Object.keys(request).find((name) => ![...known, ...OF_A_JWT].includes(name))
  if (unknown) return `the parameter ${unknown} is unknown`
  const missing = ['nonce', 'state', ...required].find((name) => !isThere(request[name]))
  if (missing !== undefined) return `the parameter ${missing} is missing`
  if (dpop?.atPushed && proof === '' && !isThere(form['dpop_jkt'])) {
    return 'there is neither a DPoP proof nor dpop_jkt'
  }
  return isSigned ? problemOfTimes(request) : undefined
}

const TEN_MINUTES = 600

/** @see https://openid.net/specs/fapi-message-signing-2_0.html#section-5.3.1 */
function problemOfTimes({ nbf = 0, exp = Infinity }: JWTPayload): string | undefined {
  if (nbf < now() - TEN_MINUTES) return 'the nbf of the signed request is more than 10 minutes back'
  return exp > nbf + TEN_MINUTES
    ? 'the exp of the signed request is more than 10 minutes after nbf'
    : undefined
}

function problemOfValues(request: Members, { values = {} }: NetworkRules): string | undefined {
  const wrong = Object.entries(values).find(
    ([name, { ok }]) => request[name] !== undefined && !ok(request[name]),
  )
  return wrong && `${wrong[0]} ${wrong[1].must}`
}

/** What its answers have, and have not, beside those of other banks. */
function bendToNetwork(ctx: KoaContextWithOIDC, { dpop, withoutScope, beside }: NetworkRules): void {
  if (!dpop?.nonceAt.includes(ctx.path)) ctx.remove('dpop-nonce')
  if (ctx.path === '/token' && withoutScope) {
    delete (ctx.body as { scope?: string } | undefined)?.scope
  }
  // oidc is there on the provider's own routes alone.
  if (!beside || !('oidc' in ctx)) return
  const answer = plainAnswerIn(ctx)
  if (!answer) return
  for (const [name, value] of Object.entries(beside)) answer.searchParams.set(name, value)
  ctx.set('location', answer.href)
}

type AssertAssertion = NonNullable<Configuration['assertJwtClientAuthClaimsAndHeader']>

/** What a network says of client assertions, beyond their signature and that each is used once. */
export function checkAssertion({ assertionSeconds }: NetworkRules, issuer: string): AssertAssertion {
  return (_ctx, claims, header) => {
    const problem = problemOfAssertion(claims, header, assertionSeconds, issuer)
    if (problem !== undefined) throw new errors.InvalidClientAuth(problem)
    return Promise.resolve()
  }
}

function problemOfAssertion(
  claims: JWTPayload,
  { typ, kid }: Members,
  seconds: number,
  issuer: string,
): string | undefined {
  const { aud, iat, exp = Infinity } = claims
  if (typ !== 'JWT' || kid === undefined) return 'the client assertion has no typ JWT, or no kid'
  const other = Object.keys(claims).find((name) => name !== 'sub' && !OF_A_JWT.includes(name))
  if (other !== undefined) return `the client assertion has ${other}, which is none of its claims`
  if (aud !== issuer) return 'the client assertion has not the issuer, as one text, for its aud'
  if (iat === undefined) return 'the client assertion has no iat'
  const isLong = exp > iat + seconds || exp > now() + seconds
  return isLong ? `the client assertion lives for more than ${String(seconds)} s` : undefined
}

function claimsOf(jwt: unknown): JWTPayload | undefined {
  try {
    return typeof jwt === 'string' && jwt !== '' ? decodeJwt(jwt) : undefined
  } catch {
    // Whoever checks its signature says so.
    return undefined
  }
}

function isThere(value: unknown): boolean {
  return value !== undefined && value !== ''
}

function now(): number {
  return Math.floor(Date.now() / 1000)
}
