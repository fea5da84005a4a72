import assert from 'node:assert/strict'
import { mock } from 'node:test'
import type { JSONWebKeySet } from 'jose'
import { generateJwks, type IDPartnerStrategyOptions } from 'passport-idpartner'
import type { Ended } from './app.js'
import { Authority } from './authority.js'
import { describe, type Case } from './cases.js'
import type { SetUp } from './set-ups.js'
import type { World } from './world.js'

type Options = Partial<IDPartnerStrategyOptions>

/** A mistake in setting up, and what somebody gets who makes it. */
interface Mistake {
  title: string
  /** The set-up it is made in. */
  at: string
  bend?: (setUp: SetUp, world: World) => Options | Promise<Options>
  /** Which bank the browser asks for. */
  issuer?: (issuer: string) => string
  /** Seconds by which our clock is ahead of the bank's. */
  ahead?: number
  code: string
  /** What the message says, and what its cause does, which has the bank's own words. */
  says: RegExp
  cause?: RegExp
}

const JWT = 'ordinary-jwt-ps256-encrypted'
const MTLS = 'ordinary-mtls-ps256'
const SECRET = 'ordinary-secret-ps256'

const withoutEncryption = {
  authorization_encrypted_response_alg: undefined,
  authorization_encrypted_response_enc: undefined,
  id_token_encrypted_response_alg: undefined,
  id_token_encrypted_response_enc: undefined,
}

const certificate = async (authority: Authority, name: string): Promise<Options> => {
  const { cert, key } = await authority.client(name)
  return { tls_client_cert: cert, tls_client_key: key }
}

const issuerOf = (world: World, { realm }: SetUp): string => world.bank.admin.issuer(realm)

/** Keycloak tells nobody why it does not believe that an application is the one it says. */
const AUTHENTICATION_FAILED = /^HTTP 401 invalid_request: Authentication failed/

const KEYS_CLIENT_CLOCK =
  /invalid_client \(check that the bank has the public keys of "jwks" \(not new ones at every start\), then "client_id", this server's clock/
const SECRET_CLIENT = /invalid_client \(check "client_secret", then "client_id", and the method registered/
const CERTIFICATE_CLIENT =
  /invalid_client \(check that "tls_client_cert" is the certificate registered and has not expired, then "client_id"/

const TABLE: Mistake[] = [
  {
    title: 'keys that are not those published',
    at: JWT,
    bend: async () => ({ jwks: await generateJwks() }),
    code: 'provider_error',
    says: KEYS_CLIENT_CLOCK,
    cause: AUTHENTICATION_FAILED,
  },
  {
    title: 'the certificate of another application',
    at: MTLS,
    bend: (_, { authority }) => certificate(authority, 'somebody-else'),
    code: 'provider_error',
    says: CERTIFICATE_CLIENT,
    cause: AUTHENTICATION_FAILED,
  },
  {
    title: "a certificate of a stranger's authority",
    at: MTLS,
    bend: async ({ name }) => certificate(await Authority.create('stranger'), name),
    code: 'provider_unavailable',
    says: /broke the connection off \(\w+CERTIFICATE\w+\); if this bank asks for a client certificate, check tls_client_cert/,
    cause: /alert certificate unknown/,
  },
  {
    title: 'no certificate, where tokens have to be bound to one',
    at: 'fapi1-jwt-ps256',
    bend: () => ({ tls_client_cert: undefined, tls_client_key: undefined }),
    code: 'provider_error',
    says: /invalid_grant \(.*client certificate \("tls_client_cert"\)/,
    cause: /Client Certification missing for MTLS HoK Token Binding/,
  },
  {
    title: 'requests that are not signed, where they have to be',
    at: 'fapi2-signing-jwt-ps256',
    bend: () => ({ profile: 'fapi2-security', response_mode: 'jwt' }),
    code: 'provider_error',
    says: /did not log the person in: invalid_request \(check "profile"/,
  },
  {
    title: 'a certificate and no dpop_bound_access_tokens, where tokens have to be bound by DPoP',
    at: 'fapi2-dpop-jwt-ps256',
    bend: async ({ name }, { authority }) => ({
      ...(await certificate(authority, name)),
      dpop_bound_access_tokens: false,
    }),
    code: 'provider_error',
    says: /invalid_request \(check "dpop_bound_access_tokens" against/,
    cause: /DPoP proof is missing/,
  },
  {
    title: 'DPoP, where tokens have to be bound to a certificate',
    at: 'fapi2-jwt-ps256',
    bend: () => ({ tls_client_cert: undefined, tls_client_key: undefined, dpop_bound_access_tokens: true }),
    code: 'provider_error',
    says: /"tls_client_cert"/,
  },
  {
    title: 'keys that are not those published, for a certificate-bound login of FAPI 2.0',
    at: 'fapi2-jwt-es256',
    bend: async () => ({ jwks: await generateJwks({ alg: 'ES256' }) }),
    code: 'provider_error',
    says: KEYS_CLIENT_CLOCK,
    cause: AUTHENTICATION_FAILED,
  },
  {
    title: 'another secret',
    at: SECRET,
    bend: () => ({ client_secret: 'not this one' }),
    code: 'provider_error',
    says: SECRET_CLIENT,
    cause: AUTHENTICATION_FAILED,
  },
  {
    title: 'a client id with keys that nobody registered',
    at: JWT,
    bend: () => ({ client_id: 'nobody' }),
    code: 'provider_error',
    says: KEYS_CLIENT_CLOCK,
    cause: AUTHENTICATION_FAILED,
  },
  {
    title: 'a client id with a secret that nobody registered',
    at: SECRET,
    bend: () => ({ client_id: 'nobody' }),
    code: 'provider_error',
    says: SECRET_CLIENT,
    cause: AUTHENTICATION_FAILED,
  },
  {
    title: 'a secret where keys are registered',
    at: JWT,
    bend: () => ({ token_endpoint_auth_method: 'client_secret_basic', client_secret: 'any' }),
    code: 'provider_error',
    says: SECRET_CLIENT,
    cause: AUTHENTICATION_FAILED,
  },
  {
    title: 'a callback that is not registered',
    at: JWT,
    bend: ({ options: { callback } }) => ({ callback: `${callback}/other` }),
    code: 'provider_error',
    says: /"callback" is not registered there as it is spelled here/,
    cause: /Invalid parameter: redirect_uri/,
  },
  {
    title: 'a scope that does not exist',
    at: JWT,
    bend: () => ({ scope: ['openid', 'nonsense'] }),
    code: 'provider_error',
    says: /check the option "scope" against what this application is registered for/,
    cause: /Invalid scopes: openid nonsense/,
  },
  {
    title: 'our clock ten minutes ahead',
    at: JWT,
    ahead: 600,
    code: 'provider_error',
    says: KEYS_CLIENT_CLOCK,
    cause: AUTHENTICATION_FAILED,
  },
  {
    title: 'our clock ten minutes behind',
    at: JWT,
    ahead: -600,
    code: 'provider_error',
    says: KEYS_CLIENT_CLOCK,
    cause: AUTHENTICATION_FAILED,
  },
  {
    title: 'our clock ten minutes ahead, and nothing signed that would show it to the bank',
    at: SECRET,
    ahead: 600,
    code: 'response_invalid',
    says: /clock/,
  },
  {
    title: 'a slash at the end in trusted_issuers',
    at: JWT,
    bend: (setUp, world) => ({ trusted_issuers: [`${issuerOf(world, setUp)}/`] }),
    code: 'provider_refused',
    says: /it is \S+\/ordinary, but "trusted_issuers" has \S+\/ordinary\/: spell it as the bank does/,
  },
  {
    title: 'a slash at the end of the issuer everywhere',
    at: JWT,
    bend: (setUp, world) => ({ trusted_issuers: [`${issuerOf(world, setUp)}/`] }),
    issuer: (issuer) => `${issuer}/`,
    code: 'provider_unavailable',
    says: /its issuer is \S+\/ordinary, but "trusted_issuers" has \S+\/ordinary\/: spell it as the bank does/,
  },
  {
    title: 'an issuer that the bank does not have',
    at: JWT,
    bend: (setUp, world) => ({ trusted_issuers: [`${issuerOf(world, setUp)}x`] }),
    issuer: (issuer) => `${issuer}x`,
    code: 'provider_unavailable',
    says: /the discovery document of the bank \S+ answered with HTTP 404/,
  },
  {
    title: 'algorithms left at what the bank does by itself, RS256',
    at: 'server-defaults',
    code: 'response_invalid',
    says: /the answer of the bank \S+ is signed with RS256, but PS256 is wanted: register authorization_signed_response_alg PS256/,
  },
  {
    title: 'RS256 for ID tokens alone',
    at: 'server-default-id-tokens',
    code: 'token_invalid',
    says: /the ID token of the bank \S+ is signed with RS256, but PS256 is wanted: register id_token_signed_response_alg PS256/,
  },
  {
    title: 'encryption that is not registered',
    at: 'encryption-not-registered',
    code: 'response_invalid',
    says: /is not encrypted, although the application has an encryption key: register authorization_encrypted_response_alg/,
  },
  {
    title: 'encryption that is registered, and no key for it',
    at: JWT,
    bend: ({ options: { jwks } }) => ({
      ...withoutEncryption,
      jwks: { keys: (jwks as JSONWebKeySet).keys.filter(({ use }) => use === 'sig') },
    }),
    code: 'response_invalid',
    says: /encrypt/,
  },
  {
    title: 'another content encryption than the one registered',
    at: JWT,
    bend: () => ({ id_token_encrypted_response_enc: 'A256GCM' }),
    code: 'token_invalid',
    says: /A256GCM/,
  },
  {
    title: "the bank's authority is not among those trusted",
    at: JWT,
    bend: () => ({ tls_server_ca: undefined }),
    code: 'provider_unavailable',
    says: /showed a certificate that is not trusted \(\w+\); see the option "tls_server_ca"/,
    cause: /unable to verify the first certificate/,
  },
]

async function make(world: World, { at, bend, issuer, ahead, code, says, cause }: Mistake): Promise<void> {
  const made = world.use(at, bend && (await bend(world.setUp(at), world)))
  const ended = await atTime(ahead, () =>
    world.visitor().logIn({ name: at, issuer: issuer?.(made.issuer) ?? made.issuer }),
  )
  const { failure, error } = ended
  const told = failure ?? error
  assert.equal(told?.code, code, describe(ended))
  assert.match(told.message, says, describe(ended))
  if (cause) assert.match(error?.cause instanceof Error ? error.cause.message : '', cause)
}

/** Everything of ours at a time by our own clock; the bank is another process, with its own. */
async function atTime(ahead: number | undefined, run: () => Promise<Ended>): Promise<Ended> {
  if (ahead === undefined) return run()
  mock.timers.enable({ apis: ['Date'], now: Date.now() + ahead * 1000 })
  try {
    return await run()
  } finally {
    mock.timers.reset()
  }
}

export const MISTAKES: Case[] = TABLE.map((mistake) => ({
  title: `set-up mistake: ${mistake.title}`,
  run: (world) => make(world, mistake),
}))
