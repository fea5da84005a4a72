import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { freePort } from './free-port.js'

/**
 * A real browser, spoken to by W3C WebDriver: Chromium and WebKitGTK through the drivers of their own, over HTTP, and
 * Firefox, for which Debian has none, in the commands of the same names that it takes over a socket.
 *
 * @see https://www.w3.org/TR/webdriver2/
 * @see https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html
 */
export interface WebDriver {
  open(url: string): Promise<void>
  /** Waits for an element, found by XPath, and clicks it as a person does. */
  click(xpath: string): Promise<void>
  type(xpath: string, text: string): Promise<void>
  /** Waits for an element, and returns what a person reads in it. */
  textOf(xpath: string): Promise<string>
  url(): Promise<string>
  back(): Promise<void>
  close(): Promise<void>
}

export interface Engine {
  name: string
  /** Programs that have to be there. */
  programs: readonly string[]
  start(): Promise<WebDriver>
}

const CHROMIUM = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium'
const FIREFOX = process.env.FIREFOX_PATH ?? '/usr/bin/firefox-esr'
const MINI_BROWSER =
  process.env.WEBKIT_PATH ?? `/usr/lib/${debianArchitecture()}-linux-gnu/webkit2gtk-4.1/MiniBrowser`

export const ENGINES: readonly Engine[] = [
  {
    name: 'Chromium',
    programs: [CHROMIUM, '/usr/bin/chromedriver'],
    start: () =>
      overHttp('/usr/bin/chromedriver', {
        'goog:chromeOptions': {
          binary: CHROMIUM,
          args: [
            '--headless',
            '--no-sandbox',
            '--disable-gpu',
            '--disable-quic',
            '--no-first-run',
            '--disable-background-networking',
            '--disable-component-update',
            '--disable-sync',
          ],
        },
      }),
  },
  { name: 'Firefox', programs: [FIREFOX], start: startFirefox },
  {
    name: 'WebKit',
    programs: [MINI_BROWSER, '/usr/bin/WebKitWebDriver', '/usr/bin/Xvfb'],
    start: async () => {
      // It has no mode without a screen.
      const { child: screen, display } = await startScreen()
      const options = { 'webkitgtk:browserOptions': { binary: MINI_BROWSER, args: ['--automation'] } }
      const driver = await overHttp('/usr/bin/WebKitWebDriver', options, { DISPLAY: `:${display}` })
      return {
        ...driver,
        async close() {
          await driver.close()
          await ended(screen)
        },
      }
    },
  },
]

type Send = (command: Command, parameters?: Record<string, unknown>) => Promise<unknown>

/** The commands used here, as HTTP has them; Firefox's own protocol has them by name. */
const COMMANDS = {
  Navigate: ['POST', '/url'],
  GetCurrentURL: ['GET', '/url'],
  Back: ['POST', '/back'],
  SetTimeouts: ['POST', '/timeouts'],
  FindElement: ['POST', '/element'],
  ElementClick: ['POST', '/element/:id/click'],
  ElementSendKeys: ['POST', '/element/:id/value'],
  GetElementText: ['GET', '/element/:id/text'],
  DeleteSession: ['DELETE', ''],
} as const

type Command = keyof typeof COMMANDS

const CAPABILITIES = { acceptInsecureCerts: true, pageLoadStrategy: 'normal' }

/** What a driver says of a page that is on its way; asked again, it may say something else. */
const NOT_YET = ['no such element', 'no such frame', 'stale element reference']

const PATIENCE_MS = 60_000

class WebDriverError extends Error {
  override readonly name = 'WebDriverError'

  constructor(
    command: string,
    readonly error: string,
    message: string,
  ) {
    super(`${command}: ${error}: ${message}`)
  }
}

async function driverOf(send: Send, close: () => Promise<void>): Promise<WebDriver> {
  await send('SetTimeouts', { implicit: 0, pageLoad: PATIENCE_MS })
  const found = async (xpath: string) => {
    const element = (await send('FindElement', { using: 'xpath', value: xpath })) as Record<string, string>
    return { id: Object.values(element)[0] ?? '' }
  }
  const once = async (act: () => Promise<unknown>) => {
    for (const end = Date.now() + PATIENCE_MS; ;) {
      try {
        return await act()
      } catch (err) {
        const isOnItsWay = err instanceof WebDriverError && NOT_YET.includes(err.error)
        if (!isOnItsWay || Date.now() > end) throw err
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
  }
  const find = (xpath: string) => once(() => found(xpath)) as Promise<{ id: string }>
  return {
    async open(url) {
      await send('Navigate', { url })
    },
    async click(xpath) {
      await send('ElementClick', await find(xpath))
    },
    async type(xpath, text) {
      await send('ElementSendKeys', { ...(await find(xpath)), text })
    },
    async textOf(xpath) {
      return String(await once(async () => send('GetElementText', await found(xpath))))
    },
    async url() {
      return String(await send('GetCurrentURL'))
    },
    async back() {
      await send('Back')
    },
    close,
  }
}

async function overHttp(
  program: string,
  options: Record<string, unknown>,
  env: NodeJS.ProcessEnv = {},
): Promise<WebDriver> {
  const port = await freePort()
  const child = started(program, [`--port=${String(port)}`], { env: { ...process.env, ...env } })
  const base = `http://127.0.0.1:${String(port)}`
  const request = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(base + path, {
      method,
      ...(method === 'POST' && { body: JSON.stringify(body ?? {}) }),
    })
    const { value } = (await response.json()) as { value: unknown }
    if (response.ok) return value
    const { error, message } = value as { error: string; message: string }
    throw new WebDriverError(`${method} ${path}`, error, message)
  }
  await eventually(child, () => request('GET', '/status'))
  const capabilities = { alwaysMatch: { ...CAPABILITIES, ...options } }
  const { sessionId } = (await request('POST', '/session', { capabilities })) as { sessionId: string }
  const send: Send = (command, { id, ...parameters } = {}) => {
    const [method, path] = COMMANDS[command]
    return request(method, `/session/${sessionId}${path.replace(':id', String(id))}`, parameters)
  }
  return driverOf(send, async () => {
    await send('DeleteSession').finally(() => ended(child))
  })
}

async function startFirefox(): Promise<WebDriver> {
  const profile = await mkdtemp(join(tmpdir(), 'firefox-'))
  await writeFile(join(profile, 'user.js'), 'user_pref("marionette.port", 0);\n')
  const child = started(FIREFOX, ['--headless', '--no-remote', '--marionette', '--profile', profile])
  const port = await eventually(child, async () => {
    const text = await readFile(join(profile, 'MarionetteActivePort'), 'utf8')
    if (text === '') throw new Error('the port is not there yet')
    return Number(text)
  })
  const call = await marionette(port)
  await call('WebDriver:NewSession', CAPABILITIES)
  const send: Send = async (command, parameters = {}) => {
    const result = await call(`WebDriver:${command}`, parameters)
    return typeof result === 'object' && result !== null && 'value' in result ? result.value : result
  }
  return driverOf(send, async () => {
    await ended(child)
    await rm(profile, { recursive: true, maxRetries: 10, retryDelay: 200 })
  })
}

type Reply = [1, id: number, error: { error: string; message: string } | null, result: unknown]

/** Messages are `length:json`: a greeting, then `[0, id, command, parameters]` and `[1, id, error, result]`. */
async function marionette(port: number): Promise<(command: string, parameters: object) => Promise<unknown>> {
  const socket = connect(port, '127.0.0.1')
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (err: Error) => void }>()
  let received = Buffer.alloc(0)
  const greeted = new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      for (;;) {
        const colon = received.indexOf(':')
        const end = colon + 1 + Number(received.subarray(0, Math.max(colon, 0)))
        if (colon < 0 || received.length < end) return
        const message = JSON.parse(received.toString('utf8', colon + 1, end)) as
          { marionetteProtocol: number } | Reply
        received = received.subarray(end)
        if ('marionetteProtocol' in message) {
          resolve()
          continue
        }
        const [, id, error, result] = message
        if (error) waiting.get(id)?.reject(new WebDriverError('Firefox', error.error, error.message))
        else waiting.get(id)?.resolve(result)
        waiting.delete(id)
      }
    })
  })
  const fail = (err?: Error) => {
    for (const { reject } of waiting.values()) reject(err ?? new Error('Firefox has ended'))
  }
  socket.on('error', fail).on('close', () => {
    fail()
  })
  await greeted
  let last = 0
  return (command, parameters) =>
    new Promise((resolve, reject) => {
      const id = ++last
      waiting.set(id, { resolve, reject })
      const message = JSON.stringify([0, id, command, parameters])
      socket.write(`${String(Buffer.byteLength(message))}:${message}`)
    })
}

async function startScreen(): Promise<{ child: ChildProcess; display: string }> {
  const child = started(
    '/usr/bin/Xvfb',
    ['-displayfd', '3', '-screen', '0', '1000x740x24', '-nolisten', 'tcp'],
    {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    },
  )
  const [display] = (await once(child.stdio[3] as Readable, 'data')) as [Buffer]
  return { child, display: display.toString().trim() }
}

function started(program: string, args: string[], options: SpawnOptions = {}): ChildProcess {
  return spawn(program, args, { stdio: 'ignore', ...options })
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill()
  await exited
}

/** Asks again until there is an answer, for as long as the program runs. */
async function eventually<T>(child: ChildProcess, ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch (err) {
      if (child.exitCode !== null || child.signalCode !== null) throw err
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

function debianArchitecture(): string {
  return process.arch === 'arm64' ? 'aarch64' : 'x86_64'
}

export function isInstalled({ programs }: Engine): boolean {
  return programs.every((program) => existsSync(program))
}
