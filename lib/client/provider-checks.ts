import type { SigningAlg } from '../jwt/algorithms.js'
import { remoteKeys, type FindKeys } from '../jwt/remote-keys.js'
import { joinUrl, type Http } from '../net/http.js'
import { jsonOf } from '../net/json.js'
import { parametersOf, type PreflightOptions } from './asked-for.js'
import type { AuthorizationParams } from './authorization-request.js'
import { adviceFor, fail, ok, said, skip, warn, type Check } from './check.js'
import type { ResolvedConfig } from './config.js'
import type { Issuers } from './issuers.js'
import { metadataChecks } from './metadata-checks.js'
import { lackedOfNetwork } from './networks.js'
import { TRUST_DIRECTORY, partyOf } from './party.js'

/** Begins a login as the application does; the URL leads to the proxy or to the bank of that issuer. */
export type Begin = (
  query: { iss?: string },
  scope: string | readonly string[],
  asked: AuthorizationParams,
) => Promise<string>

/** With what IDPartner and the banks are asked. */
interface Asking {
  http: Http
  issuers: Issuers
  config: ResolvedConfig
  begin: Begin
}

/** Whether IDPartner publishes keys for its documents. */
export async function directoryCheck({ http, config }: Asking): Promise<Check[]> {
  const url = joinUrl(config.trust_directory_service_url, 'jwks')
  const about = { issuer: config.trust_directory_issuer }
  await hasKey(remoteKeys(http, `the keys of ${TRUST_DIRECTORY}`, url, about), 'PS256')
  return [ok('trust_directory', `publishes keys for PS256, at ${url}`)]
}

/** Whether IDPartner takes a login request. */
export async function proxyCheck(
  { http, issuers, config, begin }: Asking,
  asked: PreflightOptions,
): Promise<Check[]> {
  const { issuer } = await issuers.metadata(config.oidc_proxy_service_url)
  const found = ok('proxy', `${issuer} is reachable, and supports what is configured`)
  // As a browser would that goes no further; a proxy that refuses says so with its status.
  const answer = await http.fetch(await begin({}, asked.scope ?? 'openid', parametersOf(asked)), {
    what: "IDPartner's proxy",
  })
  if (answer.status < 400) return [found, ok('login_request', 'IDPartner takes a login request')]
  const refused = `IDPartner refuses a login request with HTTP ${String(answer.status)}`
  if (answer.status >= 500) return [found, warn('login_request', refused, 'try again later')]
  return [
    found,
    fail(
      'login_request',
      refused,
      'compare client_id and callback, byte for byte, with what is registered, and look at published_keys and clock',
    ),
  ]
}

/** Whether a bank has what a login needs, and takes one in the direct flow. */
export async function bankChecks(
  { http, issuers, config, begin }: Asking,
  issuer: string,
  options: PreflightOptions,
): Promise<Check[]> {
  const id = `bank ${issuer}`
  await issuers.metadata(issuer)
  const what = `the discovery document of ${partyOf(issuer, config)}`
  const response = await http.get(joinUrl(issuer, '.well-known/openid-configuration'), { what })
  // That it is an object, and of this issuer, the client has seen.
  const document = (await jsonOf(response, what)) as Record<string, unknown>
  const found = metadataChecks(issuer, document, config, options)
  const algs = [
    config.id_token_signed_response_alg,
    ...(config.userinfo_signed_response_alg === undefined ? [] : [config.userinfo_signed_response_alg]),
    ...(config.response_mode === 'jwt' ? [config.authorization_signed_response_alg] : []),
  ]
  try {
    for (const alg of new Set(algs)) await hasKey(issuers.keys(issuer), alg)
    if (config.flow === 'proxy') return [ok(id, 'is reachable, and has keys'), ...found]
    const { scope = 'openid' } = options
    const parameters = parametersOf(options)
    const lacked = lackedOfNetwork(config.network, parameters)
    if (lacked.length > 0) return [skip(id, untried(lacked, config)), ...found]
    await begin({ iss: issuer }, scope, parameters)
  } catch (err) {
    return [fail(id, said(err), adviceFor(err)), ...found]
  }
  return [ok(id, 'takes a login request'), ...found]
}

function untried(lacked: readonly string[], { network }: ResolvedConfig): string {
  return `is reachable, and has keys; no login request was tried, which at ${String(network)} needs ${lacked.join(', ')}`
}

async function hasKey(keys: FindKeys, alg: SigningAlg): Promise<void> {
  // It throws where there is none; the first is enough.
  await keys(alg, undefined)[Symbol.asyncIterator]().next()
}
