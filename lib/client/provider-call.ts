import * as oidc from 'openid-client'
import { IDPartnerError, type ErrorCode } from '../errors.js'
import type { DpopKey } from '../jwt/dpop-key.js'
import type { ClientKeys } from '../jwt/keys.js'
import type { FindKeys } from '../jwt/remote-keys.js'
import type { Http } from '../net/http.js'
import { shallow } from '../net/json.js'
import type { ResolvedConfig } from './config.js'
import { RequestNonces, dpopHandle, dpopProof, type DpopNonces } from './dpop.js'
import { INTERACTION_ID } from './interaction-id.js'
import type { LoginRecord } from './login-record.js'
import { leaveTransportToHttp } from './openid-client-settings.js'
import { errorResponse, providerFailure, type Asked } from './provider-failure.js'
import type { ProviderMetadata } from './provider-metadata.js'
import { asksForNonce } from './resource-request.js'
import { clientAssertion } from './statements.js'

/** Of which login a request is, and what it is made with. */
export interface ProviderContext {
  config: ResolvedConfig
  http: Http
  keys: ClientKeys
  issuerKeys: FindKeys
  metadata: ProviderMetadata
  /** Of the login that it is about. */
  interactionId: string
  /** What binds its tokens to the application. */
  dpop?: DpopKey | undefined
  nonces: DpopNonces
  signal: AbortSignal | undefined
  /** Keeps what is signed of this login, for a receipt. */
  record?: LoginRecord | undefined
}

/** How an answer is read, and a request sent. */
export interface How {
  /** The code when the provider answered, but wrongly; `provider_unavailable` by default. */
  otherwise?: ErrorCode
  /**
   * Opens the JWTs of a good answer, more strictly than openid-client would, before it sees them; by default nothing in an
   * answer is opened.
   */
  read?: Read
  /** Reads an answer of any status in place of that. */
  readAny?: Read
  /** Whether a signed request is to stand alone beside the authentication. */
  requestAlone?: boolean
  /** Whether it may be sent again where the server failed. */
  twice?: boolean
  /** Whether a proof goes along that openid-client does not make. */
  proven?: boolean
}

/** What says that a server took the proof, and looked further (RFC 6749, section 5.2): a nonce came by the way. */
const GRANT_ERRORS = ['invalid_grant', 'unauthorized_client', 'unsupported_grant_type', 'invalid_scope']

/** What says that a server has failed at the moment. */
const SERVER_FAILED = [500, 502, 503, 504]

/** A call of openid-client, which may be made twice. */
export type Call<T> = (client: oidc.Configuration, options: oidc.DPoPOptions) => Promise<T>

type Read = (response: Response) => Response | Promise<Response>

/**
 * Sends a single request with openid-client, and turns what goes wrong into our own error.
 *
 * It is sent a second time for two reasons alone, and never a third: a server that wants another nonce in the proof has done
 * nothing with it (RFC 9449, section 8); and what may be done twice, where the server has failed. The call makes all of it
 * anew, the client assertion too.
 */
export async function send<T>(
  context: ProviderContext,
  asked: Asked,
  client: oidc.Configuration,
  call: Call<T>,
  {
    otherwise = 'provider_unavailable',
    read,
    readAny,
    requestAlone = false,
    twice = false,
    proven = false,
  }: How = {},
): Promise<T> {
  const { http, interactionId, signal, metadata, dpop } = context
  const nonces = new RequestNonces(context.nonces)
  const options = dpop ? { DPoP: dpopHandle(client, dpop, nonces) } : {}
  let wantsNonce = false
  let hasFailed = false
  // Looked for only when something went wrong.
  let secrets = (): string[] => []
  client[oidc.customFetch] = async (url, { method, headers, ...init }) => {
    const body = init.body as string | URLSearchParams | null | undefined
    if (requestAlone && body instanceof URLSearchParams) body.delete('client_id')
    secrets = () => [
      ...secretsOf(Object.fromEntries(body instanceof URLSearchParams ? body : [])),
      ...secretsOf({
        authorization: headers['authorization']?.split(' ')[1] ?? '',
        proof: headers['dpop'] ?? '',
      }),
    ]
    const proof = proven && dpop && { dpop: await dpopProof(dpop, method, url, nonces) }
    const namedBy = metadata.issuer
    const response = await http.fetch(url, {
      what: asked.what,
      method,
      headers: { ...headers, ...proof, [INTERACTION_ID]: interactionId },
      body,
      signal,
      namedBy,
      mutualTls: true,
    })
    const { nonce, isNew } = dpop ? nonces.note(url, response) : { nonce: undefined, isNew: false }
    hasFailed = twice && SERVER_FAILED.includes(response.status)
    if (readAny) {
      if (!wantsNonce && isNew && asksForNonce(response)) {
        wantsNonce = true
        throw new IDPartnerError('provider_error', `${asked.what} asked for another DPoP nonce`)
      }
      return readAny(response)
    }
    if (response.status >= 400) {
      const failure = await errorResponse(response, withSent(asked, secrets()))
      wantsNonce =
        isNew && [400, 401].includes(response.status) && !GRANT_ERRORS.includes(failure?.providerError ?? '')
      if (failure && dpop && nonce === undefined && failure.providerError === 'use_dpop_nonce') {
        const { cause, providerError } = failure
        const why = 'asked for a DPoP nonce, and sent no nonce'
        throw new IDPartnerError('provider_error', `${asked.what} ${why}`, { cause, providerError })
      }
      if (failure) throw failure
    }
    return read && response.status === 200 ? read(response) : shallow(response, asked.what)
  }
  try {
    return await call(client, options).catch((err: unknown) => {
      if (wantsNonce || hasFailed) return call(client, options)
      throw err
    })
  } catch (err) {
    throw providerFailure(err, withSent(asked, secrets()), otherwise).withInteractionId(interactionId)
  }
}

/** Parameters that are no secret: an error that repeats one of them says something. */
const PUBLIC = [
  'client_id',
  'redirect_uri',
  'response_type',
  'response_mode',
  'scope',
  'grant_type',
  'client_assertion_type',
  'code_challenge_method',
  'prompt',
  'acr_values',
  'ui_locales',
]

/** What of a request's parameters no error may repeat. */
export function secretsOf(parameters: Record<string, string>): string[] {
  return Object.entries(parameters).flatMap(([name, value]) =>
    // What is shorter is no secret, and may be part of any word.
    PUBLIC.includes(name) || value.length < 8 ? [] : [value],
  )
}

function withSent(asked: Asked, secrets: string[]): Asked {
  return { ...asked, sent: [...asked.sent, ...secrets] }
}

/** What openid-client has to know for one request. */
export function configuration({ config, keys, metadata }: ProviderContext): oidc.Configuration {
  const client = new oidc.Configuration(
    metadata,
    config.client_id,
    // It gets no JWT to see, and without an algorithm it would refuse ours.
    undefined,
    authentication(config, keys),
  )
  leaveTransportToHttp(client)
  // A timer of its own would tell Http nothing.
  client.timeout = undefined
  return client
}

function authentication(config: ResolvedConfig, keys: ClientKeys): oidc.ClientAuth {
  switch (config.token_endpoint_auth_method) {
    case 'client_secret_basic':
      return oidc.ClientSecretBasic(config.client_secret)
    case 'tls_client_auth':
      return oidc.TlsClientAuth()
    case 'private_key_jwt':
      return clientAssertion(config, keys)
  }
}
