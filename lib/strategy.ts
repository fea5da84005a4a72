import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Request } from 'express'
import passportStrategy from 'passport-strategy'
import { z } from 'zod'
import type { AuthorizationParams } from './authorization-request.js'
import { callbackParams, searchParams, unsignedError, type CallbackParams } from './callback-params.js'
import type { ClaimsRequest } from './claims.js'
import { parseOptions, type IDPartnerConfig } from './config.js'
import { Deadline, until } from './deadline.js'
import { IDPartnerError, type ErrorCode, type MissingReason } from './errors.js'
import { IDPartner } from './idpartner.js'
import { SessionLogins, pendingLogin, type LoginStore, type PendingLogin } from './logins.js'
import type { AuthorizationAnswer } from './jarm.js'
import type { IdentityProvider } from './proxy-document.js'
import { runVerify, type IDPartnerLogin, type Verify, type VerifyWithRequest } from './verify.js'

/** What may be asked for, for all logins or for a single one. */
export interface LoginOptions {
  /** `['openid', 'email', 'profile']` by default. */
  scope?: string | readonly string[] | undefined
  claims?: ClaimsRequest | undefined
  prompt?: string | undefined
  /** Seconds since the person actively logged in at the bank; checked in the ID token. */
  max_age?: number | undefined
  /** Space-separated; the ID token has to show one of them. */
  acr_values?: string | undefined
}

/** Options of `passport.authenticate('idpartner', options)`. */
export interface AuthenticateOptions extends LoginOptions {
  /** The application's own value, any JSON; it stays in the session and comes back in `req.authInfo.state`. */
  state?: unknown
}

/** Options of {@link IDPartnerStrategy} beside those of {@link IDPartner}. */
export interface IDPartnerStrategyOptions<Req extends object = Request>
  extends IDPartnerConfig, LoginOptions {
  /** The strategy's name in Passport; `'idpartner'` by default. */
  name?: string | undefined
  /** Where in the session pending logins are kept; `'idpartner'` by default. */
  sessionKey?: string | undefined
  /** Seconds a person has to log in at the bank; 600 by default. */
  loginTtl?: number | undefined
  passReqToCallback?: boolean | undefined
  /** Whether to ask for userinfo too; it is then in `login.userInfo`. `false` by default. */
  fetchUserInfo?: boolean | undefined
  /** Decides about the bank before it is asked for anything; all are accepted by default. */
  acceptProvider?: ((provider: IdentityProvider, req: Req) => boolean | Promise<boolean>) | undefined
  /** Keeps pending logins elsewhere than in the session. */
  store?: LoginStore<Req> | undefined
}

/** What Passport hands on when a login fails: `failureMessage`, `failureFlash` and custom callbacks get it. */
export interface FailureInfo {
  code: ErrorCode
  message: string
  reason?: MissingReason
  providerError?: string
  interactionId?: string
}

type Outcome = { type: 'redirect'; url: string } | { type: 'login'; login: IDPartnerLogin }

const isFunction = (value: unknown): boolean => typeof value === 'function'
const isStore = (value: unknown): boolean => {
  const { save, take } = (value ?? {}) as Partial<LoginStore>
  return isFunction(save) && isFunction(take)
}

const own = z.object({
  name: z.string('must be a string').min(1, 'must not be empty').default('idpartner'),
  scope: z
    .union([z.string(), z.array(z.string())], 'must be a string or a list of strings')
    .default(['openid', 'email', 'profile']),
  claims: z
    .custom<ClaimsRequest>((value) => typeof value === 'object' && value !== null, 'must be an object')
    .optional(),
  prompt: z.string('must be a string').optional(),
  max_age: z.int('must be a whole number of seconds').min(0, 'must not be negative').optional(),
  acr_values: z.string('must be a string').optional(),
  sessionKey: z
    .string('must be a string')
    .regex(/^(?!__proto__$|passport$|cookie$)./, 'must not be empty or taken')
    .default('idpartner'),
  loginTtl: z
    .number('must be a number of seconds')
    .min(1, 'must be at least 1 s')
    .max(86_400, 'must be at most a day')
    .default(600),
  passReqToCallback: z.boolean('must be true or false').default(false),
  fetchUserInfo: z.boolean('must be true or false').default(false),
  acceptProvider: z
    .custom<IDPartnerStrategyOptions<object>['acceptProvider']>(isFunction, 'must be a function')
    .optional(),
  store: z
    .custom<LoginStore<object>>((value) => isStore(value), 'must have the functions save and take')
    .optional(),
})

/**
 * The Passport strategy: sends a person to their bank through IDPartner, and on the way back hands their claims to
 * `verify`.
 *
 * Does not decide who may use the application, and does not keep tokens: `verify` does, or does not.
 */
export class IDPartnerStrategy<Req extends object = Request> extends passportStrategy.Strategy {
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
    const { name, sessionKey, store, ...settings } = parseOptions(own, options)
    if (typeof verify !== 'function') {
      throw new IDPartnerError('config_invalid', 'the second argument must be the verify function')
    }
    this.name = name
    this.client = new IDPartner(protocolOptions(options))
    this.settings = Object.freeze({
      ...settings,
      verify,
      logins: store ?? new SessionLogins(sessionKey),
    })
  }

  /** Called by Passport for each request; ends in exactly one of redirect, success, fail and error. */
  override authenticate(req: Request, options: AuthenticateOptions = {}): void {
    this.run(req as unknown as Req, options).catch((err: unknown) => {
      if (err instanceof IDPartnerError && err.isFailure) this.fail(failureInfo(err), err.status)
      else this.error(err as Error)
    })
  }

  private async run(req: Req, options: AuthenticateOptions): Promise<void> {
    const budget = new Deadline(2 * this.client.timeout)
    let outcome: Outcome
    try {
      outcome = await until(budget.signal, this.phase(req, options, budget.signal))
    } catch (err) {
      throw budget.signal.aborted && !(err instanceof IDPartnerError) ? tooLate(err) : err
    } finally {
      budget.clear()
    }
    if (outcome.type === 'redirect') {
      this.redirect(outcome.url)
      return
    }
    const { login } = outcome
    const { user, info } = await runVerify(this.settings, req, login)
    if (!user) {
      this.fail(info, undefined as unknown as number)
      return
    }
    const { identityProvider, interactionId, state } = login
    this.success(user, { ...info, identityProvider, interactionId, state })
  }

  private phase(req: Req, options: AuthenticateOptions, signal: AbortSignal): Promise<Outcome> {
    const params = requestParams(req)
    const callback = callbackParams(params)
    return callback ? this.finishLogin(req, callback, signal) : this.startLogin(req, params, options, signal)
  }

  private async startLogin(
    req: Req,
    params: URLSearchParams,
    options: AuthenticateOptions,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { client, settings } = this
    const proofs = client.generateProofs()
    const interactionId = randomUUID()
    const { scope, claims, prompt, max_age, acr_values } = { ...settings, ...defined(options) }
    const extra: AuthorizationParams = {
      prompt,
      claims,
      max_age,
      acr_values,
      'x-fapi-interaction-id': interactionId,
    }
    const url = await client.getAuthorizationUrl(params, proofs, scope, extra, { signal })
    const issuer = client.flow === 'direct' ? params.get('iss') : undefined
    // Without an issuer the direct flow goes to the account selector first: there is nothing to be answered yet.
    if (issuer !== null) {
      const { state, nonce, codeVerifier } = proofs
      const login: PendingLogin = {
        nonce,
        codeVerifier,
        interactionId,
        issuer,
        max_age,
        acr_values,
        state: options.state,
      }
      await stored(() => settings.logins.save(req, state, login, settings.loginTtl), signal)
    }
    return { type: 'redirect', url }
  }

  /** In this order: is the answer authentic, is it of a login begun here, and only then what it says. */
  private async finishLogin(req: Req, callback: CallbackParams, signal: AbortSignal): Promise<Outcome> {
    if ('error' in callback) throw await this.unsigned(req, callback, signal)
    const { client, settings } = this
    let interactionId: string | undefined
    try {
      const document = client.flow === 'proxy' ? await client.readProxyDocument(callback.response) : undefined
      interactionId = document?.interactionId
      const { idp_response_code: response = callback.response, identity_provider } = document ?? {}
      const answer = await client.readAnswer(response, identity_provider?.issuer_url, { signal })
      const pending = await this.take(req, answer, signal)
      interactionId = pending.interactionId
      const { issuer } = answer
      const identityProvider = identity_provider ?? { name: new URL(issuer).host, issuer_url: issuer }
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
      if (settings.fetchUserInfo) login.userInfo = await client.userInfo(issuer, tokens, { signal })
      return { type: 'login', login }
    } catch (err) {
      if (err instanceof IDPartnerError && interactionId !== undefined) err.interactionId = interactionId
      throw err
    }
  }

  /** Uses up the login that an authentic answer belongs to. */
  private async take(req: Req, answer: AuthorizationAnswer, signal: AbortSignal): Promise<PendingLogin> {
    const { logins } = this.settings
    const waiting = await stored(() => logins.peek?.(req, answer.state), signal)
    // Another bank's answer is no answer to this login, so it must not use it up.
    if (typeof waiting === 'object') assertIssuer(waiting, answer.issuer)
    signal.throwIfAborted()
    const taken = await stored(() => logins.take(req, answer.state), signal)
    if (!taken || typeof taken === 'string') throw loginMissing(taken || 'no_login', req)
    const pending = pendingLogin.safeParse(taken)
    if (!pending.success) {
      throw new IDPartnerError(
        'config_invalid',
        'the login store returned something that is no pending login',
      )
    }
    assertIssuer(pending.data, answer.issuer)
    return pending.data
  }

  /** An error that nobody signed ends nothing: the login it may be meant for stays pending. */
  private async unsigned(
    req: Req,
    { error, state }: { error: string | undefined; state: string | undefined },
    signal: AbortSignal,
  ): Promise<IDPartnerError> {
    const { logins } = this.settings
    const waiting = await stored(() => logins.peek?.(req, state), signal)
    if (typeof waiting === 'string') return loginMissing(waiting, req)
    const err = unsignedError(error)
    if (waiting) err.interactionId = waiting.interactionId
    return err
  }

  private async assertAccepted(provider: IdentityProvider, req: Req): Promise<void> {
    const accepted: unknown = await (this.settings.acceptProvider?.(provider, req) ?? true)
    if (accepted !== true) {
      throw new IDPartnerError(
        'provider_refused',
        'this bank is not accepted here ("acceptProvider" said no)',
      )
    }
  }
}

interface Settings<Req> extends LoginOptions {
  scope: string | readonly string[]
  loginTtl: number
  passReqToCallback: boolean
  fetchUserInfo: boolean
  acceptProvider?: ((provider: IdentityProvider, req: Req) => boolean | Promise<boolean>) | undefined
  logins: LoginStore<Req>
  verify: Verify | VerifyWithRequest<Req>
}

/** The options that are not the strategy's own are the client's, which refuses those it does not know. */
function protocolOptions<Req extends object>(options: IDPartnerStrategyOptions<Req>): IDPartnerConfig {
  const rest = Object.entries(options).filter(([name]) => !(name in own.shape))
  return Object.fromEntries(rest) as unknown as IDPartnerConfig
}

function defined({
  scope,
  claims,
  prompt,
  max_age,
  acr_values,
}: LoginOptions): LoginOptions & { scope: string } {
  const given = Object.entries({ scope, claims, prompt, max_age, acr_values }).filter(
    ([, value]) => value !== undefined,
  )
  return Object.fromEntries(given) as unknown as LoginOptions & { scope: string }
}

/** The parameters of a request of any framework: those of its URL, and of its form if somebody parsed it. */
function requestParams(req: object): URLSearchParams {
  const { originalUrl, url, method, body, headers } = req as IncomingMessage & {
    originalUrl?: string
    body?: unknown
  }
  const target = originalUrl ?? url ?? ''
  const params = new URLSearchParams(target.includes('?') ? target.slice(target.indexOf('?')) : '')
  if (method !== 'POST') return params
  const form = headers['content-type']?.startsWith('application/x-www-form-urlencoded')
  if (form && body === undefined && headers['content-length'] !== '0') {
    throw new IDPartnerError(
      'config_invalid',
      'a form was posted that nobody parsed: add express.urlencoded() before passport.authenticate() on this route',
    )
  }
  for (const [name, value] of searchParams(body)) params.append(name, value)
  return params
}

function assertIssuer(pending: PendingLogin, issuer: string): void {
  if (pending.issuer !== undefined && pending.issuer !== issuer) {
    throw new IDPartnerError('response_invalid', 'the answer is from another bank than the login went to')
  }
}

/** Waits for the login store, which is the application's and may fail or hang. */
async function stored<T>(call: () => Promise<T> | undefined, signal: AbortSignal): Promise<T | undefined> {
  try {
    return await until(signal, Promise.resolve(call()))
  } catch (err) {
    if (err instanceof IDPartnerError) throw err
    throw new IDPartnerError('config_invalid', 'the session or login store failed or did not answer', {
      cause: err,
    })
  }
}

const MISSING: Record<MissingReason, string> = {
  no_session: 'this browser came back without the session in which the login began',
  no_login: 'no login is waiting for this answer in this session',
  expired: 'this login took too long; please begin again',
  already_used: 'this login was answered before',
}

function loginMissing(reason: MissingReason, req: object): IDPartnerError {
  const message = reason === 'no_session' ? `${MISSING[reason]}. ${sessionHint(req)}` : MISSING[reason]
  return new IDPartnerError('login_missing', message, { reason })
}

/** The likeliest setting behind a lost session. */
function sessionHint(req: object): string {
  const { session, headers } = req as {
    session?: { cookie?: { secure?: unknown } }
    headers?: IncomingMessage['headers']
  }
  const insecure = (req as { protocol?: string }).protocol === 'http'
  if (session?.cookie?.secure === true && insecure) {
    return 'The session cookie is Secure, but the request arrived as http: set "trust proxy" behind a TLS proxy'
  }
  if (headers?.cookie === undefined) {
    return "It sent no cookie: check SameSite (lax, not strict), the cookie's path, and that login and callback have the same host"
  }
  return 'Check that all processes share one session store'
}

function tooLate(cause: unknown): IDPartnerError {
  return new IDPartnerError(
    'provider_unavailable',
    'the login could not be finished in time (see the option "timeout")',
    {
      cause,
      status: 504,
    },
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
