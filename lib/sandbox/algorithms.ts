import type { JSONWebKeySet, JWK } from 'jose'
import type { ContentEncryptionAlg, KeyEncryptionAlg, SigningAlg } from '../jwt/algorithms.js'
import type { ResolvedOptions } from './options.js'

export const SIGNING_ALGS = ['PS256', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const satisfies SigningAlg[]
export const KEY_ENCRYPTION_ALGS = [
  'RSA-OAEP',
  'RSA-OAEP-256',
  'ECDH-ES',
  'ECDH-ES+A128KW',
  'ECDH-ES+A192KW',
  'ECDH-ES+A256KW',
] as const satisfies KeyEncryptionAlg[]
export const CONTENT_ENCRYPTION_ALGS = [
  'A128GCM',
  'A256GCM',
  'A128CBC-HS256',
  'A256CBC-HS512',
] as const satisfies ContentEncryptionAlg[]

export const ENCRYPTED = ['authorization', 'id_token', 'userinfo'] as const
export type Encrypted = (typeof ENCRYPTED)[number]

const USUAL = { alg: 'RSA-OAEP', enc: 'A256CBC-HS512' } as const

/** What a bank can sign with, and its app: what is usual at IDPartner, and what the app is registered for. */
function signingAlgs(options: ResolvedOptions): SigningAlg[] {
  const registered = [
    options.authorization_signed_response_alg,
    options.id_token_signed_response_alg,
    options.userinfo_signed_response_alg,
    options.request_object_signing_alg,
    options.token_endpoint_auth_signing_alg,
  ]
  return [...new Set<SigningAlg>(['PS256', 'ES256', ...registered.filter((one) => one !== undefined)])]
}

/** How a bank encrypts, as the app is registered. */
function encryptionAlgs(
  options: ResolvedOptions,
  kind: Encrypted,
): { alg: KeyEncryptionAlg; enc: ContentEncryptionAlg } | undefined {
  const alg = options[`${kind}_encrypted_response_alg`]
  const enc = options[`${kind}_encrypted_response_enc`] ?? USUAL.enc
  if (alg !== undefined) return { alg, enc }
  const none = kind === 'userinfo' || ENCRYPTED.some((one) => options[`${one}_encrypted_response_alg`])
  return none ? undefined : USUAL
}

/** What a bank signs with and encrypts with. */
export interface BankAlgorithms {
  signing: readonly SigningAlg[]
  encryption: Readonly<
    Record<Encrypted, { alg: readonly KeyEncryptionAlg[]; enc: readonly ContentEncryptionAlg[] }>
  >
}

/** What the banks announce: what is usual at IDPartner, and what the app is registered for. */
export function bankAlgorithms(options: ResolvedOptions): BankAlgorithms {
  const encryption = (kind: Encrypted) => {
    const { alg, enc } = encryptionAlgs(options, kind) ?? USUAL
    return { alg: [...new Set([USUAL.alg, alg])], enc: [...new Set([USUAL.enc, enc])] }
  }
  return {
    signing: signingAlgs(options),
    encryption: {
      authorization: encryption('authorization'),
      id_token: encryption('id_token'),
      userinfo: encryption('userinfo'),
    },
  }
}

/** A key of the app for one kind of answer, and how it is used. */
export interface Recipient {
  jwk: JWK
  alg: KeyEncryptionAlg
  enc: ContentEncryptionAlg
}

/** To which key a bank encrypts, when the app publishes one. */
export function recipientOf(
  options: ResolvedOptions,
  kind: Encrypted,
  keys: JSONWebKeySet | undefined,
): Recipient | undefined {
  const algs = encryptionAlgs(options, kind)
  const kty = algs?.alg.startsWith('RSA') ? 'RSA' : 'EC'
  const jwk = keys?.keys.find(
    (key) => key.kty === kty && key.use === 'enc' && (key.alg === undefined || key.alg === algs?.alg),
  )
  return algs && jwk && { jwk, ...algs }
}

/** The options that name algorithms. */
export const ALGORITHM_OPTIONS = [
  'authorization_signed_response_alg',
  'id_token_signed_response_alg',
  'userinfo_signed_response_alg',
  'request_object_signing_alg',
  'token_endpoint_auth_signing_alg',
  'authorization_encrypted_response_alg',
  'authorization_encrypted_response_enc',
  'id_token_encrypted_response_alg',
  'id_token_encrypted_response_enc',
  'userinfo_encrypted_response_alg',
  'userinfo_encrypted_response_enc',
] as const satisfies (keyof ResolvedOptions)[]

export type AlgorithmOptions = {
  [name in (typeof ALGORITHM_OPTIONS)[number]]?: NonNullable<ResolvedOptions[name]>
}
