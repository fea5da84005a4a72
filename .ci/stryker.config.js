import process from 'node:process'

/** Places in lib/ to break, as .ci/mutation.mjs names them; every one costs a run of its tests. */
const places = process.env.MUTATE ?? 'lib/jwt/signed-jwt.ts'

/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  mutate: places.split(','),
  testRunner: 'jest',
  testRunnerNodeArgs: ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning'],
  jest: { configFile: '.ci/stryker.jest.config.js', enableFindRelatedTests: false },
  plugins: ['@stryker-mutator/jest-runner', './.ci/stryker-prose.mjs'],
  ignorers: ['prose'],
  coverageAnalysis: 'perTest',
  concurrency: 2,
  timeoutMS: 20_000,
  warnings: { slow: false },
  ignorePatterns: ['dist', 'build', 'docs', 'coverage', 'reports', '.keys'],
  reporters: ['json'],
  jsonReporter: { fileName: 'reports/mutation.json' },
}
