import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type CryptoKey,
  type JSONWebKeySet,
  type JWK,
} from 'jose'
import { IDPartnerError } from '../errors.js'
import {
  KEY_ENCRYPTION_ALGS,
  SIGNING_ALGS,
  canDecrypt,
  canSign,
  isKeyEncryptionAlg,
  isSigningAlg,
  signingAlgOf,
  type KeyEncryptionAlg,
  type SigningAlg,
} from './algorithms.js'
import { BadEntry, asJwk, readdressed, signOutside, type ClientJwks, type Outside } from './outside-keys.js'

/** What RFC 7518, sections 3.5 and 4.3 ask for at least, of our keys and of others'. */
export const MIN_RSA_BITS = 2048
export const MAX_RSA_BITS = 16_384

/**
 * Where a key is on its way through a rotation: `next` is published and does not sign yet, `current` signs, `retired`
 * does not sign any more. All of them are published and decrypt; a key without a status counts as `current`.
 */
export const KEY_STATUSES = ['current', 'next', 'retired'] as const
export type KeyStatus = (typeof KEY_STATUSES)[number]

interface NamedKey<Alg extends string> {
  kid: string
  alg: Alg
}

/** A key that is in this process, or what a key outside it does. */
type Held<Use> = { key: CryptoKey } | ({ key?: undefined } & Use)

/** What signs: a key, or what makes the signature of some bytes elsewhere. */
export type SigningKey = NamedKey<SigningAlg> & Held<{ sign: (data: Uint8Array) => Promise<Uint8Array> }>

/** What decrypts: a key, or what has a JWE encrypted to another key that is here. */
export type DecryptionKey = NamedKey<KeyEncryptionAlg> &
  Held<{ readdress: (jwe: string) => Promise<{ jwe: string; key: CryptoKey } | undefined> }> & {
    /** When what is encrypted to a key that the application has no more stops being read; in milliseconds. */
    until?: number
  }

/** The application's own keys, ready for use and not exportable. */
export interface ClientKeys {
  /** All keys that sign now; see {@link signingKey}. */
  signing: SigningKey[]
  /** All encryption keys, so that answers to a key just retired, or just published, can be read. */
  decryption: DecryptionKey[]
  public: JSONWebKeySet
}

/** The key that signs with an algorithm, or with whichever it is for: the first such key of the JWKS. */
export function signingKey(
  { signing }: Pick<ClientKeys, 'signing'>,
  alg?: SigningAlg,
): SigningKey | undefined {
  return signing.find((one) => alg === undefined || one.alg === alg)
}

/**
 * Makes a new private JWKS: one signing key and one encryption key, each with `kid`, `alg`, `use`.
 *
 * Does not store it: keep it where only the application can read it, and never in the repository.
 *
 * @param options what to make
 * @param options.alg what the first signs with, `'PS256'` by default
 * @param options.enc how answers are encrypted to the second, `'RSA-OAEP'` by default; with `ECDH-ES` its curve is P-256
 * @param options.modulusLength size of RSA keys in bits, 2048 by default
 * @throws {IDPartnerError} `config_invalid`
 * @see https://www.rfc-editor.org/rfc/rfc7517#section-5
 */
export async function generateJwks(
  options: {
    alg?: SigningAlg | undefined
    enc?: KeyEncryptionAlg | undefined
    modulusLength?: number | undefined
  } = {},
): Promise<JSONWebKeySet> {
  checkOptions(options)
  const { alg = 'PS256', enc = 'RSA-OAEP', modulusLength = 2048 } = options
  if (!Number.isInteger(modulusLength) || modulusLength < MIN_RSA_BITS || modulusLength > MAX_RSA_BITS) {
    throw new IDPartnerError(
      'config_invalid',
      `option "modulusLength" must be a number of bits from ${String(MIN_RSA_BITS)} to ${String(MAX_RSA_BITS)}`,
    )
  }
  if (!isSigningAlg(alg)) throw badAlg('alg', SIGNING_ALGS)
  if (!isKeyEncryptionAlg(enc)) throw badAlg('enc', KEY_ENCRYPTION_ALGS)
  const make = async (alg: string, use: string): Promise<JWK> => {
    const { privateKey } = await generateKeyPair(alg, { modulusLength, extractable: true })
    const jwk = await exportJWK(privateKey)
    return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg, use }
  }
  return { keys: await Promise.all([make(alg, 'sig'), make(enc, 'enc')]) }
}

/** A misspelt one would make keys of another kind than was meant. */
function checkOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null) {
    throw new IDPartnerError(
      'config_invalid',
      "generateJwks takes an object, such as { alg: 'ES256', enc: 'ECDH-ES+A256KW' }",
    )
  }
  const unknown = Object.keys(options).find((name) => !['alg', 'enc', 'modulusLength'].includes(name))
  if (unknown === undefined) return
  throw new IDPartnerError(
    'config_invalid',
    `option "${unknown}" of generateJwks is not known: there are alg, enc and modulusLength`,
  )
}

/** What a JWK of the application is for; its `use` and `alg` decide, and must not contradict each other. */
export type CheckedKey = { jwk: JWK; status: KeyStatus; outside?: Outside } & Purpose
type Purpose = { use: 'sig'; alg: SigningAlg } | { use: 'enc'; alg: KeyEncryptionAlg }

/**
 * Checks a private JWKS without importing it, so that the constructor can refuse it at once.
 *
 * @throws {IDPartnerError} `config_invalid`
 */
export function checkJwks(jwks: ClientJwks): CheckedKey[] {
  if (jwks.keys.length === 0) throw badKeys('holds no key')
  const kids = new Set<string>()
  return jwks.keys.map((entry, index) => {
    const name = `key ${String(index + 1)}`
    const { jwk, outside } = readEntry(entry, name)
    const checked = { jwk, status: statusOf(jwk, name), ...(outside && { outside }), ...purpose(jwk, name) }
    if (outside) checkPublic(jwk, name)
    else checkPrivate(jwk, name)
    if (jwk.kid !== undefined) {
      if (typeof (jwk.kid as unknown) !== 'string') throw badKeys(`has a kid in ${name} that is no text`)
      if (kids.has(jwk.kid)) throw badKeys(`has the kid of ${name} twice`)
      kids.add(jwk.kid)
    }
    return checked
  })
}

function readEntry(entry: ClientJwks['keys'][number], name: string): { jwk: JWK; outside?: Outside } {
  try {
    return asJwk(entry)
  } catch (err) {
    throw badKeys(
      `has an entry that cannot be used: ${name} ${err instanceof BadEntry ? err.message : 'is none'}`,
    )
  }
}

/**
 * Imports what {@link checkJwks} found good; once, since an import costs more than a signature.
 *
 * @param milliseconds that keys elsewhere have for one use
 */
export async function importKeys(checked: CheckedKey[], milliseconds = 5000): Promise<ClientKeys> {
  // Who encrypts takes the first key that fits: not one that may be new to some of our processes, nor one that may be
  // gone when the answer comes.
  const ordered = KEY_STATUSES.flatMap((status) => checked.filter((one) => one.status === status))
  const signing: SigningKey[] = []
  const decryption: DecryptionKey[] = []
  const published = await Promise.all(
    ordered.map(async (one) => {
      const kid = one.jwk.kid ?? (await calculateJwkThumbprint(one.jwk))
      const key = one.outside ? undefined : await imported(one)
      return { one, kid, key, jwk: publicJwk(one.jwk, { kid, alg: one.alg, use: one.use }) }
    }),
  )
  for (const { one, kid, key, jwk } of published) {
    const { outside, status } = one
    if (one.use === 'enc') {
      const { alg } = one
      if (key) decryption.push({ kid, alg, key })
      else if (outside && 'decrypt' in outside) {
        decryption.push({
          kid,
          alg,
          readdress: (jwe) => readdressed(outside, jwe, { kid, alg, milliseconds }),
        })
      }
    } else if (status === 'current') {
      const { alg } = one
      if (key) signing.push({ kid, alg, key })
      else if (outside && 'sign' in outside) {
        // Read once as well, for all the signatures that are verified with it.
        const verifying = createPublicKey({ key: { ...jwk }, format: 'jwk' })
        signing.push({
          kid,
          alg,
          sign: (data) => signOutside(outside, data, { kid, alg, key: verifying, milliseconds }),
        })
      }
    }
  }
  return { signing, decryption, public: { keys: published.map(({ jwk }) => jwk) } }
}

async function imported({ jwk, alg }: CheckedKey): Promise<CryptoKey> {
  return (await importJWK(privateJwk(jwk), alg, { extractable: false })) as CryptoKey
}

function statusOf(jwk: JWK & { status?: unknown }, name: string): KeyStatus {
  const status = jwk.status ?? 'current'
  const known = KEY_STATUSES.find((one) => one === status)
  if (known === undefined)
    throw badKeys(`has a "status" in ${name} that is none of ${KEY_STATUSES.join(', ')}`)
  return known
}

function purpose(jwk: JWK, name: string): Purpose {
  const signs = jwk.use === 'sig' || (jwk.use === undefined && isSigningAlg(jwk.alg))
  const decrypts = jwk.use === 'enc' || (jwk.use === undefined && isKeyEncryptionAlg(jwk.alg))
  if (!signs && !decrypts) throw badKeys(`needs "use" ("sig" or "enc") in ${name}`)
  const kind = { kty: String(jwk.kty), crv: jwk.crv }
  if (decrypts) {
    // Which of the others an EC key is for does not follow from it, and the bank has to be told.
    const alg = jwk.alg ?? (kind.kty === 'RSA' ? 'RSA-OAEP' : undefined)
    if (!isKeyEncryptionAlg(alg) || !canDecrypt(kind, alg)) {
      throw badKeys(
        `may have encryption keys with an "alg" of ${KEY_ENCRYPTION_ALGS.join(', ')} that fits the key; ${name} is another`,
      )
    }
    return { use: 'enc', alg }
  }
  const alg = jwk.alg ?? signingAlgOf(kind)
  if (!isSigningAlg(alg) || !canSign(kind, alg)) {
    throw badKeys(`may sign with ${SIGNING_ALGS.join(', ')} only; ${name} is another`)
  }
  return { use: 'sig', alg }
}

function checkPrivate(jwk: JWK, name: string): void {
  if (jwk.d === undefined) throw badKeys(`must hold private keys; ${name} is public only`)
  let key: KeyObject
  try {
    key = createPrivateKey({ key: { ...jwk }, format: 'jwk' })
    // Parts of two keys make a key that signs what nobody can verify.
    const probe = Buffer.from(name)
    const hash = key.asymmetricKeyType === 'ed25519' ? null : 'sha256'
    if (!verify(hash, probe, createPublicKey(key), sign(hash, probe, key))) throw new Error()
  } catch {
    // The cause is left out: it may quote the key.
    throw badKeys(`holds a damaged key: ${name}`)
  }
  checkSize(key, name)
}

function checkPublic(jwk: JWK, name: string): void {
  let key: KeyObject
  try {
    key = createPublicKey({ key: { ...jwk }, format: 'jwk' })
  } catch {
    throw badKeys(`needs a whole publicJwk in ${name}`)
  }
  checkSize(key, name)
}

function checkSize(key: KeyObject, name: string): void {
  const bits = key.asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && bits < MIN_RSA_BITS) {
    throw badKeys(`needs RSA keys of at least ${String(MIN_RSA_BITS)} bits; ${name} has ${String(bits)}`)
  }
}

/** The members that make the key. What else a JWK says of its use is ours to decide. */
function privateJwk({ kty, crv, x, y, n, e, d, p, q, dp, dq, qi }: JWK): JWK {
  if (kty === 'RSA') return { kty, n, e, d, p, q, dp, dq, qi } as JWK
  return (kty === 'EC' ? { kty, crv, x, y, d } : { kty, crv, x, d }) as JWK
}

/** Picks the public members by name: whatever else a JWK holds stays here. */
function publicJwk(jwk: JWK, meta: { kid: string; alg: string; use: string }): JWK {
  const { kty, n, e, crv, x, y } = jwk
  const members = kty === 'RSA' ? { kty, n, e } : kty === 'EC' ? { kty, crv, x, y } : { kty, crv, x }
  return { ...members, ...meta } as JWK
}

function badAlg(name: string, algs: readonly string[]): IDPartnerError {
  return new IDPartnerError('config_invalid', `option "${name}" must be one of ${algs.join(', ')}`)
}

function badKeys(what: string): IDPartnerError {
  return new IDPartnerError('config_invalid', `option "jwks" ${what}`)
}
