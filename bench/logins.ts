// What a callback costs once keys and metadata are known. The platform runs in the same process, so its signing and
// encrypting, done before the clock starts, does not count, but its answers do. npm run bench
import { Application } from './application.js'

const LOGINS = 200
const AT_ONCE = 20

const at = (sorted: number[], part: number): string =>
  (sorted[Math.floor(part * (sorted.length - 1))] ?? NaN).toFixed(1)

for (const flow of ['proxy', 'direct'] as const) {
  const application = await Application.start({ flow })
  await (
    await application.visit()
  )()
  const callbacks = []
  for (let more = 0; more < 2 * LOGINS; more++) callbacks.push(await application.visit())

  const times: number[] = []
  for (const callback of callbacks.splice(0, LOGINS)) {
    const started = performance.now()
    const { via } = await callback()
    times.push(performance.now() - started)
    if (via !== 'success') throw new Error('a login failed')
  }
  times.sort((a, b) => a - b)

  const started = performance.now()
  while (callbacks.length > 0) {
    const settled = await Promise.all(callbacks.splice(0, AT_ONCE).map((callback) => callback()))
    if (settled.some(({ via }) => via !== 'success')) throw new Error('a login failed')
  }
  const perSecond = (1000 * LOGINS) / (performance.now() - started)
  await application.close()
  console.log(
    `${flow} flow: a callback takes ${at(times, 0.5)} ms (median), ${at(times, 0.95)} ms (95th percentile); ` +
      `${perSecond.toFixed(0)} a second, ${String(AT_ONCE)} at once`,
  )
}
