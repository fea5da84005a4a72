// Breaks lib/ in small ways, one file after the other, and counts which breaks no test notices.
// node .ci/mutation.mjs [file …]: names in lib/ without their ending; all that check anything by default.
//
// What a file's own tests do not notice is tried once more with others that try it, which take longer.
import { spawnSync } from 'node:child_process'
import console from 'node:console'
import { readFileSync, rmSync } from 'node:fs'
import process from 'node:process'
import { FILES, testsOf } from './mutation-files.mjs'

/** A RuntimeError is a file that cannot even be loaded by its tests. */
const NOTICED = ['Killed', 'Timeout', 'RuntimeError']

function mutants(name, environment) {
  const report = 'reports/mutation.json'
  rmSync(report, { force: true })
  spawnSync('npx', ['--no-install', 'stryker', 'run', '.ci/stryker.config.js'], {
    env: { ...process.env, MUTATE: `lib/${name}.ts`, ...environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const { files } = JSON.parse(readFileSync(report, 'utf8'))
  return Object.values(files)
    .flatMap((file) => file.mutants)
    .filter(({ status }) => status !== 'Ignored')
}

const survivorsOf = (all) => all.filter(({ status }) => !NOTICED.includes(status))
const identity = ({ location, mutatorName, replacement }) =>
  JSON.stringify([location, mutatorName, replacement])

const names = process.argv.length > 2 ? process.argv.slice(2) : FILES
const total = { noticed: 0, all: 0 }

for (const name of names) {
  const tests = testsOf(name)
  const all = mutants(name, { TESTS: tests.own.join() })
  let survivors = survivorsOf(all)
  if (survivors.length > 0 && tests.all.length > tests.own.length) {
    const places = survivors.map(({ location: { start, end } }) => `lib/${name}.ts:${start.line}-${end.line}`)
    // What was not tried again has not been noticed.
    const noticed = mutants(name, {
      MUTATE: [...new Set(places)].join(),
      TESTS: tests.all.join(),
    })
      .filter(({ status }) => NOTICED.includes(status))
      .map(identity)
    survivors = survivors.filter((one) => !noticed.includes(identity(one)))
  }
  total.all += all.length
  total.noticed += all.length - survivors.length
  const slow = all.filter(({ status }) => status === 'Timeout').length
  console.log(`lib/${name}.ts: ${all.length - survivors.length} of ${all.length}, ${slow} by taking too long`)
  for (const { location, mutatorName, replacement } of survivors) {
    const { line, column } = location.start
    console.log(`  ${line}:${column} ${mutatorName}: ${replacement.replaceAll(/\s+/g, ' ').slice(0, 60)}`)
  }
}
console.log(`noticed ${total.noticed} of ${total.all}: ${((100 * total.noticed) / total.all).toFixed(1)} %`)
