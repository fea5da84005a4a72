import { describe, expect, test } from '@jest/globals'
import { requestParameters, textParameters } from '../../lib/client/authorization-request.js'
import type { ResolvedConfig } from '../../lib/client/config.js'
import { loginOptions, resolveStrategyOptions } from '../../lib/passport/options.js'
import { thrown } from '../support/thrown.js'

const base = { client_id: 'app', callback: 'https://app.example/callback' }
const proofs = { state: 'state', nonce: 'nonce', codeVerifier: 'verifier' }

/** The three places in which an application can set them. */
const PLACES: [string, (authorization_params: object) => unknown][] = [
  [
    'for all logins',
    (own) => resolveStrategyOptions({ ...base, authorization_params: own as never }, () => undefined),
  ],
  ['for one login', (own) => loginOptions({ scope: 'openid' }, { authorization_params: own as never })],
  [
    'without Passport',
    (own) =>
      requestParameters({ ...base, profile: 'fapi2-security' } as ResolvedConfig, proofs, 'openid', {
        authorization_params: own as never,
      }),
  ],
]

const PROTECTING = [
  ...['client_id', 'client_secret', 'client_assertion', 'client_assertion_type', 'grant_type', 'code'],
  ...[
    'code_verifier',
    'code_challenge',
    'code_challenge_method',
    'redirect_uri',
    'response_type',
    'response_mode',
  ],
  ...['scope', 'state', 'nonce', 'request', 'request_uri', 'dpop_jkt'],
  ...['iss', 'aud', 'exp', 'iat', 'nbf', 'jti', 'sub'],
]
const OPTIONS = [
  ...['claims', 'prompt', 'max_age', 'acr_values', 'login_hint', 'ui_locales', 'id_token_hint', 'display'],
  ...['authorization_details', 'purpose', 'authorization_params', 'x-fapi-interaction-id'],
]

describe.each(PLACES)("a network's own parameters, %s:", (_place, set) => {
  test.each(PROTECTING.flatMap((name) => [name, name.toUpperCase()]))(
    '%s is refused, by its name',
    (name) => {
      expect(thrown(() => set({ [name]: 'mine' }))).toMatchObject({
        code: 'config_invalid',
        message: `option "authorization_params" must not have "${name}", which is set by this package alone`,
      })
    },
  )

  test.each(OPTIONS.flatMap((name) => [name, name.toUpperCase()]))('%s, whose option is checked', (name) => {
    expect(thrown(() => set({ [name]: 'mine' }))).toMatchObject({
      code: 'config_invalid',
      message: `option "authorization_params" must not have "${name}", which is an option of its own`,
    })
  })

  test.each<[string, unknown]>([
    ['a list', []],
    ['a text', 'a=b'],
    ['null', null],
    ['a name with a line break', { 'a\r\nb': 'c' }],
    ['a name with a space', { 'state ': 'c' }],
    ['an empty name', { '': 'c' }],
    ['a name without end', { ['a'.repeat(101)]: 'c' }],
    ['a prototype', JSON.parse('{"__proto__":"c"}')],
    ['an object as a value', { a: {} }],
    ['a number that is none', { a: NaN }],
    ['a text without end', { a: 'x'.repeat(4097) }],
    ['nothing as a value', { a: undefined }],
  ])('%s is refused', (_name, own) => {
    expect(thrown(() => set(own as object))).toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(/^option "authorization_params" (must|has) /),
    })
  })
})

test('they stand among the others, as text', () => {
  const own = {
    authentication_context_type: 'APP',
    redirect_uri_https_type: 'standard_https',
    level: 2,
    quick: true,
  }
  const config = { ...base, profile: 'fapi2-security', response_mode: 'query' } as ResolvedConfig
  expect(
    textParameters(
      requestParameters(config, proofs, 'openid', { purpose: 'why', authorization_params: own }),
    ),
  ).toMatchObject({
    purpose: 'why',
    authentication_context_type: 'APP',
    redirect_uri_https_type: 'standard_https',
    level: '2',
    quick: 'true',
  })
})

test.each<[string, object]>([
  ['a text of 4096 characters', { a: 'x'.repeat(4096) }],
  ['an empty text', { a: '' }],
  ['a name of 100 characters', { ['a'.repeat(100)]: 'b' }],
  ['a name of a URN', { 'urn:a-b.c_d': 'e' }],
  ['none', {}],
])('may be %s', (_name, own) => {
  expect(loginOptions({ scope: 'openid' }, { authorization_params: own as never })).toMatchObject({
    authorization_params: own,
  })
})

test.each(['STATE', 'Client_Id', 'dpop_jkt', 'client_assertion'])(
  'what protects a login is refused beside them as well: %s',
  (name) => {
    const config = { ...base, profile: 'fapi2-security' } as ResolvedConfig
    expect(thrown(() => requestParameters(config, proofs, 'openid', { [name]: 'mine' }))).toMatchObject({
      code: 'config_invalid',
      message: `the authorization parameter "${name}" is set by this package alone`,
    })
  },
)
