import { importJWK, type CryptoKey, type JWK } from 'jose'
import * as v from 'valibot'
import { canSign, knownName, type SigningAlg } from './algorithms.js'
import { MAX_RSA_BITS, MIN_RSA_BITS } from './keys.js'

/** How many keys are tried on one signature: a rollover has two, and a hostile set could have thousands. */
const MAX_CANDIDATES = 5
/** How many are looked at for them. */
const MAX_IMPORTS = 20

const text = v.nullish(v.string())

/** What is read of an entry; `null` means absent, as many serializers write it. */
const entry = v.object({
  kty: v.string(),
  kid: text,
  use: text,
  alg: text,
  key_ops: v.nullish(v.array(v.string())),
  crv: text,
  n: text,
  e: text,
  x: text,
  y: text,
  d: v.optional(v.unknown()),
})
type Entry = v.InferOutput<typeof entry> & {
  /** What it has in common with entries of the same key: see {@link material}. */
  key: string
}

/** Where keys were published, and when they were read there, in seconds since 1970. */
export interface KeySource {
  url: string
  fetched: number
}

const sources = new WeakMap<CryptoKey, KeySource>()

/** Where a key of a {@link KeySet} is from, if that was said. */
export function sourceOf(key: CryptoKey): KeySource | undefined {
  return sources.get(key)
}

/** The keys of a set that may have made a signature. */
interface Candidates {
  keys: CryptoKey[]
  /** Why one that fits cannot be used, where there is one: its publisher's fault, whoever sent the signature. */
  unusable: unknown
}

/**
 * The public keys that a party publishes, as far as they verify what is accepted here.
 *
 * Ignores what is not understood, entries and members alike. Lets no key choose an algorithm: that is the caller's, and
 * a key has to fit it.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7517#section-5
 */
export class KeySet {
  readonly #entries: Entry[]
  /** Keys whose private half stands in the set: everyone who read it can sign with them. */
  readonly #leaked: Set<string>
  readonly #imported = new Map<string, Promise<CryptoKey>>()
  readonly #source: KeySource | undefined

  /** @param source see {@link sourceOf} */
  constructor(keys: readonly unknown[], source?: KeySource) {
    this.#source = source
    this.#entries = keys.flatMap((one) => {
      const parsed = v.safeParse(entry, one)
      return parsed.success ? [{ ...parsed.output, key: material(parsed.output) }] : []
    })
    const leaked = this.#entries.filter(({ d }) => (d ?? undefined) !== undefined)
    this.#leaked = new Set(leaked.map(({ key }) => key))
  }

  /** Whether it holds anything for signatures of this algorithm. */
  serves(alg: SigningAlg): boolean {
    return this.#entries.some((one) => fits(one, alg))
  }

  /**
   * The keys that fit a signature, a handful at most: those of the name it gives, then those that have none; all where
   * it gives none.
   */
  async candidates(alg: SigningAlg, kid: string | undefined): Promise<Candidates> {
    const fitting = this.#entries.filter((one) => fits(one, alg))
    const named = fitting.filter((one) => kid === undefined || one.kid === kid)
    const nameless = fitting.filter((one) => (one.kid ?? undefined) === undefined)
    const found: Candidates = { keys: [], unusable: undefined }
    // The same key may be listed again, once with its algorithm and once without.
    for (const one of [...new Set([...named, ...nameless].map(({ key }) => key))].slice(0, MAX_IMPORTS)) {
      try {
        found.keys.push(await this.#import(one, alg))
      } catch (err) {
        found.unusable = err
      }
      if (found.keys.length === MAX_CANDIDATES) break
    }
    return found
  }

  /** Once for each key, since an import costs more than a signature. */
  #import(key: string, alg: SigningAlg): Promise<CryptoKey> {
    const known = this.#imported.get(key)
    if (known) return known
    const imported = this.#leaked.has(key)
      ? Promise.reject(new Error('its private half is published as well'))
      : this.#importPublic(JSON.parse(key) as JWK, alg)
    this.#imported.set(key, imported)
    return imported
  }

  async #importPublic(jwk: JWK, alg: SigningAlg): Promise<CryptoKey> {
    const key = await importPublicKey(jwk, alg)
    if (this.#source) sources.set(key, this.#source)
    return key
  }
}

async function importPublicKey(jwk: JWK, alg: SigningAlg): Promise<CryptoKey> {
  const key = (await importJWK(jwk, alg)) as CryptoKey
  const { modulusLength = MIN_RSA_BITS } = key.algorithm as { modulusLength?: number }
  // RFC 7518, section 3.5.
  if (modulusLength < MIN_RSA_BITS || modulusLength > MAX_RSA_BITS) {
    throw new Error(`it has ${String(modulusLength)} bits`)
  }
  return key
}

/** The members that make the key, and tell it from others. */
function material({ kty, crv, x, y, n, e }: Omit<Entry, 'key'>): string {
  if (kty === 'RSA') return JSON.stringify({ kty, n, e })
  return JSON.stringify(kty === 'EC' ? { kty, crv, x, y } : { kty, crv, x })
}

function fits({ kty, crv, use, alg, key_ops }: Entry, wanted: SigningAlg): boolean {
  return (
    canSign({ kty, crv }, wanted) &&
    (use ?? 'sig') === 'sig' &&
    knownName(alg ?? wanted) === wanted &&
    (key_ops?.includes('verify') ?? true)
  )
}
