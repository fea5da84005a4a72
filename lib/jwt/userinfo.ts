import { checkClaims, type UserInfo } from './claims.js'
import type { SigningAlg } from './algorithms.js'
import type { FindKeys } from './remote-keys.js'
import { checkEnvelope, decryptJwt, notEncrypted, type Decryption } from './encrypted-jwt.js'
import { invalidJwt, wrongClaim, wrongIssuer, type JwtKind } from './jwt-error.js'
import { checkedObject, parseObject, verifyJwt, type Witnessed } from './signed-jwt.js'

export interface UserInfoExpected extends Witnessed {
  /** Whose userinfo it is, for messages: `the userinfo of the bank login.bank.example`. */
  what: string
  decryption: Decryption
  keys: FindKeys
  alg: SigningAlg
  /** Whether userinfo is refused that is not encrypted. */
  encrypted: boolean
  /** Whether unsigned userinfo is refused. */
  signed: boolean
  issuer: string
  clientId: string
  /** Seconds. */
  clockTolerance: number
}

/**
 * Reads userinfo that came as JSON or as a JWT, signed or encrypted or both, and checks its claims; nothing for an
 * answer that is neither.
 *
 * Without a signature it is as authentic as the connection to the bank it came over, encrypted or not. Does not
 * compare its `sub` with that of the ID token: openid-client does so.
 *
 * @throws {IDPartnerError} `token_invalid`
 * @see https://openid.net/specs/openid-connect-core-1_0.html#UserInfoResponse
 */
export async function readUserInfo(
  response: Response,
  expected: UserInfoExpected,
): Promise<UserInfo | undefined> {
  const kind = { code: 'token_invalid', what: expected.what, registered: 'userinfo' } as const
  const claims = await openUserInfo(response, expected, kind)
  if (!claims) return undefined
  const checked = checkClaims(claims, kind)
  // Whoever copies userinfo over the claims of the ID token would log in a person of another bank.
  if ((checked['iss'] ?? expected.issuer) !== expected.issuer) {
    throw wrongIssuer(kind, checked['iss'], expected.issuer)
  }
  if (checked['sub'] === undefined) throw wrongClaim(kind, 'sub')
  return checked as UserInfo
}

async function openUserInfo(
  response: Response,
  { decryption, encrypted, signed, clientId: audience, ...expected }: UserInfoExpected,
  kind: Required<JwtKind>,
): Promise<Record<string, unknown> | undefined> {
  if (hasType(response, 'json')) {
    if (encrypted) throw invalidJwt(kind, notEncrypted(decryption, kind))
    const body: unknown = await response
      .clone()
      .json()
      .catch(() => undefined)
    return body === undefined ? undefined : unsigned(checkedObject(body, kind), signed, kind)
  }
  if (!hasType(response, 'jwt')) return undefined
  const jwt = (await response.text()).trim()
  // Whether userinfo is encrypted is registered apart from ID tokens, so signed only is a downgrade where it is asked for.
  const opened =
    encrypted || jwt.split('.').length === 5
      ? await decryptJwt(jwt, decryption, kind)
      : { jws: jwt, outer: {} }
  if (opened.jws !== jwt && opened.jws.startsWith('{')) {
    checkEnvelope(opened, { issuer: expected.issuer, audience }, kind)
    return unsigned(parseObject(opened.jws, kind), signed, kind)
  }
  // It need not expire.
  return verifyJwt(opened, { ...expected, audience, requiredClaims: [] }, kind)
}

/** A bank that was registered to sign userinfo signs it. */
function unsigned(claims: Record<string, unknown>, signed: boolean, kind: JwtKind): Record<string, unknown> {
  if (!signed) return claims
  throw invalidJwt(
    kind,
    'is not signed: register userinfo_signed_response_alg at the bank, or leave the option of that name out',
  )
}

function hasType(response: Response, subtype: string): boolean {
  const type = response.headers.get('content-type') ?? ''
  return type.split(';')[0]?.trim().toLowerCase() === `application/${subtype}`
}
