import { SignJWT, createLocalJWKSet, jwtVerify } from 'jose'
import { SIGNING_ALGS, type ClientKeys, type SigningAlg } from './keys.js'

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
  { signing }: Pick<ClientKeys, 'signing'>,
): Promise<string | undefined> {
  if (!signing) return undefined
  const alg: SigningAlg = signing.key.algorithm.name === 'ECDSA' ? 'ES256' : 'PS256'
  return new SignJWT({ iss: clientId, aud: clientId, sub: issuer })
    .setProtectedHeader({ alg, typ: TYPE, kid: signing.kid })
    .sign(signing.key)
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
