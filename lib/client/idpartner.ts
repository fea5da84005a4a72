import type { JSONWebKeySet } from 'jose'
import * as oidc from 'openid-client'
import * as v from 'valibot'
import { ErrorResponse, IDPartnerError } from '../errors.js'
import type { IDPartnerClaims, UserInfo } from '../jwt/claims.js'
import type { IdTokenChecks } from '../jwt/id-token.js'
import type { AuthorizationAnswer } from '../jwt/jarm.js'
import type { LogoutTokenExpected } from '../jwt/logout-token.js'
import type { IdentityProvider, ProxyDocument } from '../jwt/proxy-document.js'
import {
  assertFrom,
  plainAnswerOf,
  readAnswer,
  readDocument,
  readSignedAnswer,
  signedAnswerOf,
} from './answers.js'
import type { PreflightOptions } from './asked-for.js'
import { authorizationError } from './authorization-error.js'
import type { AuthorizationParams, Proofs, TakeProofs } from './authorization-request.js'
import { bankOf, type Bank } from './banks.js'
import type { PlainAnswer, PlainError } from './callback-params.js'
import type { Checks } from './check.js'
import type { Flow, IDPartnerConfig, ResolvedConfig } from './config.js'
import { credential } from './credential.js'
import { Credentials } from './credentials.js'
import { decryptionOf } from './encryption.js'
import { checkEndSession, endSessionUrl, type EndedLogin, type EndSessionParams } from './end-session.js'
import { Refreshes, type FreshTokensOptions } from './fresh-tokens.js'
import { interactionIdFrom } from './interaction-id.js'
import type { Log } from './log.js'
import type { EndedWell, LoginRecord } from './login-record.js'
import { loginUrl, proofsShape, selectsAccount } from './login-request.js'
import { badOption } from './option-errors.js'
import { partyOf } from './party.js'
import { readPlainError } from './plain-answer.js'
import type { ResponseMode } from './profile.js'
import type { Provider } from './provider.js'
import { Providers, bound, callOf, type CallOptions } from './providers.js'
import type { Publications } from './published.js'
import { refresh } from './refresh.js'
import { checkInit, hasRunOut, type ResourceRequest } from './resource-request.js'
import { checkToken, checkTokens, type TokenSet } from './tokens.js'

/** What clients of several tenants have of each other. */
interface Shared {
  publications?: Publications
  /** The client of the same tenant before one of its options changed. */
  earlier?: IDPartner | undefined
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
  readonly #providers: Providers
  readonly #own: Credentials
  readonly #refreshes: Refreshes

  /** @throws {IDPartnerError} `config_invalid`, with a message that names the option */
  constructor(config: IDPartnerConfig)
  /** @internal */
  // eslint-disable-next-line @typescript-eslint/unified-signatures -- the types of the package leave this one out
  constructor(config: IDPartnerConfig, shared: Shared)
  constructor(config: IDPartnerConfig, { publications, earlier }: Shared = {}) {
    this.#own = new Credentials(config, publications)
    this.#config = this.#own.settings
    this.#providers = new Providers(this.#own)
    // Tokens that were renewed a moment ago are not renewed again because an option has another value now.
    const isSame = earlier && earlier.#config.client_id === this.#config.client_id
    this.#refreshes = isSame ? earlier.#refreshes : new Refreshes()
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
    const { preflight, withoutKeys } = await import('./preflight.js')
    const own = await this.#own.current().catch((err: unknown) => withoutKeys(err))
    if ('checks' in own) return own
    return preflight(
      {
        config: own.config,
        publicKeys: structuredClone(own.keys.public),
        begin: (query, scope, asked) => this.getAuthorizationUrl(query, this.generateProofs(), scope, asked),
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
    const { banks } = await this.#own.current()
    return banks.list(this.#config.trusted_issuers, this.#config.timeout)
  }

  /**
   * A bank by what is in memory of it, as IDPartner's document has it in the proxy flow.
   * @internal
   */
  identityProviderOf(issuer: string): IdentityProvider {
    const { name, logo } = bankOf(issuer, this.#own.latest?.published.issuers.known(issuer))
    return { name, issuer_url: issuer, ...(logo !== undefined && { logo_uri: logo }) }
  }

  /**
   * The application's public keys, for IDPartner and the banks to fetch. See {@link jwksRouter}.
   *
   * @throws {IDPartnerError} `config_invalid` where a key of `jwks` is none
   * @see https://www.rfc-editor.org/rfc/rfc7517#section-5
   */
  async getPublicJWKs(): Promise<JSONWebKeySet> {
    return structuredClone((await this.#providers.keys).public)
  }

  /**
   * Reads keys and certificates again that are given as functions or `file:` URLs, and uses them where they are good; a login
   * that was begun before finishes after.
   *
   * Does not wait for banks to fetch the new keys: publish them first, with the status `next`.
   *
   * @throws {IDPartnerError} `config_invalid`: what was in use stays so, as a log line and the event `kept` say too; whoever
   *   does not wait for this need not look after it
   */
  reload(): Promise<void> {
    return this.#own.reload()
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
    return this.#providers.newDpopKey()
  }

  /**
   * Builds the URL to send the browser to.
   *
   * In the direct flow and without `iss` in the query that is IDPartner's account selector, which sends the browser
   * back to the same route with an `iss`; the proofs are not used until then.
   *
   * What has to be checked at the end is noted in the proofs: `max_age`, `acr_values`, and in the direct flow the bank. Store
   * them afterwards.
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
    return loginUrl(this.#providers, query, proofs, scope, extraAuthorizationParams, options)
  }

  /**
   * Whether the browser goes to the account selector first, which sends it back to the same route with an `iss`.
   * @internal
   */
  selectsAccount(params: URLSearchParams): boolean {
    return selectsAccount(this.#config, params)
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
    const { identity_provider, idp_response_code } = await this.readProxyDocument(signedAnswerOf(query))
    return { identity_provider, idp_response_code }
  }

  /**
   * Verifies the proxy's document and asks whether its bank is allowed.
   * @internal
   */
  async readProxyDocument(response: string, options: CallOptions = {}): Promise<ProxyDocument> {
    const { published } = await this.#own.current()
    return readDocument(this.#providers, published.trustDirectoryKeys, response, options)
  }

  /**
   * Redeems the bank's answer and returns the claims of its ID token, verified as the bank's; what they say of
   * the person is as the bank wrote it.
   *
   * Does not remember that the answer was used: forget the proofs as soon as you have passed them here, or pass a function that
   * does. Asks for no userinfo: see {@link IDPartner.userInfo}.
   *
   * @param response the callback route's query, or a parsed form body; or else `idp_response_code` of
   *   {@link IDPartner.unpackProxyResponse}, or `response` in the direct flow
   * @param proofs of this login; or a function that takes those of a `state` out of all that wait in this browser. It is called
   *   for an authentic answer alone, once, before the code is sent, and what it throws is thrown
   * @param issuer the bank the answer has to be from; by default the one that the proofs name, or else any that IDPartner
   *   vouched for or `trusted_issuers` allows
   * @throws {IDPartnerError} as {@link IDPartner.token}
   */
  async claims(
    response: string | object,
    proofs: Proofs | TakeProofs,
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
    proofs: Proofs | TakeProofs,
    issuer?: string,
    options: CallOptions = {},
  ): Promise<TokenSet & { claims: IDPartnerClaims }> {
    const answer = await this.#answer(response, issuer, options)
    // In this order, so that no answer but an authentic one uses a login up.
    const login: unknown = typeof proofs === 'function' ? await proofs(answer.state) : proofs
    if (!v.is(proofsShape, login) || answer.state !== login.state) {
      const message =
        typeof proofs === 'function'
          ? 'no login is waiting for this answer in this browser'
          : 'the answer belongs to another login than these proofs'
      throw new IDPartnerError('login_missing', message, { reason: 'no_login' })
    }
    assertFrom(login.issuer, answer.issuer)
    return this.redeem(answer, login, options)
  }

  /** The authentic answer that a callback's query holds, or that was taken out of it before. */
  async #answer(
    brought: unknown,
    issuer: string | undefined,
    options: CallOptions,
  ): Promise<AuthorizationAnswer> {
    const { flow, response_mode } = this.#config
    if (response_mode === 'query') {
      return readAnswer(this.#providers, plainAnswerOf(brought), options, issuer)
    }
    if (typeof brought !== 'object' || brought === null) {
      return readSignedAnswer(this.#providers, brought, options, issuer)
    }
    const response = signedAnswerOf(brought)
    if (flow === 'direct') return readSignedAnswer(this.#providers, response, options, issuer)
    const document = await this.readProxyDocument(response, options)
    assertFrom(issuer, document.identity_provider.issuer_url)
    return readAnswer(this.#providers, document, options)
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
  ): Promise<AuthorizationAnswer> {
    return readAnswer(this.#providers, sealed, options)
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
    const dpop = this.#providers.bindingOf(login.dpopKey === undefined ? undefined : login)
    const bank = await this.#providers.of(issuer, { ...options, interactionId, dpop })
    return this.#providers.vouched(bank, bound(await bank.exchange(outcome.code, login), dpop))
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
    const bank = await this.#providers.of(issuer, { ...options, ...callOf(tokens) }, tokens)
    return bank.userInfo(tokens.access_token, tokens.claims.sub)
  }

  /**
   * Whether there is a key to seal receipts with, where they are wanted.
   * @internal
   */
  assertSeals(wanted: boolean): void {
    const seals = this.#config.keys.some(({ use, status }) => use === 'sig' && status === 'current')
    if (wanted && !seals && !this.#own.areKeysAwaited) {
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
    return record.receipt(login, this.#config, await this.#providers.keys)
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
    const bank = await this.#providers.allowedOf(issuer, options, tokens)
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
    return refresh(this.#providers, issuer, tokens, options)
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
    const {
      save,
      signal,
      issuer = (tokens as TokenSet | undefined)?.claims?.iss,
    } = (options as Partial<FreshTokensOptions> | undefined) ?? {}
    if (typeof save !== 'function') {
      throw new IDPartnerError(
        'config_invalid',
        'freshTokens needs the function "save", or a renewed set is lost: freshTokens(tokens, { save })',
      )
    }
    if (issuer === undefined) {
      throw new IDPartnerError('config_invalid', 'these tokens have no claims: name their bank as "issuer"')
    }
    checkTokens(tokens, issuer)
    // Shared by all who wait for it, so the signal of one must not end it.
    const renew = (current: TokenSet): Promise<TokenSet> => this.refreshToken(issuer, current)
    return this.#refreshes.fresh(issuer, tokens, renew, { save, signal })
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
    checkInit(init)
    const { fresh, signal } = init
    const renewed = (old: TokenSet): Promise<TokenSet> =>
      fresh ? this.freshTokens(old, { save: fresh.save, issuer, signal }) : Promise.resolve(old)
    const bankOf = (current: TokenSet): Promise<Provider> =>
      this.#providers.allowedOf(issuer, { signal }, current)
    // Before a refresh token is used up for a call that is not made.
    const request = (await bankOf(tokens)).checkRequest(url, init)
    const ask = async (current: TokenSet): Promise<Response> =>
      (await bankOf(current)).request(request, current.access_token)
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
    const bank = await this.#providers.allowedOf(issuer, options, tokens)
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
    const bank = await this.#providers.allowedOf(issuer, options, tokens)
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
    const bank = await this.#providers.allowedOf(issuer, options, tokens)
    return credential(bank, partyOf(issuer, this.#config), tokens.access_token, request)
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
    const bank = await this.#providers.allowedOf(issuer, options, tokens, 'anew')
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
    const bank = await this.#providers.allowedOf(login.issuer, options, login.tokens, 'anew')
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
      decryption: decryptionOf(encryption.id_token, await this.#providers.keys),
      alg: id_token_signed_response_alg,
      clientId: client_id,
      clockTolerance: clock_tolerance,
      keysOf: (issuer) => this.#providers.keysOfAllowed(issuer, signal),
    }
  }
}
