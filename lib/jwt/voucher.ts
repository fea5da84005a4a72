import { createLocalJWKSet, jwtVerify } from 'jose'
import { SIGNING_ALGS } from './algorithms.js'
import { signingKey, type ClientKeys } from './keys.js'
import { signJwt } from './own-jwt.js'

/** No other JWT that the application signs has this type, nor itself for its audience (RFC 8725, sections 3.9 and 3.11). */
const TYPE = 'idpartner-voucher+jwt'

/**
 * The application's own word that a verified document of IDPartner named a bank, for its other processes.
 *
 * Only the application can sign it, so that nobody can name a bank of their own: an ID token would not do, since whoever
 * names the issuer names the keys that verify it as well. It does not expire, as a refresh token may not.
 */
export async function signVoucher(
  issuer: string,
  clientId: string,
  keys: Pick<ClientKeys, 'signing'>,
): Promise<string | undefined> {
  const signer = signingKey(keys)
  return signer && signJwt(signer, { typ: TYPE }, { iss: clientId, aud: clientId, sub: issuer })
}

/** Far more than IDPartner has banks; a bound all the same. */
const MAX_VOUCHERS = 1000

/** The vouchers of one application, each signed once: nothing in them is of a single login, and a signature is dear. */
export class Vouchers {
  readonly #clientId: string
  readonly #signed = new Map<string, Promise<string | undefined>>()

  constructor(clientId: string) {
    this.#clientId = clientId
  }

  of(issuer: string, keys: Pick<ClientKeys, 'signing'>): Promise<string | undefined> {
    const known = this.#signed.get(issuer)
    if (known) return known
    const [oldest] = this.#signed.keys()
    if (oldest !== undefined && this.#signed.size >= MAX_VOUCHERS) this.#signed.delete(oldest)
    const signing = signVoucher(issuer, this.#clientId, keys)
    this.#signed.set(issuer, signing)
    return signing
  }
}

/** The bank that a voucher is for; nothing where none of the application's present keys signed it. */
export async function readVoucher(
  voucher: string,
  clientId: string,
  keys: Pick<ClientKeys, 'public'>,
): Promise<string | undefined> {
  const expected = { algorithms: [...SIGNING_ALGS], typ: TYPE, issuer: clientId, audience: clientId }
  return jwtVerify(voucher, createLocalJWKSet(keys.public), expected).then(
    ({ payload }) => payload.sub,
    () => undefined,
  )
}
