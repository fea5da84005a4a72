import js from '@eslint/js'
import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'

/**
 * Which rooms of lib/ a room may import from, beside itself: always those further down, never back up. Everybody may
 * import lib/errors.ts. A new room is a new row.
 */
const ROOMS = {
  net: [],
  jwt: ['net'],
  client: ['jwt', 'net'],
  passport: ['client', 'jwt', 'net'],
  guards: ['passport', 'client', 'jwt', 'net'],
  picker: ['guards', 'client', 'jwt', 'net'],
  logout: ['client', 'jwt', 'net'],
  receipt: ['jwt', 'net'],
  redis: ['passport', 'client', 'jwt', 'net'],
  cli: ['receipt', 'passport', 'client', 'jwt', 'net', 'sandbox'],
  // It plays the other side, and must not make the mistakes of what it is there to try. Types make none.
  sandbox: [],
  // It drives the sandbox, through its pages.
  testing: ['sandbox'],
}

/** Packages that one room alone may import: the others work without them. */
const PACKAGES = {
  passport: ['passport(-[^/]*)?', 'express'],
  cli: ['commander'],
  sandbox: ['oidc-provider', 'router', '@remix-run/html-template', 'selfsigned'],
  testing: ['fetch-cookie', 'tough-cookie'],
}

const up = String.raw`(\./)?(\.\./)+`

/** Refuses imports, static or not, that match; the text of a regular expression. */
const refusing = (source, message, allowTypeImports = false) => ({
  '@typescript-eslint/no-restricted-imports': [
    'error',
    { patterns: [{ regex: source, message, allowTypeImports }] },
  ],
  'no-restricted-syntax': [
    'error',
    ...['ImportExpression[source.value=', 'TSImportType[source.value='].map((selector) => ({
      selector: `${selector}/${source.replaceAll('/', String.raw`\x2F`)}/]`,
      message,
    })),
  ],
})

const rooms = Object.keys(ROOMS).map((room) => {
  const others = Object.keys(ROOMS).filter((other) => other !== room && !ROOMS[room].includes(other))
  const packages = Object.keys(PACKAGES).flatMap((owner) => (owner === room ? [] : PACKAGES[owner]))
  const refused = [
    `${up}(${others.join('|')})/`,
    `${up}(index\\.js|lib/|test/|bench/|example-app/|examples/)`,
    `(${packages.join('|')})(/|$)`,
  ]
  return {
    files: [`lib/${room}/**`],
    rules: refusing(
      `^(${refused.join('|')})`,
      `a file of ${room}/ may import ${[...ROOMS[room], 'errors.js', 'events.js'].join(', ')}`,
      room === 'sandbox',
    ),
  }
})

export default defineConfig(
  // Nest's decorators are of another kind than those of this repository: its examples are compiled where they are run.
  globalIgnores([
    'dist/',
    'build/',
    'coverage/',
    'reports/',
    '.stryker-tmp/',
    '**/.next/',
    'examples/nest*/',
  ]),
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
  },
  {
    files: ['examples/*/{app,config,pages}.js', 'examples/next/**/*.js'],
    languageOptions: {
      globals: { console: 'readonly', process: 'readonly', Response: 'readonly', URL: 'readonly' },
    },
    // Express tells an error handler by its four parameters.
    rules: { 'no-unused-vars': ['error', { argsIgnorePattern: '^_' }] },
  },
  { files: ['lib/errors.ts'], rules: refusing(String.raw`^\.`, 'errors.ts imports nothing of ours') },
  {
    files: ['lib/events.ts'],
    rules: refusing(String.raw`^\.(?!/errors\.js$)`, 'events.ts imports nothing of ours but errors.ts'),
  },
  {
    files: ['lib/*.ts'],
    ignores: ['lib/errors.ts', 'lib/events.ts'],
    rules: refusing(`^${up}`, 'lib/ imports nothing outside of it'),
  },
  ...rooms,
)
