// Logs people in at a bank server that is not ours, Keycloak, as its users would set it up, and makes the usual mistakes.
// tsx test/interop/main.ts [words of a case]
import { randomBytes } from 'node:crypto'
import process from 'node:process'
import { Agent } from 'undici'
import { Admin } from './admin.js'
import { App } from './app.js'
import { Authority } from './authority.js'
import { CASES } from './cases.js'
import { Keycloak } from './keycloak.js'
import { MISTAKES } from './mistakes.js'
import { AUTHORITY } from './realm.js'
import { register } from './set-ups.js'
import { World } from './world.js'

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

const words = process.argv.slice(2).join(' ')
const authority = await Authority.create(AUTHORITY)
const dispatcher = new Agent({ connect: { ca: authority.certificate } })
const app = await App.start(authority)
let keycloak: Keycloak | undefined
let [passed, failed] = [0, 0]
try {
  const started = performance.now()
  const server = (keycloak = await Keycloak.start(authority, dispatcher))
  const admin = new Admin(server.url, server.admin, dispatcher)
  const person = { username: 'kim', password: randomBytes(16).toString('hex'), email: 'kim@bank.example' }
  const setUps = await register({ app, authority, admin, person })
  console.log(`Keycloak is ready after ${seconds(started)}`)
  const bank = { admin, stop: () => server.stop(), begin: () => server.begin() }
  const world = new World({ app, authority, bank, dispatcher, person, setUps })
  for (const { title, run } of [...CASES, ...MISTAKES].filter((one) => one.title.includes(words))) {
    const began = performance.now()
    try {
      await run(world)
      passed++
      console.log(`ok   ${title} (${seconds(began)})`)
    } catch (err) {
      failed++
      console.log(`FAIL ${title} (${seconds(began)})`, err)
    }
    app.takeEnds()
  }
} finally {
  if (failed > 0) console.log(keycloak?.log.join('\n'))
  await keycloak?.close()
  await app.close()
  await dispatcher.close()
}
console.log(`${String(passed)} passed, ${String(failed)} failed`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`
}
