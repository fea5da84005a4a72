// What the package weighs and costs, beside a wiring by hand and beside bare cryptography. See README.md beside this.
//
//   npm run bench                        everything, about twenty minutes
//   npm run bench -- --quick             the same with fewer logins, about three
//   npm run bench -- --only=import,cpu   some parts alone
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { parseArgs } from 'node:util'
import { Contestant, startPlatform, type Platform } from './contestants.js'
import type { Kind } from './contestant.js'
import { importTime, install } from './install.js'
import { callbackPath, load } from './load.js'
import { brief, median, quantile, withRange } from './statistics.js'

const PARTS = ['import', 'cpu', 'profiles', 'metadata', 'load', 'burst', 'memory', 'bytes'] as const
type Part = (typeof PARTS)[number]

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string', default: PARTS.join() } },
})
const chosen = flags.only.split(',')
const [full, rounds] = [!flags.quick, 5]

/** A line of the table; ranges are those of the rounds. */
interface Row {
  what: string
  ours: string
  theirs?: string
  ratio?: string
  target?: string
}

const FLOWS = ['proxy', 'direct'] as const
const mebibytes = (bytes: number): string => brief(bytes / 1024 / 1024)
const log = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

/** Runs both in turns, each first as often as the other, and pairs what they took. */
async function inTurns<T>(times: number, runs: (() => Promise<T>)[]): Promise<T[][]> {
  const results: T[][] = runs.map(() => [])
  for (let round = 0; round < times; round++) {
    const order = runs.map((_, i) => (i + round) % runs.length)
    for (const i of order) {
      const result = await runs[i]?.()
      if (result !== undefined) results[i]?.push(result)
    }
  }
  return results
}

function compared(what: string, ours: number[], theirs: number[], target?: string): Row {
  const ratios = ours.map((value, i) => value / (theirs[i] ?? NaN))
  return {
    what,
    ours: withRange(ours),
    theirs: withRange(theirs),
    ratio: withRange(ratios),
    ...(target && { target }),
  }
}

async function importing(): Promise<Row[]> {
  const times = full ? 15 : 7
  const one = (modules: string[]) => () => Promise.resolve(importTime(folder, modules))
  const [ours = [], theirs = []] = await inTurns(times, [
    one(['passport-idpartner']),
    one(['openid-client', 'jose']),
  ])
  const pick = (part: 'wall' | 'cpu') =>
    [ours.map((time) => time[part]), theirs.map((time) => time[part])] as const
  return [
    { what: 'install: MiB', ours: mebibytes(installed.bytes), target: '≤ 6' },
    { what: 'install: packages', ours: String(installed.packages), target: '≤ 20' },
    compared('import: ms', ...pick('wall'), '≤ 1.5'),
    compared('import: ms of CPU', ...pick('cpu'), '≤ 1.5'),
  ]
}

/** Starts contestants, and lets the compiler see enough logins of each. */
async function warm(
  kinds: Kind[],
  platform: Platform,
  flow: 'proxy' | 'direct',
  logins: number,
): Promise<Contestant[]> {
  const contestants = await Promise.all(kinds.map((kind) => Contestant.start(kind, folder, platform, flow)))
  for (const contestant of contestants) await contestant.logins(logins)
  return contestants
}

async function cpu(): Promise<Row[]> {
  const [warmUp, logins, times] = full ? [500, 80, 11] : [200, 50, 5]
  const rows: Row[] = []
  for (const alg of ['PS256', 'ES256'] as const) {
    const platform = await startPlatform({ alg })
    for (const flow of FLOWS) {
      log(`cpu ${flow} ${alg}`)
      const contestants = await warm(['package', 'wiring', 'floor'], platform, flow, warmUp)
      const [ours = [], theirs = [], bare = []] = await inTurns(
        times,
        contestants.map((contestant) => () => contestant.logins(logins)),
      )
      const perLogin = (costs: { cpu: number }[]): number[] => costs.map((cost) => cost.cpu / logins)
      rows.push(compared(`login, ${flow}, ${alg}: ms of CPU`, perLogin(ours), perLogin(theirs), '≤ 1.0'))
      rows.push(compared(`the same beside its bare cryptography`, perLogin(ours), perLogin(bare)))
      if (alg === 'PS256') {
        const asked = (costs: typeof ours): string =>
          `${brief(median(costs.map((one) => one.requests.begin)))} + ${brief(median(costs.map((one) => one.requests.finish)))}`
        rows.push({
          what: `login, ${flow}: requests, to begin + to finish`,
          ours: asked(ours),
          theirs: asked(theirs),
          target: flow === 'proxy' ? '0 + 1' : '1 + 1',
        })
      }
      for (const { worker } of contestants) worker.stop()
    }
    platform.stop()
  }
  return rows
}

/** Each profile beside FAPI 1.0 Advanced as it is without DPoP, in the direct flow. */
async function profiles(): Promise<Row[]> {
  const [warmUp, logins, times] = full ? [500, 80, 11] : [200, 50, 5]
  const setups = (['fapi1-advanced', 'fapi2-security', 'fapi2-message-signing'] as const).flatMap((profile) =>
    // The platform speaks no TLS, and FAPI 2.0 binds tokens, one way or the other.
    (profile === 'fapi1-advanced' ? [false, true] : [true]).map((dpop) => ({ profile, dpop })),
  )
  log('profiles')
  const platforms = await Promise.all(setups.map((one) => startPlatform({ ...one, alg: 'ES256' })))
  const contestants: Contestant[] = []
  for (const platform of platforms) contestants.push(...(await warm(['package'], platform, 'direct', warmUp)))
  const results = await inTurns(
    times,
    contestants.map((contestant) => () => contestant.logins(logins)),
  )
  const [usual = []] = results
  for (const { worker } of contestants) worker.stop()
  for (const platform of platforms) platform.stop()
  return setups.map(({ profile, dpop }, i) => {
    const costs = results[i] ?? []
    const { begin, finish } = costs[0]?.requests ?? { begin: NaN, finish: NaN }
    const what = `login, direct, ES256, ${profile}${dpop ? ' with DPoP' : ''}, ${brief(begin)} + ${brief(finish)} requests`
    const [ours, theirs] = [costs, usual].map((one) => one.map(({ cpu }) => cpu / logins))
    return compared(`${what}: ms of CPU`, ours ?? [], theirs ?? [])
  })
}

async function metadata(): Promise<Row[]> {
  log('metadata')
  const logins = full ? 100 : 30
  const platforms = await Promise.all([startPlatform({ ballast: 900_000 }), startPlatform()])
  const [large, small] = await Promise.all(
    platforms.map(async (platform) => (await warm(['package'], platform, 'proxy', logins))[0]),
  )
  const cost = (contestant: Contestant | undefined) => async () =>
    ((await contestant?.logins(logins))?.cpu ?? NaN) / logins
  const [ours = [], theirs = []] = await inTurns(rounds, [cost(large), cost(small)])
  for (const contestant of [large, small]) contestant?.worker.stop()
  for (const platform of platforms) platform.stop()
  return [compared('login at a bank with 0.9 MB of metadata, beside 3 kB: ms of CPU', ours, theirs, '1.0')]
}

async function underLoad(): Promise<Row[]> {
  const platform = await startPlatform()
  const contestants = await warm(['package', 'wiring'], platform, 'proxy', full ? 600 : 200)
  const ports = await Promise.all(contestants.map(({ worker }) => worker.call('listen')))
  const rows: Row[] = []
  for (const atOnce of [1, 16, 128]) {
    log(`load ${String(atOnce)}`)
    const logins = atOnce === 1 ? (full ? 200 : 60) : atOnce * (full ? (atOnce === 16 ? 25 : 8) : 3)
    const [ours = [], theirs = []] = await inTurns(
      rounds,
      contestants.map((contestant, i) => async () => {
        await contestant.worker.call('watchLoop')
        const result = await load(contestant, platform, ports[i] ?? 0, logins, atOnce)
        return { ...result, loop: await contestant.worker.call('loopDelay') }
      }),
    )
    type Result = (typeof ours)[number]
    const pick = (read: (result: Result) => number) => [ours.map(read), theirs.map(read)] as const
    const name = `${String(atOnce)} at once`
    rows.push(compared(`${name}: logins a second`, ...pick(({ wall }) => (1000 * logins) / wall)))
    for (const part of [0.5, 0.99]) {
      const p = `p${String(100 * part)}`
      rows.push(compared(`${name}: ms of a login, ${p}`, ...pick((result) => quantile(result.logins, part))))
    }
    const spread = (times: (result: Result) => number[]) =>
      pick((result) => quantile(times(result), 0.99) / quantile(times(result), 0.5))
    const target = atOnce === 128 ? 'ours ≤ 3' : undefined
    rows.push(compared(`${name}: p99 of p50, a login`, ...spread((result) => result.logins), target))
    rows.push(compared(`${name}: p99 of p50, its first request`, ...spread((result) => result.begun), target))
    rows.push(compared(`${name}: p99 of p50, its callback`, ...spread((result) => result.finished), target))
    rows.push(compared(`${name}: event loop's delay, p99, ms`, ...pick(({ loop }) => loop.p99)))
  }
  for (const { worker } of contestants) worker.stop()
  platform.stop()
  return rows
}

async function burst(): Promise<Row[]> {
  const rows: Row[] = []
  const [banks, callbacks] = [4, 200]
  const platform = await startPlatform({ banks })
  for (const flow of FLOWS) {
    log(`burst ${flow}`)
    const results: { wall: number; requests: string }[] = []
    for (let round = 0; round < rounds; round++) {
      const first = await Contestant.start('package', folder, platform, flow)
      const begun = await first.worker.call('begin', first.paths(callbacks), 20)
      const answers = await platform.call('answers', begun.urls)
      // Another process, as after a restart: the sessions are still there, and nothing else is.
      const cold = await Contestant.start('package', folder, platform, flow)
      await cold.worker.call('setSessions', await first.worker.call('getSessions'))
      await platform.call('takeCounts')
      const { wall } = await cold.worker.call('finish', answers.map(callbackPath), callbacks)
      const counts = await platform.call('takeCounts')
      const perBank = (endpoint: string): string => {
        const asked = Object.entries(counts).filter(
          ([name]) => name.startsWith('bank') && name.endsWith(endpoint),
        )
        return brief(Math.max(...asked.map(([, count]) => count))).replace('.00', '')
      }
      results.push({ wall, requests: `${perBank('.openid-configuration')} + ${perBank('.jwks')}` })
      for (const { worker } of [first, cold]) worker.stop()
    }
    const what = `${String(callbacks)} cold callbacks at once, ${flow}`
    rows.push({ what: `${what}: ms`, ours: withRange(results.map(({ wall }) => wall)) })
    rows.push({
      what: `${what}: requests to a bank, discovery + JWKS, at most`,
      ours: [...new Set(results.map(({ requests }) => requests))].join(', '),
      target: '1 + 1',
    })
  }
  platform.stop()
  return rows
}

async function memory(): Promise<Row[]> {
  const logins = full ? 100_000 : 10_000
  // The quickest keys there are, since only what stays behind counts here.
  const platform = await startPlatform({ alg: 'ES256', banks: 50, sealed: false })
  const contestant = await Contestant.start('package', folder, platform, 'proxy')
  const batch = 250
  const run = async (count: number): Promise<{ heap: number; rss: number; handles: number }> => {
    for (let done = 0; done < count; done += batch) await contestant.logins(batch, 16)
    return contestant.worker.call('memory')
  }
  log(`memory ${String(logins)}`)
  // Whatever the compiler and the caches need is there by now.
  const before = await run(logins / 10)
  const after = await run(logins - logins / 10)
  contestant.worker.stop()
  platform.stop()
  const name = `${logins.toLocaleString('en')} logins at 50 banks`
  return [
    {
      what: `${name}: MiB of heap after a tenth, after all`,
      ours: `${mebibytes(before.heap)}, ${mebibytes(after.heap)}`,
    },
    {
      what: `${name}: bytes that a login leaves for loginTtl`,
      ours: brief((after.heap - before.heap) / (logins * 0.9)),
      target: '≤ 65',
    },
    {
      what: `${name}: handles and timers after a tenth, after all`,
      ours: `${String(before.handles)}, ${String(after.handles)}`,
      target: 'flat',
    },
  ]
}

async function bytes(): Promise<Row[]> {
  const rows: Row[] = []
  const platform = await startPlatform()
  for (const flow of FLOWS) {
    const contestant = await Contestant.start('package', folder, platform, flow)
    const size = async (): Promise<number> =>
      JSON.stringify((await contestant.worker.call('getSessions'))[0]).length
    const { urls } = await contestant.worker.call('begin', contestant.paths(1))
    const pending = await size()
    await contestant.worker.call('finish', (await platform.call('answers', urls)).map(callbackPath))
    const after = await size()
    contestant.worker.stop()
    rows.push({
      what: `pending login in the session, ${flow}: bytes`,
      ours: String(pending),
      target: '≤ 350',
    })
    rows.push({ what: `session after that login, ${flow}: bytes`, ours: String(after) })
  }
  platform.stop()
  return rows
}

const run: Record<Part, () => Promise<Row[]>> = {
  import: importing,
  cpu,
  profiles,
  metadata,
  load: underLoad,
  burst,
  memory,
  bytes,
}

log('install')
const installed = install()
const { folder } = installed
const rows: Row[] = []
try {
  for (const part of PARTS) {
    if (!chosen.includes(part)) continue
    const measured = await run[part]()
    for (const { what, ours, theirs = '', ratio = '' } of measured)
      log(`  ${what}: ${ours} ${theirs} ${ratio}`)
    rows.push(...measured)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

const cells = [
  ['', 'passport-idpartner', 'compared with', 'ratio', 'target'],
  ...rows.map(({ what, ours, theirs = '', ratio = '', target = '' }) => [what, ours, theirs, ratio, target]),
]
const widths = cells[0]?.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0))) ?? []
const line = (texts: string[]): string =>
  `| ${texts.map((text, i) => text.padEnd(widths[i] ?? 0)).join(' | ')} |`
const [head = [], ...body] = cells
console.log(
  `${String(os.availableParallelism())} processors, Node ${process.version}, ${full ? 'full' : 'quick'} run, medians of ${String(rounds)} rounds or more, least and most in brackets\n`,
)
console.log(
  [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body.map(line)].join('\n'),
)
mkdirSync('build', { recursive: true })
writeFileSync('build/bench.json', JSON.stringify(rows, null, 2))
