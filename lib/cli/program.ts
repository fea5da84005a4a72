import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { isError } from '../errors.js'
import { doctorCommand } from './doctor.js'
import { explainCommand } from './explain.js'
import { keysCommand } from './keys.js'
import { sandboxCommand } from './sandbox.js'
import type { Terminal } from './terminal.js'

const EXIT_CODES = `
Exit codes: 0 all well, 1 something is wrong, 2 could not run.`

/**
 * Runs the command line.
 *
 * @param args without the program's own name
 * @returns the exit code: 0 all well, 1 something is wrong, 2 could not run
 */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  let code = 0
  const ended = (other: number): void => {
    code = other
  }
  const program = new Command('passport-idpartner')
    .description('Keys, checks and a sandbox for logins with a bank through IDPartner.')
    .version(version())
    .exitOverride()
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .showHelpAfterError('(--help lists what there is)')
    .addHelpText('after', EXIT_CODES)
  keysCommand(program, terminal, ended)
  doctorCommand(program, terminal, ended)
  explainCommand(program, terminal, ended)
  sandboxCommand(program, terminal)
  try {
    await program.parseAsync(args, { from: 'user' })
    return code
  } catch (err) {
    // It has said so itself.
    if (err instanceof CommanderError) return err.exitCode === 0 ? 0 : 2
    terminal.err(`passport-idpartner: ${isError(err) ? err.message : String(err)}\n`)
    return 2
  }
}

function version(): string {
  const manifest = new URL('../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
}
