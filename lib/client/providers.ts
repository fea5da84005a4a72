import { randomUUID } from 'node:crypto'
import type { LoginRecord } from './login-record.js'
import type { StepEvent } from '../events.js'
import { IDPartnerError } from '../errors.js'
import { importDpopKey, newDpopKey, readDpopKey, type DpopKey } from '../jwt/dpop-key.js'
import type { ClientKeys } from '../jwt/keys.js'
import type { FindKeys } from '../jwt/remote-keys.js'
import { readVoucher } from '../jwt/voucher.js'
import { inTime } from '../net/deadline.js'
import type { Http } from '../net/http.js'
import { AllowedIssuers } from './allowed-issuers.js'
import type { Proofs } from './authorization-request.js'
import type { ResolvedConfig } from './config.js'
import type { Credentials } from './credentials.js'
import { DpopNonces } from './dpop.js'
import type { Issuers } from './issuers.js'
import { Provider } from './provider.js'
import { ofAnotherBank, type TokenSet } from './tokens.js'

/** Options of a single call. */
export interface CallOptions {
  /** Ends the call before its requests' own timeouts do. */
  signal?: AbortSignal | undefined
  /**
   * Learns which bank is asked, once that is allowed.
   * @internal
   */
  seen?: StepEvent
  /**
   * Keeps what is signed of this login, for a receipt.
   * @internal
   */
  record?: LoginRecord | undefined
}

/** A call to a provider, and of which login it is. */
export interface ProviderCall extends CallOptions {
  interactionId?: string | undefined
  /** What binds its tokens, if anything does (DPoP). */
  dpop?: Binding | undefined
}

/** What the application kept of a token set, also where it says `undefined` of the rest. */
type SomeTokens = { [Name in keyof TokenSet]?: TokenSet[Name] | undefined }

/** To which key tokens are bound; to that of the option where there is none. */
export interface Binding {
  key: string | undefined
}

/** The providers that a client may ask, with the client's own keys: each is made for one operation. */
export class Providers {
  /** What never changes of it; see {@link Credentials}. */
  readonly config: ResolvedConfig
  readonly allowed: AllowedIssuers
  readonly #own: Credentials
  /** Over which connections tokens came, which may be bound to the certificate that was shown there. */
  readonly #shown = new WeakMap<object, Http>()
  readonly #nonces = new DpopNonces()
  readonly #fixedDpopKey: Promise<DpopKey | undefined>

  constructor(own: Credentials) {
    this.config = own.settings
    this.allowed = new AllowedIssuers(own.settings)
    this.#own = own
    const { dpop } = own.settings
    this.#fixedDpopKey = dpop && 'key' in dpop ? importDpopKey(dpop.key) : Promise.resolve(undefined)
    this.#fixedDpopKey.catch(() => undefined)
  }

  /** The application's own keys. */
  get keys(): Promise<ClientKeys> {
    return this.#own.current().then(({ keys }) => keys)
  }

  /** Where the keys of banks are found. */
  get issuers(): Promise<Issuers> {
    return this.#own.current().then(({ published }) => published.issuers)
  }

  /**
   * A provider whose issuer is configured, or was allowed before in this operation.
   *
   * @param tokens to use with the certificate that they were issued to (RFC 8705, section 3), where that is known here
   */
  async of(issuer: string, call: ProviderCall, tokens?: object): Promise<Provider> {
    const { signal, interactionId = randomUUID(), dpop, record } = call
    const asking = this.#own.current().then(async (own) => {
      const { issuers } = own.published
      return { own, issuerKeys: issuers.keys(issuer), metadata: await issuers.metadata(issuer) }
    })
    const [{ own, issuerKeys, metadata }, dpopKey] = await inTime(
      signal,
      Promise.all([asking, dpop && this.#dpopKey(dpop)]),
    )
    return new Provider({
      config: own.config,
      http: (tokens && this.#shown.get(tokens)) ?? own.http,
      keys: own.keys,
      issuerKeys,
      metadata,
      interactionId,
      dpop: dpopKey,
      nonces: this.#nonces,
      signal,
      record,
    })
  }

  /**
   * @param tokens what the bank issued; a voucher in them is as good as a document
   * @param use `'anew'` where they are not used themselves, but ended or renewed: with the present certificate
   */
  async allowedOf(
    issuer: string,
    call: ProviderCall,
    tokens?: SomeTokens | string,
    use: 'as issued' | 'anew' = 'as issued',
  ): Promise<Provider> {
    const { voucher, claims } = typeof tokens === 'object' ? tokens : {}
    const { needsVoucher } = this.allowed
    if (voucher !== undefined && (needsVoucher || !claims)) {
      const vouched = await readVoucher(voucher, this.config.client_id, await this.keys)
      // The claims of a set say whose it is, and where it has none, this alone does.
      if (!claims && vouched !== undefined && vouched !== issuer) throw ofAnotherBank(vouched, issuer)
      if (needsVoucher && vouched === issuer) this.allowed.vouch(issuer)
    }
    await inTime(call.signal, this.allowed.check(issuer))
    const issued = typeof tokens === 'object' && use === 'as issued' ? tokens : undefined
    if (issued) assertKindKnown(issued, this.config.dpop !== undefined)
    return this.of(issuer, { ...callOf(tokens), ...call }, issued)
  }

  /** The keys of a bank that is allowed. */
  async keysOfAllowed(issuer: string, signal: AbortSignal | undefined): Promise<FindKeys> {
    // Who decides too late asks for no keys any more.
    await inTime(signal, this.allowed.check(issuer))
    return (await this.issuers).keys(issuer)
  }

  /** Tokens that a bank has just issued, with what shows other processes that it is allowed. */
  async vouched<T extends TokenSet>(bank: Provider, tokens: T): Promise<T> {
    const all = { ...tokens, ...(this.allowed.needsVoucher && (await this.#voucher(bank.issuer))) }
    this.#shown.set(all, bank.http)
    return all
  }

  async #voucher(issuer: string): Promise<Pick<TokenSet, 'voucher'>> {
    const { vouchers, keys } = await this.#own.current()
    const voucher = await vouchers.of(issuer, keys)
    return voucher === undefined ? {} : { voucher }
  }

  /** A new key, where the tokens of each login are bound to one of its own. */
  newDpopKey(): Pick<Proofs, 'dpopKey'> {
    const { dpop } = this.config
    return dpop && 'alg' in dpop ? { dpopKey: newDpopKey(dpop.alg) } : {}
  }

  /** What the tokens of a login are to be bound to, where they are. */
  bindingOf({ dpopKey }: Pick<Proofs, 'dpopKey'> = this.newDpopKey()): Binding | undefined {
    return this.config.dpop && { key: 'key' in this.config.dpop ? undefined : dpopKey }
  }

  async #dpopKey({ key }: Binding): Promise<DpopKey> {
    const dpopKey = key === undefined ? await this.#fixedDpopKey : await readDpopKey(key)
    if (dpopKey) return dpopKey
    throw new IDPartnerError(
      'config_invalid',
      'the key that binds these tokens (DPoP) is missing: store what generateProofs() made, and all of a token set',
    )
  }
}

/** As a bearer token, a bound one could be used by whoever reads it. */
function assertKindKnown({ token_type }: SomeTokens, bound: boolean): void {
  const known = ['bearer', 'dpop']
  if (token_type === undefined ? !bound : known.includes(token_type.toLowerCase())) return
  throw new IDPartnerError(
    'config_invalid',
    'whether these tokens are bound by DPoP is not known: their "token_type" is missing, or another; store all of a token set',
  )
}

/** What tokens of a bank are used with: never as bearer tokens what is bound, nor the other way round. */
export function callOf(tokens: SomeTokens | string | undefined): ProviderCall {
  if (typeof tokens !== 'object') return {}
  const { token_type, dpop_key, interactionId } = tokens
  return {
    ...(token_type?.toLowerCase() === 'dpop' && { dpop: { key: dpop_key } }),
    ...(interactionId !== undefined && { interactionId }),
  }
}

/** Tokens with the key that they are bound to, so that other processes can use them. */
export function bound<T extends TokenSet>(tokens: T, dpop: Binding | undefined): T {
  return dpop?.key === undefined ? tokens : { ...tokens, dpop_key: dpop.key }
}
