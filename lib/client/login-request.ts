import * as v from 'valibot'
import { IDPartnerError } from '../errors.js'
import { loginStep, trace, type StepEvent } from '../events.js'
import { inTime } from '../net/deadline.js'
import { accountSelectorUrl } from './account-selector.js'
import {
  noteChecks,
  requestParameters,
  type AuthorizationParams,
  type Proofs,
  type RequestParameters,
} from './authorization-request.js'
import { optionalParam, searchParams } from './callback-params.js'
import type { ResolvedConfig } from './config.js'
import { interactionIdFrom } from './interaction-id.js'
import type { CallOptions, ProviderCall, Providers } from './providers.js'

const text = v.pipe(v.string(), v.minLength(1))

/** The shape of {@link Proofs}, wherever the application kept them. */
export const proofsShape = v.looseObject({
  state: text,
  nonce: text,
  codeVerifier: text,
  max_age: v.optional(v.number()),
  acr_values: v.optional(v.string()),
  issuer: v.optional(v.string()),
  begun: v.optional(v.number()),
  interactionId: v.optional(v.string()),
  dpopKey: v.optional(v.string()),
})

/** Whether the browser goes to the account selector first, which sends it back to the same route with an `iss`. */
export function selectsAccount({ flow }: ResolvedConfig, params: URLSearchParams): boolean {
  return flow === 'direct' && !params.has('iss')
}

/** Where a login leads first: to the proxy, to a bank, or to the page where one is chosen. */
export async function loginUrl(
  providers: Providers,
  query: unknown,
  proofs: Proofs,
  scope: string | readonly string[],
  extraAuthorizationParams: AuthorizationParams,
  options: CallOptions,
): Promise<string> {
  if (!v.is(proofsShape, proofs)) {
    throw new IDPartnerError('config_invalid', 'the second argument must be the proofs of generateProofs()')
  }
  const { config } = providers
  const params = searchParams(query)
  const { max_age, acr_values } = proofs
  const extra: AuthorizationParams = { max_age, acr_values, ...defined(extraAuthorizationParams) }
  if (selectsAccount(config, params)) return accountSelectorUrl(config, params, scope, extra.claims).href
  const direct = config.flow === 'direct'
  noteChecks(proofs, extra, direct ? optionalParam(params, 'iss') : undefined)
  const selected = direct && {
    identity_provider_id: optionalParam(params, 'idp_id'),
    idpartner_token: optionalParam(params, 'idpartner_token'),
  }
  const parameters = requestParameters(config, proofs, scope, { ...selected, ...extra })
  const interactionId = proofs.interactionId ?? interactionIdFrom(proofs.codeVerifier)
  const call = { ...options, interactionId, dpop: providers.bindingOf(proofs) }
  const urlOf = direct ? bankUrl : proxyUrl
  try {
    const url = await trace('request', loginStep(interactionId), (step) =>
      urlOf(providers, params, parameters, call, step),
    )
    return url.href
  } catch (err) {
    throw err instanceof IDPartnerError ? err.withInteractionId(interactionId) : err
  }
}

async function proxyUrl(
  providers: Providers,
  params: URLSearchParams,
  parameters: RequestParameters,
  call: ProviderCall,
  step: StepEvent,
): Promise<URL> {
  const { oidc_proxy_service_url } = providers.config
  step.issuer = oidc_proxy_service_url
  const proxy = await providers.of(oidc_proxy_service_url, call)
  const url = await proxy.signedAuthorizationUrl(parameters)
  const visitor = optionalParam(params, 'visitor_id')
  if (visitor !== undefined) url.searchParams.set('visitor_id', visitor)
  return url
}

async function bankUrl(
  providers: Providers,
  params: URLSearchParams,
  parameters: RequestParameters,
  call: ProviderCall,
  step: StepEvent,
): Promise<URL> {
  const issuer = optionalParam(params, 'iss') ?? ''
  await inTime(call.signal, providers.allowed.check(issuer))
  step.issuer = issuer
  if (call.seen) call.seen.issuer = issuer
  const bank = await providers.of(issuer, call)
  return bank.pushedAuthorizationUrl(parameters)
}

/** Options that are there but `undefined` count as not given. */
function defined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}
