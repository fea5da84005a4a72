import { randomUUID } from 'node:crypto'
import type { JSONWebKeySet } from 'jose'
import * as oidc from 'openid-client'
import * as v from 'valibot'
import { accountSelectorUrl } from './account-selector.js'
import { AllowedIssuers } from './allowed-issuers.js'
import {
  noteChecks,
  requestParameters,
  type AuthorizationParams,
  type Proofs,
} from './authorization-request.js'
import { authorizationError } from './authorization-error.js'
import { Banks, bankOf, type Bank } from './banks.js'
import {
  callbackParams,
  optionalParam,
  searchParams,
  type PlainAnswer,
  type PlainError,
} from './callback-params.js'
import type { IDPartnerClaims, UserInfo } from '../jwt/claims.js'
import type { Flow, IDPartnerConfig, ResolvedConfig } from './config.js'
import { DpopNonces } from './dpop.js'
import { decryptionOf } from './encryption.js'
import { checkEndSession, endSessionUrl, type EndedLogin, type EndSessionParams } from './end-session.js'
import { Refreshes, type FreshTokensOptions } from './fresh-tokens.js'
import { inTime } from '../net/deadline.js'
import { ErrorResponse, IDPartnerError } from '../errors.js'
import { interactionIdFrom } from './interaction-id.js'
import { loginStep, trace, type StepEvent } from '../events.js'
import { joinUrl, parseEndpoint, type Http } from '../net/http.js'
import { importDpopKey, newDpopKey, readDpopKey, type DpopKey } from '../jwt/dpop-key.js'
import type { IdTokenChecks } from '../jwt/id-token.js'
import type { Issuers } from './issuers.js'
import { verifyJarm, type AuthorizationAnswer } from '../jwt/jarm.js'
import type { LogoutTokenExpected } from '../jwt/logout-token.js'
import { importKeys, type ClientKeys } from '../jwt/keys.js'
import type { EndedWell, LoginRecord } from './login-record.js'
import { badOption } from './option-errors.js'
import { partyOf } from './party.js'
import { readPlainAnswer, readPlainError } from './plain-answer.js'
import type { ResponseMode } from './profile.js'
import type { Checks } from './check.js'
import type { PreflightOptions } from './preflight.js'
import { logNotRefreshed, type Log } from './log.js'
import { Provider } from './provider.js'
import { verifyProxyDocument, type IdentityProvider, type ProxyDocument } from '../jwt/proxy-document.js'
import { Published, type Publications } from './published.js'
import type { FindKeys } from '../jwt/remote-keys.js'
import { resolveConfig } from './resolve-config.js'
import { hasRunOut, type ResourceRequest } from './resource-request.js'
import { checkRefreshed, checkToken, checkTokens, goesOn, ofAnotherBank, type TokenSet } from './tokens.js'
import { Vouchers, readVoucher } from '../jwt/voucher.js'

const text = v.pipe(v.string(), v.minLength(1))
const proofsShape = v.looseObject({
  state: text,
  nonce: text,
  codeVerifier: text,
  max_age: v.optional(v.number()),
  acr_values: v.optional(v.string()),
  begun: v.optional(v.number()),
  interactionId: v.optional(v.string()),
  dpopKey: v.optional(v.string()),
})

const credentialMetadata = v.looseObject({
  credential_endpoint: v.string(),
  credential_issuer: v.optional(v.string()),
})

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
interface ProviderCall extends CallOptions {
  interactionId?: string | undefined
  /** What binds its tokens, if anything does (DPoP). */
  dpop?: Binding | undefined
}

/** What clients of several tenants have of each other. */
interface Shared {
  publications?: Publications
  /** The client of the same tenant before one of its options changed. */
  earlier?: IDPartner | undefined
}

/** To which key tokens are bound; to that of the option where there is none. */
interface Binding {
  key: string | undefined
}

/**
 * The protocol client: everything between the application and IDPartner and its banks, without sessions and without
 * Passport.
 *
 * Used alone it leaves to the application what {@link IDPartnerStrategy} does: to keep the proofs in the session on
 * the server, and to use each answer and each set of proofs once.
 */
export class IDPartner {
  readonly #config: ResolvedConfig
  readonly #http: Http
  readonly #issuers: Issuers
  readonly #trustDirectoryKeys: FindKeys
  readonly #keys: Promise<ClientKeys>
  readonly #allowed: AllowedIssuers
  readonly #nonces = new DpopNonces()
  readonly #fixedDpopKey: Promise<DpopKey | undefined>
  readonly #refreshes: Refreshes
  readonly #banks: Banks
  readonly #vouchers: Vouchers

  /** @throws {IDPartnerError} `config_invalid`, with a message that names the option */
  constructor(config: IDPartnerConfig)
  /** @internal */
  // eslint-disable-next-line @typescript-eslint/unified-signatures -- the types of the package leave this one out
  constructor(config: IDPartnerConfig, shared: Shared)
  constructor(config: IDPartnerConfig, { publications, earlier }: Shared = {}) {
    this.#config = resolveConfig(config)
    const published = publications?.of(this.#config) ?? new Published(this.#config)
    this.#http = published.httpOf(this.#config)
    this.#issuers = published.issuers
    this.#banks = new Banks(this.#issuers)
    this.#trustDirectoryKeys = published.trustDirectoryKeys
    this.#allowed = new AllowedIssuers(this.#config)
    this.#vouchers = new Vouchers(this.#config.client_id)
    // Tokens that were renewed a moment ago are not renewed again because an option has another value now.
    const isSame = earlier && earlier.#config.client_id === this.#config.client_id
    this.#refreshes = isSame ? earlier.#refreshes : new Refreshes()
    this.#keys = importKeys(this.#config.keys)
    // Whoever awaits the keys gets the failure; without this it would end the process before anyone does.
    this.#keys.catch(() => undefined)
    const { dpop } = this.#config
    this.#fixedDpopKey = dpop && 'key' in dpop ? importDpopKey(dpop.key) : Promise.resolve(undefined)
    this.#fixedDpopKey.catch(() => undefined)
  }

  /** @internal */
  get responseMode(): ResponseMode {
    return this.#config.response_mode
  }

  /** @internal */
  get flow(): Flow {
    return this.#config.flow
  }

  /**
   * Milliseconds that one HTTP request may take.
   * @internal
   */
  get timeout(): number {
    return this.#config.timeout
  }

  /**
   * Where lines for an operator go.
   * @internal
   */
  get log(): Log | undefined {
    return this.#config.log
  }

  /**
   * Looks, before anybody logs in, at whatever a login needs: keys, certificate, the published JWKS, IDPartner and the
   * banks of `trusted_issuers`, the clock.
   *
   * Sends IDPartner, or in the direct flow each bank, one login request that nobody goes on with. Asks no other bank, says
   * nothing secret, and is loaded when it is called.
   *
   * @returns what was found, and what to do about it; it does not reject for what is wrong
   */
  async preflight(options: PreflightOptions = {}): Promise<Checks> {
    const { preflight } = await import('./preflight.js')
    return preflight(
      {
        config: this.#config,
        publicKeys: await this.getPublicJWKs(),
        begin: (query) => {
          const { scope = 'openid', claims } = options
          return this.getAuthorizationUrl(query, this.generateProofs(), scope, { claims })
        },
      },
      options,
    )
  }

  /**
   * The banks of `trusted_issuers`, for a page on which people choose theirs.
   *
   * A bank is listed by the name that it publishes, or by its host where it publishes none or cannot be reached. Only the
   * first call waits for names, at most one `timeout`; they are renewed behind later ones.
   *
   * @throws {IDPartnerError} `config_invalid` where `trusted_issuers` is no list
   */
  async banks(): Promise<Bank[]> {
    return this.#banks.list(this.#config.trusted_issuers, this.#config.timeout)
  }

  /**
   * A bank by what is in memory of it, as IDPartner's document has it in the proxy flow.
   * @internal
   */
  identityProviderOf(issuer: string): IdentityProvider {
    const { name, logo } = bankOf(issuer, this.#issuers.known(issuer))
    return { name, issuer_url: issuer, ...(logo !== undefined && { logo_uri: logo }) }
  }

  /** The application's public keys, for IDPartner and the banks to fetch. See {@link jwksRouter}. */
  async getPublicJWKs(): Promise<JSONWebKeySet> {
    return structuredClone((await this.#keys).public)
  }

  /**
   * Makes the secrets of one login: `state`, `nonce` and the PKCE `codeVerifier`.
   *
   * Does not keep them: store them in the session on the server, and never log them.
   *
   * @param checks what this login has to show, if anything: `max_age` in seconds, `acr_values` space-separated; both are
   *   asked for at the bank and checked in the ID token
   * @see https://www.rfc-editor.org/rfc/rfc7636#section-4.1
   */
  generateProofs({ max_age, acr_values }: Pick<Proofs, 'max_age' | 'acr_values'> = {}): Proofs {
    return {
      state: oidc.randomState(),
      nonce: oidc.randomNonce(),
      codeVerifier: this.generateCodeVerifier(),
      ...(max_age !== undefined && { max_age }),
      ...(acr_values !== undefined && { acr_values }),
      ...this.generateDpopKey(),
    }
  }

  /**
   * Makes the one secret that all others of a login may be derived from.
   * @internal
   */
  generateCodeVerifier(): string {
    return oidc.randomPKCECodeVerifier()
  }

  /**
   * Makes the other one, where tokens are bound to a key of each login (DPoP). The bank gets to know the verifier, so
   * nothing that it must not know can be derived from that.
   * @internal
   */
  generateDpopKey(): Pick<Proofs, 'dpopKey'> {
    const { dpop } = this.#config
    return dpop && 'alg' in dpop ? { dpopKey: newDpopKey(dpop.alg) } : {}
  }

  /** What the tokens of a login are to be bound to, where they are. */
  #loginBinding({ dpopKey }: Pick<Proofs, 'dpopKey'> = this.generateDpopKey()): Binding | undefined {
    return this.#config.dpop && { key: 'key' in this.#config.dpop ? undefined : dpopKey }
  }

  /**
   * Builds the URL to send the browser to.
   *
   * In the direct flow and without `iss` in the query that is IDPartner's account selector, which sends the browser
   * back to the same route with an `iss`; the proofs are not used until then.
   *
   * What has to be checked in the ID token, `max_age` and `acr_values`, is noted in the proofs: store them afterwards.
   *
   * @param query the login route's query: `visitor_id`, and in the direct flow `iss`, `idp_id`, `idpartner_token`
   * @param scope must include `openid`
   * @throws {IDPartnerError} `provider_refused` (a bad `iss`), `provider_unavailable`, `provider_error`, `config_invalid`
   * @see https://www.rfc-editor.org/rfc/rfc9101 (signed request), https://www.rfc-editor.org/rfc/rfc9126 (PAR)
   */
  async getAuthorizationUrl(
    query: unknown,
    proofs: Proofs,
    scope: string | readonly string[],
    extraAuthorizationParams: AuthorizationParams = {},
    options: CallOptions = {},
  ): Promise<string> {
    if (!v.is(proofsShape, proofs)) {
      throw new IDPartnerError('config_invalid', 'the second argument must be the proofs of generateProofs()')
    }
    const params = searchParams(query)
    const { max_age, acr_values } = proofs
    const extra: AuthorizationParams = { max_age, acr_values, ...defined(extraAuthorizationParams) }
    if (this.selectsAccount(params)) return accountSelectorUrl(this.#config, params, scope, extra.claims).href
    noteChecks(proofs, extra)
    const direct = this.#config.flow === 'direct'
    const selected = direct && {
      identity_provider_id: optionalParam(params, 'idp_id'),
      idpartner_token: optionalParam(params, 'idpartner_token'),
    }
    const parameters = requestParameters(this.#config, proofs, scope, { ...selected, ...extra })
    const interactionId = proofs.interactionId ?? interactionIdFrom(proofs.codeVerifier)
    const call = { ...options, interactionId, dpop: this.#loginBinding(proofs) }
    try {
      const url = await trace('request', loginStep(interactionId), (step) =>
        direct
          ? this.#bankUrl(params, parameters, call, step)
          : this.#proxyUrl(params, parameters, call, step),
      )
      return url.href
    } catch (err) {
      throw err instanceof IDPartnerError ? err.withInteractionId(interactionId) : err
    }
  }

  /**
   * Whether the browser goes to the account selector first, which sends it back to the same route with an `iss`.
   * @internal
   */
  selectsAccount(params: URLSearchParams): boolean {
    return this.#config.flow === 'direct' && !params.has('iss')
  }

  async #proxyUrl(
    params: URLSearchParams,
    parameters: Record<string, string>,
    call: ProviderCall,
    step: StepEvent,
  ): Promise<URL> {
    step.issuer = this.#config.oidc_proxy_service_url
    const proxy = await this.#providerOf(this.#config.oidc_proxy_service_url, call)
    const url = await proxy.signedAuthorizationUrl(parameters)
    const visitor = optionalParam(params, 'visitor_id')
    if (visitor !== undefined) url.searchParams.set('visitor_id', visitor)
    return url
  }

  async #bankUrl(
    params: URLSearchParams,
    parameters: Record<string, string>,
    call: ProviderCall,
    step: StepEvent,
  ): Promise<URL> {
    const issuer = optionalParam(params, 'iss') ?? ''
    await inTime(call.signal, this.#allowed.check(issuer))
    step.issuer = issuer
    if (call.seen) call.seen.issuer = issuer
    const bank = await this.#providerOf(issuer, call)
    return bank.pushedAuthorizationUrl(parameters)
  }

  /**
   * Verifies what IDPartner's proxy sent the browser back with, and names the bank the person chose.
   *
   * Does not open the bank's answer; look at `identity_provider` first and refuse the bank if you wish.
   *
   * @param query the callback route's query, or a parsed form body
   * @throws {IDPartnerError} `response_invalid`, `provider_refused`, `provider_unavailable`; `access_denied` and
   *   `provider_error` for an error in the query, which anyone could have written there
   */
  async unpackProxyResponse(
    query: unknown,
  ): Promise<{ identity_provider: IdentityProvider; idp_response_code: string }> {
    if (this.#config.flow !== 'proxy') {
      throw new IDPartnerError(
        'config_invalid',
        'there is no proxy in the direct flow: pass "response" on to claims()',
      )
    }
    const params = callbackParams(searchParams(query), 'jwt')
    if (params && 'error' in params) throw authorizationError(params.error)
    if (!params || 'code' in params) {
      throw new IDPartnerError('response_invalid', 'the query holds no "response"')
    }
    const { identity_provider, idp_response_code } = await this.readProxyDocument(params.response)
    return { identity_provider, idp_response_code }
  }

  /**
   * Verifies the proxy's document and asks whether its bank is allowed.
   * @internal
   */
  async readProxyDocument(response: string, { record }: CallOptions = {}): Promise<ProxyDocument> {
    return trace('document', {}, async (step) => {
      const document = await verifyProxyDocument(response, {
        keys: this.#trustDirectoryKeys,
        issuer: this.#config.trust_directory_issuer,
        audience: this.#config.client_id,
        clockTolerance: this.#config.clock_tolerance,
        witness: record?.witness('document'),
      })
      const { issuer_url } = document.identity_provider
      this.#allowed.vouch(issuer_url)
      await this.#allowed.check(issuer_url)
      Object.assign(step, loginStep(document.interactionId, issuer_url))
      return document
    })
  }

  /**
   * Redeems the bank's answer and returns the claims of its ID token, verified as the bank's; what they say of
   * the person is as the bank wrote it.
   *
   * Does not remember that the answer was used: forget the proofs as soon as you have passed them here. Asks for no
   * userinfo: see {@link IDPartner.userInfo}.
   *
   * @param response `idp_response_code` of {@link IDPartner.unpackProxyResponse}, or `response` in the direct flow; with
   *   `response_mode` `'query'` the callback route's query, or a parsed form body
   * @param issuer the bank the answer has to be from; by default any that IDPartner vouched for or `trusted_issuers` allows
   * @throws {IDPartnerError} as {@link IDPartner.token}
   */
  async claims(
    response: string | object,
    proofs: Proofs,
    issuer?: string,
    options?: CallOptions,
  ): Promise<IDPartnerClaims> {
    return (await this.token(response, proofs, issuer, options)).claims
  }

  /**
   * Redeems the bank's answer and returns the whole token set.
   *
   * @throws {IDPartnerError} `response_invalid`, `login_missing` (the answer is of another login), `access_denied`,
   *   `provider_refused`, `provider_error`, `provider_unavailable`, `token_invalid`
   * @see https://openid.net/specs/openid-connect-core-1_0.html#TokenEndpoint
   */
  async token(
    response: string | object,
    proofs: Proofs,
    issuer?: string,
    options: CallOptions = {},
  ): Promise<TokenSet & { claims: IDPartnerClaims }> {
    const answer =
      this.#config.response_mode === 'query'
        ? await this.readAnswer(this.#plainAnswer(response), options, issuer)
        : await this.#verifyAnswer(
            response,
            issuer,
            (from) => this.#keysOfAllowed(from, options.signal),
            options,
          )
    if (!v.is(proofsShape, proofs) || answer.state !== proofs.state) {
      throw new IDPartnerError('login_missing', 'the answer belongs to another login than these proofs', {
        reason: 'no_login',
      })
    }
    return this.redeem(answer, proofs, options)
  }

  /** What a callback's query holds, for whoever has no strategy that reads it. */
  #plainAnswer(query: unknown): PlainAnswer {
    const params = callbackParams(searchParams(query), 'query')
    if (params && 'code' in params) return params
    if (params && 'error' in params) throw authorizationError(params.error)
    throw new IDPartnerError('response_invalid', 'the query holds no "code"')
  }

  /**
   * The answer that an unsigned error may be, where plain ones are the usual ones: it is as authentic as its issuer and
   * its state are right.
   * @internal
   */
  readError(error: PlainError): AuthorizationAnswer | undefined {
    return this.#config.response_mode === 'query' ? readPlainError(error, this.#config) : undefined
  }

  /**
   * Opens and verifies a bank's answer, of the bank of a verified document or else of any that is allowed: after this
   * it is authentic, but may belong to any login. A plain one is authentic for no other login than the one it names.
   * @internal
   */
  async readAnswer(
    sealed: ProxyDocument | string | PlainAnswer,
    options: CallOptions = {},
    issuer?: string,
  ): Promise<AuthorizationAnswer> {
    if (typeof sealed === 'object' && 'code' in sealed) {
      return readingAnswer({}, () =>
        readPlainAnswer(sealed, this.#config, issuer, (from) =>
          inTime(options.signal, this.#allowed.check(from)),
        ),
      )
    }
    if (typeof sealed === 'string') {
      return this.#verifyAnswer(
        sealed,
        undefined,
        (from) => this.#keysOfAllowed(from, options.signal),
        options,
      )
    }
    const { idp_response_code, identity_provider, interactionId } = sealed
    // readProxyDocument has asked whether this bank is allowed.
    const keysOf = (from: string): Promise<FindKeys> => Promise.resolve(this.#issuers.keys(from))
    const { issuer_url } = identity_provider
    const step = loginStep(interactionId, issuer_url)
    return this.#verifyAnswer(idp_response_code, issuer_url, keysOf, options, step)
  }

  async #verifyAnswer(
    response: unknown,
    issuer: string | undefined,
    keysOf: (issuer: string) => Promise<FindKeys>,
    { signal, record }: CallOptions,
    vouched?: StepEvent,
  ): Promise<AuthorizationAnswer> {
    return readingAnswer(vouched ?? {}, async () => {
      const keys = await this.#keys
      const verifying = verifyJarm(response, {
        decryption: decryptionOf(this.#config.encryption.authorization, keys),
        alg: this.#config.authorization_signed_response_alg,
        clientId: this.#config.client_id,
        clockTolerance: this.#config.clock_tolerance,
        issuer,
        vouched: vouched !== undefined,
        partyOf: (bank) => partyOf(bank, this.#config),
        keysOf,
        witness: record?.witness('answer'),
      })
      return inTime(signal, verifying)
    })
  }

  async #keysOfAllowed(issuer: string, signal: AbortSignal | undefined): Promise<FindKeys> {
    // Who decides too late asks for no keys any more.
    await inTime(signal, this.#allowed.check(issuer))
    return this.#issuers.keys(issuer)
  }

  /**
   * Exchanges the code of an authentic answer, whose login the caller has found and used up.
   * @internal
   */
  async redeem(
    { issuer, state, outcome }: AuthorizationAnswer,
    login: Omit<IdTokenChecks & Proofs, 'state'>,
    options: CallOptions = {},
  ): Promise<TokenSet & { claims: IDPartnerClaims }> {
    if ('error' in outcome) {
      // A bank may repeat what it was asked with.
      const sent = [state, login.nonce, login.codeVerifier]
      const cause = new ErrorResponse(undefined, outcome.error, outcome.description, sent)
      throw authorizationError(outcome.error, { party: partyOf(issuer, this.#config), cause })
    }
    // Only readAnswer makes answers, and it asked whether their issuer is allowed.
    const { interactionId = interactionIdFrom(login.codeVerifier) } = login
    const dpop = this.#loginBinding(login.dpopKey === undefined ? undefined : login)
    const bank = await this.#providerOf(issuer, { ...options, interactionId, dpop })
    return this.#vouched(issuer, bound(await bank.exchange(outcome.code, login), dpop))
  }

  /**
   * Asks for the userinfo of a login that was just redeemed.
   * @internal
   */
  async readUserInfo(
    issuer: string,
    tokens: TokenSet & { claims: IDPartnerClaims },
    options: CallOptions = {},
  ): Promise<UserInfo> {
    const bank = await this.#providerOf(issuer, { ...options, ...callOf(tokens) })
    return bank.userInfo(tokens.access_token, tokens.claims.sub)
  }

  /**
   * Whether there is a key to seal receipts with, where they are wanted.
   * @internal
   */
  assertSeals(wanted: boolean): void {
    const seals = this.#config.keys.some(({ use, status }) => use === 'sig' && status === 'current')
    if (wanted && !seals) {
      throw badOption('receipt', 'needs a signing key in "jwks", which seals receipts (see generateJwks)')
    }
  }

  /**
   * Keeps what is signed of one login, whose calls are given it. Loaded when it is asked for.
   * @internal
   */
  async newRecord(): Promise<LoginRecord> {
    return new (await import('./login-record.js')).LoginRecord()
  }

  /**
   * Seals what was kept of a login that ended well.
   * @internal
   */
  async receipt(record: LoginRecord, login: EndedWell): Promise<string> {
    return record.receipt(login, this.#config, await this.#keys)
  }

  /**
   * Asks the bank for further claims of the person who logged in.
   *
   * @param tokens the token set of the login; its `claims.sub` has to be the answer's
   * @throws {IDPartnerError} `token_invalid`, `provider_error`, `provider_unavailable`, `provider_refused`
   * @see https://openid.net/specs/openid-connect-core-1_0.html#UserInfo
   */
  async userInfo(issuer: string, tokens: TokenSet, options: CallOptions = {}): Promise<UserInfo> {
    checkTokens(tokens, issuer)
    if (!tokens.claims) {
      throw new IDPartnerError('config_invalid', 'the token set has no claims to compare the userinfo with')
    }
    const bank = await this.#allowedProvider(issuer, options, tokens)
    return bank.userInfo(tokens.access_token, tokens.claims.sub)
  }

  /**
   * Fetches new tokens with a refresh token.
   *
   * With a bare refresh token it cannot know who logged in, so compare `claims.sub` with the earlier one yourself; with
   * the earlier token set that is done here.
   *
   * @throws {IDPartnerError} `token_invalid`, `provider_error`, `provider_unavailable`, `provider_refused`
   * @see https://openid.net/specs/openid-connect-core-1_0.html#RefreshTokens
   */
  async refreshToken(
    issuer: string,
    tokens: TokenSet | string,
    options: CallOptions = {},
  ): Promise<TokenSet> {
    if (typeof tokens !== 'string') checkTokens(tokens, issuer)
    const refreshToken = typeof tokens === 'string' ? tokens : tokens.refresh_token
    if (!refreshToken) {
      throw new IDPartnerError(
        'config_invalid',
        'there is no refresh token; ask for scope "offline_access" with prompt "consent"',
      )
    }
    checkToken(refreshToken)
    const step = loginStep(callOf(tokens).interactionId)
    try {
      return await trace('refresh', step, async () => {
        const dpop = callOf(tokens).dpop ?? this.#loginBinding()
        const bank = await this.#allowedProvider(issuer, { ...options, dpop }, tokens)
        step.issuer = issuer
        const renewed = bound(await bank.refresh(refreshToken), dpop)
        const earlier = typeof tokens === 'string' ? undefined : tokens.claims
        if (earlier && renewed.claims) checkRefreshed(renewed.claims, earlier, partyOf(issuer, this.#config))
        const claims = renewed.claims ?? earlier
        const before = { refresh_token: refreshToken, ...(typeof tokens === 'object' && goesOn(tokens)) }
        return this.#vouched(issuer, { ...before, ...renewed, ...(claims && { claims }) })
      })
    } catch (err) {
      logNotRefreshed(this.#config.log, err, step)
      throw err
    }
  }

  /**
   * Gives the token set back while its access token is good for another half a minute, or else a renewed one.
   *
   * Renews once, whoever asks and however many at the same moment, in this process; several processes have to lock what they
   * share themselves. A set that nobody knows the end of counts as good: where the bank has refused its access token, pass
   * `{ ...tokens, expires_at: 0 }`.
   *
   * @throws {IDPartnerError} with `status` 401 where the person has to log in again: `provider_error` (the bank refuses the
   *   refresh token), `access_denied` (there is none); else as {@link IDPartner.refreshToken}; and what `save` throws
   * @see https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2
   */
  async freshTokens(tokens: TokenSet, options: FreshTokensOptions): Promise<TokenSet> {
    const { save, signal, issuer = tokens.claims?.iss } = options
    if (typeof save !== 'function') {
      throw new IDPartnerError(
        'config_invalid',
        'freshTokens needs the function "save", or a renewed set is lost',
      )
    }
    if (issuer === undefined) {
      throw new IDPartnerError('config_invalid', 'these tokens have no claims: name their bank as "issuer"')
    }
    checkTokens(tokens, issuer)
    // Shared by all who wait for it, so the signal of one must not end it.
    const refresh = (current: TokenSet): Promise<TokenSet> => this.refreshToken(issuer, current)
    return this.#refreshes.fresh(issuer, tokens, refresh, { save, signal })
  }

  /**
   * Calls an API of the bank with the person's token, bound as it is: by certificate, by DPoP, or not at all.
   *
   * Sends the token to the origins of the bank's own endpoints and of `resource_servers`, and nowhere else; follows no
   * redirect, and does not judge the status. An answer has at most 1 MiB. The request is sent once, and once more where the
   * bank asks for another nonce, or with `fresh` says that the token has run out: it has done nothing then.
   *
   * @param url an https: URL without a fragment
   * @throws {IDPartnerError} `config_invalid` for what a token must not go with; `provider_unavailable`, `provider_refused`; and
   *   with `fresh` as {@link IDPartner.freshTokens}
   * @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1, https://www.rfc-editor.org/rfc/rfc9449#section-7
   */
  async request(
    issuer: string,
    tokens: TokenSet,
    url: string | URL,
    init: ResourceRequest = {},
  ): Promise<Response> {
    checkTokens(tokens, issuer)
    const { fresh, signal } = init
    const renewed = (old: TokenSet): Promise<TokenSet> =>
      fresh ? this.freshTokens(old, { save: fresh.save, issuer, signal }) : Promise.resolve(old)
    const ask = async (current: TokenSet): Promise<Response> => {
      const bank = await this.#allowedProvider(issuer, { signal }, current)
      return bank.request(url, current.access_token, init)
    }
    const current = await renewed(tokens)
    const response = await ask(current)
    if (!fresh || !hasRunOut(response)) return response
    return ask(await renewed({ ...current, expires_at: 0 }))
  }

  /**
   * Fetches the payment details the person consented to, as the bank has them.
   *
   * @throws {IDPartnerError} `provider_error`, `provider_unavailable`, `provider_refused`, `config_invalid`
   */
  async paymentDetailsInfo(issuer: string, tokens: TokenSet, options: CallOptions = {}): Promise<unknown> {
    checkTokens(tokens, issuer)
    const bank = await this.#allowedProvider(issuer, options, tokens)
    return bank.resource('payment_details_info_endpoint', tokens.access_token)
  }

  /**
   * Orders a payment. It is sent once: after an error, ask the bank before you try again.
   *
   * @param payment sent as JSON
   * @throws {IDPartnerError} `provider_error`, `provider_unavailable`, `provider_refused`, `config_invalid`
   */
  async paymentProcessing(
    issuer: string,
    tokens: TokenSet,
    payment: object,
    options: CallOptions = {},
  ): Promise<unknown> {
    checkTokens(tokens, issuer)
    const bank = await this.#allowedProvider(issuer, options, tokens)
    return bank.resource('payment_processing_endpoint', tokens.access_token, payment)
  }

  /**
   * Fetches a verifiable credential. Does not verify it.
   *
   * @param request sent as JSON to the issuer's `credential_endpoint`
   * @throws {IDPartnerError} `provider_error`, `provider_unavailable`, `provider_refused`
   * @see https://openid.net/specs/openid-4-verifiable-credential-issuance-1_0.html#name-credential-issuer-metadata
   */
  async credential(
    issuer: string,
    tokens: TokenSet,
    request: object,
    options: CallOptions = {},
  ): Promise<unknown> {
    checkTokens(tokens, issuer)
    const bank = await this.#allowedProvider(issuer, options, tokens)
    const url = new URL(joinUrl(issuer, '.well-known/openid-credential-issuer'))
    const metadata = await bank.document(url, 'credential issuer metadata')
    const known = v.is(credentialMetadata, metadata) ? metadata : undefined
    const endpoint = parseEndpoint(known?.credential_endpoint)
    if (!endpoint || (known?.credential_issuer ?? issuer) !== issuer) {
      throw new IDPartnerError(
        'provider_unavailable',
        `the credential issuer metadata of ${partyOf(issuer, this.#config)} is of another issuer or names no credential_endpoint`,
      )
    }
    return bank.json(endpoint, 'credential endpoint', tokens.access_token, request)
  }

  /**
   * Tells the bank that a token is no longer needed.
   *
   * @param tokens a token set, of which the refresh token is revoked if there is one, or a single token
   * @throws {IDPartnerError} `provider_error`, `provider_unavailable`, `provider_refused`
   * @see https://www.rfc-editor.org/rfc/rfc7009
   */
  async revokeToken(issuer: string, tokens: TokenSet | string, options: CallOptions = {}): Promise<void> {
    if (typeof tokens === 'string') checkToken(tokens)
    else checkTokens(tokens, issuer)
    const bank = await this.#allowedProvider(issuer, options, tokens)
    await bank.revoke(typeof tokens === 'string' ? tokens : (tokens.refresh_token ?? tokens.access_token))
  }

  /**
   * The URL that ends the person's session at the bank too, to send the browser to; `undefined` where the bank has none.
   *
   * Does not end the application's own session, and revokes no token: see {@link IDPartner.revokeToken}. The ID token goes
   * along in the URL, with all that it says of the person, and so into the browser's history: leave it out of `tokens`
   * where that is too much, and the bank asks the person instead.
   *
   * @throws {IDPartnerError} `provider_unavailable`, `provider_refused`, `config_invalid`
   * @see https://openid.net/specs/openid-connect-rpinitiated-1_0.html#RPLogout
   */
  async endSessionUrl(
    login: EndedLogin,
    params: EndSessionParams = {},
    options: CallOptions = {},
  ): Promise<string | undefined> {
    checkEndSession(login, params)
    const bank = await this.#allowedProvider(login.issuer, options, login.tokens)
    const endpoint = bank.endSessionEndpoint()
    return endpoint && endSessionUrl(endpoint, this.#config.client_id, login, params).href
  }

  /**
   * What a logout token has to match, which is signed and sealed as ID tokens are.
   * @internal
   */
  async logoutTokenExpected(signal?: AbortSignal): Promise<LogoutTokenExpected> {
    const { encryption, id_token_signed_response_alg, client_id, clock_tolerance } = this.#config
    return {
      decryption: decryptionOf(encryption.id_token, await this.#keys),
      alg: id_token_signed_response_alg,
      clientId: client_id,
      clockTolerance: clock_tolerance,
      keysOf: (issuer) => this.#keysOfAllowed(issuer, signal),
    }
  }

  /** @param tokens what the bank issued; a voucher in them is as good as a document */
  async #allowedProvider(
    issuer: string,
    call: ProviderCall,
    tokens?: Partial<TokenSet> | string,
  ): Promise<Provider> {
    const { voucher, claims } = typeof tokens === 'object' ? tokens : {}
    const { needsVoucher } = this.#allowed
    if (voucher !== undefined && (needsVoucher || !claims)) {
      const vouched = await readVoucher(voucher, this.#config.client_id, await this.#keys)
      // The claims of a set say whose it is, and where it has none, this alone does.
      if (!claims && vouched !== undefined && vouched !== issuer) throw ofAnotherBank(vouched, issuer)
      if (needsVoucher && vouched === issuer) this.#allowed.vouch(issuer)
    }
    await inTime(call.signal, this.#allowed.check(issuer))
    return this.#providerOf(issuer, { ...callOf(tokens), ...call })
  }

  /** Tokens of a bank that is allowed, with what shows that to other processes. */
  async #vouched<T extends TokenSet>(issuer: string, tokens: T): Promise<T> {
    if (!this.#allowed.needsVoucher) return tokens
    const voucher = await this.#vouchers.of(issuer, await this.#keys)
    return { ...tokens, ...(voucher !== undefined && { voucher }) }
  }

  /** A provider whose issuer is configured, or was allowed before in this operation. */
  async #providerOf(
    issuer: string,
    { signal, interactionId = randomUUID(), dpop, record }: ProviderCall,
  ): Promise<Provider> {
    const [keys, metadata, dpopKey] = await inTime(
      signal,
      Promise.all([this.#keys, this.#issuers.metadata(issuer), dpop && this.#dpopKey(dpop)]),
    )
    return new Provider({
      config: this.#config,
      http: this.#http,
      keys,
      issuerKeys: this.#issuers.keys(issuer),
      metadata,
      interactionId,
      dpop: dpopKey,
      nonces: this.#nonces,
      signal,
      record,
    })
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

/** Watches how a bank's answer is read. */
function readingAnswer(
  known: StepEvent,
  read: () => Promise<AuthorizationAnswer>,
): Promise<AuthorizationAnswer> {
  return trace('answer', known, async (step) => {
    const answer = await read()
    step.issuer = answer.issuer
    return answer
  })
}

/** What tokens of a bank are used with: never as bearer tokens what is bound, nor the other way round. */
function callOf(tokens: Partial<TokenSet> | string | undefined): ProviderCall {
  if (typeof tokens !== 'object') return {}
  const { token_type, dpop_key, interactionId } = tokens
  return {
    ...(token_type?.toLowerCase() === 'dpop' && { dpop: { key: dpop_key } }),
    ...(interactionId !== undefined && { interactionId }),
  }
}

/** Tokens with the key that they are bound to, so that other processes can use them. */
function bound<T extends TokenSet>(tokens: T, dpop: Binding | undefined): T {
  return dpop?.key === undefined ? tokens : { ...tokens, dpop_key: dpop.key }
}

/** Options that are there but `undefined` count as not given. */
function defined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}
