// Browsers that log in over HTTP, so many at once.
import { Agent, get } from 'node:http'
import type { Contestant, Platform } from './contestants.js'

/** What logins of one round took, in milliseconds. */
export interface Load {
  wall: number
  /** Each login's two requests together. */
  logins: number[]
  begun: number[]
  finished: number[]
}

/** Lets logins begin, has all their answers made, and lets them finish: the banks' work is not in the times. */
export async function load(
  contestant: Contestant,
  platform: Platform,
  port: number,
  logins: number,
  atOnce: number,
): Promise<Load> {
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce })
  const visit = async (path: string, cookie?: string): Promise<Visit> => request(agent, port, path, cookie)
  const issuer = (i: number): string => contestant.paths(i + 1).at(-1) ?? ''
  // With so many connecting in one instant, the last of them waited longest for that, whoever answered.
  await Promise.all(Array.from({ length: atOnce }, () => connect(agent, port)))
  const began = performance.now()
  const begun = await lanes(logins, atOnce, (i) => visit(issuer(i)))
  let wall = performance.now() - began
  const answers = await platform.call(
    'answers',
    begun.map(({ location }) => location),
  )
  const continued = performance.now()
  const finished = await lanes(logins, atOnce, (i) => visit(callbackPath(answers[i] ?? ''), begun[i]?.cookie))
  wall += performance.now() - continued
  agent.destroy()
  if (finished.some(({ location }) => location !== '/')) throw new Error('a login failed')
  const times = (visits: Visit[]): number[] => visits.map(({ took }) => took)
  return {
    wall,
    logins: begun.map(({ took }, i) => took + (finished[i]?.took ?? NaN)),
    begun: times(begun),
    finished: times(finished),
  }
}

export function callbackPath(query: string): string {
  return `/callback?${query}`
}

interface Visit {
  took: number
  location: string
  cookie: string
}

/** Opens a connection that the agent keeps. */
function connect(agent: Agent, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    get({ agent, port, host: '127.0.0.1', path: '/' }, (res) => {
      res.resume().on('end', resolve)
    }).on('error', reject)
  })
}

function request(agent: Agent, port: number, path: string, cookie?: string): Promise<Visit> {
  return new Promise((resolve, reject) => {
    const started = performance.now()
    get({ agent, port, host: '127.0.0.1', path, headers: { ...(cookie && { cookie }) } }, (res) => {
      res.resume().on('end', () => {
        const { location = '', 'set-cookie': cookies = [] } = res.headers
        if (res.statusCode !== 302)
          reject(new Error(`${path.slice(0, 20)} answered ${String(res.statusCode)}`))
        resolve({ took: performance.now() - started, location, cookie: cookies[0]?.split(';')[0] ?? '' })
      })
    }).on('error', reject)
  })
}

async function lanes<T>(count: number, atOnce: number, run: (index: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) {
      const index = next++
      results[index] = await run(index)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
  return results
}
