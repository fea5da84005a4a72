import { randomUUID } from 'node:crypto'
import type * as oidc from 'openid-client'
import { IDPartnerError } from '../errors.js'
import { signingKey, type ClientKeys, type SigningKey } from '../jwt/keys.js'
import { signJwt } from '../jwt/own-jwt.js'
import type { RequestParameters } from './authorization-request.js'
import type { ResolvedConfig } from './config.js'
import { maxRequestLifetime } from './networks.js'

/*
 * What the application signs for others. openid-client would sign it too, but with times and headers of its own.
 */

/**
 * The parameters of an authorization request as a signed request object, in which they are what they are, and no texts.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9101#section-4
 */
export async function requestObject(
  { client_id, clock_tolerance, network }: ResolvedConfig,
  signer: SigningKey,
  audience: string,
  parameters: RequestParameters,
): Promise<string> {
  return signJwt(
    signer,
    { typ: 'oauth-authz-req+jwt' },
    {
      ...parameters,
      client_id,
      iss: client_id,
      aud: audience,
      jti: randomUUID(),
      ...timesOf(clock_tolerance, Math.min(REQUEST_LIFETIME, maxRequestLifetime(network))),
    },
  )
}

/**
 * Authenticates the application with `private_key_jwt`, each time with an assertion of its own.
 *
 * @see https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication
 */
export function clientAssertion(
  { client_id, clock_tolerance, client_assertion_lifetime, token_endpoint_auth_signing_alg }: ResolvedConfig,
  keys: ClientKeys,
): oidc.ClientAuth {
  const signer = signingKey(keys, token_endpoint_auth_signing_alg)
  if (!signer) throw new IDPartnerError('config_invalid', 'private_key_jwt needs a signing key in "jwks"')
  // eslint-disable-next-line @typescript-eslint/no-misused-promises -- oauth4webapi, which calls it, waits for it
  return async ({ issuer }, _client, body) => {
    const claims = {
      iss: client_id,
      sub: client_id,
      aud: issuer,
      jti: randomUUID(),
      ...timesOf(clock_tolerance, client_assertion_lifetime),
    }
    body.set('client_id', client_id)
    body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    // Some banks insist on the type.
    body.set('client_assertion', await signJwt(signer, { typ: 'JWT' }, claims))
  }
}

/** In seconds from its `iat`: IDPartner takes requests of five minutes at most. */
const REQUEST_LIFETIME = 300

/** The most that a statement is dated back; and never more than half of its time, or it would not arrive in the other half. */
const MAX_BACKDATING = 60

/**
 * The times of what the application signs: back by as much as clocks may differ, since banks refuse what begins in
 * their future, and short.
 *
 * @param clockTolerance seconds, of which a minute counts
 * @param lifetime seconds in all
 * @see https://openid.net/specs/openid-financial-api-part-2-1_0.html#confidential-client
 */
export function timesOf(clockTolerance: number, lifetime: number): { iat: number; nbf: number; exp: number } {
  const iat = Math.floor(Date.now() / 1000 - Math.min(clockTolerance, MAX_BACKDATING, lifetime / 2))
  return { iat, nbf: iat, exp: iat + lifetime }
}
