// Makes what a release consists of, in build/release: the tarball, an SBOM of what an installation brings, and the notes.
// It checks all of them, and publishes nothing. node .ci/release.mjs [TAG]
import { execFileSync, spawnSync } from 'node:child_process'
import assert from 'node:assert/strict'
import console from 'node:console'
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'

const FOLDER = 'build/release'
/** What packages say of their licence in a form that npm does not read. */
const LICENCES = { 'passport-strategy': 'MIT' }
const [tag] = process.argv.slice(2)
const manifest = JSON.parse(readFileSync('package.json', 'utf8'))
const { name, version, license } = manifest
const npm = (...args) =>
  execFileSync('npm', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 2 ** 26 })

if (tag !== undefined) assert.equal(tag, `v${version}`, 'the tag names the version of package.json')

rmSync(FOLDER, { recursive: true, force: true })
mkdirSync(FOLDER, { recursive: true })

const [{ filename }] = JSON.parse(npm('pack', '--json', '--ignore-scripts', '--pack-destination', FOLDER))
const tarball = path.join(FOLDER, 'package.tgz')
renameSync(path.join(FOLDER, filename), tarball)
// npm corrects a careless package.json when it publishes, and only warns of it.
const dryRun = spawnSync(
  'npm',
  ['publish', tarball, '--dry-run', '--access', 'public', '--ignore-scripts', '--loglevel', 'warn'],
  { encoding: 'utf8' },
)
assert.equal(dryRun.status, 0, dryRun.stderr)
const warnings = dryRun.stderr
  .split('\n')
  .filter((line) => /^npm (warn|error)/i.test(line) && !line.includes('requires you to be logged in'))
assert.deepEqual(warnings, [], 'npm has nothing to correct before it publishes')

// From the lock file without what development needs: npm takes packages for development's that both need.
const bare = path.resolve(FOLDER, name)
mkdirSync(bare)
writeFileSync(
  path.join(bare, 'package.json'),
  JSON.stringify({
    ...manifest,
    devDependencies: undefined,
    peerDependencies: undefined,
    peerDependenciesMeta: undefined,
    scripts: undefined,
  }),
)
cpSync('package-lock.json', path.join(bare, 'package-lock.json'))
npm('install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', bare)
const { packages } = JSON.parse(readFileSync(path.join(bare, 'package-lock.json'), 'utf8'))
const sbom = JSON.parse(npm('sbom', '--sbom-format', 'cyclonedx', '--package-lock-only', '--prefix', bare))
rmSync(bare, { recursive: true })
assert.equal(sbom.bomFormat, 'CycloneDX')
assert.deepEqual(
  [sbom.metadata.component.name, sbom.metadata.component.version],
  [name, version],
  'the SBOM is of this release',
)
const locked = JSON.parse(readFileSync('package-lock.json', 'utf8')).packages
const installed = Object.entries(packages)
  .filter(([place]) => place !== '')
  .map(([place, one]) => `${place.replace(/^.*node_modules\//, '')}@${one.version}`)
  .sort()
assert.deepEqual(
  sbom.components.map((one) => `${one.group ? `${one.group}/` : ''}${one.name}@${one.version}`).sort(),
  installed,
  'the SBOM lists what an installation brings, and nothing else',
)
for (const [place, one] of Object.entries(packages)) assert.equal(one.version, locked[place]?.version, place)
for (const dependency of Object.keys(manifest.dependencies))
  assert.ok(packages[`node_modules/${dependency}`], `${dependency} is in the SBOM`)
for (const component of sbom.components) {
  const id = LICENCES[component.name]
  if (id) component.licenses ??= [{ license: { id } }]
}
for (const component of [sbom.metadata.component, ...sbom.components]) {
  assert.match(component.purl, /^pkg:npm\//, `${component.name} has a package URL`)
  assert.ok(component.licenses?.length > 0, `${component.name} has a licence`)
}
assert.equal(sbom.metadata.component.licenses[0].license.id, license)
writeFileSync(path.join(FOLDER, 'sbom.cdx.json'), `${JSON.stringify(sbom, null, 2)}\n`)

const section = readFileSync('CHANGELOG.md', 'utf8')
  .split(/^(?=## )/m)
  .find((one) => one.startsWith(`## [${version}] - `))
assert.ok(section, `CHANGELOG.md has a section for ${version}: npm run next-version`)
writeFileSync(path.join(FOLDER, 'notes.md'), section.replace(/^.*\n+/, ''))
console.log(`release: ${tarball}, an SBOM of ${installed.length} packages, notes for ${version}`)
