import { createSecretKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import type { JSONWebKeySet, JWK } from 'jose'
import { generateJwks } from 'passport-idpartner'
import type { Decryption } from '../../lib/jwt/encrypted-jwt.js'

export interface KeyPair {
  kid: string
  privateKey: KeyObject
  publicKey: KeyObject
}

const generate = promisify(generateKeyPair)
const pairs = new Map<string, Promise<KeyPair>>()
const clients = new Map<string, Promise<JSONWebKeySet>>()

/** The RSA key of that name: made when first asked for and then kept, since making one is slow. */
export function rsaKey(name: string): Promise<KeyPair> {
  return kept(name, () => generate('rsa', { modulusLength: 2048 }))
}

export function ecKey(name: string, namedCurve = 'P-256'): Promise<KeyPair> {
  return kept(`${name}-${namedCurve}`, () => generate('ec', { namedCurve }))
}

export function ed25519Key(name: string): Promise<KeyPair> {
  return kept(`${name}-ed25519`, () => generate('ed25519', {}))
}

/** The same key under the name of another. */
export async function renamed(key: Promise<KeyPair>, kid: string): Promise<KeyPair> {
  return { ...(await key), kid }
}

/** A second key that a party publishes beside its signing key, without saying for which algorithm. */
export function extraKey(party: string): Promise<KeyPair> {
  return renamed(rsaKey('extra'), `${party}-extra`)
}

/** A public key taken for a shared secret, as in the attack on libraries that let the token choose HS256. */
export async function publicKeyAsSecret(key: Promise<KeyPair>): Promise<KeyPair> {
  const pair = await key
  const secret = createSecretKey(Buffer.from(pair.publicKey.export({ format: 'pem', type: 'spki' })))
  return { ...pair, privateKey: secret }
}

export function publicJwk({ kid, publicKey }: KeyPair, members: Partial<JWK> = {}): JWK {
  return { ...(publicKey.export({ format: 'jwk' }) as JWK), kid, ...members }
}

/** The private JWKS of the application under attack, or of another one. */
export function clientJwks(name = 'client'): Promise<JSONWebKeySet> {
  const jwks = clients.get(name) ?? generateJwks()
  clients.set(name, jwks)
  return jwks
}

/** The same with another signing key. */
export async function clientJwksFor(alg: 'PS256' | 'ES256'): Promise<JSONWebKeySet> {
  if (alg === 'PS256') return clientJwks()
  const other = clients.get(alg) ?? generateJwks({ alg })
  clients.set(alg, other)
  const [usual, { keys }] = await Promise.all([clientJwks(), other])
  return {
    keys: [...keys.filter(({ use }) => use === 'sig'), ...usual.keys.filter(({ use }) => use === 'enc')],
  }
}

function kept(
  name: string,
  make: () => Promise<{ privateKey: KeyObject; publicKey: KeyObject }>,
): Promise<KeyPair> {
  const pair = pairs.get(name) ?? make().then((made) => ({ ...made, kid: name }))
  pairs.set(name, pair)
  return pair
}

/** How answers are encrypted to an application that says nothing about it. */
export function usual(keys: Decryption['keys']): Decryption {
  return { alg: ['RSA-OAEP'], enc: ['A256CBC-HS512'], keys }
}
