// An application in a process of its own, on the package or on the wiring by hand, and what logins cost it.
import { createServer, type RequestListener, type Server } from 'node:http'
import { Session } from 'node:inspector/promises'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks'
import { pathToFileURL } from 'node:url'
import express from 'express'
import session from 'express-session'
import passport from 'passport'
import type { Strategy } from 'passport-strategy'
import { floor } from './floor.js'
import type { Sample, Setup } from './platform.js'
import { Wiring } from './wiring.js'
import { serve } from './workers.js'

export type Kind = 'package' | 'wiring' | 'floor'

/** Milliseconds that all logins of a measurement took together, by the processor and by the clock. */
export interface Cost {
  cpu: number
  wall: number
}

let strategy: object
let cryptography: () => void
let server: Server | undefined
let loop: IntervalHistogram | undefined
let sessions: object[] = []

/** @param folder where the package and what it needs are installed */
async function start(kind: Kind, folder: string, setup: Setup, sample: Sample): Promise<void> {
  const installed = (file: string): Promise<unknown> =>
    import(pathToFileURL(path.join(folder, 'node_modules', file)).href)
  if (kind === 'floor') {
    cryptography = floor(setup, sample)
  } else if (kind === 'wiring') {
    const oidc = (await installed('openid-client/build/index.js')) as typeof import('openid-client')
    const jose = (await installed('jose/dist/webapi/index.js')) as typeof import('jose')
    strategy = new Wiring(setup, { oidc, jose })
  } else {
    const { IDPartnerStrategy } = (await installed(
      'passport-idpartner/dist/index.js',
    )) as typeof import('passport-idpartner')
    const { flow, alg, profile, dpop, client_id, callback, jwks, issuers } = setup
    strategy = new IDPartnerStrategy(
      {
        client_id,
        callback,
        jwks,
        flow,
        profile,
        dpop_bound_access_tokens: dpop,
        oidc_proxy_service_url: setup.proxy,
        trust_directory_service_url: setup.directory,
        trust_directory_issuer: setup.directoryIssuer,
        ...(flow === 'direct' && { trusted_issuers: issuers }),
        authorization_signed_response_alg: alg,
        id_token_signed_response_alg: alg,
        request_object_signing_alg: alg,
        token_endpoint_auth_signing_alg: alg,
        // Under load, a login waits for others and not for a bank.
        timeout: 60_000,
        // So that at the end all is there that a login leaves, however long the measurement took.
        loginTtl: 86_400,
      },
      ({ claims }) => Promise.resolve({ sub: claims.sub }),
    )
  }
}

/** Begins logins, each in a session of its own, and returns where their browsers are sent. */
async function begin(paths: string[], atOnce = 1): Promise<Cost & { urls: string[] }> {
  sessions = paths.map(() => ({}))
  const urls: string[] = []
  const cost = await measured(paths.length, atOnce, async (i) => {
    urls[i] = await authenticate(paths[i] ?? '', sessions[i])
  })
  return { ...cost, urls }
}

/** Finishes the logins that were begun last, in their order. */
function finish(paths: string[], atOnce = 1): Promise<Cost> {
  return measured(paths.length, atOnce, async (i) => {
    await authenticate(paths[i] ?? '', sessions[i])
  })
}

function cryptographyOf(logins: number): Promise<Cost> {
  return measured(logins, 1, () => {
    cryptography()
    return Promise.resolve()
  })
}

/** Runs a strategy as Passport does. */
function authenticate(url: string, session: object | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const run = Object.create(strategy) as Strategy
    run.redirect = resolve
    run.success = () => {
      resolve('')
    }
    run.error = reject
    run.fail = (info: unknown) => {
      reject(new Error(`the login failed: ${JSON.stringify(info)}`))
    }
    const request = { method: 'GET', url, headers: { cookie: 'sid=1' }, session }
    run.authenticate(request as unknown as express.Request)
  })
}

async function measured(count: number, atOnce: number, run: (index: number) => Promise<void>): Promise<Cost> {
  const [cpu, wall] = [process.cpuUsage(), performance.now()]
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) await run(next++)
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
  const { user, system } = process.cpuUsage(cpu)
  return { cpu: (user + system) / 1000, wall: performance.now() - wall }
}

/** Answers over HTTP, as an application on Express with sessions does. */
async function listen(): Promise<number> {
  const app = express()
  const passports = new passport.Passport()
  passports.use(strategy as Strategy)
  passports.serializeUser((user, done) => {
    done(null, user)
  })
  passports.deserializeUser((user, done) => {
    done(null, user as Express.User)
  })
  app.use(session({ secret: 'bench', resave: false, saveUninitialized: false }))
  app.use(passports.session() as express.RequestHandler)
  const handler = passports.authenticate('idpartner') as express.RequestHandler
  app.get('/login', handler)
  app.get('/callback', handler, (_req, res) => {
    res.redirect('/')
  })
  server = createServer(app as RequestListener)
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** Watches the event loop from now on; {@link loopDelay} says what it saw, in milliseconds. */
function watchLoop(): void {
  loop = monitorEventLoopDelay({ resolution: 5 })
  loop.enable()
}

function loopDelay(): { p50: number; p99: number; max: number } {
  loop?.disable()
  const ms = (nanoseconds = NaN): number => nanoseconds / 1e6
  return { p50: ms(loop?.percentile(50)), p99: ms(loop?.percentile(99)), max: ms(loop?.max) }
}

function memory(): { heap: number; rss: number; handles: number } {
  sessions = []
  for (let times = 0; times < 3; times++) gc?.()
  const { heapUsed: heap, rss } = process.memoryUsage()
  return { heap, rss, handles: process.getActiveResourcesInfo().length }
}

let profiler: Session | undefined

async function startProfile(): Promise<void> {
  profiler = new Session()
  profiler.connect()
  await profiler.post('Profiler.enable')
  await profiler.post('Profiler.setSamplingInterval', { interval: 250 })
  await profiler.post('Profiler.start')
}

/** Microseconds that were spent in each function itself, and in each package, the most first. */
async function stopProfile(): Promise<{ functions: [string, number][]; packages: [string, number][] }> {
  const { profile } = (await profiler?.post('Profiler.stop')) ?? {}
  const self = new Map<number, number>()
  profile?.samples?.forEach((id, i) => {
    self.set(id, (self.get(id) ?? 0) + (profile.timeDeltas?.[i] ?? 0))
  })
  const [functions, packages] = [new Map<string, number>(), new Map<string, number>()]
  const add = (to: Map<string, number>, name: string, time: number): void => {
    to.set(name, (to.get(name) ?? 0) + time)
  }
  for (const { id, callFrame } of profile?.nodes ?? []) {
    const { functionName, url, lineNumber } = callFrame
    const name = packageOf(url)
    add(packages, name || functionName, self.get(id) ?? 0)
    add(functions, `${functionName || '(anonymous)'} ${name}:${String(lineNumber + 1)}`, self.get(id) ?? 0)
  }
  const sorted = (map: Map<string, number>): [string, number][] => [...map].toSorted((a, b) => b[1] - a[1])
  return { functions: sorted(functions), packages: sorted(packages) }
}

function packageOf(url: string): string {
  const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? []
  return name ?? (url.startsWith('node:') ? url : path.basename(url))
}

function getSessions(): object[] {
  return sessions
}

function setSessions(others: object[]): void {
  sessions = others
}

const methods = {
  start,
  begin,
  finish,
  cryptographyOf,
  listen,
  watchLoop,
  loopDelay,
  memory,
  getSessions,
  setSessions,
  startProfile,
  stopProfile,
}
export type ContestantMethods = typeof methods
serve(methods)
