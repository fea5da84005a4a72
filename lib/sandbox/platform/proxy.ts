import { randomBytes, randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import Router from 'router'
import { accountSelectorPage } from '../pages/account-selector.js'
import type { Bank } from '../bank/bank.js'
import type { Faults } from '../faults.js'
import { errorPage } from '../pages/error.js'
import { ExpiringMap } from '../expiring-map.js'
import { queryOf, readForm } from '../http/request.js'
import { redirect, sendJson, sendPage } from '../http/reply.js'
import { RequestRefused, verifyRequestObject, type AuthorizationRequest } from './request-object.js'
import { KeysUnavailable, type RelyingParty } from './relying-party.js'
import type { TrustDirectory } from './trust-directory.js'

/** How long a person may take from the account selector to the bank's answer. */
const TRANSACTION_SECONDS = 30 * 60

interface Transaction {
  request: AuthorizationRequest
  interactionId: string
  bank?: Bank
  /** The bank's own answer, once it has come. */
  answer?: string
}

/** The OIDC proxy: verifies the app's request, lets the person pick a bank, and vouches for the bank's answer. */
export class Proxy {
  readonly url: string
  readonly #banks: readonly Bank[]
  readonly #faults: Faults
  readonly #relyingParty: RelyingParty
  readonly #trustDirectory: TrustDirectory
  readonly #transactions = new ExpiringMap<Transaction>()

  constructor(options: {
    baseUrl: string
    banks: readonly Bank[]
    faults: Faults
    relyingParty: RelyingParty
    trustDirectory: TrustDirectory
  }) {
    this.url = `${options.baseUrl}/oidc-proxy`
    this.#banks = options.banks
    this.#faults = options.faults
    this.#relyingParty = options.relyingParty
    this.#trustDirectory = options.trustDirectory
  }

  /** Keeps a bank's answer until the browser comes for it, and says where it has to come. */
  accept(transactionId: string, answer: string): string | undefined {
    const transaction = this.#transactions.get(transactionId)
    if (!transaction) return undefined
    transaction.answer = answer
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

    router.get('/select/:transaction', (req, res) => {
      const transaction = this.#transactions.get(req.params.transaction)
      if (!transaction) {
        this.#forgotten(res)
        return
      }
      const search = queryOf(req).get('q') ?? ''
      const action = `/oidc-proxy/select/${req.params.transaction}`
      sendPage(
        res,
        accountSelectorPage({
          appName: this.#relyingParty.displayName,
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
      if (!transaction) {
        this.#forgotten(res)
        return
      }
      const form = await readForm(req)
      const bank = this.#banks.find((one) => one.id === form.get('bank'))
      if (bank) {
        transaction.bank = bank
        redirect(res, await bank.beginProxied(transaction.request, id))
      } else if (form.has('cancel')) {
        this.#transactions.delete(id)
        redirect(res, this.#relyingParty.cancelled(transaction.request.state))
      } else {
        redirect(res, `${this.url}/select/${id}`)
      }
    })

    router.get('/answer/:transaction', async (req, res) => {
      const id = req.params.transaction
      const { request, interactionId, bank, answer } = this.#transactions.get(id) ?? {}
      if (!request || !interactionId || !bank || answer === undefined) {
        this.#forgotten(res)
        return
      }
      this.#transactions.delete(id)
      const response = await this.#trustDirectory.signDocument({
        audience: this.#relyingParty.clientId,
        interactionId,
        identityProvider: bank.identityProvider,
        answer,
        nonce: request.nonce,
      })
      redirect(res, this.#relyingParty.callbackWith({ response }))
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
    const advice = `This page is for the developer of ${this.#relyingParty.displayName}. Nothing was sent back to the app, since a request that is not authentic may name any address.`
    sendPage(res, errorPage({ title: 'This request is not valid', problems, advice }), 400)
  }

  #forgotten(res: ServerResponse): void {
    const problems = ['This login was answered already, or has waited for too long.']
    const page = errorPage({
      title: 'This login is over',
      problems,
      advice: 'Go back to the app and start again.',
    })
    sendPage(res, page, 404)
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
