import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { JSONWebKeySet } from 'jose'
import { generateJwks } from 'passport-idpartner'
import { startApp, type Ended, type TestApp } from '../support/app.js'
import { Browser } from '../support/browser.js'
import { holdIntervals, useClock } from '../support/clock.js'

useClock()

const ALGS = {
  authorization_signed_response_alg: 'ES256',
  id_token_signed_response_alg: 'ES256',
  authorization_encrypted_response_alg: 'ECDH-ES',
  authorization_encrypted_response_enc: 'A256GCM',
  id_token_encrypted_response_alg: 'ECDH-ES',
  id_token_encrypted_response_enc: 'A256GCM',
} as const

const folder = mkdtempSync(path.join(tmpdir(), 'reload-'))
const file = path.join(folder, 'jwks.json')

let one: JSONWebKeySet
let other: JSONWebKeySet
let app: TestApp

beforeAll(async () => {
  const make = (): Promise<JSONWebKeySet> => generateJwks({ alg: 'ES256', enc: 'ECDH-ES' })
  ;[one, other] = await Promise.all([make(), make()])
})

beforeEach(holdIntervals)

afterEach(() => app.close())

afterAll(() => {
  rmSync(folder, { recursive: true })
})

function put(...keys: object[]): void {
  writeFileSync(`${file}.new`, JSON.stringify({ keys }))
  renameSync(`${file}.new`, file)
}

/** Two sets of keys, of which the first is in use. */
function rotate(current: JSONWebKeySet, next: JSONWebKeySet): void {
  put(...current.keys, ...next.keys.map((key) => ({ ...key, status: 'next' })))
}

async function start(): Promise<void> {
  app = await startApp({
    keys: { alg: 'ES256', enc: 'ECDH-ES' },
    sandbox: { flow: 'direct', ...ALGS },
    strategy: { jwks: pathToFileURL(file) },
  })
}

/** Asks for consent at the bank; what is left is to give it. */
async function begin(): Promise<() => Promise<Ended>> {
  const browser = new Browser('about:')
  const selector = await browser.open(`${app.url}/login`)
  const bank = await browser.press(selector, 'Mikomo Bank')
  const asked = await browser.press(bank, 'Log in', { login: 'mikomo_10', password: 'mikomo_10' })
  return async () => JSON.parse((await browser.press(asked, 'Share and continue')).html) as Ended
}

describe('logins that are on their way while keys are replaced', () => {
  test('are not lost: 20 of them, and 50 reloads of keys in rotation', async () => {
    rotate(one, other)
    await start()
    const progress = { isOver: false }
    const logins = Promise.all(Array.from({ length: 20 }, async () => (await begin())())).finally(() => {
      progress.isOver = true
    })
    let reloads = 0
    for (; reloads < 50 || !progress.isOver; reloads++) {
      if (reloads % 2 === 0) rotate(other, one)
      else rotate(one, other)
      await app.strategy.client.reload()
      await new Promise(setImmediate)
    }
    expect(reloads).toBeGreaterThanOrEqual(50)
    for (const ended of await logins) expect(ended).toHaveProperty('user')
    expect(app.logins).toHaveLength(20)
  })

  test('finish although the key that the bank encrypts to is there no more', async () => {
    const [signing, encryption] = one.keys
    put({ ...signing }, { ...encryption })
    await start()
    const finish = await begin()
    put({ ...signing }, { ...other.keys[1] })
    await app.strategy.client.reload()
    expect((await app.strategy.client.getPublicJWKs()).keys.map(({ kid }) => kid)).not.toContain(
      encryption?.kid,
    )
    expect(await finish()).toHaveProperty('user')
  })

  test('finish although new files are broken, one after the other', async () => {
    rotate(one, other)
    await start()
    const finish = await begin()
    for (const broken of ['', '{"keys":[', '{"keys":[]}', JSON.stringify({ keys: [{}] })]) {
      writeFileSync(file, broken)
      await expect(app.strategy.client.reload()).rejects.toMatchObject({ code: 'config_invalid' })
    }
    rmSync(file)
    await expect(app.strategy.client.reload()).rejects.toMatchObject({ code: 'config_invalid' })
    expect(await finish()).toHaveProperty('user')
  })
})
