import { createHash } from 'node:crypto'
import { afterEach, describe, expect, test } from '@jest/globals'
import { decodeJwt, decodeProtectedHeader, type JWTPayload } from 'jose'
import {
  IDPartner,
  type AuthorizationParams,
  type ClaimsRequest,
  type IDPartnerConfig,
} from 'passport-idpartner'
import {
  requestParameters,
  scopeText,
  textParameters,
  type Proofs,
} from '../../lib/client/authorization-request.js'
import type { ResolvedConfig } from '../../lib/client/config.js'
import type { Profile, ResponseMode } from '../../lib/client/profile.js'
import { clientJwks, ecKey } from '../support/key-pairs.js'
import { Platform } from '../support/platform.js'
import { thrown } from '../support/thrown.js'

const CALLBACK = 'https://app.example/callback?tenant=a%20b'
const UUID = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/

const proofs: Proofs = { state: 'state-1', nonce: 'nonce-1', codeVerifier: 'verifier-1' }

const parameters = (
  extra: AuthorizationParams = {},
  scope: string | string[] = 'openid',
): Record<string, string> => parametersOf('fapi1-advanced', 'jwt', extra, scope)

function parametersOf(
  profile: Profile,
  response_mode: ResponseMode,
  extra: AuthorizationParams = {},
  scope: string | string[] = 'openid',
): Record<string, string> {
  const config = { client_id: 'app', callback: CALLBACK, profile, response_mode } as ResolvedConfig
  return textParameters(requestParameters(config, proofs, scope, extra))
}

test.each<[string, AuthorizationParams]>([
  ['claims', { claims: ['email'] as never }],
  ['claims', { claims: { idToken: { email: null } } as never }],
  ['claims', { claims: { id_token: { email: true } } as never }],
  ['claims', { claims: { id_token: { email: { value: 1n } } } }],
  ['authorization_details', { authorization_details: [{ type: 'payment', amount: 10n }] }],
  ['authorization_details', { authorization_details: [{ type: '' }] }],
  ['authorization_details', { authorization_details: [{ amount: '10' } as never] }],
])('%s of a wrong form are refused, by their name', (name, extra) => {
  expect(thrown(() => parameters(extra))).toMatchObject({
    code: 'config_invalid',
    message: expect.stringMatching(new RegExp(`^option "${name}" must `)),
  })
})

describe('an authorization request', () => {
  test('has everything that protects a login, always', () => {
    expect(parameters()).toEqual({
      client_id: 'app',
      redirect_uri: CALLBACK,
      response_type: 'code',
      response_mode: 'jwt',
      scope: 'openid',
      state: 'state-1',
      nonce: 'nonce-1',
      code_challenge: createHash('sha256').update('verifier-1').digest('base64url'),
      code_challenge_method: 'S256',
      'x-fapi-interaction-id': expect.stringMatching(UUID),
    })
  })

  test('has an interaction id of its own, or that of the caller', () => {
    const id = 'x-fapi-interaction-id'
    const other = requestParameters(
      { client_id: 'app', callback: CALLBACK, profile: 'fapi1-advanced' } as ResolvedConfig,
      { ...proofs, codeVerifier: 'verifier-2' },
      'openid',
      {},
    )
    expect(parameters()[id]).not.toBe(other[id])
    expect(parameters({ [id]: 'given' })[id]).toBe('given')
  })

  test.each(['fapi2-security', 'fapi2-message-signing'] as const)(
    'has no interaction id with %s, where it is a header',
    (profile) => {
      const id = 'x-fapi-interaction-id'
      expect(parametersOf(profile, 'jwt')).not.toHaveProperty(id)
      expect(parametersOf(profile, 'jwt', { [id]: 'given' })).not.toHaveProperty(id)
    },
  )

  test('names a mode where that is not the usual one of a code', () => {
    expect(parametersOf('fapi2-security', 'jwt')).toHaveProperty('response_mode', 'jwt')
    expect(parametersOf('fapi2-security', 'query')).not.toHaveProperty('response_mode')
  })

  test('may ask for more', () => {
    const claims = { userinfo: { email: null }, id_token: { age_over_18: { essential: true } } }
    expect(
      parameters({
        prompt: 'consent',
        claims,
        max_age: 0,
        acr_values: 'a b',
        ui_locales: 'de',
        login_hint: 'x',
      }),
    ).toMatchObject({
      prompt: 'consent',
      claims: JSON.stringify(claims),
      max_age: '0',
      acr_values: 'a b',
      ui_locales: 'de',
      login_hint: 'x',
    })
  })

  test('has no parameter that is undefined', () => {
    expect(Object.keys(parameters({ prompt: undefined, claims: undefined }))).toEqual(
      Object.keys(parameters()),
    )
  })

  test.each([
    'client_id',
    'redirect_uri',
    'response_type',
    'response_mode',
    'scope',
    'state',
    'nonce',
    'code_challenge',
    'code_challenge_method',
    'request',
    'request_uri',
    'iss',
    'aud',
    'exp',
    'iat',
    'nbf',
    'jti',
    'sub',
  ])('leaves %s to nobody else', (name) => {
    expect(thrown(() => parameters({ [name]: 'mine' }))).toMatchObject({
      code: 'config_invalid',
      status: 500,
      message: `the authorization parameter "${name}" is set by this package alone`,
    })
    expect(parameters({ [name]: undefined })).toBeDefined()
  })
})

describe('the scope', () => {
  test.each<[string | string[], string]>([
    ['openid', 'openid'],
    ['email openid', 'email openid'],
    [['openid', 'email', 'profile'], 'openid email profile'],
    [['profile', 'openid'], 'profile openid'],
  ])('is sent in the order it was given: %j', (scope, text) => {
    expect(scopeText(scope)).toBe(text)
    expect(parameters({}, scope).scope).toBe(text)
  })

  test.each([[''], ['email'], ['openid2'], ['OPENID'], [[]], [['email']], [undefined], [null], [42], [{}]])(
    'has to include openid: %j',
    (scope) => {
      expect(thrown(() => scopeText(scope))).toMatchObject({
        code: 'config_invalid',
        message: expect.stringMatching(/scope must include "openid", or there are no claims/),
      })
    },
  )
})

describe('a signed request', () => {
  let platform: Platform | undefined

  afterEach(async () => {
    await platform?.close()
    expect(platform?.wire.complaints).toEqual([])
  })

  const request = async (
    flow: 'proxy' | 'direct',
    { extra = {}, options = {} }: { extra?: AuthorizationParams; options?: Partial<IDPartnerConfig> } = {},
  ): Promise<{
    jwt: string
    header: Record<string, unknown>
    claims: JWTPayload
    url: URL
    audience: string
  }> => {
    platform = await Platform.start({ flow })
    const client = new IDPartner({ ...(await platform.config()), ...options })
    const { bankA, proxy, wire } = platform
    const query = flow === 'proxy' ? { visitor_id: 'visitor & 1' } : { iss: bankA.issuer }
    const url = new URL(
      await client.getAuthorizationUrl(query, client.generateProofs(), ['openid', 'email', 'profile'], extra),
    )
    const pushed = wire.requests.find(({ endpoint }) => endpoint === 'bankA.par')?.body
    const params = flow === 'proxy' ? url.searchParams : new URLSearchParams(pushed)
    const jwt = params.get('request') ?? ''
    const audience = flow === 'proxy' ? proxy.issuer : bankA.issuer
    return { jwt, header: { ...decodeProtectedHeader(jwt) }, claims: decodeJwt(jwt), url, audience }
  }

  test.each(['proxy', 'direct'] as const)(
    'has the header and the claims that banks want: %s flow',
    async (flow) => {
      const { header, claims, audience } = await request(flow)
      const { keys } = await clientJwks()
      expect(header).toEqual({ alg: 'PS256', typ: 'oauth-authz-req+jwt', kid: keys[0]?.kid })
      expect(claims).toEqual({
        iss: 'test-app',
        client_id: 'test-app',
        aud: audience,
        jti: expect.stringMatching(/^[\w-]{20,}$/),
        iat: expect.any(Number),
        nbf: claims.iat,
        exp: expect.any(Number),
        redirect_uri: CALLBACK,
        response_type: 'code',
        response_mode: 'jwt',
        scope: 'openid email profile',
        state: expect.stringMatching(/^[\w-]{43}$/),
        nonce: expect.stringMatching(/^[\w-]{43}$/),
        code_challenge: expect.stringMatching(/^[\w-]{43}$/),
        code_challenge_method: 'S256',
        'x-fapi-interaction-id': expect.stringMatching(UUID),
      })
      const now = Date.now() / 1000
      expect(claims.iat).toBeLessThan(now - 5)
      expect(claims.exp).toBeLessThanOrEqual(now + 300)
      expect((claims.exp ?? 0) - (claims.nbf ?? 0)).toBeLessThan(3600)
    },
  )

  test('has claims and max_age as what they are, and not as texts', async () => {
    const claims: ClaimsRequest = {
      id_token: {
        birthdate: { essential: true },
        verified_claims: {
          verification: { trust_framework: { value: 'eidas' }, evidence: [{ type: { value: 'document' } }] },
          claims: { given_name: null },
        },
      },
      userinfo: { email: null },
    }
    const { claims: sent } = await request('proxy', {
      extra: { claims, max_age: 600, prompt: 'login consent' },
    })
    expect(sent).toMatchObject({ claims, max_age: 600, prompt: 'login consent' })
  })

  test("has a network's own parameters as what they are, too (RFC 9101, section 4)", async () => {
    const authorization_params = { level: 2, quick: true, kind: '3' }
    const { claims: sent } = await request('proxy', { extra: { authorization_params } })
    expect(sent).toMatchObject(authorization_params)
  })

  test('has a name that nobody else gives (RFC 9562)', async () => {
    const { claims: sent } = await request('proxy')
    expect(sent.jti).toMatch(UUID)
  })

  test('is signed with ES256 when the key is for that', async () => {
    const ec = (await ecKey('client')).privateKey.export({ format: 'jwk' }) as { kty: string }
    platform = await Platform.start()
    const client = new IDPartner({
      ...(await platform.config()),
      jwks: { keys: [{ ...ec, use: 'sig', kid: 'ec' }] },
    })
    const url = new URL(await client.getAuthorizationUrl({}, client.generateProofs(), 'openid'))
    const header = decodeProtectedHeader(url.searchParams.get('request') ?? '')
    expect(header).toMatchObject({ alg: 'ES256', kid: 'ec' })
  })

  test('goes to the proxy with the client id and the visitor, and nothing else', async () => {
    const { url, jwt } = await request('proxy')
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: 'test-app',
      request: jwt,
      visitor_id: 'visitor & 1',
    })
  })

  test('pushed to a bank leaves only its reference in the URL', async () => {
    const { url } = await request('direct')
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: 'test-app',
      request_uri: expect.stringMatching(/^urn:ietf:params:oauth:request_uri:/),
    })
  })
})
