import { IDPartnerError } from '../errors.js'
import { within } from '../net/deadline.js'
import type { TrustedIssuers } from './config.js'
import type { Issuers } from './issuers.js'
import type { ProviderMetadata } from './provider-metadata.js'

/** A bank as people choose it. */
export interface Bank {
  issuer: string
  /** What the bank calls itself, made safe to show; its host while that is not known. */
  name: string
  /** The address of its logo, for a browser: https. */
  logo?: string
}

/** Banks that are asked for their names at a time. */
const AT_ONCE = 8

/** Banks that are asked for their names at all; the others are listed by their hosts. */
const MAX_ASKED = 500

/** Milliseconds until all of them are looked at again. What is in memory and good costs no request. */
const RENEW_AFTER = 60_000

/** The banks of a list, by the names that they publish. */
export class Banks {
  readonly #issuers: Issuers
  #asked: Promise<void> | undefined
  #askedAt = -Infinity

  constructor(issuers: Issuers) {
    this.#issuers = issuers
  }

  /**
   * Waits for names no longer than `patience` milliseconds, and only while no bank was ever asked: a bank that is down is
   * listed by its host.
   *
   * @throws {IDPartnerError} `config_invalid` where there is no list
   */
  async list(trusted: TrustedIssuers | undefined, patience: number): Promise<Bank[]> {
    if (typeof trusted !== 'object') {
      throw new IDPartnerError(
        'config_invalid',
        'banks() lists those of "trusted_issuers", which has to be a list for that: IDPartner publishes none',
      )
    }
    const first = this.#asked === undefined
    if (first || Date.now() - this.#askedAt >= RENEW_AFTER) {
      this.#askedAt = Date.now()
      this.#asked = this.#ask(trusted.slice(0, MAX_ASKED))
    }
    const asked = this.#asked
    if (first) await within(patience, async () => asked).catch(() => undefined)
    return trusted.map((issuer) => bankOf(issuer, this.#issuers.known(issuer)))
  }

  async #ask(trusted: readonly string[]): Promise<void> {
    const waiting = [...trusted]
    const worker = async (): Promise<void> => {
      for (let issuer = waiting.shift(); issuer !== undefined; issuer = waiting.shift()) {
        await this.#issuers.metadata(issuer).catch(() => undefined)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
  }
}

/** A bank by what is known of it at this moment. */
export function bankOf(issuer: string, metadata: ProviderMetadata | undefined): Bank {
  const { organization_name: name = new URL(issuer).host, logo_uri: logo } = metadata ?? {}
  return { issuer, name, ...(logo !== undefined && { logo }) }
}
