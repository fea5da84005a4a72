/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  mutate: ['lib/*.ts', '!lib/index.ts', '!lib/claims.ts'],
  testRunner: 'jest',
  testRunnerNodeArgs: ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning'],
  jest: { configFile: 'stryker.jest.config.js', enableFindRelatedTests: false },
  coverageAnalysis: 'perTest',
  concurrency: 2,
  timeoutMS: 20000,
  ignoreStatic: true,
  // Texts are for people: a changed word breaks no check.
  mutator: { excludedMutations: ['StringLiteral'] },
  ignorePatterns: ['dist', 'build', 'docs', 'coverage', 'reports', '.keys'],
  reporters: ['clear-text', 'json', 'progress'],
  jsonReporter: { fileName: 'reports/mutation.json' },
}
