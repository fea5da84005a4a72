import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, createPublicKey } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import type { OutsideSigner } from 'passport-idpartner'
import { startApp, type Ended } from '../support/app.js'
import { Browser } from '../support/browser.js'

/*
 * A whole login whose signatures are made in a PKCS#11 token: SoftHSM, through the pkcs11-tool of OpenSC.
 */

const folder = mkdtempSync(path.join(tmpdir(), 'hsm-'))
const env = { ...process.env, SOFTHSM2_CONF: path.join(folder, 'softhsm2.conf') }
const PIN = '1234'
const TOKEN = 'idpartner'
const LIBRARY = '/usr/lib/softhsm/libsofthsm2.so'

const run = promisify(execFile)

async function token(...options: string[]): Promise<void> {
  const opened = ['--module', LIBRARY, '--token-label', TOKEN, '--login', '--pin', PIN]
  await run('pkcs11-tool', [...opened, ...options], { env, timeout: 20_000 })
}

let signatures = 0

async function sign(data: Uint8Array): Promise<Uint8Array> {
  const [input, output] = ['in', 'out'].map((end) => path.join(folder, `${String(++signatures)}.${end}`))
  assert(input && output)
  // SoftHSM has ECDSA alone, and not with a hash.
  writeFileSync(input, createHash('sha256').update(data).digest())
  const how = ['--mechanism', 'ECDSA', '--signature-format', 'rs']
  await token('--sign', '--id', '01', ...how, '--input-file', input, '--output-file', output)
  return readFileSync(output)
}

async function logIn(url: string): Promise<Ended> {
  const browser = new Browser('about:')
  const selector = await browser.open(`${url}/login`)
  const bank = await browser.press(selector, 'Mikomo Bank')
  const asked = await browser.press(bank, 'Log in', { login: 'mikomo_10', password: 'mikomo_10' })
  return JSON.parse((await browser.press(asked, 'Share and continue')).html) as Ended
}

try {
  writeFileSync(env.SOFTHSM2_CONF, `directories.tokendir = ${folder}\nobjectstore.backend = file\n`)
  const pins = ['--pin', PIN, '--so-pin', PIN]
  await run('softhsm2-util', ['--init-token', '--free', '--label', TOKEN, ...pins], { env })
  await token('--keypairgen', '--key-type', 'EC:prime256v1', '--id', '01', '--usage-sign')
  const file = path.join(folder, 'public.der')
  await token('--read-object', '--type', 'pubkey', '--id', '01', '--output-file', file)
  const publicKey = createPublicKey({ key: readFileSync(file), format: 'der', type: 'spki' })
  const signer: OutsideSigner = {
    kid: 'in-the-token',
    alg: 'ES256',
    publicJwk: publicKey.export({ format: 'jwk' }),
    sign,
  }
  const app = await startApp({
    keys: { alg: 'ES256', enc: 'ECDH-ES' },
    sandbox: { flow: 'direct' },
    strategy: { jwks: { keys: [signer] }, timeout: 20_000 },
  })
  try {
    assert('user' in (await logIn(app.url)))
    // The pushed request, and two client assertions.
    assert(signatures >= 2)
    console.log(`a login with ${String(signatures)} signatures of a PKCS#11 token`)
  } finally {
    await app.close()
  }
} finally {
  rmSync(folder, { recursive: true })
}
