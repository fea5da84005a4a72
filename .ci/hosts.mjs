// Starts each application of examples/ that is a host's, as a newcomer would, with the packed package; and logs a person
// in there, out again, and in once more, in several tabs, and in each flow. All of them are installed in one go.
// npx tsx .ci/hosts.mjs [TARBALL [HOST]]
/* global fetch */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import console from 'node:console'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { URL, URLSearchParams, pathToFileURL } from 'node:url'
import { freePort } from '../test/support/free-port.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'hosts-'))
const hosts = readdirSync('examples').filter(
  (name) => existsSync(`examples/${name}/package.json`) && (process.argv[3] ?? name) === name,
)

function install() {
  const pack = ['pack', '--json', '--silent', '--pack-destination', folder]
  const tarball = process.argv[2]
    ? path.resolve(process.argv[2])
    : path.join(folder, JSON.parse(execFileSync('npm', pack, { encoding: 'utf8' }))[0].filename)
  for (const host of hosts) {
    const copy = path.join(folder, 'examples', host)
    cpSync(`examples/${host}`, copy, { recursive: true })
    const manifest = JSON.parse(readFileSync(path.join(copy, 'package.json'), 'utf8'))
    manifest.dependencies['passport-idpartner'] = `file:${tarball}`
    writeFileSync(path.join(copy, 'package.json'), JSON.stringify(manifest))
  }
  // What this program itself needs to log in.
  const root = { private: true, workspaces: ['examples/*'], devDependencies: { 'fetch-cookie': '^3.2.0' } }
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify(root))
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--silent'], { cwd: folder, stdio: 'inherit' })
}

/** Runs `npm start`, or another script, until it has said where to log in, for the time of some work. */
async function whileStarted(host, script, env, work) {
  const cwd = path.join(folder, 'examples', host)
  const child = spawn('npm', ['run', script], {
    cwd,
    detached: true,
    env: { ...process.env, ...env, NEXT_TELEMETRY_DISABLED: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  // All of it: what npm started may serve a connection that is open for seconds after npm itself has gone.
  const gone = once(child, 'close').then(() => 'gone')
  let said = ''
  const listening = new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        said += `${line}\n`
        if (line.includes(`Log in at http://localhost:${env.PORT}`)) resolve('listening')
      })
    }
  })
  try {
    assert.equal(await Promise.race([listening, gone]), 'listening', `${host} does not start`)
    await work()
    // A login that was made well is no reason to end.
    assert.equal(child.exitCode, null, `${host} has ended`)
  } catch (err) {
    console.error(said)
    throw err
  } finally {
    if (child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
    await gone
  }
}

/** The script that starts a host for the real platform; where it has to be built for that, it is. */
function built(host) {
  const cwd = path.join(folder, 'examples', host)
  const { scripts } = JSON.parse(readFileSync(path.join(cwd, 'package.json'), 'utf8'))
  if (scripts.build === undefined) return 'start'
  const env = { ...process.env, NEXT_TELEMETRY_DISABLED: '1' }
  execFileSync('npm', ['run', '--silent', 'build'], {
    cwd,
    env,
    stdio: ['ignore', process.stderr, 'inherit'],
  })
  return 'production'
}

install()
const load = (name) => import(pathToFileURL(createRequire(path.join(folder, 'index.js')).resolve(name)).href)
const { generateJwks } = await load('passport-idpartner')
const { startSandbox } = await load('passport-idpartner/sandbox')
const { login } = await load('passport-idpartner/testing')
const { default: fetchCookie } = await load('fetch-cookie')
const jwks = await generateJwks()
const port = String(await freePort())
const url = `http://localhost:${port}`
const whom = { bank: 'Mikomo Bank', persona: 'mikomo_10' }

/** What a host has to do, wherever IDPartner is. */
async function logsIn(sandbox) {
  const { page, fetch } = await login(url, { sandbox, ...whom })
  assert.deepEqual([page.url, page.status], [`${url}/`, 200])
  assert.match(page.text, /Hello, Philip Lindqvist.*philip\.lindqvist@example\.com/s)
  return fetch
}

/** Goes through a login as far as the bank's answer, which the browser does not bring yet. */
async function answerOf(browser, { banks, config }, begin = '/login') {
  const { id } = banks.find(({ name }) => name === whom.bank)
  let [at, form] = [url + begin]
  for (let steps = 0; steps < 30; steps++) {
    const post = form && { method: 'POST', body: new URLSearchParams(form) }
    const response = await browser(at, { redirect: 'manual', ...post })
    const location = response.headers.get('location')
    form = undefined
    if (location) at = new URL(location, at).href
    if (location && at.startsWith(config.callback)) return at
    if (location) continue
    const html = await response.text()
    assert.equal(response.status, 200, html)
    if (html.includes('name="bank"')) form = { bank: id }
    else form = html.includes('name="password"') ? { login: whom.persona, password: whom.persona } : {}
  }
  throw new Error(`no answer comes of a login, but ${at}`)
}

async function isHome(browser, address) {
  const response = await browser(address)
  assert.deepEqual([response.url, response.status], [`${url}/`, 200])
  assert.match(await response.text(), /Hello, Philip Lindqvist/)
}

async function isRefused(browser, address) {
  const response = await browser(address)
  assert.equal(response.status, 401, address.split('?')[0])
  assert.match(await response.text(), /You are not logged in/)
}

/** Each tab has its login, whichever comes back first; and an answer counts once, for its own browser. */
async function keepsTabsApart(sandbox) {
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const browser = fetchCookie(fetch)
    const answers = [await answerOf(browser, sandbox), await answerOf(browser, sandbox)]
    await isRefused(browser, `${url}/login/callback?error=access_denied`)
    await isRefused(fetchCookie(fetch), answers[0])
    for (const index of order) await isHome(browser, answers[index])
    // The Back button.
    for (const answer of answers) await isHome(browser, answer)
    await browser(`${url}/logout`, { method: 'POST' })
    for (const answer of answers) await isRefused(browser, answer)
  }

  // Twelve tabs are too many for some, and lock nobody out.
  const browser = fetchCookie(fetch)
  for (let tabs = 0; tabs < 12; tabs++) await browser(`${url}/login`, { redirect: 'manual' })
  await isHome(browser, await answerOf(browser, sandbox))
}

/** A login that ended badly has had its answer. */
async function usesUp(sandbox) {
  const browser = fetchCookie(fetch)
  sandbox.next({ fault: 'token_error' })
  const answer = await answerOf(browser, sandbox)
  assert.equal((await browser(answer)).status, 502)
  await isRefused(browser, answer)
}

/** What nobody has asked for begins no login and ends none. */
async function ignoresPrefetches(sandbox) {
  const ahead = [
    { headers: { 'sec-purpose': 'prefetch;prerender' } },
    { headers: { purpose: 'prefetch' } },
    { method: 'HEAD' },
  ]
  const browser = fetchCookie(fetch)
  const answer = await answerOf(browser, sandbox)
  for (const init of ahead) {
    for (const address of [`${url}/login`, answer]) {
      const response = await browser(address, { ...init, redirect: 'manual' })
      const { status, headers } = response
      assert.deepEqual([status, headers.get('location')], [503, null], JSON.stringify(init))
      assert.match(headers.get('cache-control'), /no-store/)
    }
  }
  await isHome(browser, answer)
}

/** In the direct flow the application's own page may name the bank. */
async function takesLinksToBanks(sandbox) {
  const browser = fetchCookie(fetch)
  const link = ({ issuer }) => `/login?iss=${encodeURIComponent(issuer)}`
  const bank = sandbox.banks.find(({ name }) => name === whom.bank)
  const begun = await browser(url + link(bank), { redirect: 'manual' })
  assert.equal(begun.headers.get('location').startsWith(bank.issuer), true)
  await isHome(browser, await answerOf(browser, sandbox, link(bank)))

  const unknown = await browser(url + link({ issuer: 'https://stranger.example' }), { redirect: 'manual' })
  assert.equal(unknown.status, 403)
}

async function isComplete(sandbox) {
  const home = await fetch(`${url}/`)
  assert.match(await home.text(), /Log in with your bank/)

  const keys = await fetch(`${url}/jwks`)
  assert.match(keys.headers.get('content-type'), /^application\/json/)
  const published = (await keys.json()).keys
  assert.equal(published.length, 2)
  for (const key of published) assert.equal('d' in key, false, 'a private key is published')

  const begun = await fetch(`${url}/login`, { redirect: 'manual' })
  assert.equal(begun.status, 302)
  assert.match(begun.headers.get('cache-control'), /no-store/)
  const cookies = begun.headers.getSetCookie()
  assert.notEqual(cookies.length, 0)
  for (const cookie of cookies) assert.match(cookie, /^(?=.*; ?httponly)(?=.*; ?samesite=lax)/i)

  const visitor = await logsIn(sandbox)
  const bye = await visitor('/logout', { method: 'POST' })
  assert.match(await bye.text(), /Log in with your bank/)
  assert.match(await (await visitor('/')).text(), /Log in with your bank/)
  await logsIn(sandbox)

  for (const fault of ['access_denied', 'other_state', 'forged_answer']) {
    sandbox.next({ fault })
    const denied = (await login(url, { sandbox, ...whom })).page
    assert.equal(denied.status, 401, fault)
    assert.match(denied.text, /You are not logged in.*Try again/s)
    assert.match(denied.headers.get('content-type'), /^text\/html/)
  }

  sandbox.next({ fault: 'token_error' })
  const broken = (await login(url, { sandbox, ...whom })).page
  assert.equal(broken.status, 502)
  assert.match(broken.text, /That did not work.*Try again/s)
  assert.doesNotMatch(broken.text, /IDPartnerError|node_modules/)

  for (const query of ['response=forged', 'error=access_denied', 'code=x&state=y']) {
    const forged = await fetch(`${url}/login/callback?${query}`)
    assert.equal(forged.status, 401, query)
    assert.match(await forged.text(), /You are not logged in/)
  }
  await logsIn(sandbox)

  await keepsTabsApart(sandbox)
  await usesUp(sandbox)
  await ignoresPrefetches(sandbox)
  if (sandbox.config.flow === 'direct') await takesLinksToBanks(sandbox)
}

/** IDPartner, and the application's options for it in a file. */
async function platform(flow) {
  const sandbox = await startSandbox({
    client_id: 'my-app',
    callback: `${url}/login/callback`,
    jwks_uri: `${url}/jwks`,
    flow,
  })
  const file = path.join(folder, `${flow}.json`)
  writeFileSync(file, JSON.stringify({ ...sandbox.config, jwks }))
  return { sandbox, file }
}

try {
  const platforms = [await platform('proxy'), await platform('direct')]
  for (const host of hosts) {
    const script = built(host)
    for (const { sandbox, file } of platforms) {
      await whileStarted(host, script, { PORT: port, IDPARTNER_OPTIONS: file }, () => isComplete(sandbox))
    }
    const [{ sandbox }] = platforms
    await whileStarted(host, 'start', { PORT: port, IDPARTNER_OPTIONS: '' }, async () => {
      const begun = await fetch(`${url}/login`, { redirect: 'manual' })
      // The same people, at the example's own sandbox.
      await logsIn({ ...sandbox, url: new URL(begun.headers.get('location')).origin })
    })
    console.log(`hosts: ${host} logs a person in`)
  }
  for (const { sandbox } of platforms) await sandbox.close()
} finally {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  } catch (err) {
    // A worker of Next's may write for a while yet, and what it leaves is in the folder for such things.
    console.error(`hosts: ${folder} was not removed: ${err.code}`)
  }
}
