import config from './jest.config.js'

const without = ['browser', 'example-app', 'flows', 'migration', 'readme', 'sandbox']
// These wait for time limits, or try a hundred values; the tables have a case for each check as well.
const slow = ['faults', 'properties']

/** What tests lib/ itself, quickly: without browsers, subprocesses and whole sandboxes. */
export default {
  ...config,
  testTimeout: 20_000,
  testPathIgnorePatterns: [
    '/node_modules/',
    ...without.map((name) => `<rootDir>/test/${name}`),
    ...slow.map((name) => `<rootDir>/test/hostile/${name}`),
  ],
}
