import { setTimeout as sleep } from 'node:timers/promises'
import type { Platform } from '../support/platform.js'
import { Browser, type App, type Deployment, type Door, type Result } from './deployment.js'

const PAIRS = 100
const LOGINS = 1000
const AT_ONCE = 20
/** Stores cannot be asked to write only what nobody else has written, so a race may be lost now and then. */
const MOST = 99

export interface Outcome {
  good: number
  of: number
  least: number
  /** How often it ended in which way. */
  tally: Tally
}

type Case = (deployment: Deployment) => Promise<Outcome>

/** Counts what kinds of things happened. */
class Tally {
  readonly #counts = new Map<string, number>()

  add(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1)
  }

  toString(): string {
    return [...this.#counts].map(([what, count]) => `${what}: ${String(count)}`).join(', ')
  }
}

/** Does something a number of times, one after the other or some at once, and counts how often it was as it should. */
async function repeat(times: number, work: (round: number) => Promise<boolean>, atOnce = 1): Promise<number> {
  let [next, good] = [0, 0]
  const worker = async (): Promise<void> => {
    while (next < times) if (await work(next++)) good++
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return good
}

function ending({ user, failure, error, status }: Result): string {
  if (user !== undefined) return 'in'
  return failure?.reason ?? failure?.code ?? error?.code ?? error?.message ?? String(status)
}

/** Codes that were sent from now on: how many, and how many of them a second time. */
function watchCodes(platform: Platform): () => { sent: number; twice: number } {
  const before = platform.wire.requests.length
  return () => {
    const codes = platform.wire.requests
      .slice(before)
      .filter(({ endpoint }) => endpoint === 'bankA.token')
      .map(({ body }) => new URLSearchParams(body).get('code'))
    return { sent: codes.length, twice: codes.length - new Set(codes).size }
  }
}

async function twoTabs({ platform, apps: [one, other] }: Deployment): Promise<Outcome> {
  const tally = new Tally()
  const good = await repeat(PAIRS, async () => {
    const browser = new Browser(platform, { 'x-keep': '1' })
    await browser.get(one, '/visit')
    const [first, second] = await Promise.all([browser.begin(one), browser.begin(other)])
    const ends: string[] = []
    for (const [app, answer] of [
      [other, first],
      [one, second],
    ] as const) {
      ends.push(answer === undefined ? 'not begun' : ending(await browser.get(app, answer)))
    }
    const { seen } = await browser.get(one, '/me')
    tally.add(`${ends.join(' and ')}${seen ? '' : ', and what the application kept is lost'}`)
    return ends.every((end) => end === 'in') && seen === true
  })
  return { good, of: PAIRS, least: MOST, tally }
}

/** Passport renews the session that both are in, so one of them may have to be loaded again. */
async function twoTabsBack({ platform, apps: [one, other] }: Deployment): Promise<Outcome> {
  const tally = new Tally()
  const codes = watchCodes(platform)
  const good = await repeat(PAIRS, async (round) => {
    const browser = new Browser(platform, { 'x-keep': '1' })
    await browser.get(one, '/visit')
    const answers = [await browser.begin(one), await browser.begin(other)]
    const bring = async (app: App, answer: string | undefined): Promise<string> =>
      answer === undefined ? 'not begun' : ending(await browser.get(app, answer))
    const ends = await Promise.all(
      answers.map((answer, at) => bring([one, other][at * (round % 2)] ?? one, answer)),
    )
    const last: string[] = []
    for (const [at, end] of ends.entries()) last.push(end === 'in' ? end : await bring(one, answers[at]))
    tally.add(`${ends.sort().join(' and ')}, then ${last.sort().join(' and ')}`)
    return last.every((end) => end === 'in')
  })
  // Where the session is renewed in the moment in which a login is marked as used, its code is not sent.
  return { good: codes().twice === 0 ? good : 0, of: PAIRS, least: 90, tally }
}

async function sameAnswer(
  { platform, apps: [one, other] }: Deployment,
  headers: Record<string, string>,
): Promise<Outcome> {
  const tally = new Tally()
  const good = await repeat(PAIRS, async (round) => {
    const browser = new Browser(platform, headers)
    await browser.get(one, '/visit')
    const answer = await browser.begin(round % 2 ? one : other)
    if (answer === undefined) return false
    const codes = watchCodes(platform)
    const tabs = [one, other].map((app) => browser.tab().get(app, answer))
    const ends = (await Promise.all(tabs)).map(ending).sort()
    const { sent } = codes()
    tally.add(`${ends.join(' and ')} with ${String(sent)} sent`)
    return ends.filter((end) => end === 'in').length === 1 && sent === 1
  })
  return { good, of: PAIRS, least: MOST, tally }
}

async function acrossProcesses({ platform, apps }: Deployment): Promise<Outcome> {
  const tally = new Tally()
  const codes = watchCodes(platform)
  const work = async (round: number): Promise<boolean> => {
    const [begins, finishes] = round % 2 ? apps : [apps[1], apps[0]]
    const browser = new Browser(platform)
    const answer = await browser.begin(begins)
    if (answer === undefined) return false
    const first = ending(await browser.get(finishes, answer))
    const again = ending(await browser.get(begins, answer))
    tally.add(`${first}, then ${again}`)
    return first === 'in' && again === 'already_used'
  }
  const good = await repeat(LOGINS, work, AT_ONCE)
  const { sent, twice } = codes()
  return { good: sent === LOGINS && twice === 0 ? good : 0, of: LOGINS, least: LOGINS, tally }
}

async function logout({ platform, apps: [one, other] }: Deployment): Promise<Outcome> {
  const tally = new Tally()
  const good = await repeat(PAIRS, async (round) => {
    const browser = new Browser(platform)
    const answer = await browser.begin(one)
    if (answer === undefined) return false
    await browser.get(one, answer)
    await browser.get(other, '/visit')
    const [begins, ends] = [browser.tab(), browser.tab()]
    // As long as it takes to begin a login, so that every moment of that has its turn.
    const later = (round / PAIRS) * 25
    const [begun] = await Promise.all([
      begins.get(one, '/login'),
      sleep(later).then(() => ends.get(other, '/logout')),
    ])
    const { seen, user } = await browser.get(other, '/me')
    const back = user !== undefined ? 'back with its user' : seen ? 'back' : 'ended'
    tally.add(`${begun.location === undefined ? 'not begun' : 'begun'}, ${back}`)
    return back === 'ended'
  })
  // Nobody can be told that a session has ended between a question and a write; on a busy machine eight were written back.
  return { good, of: PAIRS, least: 80, tally }
}

/** Somebody who tries again, at another process each time. */
interface Patience {
  appOf: (tries: number) => Door
  /** Milliseconds between two tries. */
  pause: number
  /** Told of each try that was not what was hoped for, with what came of it. */
  refused: (result: Result | undefined, err: unknown) => void
}

const TRIES = 60

/** Asks until it is answered as hoped for. */
async function insist(
  browser: Browser,
  path: string,
  { appOf, pause, refused }: Patience,
  isHoped: (result: Result) => boolean,
): Promise<Result | undefined> {
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      const result = await browser.get(appOf(tries), path)
      if (isHoped(result)) return result
      refused(result, undefined)
    } catch (err) {
      refused(undefined, err)
    }
    if (pause > 0) await sleep(pause)
  }
  return undefined
}

/** What the browser would bring back, from whichever process begins the login. */
async function insistToBegin(browser: Browser, patience: Patience): Promise<string | undefined> {
  const result = await insist(browser, '/login', patience, ({ location }) => location !== undefined)
  return result?.location === undefined ? undefined : browser.answer(result.location)
}

/** Brings an answer until it gets in, or cannot any more. */
async function insistToFinish(browser: Browser, answer: string, patience: Patience): Promise<string> {
  const result = await insist(browser, answer, patience, ({ status }) => status < 500)
  return result ? ending(result) : 'never answered'
}

async function failingSaves(
  platform: Platform,
  apps: readonly App[],
  doorOf: (turn: number) => Door,
): Promise<Outcome> {
  const tally = new Tally()
  for (const app of apps) app.failing({ failEvery: 7 })
  const good = await repeat(PAIRS, async (round) => {
    const appOf = (tries: number): Door => doorOf(round + tries)
    const unclean: string[] = []
    const browser = new Browser(platform)
    const answer = await insistToBegin(browser, {
      appOf,
      pause: 0,
      refused: (result) => {
        const end = result ? ending(result) : 'no answer'
        tally.add(`not begun: ${end}`)
        if (end !== 'config_invalid') unclean.push(end)
      },
    })
    if (answer === undefined) return false
    const codes = watchCodes(platform)
    const end = await insistToFinish(browser, answer, {
      appOf,
      pause: 0,
      refused: (result) => {
        const refusal = result ? ending(result) : 'no answer'
        tally.add(`not in: ${refusal}`)
        // Before the code is sent it is our save that failed, and afterwards the one of Passport.
        if (codes().sent === 0 && refusal !== 'config_invalid') unclean.push(refusal)
      },
    })
    tally.add(end)
    return (end === 'in' || end === 'already_used') && unclean.length === 0 && codes().sent === 1
  })
  for (const app of apps) app.failing({ failEvery: 0 })
  return { good, of: PAIRS, least: PAIRS, tally }
}

/**
 * Logins that go on while something breaks half-way. Each gets in, except those that were about to when it broke: their
 * code may have been sent, and is not sent again.
 */
async function throughOutage(
  platform: Platform,
  appsOf: (round: number) => (tries: number) => Door,
  outage: () => Promise<void>,
): Promise<Outcome> {
  const tally = new Tally()
  const codes = watchCodes(platform)
  let broken: Promise<void> | undefined
  const good = await repeat(
    PAIRS,
    async (round) => {
      if (round === PAIRS / 2) broken = outage()
      const appOf = appsOf(round)
      const browser = new Browser(platform)
      const again = (): void => {
        tally.add('begun again')
      }
      const answer = await insistToBegin(browser, { appOf, pause: 100, refused: again })
      if (answer === undefined) return false
      let interruptions = 0
      const refused = (result: Result | undefined, err: unknown): void => {
        // What was not connected has not begun.
        if (result !== undefined || !isRefused(err)) interruptions++
      }
      // Those begun at one are finished at the other.
      const end = await insistToFinish(browser, answer, {
        appOf: (tries) => appOf(tries + 1),
        pause: 100,
        refused,
      })
      tally.add(interruptions > 0 ? `${end} after an interruption` : end)
      return end === 'in' || (interruptions > 0 && end !== 'never answered')
    },
    AT_ONCE,
  )
  await broken
  const { sent, twice } = codes()
  tally.add(`${String(sent)} codes sent, ${String(twice)} of them twice`)
  return { good: twice === 0 ? good : 0, of: PAIRS, least: PAIRS, tally }
}

function isRefused(err: unknown): boolean {
  return ((err as Error).cause as { code?: string } | undefined)?.code === 'ECONNREFUSED'
}

async function killedProcess({ platform, apps: [one], startApp }: Deployment): Promise<Outcome> {
  const doomed = await startApp()
  try {
    const apps = [doomed, one] as const
    return await throughOutage(
      platform,
      (round) => (tries) => apps[(round + tries) % 2] ?? one,
      () => doomed.kill(),
    )
  } finally {
    await doomed.kill()
  }
}

function restartedStore({ platform, apps, server }: Deployment): Promise<Outcome> {
  return throughOutage(
    platform,
    (round) => (tries) => apps[(round + tries) % 2] ?? apps[0],
    () => server.restart(),
  )
}

/** Sends whatever comes to the next process, so that about half of all logins are finished where they did not begin. */
async function balanced({ platform, startBalancer }: Deployment): Promise<Outcome> {
  const tally = new Tally()
  const { balancer, close } = await startBalancer()
  const codes = watchCodes(platform)
  let crossed = 0
  const work = async (): Promise<boolean> => {
    const browser = new Browser(platform)
    const begun = await browser.get(balancer, '/login')
    if (begun.location === undefined) return false
    const answer = await browser.answer(begun.location)
    const first = await browser.get(balancer, answer)
    const again = ending(await browser.get(balancer, answer))
    if (first.by !== begun.by) crossed++
    tally.add(`${ending(first)}, then ${again}`)
    return ending(first) === 'in' && again === 'already_used'
  }
  try {
    let [logins, good] = [0, 0]
    while (crossed < LOGINS && logins < 4 * LOGINS) {
      logins += AT_ONCE * 5
      good += await repeat(AT_ONCE * 5, work, AT_ONCE)
    }
    const { sent, twice } = codes()
    tally.add(`${String(crossed)} begun at one and finished at the other`)
    const isGood = crossed >= LOGINS && sent === logins && twice === 0
    return { good: isGood ? good : 0, of: logins, least: logins, tally }
  } finally {
    await close()
  }
}

async function balancedKill({ platform, startBalancer }: Deployment): Promise<Outcome> {
  const { balancer, apps, close } = await startBalancer()
  try {
    const kill = (): Promise<void> => apps[0].kill()
    return await throughOutage(platform, () => () => balancer, kill)
  } finally {
    await close()
  }
}

async function balancedRestart({ platform, server, startBalancer }: Deployment): Promise<Outcome> {
  const { balancer, close } = await startBalancer()
  try {
    return await throughOutage(
      platform,
      () => () => balancer,
      () => server.restart(),
    )
  } finally {
    await close()
  }
}

async function balancedFailing({ platform, startBalancer }: Deployment): Promise<Outcome> {
  const { balancer, apps, close } = await startBalancer()
  try {
    return await failingSaves(platform, apps, () => balancer)
  } finally {
    await close()
  }
}

/** What an application relies on that runs in several processes on one store of sessions. */
export const CASES: [name: string, run: Case][] = [
  ['two logins begun at once can both be finished', twoTabs],
  ['two that come back at once get in, one of them perhaps when it is loaded again', twoTabsBack],
  ['the same answer at both at once gets in once', (on) => sameAnswer(on, {})],
  ['and so it does with userinfo', (on) => sameAnswer(on, { 'x-strategy': 'userinfo' })],
  ['a login begun at one is finished once, at the other', acrossProcesses],
  ['a session that is ended meanwhile stays ended', logout],
  [
    'a save that fails is a clean error, and can be tried again',
    ({ platform, apps }) => failingSaves(platform, apps, (turn) => apps[turn % 2] ?? apps[0]),
  ],
  ['a process that is killed takes no waiting login with it', killedProcess],
  ['nor does a store that is restarted', restartedStore],
  ['behind a TLS proxy that goes round, no login is lost and none used twice', balanced],
  ['behind it a process that is killed takes no waiting login with it', balancedKill],
  ['nor does a store that is restarted behind it', balancedRestart],
  ['behind it a save that fails is a clean error, and can be tried again', balancedFailing],
]
