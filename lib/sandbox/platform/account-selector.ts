import Router from 'router'
import { accountSelectorPage } from '../pages/account-selector.js'
import type { Bank } from '../bank/bank.js'
import type { NetworkRules } from '../networks.js'
import { errorPage } from '../pages/error.js'
import type { Refusals } from '../refusals.js'
import { queryOf, readForm } from '../http/request.js'
import { withQuery, type RelyingParty } from './relying-party.js'
import { redirect, sendPage } from '../http/reply.js'
import type { TrustDirectory } from './trust-directory.js'

const PARAMETERS = ['client_id', 'visitor_id', 'scope', 'claims'] as const

/** The account selector of the direct flow: names the bank, and sends the browser back to the app's login route. */
export function accountSelector({
  banks,
  loginUrl,
  network,
  refusals,
  relyingParty,
  trustDirectory,
}: {
  banks: readonly Bank[]
  loginUrl: string
  network: NetworkRules | undefined
  refusals: Refusals
  relyingParty: RelyingParty
  trustDirectory: TrustDirectory
}): Router.Router {
  const router = Router()

  router.use((req, res, next) => {
    const problems = problemsOf(queryOf(req), relyingParty.clientId)
    if (problems.length === 0) {
      next()
      return
    }
    refusals.note('the account selector', 'a request', problems.join('; '))
    const advice = `This page is for the developer of ${relyingParty.name}.`
    sendPage(res, errorPage({ title: 'This request is not valid', problems, advice, app: relyingParty }), 400)
  })

  router.get('/', (req, res) => {
    const query = queryOf(req)
    const carried = PARAMETERS.flatMap((name): [string, string][] => {
      const value = query.get(name)
      return value === null ? [] : [[name, value]]
    })
    const page = accountSelectorPage({
      app: relyingParty,
      banks,
      search: query.get('q') ?? '',
      action: req.baseUrl,
      query: carried,
    })
    sendPage(res, page)
  })

  router.post('/', async (req, res) => {
    const form = await readForm(req)
    const bank = banks.find(({ id }) => id === form.get('bank'))
    const visitorId = queryOf(req).get('visitor_id')
    if (bank) {
      const chosen = {
        iss: bank.issuer,
        // A network has a page of the app's own in its place, which knows of nothing else.
        ...(!network && { idp_id: bank.id }),
        ...(visitorId !== null && { visitor_id: visitorId }),
        ...(!network && { idpartner_token: await trustDirectory.issueToken(bank.issuer) }),
      }
      redirect(res, withQuery(loginUrl, chosen))
    } else if (form.has('cancel')) {
      redirect(res, relyingParty.cancelled())
    } else {
      redirect(res, req.originalUrl)
    }
  })

  return router
}

function problemsOf(query: URLSearchParams, clientId: string): string[] {
  const problems = PARAMETERS.filter((name) => query.getAll(name).length > 1).map(
    (name) => `${name} must be there once`,
  )
  if (query.get('client_id') !== clientId) problems.push(`client_id must be "${clientId}"`)
  for (const name of PARAMETERS) {
    const value = query.get(name)
    if (value === null) continue
    if (value === '') problems.push(`${name} must not be empty; leave it out`)
    else if (/(^| )(undefined|null|\[object)( |$)/.test(value))
      problems.push(`${name} must not be "${value}"`)
  }
  const scopes = query.get('scope')?.split(' ') ?? []
  if (!scopes.includes('openid'))
    problems.push('scope must contain "openid", separated by spaces from others')
  return problems
}
