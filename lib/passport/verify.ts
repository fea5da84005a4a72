import type { IDPartnerClaims, UserInfo } from '../jwt/claims.js'
import { isTimeout, within } from '../net/deadline.js'
import { IDPartnerError, isError } from '../errors.js'
import type { IdentityProvider } from '../jwt/proxy-document.js'
import type { TokenSet } from '../client/tokens.js'

/** A completed login. */
export interface IDPartnerLogin {
  /** The claims of the ID token, verified as the bank's; what they say of the person is as the bank wrote it. */
  claims: IDPartnerClaims
  identityProvider: IdentityProvider
  issuer: string
  tokens: TokenSet
  /** Only with `fetchUserInfo`. */
  userInfo?: UserInfo
  /** What proves later what the bank said, with the option `receipt`. It is as personal as `claims`. */
  receipt?: string
  /** The `x-fapi-interaction-id`, for support calls with the bank. */
  interactionId: string
  /** The application's own value from `passport.authenticate()`. */
  state: unknown
  /** Whose login it is, where the options name a tenant. Keep it with the user: another tenant's pages are not theirs. */
  tenant?: string
}

/** The answer of `verify`: an error, or the user, or `false` for nobody; `info` goes to `req.authInfo` or to `fail`. */
export type Done = (err: unknown, user?: object | false | null, info?: object) => void

/** Nothing (`void`) stands for an answer through `done`; the types allow no other plain value. */
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a function without a return is meant
export type VerifyResult = Promise<object | false | undefined | void> | false | void

/** The application's decision who a person is here. It answers once, through `done` or with a promise. */
export type Verify = (login: IDPartnerLogin, done: Done) => VerifyResult

/** {@link Verify} with the request before the login, where `passReqToCallback` is `true`. */
export type VerifyWithRequest<Req> = (req: Req, login: IDPartnerLogin, done: Done) => VerifyResult

export interface Verdict {
  user: object | false
  info: object
}

/** Upper bound for verify in milliseconds, so that no request hangs. */
const MAX_WAIT = 15_000

/** `verify` as the strategy calls it, whichever way the application wrote it. */
export interface Verifier<Req> {
  verify: VerifyWithRequest<Req>
  /**
   * What it is called with, where it asks for another number of parameters.
   *
   * Only to explain what has failed already: nothing is decided by it, as frameworks wrap verify in functions of theirs.
   */
  hint: string | undefined
}

/** Decides once, by the option alone, whether `verify` gets the request. */
export function verifierOf<Req>(
  verify: Verify | VerifyWithRequest<Req>,
  passReqToCallback: boolean,
): Verifier<Req> {
  const hint = signatureHint(verify.length, passReqToCallback)
  if (passReqToCallback) return { verify: verify as VerifyWithRequest<Req>, hint }
  return { verify: (_req, login, done) => (verify as Verify)(login, done), hint }
}

function signatureHint(parameters: number, passReqToCallback: boolean): string | undefined {
  const given = passReqToCallback ? ['req', 'login', 'done'] : ['login', 'done']
  if (parameters === 0 || parameters === given.length || parameters === given.length - 1) return undefined
  const option = `passReqToCallback: ${String(passReqToCallback)}`
  return `with ${option} it is called with (${given.join(', ')}), and takes ${String(parameters)} parameters; the person's claims are in login.claims, the tokens in login.tokens`
}

/**
 * Runs `verify` and waits for its first answer, by whichever way it comes; what it throws or rejects with goes on.
 *
 * Never looks at how many parameters it has: frameworks wrap it in functions of their own.
 *
 * @throws {IDPartnerError} `config_invalid` when it does not answer within 15 s, or was written for another strategy
 */
export async function runVerify<Req>(
  { verify, hint }: Verifier<Req>,
  req: Req,
  login: IDPartnerLogin,
): Promise<Verdict> {
  try {
    return await within(MAX_WAIT, () => verdict(verify, req, login))
  } catch (err) {
    if (isTimeout(err)) {
      const missing = hint ?? 'call done() or return a promise of a user'
      throw new IDPartnerError('config_invalid', `verify gave no answer within 15 s: ${missing}`)
    }
    if (hint === undefined || !isError(err) || err.name !== 'TypeError') throw err
    throw new IDPartnerError('config_invalid', `verify failed with a TypeError: ${hint}`, { cause: err })
  }
}

function verdict<Req>(verify: VerifyWithRequest<Req>, req: Req, login: IDPartnerLogin): Promise<Verdict> {
  return new Promise((resolve, reject) => {
    const done: Done = (err, user, info) => {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- it is the application's own
      if (err) reject(err)
      else resolve({ user: user || false, info: info ?? {} })
    }
    const returned: unknown = verify(req, login, done)
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
