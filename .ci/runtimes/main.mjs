// Runs the packed package with each runtime that it is for: an application that loads it with import and one with
// require(), a login there in each flow, servers that must not be trusted, the command line, and the example of a test.
// npx tsx .ci/runtimes/main.mjs [TARBALL]
/* global fetch */
import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import console from 'node:console'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { freePort } from '../../test/support/free-port.ts'
import { REFUSALS, startServers } from './servers.mjs'

const folder = mkdtempSync(path.join(tmpdir(), 'runtimes-'))
const inFolder = (name) => path.join(folder, name)

/** The oldest Node that package.json allows, and the newest of each line since. */
const NODES = { 'Node 20.19.0': '20.19.0', 'Node 22': '22', 'Node 24': '24' }
const alias = (version) => `node-${version}`
// Deno's own package fetches nothing: its program is in the one for this machine.
const deno = `@deno/linux-${process.arch}-glibc`
const program = (name, file) => inFolder(path.join('node_modules', name, file))

const runtimes = [
  ...Object.entries(NODES).map(([name, version]) => ({
    name,
    run: [program(alias(version), 'bin/node')],
    test: [program(alias(version), 'bin/node'), '--test'],
    readsTypeScript: version !== '20.19.0',
  })),
  {
    name: 'Deno',
    run: [program(deno, 'deno'), 'run', '--allow-all', '--node-modules-dir=manual'],
    test: [program(deno, 'deno'), 'test', '--allow-all', '--no-check', '--node-modules-dir=manual'],
    readsTypeScript: true,
  },
]

function install() {
  const pack = ['pack', '--json', '--silent', '--ignore-scripts', '--pack-destination', folder]
  const tarball = process.argv[2]
    ? path.resolve(process.argv[2])
    : inFolder(JSON.parse(execFileSync('npm', pack, { encoding: 'utf8' }))[0].filename)
  const packages = [
    ...[tarball, 'express', 'express-session', 'passport'],
    ...['oidc-provider', 'router', '@remix-run/html-template', 'fetch-cookie', 'selfsigned'],
    ...Object.values(NODES).map((version) => `${alias(version)}@npm:node-linux-${process.arch}@${version}`),
    `${deno}@2.9.6`,
  ]
  writeFileSync(inFolder('package.json'), JSON.stringify({ private: true, type: 'module' }))
  const args = ['install', '--no-audit', '--no-fund', '--silent', '--ignore-scripts', ...packages]
  execFileSync('npm', args, { cwd: folder, stdio: 'inherit' })
  // As in an application that has it from the registry: Deno takes nothing from a file.
  const manifest = JSON.parse(readFileSync(inFolder('package.json'), 'utf8'))
  manifest.dependencies['passport-idpartner'] = '*'
  writeFileSync(inFolder('package.json'), JSON.stringify(manifest))
}

/** An application with a strategy for each flow, however it comes by its packages. */
const application = (load, awaited) => `
${load.map(([names, from]) => awaited(names, from)).join('\n')}
const [file, port] = process.argv.slice(2)
const flows = Object.entries(JSON.parse(fs.readFileSync(file, 'utf8')))
const app = express()
for (const [name, options] of flows) {
  const strategy = new IDPartnerStrategy({ ...options, name, sessionKey: name }, ({ claims }) => Promise.resolve(claims))
  passport.use(strategy)
  if (name === 'proxy') app.use(jwksRouter(strategy.client))
}
app.use(session({ secret: 'only here', resave: false, saveUninitialized: false }))
for (const [name] of flows) {
  const logIn = passport.authenticate(name, { session: false })
  app.get('/' + name, logIn)
  app.get('/' + name + '/callback', logIn, (req, res) => res.send('Hello, ' + req.user.name))
}
app.listen(Number(port), () => console.log('listening'))
`
const LOAD = [
  ['fs', 'node:fs'],
  ['process', 'node:process'],
  ['express', 'express'],
  ['session', 'express-session'],
  ['passport', 'passport'],
  ['{ IDPartnerStrategy, jwksRouter }', 'passport-idpartner'],
]
const APPLICATIONS = {
  'app.mjs': application(LOAD, (names, from) => `import ${names} from '${from}'`),
  'app.cjs': application(LOAD, (names, from) => `const ${names} = require('${from}')`),
}

/** Runs an application until it listens, for the time of some work. */
async function whileStarted([command, ...args], work) {
  const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  const gone = once(child, 'exit').then(() => 'gone')
  let said = ''
  const listening = new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        said += `${line}\n`
        if (line === 'listening') resolve(line)
      })
    }
  })
  try {
    assert.equal(await Promise.race([listening, gone]), 'listening', 'it does not start')
    await work()
  } catch (err) {
    console.error(said)
    throw err
  } finally {
    child.kill()
    await gone
  }
  // Node warned that it may change how require() loads this package, until 20.19.
  assert.doesNotMatch(said, /warning/i)
}

/** What an operator sets may not make a connection less safe than it is. */
const env = { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_NO_WARNINGS: '1' }

/** Runs something to its end, while the sandboxes here go on. */
async function runs([command, ...args]) {
  try {
    return (await promisify(execFile)(command, args, { cwd: folder, timeout: 120_000, env })).stdout
  } catch (err) {
    throw new Error(`fails: ${[command, ...args].join(' ')}`, { cause: err })
  }
}

install()
const load = (name) => import(pathToFileURL(createRequire(inFolder('index.js')).resolve(name)).href)
const { generateJwks } = await load('passport-idpartner')
const { startSandbox } = await load('passport-idpartner/sandbox')
const { login } = await load('passport-idpartner/testing')
const { generate } = await load('selfsigned')

const port = await freePort()
const url = `http://localhost:${port}`
const registered = (name, options) =>
  startSandbox({
    client_id: 'my-app',
    callback: `${url}/${name}/callback`,
    ...(name !== 'proxy' && { flow: 'direct', login_url: `${url}/${name}` }),
    jwks_uri: `${url}/jwks`,
    ...options,
  })
const sandboxes = {}
const servers = await startServers(generate)
try {
  // Each flow, and with it another way to authenticate and to bind tokens.
  sandboxes.proxy = await registered('proxy')
  sandboxes.direct = await registered('direct', { token_endpoint_auth_method: 'tls_client_auth' })
  sandboxes.dpop = await registered('dpop', {
    profile: 'fapi2-message-signing',
    dpop_bound_access_tokens: true,
  })
  const jwks = await generateJwks()
  const options = Object.entries(sandboxes).map(([name, { config }]) => [name, { ...config, jwks }])
  writeFileSync(inFolder('options.json'), JSON.stringify(Object.fromEntries(options)))
  writeFileSync(
    inFolder('options.ts'),
    `import { readFileSync } from 'node:fs'
import type { IDPartnerConfig } from 'passport-idpartner'
const { proxy }: { proxy: IDPartnerConfig } = JSON.parse(readFileSync('options.json', 'utf8'))
export default proxy satisfies IDPartnerConfig`,
  )
  for (const [name, code] of Object.entries(APPLICATIONS)) writeFileSync(inFolder(name), code)
  for (const name of ['app.js', 'node.test.mjs']) copyFileSync(`examples/testing/${name}`, inFolder(name))
  writeFileSync(
    inFolder('sandbox.js'),
    `import { startSandbox } from 'passport-idpartner/sandbox'
export const newSandbox = () =>
  startSandbox({ client_id: 'my-app', callback: '${url}/login/callback', jwks_uri: '${url}/jwks' })`,
  )
  copyFileSync('.ci/runtimes/guards.mjs', inFolder('guards.mjs'))
  const cli = 'node_modules/passport-idpartner/dist/cli/main.js'
  for (const { name, run, test, readsTypeScript } of runtimes) {
    for (const app of Object.keys(APPLICATIONS)) {
      await whileStarted([...run, app, 'options.json', String(port)], async () => {
        for (const [flow, sandbox] of Object.entries(sandboxes)) {
          const { page } = await login(url, { sandbox, path: `/${flow}`, persona: 'mikomo_10' })
          assert.deepEqual(
            [page.status, page.text],
            [200, 'Hello, Philip Lindqvist'],
            `${name}, ${app}, ${flow}`,
          )
          assert.equal((await fetch(`${url}/${flow}/callback?response=forged`)).status, 401)
        }
        if (readsTypeScript && app === 'app.mjs') {
          const { ok, checks } = JSON.parse(
            await runs([...run, cli, 'doctor', '--config', 'options.ts', '--json']),
          )
          assert.equal(ok, true, JSON.stringify(checks))
        }
      })
    }
    const said = JSON.parse(await runs([...run, 'guards.mjs', JSON.stringify(servers.given)]))
    assert.deepEqual(Object.keys(said).sort(), Object.keys(REFUSALS).sort())
    for (const [server, refusal] of Object.entries(REFUSALS))
      assert.match(said[server], refusal, `${name}, ${server}`)
    assert.equal(servers.strayed(), 0, `${name} follows a redirect`)

    const file = `jwks-${name}.json`
    await runs([...run, cli, 'keys', 'new', file])
    assert.equal(JSON.parse(await runs([...run, cli, 'keys', 'check', file, '--json'])).ok, true)
    await runs([...test, 'node.test.mjs'])
    console.log(
      `runtimes: ${name} logs people in with import and require, tests it, and runs the command line`,
    )
  }
} finally {
  servers.close()
  for (const sandbox of Object.values(sandboxes)) await sandbox.close()
  rmSync(folder, { recursive: true, force: true })
}
