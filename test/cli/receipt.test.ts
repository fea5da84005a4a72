import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { redactReceipt } from 'passport-idpartner/receipt'
import { cli, cliJson } from '../support/cli.js'
import { clientJwks } from '../support/key-pairs.js'
import { loginWithReceipt, type Received } from '../support/receipts.js'
import { useScenes } from '../support/scene.js'

useScenes()

const folder = mkdtempSync(path.join(tmpdir(), 'receipt-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})
const file = (name: string, content: string): string => {
  const target = path.join(folder, name)
  writeFileSync(target, content)
  return target
}

let made: Received
let keys: string
beforeAll(async () => {
  made = await loginWithReceipt()
  keys = file('keys.json', JSON.stringify(made.application))
})

test('a good receipt is verified, and nothing of the person is printed', async () => {
  const args = ['receipt', 'verify', file('good', `${made.receipt}\n`), '--jwks', keys]
  const found = await cliJson<{ ok: boolean; checks: { id: string }[] }>(args)
  expect(found.ok).toBe(true)
  expect(found.checks.map(({ id }) => id)).toEqual(['receipt', 'keys', 'document', 'answer', 'id_token'])
  const { code, out } = await cli(args)
  expect(code).toBe(0)
  const { sub, email } = made.login.claims
  for (const personal of [sub, email]) expect(out + JSON.stringify(found)).not.toContain(personal)
})

test('what is said of the person is printed where it is asked for, but no value of that login', async () => {
  const args = ['receipt', 'verify', file('asked', made.receipt), '--jwks', keys, '--show-claims']
  const { code, out } = await cli(args)
  expect(code).toBe(0)
  const { sub, nonce } = made.login.claims
  expect(out).toContain(JSON.stringify(sub))
  expect(nonce).toEqual(expect.any(String))
  expect(out).not.toContain(nonce)
})

test('a refused one says why and what to do, and nothing of the person even where that is asked for', async () => {
  const bent = made.receipt.replace(
    /"salt":"./,
    (found) => found.slice(0, -1) + (found.endsWith('A') ? 'B' : 'A'),
  )
  const args = ['receipt', 'verify', file('salt', bent), '--jwks', keys, '--show-claims']
  expect(await cliJson(args)).toEqual({
    ok: false,
    checks: [
      {
        id: 'receipt',
        status: 'fail',
        message: expect.stringContaining('receipt'),
        fix: expect.stringContaining('docs/receipt.md'),
      },
    ],
  })
})

test('a redacted one is, where that is meant', async () => {
  const redacted = file('redacted', redactReceipt(made.receipt))
  expect(await cli(['receipt', 'verify', redacted, '--jwks', keys, '--redacted'])).toMatchObject({ code: 0 })
  expect(await cli(['receipt', 'verify', redacted, '--jwks', keys])).toMatchObject({ code: 1 })
})

test.each<{ name: string; code: number; args: () => string[] | Promise<string[]> }>([
  {
    name: 'a changed one',
    code: 1,
    args: () => [file('bent', made.receipt.replace('1', '2')), '--jwks', keys],
  },
  {
    name: 'one of after that time',
    code: 1,
    args: () => [file('late', made.receipt), '--jwks', keys, '--at', '2020-01-01'],
  },
  {
    name: 'one of another client',
    code: 1,
    args: () => [file('other', made.receipt), '--jwks', keys, '--client-id', 'x'],
  },
  {
    name: 'one whose bank is not in the archive',
    code: 1,
    args: () => [file('a', made.receipt), '--jwks', keys, '--issuers', file('issuers', '{}')],
  },
  {
    name: 'one without its zone',
    code: 2,
    args: () => [file('z', made.receipt), '--jwks', keys, '--at', '2026-11-26T12:00:00'],
  },
  {
    name: 'claims of a redacted one',
    code: 2,
    args: () => [file('g', redactReceipt(made.receipt)), '--jwks', keys, '--redacted', '--show-claims'],
  },
  { name: 'no keys', code: 2, args: () => [file('b', made.receipt)] },
  { name: 'no such file', code: 2, args: () => [path.join(folder, 'none'), '--jwks', keys] },
  {
    name: 'a wrong time',
    code: 2,
    args: () => [file('c', made.receipt), '--jwks', keys, '--at', 'yesterday'],
  },
  {
    name: 'a time that is none',
    code: 2,
    args: () => [file('d', made.receipt), '--jwks', keys, '--at', '2020-99-99'],
  },
  {
    name: 'keys that are no JSON',
    code: 2,
    args: () => [file('e', made.receipt), '--jwks', file('no', 'no')],
  },
  {
    name: 'private keys',
    code: 2,
    args: async () => [
      file('f', made.receipt),
      '--jwks',
      file('private', JSON.stringify(await clientJwks())),
    ],
  },
  { name: 'a huge file', code: 2, args: () => [file('huge', ' '.repeat(17 * 1024 * 1024)), '--jwks', keys] },
])('$name ends with $code', async ({ code, args }) => {
  expect(await cli(['receipt', 'verify', ...(await args())])).toMatchObject({ code })
})
