import { KeyObject, constants, publicEncrypt, verify } from 'node:crypto'
import { types } from 'node:util'
import { generateKeyPair, type CryptoKey, type JSONWebKeySet, type JWK } from 'jose'
import { IDPartnerError, failureKind } from '../errors.js'
import { isTimeout, within } from '../net/deadline.js'
import { hashOf, type KeyEncryptionAlg, type SigningAlg } from './algorithms.js'

interface Named<Alg extends string> {
  /** Its name, in what is published too. */
  kid: string
  alg: Alg
  /** Where it is on its way through a rotation; `'current'` by default. */
  status?: 'current' | 'next' | 'retired' | undefined
  /** Its public half, which is published, and which each signature is verified with. */
  publicJwk: JWK
}

/** A private key that signs somewhere else, such as in an HSM or a key service. */
export interface OutsideSigner extends Named<SigningAlg> {
  /** Gives the signature of the bytes as JOSE has it: with ES256 and its like `r` and `s` one after the other, and not DER. */
  sign: (data: Uint8Array) => Uint8Array | Promise<Uint8Array>
}

/** A private key that decrypts somewhere else. */
export interface OutsideDecrypter extends Named<Extract<KeyEncryptionAlg, `RSA${string}`>> {
  /** Gives the content key that was encrypted, or nothing where it was not encrypted to this key. */
  decrypt: (encryptedKey: Uint8Array) => Uint8Array | undefined | Promise<Uint8Array | undefined>
}

/** A private key that Node holds, or WebCrypto if it is extractable; with the members of a JWK that say what it is for. */
export interface HeldKey extends Pick<JWK, 'kid' | 'alg' | 'use'> {
  key: KeyObject | CryptoKey
  status?: 'current' | 'next' | 'retired' | undefined
}

/** The application's keys: private JWKs, or what stands for one. */
export interface ClientJwks {
  keys: (JWK | HeldKey | OutsideSigner | OutsideDecrypter)[]
}

export type Outside = Pick<OutsideSigner, 'sign'> | Pick<OutsideDecrypter, 'decrypt'>

/** What is wrong with an entry, in our own words. */
export class BadEntry extends Error {}

/** Whether all keys are JWKs. */
export function areJwks(jwks: ClientJwks): jwks is JSONWebKeySet {
  return jwks.keys.every((one) => !('key' in one || 'sign' in one || 'decrypt' in one))
}

/**
 * An entry of the application's keys as a JWK; that of a key elsewhere is public only.
 *
 * @throws {BadEntry} whose message says what is wrong with it
 */
export function asJwk(entry: ClientJwks['keys'][number]): { jwk: JWK; outside?: Outside } {
  if (isHeld(entry)) return { jwk: heldJwk(entry) }
  if (!isOutside(entry)) return { jwk: entry }
  const { kid, alg, status, publicJwk } = entry as Named<string>
  const outside = outsideOf(entry)
  if (typeof kid !== 'string' || kid === '') throw new BadEntry('needs a "kid"')
  if (types.isKeyObject(publicJwk) || types.isCryptoKey(publicJwk)) {
    throw new BadEntry(
      'needs its "publicJwk" as a JWK: publicKey.export({ format: "jwk" }), or exportJWK of jose',
    )
  }
  if (typeof publicJwk !== 'object' || (publicJwk as JWK | null) === null || 'd' in publicJwk) {
    throw new BadEntry('needs a "publicJwk", which must hold no private key')
  }
  const use = 'sign' in outside ? 'sig' : 'enc'
  if (use === 'enc' && !/^RSA-/.test(alg)) {
    throw new BadEntry('may decrypt elsewhere with RSA-OAEP or RSA-OAEP-256 only')
  }
  return { jwk: { ...publicJwk, kid, alg, use, ...(status !== undefined && { status }) }, outside }
}

function isHeld(entry: object): entry is HeldKey {
  return 'key' in entry
}

function isOutside(entry: object): entry is OutsideSigner | OutsideDecrypter {
  return 'sign' in entry || 'decrypt' in entry || 'publicJwk' in entry
}

/** Bound to its object, which may be a client of a key service. */
function outsideOf(entry: OutsideSigner | OutsideDecrypter): Outside {
  if ('sign' in entry && typeof entry.sign === 'function' && !('decrypt' in entry)) {
    return { sign: (data) => entry.sign(data) }
  }
  if ('decrypt' in entry && typeof entry.decrypt === 'function' && !('sign' in entry)) {
    return { decrypt: (encryptedKey) => entry.decrypt(encryptedKey) }
  }
  throw new BadEntry('needs one function, "sign" or "decrypt"')
}

function heldJwk({ key, ...meta }: HeldKey): JWK {
  if (!types.isKeyObject(key) && !types.isCryptoKey(key))
    throw new BadEntry('needs a KeyObject or a CryptoKey as its "key"')
  if (!types.isKeyObject(key) && !key.extractable) {
    throw new BadEntry(
      'is a CryptoKey that is not extractable: give it as an object with "sign" or "decrypt"',
    )
  }
  const held = types.isKeyObject(key) ? key : KeyObject.from(key)
  if (held.type !== 'private') throw new BadEntry('is no private key')
  try {
    return { ...(held.export({ format: 'jwk' }) as JWK), ...meta }
  } catch {
    // The cause is left out: it may quote the key.
    throw new BadEntry(
      `is a key of the type "${String(held.asymmetricKeyType)}", for which there is no JWK: make an RSA key with the "alg" PS256, or one for ES256`,
    )
  }
}

/**
 * Has some bytes signed elsewhere, and verifies the signature: a wrong one would be noticed by a bank, which says nothing of it.
 *
 * @param milliseconds to wait for it
 * @throws {IDPartnerError} `config_invalid`
 */
export async function signOutside(
  { sign }: Pick<OutsideSigner, 'sign'>,
  data: Uint8Array,
  { kid, alg, key, milliseconds }: { kid: string; alg: SigningAlg; key: KeyObject; milliseconds: number },
): Promise<Uint8Array> {
  const who = `the signer "${kid}" of the option "jwks"`
  const signature = await answered(who, milliseconds, async () => sign(Uint8Array.from(data)))
  if (!types.isUint8Array(signature)) throw misbehaves(who, 'must give its signature as a Uint8Array')
  const hash = alg === 'EdDSA' ? null : hashOf(alg)
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  const isGood = (how: object): boolean => verify(hash, data, { key, ...how }, signature)
  if (isGood(alg === 'PS256' ? pss : { dsaEncoding: 'ieee-p1363' })) return signature
  if (alg.startsWith('ES') && isGood({ dsaEncoding: 'der' })) {
    throw misbehaves(
      who,
      'gives its signature in DER: JOSE has r and s, each as long as the curve, one after the other',
    )
  }
  if (alg === 'PS256' && isGood({ padding: constants.RSA_PKCS1_PADDING })) {
    throw misbehaves(who, 'signs with PKCS #1 v1.5 (RS256): PS256 is PSS, with SHA-256 and 32 bytes of salt')
  }
  throw misbehaves(
    who,
    `gave a signature that its publicJwk does not verify: it may sign with another key, or not with ${alg}`,
  )
}

/** Key pairs of this process, to which the content keys of answers are encrypted again. */
const local = new Map<string, Promise<{ publicKey: KeyObject; privateKey: CryptoKey }>>()

/**
 * Has the content key of a JWE decrypted elsewhere, and encrypts it to a key of this process, so that jose opens it as any other:
 * what authenticates its content, the header included, stays as it was.
 *
 * @returns nothing where the JWE is not for this key
 * @throws {IDPartnerError} `config_invalid`
 */
export async function readdressed(
  { decrypt }: Pick<OutsideDecrypter, 'decrypt'>,
  jwe: string,
  { kid, alg, milliseconds }: { kid: string; alg: KeyEncryptionAlg; milliseconds: number },
): Promise<{ jwe: string; key: CryptoKey } | undefined> {
  const who = `the decrypter "${kid}" of the option "jwks"`
  const [header, encryptedKey = '', ...rest] = jwe.split('.')
  const cek = await answered(who, milliseconds, async () =>
    decrypt(Uint8Array.from(Buffer.from(encryptedKey, 'base64url'))),
  )
  if (cek === undefined || cek === null) return undefined
  if (!types.isUint8Array(cek)) throw misbehaves(who, 'must give the content key as a Uint8Array')
  // Those of RFC 7518, section 5.1, have 64 bytes at most.
  if (cek.length > 64) return undefined
  const { publicKey, privateKey } = await localPair(alg)
  const oaepHash = alg === 'RSA-OAEP' ? 'sha1' : 'sha256'
  const again = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, cek)
  return { jwe: [header, again.toString('base64url'), ...rest].join('.'), key: privateKey }
}

function localPair(alg: string): Promise<{ publicKey: KeyObject; privateKey: CryptoKey }> {
  const known = local.get(alg)
  if (known) return known
  const made = generateKeyPair(alg, { modulusLength: 2048 }).then(({ publicKey, privateKey }) => ({
    publicKey: KeyObject.from(publicKey as never),
    privateKey,
  }))
  local.set(alg, made)
  return made
}

async function answered(who: string, milliseconds: number, work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await within(milliseconds, async () => copied(await work()))
  } catch (err) {
    // Its own words are left out, and it as the cause: they may quote what it was given, or its credentials.
    const why = isTimeout(err)
      ? 'gave nothing in time (see the option "timeout")'
      : `failed${failureKind(err)}`
    throw new IDPartnerError('config_invalid', `${who} ${why}`, { status: 503 })
  }
}

/** Before anybody else has a turn: a driver may wipe what it gave, or write its next answer over it. */
function copied(given: unknown): unknown {
  return types.isUint8Array(given) ? Uint8Array.from(given) : given
}

function misbehaves(who: string, how: string): IDPartnerError {
  return new IDPartnerError('config_invalid', `${who} ${how}`)
}
