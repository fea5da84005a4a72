import { createHash, randomUUID } from 'node:crypto'
import { SignJWT, type JWTPayload } from 'jose'
import { startSandbox, type Sandbox } from 'passport-idpartner/sandbox'
import { Agent, fetch as undiciFetch } from 'undici'
import type { Network } from '../../lib/client/networks.js'
import { NETWORKS } from '../../lib/sandbox/networks.js'
import { Browser } from './browser.js'
import { SandboxApp, agree, discover, generateKey, paramOf, present, type Key } from './sandbox-app.js'

/** How a request differs from one that a bank of the network takes. What is `undefined` is left out. */
export interface Bend {
  /** Parameters of the login, wherever the network has them. */
  asked?: Record<string, unknown>
  /** What stands in the form. */
  form?: Record<string, string | undefined>
  /** Claims of the signed request. */
  request?: JWTPayload
  assertion?: Record<string, unknown>
  assertionHeader?: Record<string, unknown>
  proof?: JWTPayload
  /** Another key for the proof. */
  proofKey?: Key
  headers?: Record<string, string | undefined>
}

export interface Answer {
  status: number
  error?: string
  error_description?: string
  request_uri?: string
  access_token?: string
  nonce: string | null
}

export const seconds = (): number => Math.floor(Date.now() / 1000)
export const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url')

interface Parts {
  network: Network
  app: SandboxApp
  key: Key
  sandbox: Sandbox
  lines: string[]
}

/** An application of a network, written with jose alone, so that the rules are not tried with our own client. */
export class NetworkApp {
  /** What the sandbox printed. */
  readonly lines: string[]
  readonly proofs
  readonly issuer: string
  readonly sandbox: Sandbox
  readonly #app: SandboxApp
  readonly #key: Key
  readonly #network: Network

  private constructor({ network, app, key, sandbox, lines }: Parts) {
    this.lines = lines
    this.#network = network
    this.#app = app
    this.#key = key
    this.sandbox = sandbox
    this.issuer = present(sandbox.banks[0]).issuer
    this.proofs = app.newProofs()
  }

  static async start(network: Network, encrypts = true): Promise<NetworkApp> {
    const { registered, dpop } = NETWORKS[network]
    const [alg = 'PS256'] = registered.token_endpoint_auth_signing_alg ?? []
    const app = await SandboxApp.start({ alg, encrypted: false })
    const [enc] = registered.id_token_encrypted_response_alg ?? []
    if (enc && encrypts) app.encryption = await generateKey(enc, 'enc')
    const key = await generateKey(dpop?.algs.includes('ES256') === false ? 'PS256' : 'ES256')
    const lines: string[] = []
    const sandbox = await startSandbox({
      ...app.options,
      network,
      banks: [{ name: 'Mikomo Bank' }],
      log: (line) => lines.push(line),
    })
    return new NetworkApp({ network, app, key, sandbox, lines })
  }

  async close(): Promise<void> {
    await this.sandbox.close()
    await this.#app.close()
  }

  get callback(): string {
    return this.#app.callback
  }

  async push({ asked, request, form, ...bend }: Bend = {}): Promise<Answer> {
    const { example, pushed } = NETWORKS[this.#network]
    const { state, nonce, verifier } = this.#app.newProofs()
    this.proofs.verifier = verifier
    const login = {
      ...{ client_id: this.#app.clientId, redirect_uri: this.callback, response_type: 'code' },
      ...{ scope: 'openid', state, nonce },
      ...{ code_challenge: sha256(verifier), code_challenge_method: 'S256' },
      ...{ purpose: example.purpose, claims: example.claims, ...example.authorization_params },
      authorization_details: example.authorization_details,
      ...asked,
    }
    const own = pushed === 'signed' ? { request: await this.#request(login, request) } : (login as object)
    return this.send('/request', { ...bend, form: { ...own, ...form } })
  }

  /** A whole login at the bank's pages, up to the code. */
  async code(): Promise<string> {
    const { request_uri = '' } = await this.push()
    const browser = new Browser(this.callback)
    const { url } = await agree(browser, await browser.open(this.visit({ request_uri })))
    return paramOf(url, 'code')
  }

  redeem(code: string, bend: Bend = {}): Promise<Answer> {
    const form = {
      ...{ grant_type: 'authorization_code', code, redirect_uri: this.callback },
      ...{ code_verifier: this.proofs.verifier, ...bend.form },
    }
    return this.send('/token', { ...bend, form })
  }

  visit(query: Record<string, string>): string {
    return `${this.issuer}/auth?${String(new URLSearchParams({ client_id: this.#app.clientId, ...query }))}`
  }

  async send(
    path: string,
    { form, assertion, assertionHeader, proof, proofKey, headers }: Bend,
  ): Promise<Answer> {
    const { tls_client_cert: cert, tls_client_key: key, tls_server_ca: ca } = this.sandbox.config
    const base = cert === undefined ? this.issuer : await this.#mutualTlsBase()
    const body = {
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await this.#assertion(assertion, assertionHeader),
      ...form,
    }
    const dispatcher = new Agent({ connect: { cert, key, ca } as object })
    const response = await undiciFetch(`${base}${path}`, {
      method: 'POST',
      body: new URLSearchParams(textsOf(body)),
      headers: textsOf({
        'x-fapi-interaction-id': randomUUID(),
        dpop: NETWORKS[this.#network].dpop && (await this.#proof(`${base}${path}`, proof, proofKey)),
        ...headers,
      }),
      dispatcher,
    })
    const answer = (await response.json()) as object
    await dispatcher.close()
    return { ...answer, status: response.status, nonce: response.headers.get('dpop-nonce') }
  }

  async #mutualTlsBase(): Promise<string> {
    const { mtls_endpoint_aliases: aliases } = await discover(this.issuer)
    return (aliases as { token_endpoint: string }).token_endpoint.replace(/\/token$/, '')
  }

  #request(login: object, claims: JWTPayload = {}): Promise<string> {
    const now = seconds()
    const times = { iat: now, nbf: now, exp: now + 300, jti: randomUUID() }
    return this.#signed({ iss: this.#app.clientId, aud: this.issuer, ...times, ...login, ...claims }, {})
  }

  #assertion(claims: Record<string, unknown> = {}, header: object = {}): Promise<string> {
    const now = seconds()
    const times = { iat: now, nbf: now, exp: now + 50, jti: randomUUID() }
    const whose = { iss: this.#app.clientId, sub: this.#app.clientId, aud: this.issuer }
    return this.#signed({ ...whose, ...times, ...claims }, { typ: 'JWT', ...header })
  }

  #signed(claims: JWTPayload, header: object): Promise<string> {
    const { alg, jwk, privateKey } = this.#app.signing
    return new SignJWT(claims).setProtectedHeader({ alg, kid: jwk.kid, ...header }).sign(privateKey)
  }

  #proof(htu: string, claims: JWTPayload = {}, key = this.#key): Promise<string> {
    const { alg, jwk, privateKey } = key
    const { kty, crv, x, y, n, e } = jwk
    const now = seconds()
    return new SignJWT({ jti: randomUUID(), iat: now, exp: now + 60, htm: 'POST', htu, ...claims })
      .setProtectedHeader({ alg, typ: 'dpop+jwt', jwk: { kty, crv, x, y, n, e } as never })
      .sign(privateKey)
  }
}

function textsOf(members: Record<string, unknown>): Record<string, string> {
  const there = Object.entries(members).filter(([, value]) => value !== undefined)
  return Object.fromEntries(
    there.map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
  )
}
