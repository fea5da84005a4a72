import process from 'node:process'
import config from './jest.config.js'

const file = process.env.MUTATE ?? 'sealed-jwt'

/** The tables that try what a file checks, beside its own tests. */
const tables = {
  'allowed-issuers': ['ssrf'],
  'callback-params': ['callback'],
  'id-token': ['id-token'],
  idpartner: ['callback', 'jarm', 'ssrf'],
  issuers: ['discovery-and-keys'],
  jarm: ['jarm'],
  provider: ['client-authentication', 'token-response', 'userinfo', 'id-token', 'ssrf'],
  'provider-failure': ['token-response', 'userinfo'],
  'proxy-document': ['proxy-document'],
  'remote-keys': ['discovery-and-keys'],
  'sealed-jwt': ['downgrade', 'jarm'],
  strategy: ['callback', 'login-csrf', 'injection'],
}

export default {
  ...config,
  testTimeout: 20_000,
  testMatch: [
    `<rootDir>/test/${file}.test.ts`,
    ...(tables[file] ?? []).map((name) => `<rootDir>/test/hostile/${name}.test.ts`),
  ],
}
