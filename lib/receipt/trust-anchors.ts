import { calculateJwkThumbprint, type JSONWebKeySet, type JWK } from 'jose'
import * as v from 'valibot'
import { IDPartnerError } from '../errors.js'

/**
 * Public keys that a verifier knows by other ways than the receipt.
 *
 * Each key may say when it was good, as the historical keys of OpenID Federation do: `nbf`, `exp` and `revoked`, `{
 * revoked_at, reason }`, in seconds since 1970. What is not said does not bound it.
 *
 * @see https://openid.net/specs/openid-federation-1_0.html#name-federation-historical-keys-
 */
export interface TrustAnchors {
  /** Those of the application that seal receipts: the signing keys of `jwks`, of all the years that receipts are from. */
  application: JSONWebKeySet
  /**
   * Those of IDPartner and the banks by issuer, where the verifier has them from an archive. Without it, that a key is a
   * bank's is the application's word.
   */
  issuers?: Readonly<Record<string, JSONWebKeySet>> | undefined
}

const seconds = v.optional(v.pipe(v.number(), v.finite()))
/** Members of the secret half, of whichever kind of key. */
const SECRET = ['d', 'k', 'priv']
const key = v.pipe(
  v.looseObject({
    kty: v.string(),
    kid: v.optional(v.string()),
    nbf: seconds,
    exp: seconds,
    revoked: v.optional(v.looseObject({ revoked_at: v.number(), reason: v.optional(v.string()) })),
  }),
  v.check((jwk) => !SECRET.some((name) => Object.hasOwn(jwk, name))),
)
const jwks = v.looseObject({ keys: v.array(key) })
const anchors = v.strictObject({ application: jwks, issuers: v.optional(v.record(v.string(), jwks)) })

export type CheckedAnchors = v.InferOutput<typeof anchors>
type AnchorKeys = v.InferOutput<typeof jwks>

/** @throws {IDPartnerError} `config_invalid` */
export function checkAnchors(given: unknown): CheckedAnchors {
  const { success, output, issues } = v.safeParse(anchors, given)
  if (success) return output
  const where = v.getDotPath(issues[0])
  throw new IDPartnerError(
    'config_invalid',
    `trustAnchors must be { application: { keys: […] }, issuers?: { 'https://…': { keys: […] } } } with public keys alone (see getPublicJWKs)${where === null ? '' : `; look at ${printablePath(where)}`}`,
  )
}

/** The keys that were good at a time, as far as is known at another. */
export function goodKeys({ keys }: AnchorKeys, time: number, known: number): JWK[] {
  return keys.filter(({ nbf = -Infinity, exp = Infinity, revoked }) => {
    if (time < nbf || time >= exp) return false
    if (!revoked) return true
    // Who stole a key can write any time into what it signs, so that only what was known to be there before is left.
    return (revoked.reason === 'superseded' ? time : known) < revoked.revoked_at
  }) as JWK[]
}

/** Whether a key is among them, whatever it is called. */
export async function isAmong(keys: readonly JWK[], jwk: JWK): Promise<boolean> {
  const wanted = await calculateJwkThumbprint(jwk)
  for (const one of keys) {
    const found = await calculateJwkThumbprint(one).catch(() => undefined)
    if (found === wanted) return true
  }
  return false
}

function printablePath(path: string): string {
  return path.replace(/[^\w.:/-]/g, '?').slice(0, 80)
}
