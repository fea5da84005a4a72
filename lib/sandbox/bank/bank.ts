import { randomBytes } from 'node:crypto'
import { UnsecuredJWT } from 'jose'
import type { Provider } from 'oidc-provider'
import Router from 'router'
import { DpopResources } from './dpop.js'
import { EndedSteps } from './ended-steps.js'
import { bankInteractions } from './interactions.js'
import { createBankProvider, type BankProviderInput } from './provider.js'
import { bankResources } from './resources.js'
import type { SigningKey, SigningKeys } from '../keys.js'
import { logo } from '../pages/logo.js'
import type { Refusals } from '../refusals.js'
import type { NetworkRules } from '../networks.js'
import type { BankData, Persona } from './personas.js'
import { FreshNonces } from './fresh-nonces.js'
import { warnOfUnknown, watchPushedRequests, type Asked } from './unknown-claims.js'
import type { Profile } from '../../client/profile.js'
import type { BankAlgorithms } from '../algorithms.js'
import type { AuthorizationRequest } from '../platform/request-object.js'
import type { IdentityProvider } from '../platform/trust-directory.js'

const PUSHED_REQUEST_SECONDS = 60

const REQUEST_URI_PREFIX = 'urn:ietf:params:oauth:request_uri:'

export interface BankOptions extends Pick<
  BankProviderInput,
  'flow' | 'faults' | 'relyingParty' | 'returnToProxy'
> {
  data: BankData
  algs: BankAlgorithms
  keys: SigningKeys
  profile: Profile
  dpop: boolean
  network: NetworkRules | undefined
  baseUrl: string
  /** The base URL with which a client certificate can be shown, if there is one. */
  mutualTlsBaseUrl: string | undefined
  isSelectorToken: (token: string, issuer: string) => Promise<boolean>
  refusals: Refusals
}

type BankKeys = readonly [SigningKey, ...SigningKey[]]

/** What changes when a bank changes its keys: everything that holds them. */
interface Instance {
  provider: Provider
  router: Router.Router
}

/** One bank: an OpenID Provider of its own, mounted below the sandbox's URL. */
export class Bank {
  readonly id: string
  readonly name: string
  /** Below the sandbox's URL. */
  readonly path: string
  readonly tagline: string
  readonly issuer: string
  readonly logo: string
  readonly personas: readonly Persona[]
  readonly #options: BankOptions
  readonly #steps = new EndedSteps()
  readonly #warnOfUnknown: (asked: Asked) => void
  readonly #mutualTlsUrl: string | undefined
  readonly #open: (keys: BankKeys) => Instance
  readonly #dpop = new DpopResources()
  readonly #freshNonces: FreshNonces<Instance> | undefined
  #keys: BankKeys
  #instance: Instance
  /** The request for which a nonce was asked, as the fault of new nonces has it. */
  #askedAtFirst = false

  private constructor(options: BankOptions, keys: BankKeys) {
    const { data, baseUrl, mutualTlsBaseUrl, network } = options
    const path = `/banks/${data.id}${network?.path ?? ''}`
    this.id = data.id
    this.path = path
    this.name = data.name
    this.tagline = data.tagline
    this.issuer = `${baseUrl}${path}`
    this.logo = `${path}/logo.svg`
    this.personas = data.personas
    // What a network's scopes are, the sandbox does not know.
    this.#warnOfUnknown = network ? () => undefined : warnOfUnknown(data.name, data.personas)
    this.#options = options
    this.#mutualTlsUrl = mutualTlsBaseUrl && `${mutualTlsBaseUrl}${path}`
    const lasting = {
      ...options,
      id: this.id,
      name: this.name,
      issuer: this.issuer,
      personas: this.personas,
      mutualTlsUrl: this.#mutualTlsUrl,
      isSelectorToken: (token: string) => options.isSelectorToken(token, this.issuer),
      cookieKeys: [randomBytes(32).toString('base64url')],
      stores: new Map(),
      steps: this.#steps,
      renewNonces: () => {
        this.#renewNonces()
      },
      noteNonce: (nonce: string) => {
        this.#dpop.note(nonce)
      },
      refused: this.#refused,
    }
    this.#open = (newKeys) => this.#instanceOf(createBankProvider({ ...lasting, keys: newKeys }), newKeys[0])
    this.#keys = keys
    this.#instance = this.#open(keys)
    const { nonceAt = [], nonceSeconds } = network?.dpop ?? {}
    this.#freshNonces =
      nonceSeconds === undefined
        ? undefined
        : new FreshNonces({ nonceAt, nonceSeconds, open: () => this.#open(this.#keys) })
  }

  static async create(options: BankOptions): Promise<Bank> {
    return new Bank(options, await generateKeys(options))
  }

  /** What the proxy's document says about this bank. */
  get identityProvider(): IdentityProvider {
    const { country, legalName, legalEntityIdentifier } = this.#options.data
    return {
      name: this.name,
      issuer_url: this.issuer,
      logo_uri: `${this.issuer}/logo.svg`,
      country,
      legal_name: legalName,
      legal_entity_identifier: legalEntityIdentifier,
    }
  }

  /** Replaces all keys, and publishes the new ones alone; sessions, codes and tokens stay good. */
  async rotateKeys(): Promise<void> {
    this.#keys = await generateKeys(this.#options)
    this.#instance = this.#open(this.#keys)
  }

  /** Whoever has a nonce from before is asked to use another. */
  #renewNonces(): void {
    this.#dpop.forgetNonces()
    // It makes a secret of its own for them.
    this.#instance = this.#open(this.#keys)
  }

  readonly #refused = (what: string, why: string): void => {
    this.#options.refusals.note(this.name, what, why)
  }

  /**
   * Takes over a request that the proxy has verified, and returns where the person logs in.
   *
   * The bank gets the parameters as a pushed request: it could not check the app's own request object, which is meant
   * for the proxy, and in the browser's hands plain parameters could be changed.
   */
  async beginProxied(request: AuthorizationRequest, transaction: string): Promise<string> {
    this.#warnOfUnknown(request)
    const { clientId } = this.#options.relyingParty
    const pushed = new this.#instance.provider.PushedAuthorizationRequest({
      request: new UnsecuredJWT({ ...parametersOf(request), proxy_transaction: transaction })
        .setIssuer(clientId)
        .setAudience(this.issuer)
        .setIssuedAt()
        .setNotBefore('0s')
        .setExpirationTime(`${String(PUSHED_REQUEST_SECONDS)}s`)
        .encode(),
    })
    const id = await pushed.save(PUSHED_REQUEST_SECONDS)
    const query = new URLSearchParams({ client_id: clientId, request_uri: `${REQUEST_URI_PREFIX}${id}` })
    return `${this.issuer}/auth?${query.toString()}`
  }

  router(): Router.Router {
    const router = Router()
    router.get('/logo.svg', (_req, res) => {
      res.writeHead(200, { 'Content-Type': 'image/svg+xml', 'Cache-Control': 'public, max-age=3600' })
      res.end(logo(this.id))
    })
    router.post('/request', (_req, _res, next) => {
      const asks = this.#options.faults.waiting === 'dpop_new_nonces'
      if (asks && !this.#askedAtFirst) this.#renewNonces()
      this.#askedAtFirst = asks
      next()
    })
    router.use((req, res, next) => {
      const { router: handle } = this.#freshNonces?.instanceFor(req, res) ?? this.#instance
      handle(req, res, next)
    })
    return router
  }

  #instanceOf(provider: Provider, key: SigningKey): Instance {
    const { faults, relyingParty, network } = this.#options
    watchPushedRequests(provider, this.#warnOfUnknown)
    const router = Router()
    router.use(
      bankInteractions(provider, {
        bank: this,
        app: relyingParty,
        steps: this.#steps,
        personas: this.personas,
        openidClaims: network?.openid ?? [],
        faults,
        rotateKeys: () => this.rotateKeys(),
      }),
    )
    if (!network) {
      router.use(
        bankResources(provider, {
          personas: this.personas,
          key,
          mutualTlsUrl: this.#mutualTlsUrl,
          dpop: this.#dpop,
          refused: this.#refused,
        }),
      )
    }
    const handle = provider.callback()
    router.use((req, res) => handle(req, res))
    return { provider, router }
  }
}

async function generateKeys({ algs, keys }: BankOptions): Promise<BankKeys> {
  const [first, ...others] = await Promise.all(algs.signing.map((alg) => keys.generate(alg)))
  if (!first) throw new Error('A bank signs with nothing')
  return [first, ...others]
}

/** What makes a request object a JWT is not for the bank, which sets its own; the rest is the app's to choose. */
function parametersOf(request: AuthorizationRequest): Record<string, unknown> {
  const ownToTheProxy = ['iss', 'aud', 'sub', 'jti', 'iat', 'nbf', 'exp']
  return Object.fromEntries(Object.entries(request).filter(([name]) => !ownToTheProxy.includes(name)))
}
