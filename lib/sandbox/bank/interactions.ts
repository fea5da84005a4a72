import type { IncomingMessage, ServerResponse } from 'node:http'
import Router from 'router'
import { errors, type InteractionResults, type Provider } from 'oidc-provider'
import { consentPage, loginPage, type BankPageContext } from '../pages/bank.js'
import { ACR, claimNames, consentItems } from './claims.js'
import { errorPage } from '../pages/error.js'
import type { Faults } from '../faults.js'
import { queryOf, readForm } from '../http/request.js'
import type { Persona } from './personas.js'
import { redirect, sendPage } from '../http/reply.js'

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>

/** The pages on which a person logs in at a bank, agrees, or turns back. */
export function bankInteractions(
  provider: Provider,
  {
    personas,
    faults,
    rotateKeys,
    ...context
  }: BankPageContext & { personas: readonly Persona[]; faults: Faults; rotateKeys: () => Promise<void> },
): Router.Router {
  const router = Router()

  router.get('/interaction/:uid', async (req, res) => {
    const interaction = await interactionOf(req, res)
    if (!interaction) return
    const refusal = refusalOf(interaction) ?? unmetRequirement(interaction)
    if (refusal) {
      await finish(req, res, refusal)
      return
    }
    if (interaction.prompt.name === 'login') {
      const login = queryOf(req).get('login')
      const hint = login ?? stringParam(interaction, 'login_hint')
      showLogin(res, interaction, { login: hint, password: login === null ? '' : login })
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
        showLogin(
          res,
          interaction,
          { login, password: '', error: 'The login or the password is not right.' },
          422,
        )
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
  async function interactionOf(req: IncomingMessage, res: ServerResponse): Promise<Interaction | undefined> {
    try {
      return await provider.interactionDetails(req, res)
    } catch (err) {
      if (!(err instanceof errors.SessionNotFound)) throw err
      const page = errorPage({
        title: 'This login is over',
        problems: ['The bank knows of no login under way in this browser.'],
        advice:
          'It may have ended in another tab, or have waited for too long. Go back to the app and start again.',
        theme: context.bank.id,
      })
      sendPage(res, page, 400)
      return undefined
    }
  }

  function refusalOf({ params }: Interaction): InteractionResults | undefined {
    const error = faults.at('bank', params.nonce)
    return error && { error, error_description: 'The bank refused, as sandbox.next asked for' }
  }

  function showLogin(
    res: ServerResponse,
    interaction: Interaction,
    form: { login: string; password: string; error?: string },
    status?: number,
  ): void {
    sendPage(res, loginPage({ ...context, ...form, personas, action: actionOf(interaction) }), status)
  }

  function showConsent(res: ServerResponse, interaction: Interaction): void {
    const persona = personas.find(({ claims }) => claims.sub === interaction.session?.accountId)
    if (!persona) throw new Error('The bank knows no customer for this session')
    const requested = {
      scope: stringParam(interaction, 'scope'),
      claimNames: claimNames(interaction.params.claims),
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

  async function finish(
    req: IncomingMessage,
    res: ServerResponse,
    result: InteractionResults,
  ): Promise<void> {
    redirect(res, await provider.interactionResult(req, res, result))
  }

  function actionOf({ uid }: Interaction): string {
    return `${new URL(provider.issuer).pathname}/interaction/${uid}`
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
