import type { JWK } from 'jose'
import { IDPartnerError } from '../errors.js'
import type { SigningAlg } from '../jwt/algorithms.js'
import { signingAlgOf } from '../jwt/algorithms.js'
import type { IDPartnerClaims, UserInfo } from '../jwt/claims.js'
import { verifyIdToken } from '../jwt/id-token.js'
import { verifyJarm } from '../jwt/jarm.js'
import { KeySet } from '../jwt/key-set.js'
import { verifyProxyDocument, type IdentityProvider } from '../jwt/proxy-document.js'
import {
  invalidReceipt,
  readReceipt,
  readRedacted,
  type FullReceipt,
  type ReceiptStatement,
  type SignedPart,
} from '../jwt/receipt.js'
import type { FindKeys } from '../jwt/remote-keys.js'
import type { Decryption } from '../jwt/encrypted-jwt.js'
import { readUserInfo } from '../jwt/userinfo.js'
import { verifySeal } from './seal.js'
import { checkAnchors, goodKeys, isAmong, type CheckedAnchors, type TrustAnchors } from './trust-anchors.js'

/** Options of {@link verifyReceipt}. */
export interface VerifyReceiptOptions {
  /** Keys that are known otherwise than through the receipt. */
  trustAnchors: TrustAnchors
  /**
   * The moment as of which is judged; the present by default. An earlier one is for whoever can show otherwise that the
   * receipt was there then: keys that were revoked after it count.
   */
  at?: Date | undefined
  /** Whose receipt it has to be, where several clients seal with one key. */
  client_id?: string | undefined
}

/** What a receipt proves. Times are in seconds since 1970. */
export interface VerifiedReceipt extends VerifiedStatement {
  /** Who said it. */
  issuer: string
  /** What, and about whom: `sub`, at this issuer. */
  claims: IDPartnerClaims
  /** Only where the bank signed it. */
  userInfo?: UserInfo
  /** As IDPartner described the bank. Proxy flow only. */
  identityProvider?: IdentityProvider
  interactionId: string
  /** The public keys that signed, and where and when the application fetched them. */
  keys: { url: string; fetched: number; jwk: JWK }[]
  /** Who says that these keys are IDPartner's and the bank's: the verifier's own archive, or else the application. */
  keysKnownBy: 'issuers' | 'application'
}

/** What the application stated of a login, and still does when the receipt itself is erased. */
export interface VerifiedStatement {
  client_id: string
  begun: number
  ended: number
  checks: ReceiptStatement['checks']
}

const OPTIONS = ['trustAnchors', 'at', 'client_id']

/** How much later than by the verifier's clock a login may have been, in seconds: clocks differ. */
const TOLERANCE = 300

/** Nothing in a receipt is encrypted. */
const NOTHING: Decryption = { alg: [], enc: [], keys: [] }

/**
 * Proves who said what about whom, and when: verifies the application's seal, every hash, and again every signature of
 * IDPartner and the bank, by the clock of the login. Asks nobody.
 *
 * Does not prove that it is true what the bank said, nor who brought the receipt. The access token is not in it, so that
 * `at_hash` is the one check that is not made again.
 *
 * @param receipt `login.receipt` as it was made, or what that was parsed to
 * @throws {IDPartnerError} `token_invalid` with `status` 400; `config_invalid` where the options are wrong
 */
export async function verifyReceipt(
  receipt: unknown,
  options: VerifyReceiptOptions,
): Promise<VerifiedReceipt> {
  const { anchors, known } = checkOptions(options)
  const read = readReceipt(receipt)
  await verifySeal(read, anchors, known)
  checkStatement(read.statement, options, known)
  const keysKnownBy = await checkKeys(read, anchors, known)
  const { login, keys } = read.parts
  return {
    ...statementOf(read.statement),
    ...(await again(read).catch((err: unknown) => {
      throw err instanceof IDPartnerError ? invalidReceipt(`does not hold: ${err.message}`, err) : err
    })),
    issuer: login.issuer,
    interactionId: login.interaction_id,
    keys,
    keysKnownBy,
  }
}

/**
 * Verifies the application's seal of a redacted receipt: that it stated then that these checks were made.
 *
 * It says nothing of a person, and proves nothing of one: see {@link matchReceipt}.
 *
 * @throws {IDPartnerError} as {@link verifyReceipt}
 */
export async function verifyRedactedReceipt(
  receipt: unknown,
  options: VerifyReceiptOptions,
): Promise<VerifiedStatement> {
  const { anchors, known } = checkOptions(options)
  const read = readRedacted(receipt)
  await verifySeal(read, anchors, known)
  checkStatement(read.statement, options, known)
  return statementOf(read.statement)
}

function checkOptions(options: VerifyReceiptOptions): { anchors: CheckedAnchors; known: number } {
  // Whoever has no types may give none.
  const given = { ...options }
  const { trustAnchors, at = new Date() } = given
  // A misspelt one would be a check that is not made.
  const isOther = Object.keys(given).some((name) => !OPTIONS.includes(name))
  if (isOther) throw new IDPartnerError('config_invalid', `the options can only be ${OPTIONS.join(', ')}`)
  const anchors = checkAnchors(trustAnchors)
  const known = at instanceof Date ? at.getTime() / 1000 : NaN
  if (Number.isNaN(known)) throw new IDPartnerError('config_invalid', '"at" must be a Date')
  return { anchors, known }
}

function checkStatement(
  { client_id, begun, ended }: ReceiptStatement,
  options: VerifyReceiptOptions,
  known: number,
): void {
  if (options.client_id !== undefined && options.client_id !== client_id) {
    throw invalidReceipt('is of another client')
  }
  if (Math.max(begun, ended) > known + TOLERANCE) {
    throw invalidReceipt('is of a login after "at", or of one that is still to come')
  }
}

/** With an archive, every key has to be in it, under its issuer's name. */
async function checkKeys(
  { parts, statement }: FullReceipt,
  { issuers }: CheckedAnchors,
  known: number,
): Promise<VerifiedReceipt['keysKnownBy']> {
  if (!issuers) return 'application'
  const { login, document, ...others } = parts
  const signedBy: [string, SignedPart | object | undefined][] = [
    [login.directory ?? '', document],
    ...[others.answer, others.id_token, others.userinfo].map((one): [string, typeof one] => [
      login.issuer,
      one,
    ]),
  ]
  for (const [issuer, part] of signedBy) {
    if (!part || !('key' in part)) continue
    const archived = Object.hasOwn(issuers, issuer) ? issuers[issuer] : undefined
    const good = archived ? goodKeys(archived, statement.ended, known) : []
    if (!(await isAmong(good, keyOf(parts, part)))) {
      throw invalidReceipt('was signed with a key that "trustAnchors.issuers" does not have for its issuer')
    }
  }
  return 'issuers'
}

/** Every check of the login once more, by its clock, and with the keys that stand in the receipt. */
async function again({
  statement: { client_id, begun, checks },
  parts,
}: FullReceipt): Promise<Pick<VerifiedReceipt, 'claims' | 'userInfo' | 'identityProvider'>> {
  const { login, document, answer, id_token, userinfo } = parts
  const { issuer, clock_tolerance: clockTolerance } = login
  const common = { issuer, clientId: client_id, clockTolerance, decryption: NOTHING }
  const proxy =
    document &&
    (await verifyProxyDocument(document.jws, {
      ...signerOf(parts, document),
      issuer: login.directory ?? '',
      audience: client_id,
      clockTolerance,
      now: checks.document?.at,
    }))
  if (proxy && proxy.identity_provider.issuer_url !== issuer) {
    throw invalidReceipt('has a document of IDPartner that names another bank')
  }
  if ('jws' in answer) {
    const { keys, alg } = signerOf(parts, answer)
    const { state, outcome } = await verifyJarm(answer.jws, {
      ...common,
      alg,
      keysOf: () => Promise.resolve(keys),
      vouched: true,
      partyOf: () => 'the bank',
      now: checks.answer.at,
    })
    if (state !== login.state || !('code' in outcome)) throw invalidReceipt('has an answer to another login')
    // A sealed one cannot be compared, as the key that opened it is not here.
    if (proxy && isJws(proxy.idp_response_code) && proxy.idp_response_code !== answer.jws) {
      throw invalidReceipt('has another answer than the document of IDPartner')
    }
  } else if (proxy || answer.state !== login.state || (answer.iss ?? issuer) !== issuer) {
    throw invalidReceipt('has an answer to another login')
  }
  const { nonce, max_age, acr_values, floor } = login
  const { claims } = await verifyIdToken(id_token.jws, {
    ...common,
    ...signerOf(parts, id_token),
    what: 'the ID token',
    accessToken: undefined,
    login: { nonce, begun, max_age, acr_values, floor },
    now: checks.id_token.at,
  })
  return {
    claims,
    ...(proxy && { identityProvider: proxy.identity_provider }),
    ...(userinfo && { userInfo: await userInfoOf(userinfo) }),
  }

  async function userInfoOf(part: SignedPart): Promise<UserInfo> {
    const read = await readUserInfo(
      new Response(part.jws, { headers: { 'content-type': 'application/jwt' } }),
      {
        ...common,
        ...signerOf(parts, part),
        what: 'the userinfo',
        encrypted: false,
        signed: true,
        now: checks.userinfo?.at,
      },
    )
    if (read?.sub !== claims.sub) throw invalidReceipt('has the userinfo of another person')
    return read
  }
}

/** The one key that a part may be signed with, whose kind says the algorithm. */
function signerOf(parts: FullReceipt['parts'], part: SignedPart): { keys: FindKeys; alg: SigningAlg } {
  const jwk = keyOf(parts, part)
  const alg = signingAlgOf({ kty: String(jwk.kty), crv: jwk.crv })
  if (!alg) throw invalidReceipt('has a key of no known kind')
  const set = new KeySet([jwk])
  return {
    alg,
    keys: async function* () {
      yield* (await set.candidates(alg, undefined)).keys
    },
  }
}

function keyOf({ keys }: FullReceipt['parts'], { key }: SignedPart): JWK {
  const found = keys[key]
  if (!found) throw invalidReceipt('names a key that is not in it')
  return found.jwk
}

function isJws(jwt: string): boolean {
  return jwt.split('.').length === 3
}

function statementOf({ client_id, begun, ended, checks }: ReceiptStatement): VerifiedStatement {
  return { client_id, begun, ended, checks }
}
