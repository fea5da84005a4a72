// Packs the package and uses the tarball as its users will: exact content, sound types, import and require in a
// fresh folder, and no sandbox without its optional peers.
import { execFileSync } from 'node:child_process'
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import console from 'node:console'
import path from 'node:path'
import process from 'node:process'

const folder = mkdtempSync(path.join(tmpdir(), 'passport-idpartner-'))
const run = (command, args, options) =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], ...options })

try {
  const [{ filename, files }] = JSON.parse(
    run('npm', ['pack', '--json', '--ignore-scripts', '--silent', '--pack-destination', folder]),
  )
  const tarball = path.join(folder, filename)

  const source = (dir) =>
    readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name))
  const built = source('lib').flatMap((file) => {
    const name = file.replace(/^lib/, 'dist').replace(/\.ts$/, '')
    return [`${name}.d.ts`, `${name}.js`]
  })
  const expected = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json', ...built].sort()
  assert.deepEqual(
    files.map((file) => file.path).sort(),
    expected,
    'the tarball holds exactly what it should',
  )
  console.log(`tarball: ${files.length} files`)

  console.log(run('npx', ['--no-install', 'publint', '--strict', tarball]).trim())
  // A CommonJS file gets an ES module here, which require() loads since Node 20.19.
  run('npx', [
    '--no-install',
    'attw',
    tarball,
    '--profile',
    'node16',
    '--ignore-rules',
    'cjs-resolves-to-esm',
  ])

  const { peerDependencies = {}, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'))
  const app = path.join(folder, 'app')
  const use = (name, code) => {
    writeFileSync(path.join(app, name), code)
    return run(process.execPath, [name], { cwd: app }).trim()
  }
  run(process.execPath, ['-e', `fs.mkdirSync(${JSON.stringify(app)})`])
  writeFileSync(path.join(app, 'package.json'), '{"private":true}')
  run('npm', ['install', '--no-audit', '--no-fund', '--silent', '--omit=optional', '--omit=peer', tarball], {
    cwd: app,
  })

  const probe = `
    const config = { client_id: 'me', callback: 'https://app.example/cb', jwks }
    const strategy = new IDPartnerStrategy(config, () => false)
    console.log(strategy.name, typeof IDPartner, typeof jwksRouter, new IDPartnerError('token_invalid', '').code)`
  const line = 'idpartner function function token_invalid'
  const names = '{ IDPartner, IDPartnerError, IDPartnerStrategy, generateJwks, jwksRouter }'
  assert.equal(
    use('esm.mjs', `import ${names} from 'passport-idpartner'\nconst jwks = await generateJwks()\n${probe}`),
    line,
  )
  assert.equal(
    use(
      'cjs.cjs',
      `const ${names} = require('passport-idpartner')\ngenerateJwks().then((jwks) => {${probe}})`,
    ),
    line,
  )
  const start = `startSandbox({ client_id: 'me', callback: 'http://localhost:1/cb', jwks_uri: 'http://localhost:1/jwks' })`
  const sandbox = `import { startSandbox } from 'passport-idpartner/sandbox'\n`
  assert.match(
    use('without-peers.mjs', `${sandbox}await ${start}.catch((err) => console.log(err.message))`),
    /npm install.*oidc-provider router @remix-run\/html-template/,
    'the sandbox without its peers says what to install',
  )

  const peers = Object.keys(peerDependencies).map(
    (name) => `${name}@${devDependencies[name] ?? peerDependencies[name]}`,
  )
  run('npm', ['install', '--no-audit', '--no-fund', '--silent', ...peers], { cwd: app })
  assert.equal(
    use(
      'with-peers.mjs',
      `${sandbox}const one = await ${start}\nconsole.log(one.banks.length >= 3)\nawait one.close()`,
    ),
    'true',
  )
  console.log('import, require and the sandbox work from the tarball')
} finally {
  rmSync(folder, { recursive: true, force: true })
}
