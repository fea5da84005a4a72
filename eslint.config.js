import js from '@eslint/js'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  { ignores: ['dist/', 'build/', 'coverage/', 'reports/', '.stryker-tmp/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ group: ['**/example-app/**', '**/test/**'], message: 'lib/ never imports these' }] },
      ],
    },
  },
  {
    files: ['test/**', 'bench/**', 'example-app/**'],
    rules: { 'no-restricted-imports': 'off' },
  },
  {
    files: ['lib/**'],
    ignores: ['lib/sandbox/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: ['oidc-provider', '**/sandbox/**', '**/test/**', '**/example-app/**'] },
      ],
    },
  },
  {
    files: ['lib/{client,jwt,net}/**', 'lib/errors.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            'oidc-provider',
            '**/sandbox/**',
            '**/test/**',
            '**/example-app/**',
            'passport*',
            'express',
            '**/passport/**',
          ],
        },
      ],
    },
  },
)
