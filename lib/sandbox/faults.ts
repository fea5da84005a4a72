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

  /** Trust directory and bank replace their keys right before they sign. The login succeeds. */
  rotated_keys: 'keys',
} as const

/** The name of a fault; see {@link FAULTS} for each. */
export type Fault = keyof typeof FAULTS

type Stage = (typeof FAULTS)[Fault]

/** A login is over by then, whatever became of it. */
const LOGIN_SECONDS = 60 * 60

/** Which login is to go wrong, and how: a login is known by its nonce, from the first request to the token. */
export class Faults {
  #next: Fault | undefined

  /** The fault that waits for the next login. */
  get waiting(): Fault | undefined {
    return this.#next
  }

  readonly #faults = new ExpiringMap<Fault>()

  /** @throws {TypeError} for a fault that is not in the list */
  arm({ fault }: { fault: Fault }): void {
    if (!Object.hasOwn(FAULTS, fault)) {
      const known = Object.keys(FAULTS).join(', ')
      throw new TypeError(`sandbox.next: fault ${JSON.stringify(fault)} is not one of ${known}`)
    }
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

  /** The fault of a login, if it is one of that stage. */
  at(stage: Stage, nonce: unknown): Fault | undefined {
    const fault = typeof nonce === 'string' ? this.#faults.get(nonce) : undefined
    return fault !== undefined && FAULTS[fault] === stage ? fault : undefined
  }
}
