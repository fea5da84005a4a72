import * as v from 'valibot'
import { claimsProblem, detailsProblem } from '../client/json-parameters.js'
import {
  neededAcr,
  scopeText,
  type ClaimsRequest,
  type RequestedDetail,
} from '../client/authorization-request.js'
import type { IDPartnerConfig } from '../client/config.js'
import { CONFIG_OPTIONS } from '../client/config-schema.js'
import { parseOptions } from '../client/parse-options.js'
import { checkNetworkLogin, networkScope, withNetwork } from '../client/networks.js'
import { ownParameters, withOwnParameters, type OwnParameters } from '../client/own-parameters.js'
import { badOption, meantOption, unknownOption } from '../client/option-errors.js'
import { IDPartnerError } from '../errors.js'
import type { ExpressRequest } from './host.js'
import { shortHash, type LoginStore } from './logins.js'
import { SessionLogins, type Memory } from './session-logins.js'
import type { IdentityProvider } from '../jwt/proxy-document.js'
import { verifierOf, type Verifier, type Verify, type VerifyWithRequest } from './verify.js'

/**
 * What may be asked for, for all logins or for a single one; each goes to the bank under its own name.
 *
 * @see https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest
 */
export interface LoginOptions {
  /** `['openid', 'email', 'profile']` by default. */
  scope?: string | string[] | undefined
  claims?: ClaimsRequest | undefined
  prompt?: string | undefined
  /** Seconds since the person actively logged in at the bank; checked in the ID token. */
  max_age?: number | undefined
  /** Space-separated; the ID token has to show one of them. */
  acr_values?: string | undefined
  /** Who is expected to log in, such as an email address or an account number. */
  login_hint?: string | undefined
  /** Space-separated language tags (BCP 47), the preferred one first. */
  ui_locales?: string | undefined
  /** An earlier ID token of the person who is expected to log in. */
  id_token_hint?: string | undefined
  display?: 'page' | 'popup' | 'touch' | 'wap' | undefined
  /** What the person is asked to allow, in detail. See https://www.rfc-editor.org/rfc/rfc9396 */
  authorization_details?: readonly RequestedDetail[] | undefined
  /** Why the application asks, in words that the bank shows to the person. */
  purpose?: string | undefined
  /** Parameters of a network's own; what protects the login, and what has an option of its own, cannot be among them. */
  authorization_params?: OwnParameters | undefined
}

/** The same with every default filled in. */
type ResolvedLoginOptions = LoginOptions & { scope: string | string[] }

/** A symbol, so that no option of an application is taken for it. */
export const BANK = Symbol('bank')

/** Options of `passport.authenticate('idpartner', options)`. */
export interface AuthenticateOptions extends LoginOptions {
  /** The application's own value, any JSON; it stays in the session and comes back in `req.authInfo.state`. */
  state?: unknown
  /**
   * The bank to go to in the direct flow where the query names none, in place of the page where one is chosen.
   * @internal
   */
  [BANK]?: string
}

// eslint-disable-next-line @typescript-eslint/ban-ts-comment -- an error only where there are no types of Passport
/** @ts-ignore */
declare module 'passport' {
  // What Passport's own types do not know of; they have `state` as a string, where any JSON will do.
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type -- an interface can be extended in no other way
  interface AuthenticateOptions extends Omit<LoginOptions, 'scope' | 'prompt'> {}
}

/** Options of {@link IDPartnerStrategy} beside those of {@link IDPartner}. */
export interface IDPartnerStrategyOptions<Req extends object = ExpressRequest>
  extends IDPartnerConfig, LoginOptions {
  /** The strategy's name in Passport; `'idpartner'` by default. */
  name?: string | undefined
  /** Where in the session pending logins are kept; the `name` by default, so that each strategy has its own. */
  sessionKey?: string | undefined
  /** Seconds a person has to log in at the bank; 600 by default. */
  loginTtl?: number | undefined
  passReqToCallback?: boolean | undefined
  /** Whether to ask for userinfo too; it is then in `login.userInfo`. `false` by default. */
  fetchUserInfo?: boolean | undefined
  /**
   * Whether to make a receipt of each login, in `login.receipt`; `false` by default. It needs a signing key in `jwks`, and
   * holds what the bank says of the person.
   */
  receipt?: boolean | undefined
  /** Decides about the bank before it is asked for anything; all are accepted by default. */
  acceptProvider?: ((provider: IdentityProvider, req: Req) => boolean | Promise<boolean>) | undefined
  /** Keeps pending logins elsewhere than in the session. */
  store?: LoginStore<Req> | undefined
  /** Whose login it is, where an application serves several tenants; comes back as `login.tenant`. */
  tenant?: string | undefined
}

/** Options of one tenant, from the function that a strategy for several has in place of options. */
export interface TenantOptions<Req extends object = ExpressRequest> extends Omit<
  IDPartnerStrategyOptions<Req>,
  'name' | 'sessionKey' | 'tenant' | 'passReqToCallback'
> {
  /** Names the tenant, always in the same way: logins, keys and tokens belong to it. */
  tenant: string
}

/** The strategy's own options, checked and with every default filled in. */
export interface Settings<Req> {
  /** Of which strategy a login is: a hash of name, flow, client id, and tenant if there is one. */
  id: string
  tenant: string | undefined
  /** What every login asks for. */
  login: ResolvedLoginOptions
  /** A hash of what every login's ID token has to show, if anything. */
  floor: string | undefined
  callback: string
  /** What finished logins have told of the application's routes. */
  routes: { startsElsewhere: boolean }
  loginTtl: number
  fetchUserInfo: boolean
  receipt: boolean
  acceptProvider?: ((provider: IdentityProvider, req: Req) => boolean | Promise<boolean>) | undefined
  logins: LoginStore<Req>
  verifier: Verifier<Req>
}

const isFunction = (value: unknown): boolean => typeof value === 'function'
const isStore = (value: unknown): boolean => {
  const { save, take } = (value ?? {}) as Partial<LoginStore>
  return isFunction(save) && isFunction(take)
}

const withoutProblem = <T>(problemOf: (value: unknown) => string | undefined): v.GenericSchema<T> =>
  v.custom<T>(
    (value) => problemOf(value) === undefined,
    ({ input }) => problemOf(input) ?? '',
  )

const text = v.string('must be a string')
const flag = v.boolean('must be true or false')

const DEFAULT_SCOPE = ['openid', 'email', 'profile']

/** An option that is missing here is found by the compiler. */
const login = v.object({
  scope: v.optional(v.union([v.string(), v.array(v.string())], 'must be a string or a list of strings')),
  claims: v.optional(withoutProblem<ClaimsRequest>(claimsProblem)),
  prompt: v.optional(text),
  max_age: v.optional(
    v.pipe(
      v.number('must be a whole number of seconds'),
      v.safeInteger('must be a whole number of seconds'),
      v.minValue(0, 'must not be negative'),
    ),
  ),
  acr_values: v.optional(text),
  login_hint: v.optional(text),
  ui_locales: v.optional(text),
  id_token_hint: v.optional(text),
  display: v.optional(
    v.picklist(['page', 'popup', 'touch', 'wap'], 'must be "page", "popup", "touch" or "wap"'),
  ),
  authorization_details: v.optional(withoutProblem<readonly RequestedDetail[]>(detailsProblem)),
  purpose: v.optional(text),
  authorization_params: v.optional(ownParameters),
} satisfies Record<keyof LoginOptions, v.GenericSchema>)

/** Members of a session that are others' to fill. */
const FREE = /^(?!(__proto__|passport|cookie|id|req|save|regenerate|destroy|reload|touch|resetMaxAge)$)./

const own = v.object({
  name: v.optional(v.pipe(text, v.minLength(1, 'must not be empty')), 'idpartner'),
  sessionKey: v.optional(v.pipe(text, v.regex(FREE, 'must not be empty or taken'))),
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
  receipt: v.optional(flag, false),
  acceptProvider: v.optional(
    v.custom<NonNullable<IDPartnerStrategyOptions<object>['acceptProvider']>>(
      isFunction,
      'must be a function',
    ),
  ),
  store: v.optional(v.custom<LoginStore<object>>(isStore, 'must have the functions save and take')),
  tenant: v.optional(
    v.pipe(
      text,
      v.minLength(1, 'must not be empty'),
      v.maxLength(200, 'must be at most 200 characters long'),
    ),
  ),
})

const OF_A_LOGIN = [...Object.keys(login.entries), 'state']
const OF_A_STRATEGY = [...Object.keys(own.entries), ...CONFIG_OPTIONS]

/**
 * Checks the options that are the strategy's own; the others are the client's, which refuses those it does not know.
 *
 * @throws {IDPartnerError} `config_invalid`, with a message that names the option
 */
export function resolveStrategyOptions<Req extends object>(
  options: IDPartnerStrategyOptions<Req>,
  verify: Verify | VerifyWithRequest<Req>,
  memory?: Memory,
): { name: string; settings: Settings<Req>; config: IDPartnerConfig } {
  const { name, sessionKey, store, passReqToCallback, ...settings } = parseOptions(own, options)
  const { tenant } = settings
  const key = sessionKey ?? (FREE.test(name) ? name : `idpartner-${name}`)
  const asked = withDefaults({ scope: networkScope(options.network) ?? DEFAULT_SCOPE }, options)
  if (typeof verify !== 'function') {
    throw new IDPartnerError('config_invalid', 'the second argument must be the verify function')
  }
  const { scope, ...parameters } = asked
  checkNetworkLogin(options.network, scopeText(scope), withOwnParameters(parameters), 'start')
  const { max_age } = asked
  const acr_values = neededAcr(asked)
  const { flow = 'proxy', client_id, callback } = withNetwork(options)
  const id = shortHash([name, flow, client_id, ...(tenant === undefined ? [] : [tenant])])
  const config: Record<string, unknown> = {}
  // An option may be inherited, from what several applications share.
  for (const one in options) {
    if (Object.hasOwn({ ...own.entries, ...login.entries }, one)) continue
    config[one] = options[one as keyof typeof options]
    const known = [...OF_A_LOGIN, ...OF_A_STRATEGY]
    if (!OF_A_STRATEGY.includes(one) && meantOption(one, known) !== undefined) throw unknownOption(one, known)
  }
  return {
    name,
    settings: Object.freeze({
      ...settings,
      tenant,
      id,
      login: asked,
      floor: max_age === undefined && acr_values === undefined ? undefined : shortHash([max_age, acr_values]),
      callback,
      routes: { startsElsewhere: false },
      logins: store ?? new SessionLogins(key, id, memory),
      verifier: verifierOf(verify, passReqToCallback),
    }),
    config: config as unknown as IDPartnerConfig,
  }
}

/**
 * What one request asks for: its own options before those of the strategy.
 *
 * Options of Passport and of its hosts pass; those of the constructor, and what is nearly the name of one of ours, do not.
 *
 * @throws {IDPartnerError} `config_invalid`: what is wrong here would otherwise be found in the session later
 */
export function loginOptions(
  defaults: ResolvedLoginOptions,
  options: AuthenticateOptions,
): ResolvedLoginOptions {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || OF_A_LOGIN.includes(name)) continue
    if (OF_A_STRATEGY.includes(name)) {
      throw badOption(
        name,
        'belongs to the constructor; for another value make a second strategy with a "name" of its own',
      )
    }
    const known = [...OF_A_LOGIN, ...OF_A_STRATEGY]
    if (meantOption(name, known) !== undefined) throw unknownOption(name, known)
  }
  return withDefaults(defaults, options)
}

function withDefaults(defaults: ResolvedLoginOptions, options: LoginOptions): ResolvedLoginOptions {
  // Most routes ask for nothing of their own.
  if (!Object.keys(login.entries).some((name) => name in options)) return defaults
  const asked = Object.entries(parseOptions(login, options)).filter(([, value]) => value !== undefined)
  return { ...defaults, ...Object.fromEntries(asked) }
}
