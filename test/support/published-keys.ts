import type { JWK } from 'jose'
import { KeySet } from '../../lib/jwt/key-set.js'
import type { FindKeys } from '../../lib/jwt/remote-keys.js'

/** The keys of a party that publishes these, without a network between. */
export function publishedKeys(...keys: JWK[]): FindKeys {
  const set = new KeySet(keys)
  return async function* (alg, kid) {
    yield* (await set.candidates(alg, kid)).keys
  }
}

/** Those of a party whose keys cannot be had. */
export function noKeys(reason: Error): FindKeys {
  // eslint-disable-next-line require-yield, @typescript-eslint/require-await -- fails before there is one
  return async function* () {
    throw reason
  }
}

export async function firstOf<T>(found: AsyncIterable<T>): Promise<T | undefined> {
  for await (const one of found) return one
  return undefined
}
