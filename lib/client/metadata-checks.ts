import type { AskedFor } from './asked-for.js'
import { scopeText } from './authorization-request.js'
import { fail, ok, warn, type Check } from './check.js'
import type { ResolvedConfig } from './config.js'
import { printable } from '../errors.js'
import { knownName } from '../jwt/algorithms.js'
import { parseEndpoint } from '../net/http.js'
import { signingAlgs } from './signing-algs.js'

/** A list of a discovery document, of which one of these values is needed or, where `all` is set, each. */
interface Need {
  list: string
  values: readonly string[]
  all?: boolean
  /** Which option it is about, where one is. */
  option: string | undefined
  /** Whether a login ends for it; otherwise banks are known to publish other values than they use. */
  fatal: boolean
}

/**
 * Compares a bank's discovery document, as it is published, with what is configured and asked for.
 *
 * A list that is not there says nothing (OpenID Connect Discovery 1.0, section 3).
 */
export function metadataChecks(
  issuer: string,
  document: Readonly<Record<string, unknown>>,
  config: ResolvedConfig,
  asked: AskedFor,
): Check[] {
  const unmet = needsOf(config, asked).flatMap((need) => unmetCheck(issuer, document, need))
  const bound = boundCheck(issuer, document, config)
  const found = [...unmet, ...bound, ...namedCheck(issuer, document, config)]
  const supports = ok(`metadata ${issuer}`, 'the discovery document has all that is configured')
  return [endpointCheck(issuer, document, config, asked), ...(found.length > 0 ? found : [supports])]
}

function needsOf(config: ResolvedConfig, { scope, claims, fetchUserInfo }: AskedFor): Need[] {
  const { encryption } = config
  const { request, assertion, dpop } = signingAlgs(config)
  const direct = config.flow === 'direct'
  const signedAnswer = config.response_mode === 'jwt'
  const userinfo = fetchUserInfo === true || config.userinfo_signed_response_alg !== undefined
  // Which verified ones there are is in lists of their own.
  const named = [...Object.keys(claims?.id_token ?? {}), ...Object.keys(claims?.userinfo ?? {})].filter(
    (name) => name !== 'verified_claims',
  )
  const need = (list: string, values: readonly string[], option: string | undefined, fatal = true): Need => ({
    list: `${list}_supported`,
    values,
    option,
    fatal,
  })
  const needs = [
    // In the proxy flow it is IDPartner that asks the bank.
    ...(direct
      ? [
          need('response_modes', [config.response_mode], 'response_mode'),
          need('code_challenge_methods', ['S256'], undefined),
          need('request_object_signing_alg_values', listOf(request), 'request_object_signing_alg'),
        ]
      : []),
    need('token_endpoint_auth_methods', [config.token_endpoint_auth_method], 'token_endpoint_auth_method'),
    need('token_endpoint_auth_signing_alg_values', listOf(assertion), 'token_endpoint_auth_signing_alg'),
    need(
      'id_token_signing_alg_values',
      [config.id_token_signed_response_alg],
      'id_token_signed_response_alg',
    ),
    ...(signedAnswer
      ? [
          need(
            'authorization_signing_alg_values',
            [config.authorization_signed_response_alg],
            'authorization_signed_response_alg',
          ),
        ]
      : []),
    need(
      'userinfo_signing_alg_values',
      listOf(config.userinfo_signed_response_alg),
      'userinfo_signed_response_alg',
    ),
    need('dpop_signing_alg_values', listOf(dpop), 'dpop_signing_alg'),
    ...(['authorization', 'id_token', 'userinfo'] as const).flatMap((kind) => {
      const { alg, enc, asked } = encryption[kind]
      const used = kind === 'authorization' ? signedAnswer : kind === 'id_token' || (userinfo && asked)
      const held = alg.filter((one) => config.keys.some((key) => key.use === 'enc' && key.alg === one))
      if (!used || held.length === 0) return []
      const fatal = kind !== 'userinfo'
      return [
        need(`${kind}_encryption_alg_values`, held, `${kind}_encrypted_response_alg`, fatal),
        need(`${kind}_encryption_enc_values`, enc, `${kind}_encrypted_response_enc`, false),
      ]
    }),
    { ...need('scopes', scopeText(scope ?? 'openid').split(' '), 'scope', false), all: true },
    { ...need('claims', named, 'claims', false), all: true },
  ]
  return needs.filter(({ values }) => values.length > 0)
}

function listOf(value: string | undefined): string[] {
  return value === undefined ? [] : [value]
}

function unmetCheck(
  issuer: string,
  document: Readonly<Record<string, unknown>>,
  { list, values, all, option, fatal }: Need,
): Check[] {
  const listed = document[list]
  if (!Array.isArray(listed)) return []
  const known = listed.map(knownName)
  const missing = values.filter((value) => !known.includes(value))
  if (missing.length === 0 || (!all && missing.length < values.length)) return []
  const others = listed.slice(0, 5).map((one) => printable(one) ?? 'an unprintable one')
  const instead = all ? '' : `; it has ${others.join(', ') || 'nothing there'}`
  const message = `does not have ${missing.join(all ? ', ' : ' or ')} in ${list}${instead}`
  const fix =
    option === undefined
      ? 'ask the bank for it: no login goes without'
      : `compare the option "${option}" with what is registered at the bank, or ask it`
  return [(fatal ? fail : warn)(`${list} ${issuer}`, message, fix)]
}

/** RFC 8705, section 3.3: what is not said is `false`. */
function boundCheck(
  issuer: string,
  document: Readonly<Record<string, unknown>>,
  { tls, dpop }: ResolvedConfig,
): Check[] {
  const name = 'tls_client_certificate_bound_access_tokens'
  if (tls.cert === undefined || dpop !== undefined || document[name] === true) return []
  return [
    warn(
      `${name} ${issuer}`,
      `a certificate goes along, and the bank does not say that it binds tokens to it (${name})`,
      'ask the bank whether it does: a token that is not bound is of use to whoever gets hold of it',
    ),
  ]
}

/** RFC 9207, section 3: what is not said is `false`. */
function namedCheck(
  issuer: string,
  document: Readonly<Record<string, unknown>>,
  { response_mode, authorization_response_iss }: ResolvedConfig,
): Check[] {
  const name = 'authorization_response_iss_parameter_supported'
  if (response_mode !== 'query' || authorization_response_iss === 'optional' || document[name] === true)
    return []
  return [
    warn(
      `${name} ${issuer}`,
      `the bank does not say that its answers have an "iss" (${name}), without which they are refused`,
      'ask the bank whether they have; where it is the only one that you trust, authorization_response_iss may be "optional"',
    ),
  ]
}

/** Which of its endpoints are needed, as far as the options say. */
function endpointCheck(
  issuer: string,
  document: Readonly<Record<string, unknown>>,
  config: ResolvedConfig,
  { fetchUserInfo }: AskedFor,
): Check {
  const id = `endpoints ${issuer}`
  const withCertificate = config.tls.cert !== undefined
  const aliases = (document['mtls_endpoint_aliases'] ?? {}) as Record<string, unknown>
  /** As {@link Provider} chooses it: with a certificate, one that can be shown it (RFC 8705, section 5). */
  const usable = (name: string): boolean =>
    (withCertificate ? [aliases[name], document[name]] : [document[name]]).some((value) => {
      const url = parseEndpoint(value)
      return url !== undefined && (!withCertificate || url.protocol === 'https:')
    })
  const needed = [
    'token_endpoint',
    ...(config.flow === 'direct' ? ['pushed_authorization_request_endpoint'] : []),
    ...(fetchUserInfo === true || config.userinfo_signed_response_alg !== undefined
      ? ['userinfo_endpoint']
      : []),
  ]
  const missing = needed.filter((name) => !usable(name))
  if (missing.length > 0) {
    const how = withCertificate ? ' to which a certificate can be shown' : ''
    return fail(
      id,
      `has no usable ${missing.join(', ')}${how}`,
      'ask the bank about its discovery document, and leave out what it does not have',
    )
  }
  const others = [
    'userinfo_endpoint',
    'revocation_endpoint',
    'payment_details_info_endpoint',
    'payment_processing_endpoint',
  ].filter((name) => !needed.includes(name))
  const without = others.filter((name) => !usable(name))
  const lacks = without.length > 0 ? `; there is no ${without.join(', ')}, should you call for it` : ''
  const unusable = without.find((name) => document[name] !== undefined)
  const has = `has ${[...needed, ...others.filter((name) => !without.includes(name))].join(', ')}${lacks}`
  if (unusable === undefined) return ok(id, has)
  return warn(id, has, `ask the bank about ${unusable}: it names one that cannot be used`)
}
