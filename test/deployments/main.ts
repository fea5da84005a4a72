// What an application relies on that runs in several processes on one session store, tried on real ones: two processes
// and a test in front of them that sends each request to the process it likes.
// tsx test/deployments/main.ts [redis|postgres] [words of a case]
import process from 'node:process'
import { Platform } from '../support/platform.js'
import { CASES } from './cases.js'
import { Balancer } from './balancer.js'
import { App, type Balanced, type Deployment } from './deployment.js'
import { startPostgres, startRedis, type StoreServer } from './servers.js'

const STORES = {
  redis: startRedis,
  postgres: startPostgres,
  // Pending logins beside the sessions, in Redis of their own.
  logins: async (): Promise<StoreServer> => {
    const server = await startRedis()
    return { ...server, name: 'redisLogins()', store: { ...server.store, logins: true } }
  },
}

const [store = '', words = ''] = process.argv.slice(2)
let [passed, failed] = [0, 0]

async function runAll(deployment: Deployment): Promise<void> {
  for (const [name, run] of CASES.filter(([one]) => one.includes(words))) {
    const began = performance.now()
    const { good, of, least, tally } = await run(deployment)
    const isGood = good >= least
    if (isGood) passed++
    else failed++
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    const counts = `${String(good)} of ${String(of)} (at least ${String(least)}) in ${seconds} s; ${String(tally)}`
    console.log(`${isGood ? 'ok  ' : 'FAIL'} ${deployment.server.name}: ${name}: ${counts}`)
  }
}

async function tryStore(platform: Platform, server: StoreServer): Promise<void> {
  const start = { config: await platform.config(), store: server.store }
  const startBalancer = async (): Promise<Balanced> => {
    const behind = (await App.startAll({ ...start, behindTls: true }, 2)) as [App, App]
    const closeApps = (): Promise<unknown> => Promise.all(behind.map((app) => app.kill()))
    try {
      const balancer = await Balancer.start([behind[0].port, behind[1].port])
      const close = async (): Promise<void> => {
        await balancer.close()
        await closeApps()
      }
      return { balancer, apps: behind, close }
    } catch (err) {
      await closeApps()
      throw err
    }
  }
  const apps = (await App.startAll(start, 2)) as [App, App]
  try {
    await runAll({ platform, server, apps, startApp: () => App.start(start), startBalancer })
  } finally {
    await Promise.all(apps.map((app) => app.kill()))
  }
}

const platform = await Platform.start({ encrypted: false })
try {
  for (const [, open] of Object.entries(STORES).filter(([name]) => name.startsWith(store))) {
    const server = await open()
    try {
      await tryStore(platform, server)
    } finally {
      await server.close()
    }
  }
} finally {
  await platform.close()
}
console.log(`${String(passed)} passed, ${String(failed)} failed`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
