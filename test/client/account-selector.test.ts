import { expect, test } from '@jest/globals'
import { accountSelectorUrl } from '../../lib/client/account-selector.js'
import { resolveConfig } from '../../lib/client/resolve-config.js'
import { clientJwks } from '../support/key-pairs.js'
import { thrown } from '../support/thrown.js'

const config = resolveConfig({
  client_id: 'me & my app',
  callback: 'https://app.example/cb',
  flow: 'direct',
  trusted_issuers: ['https://bank.example'],
  account_selector_service_url: 'https://selector.example/v1',
  jwks: await clientJwks(),
})

test('the account selector is told who asks for what, and nothing else', () => {
  const url = accountSelectorUrl(
    config,
    new URLSearchParams({ visitor_id: 'a&b', iss: 'https://bank.example' }),
    ['openid', 'email'],
    undefined,
  )
  expect(url.href).toBe(
    'https://selector.example/v1/select-accounts?client_id=me+%26+my+app&visitor_id=a%26b&scope=openid+email',
  )
})

test.each([[''], ['a&visitor_id=b']])('a visitor that is not one visitor is left out: %j', (visitor_id) => {
  const params = new URLSearchParams(`visitor_id=${visitor_id}`)
  expect(accountSelectorUrl(config, params, 'openid', undefined).searchParams.has('visitor_id')).toBe(false)
})

test.each([
  [undefined, null],
  [{}, null],
  [{ userinfo: { email: null } }, 'email'],
  [{ id_token: { name: null, birthdate: { essential: true } } }, 'name birthdate'],
  [{ userinfo: { email: null, name: null }, id_token: { name: null, address: null } }, 'email name address'],
])('the names of the claims are those of both places, each once: %j', (claims, names) => {
  const url = accountSelectorUrl(config, new URLSearchParams(), 'openid', claims)
  expect(url.searchParams.get('claims')).toBe(names)
})

test('there is no account selection without openid', () => {
  const err = thrown(() => accountSelectorUrl(config, new URLSearchParams(), 'email', undefined))
  expect(err).toMatchObject({ code: 'config_invalid' })
})
