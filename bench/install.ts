// The package as its users get it: packed, installed into an empty folder, and imported in fresh processes.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

export interface Installed {
  folder: string
  packages: number
  bytes: number
}

/** Installs the package without its optional peers. */
export function install(): Installed {
  const folder = mkdtempSync(path.join(tmpdir(), 'passport-idpartner-bench-'))
  const packed = run('npm', ['pack', '--json', '--silent', '--pack-destination', folder])
  const [tarball] = JSON.parse(packed.slice(packed.indexOf('[\n'))) as [{ filename: string }]
  writeFileSync(path.join(folder, 'package.json'), '{"private":true}')
  const options = [
    '--no-audit',
    '--no-fund',
    '--silent',
    '--prefer-offline',
    '--omit=optional',
    '--omit=peer',
  ]
  run('npm', ['install', ...options, tarball.filename], folder)
  const modules = path.join(folder, 'node_modules')
  const lock = JSON.parse(readFileSync(path.join(modules, '.package-lock.json'), 'utf8')) as {
    packages: object
  }
  const files = readdirSync(modules, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  )
  const bytes = files.reduce(
    (sum, { parentPath, name }) => sum + statSync(path.join(parentPath, name)).size,
    0,
  )
  return { folder, packages: Object.keys(lock.packages).length, bytes }
}

/** Milliseconds that a fresh process takes to import modules, by the clock and by the processor. */
export function importTime(folder: string, modules: string[]): { wall: number; cpu: number } {
  const code = `
    const [wall, cpu] = [performance.now(), process.cpuUsage()]
    for (const module of ${JSON.stringify(modules)}) await import(module)
    const { user, system } = process.cpuUsage(cpu)
    console.log(JSON.stringify({ wall: performance.now() - wall, cpu: (user + system) / 1000 }))`
  return JSON.parse(run(process.execPath, ['--input-type=module', '--eval', code], folder)) as {
    wall: number
    cpu: number
  }
}

function run(command: string, args: string[], cwd?: string): string {
  return execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(cwd && { cwd }),
  })
}
