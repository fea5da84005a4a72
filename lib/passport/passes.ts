import { callbackParams } from '../client/callback-params.js'
import { IDPartnerError } from '../errors.js'
import type { PassEvent } from '../events.js'
import { isTimeout, tooLate, within } from '../net/deadline.js'
import { startLogin, visitAccountSelector } from './begin-login.js'
import { isCallbackRoute } from './callback-route.js'
import { fetchSite } from './fetch-site.js'
import { finishLogin } from './finish-login.js'
import { BANK, type AuthenticateOptions } from './options.js'
import { failed, failureInfo, type Outcome } from './outcome.js'
import { fromStore, waitingFor, type Pass } from './pass.js'
import { requestParams } from './request-params.js'
import { SessionLogins } from './session-logins.js'
import { sessionOf } from './session.js'
import type { Tenant } from './tenants.js'
import { runVerify, type IDPartnerLogin } from './verify.js'

/** Milliseconds by which a request's own time limit, whose error names the host, comes before that of the whole pass. */
const GRACE = 250

/** How a pass ends when nothing went wrong. */
type Passed = { type: 'redirect'; url: string } | { type: 'login'; login: IDPartnerLogin }

/** Makes the pass of a login that a request is for; whatever is thrown on the way is one of its outcomes. */
export async function outcomeOf<Req extends object>(
  tenant: Tenant<Req>,
  req: Req,
  options: AuthenticateOptions,
  seen: PassEvent,
): Promise<Outcome> {
  const budget = 2 * tenant.client.timeout + GRACE
  try {
    const passed = await within(budget, ({ signal }) => proceed({ ...tenant, req, seen, signal }, options))
    if (passed.type === 'redirect') return passed
    // Without a limit of its own here, and whatever it throws is an error.
    return await decide(tenant, req, passed.login).catch(failed)
  } catch (err) {
    if (!(err instanceof IDPartnerError)) return failed(isTimeout(err) ? tooLate(err) : err)
    return err.isFailure ? { type: 'fail', info: failureInfo(err), status: err.status, err } : failed(err)
  }
}

/** One of the three; the second is made in the direct flow alone. */
async function proceed<Req extends object>(pass: Pass<Req>, options: AuthenticateOptions): Promise<Passed> {
  const { client, req, seen, settings } = pass
  const params = requestParams(req)
  const brought = callbackParams(params, client.responseMode)
  // Where logins have no place, nobody needs to be asked.
  if (settings.logins instanceof SessionLogins) await fromStore(pass, () => Promise.resolve(sessionOf(req)))
  if (brought) {
    seen.pass = 'callback'
    return { type: 'login', login: await finishLogin(pass, brought) }
  }
  await assertNotEmptyAnswer(pass, params)
  // A bank that has to be the same as before is not chosen anew.
  const { [BANK]: bank } = options
  if (bank !== undefined && client.selectsAccount(params)) params.set('iss', bank)
  seen.pass = client.selectsAccount(params) ? 'select' : 'begin'
  const go = seen.pass === 'select' ? visitAccountSelector : startLogin
  return { type: 'redirect', url: await go(pass, params, options) }
}

/**
 * The callback without any answer is no wish to log in: a bank that answers in the fragment would send the browser
 * round and round. Where logins begin at the callback's own route it cannot be told from such a wish, except that
 * the browser comes from another site while a login waits.
 */
async function assertNotEmptyAnswer<Req extends object>(
  pass: Pass<Req>,
  params: URLSearchParams,
): Promise<void> {
  const { client, req, settings } = pass
  const { callback, routes } = settings
  // With an issuer it comes from the account selector.
  if (!isCallbackRoute(req, callback) || (client.flow === 'direct' && params.has('iss'))) return
  const site = fetchSite(req)
  // No bank sent these. Whatever routes a stranger made us believe in, people can go on to log in.
  if (site === 'same-origin' || site === 'none') return
  const waiting = await waitingFor(pass, undefined)
  const returned = typeof waiting === 'object' && site === 'cross-site'
  const elsewhere = typeof waiting === 'object' && waiting.sameRoute !== true
  if (!routes.startsElsewhere && !returned && !elsewhere) return
  throw new IDPartnerError(
    'response_invalid',
    'the browser came back without an answer: there is no "response" in the query or in a posted form',
  )
}

/** The last rung: the application decides who a person is. */
async function decide<Req extends object>(
  { settings }: Tenant<Req>,
  req: Req,
  login: IDPartnerLogin,
): Promise<Outcome> {
  const { user, info } = await runVerify(settings.verifier, req, login)
  if (!user) return { type: 'fail', info, status: undefined }
  const { identityProvider, interactionId, state } = login
  return { type: 'success', user, info: { ...info, identityProvider, interactionId, state } }
}
