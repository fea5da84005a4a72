import * as v from 'valibot'
import { assertFrom } from '../client/answers.js'
import { authorizationError } from '../client/authorization-error.js'
import { neededAcr } from '../client/authorization-request.js'
import type { CallbackParams, PlainError } from '../client/callback-params.js'
import { IDPartnerError } from '../errors.js'
import { loginStep } from '../events.js'
import type { AuthorizationAnswer } from '../jwt/jarm.js'
import type { IdentityProvider } from '../jwt/proxy-document.js'
import { loginMissing, pendingLogin, type PendingLogin } from './logins.js'
import type { LoginOptions, Settings } from './options.js'
import { ACCOUNT_SELECTOR, fromStore, waitingFor, withInteractionId, type Pass } from './pass.js'
import type { IDPartnerLogin } from './verify.js'

/** In this order: is the answer authentic, is it of a login begun here, and only then what it says. */
export async function finishLogin<Req extends object>(
  pass: Pass<Req>,
  brought: CallbackParams,
): Promise<IDPartnerLogin> {
  if ('error' in brought) throw await unsigned(pass, brought)
  const { client, settings, seen, signal } = pass
  const record = settings.receipt ? await client.newRecord() : undefined
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
    const pending = await takeLogin(pass, answer)
    Object.assign(seen, loginStep(pending.interactionId))
    return withInteractionId(pending.interactionId, async () => {
      const { issuer } = answer
      const identityProvider = document?.identity_provider ?? client.identityProviderOf(issuer)
      if ('code' in answer.outcome) await assertAccepted(pass, identityProvider)
      const checks = { ...pending, floor: floorOf(settings, pending) }
      const tokens = await client.redeem(answer, checks, call)
      const userInfo = settings.fetchUserInfo
        ? { userInfo: await client.readUserInfo(issuer, tokens, call) }
        : {}
      // From then on nothing but answers is expected at the callback. A login that is only begun may be a stranger's.
      if (pending.sameRoute !== true) settings.routes.startsElsewhere = true
      const { claims } = tokens
      const { interactionId, state } = pending
      const { tenant } = settings
      const whose = tenant === undefined ? {} : { tenant }
      const login = { claims, identityProvider, issuer, tokens, ...userInfo, interactionId, state, ...whose }
      if (!record) return login
      const plain = 'code' in brought ? brought : undefined
      const ended = { issuer, state: answer.state, interactionId, begun: pending.begun, checks, plain }
      return { ...login, receipt: await client.receipt(record, ended) }
    })
  })
}

/** Uses up the login that an authentic answer belongs to. */
async function takeLogin<Req extends object>(
  pass: Pass<Req>,
  { state, issuer }: AuthorizationAnswer,
): Promise<PendingLogin> {
  const { req, settings } = pass
  const { logins } = settings
  const waiting = await fromStore(pass, () => logins.peek?.(req, state))
  // Another bank's answer is no answer to this login, so it must not use it up.
  if (typeof waiting === 'object') assertBelongs(pass, waiting, issuer)
  const taken = await fromStore(pass, () => logins.take(req, state))
  if (!taken || typeof taken === 'string') throw loginMissing(taken, req, settings.callback)
  return assertBelongs(pass, taken, issuer)
}

/** A login is finished by the strategy that began it, with an answer of the bank that it went to. */
function assertBelongs<Req extends object>(
  { client, settings, req }: Pass<Req>,
  stored: unknown,
  issuer: string,
): PendingLogin {
  const { success, output: pending } = v.safeParse(pendingLogin, stored)
  if (!success || (client.flow === 'direct' && pending.issuer === undefined)) {
    throw new IDPartnerError('config_invalid', 'the login store returned something that is no pending login')
  }
  assertFrom(pending.issuer, issuer)
  if (pending.strategy !== settings.id) throw loginMissing('no_login', req)
  return pending
}

/** What this strategy asks of every login, when the one that began this login asked for something else. */
function floorOf(
  { login, floor: own }: Readonly<Settings<never>>,
  { floor }: PendingLogin,
): Pick<LoginOptions, 'max_age' | 'acr_values'> | undefined {
  return floor === own ? undefined : { max_age: login.max_age, acr_values: neededAcr(login) }
}

/**
 * An error that nobody signed ends nothing: the login it may be meant for stays pending. Where answers are plain, one of
 * the right issuer and state is the bank's answer, and ends that login.
 */
async function unsigned<Req extends object>(pass: Pass<Req>, brought: PlainError): Promise<IDPartnerError> {
  const { client, settings, req } = pass
  const { error, state } = brought
  const answer = client.readError(brought)
  if (answer) {
    const { interactionId } = await takeLogin(pass, answer)
    return authorizationError(error, undefined, true).withInteractionId(interactionId)
  }
  const waiting = await waitingFor(pass, state)
  if (typeof waiting === 'string') return loginMissing(waiting, req, settings.callback)
  const visited = waiting?.issuer === ACCOUNT_SELECTOR
  const id = visited ? undefined : waiting?.interactionId
  return authorizationError(error).withInteractionId(id)
}

async function assertAccepted<Req extends object>(
  { settings, req }: Pass<Req>,
  provider: IdentityProvider,
): Promise<void> {
  const { acceptProvider } = settings
  if (!acceptProvider) return
  // Only true accepts: a forgotten return is a no.
  const accepted: unknown = await acceptProvider(provider, req)
  if (accepted !== true) {
    throw new IDPartnerError('provider_refused', 'this bank is not accepted here ("acceptProvider" said no)')
  }
}
