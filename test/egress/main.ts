// Logins through a proxy that is not ours, Tinyproxy, set up as operators do, and as they should not.
// tsx test/egress/main.ts [words of a case]
import process from 'node:process'
import { CASES, MUTUAL } from './cases.js'
import { Site } from './site.js'

// Of the machine that this runs on.
for (const name of Object.keys(process.env).filter((one) => /_proxy$/i.test(one))) {
  Reflect.deleteProperty(process.env, name)
}

const words = process.argv.slice(2).join(' ')
const SITES = [
  ['private_key_jwt', CASES, { auth: 'private_key_jwt' }],
  ['tls_client_auth', [...CASES, ...MUTUAL], { flow: 'direct', auth: 'tls_client_auth', mutual: true }],
] as const

let [passed, failed] = [0, 0]
for (const [auth, cases, options] of SITES) {
  const site = await Site.start({ ...options, alg: 'ES256' })
  try {
    for (const [name, run] of cases.filter(([one]) => one.includes(words))) {
      const began = performance.now()
      const took = (): string => `(${((performance.now() - began) / 1000).toFixed(1)} s)`
      try {
        await run(site)
        passed++
        console.log(`ok   ${auth}: ${name} ${took()}`)
      } catch (err) {
        failed++
        console.log(`FAIL ${auth}: ${name} ${took()}`, err)
      }
      await site.endCase()
    }
  } finally {
    await site.close()
  }
}
console.log(`${String(passed)} passed, ${String(failed)} failed`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
