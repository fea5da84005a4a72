import type { Proofs } from '../client/authorization-request.js'
import { optionalParam } from '../client/callback-params.js'
import { loginStep } from '../events.js'
import { proofsOf, type PendingLogin } from './logins.js'
import { loginOptions, type AuthenticateOptions } from './options.js'
import { ACCOUNT_SELECTOR, fromStore, sameRoute, waitingFor, withInteractionId, type Pass } from './pass.js'

/** Sends the browser to the page where a person chooses a bank, from where it comes back to this route. */
export async function visitAccountSelector<Req extends object>(
  pass: Pass<Req>,
  params: URLSearchParams,
  options: AuthenticateOptions,
): Promise<string> {
  const { client, settings, req, signal } = pass
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
    sameRoute: sameRoute(pass),
    state: options.state,
  }
  await fromStore(pass, () => settings.logins.save(req, key, visit, settings.loginTtl))
  return url
}

/** Sends the browser to the bank, or to the proxy in front of all banks. */
export async function startLogin<Req extends object>(
  pass: Pass<Req>,
  params: URLSearchParams,
  options: AuthenticateOptions,
): Promise<string> {
  const { client, settings, req, seen, signal } = pass
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
    sameRoute: sameRoute(pass),
    state: options.state ?? (await selectorState(pass, params)),
  }
  await fromStore(pass, () => settings.logins.save(req, state, login, settings.loginTtl))
  return url
}

/** The length of a state of ours. */
const TICKET = /^[\w-]{43}$/

/** The application's value from before the account selector, which sends the browser back without it. */
async function selectorState<Req extends object>(pass: Pass<Req>, params: URLSearchParams): Promise<unknown> {
  const { client, settings, req } = pass
  const ticket = optionalParam(params, 'visitor_id')?.split('.').at(-1) ?? ''
  if (client.flow === 'proxy' || !TICKET.test(ticket)) return undefined
  // Another strategy's visit is not to be used up.
  if (typeof (await waitingFor(pass, visitKey(ticket))) === 'string') return undefined
  // Of a store of the application's own it may be anything.
  const visit = await fromStore(pass, () => settings.logins.take(req, visitKey(ticket)))
  const { strategy, state } = (visit ?? {}) as Partial<PendingLogin>
  return strategy === settings.id ? state : undefined
}

function visitKey(ticket: string): string {
  return `${ACCOUNT_SELECTOR}.${ticket}`
}

function now(): number {
  return Math.floor(Date.now() / 1000)
}
