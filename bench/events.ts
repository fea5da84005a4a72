// What a step of a login costs for being watchable, while nobody listens and while somebody does: npx tsx bench/events.ts
import { subscribe } from 'node:diagnostics_channel'
import { publish, trace } from '../lib/events.js'
import { median } from './statistics.js'

const TIMES = 500_000
const step = (): Promise<void> => Promise.resolve()

/** Nanoseconds of CPU that one call takes, the median of nine rounds after one to warm up. */
async function nanoseconds(work: () => Promise<void> | undefined): Promise<number> {
  const rounds: number[] = []
  for (let round = 0; round < 10; round++) {
    const begun = process.cpuUsage()
    for (let i = 0; i < TIMES; i++) await work()
    const { user, system } = process.cpuUsage(begun)
    rounds.push(((user + system) * 1000) / TIMES)
  }
  return median(rounds.slice(1))
}

const plain = await nanoseconds(step)
const traced = await nanoseconds(() => trace('answer', {}, step))
const nothing = await nanoseconds(() => undefined)
const told = await nanoseconds(() => {
  publish('begun', {} as Parameters<typeof publish<'begun'>>[1])
  return undefined
})
subscribe('tracing:passport-idpartner:answer:asyncEnd', () => undefined)
const listened = await nanoseconds(() => trace('answer', {}, step))

const figure = (value: number): string => `${value.toFixed(0)} ns`
process.stdout.write(
  `nobody listens: ${figure(traced - plain)} a step, ${figure(told - nothing)} a moment; somebody does: ${figure(listened - plain)} a step\n`,
)
