import process from 'node:process'

// One file of lib/ at a time, since every mutant costs a run of its tests: see .ci/mutation.mjs.
const file = process.env.MUTATE ?? 'sealed-jwt'

/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  mutate: [`lib/${file}.ts`],
  testRunner: 'jest',
  testRunnerNodeArgs: ['--experimental-vm-modules', '--no-warnings=ExperimentalWarning'],
  jest: { configFile: 'stryker.jest.config.js', enableFindRelatedTests: false },
  coverageAnalysis: 'perTest',
  concurrency: 2,
  timeoutMS: 20_000,
  plugins: ['@stryker-mutator/jest-runner', './.ci/stryker-prose.mjs'],
  ignorers: ['prose'],
  ignorePatterns: ['dist', 'build', 'docs', 'coverage', 'reports', '.keys'],
  reporters: ['json'],
  jsonReporter: { fileName: `reports/mutation/${file}.json` },
}
