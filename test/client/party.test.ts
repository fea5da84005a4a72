import { expect, test } from '@jest/globals'
import { partyOf } from '../../lib/client/party.js'

const config = { oidc_proxy_service_url: 'https://idpartner.example/oidc-proxy' }

test.each([
  ['https://idpartner.example/oidc-proxy', "IDPartner's proxy"],
  ['https://idpartner.example', 'the bank idpartner.example'],
  ['https://login.bank.example/tenants/1', 'the bank login.bank.example'],
  ['https://login.bank.example:8443/', 'the bank login.bank.example:8443'],
  ['no issuer', 'the bank'],
  ['javascript:alert(1)', 'the bank'],
  [`https://${'x'.repeat(200)}.example`, `the bank ${'x'.repeat(100)}…`],
])('%s is named %s', (issuer, name) => {
  expect(partyOf(issuer, config)).toBe(name)
})
