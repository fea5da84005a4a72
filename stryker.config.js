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
  ignoreStatic: true,
  concurrency: 2,
  timeoutMS: 20_000,
  // Most texts are for people, and a changed word breaks no check.
  mutator: { excludedMutations: ['StringLiteral'] },
  ignorePatterns: ['dist', 'build', 'docs', 'coverage', 'reports', '.keys'],
  reporters: ['json'],
  jsonReporter: { fileName: `reports/mutation/${file}.json` },
}
