import { CompactEncrypt, SignJWT, generateKeyPair, importJWK, type JWTPayload } from 'jose'
import type { Recipient } from './algorithms.js'
import type { SigningKey } from './keys.js'
import type { Fault } from './faults.js'

const TEN_MINUTES = 10 * 60

/** A bank that the app has never heard of. */
export const OTHER_ISSUER = 'https://another-bank.example'

/** How a JWT that a fault bends differs from an honest one. */
export interface Bend {
  claims?: (claims: JWTPayload) => JWTPayload
  strangersKey?: boolean
  unencrypted?: boolean
}

/** The bends of the faults that bend a JWT. */
export const BENDS: Partial<Record<Fault, Bend>> = {
  expired_document: { claims: (claims) => shifted(claims, -TEN_MINUTES) },
  clock_off: {
    claims: (claims) => ({ ...shifted({ iat: now(), ...claims }, TEN_MINUTES), nbf: now() + TEN_MINUTES }),
  },
  rogue_key: { strangersKey: true },
  wrong_audience: { claims: (claims) => ({ ...claims, aud: 'another-app' }) },
  unencrypted: { unencrypted: true },
  forged_answer: { strangersKey: true },
  other_state: { claims: (claims) => ({ ...claims, state: 'of-another-login' }) },
  wrong_iss: { claims: (claims) => ({ ...claims, iss: OTHER_ISSUER }) },
  missing_iss: {
    claims: (claims) => Object.fromEntries(Object.entries(claims).filter(([name]) => name !== 'iss')),
  },
  doubled_iss: { claims: (claims) => ({ ...claims, iss: [claims.iss, OTHER_ISSUER] as never }) },
  id_token_rogue_key: { strangersKey: true },
  id_token_wrong_nonce: { claims: (claims) => ({ ...claims, nonce: 'of-another-login' }) },
  id_token_unencrypted: { unencrypted: true },
  id_token_expired: { claims: (claims) => shifted(claims, -TEN_MINUTES) },
}

/** Signs a JWT, bent or not, and encrypts it when there is a key for it. */
export async function signJwt(
  claims: JWTPayload,
  {
    key,
    encryptTo,
    bend = {},
  }: { key: SigningKey; encryptTo?: Recipient | undefined; bend?: Bend | undefined },
): Promise<string> {
  const { privateKey } = bend.strangersKey ? await generateKeyPair(key.alg) : key
  const jws = await new SignJWT(bend.claims?.(claims) ?? claims)
    .setProtectedHeader({ alg: key.alg, kid: key.kid })
    .sign(privateKey)
  if (!encryptTo || bend.unencrypted) return jws
  const { jwk, alg, enc } = encryptTo
  return new CompactEncrypt(new TextEncoder().encode(jws))
    .setProtectedHeader({
      alg,
      enc,
      cty: 'JWT',
      ...(jwk.kid !== undefined && { kid: jwk.kid }),
      ...(typeof claims.iss === 'string' && { iss: claims.iss }),
      ...(typeof claims.aud === 'string' && { aud: claims.aud }),
    })
    .encrypt(await importJWK(jwk, alg))
}

/** The same claims, of another time. */
function shifted(claims: JWTPayload, seconds: number): JWTPayload {
  const { iat, exp } = claims
  return {
    ...claims,
    ...(iat !== undefined && { iat: iat + seconds }),
    ...(exp !== undefined && { exp: exp + seconds }),
  }
}

function now(): number {
  return Math.floor(Date.now() / 1000)
}
