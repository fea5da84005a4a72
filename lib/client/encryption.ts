import * as v from 'valibot'
import {
  CONTENT_ENCRYPTION_ALGS,
  KEY_ENCRYPTION_ALGS,
  type ContentEncryptionAlg,
  type KeyEncryptionAlg,
} from '../jwt/algorithms.js'
import type { ClientKeys, checkJwks } from '../jwt/keys.js'
import type { Decryption } from '../jwt/encrypted-jwt.js'
import { badOption } from './option-errors.js'

/** What a bank may encrypt, as client registration names it. */
const ENCRYPTED = ['authorization', 'id_token', 'userinfo'] as const
export type Encrypted = (typeof ENCRYPTED)[number]

/** One value, or each that is accepted. */
export type OneOrMore<T extends string> = T | readonly T[]

/**
 * How answers are encrypted to the application, in the names of client registration.
 *
 * With none of these, a key for encryption makes answers and ID tokens encrypted in IDPartner's way, RSA-OAEP and
 * A256CBC-HS512. With any of them, exactly what they name is encrypted, and has to be.
 */
export type EncryptionOptions = {
  [name in `${Encrypted}_encrypted_response_alg`]?: OneOrMore<KeyEncryptionAlg> | undefined
} & {
  [name in `${Encrypted}_encrypted_response_enc`]?: OneOrMore<ContentEncryptionAlg> | undefined
}

/** How one kind of answer is encrypted; not at all where the lists are empty. */
export interface Encryption extends Pick<Decryption, 'alg' | 'enc'> {
  /** Whether userinfo has to be; the others have to be wherever there is a key. */
  readonly asked: boolean
}

const oneOrMore = <const T extends readonly string[]>(
  choices: T,
): v.GenericSchema<undefined | T[number] | T[number][]> => {
  const one = v.picklist(choices)
  const message = `must be one of ${choices.join(', ')}, or a list of these`
  return v.optional(v.union([one, v.pipe(v.array(one), v.minLength(1, message))], message))
}

/** The schemas of these options. */
export const encryptionEntries = Object.fromEntries(
  ENCRYPTED.flatMap((kind) => [
    [`${kind}_encrypted_response_alg`, oneOrMore(KEY_ENCRYPTION_ALGS)],
    [`${kind}_encrypted_response_enc`, oneOrMore(CONTENT_ENCRYPTION_ALGS)],
  ]),
) as { [name in keyof EncryptionOptions]-?: v.GenericSchema<EncryptionOptions[name]> }

const USUAL = { alg: ['RSA-OAEP'], enc: ['A256CBC-HS512'] } as const

/**
 * @param keys none while they are not known: then nothing is checked against them
 * @throws {IDPartnerError} `config_invalid`, with a message that names the option
 */
export function resolveEncryption(
  options: EncryptionOptions,
  keys: ReturnType<typeof checkJwks> | undefined,
): Record<Encrypted, Encryption> {
  const asked = ENCRYPTED.some((kind) => options[`${kind}_encrypted_response_alg`] !== undefined)
  const held = keys?.filter(({ use }) => use === 'enc').map((one) => one.alg as KeyEncryptionAlg)
  const resolved = Object.fromEntries(
    ENCRYPTED.map((kind) => {
      const [nameOfAlg, nameOfEnc] = [
        `${kind}_encrypted_response_alg`,
        `${kind}_encrypted_response_enc`,
      ] as const
      const { [nameOfAlg]: alg, [nameOfEnc]: enc } = options
      if (alg === undefined) {
        if (enc !== undefined) throw badOption(nameOfEnc, `needs ${nameOfAlg} beside it`)
        return [kind, { ...(asked ? { alg: [], enc: [] } : USUAL), asked: false }]
      }
      const algs = [alg].flat()
      if (held && !algs.some((one) => held.includes(one))) {
        throw badOption(nameOfAlg, 'needs an encryption key in "jwks" whose "alg" it names')
      }
      return [kind, { alg: algs, enc: [enc ?? USUAL.enc].flat(), asked: true }]
    }),
  ) as Record<Encrypted, Encryption>
  const useless = held?.find((alg) => !ENCRYPTED.some((kind) => resolved[kind].alg.includes(alg)))
  if (useless !== undefined) {
    throw badOption(
      'jwks',
      `holds an encryption key for ${useless}, which nothing may be encrypted with: set id_token_encrypted_response_alg, or another of these options`,
    )
  }
  return resolved
}

/** The keys with which one kind of answer is opened. */
export function decryptionOf({ alg, enc }: Encryption, { decryption }: ClientKeys): Decryption {
  return { alg, enc, keys: alg.length > 0 ? decryption : [] }
}
