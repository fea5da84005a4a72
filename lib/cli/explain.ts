import type { Command } from 'commander'
import { createLocalJWKSet, type JSONWebKeySet } from 'jose'
import { withoutSources } from '../client/sources.js'
import { jwtLayers } from './explain-jwt.js'
import { queryLayer } from './explain-query.js'
import { readText } from './key-file.js'
import type { Known, Layer } from './layer.js'
import { readOptions } from './options-file.js'
import { CannotRun, type Terminal } from './terminal.js'

interface Options {
  config?: string
  env?: string
  jwks?: string[]
  showClaims?: true
  json?: true
}

/** `explain`: what a callback brought, layer by layer, without asking anybody. */
export function explainCommand(command: Command, terminal: Terminal, ended: (code: number) => void): void {
  command
    .argument('<WHAT>', 'the callback URL, its query, or the value of "response"; - reads standard input')
    .option('--config <FILE>', "the strategy's options, with which it is compared and opened")
    .option('--env <FILE>', 'the same as variables')
    .option('--jwks <FILE...>', 'public keys of IDPartner and the bank, to check signatures with')
    .option('--show-claims', 'print what is said of the person as well')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nNothing is sent to anybody. Codes, keys and values of one login are never printed.',
    )
    .action(async (what: string, { config, env, jwks, showClaims, json }: Options) => {
      const known: Known = {
        options:
          config === undefined && env === undefined
            ? {}
            : await withoutSources(await readOptions({ config, env })),
        keys: jwks && (await Promise.all(jwks.map(readKeys))),
        showClaims: showClaims === true,
      }
      const layers = await layersOf((what === '-' ? await terminal.input() : what).trim(), known)
      const problems = layers.flatMap((layer) => layer.problems)
      const ok = problems.length === 0
      if (json) terminal.out(`${JSON.stringify({ ok, layers, problems }, null, 2)}\n`)
      else {
        for (const { name, facts, problems: wrong } of layers) {
          terminal.out(`${name}\n`)
          for (const [fact, value] of Object.entries(facts)) terminal.out(`  ${fact}: ${value}\n`)
          for (const problem of wrong) terminal.out(`  WRONG: ${problem}\n`)
        }
        terminal.out(ok ? '\nNothing wrong was seen.\n' : `\n${String(problems.length)} wrong.\n`)
      }
      ended(ok ? 0 : 1)
    })
}

async function readKeys(file: string): Promise<{ file: string; jwks: JSONWebKeySet }> {
  const text = await readText(file)
  try {
    const jwks = JSON.parse(text) as JSONWebKeySet
    createLocalJWKSet(jwks)
    return { file, jwks }
  } catch {
    throw new CannotRun(`${file} is no JWKS`)
  }
}

async function layersOf(text: string, known: Known): Promise<Layer[]> {
  if (text === '') throw new CannotRun('there is nothing to explain')
  // A code may hold a = as well.
  if (!/^https?:|\?|(^|&)(response|error|code|state|iss)=/.test(text))
    return jwtLayers(text, 'response', known)
  const { layer, response } = queryLayer(text, known)
  return response === undefined ? [layer] : [layer, ...(await jwtLayers(response, 'response', known))]
}
