import { createHmac, randomBytes } from 'node:crypto'
import { decodeJwt, type JWK } from 'jose'
import * as v from 'valibot'
import { IDPartnerError } from '../errors.js'
import { isTooDeep } from '../net/json.js'
import { signingAlgOf } from './algorithms.js'
import type { SigningKey } from './keys.js'
import { withLowS } from './low-s.js'
import { signJwt } from './own-jwt.js'

/** No other JWS that the application signs has this type (RFC 8725, section 3.11). */
export const RECEIPT_TYPE = 'idpartner-receipt+json'

/** In characters: room for all that a login may bring, a megabyte each of tokens and userinfo and what is around them. */
const MAX_LENGTH = 4 * 1024 * 1024

const text = v.string()
const seconds = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const base64url = v.pipe(text, v.regex(/^[\w-]{43}$/))

/** The members of a public key that make it, so that no private one can stand here. */
const publicKey = v.pipe(
  v.union([
    v.strictObject({ kty: v.literal('RSA'), n: text, e: text }),
    v.strictObject({ kty: v.literal('EC'), crv: text, x: text, y: text }),
    v.strictObject({ kty: v.literal('OKP'), crv: text, x: text }),
  ]),
  v.check((jwk) => signingAlgOf(jwk) !== undefined),
)
const key = v.strictObject({ url: text, fetched: seconds, jwk: publicKey })

/** What was signed, and the index of the key. */
const signed = v.strictObject({ jws: text, key: v.pipe(v.number(), v.integer(), v.minValue(0)) })

/** What a login asked for, and its ID token has to show. */
const asked = { max_age: v.exactOptional(v.number()), acr_values: v.exactOptional(text) }

/** What is said of the person, or belongs to this login alone. */
const parts = v.pipe(
  v.strictObject({
    /** What the application knew of the login when the bank answered. */
    login: v.strictObject({
      issuer: text,
      /** Who signed the document. */
      directory: v.exactOptional(text),
      state: text,
      nonce: text,
      interaction_id: text,
      clock_tolerance: v.pipe(v.number(), v.minValue(0), v.maxValue(300)),
      ...asked,
      floor: v.exactOptional(v.strictObject(asked)),
    }),
    keys: v.array(key),
    document: v.exactOptional(signed),
    /** Signed, or what there was of a plain one. */
    answer: v.union([signed, v.strictObject({ state: text, iss: v.exactOptional(text) })]),
    id_token: signed,
    userinfo: v.exactOptional(signed),
  }),
  v.check(({ login, document }) => (login.directory === undefined) === (document === undefined)),
)
export type ReceiptParts = v.InferOutput<typeof parts>
export type SignedPart = v.InferOutput<typeof signed>

const check = v.strictObject({ at: seconds, made: v.array(text) })

/** What the application signs: nothing of the person, and of what is only hashes. */
const statement = v.strictObject({
  version: v.literal(1),
  client_id: text,
  /** When the login began and when it ended, as all times in seconds since 1970. */
  begun: seconds,
  ended: seconds,
  /** Which checks were made of what, and when. */
  checks: v.strictObject({
    document: v.exactOptional(check),
    answer: check,
    id_token: check,
    userinfo: v.exactOptional(check),
  }),
  hashes: v.strictObject({
    login: base64url,
    keys: base64url,
    document: v.exactOptional(base64url),
    answer: base64url,
    id_token: base64url,
    userinfo: v.exactOptional(base64url),
  }),
})
export type ReceiptStatement = v.InferOutput<typeof statement>

/** A JWS without its payload, which is the statement (RFC 7515, appendix F). */
const seal = v.pipe(text, v.regex(/^[\w-]+\.\.[\w-]+$/))

const full = v.strictObject({ statement, seal, salt: base64url, parts })
const redacted = v.strictObject({ statement, seal })
export type FullReceipt = v.InferOutput<typeof full>
export type RedactedReceipt = v.InferOutput<typeof redacted>

/** Makes the receipt of a login that has ended well, and seals it with a key of the application's. */
export async function sealReceipt(
  times: Pick<ReceiptStatement, 'begun' | 'ended'> & { at: ChecksAt },
  clientId: string,
  said: ReceiptParts,
  signer: SigningKey,
): Promise<string> {
  const salt = randomBytes(32).toString('base64url')
  const { at, begun, ended } = times
  // Parsed, so that the members have the order in which they are read again.
  const ordered = v.parse(parts, said)
  const made = checksOf(ordered)
  const checks = Object.fromEntries(
    Object.entries(made).map(([name, list]) => [
      name,
      { at: at[name as keyof ChecksAt] ?? ended, made: list },
    ]),
  )
  const hashes = hashesOf(ordered, salt)
  const sealed = v.parse(statement, { version: 1, client_id: clientId, begun, ended, checks, hashes })
  const [header = '', , signed = ''] = (await signJwt(signer, { typ: RECEIPT_TYPE }, sealed)).split('.')
  const signature = signer.alg.startsWith('ES') ? withLowS(signed) : signed
  return JSON.stringify({ statement: sealed, seal: `${header}..${signature}`, salt, parts: ordered })
}

/** When each thing was verified. */
export type ChecksAt = Partial<Record<keyof ReceiptStatement['checks'], number>>

/**
 * Reads a full receipt, and compares all of it with the hashes of its statement.
 *
 * Does not say who sealed it.
 *
 * @param receipt the text as it was made, or what that was parsed to
 * @throws {IDPartnerError} `token_invalid`, with `status` 400
 */
export function readReceipt(receipt: unknown): FullReceipt {
  const read = parsed(full, receipt, 'the receipt')
  const { hashes, checks } = read.statement
  if (JSON.stringify(hashesOf(read.parts, read.salt)) !== JSON.stringify(hashes)) {
    throw invalidReceipt('is not what was sealed: a part of it was changed, or is of another receipt')
  }
  const made = Object.fromEntries(Object.entries(checks).map(([name, one]) => [name, one.made]))
  if (JSON.stringify(made) !== JSON.stringify(checksOf(read.parts))) {
    throw invalidReceipt('does not say that all checks were made')
  }
  return read
}

/** The same for a redacted one, of which there is nothing to compare. */
export function readRedacted(receipt: unknown): RedactedReceipt {
  return parsed(redacted, receipt, 'the redacted receipt')
}

/** What is signed of a receipt, as it was signed. */
export function sealedJws({ statement: sealed, seal: detached }: RedactedReceipt): string {
  return detached.replace('..', `.${Buffer.from(JSON.stringify(sealed)).toString('base64url')}.`)
}

export function invalidReceipt(why: string, cause?: unknown, what = 'the receipt'): IDPartnerError {
  // It is what somebody brought, and no bank is broken.
  return new IDPartnerError('token_invalid', `${what} ${why}`, { cause, status: 400 })
}

function parsed<T extends v.GenericSchema>(schema: T, receipt: unknown, what: string): v.InferOutput<T> {
  const wrong = (why: string): IDPartnerError => invalidReceipt(why, undefined, what)
  let json: unknown
  let written: string
  try {
    // A column of a database may have parsed it; what is written then is what it said.
    written = typeof receipt === 'string' ? receipt : JSON.stringify(receipt)
    if (written.length > MAX_LENGTH) throw new Error('too long')
    json = JSON.parse(written)
  } catch {
    throw wrong('is no JSON, or is too long')
  }
  if (isTooDeep(json)) throw wrong('is nested too deeply')
  const { success, output } = v.safeParse(schema, json)
  if (!success) throw wrong('has a member that is missing, wrong or not known: it may be of a later version')
  // Spaces, another order, or a name that stands there twice: another text of the same meaning is another text.
  if (typeof receipt === 'string' && JSON.stringify(output) !== written) {
    throw wrong('is not written as it was made: keep its text as it is')
  }
  return output
}

/**
 * One hash for each part, with a salt that only the full receipt has: whoever erases that erases the way back from a hash
 * to a person, also for the bank, which knows all that it signed.
 */
function hashesOf(said: ReceiptParts, salt: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(said).map(([name, part]) => {
      const written = JSON.stringify([name, part])
      return [name, createHmac('sha256', salt).update(written).digest('base64url')]
    }),
  )
}

/** The checks that a login makes of all this; each can be made again, but for `at_hash`, whose token is not kept. */
function checksOf({ login, document, answer, id_token, userinfo }: ReceiptParts): Record<string, string[]> {
  const isAsked = (name: 'max_age' | 'acr_values'): string[] =>
    (login[name] ?? login.floor?.[name]) === undefined ? [] : [name]
  return {
    ...(document && { document: ['signature', 'iss', 'aud', 'exp', 'iat', 'identity_provider'] }),
    answer:
      'jws' in answer
        ? ['signature', 'iss', 'aud', 'exp', 'state']
        : [...(answer.iss === undefined ? [] : ['iss']), 'state'],
    id_token: [
      'signature',
      ...['iss', 'sub', 'aud', 'exp', 'iat', 'nonce'],
      ...(typeof claimsIn(id_token.jws)['at_hash'] === 'string' ? ['at_hash'] : []),
      ...isAsked('max_age'),
      ...isAsked('acr_values'),
    ],
    ...(userinfo && { userinfo: ['signature', 'iss', 'aud', 'sub'] }),
  }
}

/** Not verified: what a verified one says is looked up here. */
function claimsIn(jws: string): Record<string, unknown> {
  try {
    return decodeJwt(jws)
  } catch {
    return {}
  }
}

/** The members of a public key that make it. */
export function publicMembers(jwk: JWK): ReceiptParts['keys'][number]['jwk'] | undefined {
  const { kty, crv, x, y, n, e } = jwk
  const members = kty === 'RSA' ? { kty, n, e } : kty === 'EC' ? { kty, crv, x, y } : { kty, crv, x }
  const { success, output } = v.safeParse(publicKey, members)
  return success ? output : undefined
}
