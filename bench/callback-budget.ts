// How long a callback takes at the most, whatever the platform does: it must answer within twice the option "timeout"
// and 250 ms, to which a busy machine may add as much. npx tsx bench/callback-budget.ts
import { drip, hang, hangInBody, late, type Fault } from '../test/support/faults.js'
import { Application } from './application.js'

const TIMEOUT = 500
const LIMIT = 2 * TIMEOUT + 500

const endpoints = ['directory.jwks', 'bankA.discovery', 'bankA.jwks', 'bankA.token', 'bankA.userinfo']
const faults: Record<string, Fault> = {
  'never answers': hang,
  'stops in the body': hangInBody,
  'drips for ever': drip,
  'answers just in time': late(TIMEOUT - 50),
}

let longest = 0
console.log(`milliseconds of a callback whose every request has ${String(TIMEOUT)}`)
for (const [fault, make] of Object.entries(faults)) {
  for (const failing of [...endpoints.map((one) => [one]), endpoints]) {
    const application = await Application.start({}, { timeout: TIMEOUT, fetchUserInfo: true })
    const callback = await application.visit()
    for (const endpoint of failing) application.platform.fault(endpoint, make)
    const started = performance.now()
    const { via, value } = await callback()
    const took = performance.now() - started
    await application.close()
    longest = Math.max(longest, took)
    const outcome = via === 'error' ? (value as { code: string }).code : via
    const who = failing.length > 1 ? 'everybody' : String(failing[0])
    console.log(`${took.toFixed(0).padStart(6)}  ${`${who} ${fault}`.padEnd(42)} ${outcome}`)
  }
}
console.log(`the longest took ${longest.toFixed(0)} ms of ${String(LIMIT)}`)
if (longest > LIMIT) process.exitCode = 1
