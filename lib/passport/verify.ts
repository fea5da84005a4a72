import type { IDPartnerClaims, UserInfo } from '../jwt/claims.js'
import { isTimeout, within } from '../net/deadline.js'
import { IDPartnerError } from '../errors.js'
import type { IdentityProvider } from '../jwt/proxy-document.js'
import type { TokenSet } from '../client/tokens.js'

/** A completed login. */
export interface IDPartnerLogin {
  /** The claims of the ID token, all checked. */
  claims: IDPartnerClaims
  identityProvider: IdentityProvider
  issuer: string
  tokens: TokenSet
  /** Only with `fetchUserInfo`. */
  userInfo?: UserInfo
  /** The `x-fapi-interaction-id`, for support calls with the bank. */
  interactionId: string
  /** The application's own value from `passport.authenticate()`. */
  state: unknown
}

/** The answer of `verify`: an error, or the user, or `false` for nobody; `info` goes to `req.authInfo` or to `fail`. */
export type Done = (err: unknown, user?: object | false | null, info?: object) => void

/** Nothing (`void`) stands for an answer through `done`; the types allow no other plain value. */
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a function without a return is meant
export type VerifyResult = Promise<object | false | undefined | void> | false | void

/** The application's decision who a person is here. It answers once, through `done` or with a promise. */
export type Verify = (login: IDPartnerLogin, done: Done) => VerifyResult

export type VerifyWithRequest<Req> = (req: Req, login: IDPartnerLogin, done: Done) => VerifyResult

export interface Verdict {
  user: object | false
  info: object
}

/** Longer than any server keeps a visitor waiting: what has not answered by then never will. */
const MAX_WAIT = 60_000

/**
 * Runs `verify` and waits for its first answer, by whichever way it comes; what it throws or rejects with goes on.
 *
 * Never looks at how many parameters it has: frameworks wrap it in functions of their own.
 *
 * @throws {IDPartnerError} `config_invalid` when it does not answer within a minute
 */
export async function runVerify<Req>(
  settings: { verify: Verify | VerifyWithRequest<Req>; passReqToCallback: boolean },
  req: Req,
  login: IDPartnerLogin,
): Promise<Verdict> {
  try {
    return await within(MAX_WAIT, () => verdict(settings, req, login))
  } catch (err) {
    if (!isTimeout(err)) throw err
    throw new IDPartnerError(
      'config_invalid',
      'verify gave no answer: call done() or return a promise of a user',
    )
  }
}

function verdict<Req>(
  { verify, passReqToCallback }: { verify: Verify | VerifyWithRequest<Req>; passReqToCallback: boolean },
  req: Req,
  login: IDPartnerLogin,
): Promise<Verdict> {
  return new Promise((resolve, reject) => {
    const done: Done = (err, user, info) => {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- it is the application's own
      if (err) reject(err)
      else resolve({ user: user || false, info: info ?? {} })
    }
    const returned: unknown = passReqToCallback
      ? (verify as VerifyWithRequest<Req>)(req, login, done)
      : (verify as Verify)(login, done)
    if (returned === false) done(null, false)
    if (isThenable(returned)) {
      returned.then((user) => {
        // A promise of undefined is what an async function returns that answers through done.
        if (user !== undefined) done(null, user)
      }, reject)
    }
  })
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
