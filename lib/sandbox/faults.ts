import { ExpiringMap } from './expiring-map.js'

/**
 * What can go wrong with one login, and the error code that the app then sees.
 *
 * In the proxy flow "the document" is what IDPartner signs, with the bank's answer in it. In the direct flow there is
 * none, and the faults of the document befall the bank's own answer.
 */
export const FAULTS = {
  /** The bank says no, without asking anybody: `access_denied`. */
  access_denied: 'bank',
  /** The bank says that the person has to log in: `provider_error`, `fail` 401. */
  login_required: 'bank',
  /** The bank signs that something broke on its side: `provider_error`, `error` 502. */
  server_error: 'bank',
  /** The bank signs that it is overloaded: `provider_error`, `error` 503. */
  temporarily_unavailable: 'bank',

  /** The bank says that it does not know a parameter of the request that is pushed: `provider_error`, `error` 502. */
  unknown_parameter: 'pushed_request',
  /** The bank does not believe the app its assertion, certificate or secret: `provider_error`, `error` 502. */
  client_refused: 'pushed_request',

  /** The document expired ten minutes ago: `response_invalid`. */
  expired_document: 'document',
  /** The platform's clock is ten minutes ahead: `response_invalid`. */
  clock_off: 'document',
  /** A stranger signed the document, with a known `kid`: `response_invalid`. */
  rogue_key: 'document',
  /** The document is meant for another app: `response_invalid`. */
  wrong_audience: 'document',

  /** The bank's answer is signed, but not encrypted; needs an encryption key of the app: `response_invalid`. */
  unencrypted: 'answer',
  /** A stranger signed the bank's answer, with a known `kid`: `response_invalid`. */
  forged_answer: 'answer',
  /** The bank's answer is authentic, but of a login that the app does not know: `login_missing`. */
  other_state: 'answer',
  /** The bank's answer names another issuer: `response_invalid`. */
  wrong_iss: 'answer',
  /** The bank's answer names no issuer: `response_invalid`. */
  missing_iss: 'answer',
  /** The bank's answer names its issuer and another one: `response_invalid`. */
  doubled_iss: 'answer',

  /** A stranger signed the ID token, with a known `kid`: `token_invalid`. */
  id_token_rogue_key: 'id_token',
  /** The ID token is of another login: `token_invalid`. */
  id_token_wrong_nonce: 'id_token',
  /** The ID token is signed, but not encrypted; needs an encryption key of the app: `token_invalid`. */
  id_token_unencrypted: 'id_token',
  /** The ID token expired ten minutes ago: `token_invalid`. */
  id_token_expired: 'id_token',

  /** The bank's token endpoint answers 503: `provider_unavailable`, `error` 503. */
  bank_down: 'token_endpoint',
  /** The bank's token endpoint refuses the code: `provider_error`, `error` 502. */
  token_error: 'token_endpoint',
  /** The bank's token endpoint does not answer at all: `provider_unavailable`, `error` 504. */
  slow: 'token_endpoint',
  /** A token that was to be bound by DPoP comes as `Bearer`, or the other way round: `token_invalid`. */
  other_token_type: 'token_endpoint',

  /** Every endpoint wants a nonce that the app has not seen yet (DPoP). The login succeeds. */
  dpop_new_nonces: 'nonces',
  /** The bank's token endpoint wants another nonce each time (DPoP): `provider_error`, `error` 502. */
  dpop_endless_nonces: 'token_endpoint',
  /** The bank's token endpoint wants a nonce and sends none (DPoP): `provider_error`, `error` 502. */
  dpop_no_nonce: 'token_endpoint',
  /** The bank's token endpoint says that it has seen the proof before (DPoP): `provider_error`, `error` 502. */
  dpop_replayed: 'token_endpoint',

  /** Trust directory and bank replace their keys right before they sign. The login succeeds. */
  rotated_keys: 'keys',
} as const

/** The name of a fault; see {@link FAULTS} for each. */
export type Fault = keyof typeof FAULTS

type Stage = (typeof FAULTS)[Fault]

/** What a sandbox has to be like for a fault to befall it. */
export interface FaultSetting {
  flow: 'proxy' | 'direct'
  response_mode: 'jwt' | 'query'
  dpop_bound_access_tokens: boolean
}

/** Bends of a signature or of encryption, which a plain answer does not have. */
const OF_SIGNED_ANSWERS: readonly Fault[] = ['unencrypted', 'forged_answer']

/** Which faults can befall a login there. */
export function faultsOf(setting: FaultSetting): Fault[] {
  return (Object.keys(FAULTS) as Fault[]).filter((fault) => lacking(fault, setting) === undefined)
}

/** What the sandbox would have to be started with. */
function lacking(fault: Fault, setting: FaultSetting): string | undefined {
  const stage = FAULTS[fault]
  if (stage === 'pushed_request' && setting.flow === 'proxy') return 'the direct flow'
  if (fault.startsWith('dpop_') && !setting.dpop_bound_access_tokens) return 'dpop_bound_access_tokens'
  const signed = stage === 'document' || OF_SIGNED_ANSWERS.includes(fault)
  return signed && setting.response_mode === 'query' ? 'signed answers: the response_mode "jwt"' : undefined
}

/** A login is over by then, whatever became of it. */
const LOGIN_SECONDS = 60 * 60

/** Which login is to go wrong, and how: a login is known by its nonce, from the first request to the token. */
export class Faults {
  readonly #setting: FaultSetting
  #next: Fault | undefined
  readonly #faults = new ExpiringMap<Fault>()

  constructor(setting: FaultSetting) {
    this.#setting = setting
  }

  /** The fault that waits for the next login. */
  get waiting(): Fault | undefined {
    return this.#next
  }

  /** @throws {TypeError} for a fault that is not in the list, or that cannot befall a login here */
  arm({ fault }: { fault: Fault }): void {
    if (!Object.hasOwn(FAULTS, fault)) {
      const known = Object.keys(FAULTS).join(', ')
      throw new TypeError(`sandbox.next: fault ${JSON.stringify(fault)} is not one of ${known}`)
    }
    const wanted = lacking(fault, this.#setting)
    if (wanted !== undefined) throw new TypeError(`sandbox.next: fault "${fault}" needs ${wanted}`)
    this.#next = fault
  }

  /** The next login goes well. */
  disarm(): void {
    this.#next = undefined
  }

  /** A login begins; it takes the fault that waits, if there is one. */
  begin(nonce: string): void {
    if (!this.#next) return
    this.#faults.set(nonce, this.#next, LOGIN_SECONDS)
    this.#next = undefined
  }

  /** A login is known by something else too from here on, such as its code. */
  follow(nonce: unknown, name: string | undefined): void {
    const fault = typeof nonce === 'string' ? this.#faults.get(nonce) : undefined
    if (fault !== undefined && name !== undefined) this.#faults.set(name, fault, LOGIN_SECONDS)
  }

  /** The fault of a login, if it is one of that stage. */
  at(stage: Stage, login: unknown): Fault | undefined {
    const fault = typeof login === 'string' ? this.#faults.get(login) : undefined
    return fault !== undefined && FAULTS[fault] === stage ? fault : undefined
  }
}
