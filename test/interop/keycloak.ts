import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Dispatcher } from 'undici'
import { request } from 'undici'
import type { Credentials } from './admin.js'
import type { Authority } from './authority.js'
import { freePort } from '../support/free-port.js'

const VERSION = '26.7.3'
const ARTIFACT = `org.keycloak:keycloak-quarkus-dist:${VERSION}:zip`
const UNPACK = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack'

/** In seconds; it needs about 30 on two idle cores. */
const PATIENCE = 240

/** A Keycloak of its own on loopback, with data of its own, that is gone when it is closed. */
export class Keycloak {
  readonly #dir: string
  readonly #dispatcher: Dispatcher
  readonly #plainPort: number
  #process: ChildProcess | undefined
  readonly url: string
  readonly admin: Credentials = { username: 'admin', password: randomBytes(16).toString('hex') }
  /** The last lines it wrote. */
  readonly log: string[] = []

  private constructor(
    dir: string,
    { port, plainPort }: { port: number; plainPort: number },
    dispatcher: Dispatcher,
  ) {
    this.#dir = dir
    this.#plainPort = plainPort
    this.#dispatcher = dispatcher
    this.url = `https://127.0.0.1:${String(port)}`
  }

  /** Unpacks and starts one; it trusts what the authority issued, and nothing else. */
  static async start(authority: Authority, dispatcher: Dispatcher): Promise<Keycloak> {
    const dir = mkdtempSync(path.join(tmpdir(), 'keycloak-'))
    const [port, plainPort] = [await freePort(), await freePort()]
    const keycloak = new Keycloak(dir, { port, plainPort }, dispatcher)
    try {
      await keycloak.#install(authority)
      await keycloak.begin()
    } catch (err) {
      await keycloak.close()
      throw err
    }
    return keycloak
  }

  async close(): Promise<void> {
    await this.stop()
    rmSync(this.#dir, { recursive: true, force: true })
  }

  get #home(): string {
    return path.join(this.#dir, `keycloak-${VERSION}`)
  }

  async #install(authority: Authority): Promise<void> {
    // Maven keeps what it fetched, and fetches nothing it has.
    await promisify(execFile)(
      'mvn',
      [...['--quiet', '--batch-mode', UNPACK], `-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${this.#dir}`],
      // It leaves notes of what it unpacked where it runs.
      { cwd: this.#dir },
    )
    const { cert, key } = await authority.server()
    this.#write('server.pem', cert)
    this.#write('server-key.pem', key)
    this.#write('authority.pem', authority.certificate)
  }

  #write(name: string, content: string): void {
    writeFileSync(path.join(this.#dir, name), content, { mode: 0o600 })
  }

  /** Starts it with what is in its database. */
  async begin(): Promise<void> {
    const { port } = new URL(this.url)
    const file = (name: string): string => path.join(this.#dir, name)
    const options = {
      'http-host': '127.0.0.1',
      // In development mode it is there in any case.
      'http-port': String(this.#plainPort),
      'https-port': port,
      'https-certificate-file': file('server.pem'),
      'https-certificate-key-file': file('server-key.pem'),
      'https-client-auth': 'request',
      'truststore-paths': file('authority.pem'),
      hostname: this.url,
      cache: 'local',
      // It asks for the keys of an application again as soon as it sees one that it does not know.
      'spi-public-key-storage--infinispan--min-time-between-requests': '-1',
      'log-level': 'warn',
    }
    const started = spawn(
      'sh',
      [
        ...[path.join(this.#home, 'bin', 'kc.sh'), 'start-dev'],
        ...Object.entries(options).map(([name, value]) => `--${name}=${value}`),
      ],
      {
        env: {
          ...process.env,
          JAVA_OPTS_KC_HEAP: '-Xms64m -Xmx768m',
          // It starts in half the time, and does not run for long enough to need more.
          JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1',
          KC_BOOTSTRAP_ADMIN_USERNAME: this.admin.username,
          KC_BOOTSTRAP_ADMIN_PASSWORD: this.admin.password,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
        // In a group of its own, since what starts it may start a further process.
        detached: true,
      },
    )
    this.#process = started
    for (const stream of [started.stdout, started.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.log.push(...text.split('\n').filter(Boolean))
        this.log.splice(0, this.log.length - 40)
      })
    }
    await once(started, 'spawn')
    const end = (): void => {
      this.#signal('SIGKILL')
      rmSync(this.#dir, { recursive: true, force: true })
    }
    // However this process ends, nothing stays behind.
    process.once('exit', end)
    started.once('exit', () => process.off('exit', end))
    const deadline = performance.now() + PATIENCE * 1000
    while (!(await this.#isReady())) {
      if (started.exitCode !== null || performance.now() > deadline) {
        throw new Error(`Keycloak did not start:\n${this.log.join('\n')}`)
      }
      await sleep(200)
    }
  }

  async #isReady(): Promise<boolean> {
    try {
      const { statusCode, body } = await request(
        `${this.url}/realms/master/.well-known/openid-configuration`,
        {
          dispatcher: this.#dispatcher,
        },
      )
      await body.dump()
      return statusCode === 200
    } catch {
      return false
    }
  }

  async stop(): Promise<void> {
    const running = this.#process
    if (!running || running.exitCode !== null || running.signalCode !== null) return
    const gone = once(running, 'exit')
    this.#signal('SIGTERM')
    await gone
  }

  /** To its whole group. */
  #signal(signal: NodeJS.Signals): void {
    const pid = this.#process?.pid
    if (pid !== undefined) process.kill(-pid, signal)
  }
}
