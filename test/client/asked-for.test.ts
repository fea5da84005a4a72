import { expect, test } from '@jest/globals'
import { parametersOf } from '../../lib/client/asked-for.js'

test('a preflight asks for what logins ask for, and sends nothing of its own', () => {
  const asked = {
    claims: { id_token: { name: null } },
    prompt: 'login',
    max_age: 60,
    acr_values: 'urn:any',
    login_hint: 'kim',
    ui_locales: 'en',
    id_token_hint: 'a.b.c',
    display: 'page',
    purpose: 'To log in',
    authorization_details: [{ type: 'consent' }],
    authorization_params: { of_a_network: 'yes' },
  }
  const own = { scope: 'openid', fetchUserInfo: true, jwks_uri: 'https://app.example/jwks', offline: false }
  expect(parametersOf({ ...asked, ...own })).toEqual(asked)
})
