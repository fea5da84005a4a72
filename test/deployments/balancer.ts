import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { tlsCertificates } from '../support/certificates.js'
import { freePort } from '../support/free-port.js'
import type { Door } from './deployment.js'

const LIMIT = 30_000

/** HAProxy in front of some processes: it speaks TLS for them, and sends each request to the next one. */
export class Balancer implements Door {
  readonly #child: ChildProcess
  readonly #dir: string
  readonly #origin: string
  readonly #agent: Agent

  private constructor(child: ChildProcess, dir: string, origin: string, agent: Agent) {
    this.#child = child
    this.#dir = dir
    this.#origin = origin
    this.#agent = agent
  }

  static async start(ports: readonly [number, number]): Promise<Balancer> {
    const { server } = await tlsCertificates()
    const dir = mkdtempSync(path.join(tmpdir(), 'haproxy-'))
    const port = await freePort()
    const certificate = path.join(dir, 'server.pem')
    const config = path.join(dir, 'haproxy.cfg')
    writeFileSync(certificate, `${server.cert}\n${server.key}`, { mode: 0o600 })
    writeFileSync(config, configuration(port, certificate, ports))
    const child = spawn('haproxy', ['-db', '-f', config], { stdio: ['ignore', 'ignore', 'inherit'] })
    const agent = new Agent({ keepAlive: true, ca: server.cert })
    const balancer = new Balancer(child, dir, `https://127.0.0.1:${String(port)}`, agent)
    try {
      await once(child, 'spawn')
      await balancer.#ready()
      return balancer
    } catch (err) {
      await balancer.close()
      throw err
    }
  }

  get(target: string, headers: Record<string, string>): Promise<Response> {
    return new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(LIMIT)
      const asked = request(`${this.#origin}${target}`, { agent: this.#agent, headers, signal }, (res) => {
        const answer = new Headers()
        for (let at = 0; at < res.rawHeaders.length; at += 2) {
          answer.append(res.rawHeaders[at] ?? '', res.rawHeaders[at + 1] ?? '')
        }
        const chunks: Buffer[] = []
        res.on('data', (chunk: Buffer) => chunks.push(chunk))
        res.on('error', reject)
        res.on('end', () => {
          resolve(new Response(Buffer.concat(chunks), { status: res.statusCode ?? 0, headers: answer }))
        })
      })
      asked.on('error', reject)
      asked.end()
    })
  }

  async close(): Promise<void> {
    this.#agent.destroy()
    if (this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined) {
      const gone = once(this.#child, 'exit')
      this.#child.kill('SIGTERM')
      await gone
    }
    rmSync(this.#dir, { recursive: true, force: true })
  }

  async #ready(): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        const { status } = await this.get('/me', {})
        if (status < 500) return
        throw new Error(`the balancer answers HTTP ${String(status)}`)
      } catch (err) {
        if (this.#child.exitCode !== null || tries === 100) throw err
        await sleep(100)
      }
    }
  }
}

/** What docs/deployment.md shows, with the places that it has here. */
function configuration(port: number, certificate: string, ports: readonly [number, number]): string {
  const [, shown = ''] =
    /^```haproxy haproxy\.cfg\n(.*?)^```$/ms.exec(readFileSync('docs/deployment.md', 'utf8')) ?? []
  const places = {
    ':443': `127.0.0.1:${String(port)}`,
    '/etc/haproxy/app.pem': certificate,
    '10.0.0.1:3000': `127.0.0.1:${String(ports[0])}`,
    '10.0.0.2:3000': `127.0.0.1:${String(ports[1])}`,
  }
  let written = shown
  for (const [place, here] of Object.entries(places)) {
    if (!written.includes(place)) throw new Error(`docs/deployment.md has no ${place} in its haproxy.cfg`)
    written = written.replace(place, here)
  }
  return written
}
