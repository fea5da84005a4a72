// Runs examples/testing with each test runner, from the packed tarball, as somebody who copied it would.
// node .ci/testing.mjs TARBALL
import { execFileSync } from 'node:child_process'
import console from 'node:console'
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'

const tarball = path.resolve(process.argv[2] ?? '')
const folder = mkdtempSync(path.join(tmpdir(), 'testing-'))

/** What docs/testing.md tells people to install. */
const PACKAGES = ['oidc-provider', 'router', '@remix-run/html-template', 'fetch-cookie']
const APP = ['express', 'express-session', 'passport']
// Vitest 3 is the last that runs on Node 20.
const RUNNERS = ['jest@30', '@jest/globals@30', 'vitest@3', '@playwright/test']

const JEST = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js']
const RUNS = {
  'node:test': ['--test', 'node.test.mjs'],
  'jest, ES modules': [...JEST, '--testMatch', '**/esm.jest.mjs'],
  'jest, CommonJS': [...JEST, '--testMatch', '**/cjs.jest.cjs'],
  vitest: [
    'node_modules/vitest/vitest.mjs',
    'run',
    'vitest.test.js',
    '--testTimeout=60000',
    '--hookTimeout=60000',
  ],
  Playwright: ['node_modules/@playwright/test/cli.js', 'test', 'playwright.spec.js'],
}

try {
  cpSync('examples/testing', folder, { recursive: true })
  const moduleFileExtensions = ['js', 'mjs', 'cjs', 'json', 'node']
  // A machine that builds is busy; a person's is not, and does without these limits.
  const jest = { transform: {}, moduleFileExtensions, testTimeout: 60_000 }
  const manifest = { private: true, type: 'module', jest }
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify(manifest))
  // Debian's browser, since Playwright's own are not on the registry.
  const launchOptions = { executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] }
  writeFileSync(
    path.join(folder, 'playwright.config.js'),
    `export default ${JSON.stringify({ timeout: 60_000, testMatch: 'playwright.spec.js', use: { launchOptions } })}`,
  )
  const options = { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 180_000 }
  const install = ['install', '--no-audit', '--no-fund', '--silent']
  execFileSync('npm', [...install, tarball, ...APP, ...PACKAGES, ...RUNNERS], {
    ...options,
    env: { ...process.env, PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD: '1' },
  })
  for (const [runner, args] of Object.entries(RUNS)) {
    try {
      execFileSync(process.execPath, args, options)
    } catch (err) {
      console.error(err.stdout, err.stderr)
      throw new Error(`the example for ${runner} fails`, { cause: err })
    }
    console.log(`testing: ${runner} logs a person in`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
