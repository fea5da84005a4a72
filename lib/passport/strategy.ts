import * as v from 'valibot'
import { authorizationError } from '../client/authorization-error.js'
import { neededAcr, type Proofs } from '../client/authorization-request.js'
import {
  callbackParams,
  optionalParam,
  type CallbackParams,
  type PlainError,
} from '../client/callback-params.js'
import { IDPartner } from '../client/idpartner.js'
import { IDPartnerError, type ErrorCode, type MissingReason } from '../errors.js'
import type { AuthorizationAnswer } from '../jwt/jarm.js'
import {
  PassportStrategy,
  hearLogIn,
  heard,
  lacksRedirect,
  successLanding,
  type Ending,
  type ExpressRequest,
  type Landings,
} from './host.js'
import type { IdentityProvider } from '../jwt/proxy-document.js'
import { printableUrl } from '../jwt/sealed-jwt.js'
import { isTimeout, tooLate, within } from '../net/deadline.js'
import { isCallbackRoute } from './callback-route.js'
import { fetchSite } from './fetch-site.js'
import { loginMissing, pendingLogin, proofsOf, type PendingLogin } from './logins.js'
import {
  loginOptions,
  resolveStrategyOptions,
  type AuthenticateOptions,
  type IDPartnerStrategyOptions,
  type LoginOptions,
  type Settings,
  type TenantOptions,
} from './options.js'
import { requestParams } from './request-params.js'
import { loginStep, type PassEvent } from '../events.js'
import { watched } from './watched.js'
import { forbidCaching } from './response-headers.js'
import { isSpeculative } from './speculative.js'
import { Tenants, type OptionsOf, type Tenant } from './tenants.js'
import { runVerify, type IDPartnerLogin, type Verify, type VerifyWithRequest } from './verify.js'

/** What Passport hands on when a login fails: `failureMessage`, `failureFlash` and custom callbacks get it. */
export interface FailureInfo {
  code: ErrorCode
  message: string
  reason?: MissingReason
  providerError?: string
  interactionId?: string
}

/** In place of an issuer, for a visit to the account selector: no bank's answer can use it up, as none has this name. */
const ACCOUNT_SELECTOR = 'account-selector'

/** Milliseconds by which a request's own time limit, whose error names the host, comes before that of the whole pass. */
const GRACE = 250

/** What a strategy is made of. */
type Given<Req extends object, Option = unknown> =
  (IDPartnerStrategyOptions<Req> & Option) | OptionsOf<Req, TenantOptions<Req> & Option>

/** How a pass ends when nothing went wrong. */
type Passed = { type: 'redirect'; url: string } | { type: 'login'; login: IDPartnerLogin }

/** How a request ends in Passport. */
type Outcome =
  | { type: 'redirect'; url: string }
  | { type: 'success'; user: object; info: object }
  | { type: 'fail'; info: object; status: number | undefined; err?: IDPartnerError }
  | { type: 'error'; err: Error }

/**
 * The Passport strategy: sends a person to their bank through IDPartner, and on the way back hands their claims to
 * `verify`.
 *
 * Does not decide who may use the application, and does not keep tokens: `verify` does, or does not.
 */
export class IDPartnerStrategy<Req extends object = ExpressRequest> extends PassportStrategy {
  readonly name: string
  /** Not private by syntax: Passport calls strategies through Object.create(), where no #member can be reached. */
  protected readonly tenants: Tenant<Req> | Tenants<Req>

  /**
   * @param options or a function that finds those of the tenant that a request is for
   * @throws {IDPartnerError} `config_invalid`, with a message that names the option; with a function not here but in each
   *   request
   */
  constructor(options: Given<Req, { passReqToCallback: true }>, verify: VerifyWithRequest<Req>)
  constructor(options: Given<Req, { passReqToCallback?: false | undefined }>, verify: Verify)
  constructor(options: Given<Req>, verify: Verify | VerifyWithRequest<Req>) {
    super()
    if (typeof options === 'function') {
      this.tenants = new Tenants(options, verify)
      this.name = this.tenants.name
      return
    }
    const { name, settings, config } = resolveStrategyOptions(options, verify)
    this.name = name
    this.tenants = { client: new IDPartner(config), settings }
    this.tenants.client.assertSeals(settings.receipt)
  }

  /**
   * The protocol client, for {@link jwksRouter} and for calls after login.
   *
   * @throws {IDPartnerError} `config_invalid` where each tenant has its own: see {@link IDPartnerStrategy.clientOf}
   */
  get client(): IDPartner {
    if (!(this.tenants instanceof Tenants)) return this.tenants.client
    throw new IDPartnerError(
      'config_invalid',
      'the options of this strategy are a function, so each tenant has a client of its own: await strategy.clientOf(req)',
    )
  }

  /**
   * The protocol client of the tenant that a request is for.
   *
   * @throws {IDPartnerError} `config_invalid`, and what the function threw that gives the options
   */
  async clientOf(req: Req): Promise<IDPartner> {
    return (await this.tenantOf(req)).client
  }

  /**
   * What every login of a tenant asks for.
   * @internal
   */
  async askedOf(req: Req): Promise<LoginOptions> {
    return (await this.tenantOf(req)).settings.login
  }

  private async tenantOf(req: Req): Promise<Tenant<Req>> {
    return this.tenants instanceof Tenants ? this.tenants.of(req) : this.tenants
  }

  /** Called by Passport for each request; ends in exactly one of redirect, success, fail and error. */
  authenticate(req: object, options: AuthenticateOptions = {}): void {
    forbidCaching(req)
    const outcome = isSpeculative(req)
      ? Promise.resolve(failed(speculative()))
      : this.passOf(req as Req, options)
    void outcome.then((one) => {
      deliver(this, req, options as Landings, one)
    })
  }

  private passOf(req: Req, options: AuthenticateOptions): Promise<Outcome> {
    const { tenants } = this
    const pass = (tenant: Tenant<Req>): Promise<Outcome> =>
      watched(tenant.client.log, (seen) => new Passes(tenant).outcome(req, options, seen))
    return tenants instanceof Tenants ? tenants.of(req).then(pass, failed) : pass(tenants)
  }
}

/** The three passes of a login, of one tenant. */
class Passes<Req extends object> {
  private readonly client: IDPartner
  private readonly settings: Readonly<Settings<Req>>

  constructor({ client, settings }: Tenant<Req>) {
    this.client = client
    this.settings = settings
  }

  async outcome(req: Req, options: AuthenticateOptions, seen: PassEvent): Promise<Outcome> {
    const budget = 2 * this.client.timeout + GRACE
    try {
      const passed = await within(budget, ({ signal }) => this.proceed(req, options, seen, signal))
      if (passed.type === 'redirect') return passed
      // Without a limit of its own here, and whatever it throws is an error.
      return await this.decide(req, passed.login).catch(failed)
    } catch (err) {
      if (!(err instanceof IDPartnerError)) return failed(isTimeout(err) ? tooLate(err) : err)
      return err.isFailure ? { type: 'fail', info: failureInfo(err), status: err.status, err } : failed(err)
    }
  }

  /** One of the three; the second is made in the direct flow alone. */
  private async proceed(
    req: Req,
    options: AuthenticateOptions,
    seen: PassEvent,
    signal: AbortSignal,
  ): Promise<Passed> {
    const params = requestParams(req)
    const brought = callbackParams(params, this.client.responseMode)
    if (brought) {
      seen.pass = 'callback'
      return { type: 'login', login: await this.finishLogin(req, brought, seen, signal) }
    }
    await this.assertNotEmptyAnswer(req, params, signal)
    seen.pass = this.client.selectsAccount(params) ? 'select' : 'begin'
    const url =
      seen.pass === 'select'
        ? await this.visitAccountSelector(req, params, options, signal)
        : await this.startLogin(req, params, options, seen, signal)
    return { type: 'redirect', url }
  }

  /** Sends the browser to the page where a person chooses a bank, from where it comes back to this route. */
  private async visitAccountSelector(
    req: Req,
    params: URLSearchParams,
    options: AuthenticateOptions,
    signal: AbortSignal,
  ): Promise<string> {
    const { client, settings } = this
    const proofs = client.generateProofs()
    const { scope, ...asked } = loginOptions(settings.login, options)
    const query = new URLSearchParams(params)
    let key = ACCOUNT_SELECTOR
    if (options.state !== undefined) {
      // The one thing that comes back from there: it binds the application's value to this visit and to no other.
      const ticket = proofs.state
      const visitor = optionalParam(params, 'visitor_id')
      query.set('visitor_id', visitor === undefined ? ticket : `${visitor}.${ticket}`)
      key = visitKey(ticket)
    }
    const url = await client.getAuthorizationUrl(query, proofs, scope, asked, { signal })
    // Remembered also without a value, where it can be looked at, so that a cancel there is known for one.
    if (options.state === undefined && !settings.logins.peek) return url
    const visit: PendingLogin = {
      nonce: '-',
      codeVerifier: '-',
      interactionId: '-',
      strategy: settings.id,
      begun: now(),
      issuer: ACCOUNT_SELECTOR,
      sameRoute: this.isSameRoute(req),
      state: options.state,
    }
    await this.fromStore(() => settings.logins.save(req, key, visit, settings.loginTtl), signal)
    return url
  }

  /** Sends the browser to the bank, or to the proxy in front of all banks. */
  private async startLogin(
    req: Req,
    params: URLSearchParams,
    options: AuthenticateOptions,
    seen: PassEvent,
    signal: AbortSignal,
  ): Promise<string> {
    const { client, settings } = this
    const begun = now()
    const { interactionId, ...derived } = proofsOf(client.generateCodeVerifier())
    const proofs: Proofs = { ...derived, ...client.generateDpopKey() }
    Object.assign(seen, loginStep(interactionId))
    const { scope, ...asked } = loginOptions(settings.login, options)
    const extra = { ...asked, 'x-fapi-interaction-id': interactionId }
    const url = await withInteractionId(interactionId, () =>
      client.getAuthorizationUrl(params, proofs, scope, extra, { signal, seen }),
    )
    const { state, nonce, codeVerifier } = proofs
    const login: PendingLogin = {
      nonce,
      codeVerifier,
      interactionId,
      strategy: settings.id,
      begun,
      issuer: client.flow === 'direct' ? optionalParam(params, 'iss') : undefined,
      max_age: proofs.max_age,
      acr_values: proofs.acr_values,
      floor: settings.floor,
      dpopKey: proofs.dpopKey,
      sameRoute: this.isSameRoute(req),
      state: options.state ?? (await this.selectorState(req, params, signal)),
    }
    await this.fromStore(() => settings.logins.save(req, state, login, settings.loginTtl), signal)
    return url
  }

  /** The application's value from before the account selector, which sends the browser back without it. */
  private async selectorState(req: Req, params: URLSearchParams, signal: AbortSignal): Promise<unknown> {
    const ticket = optionalParam(params, 'visitor_id')?.split('.').at(-1)
    if (this.client.flow === 'proxy' || ticket === undefined || !TICKET.test(ticket)) return undefined
    const visit = await this.fromStore(() => this.settings.logins.take(req, visitKey(ticket)), signal)
    return typeof visit === 'object' && visit.strategy === this.settings.id ? visit.state : undefined
  }

  /** In this order: is the answer authentic, is it of a login begun here, and only then what it says. */
  private async finishLogin(
    req: Req,
    brought: CallbackParams,
    seen: PassEvent,
    signal: AbortSignal,
  ): Promise<IDPartnerLogin> {
    if ('error' in brought) throw await this.unsigned(req, brought, signal)
    const { client } = this
    const record = this.settings.receipt ? await client.newRecord() : undefined
    const call = { signal, record }
    const sealed = 'response' in brought ? brought.response : brought
    const document =
      client.flow === 'proxy' && typeof sealed === 'string'
        ? await client.readProxyDocument(sealed, call)
        : undefined
    Object.assign(seen, loginStep(document?.interactionId, document?.identity_provider.issuer_url))
    return withInteractionId(document?.interactionId, async () => {
      const answer = await client.readAnswer(document ?? sealed, call)
      seen.issuer = answer.issuer
      const pending = await this.takeLogin(req, answer, signal)
      Object.assign(seen, loginStep(pending.interactionId))
      return withInteractionId(pending.interactionId, async () => {
        const { issuer } = answer
        const identityProvider = document?.identity_provider ?? client.identityProviderOf(issuer)
        if ('code' in answer.outcome) await this.assertAccepted(identityProvider, req)
        const checks = { ...pending, floor: this.floorOf(pending) }
        const tokens = await client.redeem(answer, checks, call)
        const userInfo = this.settings.fetchUserInfo
          ? { userInfo: await client.readUserInfo(issuer, tokens, call) }
          : {}
        // From then on nothing but answers is expected at the callback. A login that is only begun may be a stranger's.
        if (pending.sameRoute !== true) this.settings.routes.startsElsewhere = true
        const { claims } = tokens
        const { interactionId, state } = pending
        const { tenant } = this.settings
        const whose = tenant === undefined ? {} : { tenant }
        const login = {
          claims,
          identityProvider,
          issuer,
          tokens,
          ...userInfo,
          interactionId,
          state,
          ...whose,
        }
        if (!record) return login
        const plain = 'code' in brought ? brought : undefined
        const ended = { issuer, state: answer.state, interactionId, begun: pending.begun, checks, plain }
        return { ...login, receipt: await client.receipt(record, ended) }
      })
    })
  }

  /** The last rung: the application decides who a person is. */
  private async decide(req: Req, login: IDPartnerLogin): Promise<Outcome> {
    const { user, info } = await runVerify(this.settings.verifier, req, login)
    if (!user) return { type: 'fail', info, status: undefined }
    const { identityProvider, interactionId, state } = login
    return { type: 'success', user, info: { ...info, identityProvider, interactionId, state } }
  }

  /** Uses up the login that an authentic answer belongs to. */
  private async takeLogin(req: Req, answer: AuthorizationAnswer, signal: AbortSignal): Promise<PendingLogin> {
    const { logins } = this.settings
    const waiting = await this.fromStore(() => logins.peek?.(req, answer.state), signal)
    // Another bank's answer is no answer to this login, so it must not use it up.
    if (typeof waiting === 'object') this.assertBelongs(waiting, answer.issuer, req)
    const taken = await this.fromStore(() => logins.take(req, answer.state), signal)
    if (!taken || typeof taken === 'string') throw loginMissing(taken, req, this.settings.callback)
    return this.assertBelongs(taken, answer.issuer, req)
  }

  /** A login is finished by the strategy that began it, with an answer of the bank that it went to. */
  private assertBelongs(stored: unknown, issuer: string, req: Req): PendingLogin {
    const { success, output: pending } = v.safeParse(pendingLogin, stored)
    if (!success || (this.client.flow === 'direct' && pending.issuer === undefined)) {
      throw new IDPartnerError(
        'config_invalid',
        'the login store returned something that is no pending login',
      )
    }
    if (pending.issuer !== undefined && pending.issuer !== issuer) {
      throw new IDPartnerError(
        'response_invalid',
        `the answer is from another bank than the login went to: ${printableUrl(issuer)} and ${printableUrl(pending.issuer)}`,
      )
    }
    if (pending.strategy !== this.settings.id) throw loginMissing('no_login', req)
    return pending
  }

  /** What this strategy asks of every login, when the one that began this login asked for something else. */
  private floorOf({ floor }: PendingLogin): Pick<LoginOptions, 'max_age' | 'acr_values'> | undefined {
    const { login, floor: own } = this.settings
    return floor === own ? undefined : { max_age: login.max_age, acr_values: neededAcr(login) }
  }

  /**
   * An error that nobody signed ends nothing: the login it may be meant for stays pending. Where answers are plain, one of
   * the right issuer and state is the bank's answer, and ends that login.
   */
  private async unsigned(req: Req, brought: PlainError, signal: AbortSignal): Promise<IDPartnerError> {
    const { logins } = this.settings
    const { error, state } = brought
    const answer = this.client.readError(brought)
    if (answer) {
      const { interactionId } = await this.takeLogin(req, answer, signal)
      return authorizationError(error).withInteractionId(interactionId)
    }
    const waiting = await this.fromStore(() => logins.peek?.(req, state), signal)
    if (typeof waiting === 'string') return loginMissing(waiting, req, this.settings.callback)
    const visited = waiting?.issuer === ACCOUNT_SELECTOR
    const id = visited ? undefined : waiting?.interactionId
    return authorizationError(error).withInteractionId(id)
  }

  /**
   * The callback without any answer is no wish to log in: a bank that answers in the fragment would send the browser
   * round and round. Where logins begin at the callback's own route it cannot be told from such a wish, except that
   * the browser comes from another site while a login waits.
   */
  private async assertNotEmptyAnswer(req: Req, params: URLSearchParams, signal: AbortSignal): Promise<void> {
    const { callback, routes, logins } = this.settings
    // With an issuer it comes from the account selector.
    if (!isCallbackRoute(req, callback) || (this.client.flow === 'direct' && params.has('iss'))) return
    const site = fetchSite(req)
    // No bank sent these. Whatever routes a stranger made us believe in, people can go on to log in.
    if (site === 'same-origin' || site === 'none') return
    const waiting = await this.fromStore(() => logins.peek?.(req, undefined), signal)
    const returned = typeof waiting === 'object' && site === 'cross-site'
    const elsewhere = typeof waiting === 'object' && waiting.sameRoute !== true
    if (!routes.startsElsewhere && !returned && !elsewhere) return
    throw new IDPartnerError(
      'response_invalid',
      'the browser came back without an answer: there is no "response" in the query or in a posted form',
    )
  }

  private isSameRoute(req: Req): true | undefined {
    return isCallbackRoute(req, this.settings.callback) ? true : undefined
  }

  /** Waits for the login store, which is the application's, and may fail or hang; it has as long as a bank has. */
  private async fromStore<T>(
    call: () => Promise<T> | undefined,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    try {
      return await within(this.client.timeout, async () => call(), signal)
    } catch (err) {
      if (err instanceof IDPartnerError) throw err
      throw new IDPartnerError(
        'config_invalid',
        'the session or login store failed or did not answer in time',
        { cause: err },
      )
    }
  }

  private async assertAccepted(provider: IdentityProvider, req: Req): Promise<void> {
    const { acceptProvider } = this.settings
    if (!acceptProvider) return
    // Only true accepts: a forgotten return is a no.
    const accepted: unknown = await acceptProvider(provider, req)
    if (accepted !== true) {
      throw new IDPartnerError(
        'provider_refused',
        'this bank is not accepted here ("acceptProvider" said no)',
      )
    }
  }
}

/**
 * The only place that talks to Passport, once for each request.
 *
 * A callback of the application that throws has been called, and is not called again with what it threw itself. One that
 * is async and rejects is heard where Passport hands its promise on, which it does not for a failure.
 */
function deliver(passport: Ending, req: object, options: Landings, outcome: Outcome): void {
  const throwing =
    (landing?: unknown) =>
    (err: unknown): void => {
      const { next } = req as { next?: (err: unknown) => void }
      // Passport has come to its last line, where it redirects.
      if (typeof landing === 'string' && lacksRedirect(err)) passport.redirect(landing)
      else if (typeof next === 'function') next(asError(err))
      else if (outcome.type !== 'error') passport.error(asError(err))
    }
  if (outcome.type === 'success') {
    hearLogIn(req, (done) => {
      heard(done, throwing(successLanding(req, options)))
    })
  }
  heard(
    () => tell(passport, outcome),
    throwing(outcome.type === 'fail' ? options.failureRedirect : undefined),
  )
}

function tell(passport: Ending, outcome: Outcome): unknown {
  switch (outcome.type) {
    case 'redirect':
      return passport.redirect(outcome.url)
    case 'success':
      return passport.success(outcome.user, outcome.info)
    case 'fail':
      // Passport takes a missing status for its default.
      return passport.fail(outcome.info, outcome.status)
    case 'error':
      return passport.error(outcome.err)
  }
}

/** The length of a state of ours. */
const TICKET = /^[\w-]{43}$/

function visitKey(ticket: string): string {
  return `${ACCOUNT_SELECTOR}.${ticket}`
}

function now(): number {
  return Math.floor(Date.now() / 1000)
}

function speculative(): IDPartnerError {
  return new IDPartnerError(
    'response_invalid',
    'a prefetch, a preview or a request that is neither GET nor POST begins no login and ends none',
    { status: 503 },
  )
}

/** Adds the id of a login to what goes wrong in some work, unless that knows its own. */
async function withInteractionId<T>(id: string | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (err) {
    throw err instanceof IDPartnerError && err.interactionId === undefined ? err.withInteractionId(id) : err
  }
}

function failed(err: unknown): Outcome {
  return { type: 'error', err: asError(err) }
}

/** Passport hands an error to `next`, where nothing at all means to go on, and `'route'` to go elsewhere. */
function asError(err: unknown): Error {
  if (typeof err === 'object' && err !== null) return err as Error
  return new IDPartnerError(
    'config_invalid',
    'a function of the application failed with something that is no error',
  )
}

function failureInfo({ code, message, reason, providerError, interactionId }: IDPartnerError): FailureInfo {
  return {
    code,
    message,
    ...(reason !== undefined && { reason }),
    ...(providerError !== undefined && { providerError }),
    ...(interactionId !== undefined && { interactionId }),
  }
}
