// Types the quick starts as they stand, command by command and file by file, each in an empty folder, with the packed
// package in place of the published one; and logs a person in at what is started.
// tsx .ci/quick-start.ts TARBALL
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { Browser } from '../test/support/browser.js'
import { snippetsOf } from '../test/support/snippets.js'
import { freePort } from '../test/support/free-port.js'

const tarball = path.resolve(process.argv[2] ?? '')
const STARTS = /^(node|npx tsx) app\.\w+$/

async function logIn(url: string): Promise<void> {
  const browser = new Browser()
  const login = await browser.press(await browser.open(`${url}/login`), 'Mikomo Bank')
  const consent = await browser.press(login, 'Log in', { login: 'mikomo_10', password: 'mikomo_10' })
  const home = await browser.press(consent, 'Share and continue')
  assert.match(home.html, /Philip Lindqvist/)
  const other = new Browser()
  const bank = await other.press(await other.open(`${url}/login`), 'Mikomo Bank')
  const cancelled = await other.press(bank, 'Cancel')
  assert.match(cancelled.html, /cancelled or refused.*Try again/)
}

/** Starts a program that goes on, and ends it when a person has logged in. */
async function tryOut(command: string, cwd: string, url: string): Promise<void> {
  const child = spawn('bash', ['-c', command], { cwd, detached: true, stdio: ['ignore', 'pipe', 'inherit'] })
  const gone = once(child, 'exit')
  try {
    const lines = createInterface({ input: child.stdout })
    const [line] = (await Promise.race([once(lines, 'line'), gone])) as [unknown]
    assert.match(String(line), new RegExp(url))
    await logIn(url)
  } finally {
    // npx and what it started.
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid)
    await gone
  }
}

/** What goes on is used and ended; whatever else takes longer than this never ends. */
const MAX_WAIT = 300_000

async function type(line: string, cwd: string, url: string): Promise<void> {
  console.log(`$ ${line}`)
  if (STARTS.test(line)) {
    await tryOut(line, cwd, url)
    return
  }
  const typed = line.replace(/\bnpm install passport-idpartner\b/, `npm install ${tarball}`)
  execFileSync('bash', ['-ec', typed], { cwd, stdio: ['ignore', 'ignore', 'inherit'], timeout: MAX_WAIT })
}

for (const page of ['README.md', 'docs/quick-start.md']) {
  const cwd = mkdtempSync(path.join(tmpdir(), 'quick-start-'))
  const port = String(await freePort())
  try {
    for (const { language, file, code } of snippetsOf(page)) {
      const text = code.replaceAll('3000', port)
      if (language === 'sh') {
        for (const line of text.trim().split('\n')) await type(line, cwd, `http://localhost:${port}`)
      } else {
        writeFileSync(path.join(cwd, file), text)
      }
    }
    console.log(`${page}: every program logs a person in`)
  } finally {
    rmSync(cwd, { recursive: true, force: true })
  }
}
