import { createLocalJWKSet, errors, type CryptoKey, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import * as v from 'valibot'
import { Cached } from '../net/cached.js'
import { IDPartnerError } from '../errors.js'
import type { Http } from '../net/http.js'
import { MIN_RSA_BITS } from './keys.js'
import { unusable } from '../client/provider-failure.js'

const TIMES = { ttl: 5 * 60_000, retryAfter: 30_000, staleFor: 24 * 3600_000 }

const jwks = v.looseObject({ keys: v.array(v.looseObject({ kty: v.string() })) })

/** Finds a key for a JWS header, as jose asks for it. */
type FindKey = (...args: Parameters<JWTVerifyGetKey>) => Promise<CryptoKey>

/** The public keys that a party publishes, kept and renewed. */
export class RemoteKeys {
  readonly #cached: Cached<FindKey>

  /** @param what whose keys these are, for messages */
  constructor(http: Http, what: string, url: string | (() => Promise<string>), namedBy?: string) {
    this.#cached = new Cached(async () => {
      const response = await http.get(typeof url === 'string' ? url : await url(), {
        what,
        headers: { accept: 'application/json' },
        namedBy,
      })
      return createLocalJWKSet(await readJwks(response))
    }, TIMES)
  }

  /**
   * Finds the key for a JWS header, as jose asks for it. An unknown `kid` means that the keys may have been rotated
   * a moment ago, so they are fetched again, once.
   *
   * Does not guess: where several keys fit and the header names none, there is none.
   */
  readonly find: FindKey = async (header, token) => {
    const known = await this.#cached.get()
    try {
      return await chosen(known, header, token)
    } catch (err) {
      if (!(err instanceof errors.JWKSNoMatchingKey)) throw err
      const renewed = await this.#cached.refresh()
      if (!renewed) throw err
      return chosen(renewed, header, token)
    }
  }
}

/** The key of a set that fits; one that fits and cannot be used is the publisher's fault, not the sender's. */
async function chosen(keys: FindKey, ...args: Parameters<FindKey>): Promise<CryptoKey> {
  try {
    const key = await keys(...args)
    const { modulusLength = MIN_RSA_BITS } = key.algorithm as { modulusLength?: number }
    // jose refuses it as well, but as if the signature were at fault (RFC 7518, section 3.5).
    if (modulusLength < MIN_RSA_BITS) throw new Error(`it has ${String(modulusLength)} bits`)
    return key
  } catch (err) {
    if (err instanceof errors.JWKSNoMatchingKey || err instanceof errors.JWKSMultipleMatchingKeys) throw err
    throw new IDPartnerError('provider_unavailable', 'a key that was published cannot be used', {
      cause: err,
    })
  }
}

async function readJwks(response: Response): Promise<JSONWebKeySet> {
  if (response.status !== 200) throw unusable('JWKS', response.status)
  const body: unknown = await response.json().catch(() => undefined)
  if (!v.is(jwks, body)) throw unusable('JWKS', undefined)
  return body
}
