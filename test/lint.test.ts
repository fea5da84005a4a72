import { expect, test } from '@jest/globals'
import { readdirSync } from 'node:fs'
import { ESLint, Linter } from 'eslint'
import { parser, plugin } from 'typescript-eslint'

/** What lint says of one import in a file of lib/, by the rules that the project has for that file alone. */
async function complaints(file: string, code: string): Promise<string[]> {
  const config = (await new ESLint().calculateConfigForFile(file)) as Linter.Config
  const rules = Object.fromEntries(
    Object.entries(config.rules ?? {}).filter(([name]) => name.includes('no-restricted-')),
  )
  const messages = new Linter().verify(
    code,
    {
      files: ['**/*.ts'],
      languageOptions: { parser },
      plugins: { '@typescript-eslint': plugin },
      rules,
    },
    { filename: file },
  )
  return messages.map(({ ruleId, message }) => (ruleId ?? message).replace('@typescript-eslint/', ''))
}

test.each([
  ['lib/errors.ts', './net/http.js'],
  ['lib/errors.ts', './index.js'],
  ['lib/errors.ts', './events.js'],
  ['lib/events.ts', './net/http.js'],
  ['lib/events.ts', './index.js'],
  ['lib/net/http.ts', '../jwt/keys.js'],
  ['lib/net/http.ts', '../client/config.js'],
  ['lib/net/http.ts', '../passport/strategy.js'],
  ['lib/net/http.ts', '../sandbox/index.js'],
  ['lib/net/http.ts', './../jwt/keys.js'],
  ['lib/net/http.ts', '../../lib/jwt/keys.js'],
  ['lib/jwt/keys.ts', '../client/config.js'],
  ['lib/jwt/keys.ts', '../passport/options.js'],
  ['lib/jwt/keys.ts', '../index.js'],
  ['lib/client/idpartner.ts', '../passport/logins.js'],
  ['lib/client/idpartner.ts', '../sandbox/keys.js'],
  ['lib/client/idpartner.ts', 'passport'],
  ['lib/client/idpartner.ts', 'passport-strategy'],
  ['lib/client/idpartner.ts', 'express'],
  ['lib/client/idpartner.ts', 'express/lib/request.js'],
  ['lib/client/idpartner.ts', 'oidc-provider'],
  ['lib/client/jwks-router.ts', 'router'],
  ['lib/client/idpartner.ts', '@remix-run/html-template'],
  ['lib/passport/strategy.ts', '../sandbox/sandbox.js'],
  ['lib/passport/strategy.ts', '../guards/guards.js'],
  ['lib/passport/strategy.ts', '../redis/redis-logins.js'],
  ['lib/passport/strategy.ts', '../../examples/age-gate/app.js'],
  ['lib/client/idpartner.ts', '../guards/guards.js'],
  ['lib/guards/guards.ts', 'express'],
  ['lib/logout/logout-router.ts', '../passport/session.js'],
  ['lib/client/idpartner.ts', '../logout/concerns.js'],
  ['lib/passport/strategy.ts', '../cli/program.js'],
  ['lib/client/idpartner.ts', '../cli/program.js'],
  ['lib/client/idpartner.ts', 'commander'],
  ['lib/cli/keys.ts', '../index.js'],
  ['lib/sandbox/sandbox.ts', '../cli/program.js'],
  ['lib/passport/strategy.ts', '../index.js'],
  ['lib/passport/strategy.ts', 'oidc-provider'],
  ['lib/passport/strategy.ts', '../../test/support/app.js'],
  ['lib/passport/strategy.ts', '../../example-app/app.js'],
  ['lib/sandbox/sandbox.ts', '../client/config.js'],
  ['lib/sandbox/bank/bank.ts', '../../jwt/keys.js'],
  ['lib/sandbox/bank/bank.ts', '../../../test/support/app.js'],
  ['lib/sandbox/bank/bank.ts', 'express'],
  ['lib/index.ts', '../test/support/app.js'],
])('%s may not import %s', async (file, name) => {
  const refused = ['no-restricted-imports']
  expect(await complaints(file, `import '${name}'`)).toEqual(refused)
  expect(await complaints(file, `export * from '${name}'`)).toEqual(refused)
  expect(await complaints(file, `await import('${name}')`)).toEqual(['no-restricted-syntax'])
  expect(await complaints(file, `type T = import('${name}').T`)).toEqual(['no-restricted-syntax'])
})

test.each(
  readdirSync('lib', { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name),
)('every room has a row: %s', async (room) => {
  for (const name of ['../../test/support/app.js', '../index.js']) {
    expect(await complaints(`lib/${room}/any.ts`, `import '${name}'`)).toEqual(['no-restricted-imports'])
  }
})

test.each([
  ['lib/index.ts', './passport/strategy.js'],
  ['lib/passport/strategy.ts', '../client/idpartner.js'],
  ['lib/passport/strategy.ts', '../net/deadline.js'],
  ['lib/passport/strategy.ts', './options.js'],
  ['lib/guards/guards.ts', '../passport/options.js'],
  ['lib/cli/program.ts', '../passport/strategy.js'],
  ['lib/cli/program.ts', '../sandbox/index.js'],
  ['lib/cli/program.ts', 'commander'],
  ['lib/passport/strategy.ts', 'passport-strategy'],
  ['lib/passport/strategy.ts', 'express'],
  ['lib/client/idpartner.ts', '../jwt/keys.js'],
  ['lib/client/idpartner.ts', '../errors.js'],
  ['lib/client/idpartner.ts', 'openid-client'],
  ['lib/jwt/keys.ts', '../net/http.js'],
  ['lib/net/http.ts', '../errors.js'],
  ['lib/net/cached.ts', '../events.js'],
  ['lib/events.ts', './errors.js'],
  ['lib/sandbox/bank/bank.ts', '../pages/index.js'],
  ['lib/sandbox/bank/bank.ts', '../../errors.js'],
  ['lib/sandbox/bank/bank.ts', 'oidc-provider'],
])('%s may import %s', async (file, name) => {
  expect(await complaints(file, `import '${name}'`)).toEqual([])
  expect(await complaints(file, `await import('${name}')`)).toEqual([])
})
