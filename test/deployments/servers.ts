import { execFileSync, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createClient } from 'redis'
import type { Start } from './app.js'
import { freePort } from '../support/free-port.js'

/** A real server for sessions, with data of its own, that is gone when it is closed. */
export interface StoreServer {
  name: string
  store: Start['store']
  /** Ends it and starts it again, with what it held. */
  restart(): Promise<void>
  close(): Promise<void>
}

interface Program {
  name: string
  store: Start['store']
  dir: string
  command: string
  args: string[]
  options: SpawnOptions
  /** How it is asked to end at once, without losing anything. */
  signal: NodeJS.Signals
  /** Rejects for as long as it is not ready. */
  probe: () => Promise<void>
}

export async function startRedis(): Promise<StoreServer> {
  const dir = mkdtempSync(path.join(tmpdir(), 'redis-'))
  const port = String(await freePort())
  const url = `redis://127.0.0.1:${port}`
  return run({
    name: 'Redis',
    store: { redis: url },
    dir,
    command: 'redis-server',
    args: ['--bind', '127.0.0.1', '--port', port, '--dir', dir, '--save', '', '--appendonly', 'yes'],
    options: { stdio: 'ignore' },
    signal: 'SIGTERM',
    probe: async () => {
      const client = createClient({ url, socket: { reconnectStrategy: false } })
      client.on('error', () => undefined)
      await client.connect()
      try {
        await client.ping()
      } finally {
        client.destroy()
      }
    },
  })
}

export async function startPostgres(): Promise<StoreServer> {
  const versions = '/usr/lib/postgresql'
  const version = readdirSync(versions).sort((a, b) => Number(b) - Number(a))[0] ?? ''
  const program = (name: string): string => path.join(versions, version, 'bin', name)
  const dir = mkdtempSync(path.join(tmpdir(), 'postgres-'))
  const options: SpawnOptions = { cwd: dir, stdio: 'ignore' }
  // It refuses to run as root.
  if (process.getuid?.() === 0) {
    const idOf = (flag: string): number =>
      Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
    options.uid = idOf('-u')
    options.gid = idOf('-g')
    chownSync(dir, options.uid, options.gid)
  }
  const data = path.join(dir, 'data')
  const port = String(await freePort())
  try {
    execFileSync(program('initdb'), ['-D', data, '-U', 'app', '-A', 'trust', '--no-sync'], {
      ...options,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  } catch (err) {
    rmSync(dir, { recursive: true, force: true })
    throw err
  }
  const settings = ['listen_addresses=127.0.0.1', `port=${port}`, 'unix_socket_directories=']
  const url = `postgres://app@127.0.0.1:${port}/postgres`
  const table = readFileSync('node_modules/connect-pg-simple/table.sql', 'utf8')
  return run({
    name: 'PostgreSQL',
    store: { postgres: url },
    dir,
    command: program('postgres'),
    args: ['-D', data, ...settings.flatMap((one) => ['-c', one])],
    options,
    signal: 'SIGINT',
    probe: async () => {
      const client = new pg.Client({ connectionString: url })
      client.on('error', () => undefined)
      await client.connect()
      try {
        const { rows } = await client.query("SELECT to_regclass('session') AS found")
        if ((rows as { found: unknown }[])[0]?.found === null) await client.query(table)
      } finally {
        await client.end()
      }
    },
  })
}

async function run({
  name,
  store,
  dir,
  command,
  args,
  options,
  signal,
  probe,
}: Program): Promise<StoreServer> {
  let server: ChildProcess
  const stop = async (): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return
    const gone = once(server, 'exit')
    server.kill(signal)
    await gone
  }
  const begin = async (): Promise<void> => {
    server = spawn(command, args, options)
    await once(server, 'spawn')
    for (let tries = 0; ; tries++) {
      try {
        await probe()
        return
      } catch (err) {
        if (server.exitCode !== null || tries === 300) throw err
        await sleep(100)
      }
    }
  }
  const close = async (): Promise<void> => {
    await stop()
    rmSync(dir, { recursive: true, force: true })
  }
  const restart = async (): Promise<void> => {
    await stop()
    await begin()
  }
  try {
    await begin()
  } catch (err) {
    await close()
    throw err
  }
  return { name, store, restart, close }
}
