import path from 'node:path'
import process from 'node:process'
import config from '../jest.config.js'

const tests = process.env.TESTS ?? 'test/jwt/sealed-jwt'

export default {
  ...config,
  rootDir: path.resolve(import.meta.dirname, '..'),
  testTimeout: 20_000,
  testMatch: tests.split(',').map((name) => `<rootDir>/${name}.test.ts`),
}
