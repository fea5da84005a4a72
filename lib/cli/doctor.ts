import type { Command } from 'commander'
import { fail, summary, type Checks } from '../client/check.js'
import { IDPartnerError } from '../errors.js'
import { IDPartnerStrategy } from '../passport/strategy.js'
import { readOptions } from './options-file.js'
import { report } from './report.js'
import { showing, type Terminal } from './terminal.js'

interface DoctorOptions {
  config?: string
  env?: string
  jwksUri?: string
  offline?: true
  json?: true
}

/** `doctor`: whether a login could work, and what to do if not. */
export function doctorCommand(command: Command, terminal: Terminal, ended: (code: number) => void): void {
  command
    .option('--config <FILE>', "the strategy's options: JSON, or a module that exports them as default")
    .option('--env <FILE>', 'the options as variables, such as IDPARTNER_CLIENT_ID and IDPARTNER_JWKS_FILE')
    .option(
      '--jwks-uri <URL>',
      "where the platform fetches your public keys (default: /jwks at the callback's host)",
    )
    .option('--offline', 'ask nobody, and look at the options alone')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nWithout a file it reads the environment, and .env in this folder.')
    .action(async ({ json, ...options }: DoctorOptions) => {
      const found = await examine(terminal, options)
      report(found, json, terminal)
      ended(found.ok ? 0 : 1)
    })
}

async function examine(terminal: Terminal, { jwksUri, offline, ...files }: DoctorOptions): Promise<Checks> {
  const options = await readOptions(files)
  let strategy: IDPartnerStrategy
  try {
    strategy = new IDPartnerStrategy({ ...options, passReqToCallback: false }, () => Promise.resolve(false))
  } catch (err) {
    if (!(err instanceof IDPartnerError)) throw err
    return summary([fail('options', err.message, 'correct this option; docs/options.md has all of them')])
  }
  // Nothing of a request decides, as the options are those of one client.
  const asked = await strategy.askedOf({} as never)
  const { fetchUserInfo } = options
  return showing(terminal, 'asking IDPartner and the banks', () =>
    strategy.client.preflight({ ...asked, jwks_uri: jwksUri, offline, fetchUserInfo }),
  )
}
