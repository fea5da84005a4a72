import { randomBytes, randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import Router from 'router'
import { accountSelectorPage } from '../pages/account-selector.js'
import type { Bank } from '../bank/bank.js'
import { browserOf, rememberBrowser } from '../http/browser-id.js'
import type { Faults } from '../faults.js'
import { errorPage } from '../pages/error.js'
import { ExpiringMap } from '../expiring-map.js'
import { queryOf, readForm } from '../http/request.js'
import { redirect, sendJson, sendPage } from '../http/reply.js'
import type { Refusals } from '../refusals.js'
import { RequestRefused, verifyRequestObject, type AuthorizationRequest } from './request-object.js'
import { KeysUnavailable, type RelyingParty } from './relying-party.js'
import type { TrustDirectory } from './trust-directory.js'

/** How long a person may take from the account selector to the bank's answer. */
const TRANSACTION_SECONDS = 30 * 60

/** For an impatient second click, and for a reload while the app is slow. */
const REPEAT_MS = 60_000

const PATH = '/oidc-proxy'

interface BankAnswer {
  bank: Bank
  jarm: string
}

interface Transaction {
  request: AuthorizationRequest
  interactionId: string
  /** The first bank's own answer, once it has come. */
  answer?: BankAnswer
  /** How the login ended: what a browser got that comes for it again. */
  ended?: { browser: string | undefined; location: Promise<string>; at: number; byBank: boolean }
}

/** The OIDC proxy: verifies the app's request, lets the person pick a bank, and vouches for the bank's answer. */
export class Proxy {
  readonly url: string
  readonly #banks: readonly Bank[]
  readonly #faults: Faults
  readonly #refusals: Refusals
  readonly #relyingParty: RelyingParty
  readonly #trustDirectory: TrustDirectory
  readonly #transactions = new ExpiringMap<Transaction>()

  constructor(options: {
    baseUrl: string
    banks: readonly Bank[]
    faults: Faults
    refusals: Refusals
    relyingParty: RelyingParty
    trustDirectory: TrustDirectory
  }) {
    this.url = `${options.baseUrl}${PATH}`
    this.#banks = options.banks
    this.#faults = options.faults
    this.#refusals = options.refusals
    this.#relyingParty = options.relyingParty
    this.#trustDirectory = options.trustDirectory
  }

  /** Keeps the answer of a bank, whichever it is, until the browser comes for it, and says where it has to come. */
  accept(transactionId: string, bankId: string, jarm: string): string | undefined {
    const transaction = this.#transactions.get(transactionId)
    const bank = this.#banks.find(({ id }) => id === bankId)
    // Two banks may have been opened from one account selector. The app's login ends with the first answer.
    if (!transaction || !bank || transaction.answer) return undefined
    transaction.answer = { bank, jarm }
    return `${this.url}/answer/${transactionId}`
  }

  router(): Router.Router {
    const router = Router()

    router.get('/.well-known/openid-configuration', (_req, res) => {
      sendJson(res, this.#discoveryDocument())
    })

    router.get('/auth', async (req, res) => {
      const query = queryOf(req)
      try {
        redirect(res, `${this.url}/select/${await this.#begin(query)}`)
      } catch (err) {
        if (err instanceof RequestRefused) this.#refuse(res, err.problems)
        else if (err instanceof KeysUnavailable) this.#refuse(res, [err.message])
        else throw err
      }
    })

    router.get('/select/:transaction', async (req, res) => {
      const transaction = this.#transactions.get(req.params.transaction)
      if (!transaction || transaction.ended) {
        await this.#leadOn(req, res, transaction)
        return
      }
      rememberBrowser(req, res, PATH)
      const search = queryOf(req).get('q') ?? ''
      const action = `${PATH}/select/${req.params.transaction}`
      sendPage(
        res,
        accountSelectorPage({
          app: this.#relyingParty,
          banks: this.#banks,
          search,
          action,
          query: [],
        }),
      )
    })

    router.post('/select/:transaction', async (req, res) => {
      const id = req.params.transaction
      const transaction = this.#transactions.get(id)
      if (!transaction || transaction.ended) {
        await this.#leadOn(req, res, transaction)
        return
      }
      const form = await readForm(req)
      const bank = this.#banks.find((one) => one.id === form.get('bank'))
      if (bank) {
        redirect(res, await bank.beginProxied(transaction.request, id))
      } else if (form.has('cancel')) {
        const location = this.#relyingParty.cancelled(transaction.request.state)
        // Nobody signs this, so a bank that is open in another tab may still answer.
        end(transaction, req, Promise.resolve(location), { byBank: false })
        redirect(res, location)
      } else {
        redirect(res, `${this.url}/select/${id}`)
      }
    })

    router.get('/answer/:transaction', async (req, res) => {
      const transaction = this.#transactions.get(req.params.transaction)
      if (!transaction?.answer || transaction.ended?.byBank) {
        await this.#leadOn(req, res, transaction)
        return
      }
      const location = this.#signed(transaction, transaction.answer)
      end(transaction, req, location, { byBank: true })
      redirect(res, await location)
    })

    return router
  }

  async #begin(query: URLSearchParams): Promise<string> {
    const requests = query.getAll('request')
    if (requests.length !== 1 || !requests[0]) {
      throw new RequestRefused(['there must be one query parameter "request", with a signed request object'])
    }
    // RFC 9101, section 5: when it is given beside the request object, it must be the same.
    const clientId = query.get('client_id')
    if (clientId !== null && clientId !== this.#relyingParty.clientId) {
      throw new RequestRefused([`client_id in the query must be "${this.#relyingParty.clientId}"`])
    }
    const request = await verifyRequestObject(requests[0], this.url, this.#relyingParty)
    const id = randomBytes(24).toString('base64url')
    const interactionId = request['x-fapi-interaction-id'] ?? randomUUID()
    this.#faults.begin(request.nonce)
    this.#transactions.set(id, { request, interactionId }, TRANSACTION_SECONDS)
    return id
  }

  #refuse(res: ServerResponse, problems: readonly string[]): void {
    this.#refusals.note('IDPartner', 'a request', problems.join('; '))
    const advice = `This page is for the developer of ${this.#relyingParty.name}. Nothing was sent back to the app, since a request that is not authentic may name any address.`
    sendPage(
      res,
      errorPage({ title: 'This request is not valid', problems, advice, app: this.#relyingParty }),
      400,
    )
  }

  async #signed({ request, interactionId }: Transaction, { bank, jarm }: BankAnswer): Promise<string> {
    const response = await this.#trustDirectory.signDocument({
      audience: this.#relyingParty.clientId,
      interactionId,
      identityProvider: bank.identityProvider,
      answer: jarm,
      nonce: request.nonce,
    })
    return this.#relyingParty.callbackWith({ response })
  }

  /** Gives an impatient browser what it got a moment ago; to anybody else it says that the login is over. */
  async #leadOn(
    req: IncomingMessage,
    res: ServerResponse,
    transaction: Transaction | undefined,
  ): Promise<void> {
    const { ended } = transaction ?? {}
    const browser = browserOf(req)
    if (ended && browser !== undefined && browser === ended.browser && Date.now() - ended.at < REPEAT_MS) {
      redirect(res, await ended.location)
      return
    }
    const { name } = this.#relyingParty
    const problem = transaction?.answer
      ? `${name} has the bank's answer already.`
      : 'IDPartner knows of no such login. It was cancelled, has waited for more than half an hour, or the sandbox was started anew.'
    const advice = 'Start again at the app.'
    const page = { title: 'This login is over', problems: [problem], advice, app: this.#relyingParty }
    sendPage(res, errorPage(page), 404)
  }

  #discoveryDocument(): object {
    return {
      issuer: this.url,
      authorization_endpoint: `${this.url}/auth`,
      jwks_uri: this.#trustDirectory.jwksUri,
      scopes_supported: ['openid', 'offline_access', 'profile', 'email', 'address'],
      response_types_supported: ['code'],
      response_modes_supported: ['jwt'],
      grant_types_supported: ['authorization_code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['PS256'],
      authorization_signing_alg_values_supported: ['PS256'],
      request_parameter_supported: true,
      request_uri_parameter_supported: false,
      require_signed_request_object: true,
      request_object_signing_alg_values_supported: ['PS256', 'ES256'],
      code_challenge_methods_supported: ['S256'],
      claims_parameter_supported: true,
    }
  }
}

function end(
  transaction: Transaction,
  req: IncomingMessage,
  location: Promise<string>,
  { byBank }: { byBank: boolean },
): void {
  transaction.ended = { browser: browserOf(req), location, at: Date.now(), byBank }
}
