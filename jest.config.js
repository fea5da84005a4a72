/** @type {import('jest').Config} */
export default {
  testEnvironment: 'node',
  // Two for each of two processors: most of what they do is wait, for time limits and for the second between two fetches.
  maxWorkers: 4,
  // A test that hangs is noticed; one on a busy machine is not taken for it.
  testTimeout: 180_000,
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: {
    '^passport-idpartner$': '<rootDir>/lib/index.ts',
    '^passport-idpartner/(guards|logout|picker|receipt|redis|sandbox|testing)$': '<rootDir>/lib/$1/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2023', parser: { syntax: 'typescript' } } }],
  },
}
