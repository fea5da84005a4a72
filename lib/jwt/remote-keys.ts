import { createLocalJWKSet, errors, type CryptoKey, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import * as v from 'valibot'
import { Cached } from '../net/cached.js'
import { IDPartnerError } from '../errors.js'
import type { Http } from '../net/http.js'
import { jsonOf, unusableAnswer } from '../net/json.js'
import { MIN_RSA_BITS } from './keys.js'

/** A key may have been withdrawn because somebody stole it, so a login waits to hear that it was not. */
const TIMES = { ttl: 5 * 60_000, retryAfter: 30_000, staleFor: 24 * 3600_000, patience: 1000 }

const jwks = v.looseObject({ keys: v.array(v.looseObject({ kty: v.string() })) })

/** Finds the key for the header of a JWS, as jose asks for it. */
export type FindKey = (...args: Parameters<JWTVerifyGetKey>) => Promise<CryptoKey>

/**
 * The public keys that a party publishes, kept and renewed.
 *
 * An unknown `kid` means that the keys may have been rotated a moment ago, so they are fetched again, once. Does not
 * guess: where several keys fit and the header names none, there is none.
 *
 * @param what whose keys these are, for messages: `the keys of the bank login.bank.example`
 * @param namedBy whose document named the URL, if it is not configured
 */
export function remoteKeys(
  http: Http,
  what: string,
  url: string | (() => Promise<string>),
  namedBy?: string,
): FindKey {
  const cached = new Cached(async () => {
    const response = await http.get(typeof url === 'string' ? url : await url(), {
      what,
      headers: { accept: 'application/json' },
      namedBy,
    })
    return createLocalJWKSet(await readJwks(response, what))
  }, TIMES)
  return async (...jws) => {
    const known = await cached.get()
    try {
      return await selectKey(known, what, jws)
    } catch (err) {
      if (!(err instanceof errors.JWKSNoMatchingKey)) throw err
      const renewed = await cached.refresh()
      if (!renewed) throw err
      return selectKey(renewed, what, jws)
    }
  }
}

/** The key of a set that fits; one that fits and cannot be used is the publisher's fault, not the sender's. */
async function selectKey(find: FindKey, what: string, jws: Parameters<FindKey>): Promise<CryptoKey> {
  try {
    const key = await find(...jws)
    const { modulusLength = MIN_RSA_BITS } = key.algorithm as { modulusLength?: number }
    // jose refuses it as well, but as if the signature were at fault (RFC 7518, section 3.5).
    if (modulusLength < MIN_RSA_BITS) throw new Error(`it has ${String(modulusLength)} bits`)
    return key
  } catch (err) {
    if (err instanceof errors.JWKSNoMatchingKey || err instanceof errors.JWKSMultipleMatchingKeys) throw err
    throw new IDPartnerError('provider_unavailable', `one of ${what} fits, but cannot be used`, {
      cause: err,
    })
  }
}

async function readJwks(response: Response, what: string): Promise<JSONWebKeySet> {
  const body = await jsonOf(response, what)
  if (!v.is(jwks, body)) throw unusableAnswer(what, undefined)
  return body
}
