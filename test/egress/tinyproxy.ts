import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { unusedOrigin } from '../support/loopback-server.js'

export interface Setting {
  /** What it asks for names that it does not look up itself: no name of a test may be looked up in the world. */
  upstream: string
  /** The one port that it lets through; all by default. */
  onlyPort?: number
  credentials?: { username: string; password: string }
  /** Names that it lets nobody ask for, as an expression. */
  denied?: string
}

/** Tinyproxy, as an operator sets it up. */
export class Tinyproxy {
  readonly port: number
  readonly #dir: string
  readonly #config: string
  #child: ChildProcess | undefined
  /** What it has written into its log. */
  log = ''

  private constructor(port: number, dir: string) {
    this.port = port
    this.#dir = dir
    this.#config = path.join(dir, 'tinyproxy.conf')
  }

  static async start(setting: Setting): Promise<Tinyproxy> {
    const dir = mkdtempSync(path.join(tmpdir(), 'tinyproxy-'))
    const proxy = new Tinyproxy(Number(new URL(await unusedOrigin()).port), dir)
    const filter = path.join(dir, 'filter')
    writeFileSync(filter, `${setting.denied ?? '^$'}\n`)
    writeFileSync(proxy.#config, configuration(proxy.port, filter, setting), { mode: 0o600 })
    try {
      await proxy.begin()
      return proxy
    } catch (err) {
      await proxy.close()
      throw err
    }
  }

  get host(): string {
    return `127.0.0.1:${String(this.port)}`
  }

  /** Which hosts and ports it was asked to connect to, in order. */
  get asked(): string[] {
    return [...this.log.matchAll(/: CONNECT (\S+) HTTP/g)].map(([, target = '']) => target)
  }

  async begin(): Promise<void> {
    const child = (this.#child = spawn('tinyproxy', ['-d', '-c', this.#config], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }))
    child.stdout.on('data', (chunk: Buffer) => (this.log += chunk.toString()))
    await once(child, 'spawn')
    for (let tries = 0; !(await this.#listens()); tries++) {
      if (child.exitCode !== null || tries === 100) throw new Error(`tinyproxy did not start: ${this.log}`)
      await sleep(100)
    }
  }

  /** Neither answers nor goes away, until it is closed. */
  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  async close(): Promise<void> {
    await this.kill()
    rmSync(this.#dir, { recursive: true, force: true })
  }

  #listens(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => {
        resolve(false)
      })
    })
  }
}

/** What docs/deployment.md shows, with the places that it has here, and without what a case has not set up. */
function configuration(port: number, filter: string, { upstream, onlyPort, credentials }: Setting): string {
  const places = {
    'Port 3128': `Port ${String(port)}\nListen 127.0.0.1`,
    'Allow 10.0.0.0/8': 'Allow 127.0.0.1',
    'BasicAuth app password': credentials && `BasicAuth ${credentials.username} ${credentials.password}`,
    'ConnectPort 443': onlyPort && `ConnectPort ${String(onlyPort)}`,
  }
  let written = shownBlock('docs/deployment.md', 'tinyproxy.conf')
  for (const [place, here] of Object.entries(places)) {
    if (!written.includes(`${place}\n`))
      throw new Error(`docs/deployment.md has no "${place}" in its tinyproxy.conf`)
    written = written.replace(place, here || '')
  }
  return [written, `Upstream http ${new URL(upstream).host}`, `Filter "${filter}"`, ''].join('\n')
}

function shownBlock(page: string, name: string): string {
  const block = new RegExp(`^\`\`\`\\w+ ${name}\\n(.*?)^\`\`\`$`, 'ms')
  return block.exec(readFileSync(page, 'utf8'))?.[1] ?? ''
}
