// Packs the package and uses the tarball as its users will: exact content, sound types in applications of several kinds
// and versions, import and require in a fresh folder, and no sandbox without its optional peers.
import { entryPoints } from './entry-points.mjs'
import { execFileSync } from 'node:child_process'
import assert from 'node:assert/strict'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import console from 'node:console'
import path from 'node:path'
import process from 'node:process'

/** Compilers that an application may have, all without skipLibCheck. */
const COMPILERS = ['5.6', '6']
/** What the sandbox needs. */
const SANDBOX = ['oidc-provider', 'router', '@remix-run/html-template']
/** The applications in .ci/types, and what each of them installs beside this package. */
const APPLICATIONS = [
  { source: 'alone', installs: [] },
  {
    source: 'express',
    installs: ['@types/express@4', '@types/express-session', '@types/passport', ...SANDBOX],
  },
  {
    source: 'express',
    installs: ['@types/express@5', '@types/express-session', '@types/passport', ...SANDBOX],
  },
  {
    source: 'fastify',
    installs: ['fastify', '@fastify/passport', '@fastify/secure-session', '@types/passport'],
  },
  { source: 'nest', installs: ['@nestjs/common', '@nestjs/passport', '@types/express', '@types/passport'] },
]

/** With which compilers an application of each kind uses every entry point; those before 5.8 let no CommonJS require a module. */
const ENTRIES = { module: COMPILERS, commonjs: ['6'] }

/** What an installation without optional peers may weigh, with all that it depends on. */
const MAX_BYTES = 6 * 1024 * 1024
const MAX_PACKAGES = 20

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
  const types = source('lib').map((file) => file.replace(/^lib/, 'dist').replace(/\.ts$/, '.d.ts'))
  const code = entryPoints.map((name) => `dist/${name}.js`)
  const expected = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json', ...types, ...code].sort()
  assert.deepEqual(
    files
      .map((file) => file.path)
      .filter(
        (file) =>
          !/^dist\/shared\/(sandbox|preflight|login-record|doctor|explain|keys|receipt|chunk)-[A-Z0-9]{8}\.js$/.test(
            file,
          ),
      )
      .sort(),
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

  const { peerDependencies = {}, devDependencies, exports } = JSON.parse(readFileSync('package.json', 'utf8'))
  const install = (cwd, ...packages) =>
    run('npm', ['install', '--no-audit', '--no-fund', '--silent', ...packages], { cwd })
  const makeFolder = (name, manifest) => {
    const made = path.join(folder, name)
    mkdirSync(made)
    writeFileSync(path.join(made, 'package.json'), JSON.stringify({ private: true, ...manifest }))
    return made
  }
  const app = makeFolder('app')
  const use = (name, code) => {
    writeFileSync(path.join(app, name), code)
    return run(process.execPath, [name], { cwd: app }).trim()
  }
  install(app, '--omit=optional', '--omit=peer', tarball)
  const installed = source(path.join(app, 'node_modules')).filter(
    (file) => !file.endsWith('.package-lock.json'),
  )
  const bytes = installed.reduce((sum, file) => sum + statSync(file).size, 0)
  const lock = JSON.parse(readFileSync(path.join(app, 'node_modules/.package-lock.json'), 'utf8'))
  const packages = Object.keys(lock.packages).length
  assert.ok(bytes <= MAX_BYTES, `an installation takes at most ${MAX_BYTES} bytes: ${bytes}`)
  assert.ok(packages <= MAX_PACKAGES, `an installation is at most ${MAX_PACKAGES} packages: ${packages}`)
  console.log(`installation without optional peers: ${packages} packages, ${bytes} bytes`)

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
  const cli = (...args) => run('npx', ['--no-install', 'passport-idpartner', ...args], { cwd: app })
  assert.match(cli('--help'), /^Usage: passport-idpartner /)
  cli('keys', 'new', 'jwks.json')
  assert.equal(JSON.parse(cli('keys', 'check', 'jwks.json', '--json')).ok, true)
  console.log('the command line works from the tarball')

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
  install(app, ...peers)
  assert.equal(
    use(
      'with-peers.mjs',
      `${sandbox}const one = await ${start}\nconsole.log(one.banks.length >= 3)\nawait one.close()`,
    ),
    'true',
  )
  console.log('import, require and the sandbox work from the tarball')

  process.stdout.write(run('npx', ['--no-install', 'tsx', '.ci/quick-start.ts', tarball]))
  process.stdout.write(run(process.execPath, ['.ci/testing.mjs', tarball]))

  const compilers = makeFolder('compilers')
  install(compilers, ...COMPILERS.map((version) => `typescript-${version}@npm:typescript@~${version}`))
  const compilerOptions = { module: 'nodenext', target: 'es2022', strict: true, noEmit: true }
  for (const [index, { source: name, installs }] of APPLICATIONS.entries()) {
    const cwd = makeFolder(`types-${index}`, { type: 'module' })
    install(cwd, tarball, '@types/node@20', ...installs)
    copyFileSync(`.ci/types/${name}.ts`, path.join(cwd, 'app.ts'))
    writeFileSync(path.join(cwd, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['app.ts'] }))
    for (const version of COMPILERS) {
      const tsc = path.join(compilers, `node_modules/typescript-${version}/bin/tsc`)
      run(process.execPath, [tsc, '-p', '.'], { cwd, stdio: 'inherit' })
      console.log(`types: ${[name, ...installs].join(', ')} compiles with TypeScript ${version}`)
    }
  }

  const sources = readdirSync('.ci/types').map((file) => readFileSync(`.ci/types/${file}`, 'utf8'))
  for (const entry of Object.keys(exports).filter((one) => one !== './package.json')) {
    const imported = `from '${path.posix.join('passport-idpartner', entry)}'`
    assert.ok(
      sources.some((one) => one.includes(imported)),
      `an application in .ci/types imports ${entry}`,
    )
  }
  for (const [type, versions] of Object.entries(ENTRIES)) {
    const cwd = makeFolder(`entries-${type}`, { type })
    const packages = ['express', 'express-session', 'passport', 'fetch-cookie', ...SANDBOX]
    const typed = ['express', 'express-session', 'passport', 'node@20'].map((one) => `@types/${one}`)
    install(cwd, tarball, ...packages, ...typed)
    copyFileSync('.ci/types/entries.ts', path.join(cwd, 'app.ts'))
    for (const version of versions) {
      const tsc = path.join(compilers, `node_modules/typescript-${version}/bin/tsc`)
      const emitting = { ...compilerOptions, noEmit: false, types: ['node'] }
      writeFileSync(
        path.join(cwd, 'tsconfig.json'),
        JSON.stringify({ compilerOptions: emitting, files: ['app.ts'] }),
      )
      run(process.execPath, [tsc, '-p', '.'], { cwd, stdio: 'inherit' })
      assert.equal(run(process.execPath, ['app.js'], { cwd }).trim(), 'true, says /banks/mikomo 4')
      console.log(`every entry point works in TypeScript ${version}, compiled to ${type}`)
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
