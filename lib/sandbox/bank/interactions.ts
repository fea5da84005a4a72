import type { IncomingMessage, ServerResponse } from 'node:http'
import Router from 'router'
import { errors, type InteractionResults, type Provider } from 'oidc-provider'
import { consentPage, loginPage, type BankPageContext } from '../pages/bank.js'
import { browserOf, rememberBrowser } from '../http/browser-id.js'
import { ACR, claimNames, consentItems } from './claims.js'
import { STEP_SECONDS, type EndedSteps } from './ended-steps.js'
import { errorPage } from '../pages/error.js'
import { ExpiringMap } from '../expiring-map.js'
import type { Faults } from '../faults.js'
import { queryOf, readForm } from '../http/request.js'
import type { Persona } from './personas.js'
import { sendStepAgain } from './repeated-steps.js'
import { redirect, sendPage } from '../http/reply.js'

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>

export interface BankInteractions extends BankPageContext {
  personas: readonly Persona[]
  /** Claims that come with the scope `openid`, beside `sub`. */
  openidClaims: readonly string[]
  faults: Faults
  steps: EndedSteps
  rotateKeys: () => Promise<void>
}

type StepRequest = IncomingMessage & { params: Record<string, string> }

/** The pages on which a person logs in at a bank, agrees, or turns back. */
export function bankInteractions(
  provider: Provider,
  { personas, openidClaims, faults, steps, rotateKeys, ...context }: BankInteractions,
): Router.Router {
  const router = Router()
  const mountPath = new URL(provider.issuer).pathname
  /** The login that was wrong in a step's last attempt. */
  const wrongLogins = new ExpiringMap<string>()

  router.get('/interaction/:uid', async (req, res) => {
    const interaction = await interactionOf(req, res)
    if (!interaction) return
    const refusal = refusalOf(interaction) ?? unmetRequirement(interaction)
    if (refusal) {
      await finish(req, res, refusal)
      return
    }
    rememberBrowser(req, res, mountPath)
    if (interaction.prompt.name === 'login') {
      const chosen = queryOf(req).get('login')
      const wrong = chosen === null ? wrongLogins.get(interaction.uid) : undefined
      const login = chosen ?? wrong ?? stringParam(interaction, 'login_hint')
      const error = wrong === undefined ? undefined : 'The login or the password is not right.'
      const action = actionOf(interaction)
      const password = personas.find((one) => one.login === chosen)?.password ?? ''
      sendPage(res, loginPage({ ...context, personas, action, login, password, error }))
    } else {
      showConsent(res, interaction)
    }
  })

  router.post('/interaction/:uid', async (req, res) => {
    const interaction = await interactionOf(req, res)
    if (!interaction) return
    if (interaction.prompt.name === 'login') {
      const form = await readForm(req)
      const login = (form.get('login') ?? '').trim()
      const persona = personas.find((one) => one.login === login && one.password === form.get('password'))
      if (!persona) {
        wrongLogins.set(interaction.uid, login, STEP_SECONDS)
        // So that Back and reload lead to pages, and not to a form that wants to be sent again.
        redirect(res, actionOf(interaction))
        return
      }
      await forgetOtherAccount(req, res, interaction, persona.claims.sub)
      await finish(req, res, { login: { accountId: persona.claims.sub, acr: ACR, amr: ['pwd'] } })
    } else {
      if (faults.at('keys', interaction.params.nonce)) await rotateKeys()
      await finish(req, res, { consent: { grantId: await grantAll(interaction) } })
    }
  })

  router.post('/interaction/:uid/cancel', async (req, res) => {
    if (!(await interactionOf(req, res))) return
    await finish(req, res, { error: 'access_denied', error_description: 'The person cancelled at the bank' })
  })

  /** The login that this browser has under way here; answers the request itself when there is none. */
  async function interactionOf(req: StepRequest, res: ServerResponse): Promise<Interaction | undefined> {
    return await unlessOver(req, res, () => provider.interactionDetails(req, res))
  }

  async function finish(req: StepRequest, res: ServerResponse, result: InteractionResults): Promise<void> {
    const location = await unlessOver(req, res, () => provider.interactionResult(req, res, result))
    if (location !== undefined) redirect(res, location)
  }

  /** Where a step has ended, the browser gets what it got then, or reads why it cannot go on. */
  async function unlessOver<T>(
    req: StepRequest,
    res: ServerResponse,
    proceed: () => Promise<T>,
  ): Promise<T | undefined> {
    const uid = req.params.uid ?? ''
    const again = await steps.responseAgain(uid, browserOf(req))
    if (again) {
      await sendStepAgain(provider, { req, res }, again)
      return undefined
    }
    try {
      return await proceed()
    } catch (err) {
      if (!(err instanceof errors.SessionNotFound)) throw err
      if (await detachFromSession(req, res, uid)) return await proceed()
      const { status, ...page } = await deadEnd(req, uid)
      sendPage(res, errorPage({ ...page, theme: context.bank.id, app: context.app }), status)
      return undefined
    }
  }

  /**
   * Lets a login page go on although somebody else has logged in here since it was opened: it asks who it is anyway.
   * Says whether that was what was wrong.
   */
  async function detachFromSession(req: IncomingMessage, res: ServerResponse, uid: string): Promise<boolean> {
    const { cookies } = provider.createContext(req, res)
    if (cookies.get(provider.cookieName('interaction'), { signed: true }) !== uid) return false
    const interaction = await provider.Interaction.find(uid)
    if (interaction?.prompt.name !== 'login' || !interaction.session) return false
    delete (interaction as Partial<Interaction>).session
    await interaction.persist()
    return true
  }

  async function deadEnd(req: IncomingMessage, uid: string) {
    const { name } = context.bank
    const status = 400
    if (steps.has(uid)) {
      const problems = [`${context.app.name} has the answer of ${name} already.`]
      return { status, title: 'This login is over', problems, advice: 'Nothing is left to do here.' }
    }
    const interaction = await provider.Interaction.find(uid)
    if (!interaction) {
      const problems = [
        `${name} knows of no such login. It may have waited for more than half an hour, or the sandbox was started anew.`,
      ]
      return { status, title: 'This login is over', problems, advice: 'Start again at the app.' }
    }
    if (req.headers.cookie === undefined) {
      const problems = [
        `Your browser sent no cookie along, and without one ${name} cannot tell whose login this is.`,
      ]
      const advice = `If it blocks cookies, allow them for ${new URL(provider.issuer).hostname} and start again. If the login began in another browser, go on there.`
      return { status, title: 'No cookies', problems, advice }
    }
    const session = await provider.Session.findByUid(interaction.session?.uid ?? '')
    if (interaction.session && session?.accountId !== interaction.session.accountId) {
      const problems = [
        `Somebody else has logged in at ${name} in this browser, which ended the login that began here.`,
      ]
      return { status, title: 'Another person logged in', problems, advice: 'Start again at the app.' }
    }
    const problems = ['This login began in another browser.']
    return { status, title: 'Not your login', problems, advice: 'Go on there, or start again at the app.' }
  }

  function refusalOf({ params }: Interaction): InteractionResults | undefined {
    const error = faults.at('bank', params.nonce)
    return error && { error, error_description: 'The bank refused, as sandbox.next asked for' }
  }

  function showConsent(res: ServerResponse, interaction: Interaction): void {
    const persona = personas.find(({ claims }) => claims.sub === interaction.session?.accountId)
    if (!persona) throw new Error('The bank knows no customer for this session')
    const requested = {
      scope: stringParam(interaction, 'scope'),
      claimNames: [...openidClaims, ...claimNames(interaction.params.claims)],
    }
    sendPage(
      res,
      consentPage({
        ...context,
        personName: persona.claims.name,
        items: consentItems(requested, persona.claims),
        action: actionOf(interaction),
      }),
    )
  }

  /** Grants what the consent page listed. */
  async function grantAll({ prompt, params, session }: Interaction): Promise<string> {
    const { missingOIDCScope, missingOIDCClaims } = prompt.details as Record<string, string[] | undefined>
    const grant = new provider.Grant({ accountId: session?.accountId, clientId: String(params.client_id) })
    if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '))
    if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims)
    return grant.save()
  }

  /**
   * Empties the browser's session at this bank when somebody else logs in now. Otherwise oidc-provider would first
   * ask, on a page of its own, whether to log the other one out.
   */
  async function forgetOtherAccount(
    req: IncomingMessage,
    res: ServerResponse,
    interaction: Interaction,
    sub: string,
  ): Promise<void> {
    const session = await provider.Session.get(provider.createContext(req, res))
    if (session.accountId === undefined || session.accountId === sub) return
    delete session.accountId
    session.authorizations = {}
    await session.persist()
    if (interaction.session) {
      delete (interaction.session as Partial<typeof interaction.session>).accountId
      await interaction.persist()
    }
  }

  function actionOf({ uid }: Interaction): string {
    return `${mountPath}/interaction/${uid}`
  }

  return router
}

/**
 * A class of authentication that this bank does not have: asking for the login again and again would not help.
 *
 * @see https://openid.net/specs/openid-connect-core-1_0.html#acrSemantics
 */
function unmetRequirement({ prompt }: Interaction): InteractionResults | undefined {
  if (!prompt.reasons.some((reason) => reason.startsWith('essential_acr'))) return undefined
  const wanted = (prompt.details.acr ?? {}) as { value?: string; values?: string[] }
  if (wanted.value === ACR || wanted.values?.includes(ACR)) return undefined
  return { error: 'unmet_authentication_requirements', error_description: `The bank offers ${ACR} alone` }
}

function stringParam({ params }: Interaction, name: string): string {
  const value = params[name]
  return typeof value === 'string' ? value : ''
}
