import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { isError } from '../errors.js'
import type { Terminal } from './terminal.js'

/** Adds what a command takes and does; `ended` is told its exit code where that is not 0. */
type Describe = (command: Command, terminal: Terminal, ended: (code: number) => void) => void

/** Each is loaded when it is asked for: what they stand on takes longer to load than most of them run. */
const COMMANDS: Record<string, { description: string; load: () => Promise<Describe> }> = {
  keys: {
    description: 'make, rotate and check the private keys of an application',
    load: async () => (await import('./keys.js')).keysCommand,
  },
  doctor: {
    description: 'say whether logins can work: keys, certificate, IDPartner and banks, clock',
    load: async () => (await import('./doctor.js')).doctorCommand,
  },
  explain: {
    description: 'say what a callback URL or a response is, who signed it, and what is wrong with it',
    load: async () => (await import('./explain.js')).explainCommand,
  },
  receipt: {
    description: 'say whether a receipt is what was sealed at a login',
    load: async () => (await import('./receipt.js')).receiptCommand,
  },
  sandbox: {
    description:
      'run a whole IDPartner on this machine: proxy, trust directory, banks with people to log in as',
    load: async () => (await import('./sandbox.js')).sandboxCommand,
  },
}

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
    .configureHelp({ subcommandTerm: (command) => command.name() })
  // Also of `help keys`; what comes after the name is its own.
  const asked = args.find((arg) => Object.hasOwn(COMMANDS, arg))
  for (const [name, { description, load }] of Object.entries(COMMANDS)) {
    const command = program.command(name).description(description)
    if (name === asked) (await load())(command, terminal, ended)
  }
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
