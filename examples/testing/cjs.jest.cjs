/* global afterAll, beforeAll, expect, test */
let sandbox
beforeAll(async () => {
  const { newSandbox } = await import('./sandbox.js')
  sandbox = await newSandbox()
})
afterAll(() => sandbox.close())

test('a person logs in with their bank', async () => {
  const { login } = await import('passport-idpartner/testing')
  const { makeApp } = await import('./app.js')
  const app = await makeApp(sandbox.config)
  const { page } = await login(app, { sandbox, bank: 'Mikomo Bank', persona: 'mikomo_10' })
  expect(page.text).toBe('Hello, Philip Lindqvist')
})
