// Breaks lib/ in small ways, one file after the other, and counts which breaks no test notices.
// node .ci/mutation.mjs [file …]: names in lib/ without their ending; all that check anything by default.
import { spawnSync } from 'node:child_process'
import console from 'node:console'
import { existsSync, readFileSync } from 'node:fs'
import process from 'node:process'

const all = [
  'allowed-issuers',
  'authorization-request',
  'cached',
  'callback-params',
  'config',
  'deadline',
  'errors',
  'http',
  'id-token',
  'idpartner',
  'issuers',
  'jarm',
  'keys',
  'logins',
  'provider',
  'provider-failure',
  'proxy-document',
  'remote-keys',
  'request-params',
  'sealed-jwt',
  'strategy',
  'strategy-options',
  'tokens',
  'verify',
]
/** A RuntimeError is a file that cannot even be loaded by its tests. */
const NOTICED = ['Killed', 'Timeout', 'RuntimeError']
const of = (mutants, status) => mutants.filter((mutant) => mutant.status === status).length

const names = process.argv.length > 2 ? process.argv.slice(2) : all
const total = { killed: 0, all: 0 }

for (const name of names) {
  spawnSync('npx', ['--no-install', 'stryker', 'run'], {
    env: { ...process.env, MUTATE: name },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const report = `reports/mutation/${name}.json`
  if (!existsSync(report)) {
    console.log(`${name}: no result`)
    process.exitCode = 1
    continue
  }
  const { files } = JSON.parse(readFileSync(report, 'utf8'))
  for (const [file, { mutants }] of Object.entries(files)) {
    const counted = mutants.filter(({ status }) => status !== 'Ignored')
    const survivors = counted.filter(({ status }) => !NOTICED.includes(status))
    total.all += counted.length
    total.killed += counted.length - survivors.length
    console.log(
      `${file}: ${counted.length - survivors.length} of ${counted.length}, ${of(counted, 'Timeout')} by taking too long`,
    )
    for (const { location, mutatorName, replacement } of survivors) {
      console.log(
        `  ${file}:${location.start.line}:${location.start.column} ${mutatorName}: ${replacement.slice(0, 60)}`,
      )
    }
  }
}
console.log(`killed ${total.killed} of ${total.all}: ${((100 * total.killed) / total.all).toFixed(1)} %`)
