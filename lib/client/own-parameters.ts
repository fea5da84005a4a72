import * as v from 'valibot'
import { badOption } from './option-errors.js'

/** Parameters of a network's own, which no specification has. */
export type OwnParameters = Readonly<Record<string, string | number | boolean>>

/**
 * What an application that could set it could switch a protection off with: what the package sets itself, and what
 * authenticates it (RFC 6749, RFC 7521, RFC 7636, RFC 9101, RFC 9449).
 */
const RESERVED = [
  'client_id',
  'client_secret',
  'client_assertion',
  'client_assertion_type',
  'grant_type',
  'code',
  'code_verifier',
  'code_challenge',
  'code_challenge_method',
  'redirect_uri',
  'response_type',
  'response_mode',
  'scope',
  'state',
  'nonce',
  'request',
  'request_uri',
  'dpop_jkt',
  'iss',
  'aud',
  'exp',
  'iat',
  'nbf',
  'jti',
  'sub',
]

/** A server may take another spelling for the same. */
export function isReserved(name: string): boolean {
  return RESERVED.includes(name.toLowerCase())
}

/** Parameters that have an option of their own, where they are checked, and some of them again in the ID token. */
const HAVE_OPTIONS = [
  'claims',
  'prompt',
  'max_age',
  'acr_values',
  'login_hint',
  'ui_locales',
  'id_token_hint',
  'display',
  'authorization_details',
  'purpose',
  'authorization_params',
  'x-fapi-interaction-id',
]

const NAME = /^[\w.:-]{1,100}$/

const MAX_LENGTH = 4096

function problem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'must be an object'
  for (const [name, one] of Object.entries(value)) {
    if (!NAME.test(name) || name === '__proto__') return 'has a name that is none of a parameter'
    if (isReserved(name)) return `must not have "${name}", which is set by this package alone`
    if (HAVE_OPTIONS.includes(name.toLowerCase()))
      return `must not have "${name}", which is an option of its own`
    if (typeof one === 'boolean' || Number.isFinite(one)) continue
    if (typeof one !== 'string' || one.length > MAX_LENGTH) {
      return `must have a text of at most ${String(MAX_LENGTH)} characters, a number or a boolean as "${name}"`
    }
  }
  return undefined
}

export const ownParameters = v.pipe(
  v.custom<OwnParameters>(
    (value) => problem(value) === undefined,
    ({ input }) => problem(input) ?? '',
  ),
  // A copy, since an application may change its object.
  v.transform((value): OwnParameters => ({ ...value })),
)

/**
 * What a login asks for, with a network's own parameters among the others.
 *
 * @throws {IDPartnerError} `config_invalid`, which names the parameter
 */
export function withOwnParameters<T extends object>({
  authorization_params: own,
  ...others
}: T & { authorization_params?: unknown }): Omit<T, 'authorization_params'> & OwnParameters {
  const why = own === undefined ? undefined : problem(own)
  if (why !== undefined) throw badOption('authorization_params', why)
  return { ...(own as OwnParameters | undefined), ...others }
}
