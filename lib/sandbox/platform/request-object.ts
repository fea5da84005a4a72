import { createLocalJWKSet, decodeProtectedHeader, errors, jwtVerify, type JWTPayload } from 'jose'
import * as v from 'valibot'
import type { RelyingParty } from './relying-party.js'

/** Seconds by which the app's clock may differ. */
const CLOCK_TOLERANCE = 30

const MAX_LIFETIME = 300

/** Why a request is not shown to a person: for the app's developer, each problem in plain words. */
export class RequestRefused extends Error {
  override readonly name = 'RequestRefused'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('; '))
    this.problems = problems
  }
}

const there = v.string('must be there')
const filled = v.pipe(there, v.minLength(1, 'must not be empty'))
const time = v.number('must be there')
const text = v.optional(v.string('must be a string'))

const requestSchema = v.looseObject(
  {
    client_id: there,
    redirect_uri: there,
    response_type: v.literal('code', 'must be "code"'),
    response_mode: v.literal('jwt', 'must be "jwt"'),
    scope: v.pipe(
      there,
      v.check((scope) => scope.split(' ').includes('openid'), 'must contain "openid"'),
    ),
    state: filled,
    nonce: filled,
    code_challenge: v.pipe(
      there,
      v.regex(/^[A-Za-z0-9_-]{43}$/, 'must be a SHA-256 hash, base64url-encoded'),
    ),
    code_challenge_method: v.literal('S256', 'must be "S256"'),
    jti: filled,
    iat: time,
    nbf: time,
    exp: time,
    'x-fapi-interaction-id': v.optional(v.pipe(v.string('must be a UUID'), v.uuid('must be a UUID'))),
    claims: v.optional(v.record(v.string(), v.unknown(), 'must be an object')),
    prompt: text,
    max_age: v.optional(v.union([v.number(), v.string()], 'must be a number')),
    acr_values: text,
    login_hint: text,
    ui_locales: text,
  },
  'must be there',
)

/** An authorization request whose signature and claims were checked. */
export type AuthorizationRequest = v.InferOutput<typeof requestSchema>

/**
 * Checks the app's signed request object.
 *
 * A `jti` is not remembered: the same request may be shown again, when somebody reloads the page.
 *
 * @throws {RequestRefused} naming everything that is wrong with it
 * @throws {KeysUnavailable}
 * @see https://www.rfc-editor.org/rfc/rfc9101#section-6
 * @see https://openid.net/specs/openid-financial-api-part-2-1_0.html#authorization-server
 */
export async function verifyRequestObject(
  jwt: string,
  audience: string,
  relyingParty: RelyingParty,
): Promise<AuthorizationRequest> {
  const payload = await verifiedPayload(jwt, audience, relyingParty)
  const parsed = v.safeParse(requestSchema, payload)
  if (!parsed.success) {
    throw new RequestRefused(parsed.issues.map((issue) => `${v.getDotPath(issue) ?? ''} ${issue.message}`))
  }
  const request = parsed.output
  const problems: string[] = []
  if (request.client_id !== relyingParty.clientId)
    problems.push(`client_id must be "${relyingParty.clientId}"`)
  if (request.redirect_uri !== relyingParty.callback) {
    problems.push(`redirect_uri must be exactly "${relyingParty.callback}", as given to startSandbox`)
  }
  if (request.exp - request.nbf > MAX_LIFETIME) problems.push('exp must be at most 5 minutes after nbf')
  if (request.exp - now() > MAX_LIFETIME + CLOCK_TOLERANCE)
    problems.push('exp must be at most 5 minutes ahead')
  if (request.iat > now() + CLOCK_TOLERANCE)
    problems.push("iat must not be in the future: is the app's clock right?")
  if (problems.length > 0) throw new RequestRefused(problems)
  return request
}

async function verifiedPayload(
  jwt: string,
  audience: string,
  relyingParty: RelyingParty,
): Promise<JWTPayload> {
  const keys = await relyingParty.publicKeys()
  if (!keys)
    throw new RequestRefused(['no jwks_uri was given to startSandbox, so no signature can be checked'])
  try {
    const { payload } = await jwtVerify(jwt, createLocalJWKSet(keys), {
      algorithms: ['PS256', 'ES256'],
      typ: 'oauth-authz-req+jwt',
      issuer: relyingParty.clientId,
      audience,
      clockTolerance: CLOCK_TOLERANCE,
    })
    return payload
  } catch (err) {
    throw new RequestRefused([problemOf(err, jwt, audience, relyingParty)])
  }
}

function problemOf(err: unknown, jwt: string, audience: string, { clientId }: RelyingParty): string {
  if (err instanceof errors.JOSEAlgNotAllowed) return 'the request must be signed with PS256 or ES256'
  if (err instanceof errors.JWKSNoMatchingKey) {
    return `the keys at jwks_uri hold none for this request (kid ${kidOf(jwt)})`
  }
  if (err instanceof errors.JWKSMultipleMatchingKeys)
    return 'the request needs a kid: several keys could have signed it'
  if (err instanceof errors.JWSSignatureVerificationFailed)
    return 'the signature does not fit the key at jwks_uri'
  if (err instanceof errors.JWTExpired) return "the request has expired: is the app's clock right?"
  if (err instanceof errors.JWTClaimValidationFailed) {
    const expected: Record<string, string> = {
      iss: `must be the client id "${clientId}"`,
      aud: `must be "${audience}", the issuer of the proxy's discovery document`,
      typ: 'must be "oauth-authz-req+jwt"',
      nbf: "must not be in the future: is the app's clock right?",
    }
    return `${err.claim} ${expected[err.claim] ?? err.reason}`
  }
  return 'the request is not a signed JWT'
}

function kidOf(jwt: string): string {
  return decodeProtectedHeader(jwt).kid ?? 'missing'
}

function now(): number {
  return Math.floor(Date.now() / 1000)
}
