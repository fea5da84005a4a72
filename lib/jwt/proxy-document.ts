import { decodeJwt, decodeProtectedHeader } from 'jose'
import * as v from 'valibot'
import { printable } from '../errors.js'
import { parseEndpoint } from '../net/http.js'
import type { FindKeys } from './remote-keys.js'
import { invalidJwt, printableUrl, type JwtKind } from './jwt-error.js'
import { verifyJwt, type Witnessed } from './signed-jwt.js'

/** The bank a person chose, as IDPartner describes it; further members are know-your-business credentials. */
export interface IdentityProvider {
  name: string
  issuer_url: string
  [member: string]: unknown
}

/** What the proxy's document says, once it is verified. */
export interface ProxyDocument {
  identity_provider: IdentityProvider
  /** The bank's own answer, still sealed. */
  idp_response_code: string
  interactionId: string | undefined
}

export interface ProxyDocumentExpected extends Witnessed {
  keys: FindKeys
  issuer: string
  audience: string
  clockTolerance: number
}

/** IDPartner signs with this alone; the options pin what banks sign with. */
const ALG = 'PS256'

/** The platform's documents live this long, so an older one is a replay even if its `exp` says otherwise. */
const LIFETIME_SECONDS = 60

const DOCUMENT: JwtKind = { code: 'response_invalid', what: "IDPartner's document" }

const payload = v.looseObject({
  sub: v.string(),
  identity_provider: v.looseObject({
    name: v.pipe(v.string(), v.minLength(1)),
    issuer_url: v.pipe(
      v.string(),
      v.check((url) => parseEndpoint(url) !== undefined),
    ),
  }),
  // It goes into headers and errors.
  'x-fapi-interaction-id': v.fallback(
    v.optional(
      v.pipe(
        v.string(),
        v.check((id) => printable(id) !== undefined),
      ),
    ),
    undefined,
  ),
})

/**
 * Verifies the document that IDPartner's proxy wraps around the bank's answer.
 *
 * Does not open the bank's answer. It is taken from here on as the answer of that one bank only.
 *
 * @throws {IDPartnerError} `response_invalid`; `provider_unavailable` when the trust directory's keys cannot be had
 */
export async function verifyProxyDocument(
  jws: string,
  expected: ProxyDocumentExpected,
): Promise<ProxyDocument> {
  const claims = await verifyJwt(
    { jws, outer: {} },
    { ...expected, alg: ALG, requiredClaims: ['exp'], maxAge: LIFETIME_SECONDS },
    DOCUMENT,
  )
  const parsed = v.safeParse(payload, claims)
  if (!parsed.success) throw invalidJwt(DOCUMENT, `has no usable "${v.getDotPath(parsed.issues[0]) ?? ''}"`)
  const { sub, identity_provider, 'x-fapi-interaction-id': interactionId } = parsed.output
  const { issuer_url } = identity_provider
  const sender = claimedIssuer(sub)
  if (sender !== issuer_url) {
    throw invalidJwt(
      DOCUMENT,
      `names one bank and carries the answer of another: ${printableUrl(issuer_url)} and ${printableUrl(sender)}`,
    )
  }
  return { identity_provider, idp_response_code: sub, interactionId }
}

/** What the bank's answer says of its sender on the outside. Not authenticated; compared, never trusted. */
function claimedIssuer(answer: string): unknown {
  try {
    return answer.split('.').length === 5 ? decodeProtectedHeader(answer).iss : decodeJwt(answer).iss
  } catch {
    return undefined
  }
}
