import type { CryptoKey } from 'jose'
import * as v from 'valibot'
import { Cached, type About } from '../net/cached.js'
import { IDPartnerError } from '../errors.js'
import type { Http } from '../net/http.js'
import { deepJsonOf, unusableAnswer } from '../net/json.js'
import { KeySet } from './key-set.js'
import type { SigningAlg } from './algorithms.js'

const TTL = 5 * 60_000

/** A key may have been withdrawn because somebody stole it, so after a silence a login waits a little to hear of it. */
const PATIENCE = 250

const jwks = v.object({ keys: v.array(v.unknown()) })

/** The keys that a signature with this algorithm and `kid` may be of, one after the other for as long as none verifies. */
export type FindKeys = (alg: SigningAlg, kid: string | undefined) => AsyncIterable<CryptoKey>

/**
 * The public keys that a party publishes, kept and renewed.
 *
 * Where none of the known ones verifies, they may have been rotated a moment ago, so they are fetched again, once.
 *
 * @param what whose keys these are, for messages: `the keys of the bank login.bank.example`
 * @param about whose keys they are, for events, and whom to tell of a renewal that fails
 * @param namedBy whose document named the URL, if it is not configured
 * @throws {IDPartnerError} `provider_unavailable` when there are none, or none that can be used
 */
export function remoteKeys(
  http: Http,
  what: string,
  url: string | (() => Promise<string>),
  about: Omit<About, 'document'>,
  namedBy?: string,
): FindKeys {
  const load = async (slot: () => Promise<void>): Promise<KeySet> => {
    const from = typeof url === 'string' ? url : await url()
    const response = await http.get(from, {
      what,
      headers: { accept: 'application/json' },
      namedBy,
      slot,
    })
    return readKeySet(response, what, from)
  }
  const cached = new Cached(load, {
    ttl: TTL,
    patience: Math.min(PATIENCE, http.timeout / 4),
    about: { ...about, document: 'keys' },
  })

  return async function* (alg, kid) {
    const { loads } = cached
    const known = await cached.get()
    const { keys } = await known.candidates(alg, kid)
    yield* keys
    const newest = await cached.refresh(loads).catch((err: unknown) => {
      // A signature that a known key should have made is wrong, whether or not there are newer keys.
      if (keys.length === 0) throw err
    })
    const renewed = newest === known ? undefined : newest
    const { keys: newer, unusable } = await (renewed ?? known).candidates(alg, kid)
    if (renewed) yield* newer
    if (keys.length + newer.length > 0) return
    if (unusable !== undefined) {
      throw new IDPartnerError('provider_unavailable', `one of ${what} fits, but cannot be used`, {
        cause: unusable,
      })
    }
    if (!(renewed ?? known).serves(alg)) {
      throw new IDPartnerError('provider_unavailable', `among ${what} is none for ${alg}`)
    }
  }
}

async function readKeySet(response: Response, what: string, url: string): Promise<KeySet> {
  const body = await deepJsonOf(response, what)
  if (!v.is(jwks, body)) throw unusableAnswer(what, undefined)
  return new KeySet(body.keys, { url, fetched: Math.floor(Date.now() / 1000) })
}
