import type { Request } from 'express'
import * as v from 'valibot'
import { scopeText } from '../client/authorization-request.js'
import type { ClaimsRequest } from '../client/claims.js'
import { parseOptions, type IDPartnerConfig } from '../client/config.js'
import { IDPartnerError } from '../errors.js'
import { SessionLogins, type LoginStore } from './logins.js'
import type { IdentityProvider } from '../jwt/proxy-document.js'
import type { Verify, VerifyWithRequest } from './verify.js'

/** What may be asked for, for all logins or for a single one. */
export interface LoginOptions {
  /** `['openid', 'email', 'profile']` by default. */
  scope?: string | string[] | undefined
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

declare module 'passport' {
  // What Passport's own types do not know of; they have `state` as a string, where any JSON will do.
  interface AuthenticateOptions {
    claims?: ClaimsRequest | undefined
    max_age?: number | undefined
    acr_values?: string | undefined
  }
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

/** The strategy's own options, checked and with every default filled in. */
export interface Settings<Req> extends LoginOptions {
  scope: string | string[]
  loginTtl: number
  passReqToCallback: boolean
  fetchUserInfo: boolean
  acceptProvider?: ((provider: IdentityProvider, req: Req) => boolean | Promise<boolean>) | undefined
  logins: LoginStore<Req>
  verify: Verify | VerifyWithRequest<Req>
}

const isFunction = (value: unknown): boolean => typeof value === 'function'
const isStore = (value: unknown): boolean => {
  const { save, take } = (value ?? {}) as Partial<LoginStore>
  return isFunction(save) && isFunction(take)
}

const isObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const text = v.string('must be a string')
const flag = v.boolean('must be true or false')
const scope = v.union([v.string(), v.array(v.string())], 'must be a string or a list of strings')
const asked = v.object({
  scope: v.optional(scope),
  claims: v.optional(v.custom<ClaimsRequest>(isObject, 'must be an object')),
  prompt: v.optional(text),
  max_age: v.optional(
    v.pipe(
      v.number('must be a whole number of seconds'),
      v.safeInteger('must be a whole number of seconds'),
      v.minValue(0, 'must not be negative'),
    ),
  ),
  acr_values: v.optional(text),
})

/** Members of a session that are not the application's to fill. */
const TAKEN = /^(?!(__proto__|passport|cookie|id|req|save|regenerate|destroy|reload|touch|resetMaxAge)$)./

const own = v.object({
  ...asked.entries,
  name: v.optional(v.pipe(text, v.minLength(1, 'must not be empty')), 'idpartner'),
  scope: v.optional(scope, ['openid', 'email', 'profile']),
  sessionKey: v.optional(v.pipe(text, v.regex(TAKEN, 'must not be empty or taken')), 'idpartner'),
  loginTtl: v.optional(
    v.pipe(
      v.number('must be a number of seconds'),
      v.minValue(1, 'must be at least 1 s'),
      v.maxValue(86_400, 'must be at most a day'),
    ),
    600,
  ),
  passReqToCallback: v.optional(flag, false),
  fetchUserInfo: v.optional(flag, false),
  acceptProvider: v.optional(
    v.custom<NonNullable<IDPartnerStrategyOptions<object>['acceptProvider']>>(
      isFunction,
      'must be a function',
    ),
  ),
  store: v.optional(v.custom<LoginStore<object>>(isStore, 'must have the functions save and take')),
})

/**
 * Checks the options that are the strategy's own; the others are the client's, which refuses those it does not know.
 *
 * @throws {IDPartnerError} `config_invalid`, with a message that names the option
 */
export function resolveStrategyOptions<Req extends object>(
  options: IDPartnerStrategyOptions<Req>,
  verify: Verify | VerifyWithRequest<Req>,
): { name: string; settings: Settings<Req>; config: IDPartnerConfig } {
  const { name, sessionKey, store, ...settings } = parseOptions(own, options)
  if (typeof verify !== 'function') {
    throw new IDPartnerError('config_invalid', 'the second argument must be the verify function')
  }
  scopeText(settings.scope)
  const config = Object.fromEntries(
    Object.entries(options).filter(([key]) => !Object.hasOwn(own.entries, key)),
  )
  const logins = store ?? new SessionLogins(sessionKey)
  return {
    name,
    settings: Object.freeze({ ...settings, logins, verify }),
    config: config as unknown as IDPartnerConfig,
  }
}

/**
 * What one request asks for: its own options before those of the strategy.
 *
 * @throws {IDPartnerError} `config_invalid`: what is wrong here would otherwise be found in the session later
 */
export function loginOptions<Req>(
  settings: Settings<Req>,
  options: LoginOptions,
): LoginOptions & { scope: string | string[] } {
  const request = parseOptions(asked, options)
  return {
    scope: request.scope ?? settings.scope,
    claims: request.claims ?? settings.claims,
    prompt: request.prompt ?? settings.prompt,
    max_age: request.max_age ?? settings.max_age,
    acr_values: request.acr_values ?? settings.acr_values,
  }
}
