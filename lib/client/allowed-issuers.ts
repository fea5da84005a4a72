import type { ResolvedConfig, TrustedIssuers } from './config.js'
import { IDPartnerError } from '../errors.js'
import { nearlySpelled } from './issuer-spelling.js'
import { isLoopback, isPrivateAddress } from '../net/addresses.js'
import type { PrivateNetworks } from '../net/private-networks.js'
import { isClosed } from './network.js'
import { parseEndpoint } from '../net/http.js'
import { printableUrl } from '../jwt/jwt-error.js'

/** A bound for the memory of vouched issuers; far more than IDPartner has banks. */
const MAX_VOUCHED = 1000

/** Decides which issuers may be contacted at all; without this, a browser could make the server fetch any URL. */
export class AllowedIssuers {
  readonly #trusted: TrustedIssuers | undefined
  readonly #onLoopback: boolean
  readonly #networks: PrivateNetworks
  readonly #vouched = new Set<string>()

  constructor({ trusted_issuers, trust_directory_service_url, networks }: ResolvedConfig) {
    this.#networks = networks
    this.#trusted = trusted_issuers
    this.#onLoopback = isLoopback(new URL(trust_directory_service_url))
  }

  /** Whether nothing but IDPartner's word allows a bank. */
  get needsVoucher(): boolean {
    return this.#trusted === undefined
  }

  /** Remembers that a verified document of IDPartner named this issuer. */
  vouch(issuer: string): void {
    const [oldest] = this.#vouched
    if (oldest !== undefined && this.#vouched.size >= MAX_VOUCHED) this.#vouched.delete(oldest)
    this.#vouched.add(issuer)
  }

  /** @throws {IDPartnerError} `provider_refused`, or `config_invalid` when the application's own function threw */
  async check(issuer: string): Promise<void> {
    const url = parseEndpoint(issuer)
    if (!url) throw this.#notAllowed(issuer)
    const onLoopback = isLoopback(url)
    if (isClosed(url, this.#networks)) throw this.#notAllowed(issuer)
    // A remote directory may not name an issuer on this machine or at a private address (SSRF), nor may a function that
    // says yes to a browser.
    const isOurs = onLoopback ? !this.#onLoopback : isPrivateAddress(url)
    if (isOurs && !Array.isArray(this.#trusted)) throw this.#notAllowed(issuer)
    if (this.#trusted !== undefined) {
      if (!(await isTrusted(this.#trusted, issuer))) throw this.#notAllowed(issuer)
      return
    }
    if (!this.#vouched.has(issuer)) throw this.#notAllowed(issuer)
  }

  #notAllowed(issuer: string): IDPartnerError {
    const near = typeof this.#trusted === 'object' ? nearlySpelled(issuer, this.#trusted) : undefined
    const why =
      near === undefined
        ? this.#trusted === undefined
          ? 'no verified answer of IDPartner named it to this process; for tokens of an earlier login, pass the whole token set'
          : `"trusted_issuers" does not name ${this.#vouched.has(issuer) ? printableUrl(issuer) : 'it'}`
        : `it is ${issuer}, but "trusted_issuers" has ${near}: spell it as the bank does`
    return new IDPartnerError('provider_refused', `this bank is not allowed here: ${why}`)
  }
}

async function isTrusted(trusted: TrustedIssuers, issuer: string): Promise<boolean> {
  if (typeof trusted !== 'function') return trusted.includes(issuer)
  try {
    const answer: unknown = await trusted(issuer)
    // Only `true` accepts: a forgotten `return` is a no, and so is whatever else is truthy.
    return answer === true
  } catch (err) {
    throw new IDPartnerError('config_invalid', 'the function "trusted_issuers" threw', { cause: err })
  }
}
