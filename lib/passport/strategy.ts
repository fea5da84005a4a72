import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { authorizationError } from '../client/authorization-error.js'
import { callbackParams, type CallbackParams } from '../client/callback-params.js'
import { Deadline, tooLate, until } from '../net/deadline.js'
import { IDPartnerError, type ErrorCode, type MissingReason } from '../errors.js'
import { IDPartner } from '../client/idpartner.js'
import type { AuthorizationAnswer } from '../jwt/jarm.js'
import { PassportStrategy, type Ending, type ExpressRequest } from './host.js'
import { loginMissing, pendingLogin, type PendingLogin } from './logins.js'
import type { IdentityProvider } from '../jwt/proxy-document.js'
import { requestParams } from './request-params.js'
import {
  loginOptions,
  resolveStrategyOptions,
  type AuthenticateOptions,
  type IDPartnerStrategyOptions,
  type Settings,
} from './options.js'
import { runVerify, type IDPartnerLogin, type Verify, type VerifyWithRequest } from './verify.js'

/** What Passport hands on when a login fails: `failureMessage`, `failureFlash` and custom callbacks get it. */
export interface FailureInfo {
  code: ErrorCode
  message: string
  reason?: MissingReason
  providerError?: string
  interactionId?: string
}

/**
 * In place of a state and of an issuer, for a visit to the account selector: it is remembered so that a cancel there
 * is known for one. No bank's answer can use it up, since no issuer has this name.
 */
const ACCOUNT_SELECTOR = 'account-selector'

/** Milliseconds by which a request's own time limit, whose error names the host, comes before that of the whole pass. */
const GRACE = 250

/** How a request ends in Passport; all that an error is thrown for ends in `error`. */
type Outcome =
  | { type: 'redirect'; url: string }
  | { type: 'success'; user: object; info: object }
  | { type: 'fail'; info: object; status: number | undefined }

/**
 * The Passport strategy: sends a person to their bank through IDPartner, and on the way back hands their claims to
 * `verify`.
 *
 * Does not decide who may use the application, and does not keep tokens: `verify` does, or does not.
 */
export class IDPartnerStrategy<Req extends object = ExpressRequest> extends PassportStrategy {
  readonly name: string
  /** The protocol client, for {@link jwksRouter} and for calls after login. */
  readonly client: IDPartner
  /** Not private by syntax: Passport calls strategies through Object.create(), where no #member can be reached. */
  protected readonly settings: Readonly<Settings<Req>>

  /** @throws {IDPartnerError} `config_invalid`, with a message that names the option */
  constructor(
    options: IDPartnerStrategyOptions<Req> & { passReqToCallback: true },
    verify: VerifyWithRequest<Req>,
  )
  constructor(
    options: IDPartnerStrategyOptions<Req> & { passReqToCallback?: false | undefined },
    verify: Verify,
  )
  constructor(options: IDPartnerStrategyOptions<Req>, verify: Verify | VerifyWithRequest<Req>) {
    super()
    const { name, settings, config } = resolveStrategyOptions(options, verify)
    this.name = name
    this.client = new IDPartner(config)
    this.settings = settings
  }

  /** Called by Passport for each request; ends in exactly one of redirect, success, fail and error. */
  authenticate(req: object, options: AuthenticateOptions = {}): void {
    this.outcome(req as Req, options)
      .then((outcome) => {
        deliver(this, outcome)
      })
      .catch((err: unknown) => {
        this.error(passable(err))
      })
  }

  private async outcome(req: Req, options: AuthenticateOptions): Promise<Outcome> {
    const budget = new Deadline(2 * this.client.timeout + GRACE)
    let passed: string | IDPartnerLogin
    try {
      passed = await until(budget.signal, this.phase(req, options, budget.signal))
    } catch (err) {
      if (!(err instanceof IDPartnerError)) throw budget.signal.aborted ? tooLate(err) : err
      if (!err.isFailure) throw err
      return { type: 'fail', info: failureInfo(err), status: err.status }
    } finally {
      budget.clear()
    }
    if (typeof passed === 'string') return { type: 'redirect', url: passed }
    const { user, info } = await runVerify(this.settings, req, passed)
    if (!user) return { type: 'fail', info, status: undefined }
    const { identityProvider, interactionId, state } = passed
    return { type: 'success', user, info: { ...info, identityProvider, interactionId, state } }
  }

  /** One of the two passes: where to send the browser, or the login it came back with. */
  private phase(
    req: Req,
    options: AuthenticateOptions,
    signal: AbortSignal,
  ): Promise<string | IDPartnerLogin> {
    const params = requestParams(req)
    const callback = callbackParams(params)
    return callback ? this.finishLogin(req, callback, signal) : this.startLogin(req, params, options, signal)
  }

  private async startLogin(
    req: Req,
    params: URLSearchParams,
    options: AuthenticateOptions,
    signal: AbortSignal,
  ): Promise<string> {
    const { client, settings } = this
    const proofs = client.generateProofs()
    const interactionId = randomUUID()
    const { scope, ...asked } = loginOptions(settings.login, options)
    const extra = { ...asked, 'x-fapi-interaction-id': interactionId }
    const url = await client.getAuthorizationUrl(params, proofs, scope, extra, { signal })
    // Without an issuer the direct flow goes to the account selector first, and comes back to this route with one.
    const selecting = client.flow === 'direct' && !params.has('iss')
    const iss = client.flow === 'direct' ? (params.get('iss') ?? ACCOUNT_SELECTOR) : undefined
    const { state, nonce, codeVerifier } = proofs
    const login: PendingLogin = {
      nonce,
      codeVerifier,
      interactionId,
      issuer: iss,
      max_age: asked.max_age,
      acr_values: asked.acr_values,
      state: options.state ?? (await this.selectorState(req, signal)),
    }
    const { logins, loginTtl } = settings
    if (selecting && !logins.peek) return url
    await this.stored(() => logins.save(req, selecting ? ACCOUNT_SELECTOR : state, login, loginTtl), signal)
    return url
  }

  /** The application's value from before the account selector, which sends the browser back without it. */
  private async selectorState(req: Req, signal: AbortSignal): Promise<unknown> {
    if (this.client.flow === 'proxy') return undefined
    const visit = await this.stored(() => this.settings.logins.peek?.(req, ACCOUNT_SELECTOR), signal)
    return typeof visit === 'object' ? visit.state : undefined
  }

  /** In this order: is the answer authentic, is it of a login begun here, and only then what it says. */
  private async finishLogin(
    req: Req,
    callback: CallbackParams,
    signal: AbortSignal,
  ): Promise<IDPartnerLogin> {
    if ('error' in callback) throw await this.unsigned(req, callback, signal)
    const { client, settings } = this
    let interactionId: string | undefined
    try {
      const document = client.flow === 'proxy' ? await client.readProxyDocument(callback.response) : undefined
      interactionId = document?.interactionId
      const answer = await client.readAnswer(document ?? callback.response, { signal })
      const pending = await this.take(req, answer, signal)
      interactionId = pending.interactionId
      const { issuer } = answer
      const identityProvider = document?.identity_provider ?? {
        name: new URL(issuer).host,
        issuer_url: issuer,
      }
      if ('code' in answer.outcome) await this.assertAccepted(identityProvider, req)
      const tokens = await client.redeem(answer, pending, { signal })
      const { claims } = tokens
      const login: IDPartnerLogin = {
        claims,
        identityProvider,
        issuer,
        tokens,
        interactionId: pending.interactionId,
        state: pending.state,
      }
      if (settings.fetchUserInfo) login.userInfo = await client.readUserInfo(issuer, tokens, { signal })
      return login
    } catch (err) {
      throw err instanceof IDPartnerError ? err.withInteractionId(interactionId) : err
    }
  }

  /** Uses up the login that an authentic answer belongs to. */
  private async take(req: Req, answer: AuthorizationAnswer, signal: AbortSignal): Promise<PendingLogin> {
    const { logins } = this.settings
    const waiting = await this.stored(() => logins.peek?.(req, answer.state), signal)
    // Another bank's answer is no answer to this login, so it must not use it up.
    if (typeof waiting === 'object') assertIssuer(waiting, answer.issuer)
    const taken = await this.stored(() => logins.take(req, answer.state), signal)
    if (!taken || typeof taken === 'string') throw loginMissing(taken, req)
    if (!v.is(pendingLogin, taken)) {
      throw new IDPartnerError(
        'config_invalid',
        'the login store returned something that is no pending login',
      )
    }
    assertIssuer(taken, answer.issuer)
    return taken
  }

  /** An error that nobody signed ends nothing: the login it may be meant for stays pending. */
  private async unsigned(
    req: Req,
    { error, state }: { error: string | undefined; state: string | undefined },
    signal: AbortSignal,
  ): Promise<IDPartnerError> {
    const { logins } = this.settings
    const waiting = await this.stored(() => logins.peek?.(req, state), signal)
    if (typeof waiting === 'string') return loginMissing(waiting, req)
    return authorizationError(error, { signed: false }).withInteractionId(waiting?.interactionId)
  }

  /** Waits for the login store, which is the application's, and may fail or hang; it has as long as a bank has. */
  private async stored<T>(call: () => Promise<T> | undefined, signal: AbortSignal): Promise<T | undefined> {
    const limit = new Deadline(this.client.timeout, signal)
    try {
      return await until(limit.signal, Promise.resolve(call()))
    } catch (err) {
      if (err instanceof IDPartnerError) throw err
      throw new IDPartnerError(
        'config_invalid',
        'the session or login store failed or did not answer in time',
        { cause: err },
      )
    } finally {
      limit.clear()
    }
  }

  private async assertAccepted(provider: IdentityProvider, req: Req): Promise<void> {
    const { acceptProvider } = this.settings
    if (!acceptProvider) return
    // Only true is a yes: a function that forgets to return should not open the door.
    const accepted: unknown = await acceptProvider(provider, req)
    if (accepted !== true) {
      throw new IDPartnerError(
        'provider_refused',
        'this bank is not accepted here ("acceptProvider" said no)',
      )
    }
  }
}

/** The only place that talks to Passport. */
function deliver(passport: Ending, outcome: Outcome): void {
  switch (outcome.type) {
    case 'redirect':
      passport.redirect(outcome.url)
      return
    case 'success':
      passport.success(outcome.user, outcome.info)
      return
    case 'fail':
      // Passport takes a missing status for its default.
      passport.fail(outcome.info, outcome.status)
  }
}

function assertIssuer(pending: PendingLogin, issuer: string): void {
  if (pending.issuer !== undefined && pending.issuer !== issuer) {
    throw new IDPartnerError('response_invalid', 'the answer is from another bank than the login went to')
  }
}

/** Passport hands an error to `next`, where nothing at all means to go on, and `'route'` to go elsewhere. */
function passable(err: unknown): Error {
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
