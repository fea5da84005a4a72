import { run } from '../../lib/cli/program.js'

export interface Ran {
  code: number
  out: string
  err: string
}

/** Runs the command line in this process, as a program would that nobody watches. */
export async function cli(
  args: readonly string[],
  input = '',
  interrupted: (soFar: Ran) => Promise<void> = () => Promise.resolve(),
): Promise<Ran> {
  const ran: Ran = { code: 0, out: '', err: '' }
  ran.code = await run(args, {
    out: (text) => (ran.out += text),
    err: (text) => (ran.err += text),
    watched: false,
    input: () => Promise.resolve(input),
    interrupted: () => interrupted(ran),
  })
  return ran
}

/** The same with `--json`, whose output has to be JSON whatever became of it. */
export async function cliJson<T>(args: readonly string[], input = ''): Promise<T> {
  const { out, err } = await cli([...args, '--json'], input)
  if (out === '') throw new Error(err)
  return JSON.parse(out) as T
}

/** What may never be printed of a private JWKS. */
export function privateValues(jwks: { keys: readonly object[] }): string[] {
  return jwks.keys.flatMap((key) =>
    Object.entries(key).flatMap(([name, value]) =>
      ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].includes(name) ? [String(value)] : [],
    ),
  )
}
