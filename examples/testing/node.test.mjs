import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { login } from 'passport-idpartner/testing'
import { makeApp } from './app.js'
import { newSandbox } from './sandbox.js'

const sandbox = await newSandbox()
after(() => sandbox.close())

test('a person logs in with their bank', async () => {
  const app = await makeApp(sandbox.config)
  const { page } = await login(app, { sandbox, bank: 'Mikomo Bank', persona: 'mikomo_10' })
  assert.equal(page.text, 'Hello, Philip Lindqvist')
})
