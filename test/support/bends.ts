import { createPublicKey, type KeyObject } from 'node:crypto'
import { encryptJwe } from './jwe.js'
import { signJws, type Members } from './jws.js'
import { clientJwks, type KeyPair } from './key-pairs.js'

/** What to change in one object. */
export type Change = (members: Members) => Members

/** How one JWT of the platform differs from a genuine one; a test bends one thing at a time. */
export interface JwtBend {
  header?: Change
  /** A string takes the payload's place as it is. */
  claims?: (claims: Members) => Members | string
  /** Who signs it; the header's `kid` goes along. */
  key?: () => Promise<KeyPair>
  /** Changes the finished JWS, before it is encrypted. */
  signed?: (jws: string) => string
  /** Changes the header of the JWE. */
  seal?: Change
  /** To whom it is encrypted. */
  recipient?: () => Promise<KeyObject>
  /** Left signed only, although the application has an encryption key. */
  unsealed?: boolean
  /** Changes what is sent in the end. */
  raw?: (jwt: string) => string
}

/** A genuine JWT, before it is signed. */
export interface JwtRecipe {
  claims: Members
  key: KeyPair
  /** With it the JWT is encrypted to the application, unless that has no encryption key. */
  seal?: Members
}

export async function mint({ claims, key, seal }: JwtRecipe, bend: JwtBend = {}): Promise<string> {
  const signer = (await bend.key?.()) ?? key
  const header = (bend.header ?? same)({ alg: 'PS256', kid: signer.kid })
  const payload = (bend.claims ?? same)(claims)
  const jws = (bend.signed ?? same)(signJws(header, payload, signer))
  if (!seal || bend.unsealed) return (bend.raw ?? same)(jws)
  const recipient = (await bend.recipient?.()) ?? (await encryptionKey())
  return (bend.raw ?? same)(encryptJwe((bend.seal ?? same)(seal), jws, recipient))
}

export async function encryptionKid(): Promise<string> {
  return String((await encryptionJwk())['kid'])
}

export async function encryptionKey(client?: string): Promise<KeyObject> {
  return createPublicKey({ key: await encryptionJwk(client), format: 'jwk' })
}

async function encryptionJwk(client?: string): Promise<Members> {
  const { keys } = await clientJwks(client)
  const key = keys.find(({ use }) => use === 'enc')
  return { ...key }
}

export function set(members: Members): Change {
  return (before) => ({ ...before, ...members })
}

export function without(...names: string[]): Change {
  return (before) => Object.fromEntries(Object.entries(before).filter(([name]) => !names.includes(name)))
}

/** The right value with `1` behind it, which comparing by prefix would not notice. */
export function appended(name: string): Change {
  return (before) => ({ ...before, [name]: `${String(before[name])}1` })
}

/** The right value, but in a list. */
export function listed(name: string): Change {
  return (before) => ({ ...before, [name]: [before[name]] })
}

/** The right number, but as a text. */
export function asText(name: string): Change {
  return (before) => ({ ...before, [name]: String(before[name]) })
}

/** Sets points in time to so many seconds from the moment of bending. */
export function fromNow(seconds: Record<string, number>): Change {
  return (before) => {
    const now = Math.floor(Date.now() / 1000)
    return {
      ...before,
      ...Object.fromEntries(Object.entries(seconds).map(([name, offset]) => [name, now + offset])),
    }
  }
}

function same<T>(value: T): T {
  return value
}
