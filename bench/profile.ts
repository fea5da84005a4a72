// Where the CPU of a warm login goes: its main thread by package and by function.
// npx tsx bench/profile.ts --contestant=wiring --flow=direct --alg=ES256 --logins=5000
import { rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Kind } from './contestant.js'
import { Contestant, startPlatform } from './contestants.js'
import { install } from './install.js'
import type { Setup } from './platform.js'

const { values: flags } = parseArgs({
  options: {
    contestant: { type: 'string', default: 'package' },
    flow: { type: 'string', default: 'proxy' },
    alg: { type: 'string', default: 'PS256' },
    logins: { type: 'string', default: '3000' },
    /** Where the package was installed before, so that a changed build can be put there. */
    folder: { type: 'string' },
  },
})
const BATCH = 100
const WARM_UP = 600
const logins = Number(flags.logins)

const folder = flags.folder ?? install().folder
const platform = await startPlatform({ alg: flags.alg as Setup['alg'] })
const contestant = await Contestant.start(
  flags.contestant as Kind,
  folder,
  platform,
  flags.flow as Setup['flow'],
)
const run = async (count: number): Promise<number> => {
  let cpu = 0
  for (let done = 0; done < count; done += BATCH) cpu += (await contestant.logins(BATCH)).cpu
  return cpu / count
}
await run(WARM_UP)
await contestant.worker.call('startProfile')
const cpu = await run(logins)
const { packages, functions } = await contestant.worker.call('stopProfile')
contestant.worker.stop()
platform.stop()
if (flags.folder === undefined) rmSync(folder, { recursive: true, force: true })

const print = (title: string, rows: [string, number][]): void => {
  console.log(`\nmicroseconds of a login, ${title}`)
  for (const [name, all] of rows.slice(0, 150))
    console.log(`${(all / logins).toFixed(1).padStart(9)}  ${name}`)
}
console.log(`${Object.values(flags).join(' ')}: ${cpu.toFixed(2)} ms of CPU a login in all threads`)
print('by package', packages)
print('by function', functions)
