import { afterAll, expect, test } from 'vitest'
import { login } from 'passport-idpartner/testing'
import { makeApp } from './app.js'
import { newSandbox } from './sandbox.js'

const sandbox = await newSandbox()
afterAll(() => sandbox.close())

test('a person logs in with their bank', async () => {
  const app = await makeApp(sandbox.config)
  const { page } = await login(app, { sandbox, bank: 'Mikomo Bank', persona: 'mikomo_10' })
  expect(page.text).toBe('Hello, Philip Lindqvist')
})
