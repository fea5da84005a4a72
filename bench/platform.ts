// A lean IDPartner in a process of its own: proxy, trust directory and banks on one port. It signs and encrypts before
// a measurement starts, so that during it the token endpoint only hands out what lies ready. It believes its clients:
// whether their requests are right is what the tests are for.
import { createHash, randomUUID, type KeyObject } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { JWK, JSONWebKeySet } from 'jose'
import type { Profile } from 'passport-idpartner'
import { encryptJwe } from '../test/support/jwe.js'
import { payloadOf, signJws, type Members } from '../test/support/jws.js'
import { ecKey, publicJwk, rsaKey, type KeyPair } from '../test/support/key-pairs.js'
import { serve } from './workers.js'

export interface PlatformOptions {
  /** What applications and banks sign with; IDPartner itself signs with PS256 always. */
  alg: 'PS256' | 'ES256'
  banks: number
  /** Whether the application has an encryption key. */
  sealed: boolean
  /** Bytes of a discovery document's members that nobody needs. */
  ballast: number
  /** Of the direct flow. */
  profile: Profile
  /** Whether tokens are bound by DPoP. */
  dpop: boolean
}

/** What an application has to know. */
export interface Setup {
  flow: 'proxy' | 'direct'
  alg: 'PS256' | 'ES256'
  profile: Profile
  dpop: boolean
  client_id: string
  callback: string
  jwks: JSONWebKeySet
  proxy: string
  directory: string
  directoryIssuer: string
  issuers: string[]
}

/** The signed and sealed messages of one login, and the public keys for them. */
export interface Sample {
  document: string
  jarm: string
  idToken: string
  keys: { directory: JWK; bank: JWK }
}

const CLIENT_ID = 'bench-app'
const CALLBACK = 'https://app.example/callback'
const DIRECTORY_ISSUER = 'https://idpartner.com'

interface Keys {
  directory: KeyPair
  bank: KeyPair
  client: KeyPair
  recipient: KeyPair
}

interface Grant {
  challenge: string
  tokens: string
}

let options: PlatformOptions
let keys: Keys
let origin: string
let counts: Record<string, number> = {}
let answered = 0
const pushed = new Map<string, { request: Members; issuer: string }>()
const grants = new Map<string, Grant>()

const now = (): number => Math.floor(Date.now() / 1000)

async function start(wanted: PlatformOptions): Promise<void> {
  options = wanted
  const sign = options.alg === 'PS256' ? rsaKey : ecKey
  const [directory, bank, client, recipient] = await Promise.all([
    rsaKey('directory'),
    sign('bank'),
    sign('client'),
    rsaKey('client-enc'),
  ])
  keys = { directory, bank, client, recipient }
  const server = createServer((req, res) => {
    reply(req).then(
      ([status, body]) => {
        res.writeHead(status, {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        })
        res.end(body)
      },
      (err: unknown) => res.destroy(err as Error),
    )
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
}

async function reply(req: IncomingMessage): Promise<[number, string]> {
  const [, party = '', ...rest] = (req.url ?? '').split('/')
  const endpoint = rest.at(-1) ?? ''
  counts[`${party}.${endpoint}`] = (counts[`${party}.${endpoint}`] ?? 0) + 1
  if (party === 'directory') return [200, JSON.stringify({ keys: [published(keys.directory, 'PS256')] })]
  if (party === 'proxy') return [200, JSON.stringify(discovery(`${origin}/proxy`, 0))]
  const issuer = `${origin}/${party}`
  switch (endpoint) {
    case 'openid-configuration':
      return [200, JSON.stringify(discovery(issuer, options.ballast))]
    case 'jwks':
      return [200, JSON.stringify({ keys: [published(keys.bank, options.alg)] })]
    case 'par':
      return push(issuer, new URLSearchParams(await bodyOf(req)))
    case 'token':
      return redeem(new URLSearchParams(await bodyOf(req)))
    default:
      return [404, '{}']
  }
}

function push(issuer: string, params: URLSearchParams): [number, string] {
  if (!params.has('client_assertion')) return [400, '{"error":"invalid_request"}']
  const jwt = params.get('request')
  const request = jwt === null ? Object.fromEntries(params) : payloadOf(jwt)
  const request_uri = `urn:ietf:params:oauth:request_uri:${randomUUID()}`
  pushed.set(request_uri, { request, issuer })
  return [201, JSON.stringify({ request_uri, expires_in: 90 })]
}

function redeem(params: URLSearchParams): [number, string] {
  const code = params.get('code') ?? ''
  const grant = grants.get(code)
  grants.delete(code)
  const challenge = createHash('sha256')
    .update(params.get('code_verifier') ?? '')
    .digest('base64url')
  if (!params.has('client_assertion') || grant?.challenge !== challenge)
    return [400, '{"error":"invalid_grant"}']
  return [200, grant.tokens]
}

/** What the browser brings back from the pages that the application sent it to, as a query. */
function answers(urls: string[]): string[] {
  return urls.map((text) => {
    const { searchParams } = new URL(text)
    const uri = searchParams.get('request_uri') ?? ''
    const par = pushed.get(uri)
    pushed.delete(uri)
    const issuer = par?.issuer ?? `${origin}/bank${String(answered++ % options.banks)}`
    const request = par?.request ?? payloadOf(searchParams.get('request') ?? '')
    const { jarm, document, ...plain } = answerOf(issuer, request)
    const isPlain = par && request['response_mode'] !== 'jwt'
    return new URLSearchParams(isPlain ? plain : { response: par ? jarm : document }).toString()
  })
}

function answerOf(
  issuer: string,
  request: Members,
): { jarm: string; document: string; code: string; state: string; iss: string } {
  const code = randomUUID()
  const access_token = randomUUID() + randomUUID()
  const idToken = {
    iss: issuer,
    aud: CLIENT_ID,
    iat: now(),
    exp: now() + 300,
    nonce: request['nonce'],
    at_hash: createHash('sha256').update(access_token).digest().subarray(0, 16).toString('base64url'),
    sub: randomUUID(),
    name: 'Philippa J. Fry',
    email: 'philippa@bank.example',
    email_verified: true,
  }
  const tokens = JSON.stringify({
    access_token,
    token_type: options.dpop ? 'DPoP' : 'Bearer',
    expires_in: 900,
    scope: 'openid email profile',
    id_token: sealedJwt(issuer, idToken),
  })
  grants.set(code, { challenge: String(request['code_challenge']), tokens })
  const jarm = sealedJwt(issuer, {
    iss: issuer,
    aud: CLIENT_ID,
    exp: now() + 600,
    code,
    state: request['state'],
  })
  const document = {
    iss: DIRECTORY_ISSUER,
    aud: CLIENT_ID,
    iat: now(),
    exp: now() + 60,
    'x-fapi-interaction-id': request['x-fapi-interaction-id'],
    identity_provider: { name: 'A bank', issuer_url: issuer },
    sub: jarm,
  }
  return {
    ...{ jarm, code, state: String(request['state']), iss: issuer },
    document: signJws({ alg: 'PS256', kid: 'directory' }, document, keys.directory),
  }
}

function sealedJwt(issuer: string, claims: Members): string {
  const jws = signJws({ alg: options.alg, kid: keys.bank.kid }, claims, keys.bank)
  if (!options.sealed) return jws
  const header = {
    alg: 'RSA-OAEP',
    enc: 'A256CBC-HS512',
    cty: 'JWT',
    kid: 'client-enc',
    iss: issuer,
    aud: CLIENT_ID,
  }
  return encryptJwe(header, jws, keys.recipient.publicKey)
}

/** As long as those of real banks. */
function discovery(issuer: string, ballast: number): Members {
  return {
    issuer,
    authorization_endpoint: `${issuer}/auth`,
    pushed_authorization_request_endpoint: `${issuer}/par`,
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`,
    introspection_endpoint: `${issuer}/introspection`,
    revocation_endpoint: `${issuer}/revocation`,
    end_session_endpoint: `${issuer}/session/end`,
    registration_endpoint: `${issuer}/reg`,
    jwks_uri: `${issuer}/jwks`,
    payment_processing_endpoint: `${issuer}/payment`,
    payment_details_info_endpoint: `${issuer}/payment-details`,
    acr_values_supported: ['urn:mace:incommon:iap:silver'],
    claims_parameter_supported: true,
    claims_supported: [
      'sub',
      'name',
      'email',
      'address',
      'birthdate',
      'family_name',
      'given_name',
      'auth_time',
      'iss',
    ],
    code_challenge_methods_supported: ['S256'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    response_types_supported: ['code'],
    response_modes_supported: [
      'form_post',
      'fragment',
      'query',
      'jwt',
      'query.jwt',
      'fragment.jwt',
      'form_post.jwt',
    ],
    scopes_supported: [
      'openid',
      'offline_access',
      'payment_details',
      'payment_processing',
      'email',
      'profile',
    ],
    subject_types_supported: ['public'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'tls_client_auth', 'private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: ['PS256', 'ES256'],
    request_object_signing_alg_values_supported: ['PS256', 'ES256'],
    id_token_signing_alg_values_supported: ['PS256', 'ES256'],
    id_token_encryption_alg_values_supported: ['RSA-OAEP'],
    id_token_encryption_enc_values_supported: ['A256CBC-HS512'],
    authorization_signing_alg_values_supported: ['PS256', 'ES256'],
    authorization_encryption_alg_values_supported: ['RSA-OAEP'],
    authorization_encryption_enc_values_supported: ['A256CBC-HS512'],
    authorization_response_iss_parameter_supported: true,
    request_parameter_supported: true,
    request_uri_parameter_supported: false,
    require_pushed_authorization_requests: false,
    tls_client_certificate_bound_access_tokens: true,
    mtls_endpoint_aliases: { token_endpoint: 'undefined/token', userinfo_endpoint: 'undefined/userinfo' },
    ...(ballast > 0 && {
      branches: Array.from({ length: ballast / 16 }, (_, i) => String(i).padStart(13, '0')),
    }),
  }
}

function published(pair: KeyPair, alg: string): JWK {
  return publicJwk(pair, { use: 'sig', alg })
}

function setup(flow: Setup['flow']): Setup {
  const privateJwk = (key: KeyObject): JWK => key.export({ format: 'jwk' })
  const signing = { ...privateJwk(keys.client.privateKey), kid: 'client', use: 'sig', alg: options.alg }
  const decrypting = {
    ...privateJwk(keys.recipient.privateKey),
    kid: 'client-enc',
    use: 'enc',
    alg: 'RSA-OAEP',
  }
  return {
    flow,
    alg: options.alg,
    profile: options.profile,
    dpop: options.dpop,
    client_id: CLIENT_ID,
    callback: CALLBACK,
    jwks: { keys: options.sealed ? [signing, decrypting] : [signing] },
    proxy: `${origin}/proxy`,
    directory: `${origin}/directory`,
    directoryIssuer: DIRECTORY_ISSUER,
    issuers: Array.from({ length: options.banks }, (_, i) => `${origin}/bank${String(i)}`),
  }
}

function sample(): Sample {
  const { jarm, document } = answerOf(`${origin}/bank0`, { state: 's'.repeat(43), nonce: 'n'.repeat(43) })
  const [code, grant] = [...grants].at(-1) ?? ['']
  const { id_token } = JSON.parse(grant?.tokens ?? '{}') as { id_token: string }
  grants.delete(code)
  return {
    document,
    jarm,
    idToken: id_token,
    keys: { directory: publicJwk(keys.directory), bank: publicJwk(keys.bank) },
  }
}

/** The requests since the last call, by party and endpoint. */
function takeCounts(): Record<string, number> {
  const taken = counts
  counts = {}
  return taken
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

const methods = { start, setup, answers, sample, takeCounts }
export type PlatformMethods = typeof methods
serve(methods)
