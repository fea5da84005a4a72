import type { Persona, Sandbox, SandboxBank } from '../sandbox/index.js'

/** Whom a test logs in as. */
export interface Whom {
  sandbox: Sandbox
  /** The id or the name of a bank; the sandbox's first by default. */
  bank?: string | undefined
  /** The login of a person there; the bank's first by default. */
  persona?: string | undefined
}

/** @throws {TypeError} that lists who there is */
export function findPersona({ sandbox, bank, persona }: Whom): { bank: SandboxBank; persona: Persona } {
  const found = sandbox.banks.find(({ id, name }) => bank === undefined || bank === id || bank === name)
  if (!found)
    throw unknown(
      'bank',
      bank,
      sandbox.banks.flatMap(({ id, name }) => [id, name]),
    )
  const person = found.personas.find((one) => persona === undefined || persona === one.login)
  if (!person)
    throw unknown(
      'persona',
      persona,
      found.personas.map((one) => one.login),
    )
  return { bank: found, persona: person }
}

function unknown(option: string, given: string | undefined, there: string[]): TypeError {
  return new TypeError(`login: option "${option}" is ${JSON.stringify(given)}; there are ${there.join(', ')}`)
}
