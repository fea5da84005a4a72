import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  compactDecrypt,
  createRemoteJWKSet,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  jwtVerify,
  SignJWT,
  type CryptoKey,
  type JWK,
  type JWTPayload,
} from 'jose'
import { Agent, fetch as undiciFetch, type RequestInit } from 'undici'
import type { Sandbox } from '../../lib/sandbox/index.js'
import { Browser, type Page } from './browser.js'

export interface Key {
  alg: string
  jwk: JWK & { kid: string }
  privateKey: CryptoKey
}

export async function generateKey(alg: string, use: 'sig' | 'enc' = 'sig'): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid: randomUUID(), alg, use } }
}

export interface Proofs {
  state: string
  nonce: string
  verifier: string
  interactionId: string
}

type Params = Record<string, unknown>

/** What a token endpoint answers. */
export interface Tokens {
  access_token: string
  id_token: string
  refresh_token?: string
  scope: string
  token_type: string
}

/** How the app shows who it is: with an assertion by default. */
export interface Authentication {
  clientSecret?: string | undefined
  /** Certificate, key and CA; then the endpoints are taken from `mtls_endpoint_aliases`. */
  tls?: { cert?: string | undefined; key?: string | undefined; ca?: string | undefined } | undefined
  /** No assertion, since the certificate is the authentication. */
  certificateOnly?: boolean
}

/** A small relying party, written with jose alone, so that the sandbox is not tested with our own library. */
export class SandboxApp {
  readonly clientId = 'sandbox-app'
  readonly origin: string
  readonly jwksUri: string
  readonly callback: string
  signing: Key
  encryption: Key | undefined
  /** What is published instead of the keys. */
  published: { status?: number; body?: string } = {}
  readonly #server: Server

  private constructor(server: Server, signing: Key, encryption: Key | undefined) {
    const { port } = server.address() as AddressInfo
    this.origin = `http://localhost:${String(port)}`
    this.jwksUri = `${this.origin}/jwks`
    this.callback = `${this.origin}/auth/callback?tenant=a%20b`
    this.#server = server
    this.signing = signing
    this.encryption = encryption
    server.on('request', (_req, res) => {
      const keys = [this.signing, this.encryption].flatMap((key) => (key ? [key.jwk] : []))
      res.statusCode = this.published.status ?? 200
      res.setHeader('content-type', 'application/json')
      res.end(this.published.body ?? JSON.stringify({ keys }))
    })
  }

  static async start({ alg = 'PS256', encrypted = true } = {}): Promise<SandboxApp> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
    const encryption = encrypted ? await generateKey('RSA-OAEP', 'enc') : undefined
    return new SandboxApp(server, await generateKey(alg), encryption)
  }

  get options() {
    return {
      client_id: this.clientId,
      callback: this.callback,
      jwks_uri: this.jwksUri,
      log: false as const,
    }
  }

  async rotateKeys(): Promise<void> {
    this.signing = await generateKey(this.signing.alg)
    if (this.encryption) this.encryption = await generateKey('RSA-OAEP', 'enc')
  }

  newProofs(): Proofs {
    const random = () => randomBytes(32).toString('base64url')
    return { state: random(), nonce: random(), verifier: random(), interactionId: randomUUID() }
  }

  authorizationParams(proofs: Proofs): Params {
    return {
      client_id: this.clientId,
      redirect_uri: this.callback,
      response_type: 'code',
      response_mode: 'jwt',
      scope: 'openid email profile',
      state: proofs.state,
      nonce: proofs.nonce,
      code_challenge: createHash('sha256').update(proofs.verifier).digest('base64url'),
      code_challenge_method: 'S256',
      'x-fapi-interaction-id': proofs.interactionId,
    }
  }

  /** A signed request object. A claim that is `undefined` is left out. */
  requestObject(audience: string, claims: Params, header: object = {}, key = this.signing): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    const jwt = { iss: this.clientId, aud: audience, jti: randomUUID(), iat: now, nbf: now, exp: now + 300 }
    return new SignJWT({ ...jwt, ...claims })
      .setProtectedHeader({ alg: key.alg, typ: 'oauth-authz-req+jwt', kid: key.jwk.kid, ...header })
      .sign(key.privateKey)
  }

  /** Where a login in the proxy flow begins. */
  async proxyUrl(sandbox: Sandbox, proofs = this.newProofs(), extra: Params = {}): Promise<string> {
    const { issuer, authorization_endpoint } = await discover(sandbox.config.oidc_proxy_service_url)
    const request = await this.requestObject(String(issuer), {
      ...this.authorizationParams(proofs),
      ...extra,
    })
    return `${String(authorization_endpoint)}?${String(new URLSearchParams({ request, client_id: this.clientId }))}`
  }

  /** Pushes a request to a bank and returns the bank's answer. */
  async push(
    issuer: string,
    params: Params,
    { signed = true, ...authentication }: Authentication & { signed?: boolean } = {},
  ) {
    const form = signed ? { request: await this.requestObject(issuer, params) } : stringified(params)
    return this.post(issuer, 'pushed_authorization_request_endpoint', form, authentication)
  }

  /** Where a login in the direct flow begins. */
  async directUrl(
    issuer: string,
    proofs = this.newProofs(),
    extra: Params = {},
    options: Authentication & { signed?: boolean } = {},
  ): Promise<string> {
    const { status, body } = await this.push(
      issuer,
      { ...this.authorizationParams(proofs), ...extra },
      options,
    )
    if (status !== 201) throw new Error(`PAR: ${JSON.stringify(body)}`)
    const { authorization_endpoint } = await discover(issuer)
    const query = new URLSearchParams({ client_id: this.clientId, request_uri: String(body.request_uri) })
    return `${String(authorization_endpoint)}?${String(query)}`
  }

  /** The document of IDPartner in a callback URL, with its signature checked. */
  async document(sandbox: Sandbox, url: string): Promise<JWTPayload & { sub: string }> {
    const directory = createRemoteJWKSet(new URL(`${sandbox.config.trust_directory_service_url}/jwks`))
    const { payload } = await jwtVerify(paramOf(url, 'response'), directory, { algorithms: ['PS256'] })
    return payload as JWTPayload & { sub: string }
  }

  /** Takes what a bank signed apart: decrypts it when it is encrypted, and checks its signature. */
  async read(jwt: string, issuer: string, alg = 'PS256') {
    const jweHeader = jwt.split('.').length === 5 ? decodeProtectedHeader(jwt) : undefined
    let signed = jwt
    if (jweHeader && this.encryption) {
      const { plaintext } = await compactDecrypt(jwt, this.encryption.privateKey, {
        keyManagementAlgorithms: ['RSA-OAEP'],
        contentEncryptionAlgorithms: ['A256CBC-HS512'],
      })
      signed = new TextDecoder().decode(plaintext)
    }
    const { jwks_uri } = await discover(issuer)
    const { payload } = await jwtVerify(signed, createRemoteJWKSet(new URL(String(jwks_uri))), {
      issuer,
      audience: this.clientId,
      algorithms: [alg],
    })
    return { claims: payload, jweHeader }
  }

  /** Exchanges the code of an answer. */
  async redeem(issuer: string, code: unknown, proofs: Proofs, authentication: Authentication = {}) {
    const form = {
      grant_type: 'authorization_code',
      code: String(code),
      redirect_uri: this.callback,
      code_verifier: proofs.verifier,
    }
    const { status, body } = await this.post(issuer, 'token_endpoint', form, authentication)
    return { status, body: body as unknown as Tokens & { error?: string; error_description?: string } }
  }

  /** Posts a form to an endpoint of a bank, with the app's authentication. */
  async post(
    issuer: string,
    endpoint: string,
    form: Record<string, string>,
    { clientSecret, tls, certificateOnly = false }: Authentication = {},
  ) {
    const headers: Record<string, string> = {}
    const body: Record<string, string> = { client_id: this.clientId, ...form }
    if (clientSecret !== undefined) {
      headers.authorization = `Basic ${Buffer.from(`${this.clientId}:${clientSecret}`).toString('base64')}`
    } else if (!certificateOnly) {
      Object.assign(body, await this.assertion(issuer))
    }
    return this.request(issuer, endpoint, { method: 'POST', headers, body: new URLSearchParams(body) }, tls)
  }

  /** Any request to an endpoint of a bank; with TLS options, to the one among the `mtls_endpoint_aliases`. */
  async request(issuer: string, endpoint: string, init: RequestInit = {}, tls?: Authentication['tls']) {
    const metadata = await discover(issuer)
    const aliases = metadata.mtls_endpoint_aliases as Record<string, unknown> | undefined
    const url = endpoint.includes(':') ? endpoint : String((tls ? aliases : metadata)?.[endpoint])
    const agent = tls && new Agent({ connect: tls })
    try {
      const response = await undiciFetch(url, { ...init, ...(agent && { dispatcher: agent }) })
      const text = await response.text()
      const isJson = response.headers.get('content-type')?.startsWith('application/json')
      const body = (isJson ? JSON.parse(text) : { text }) as Record<string, unknown>
      return { status: response.status, headers: response.headers, body }
    } finally {
      await agent?.close()
    }
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** What shows a bank who the app is, in a form. */
  async assertion(issuer: string) {
    const client_assertion = await new SignJWT({ jti: randomUUID() })
      .setProtectedHeader({ alg: this.signing.alg, kid: this.signing.jwk.kid })
      .setIssuer(this.clientId)
      .setSubject(this.clientId)
      .setAudience(issuer)
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(this.signing.privateKey)
    return {
      client_id: this.clientId,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion,
    }
  }
}

/** Goes through the bank's pages as a person who agrees to everything; the page is the app's callback. */
export async function agree(browser: Browser, login: Page, name = 'mikomo_10'): Promise<Page> {
  const consent = await browser.press(login, 'Log in', { login: name, password: name })
  return browser.press(consent, 'Share and continue')
}

/** A whole login in the proxy flow, up to the app's callback. */
export async function logInThroughProxy(
  app: SandboxApp,
  sandbox: Sandbox,
  proofs: Proofs,
  extra: Params = {},
) {
  const browser = new Browser(app.callback)
  const selector = await browser.open(await app.proxyUrl(sandbox, proofs, extra))
  return agree(browser, await browser.press(selector, 'Mikomo Bank'))
}

export async function discover(issuer: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${issuer}/.well-known/openid-configuration`)
  return (await response.json()) as Record<string, unknown>
}

/** A parameter of a URL. */
export function paramOf(url: string, name: string): string {
  return present(new URL(url).searchParams.get(name), name)
}

/** The value, which has to be there. */
export function present<T>(value: T | null | undefined, what = 'value'): T {
  if (value === null || value === undefined) throw new Error(`${what} is missing`)
  return value
}

function stringified(params: Params): Record<string, string> {
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => [
      name,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  )
}
