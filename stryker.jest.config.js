import config from './jest.config.js'

/** What tests lib/ itself: without browsers, subprocesses and the sandbox. */
export default {
  ...config,
  testPathIgnorePatterns: ['/node_modules/', 'browser', 'example-app', 'readme', 'sandbox', 'types'],
}
