import { InvalidArgumentError, Option, type Command } from 'commander'
import { startSandbox, type SandboxOptions } from '../sandbox/index.js'
import { NETWORK_NAMES } from '../sandbox/networks.js'
import type { Terminal } from './terminal.js'

interface Options {
  clientId: string
  callback: string
  jwksUri?: string
  loginUrl?: string
  network?: NonNullable<SandboxOptions['network']>
  flow?: NonNullable<SandboxOptions['flow']>
  authMethod?: NonNullable<SandboxOptions['token_endpoint_auth_method']>
  host: NonNullable<SandboxOptions['host']>
  port: number
  json?: true
}

/** `sandbox`: a whole IDPartner on this machine, until it is interrupted. */
export function sandboxCommand(command: Command, terminal: Terminal): void {
  command
    .option('--callback <URL>', "your app's callback route", 'http://localhost:3000/login/callback')
    .option('--client-id <ID>', 'what your app calls itself', 'my-app')
    .option('--jwks-uri <URL>', "where your app publishes its keys (default: /jwks at the callback's host)")
    .option(
      '--login-url <URL>',
      "direct flow: your app's login route (default: /login at the callback's host)",
    )
    .addOption(
      new Option('--network <NAME>', 'banks of that network, which refuse what it does not have').choices(
        NETWORK_NAMES,
      ),
    )
    // No defaults for what a network decides on.
    .addOption(
      new Option('--flow <FLOW>', "proxy, or direct (default: proxy, or the network's)").choices([
        'proxy',
        'direct',
      ]),
    )
    .addOption(
      new Option(
        '--auth-method <METHOD>',
        'how your app authenticates at banks (default: private_key_jwt)',
      ).choices(['private_key_jwt', 'client_secret_basic', 'tls_client_auth']),
    )
    .addOption(
      new Option('--host <HOST>', "another one than your app's puts it on another site, as in life")
        .choices(['localhost', '127.0.0.1', '[::1]'])
        .default('localhost'),
    )
    .option('--port <PORT>', 'where it listens', portNumber, 4000)
    .option('--json', 'print the config as JSON, on one line')
    .addHelpText('after', '\nIts first page lists people and addresses, and lets the next login go wrong.')
    .action(async ({ clientId, jwksUri, loginUrl, authMethod, json, ...options }: Options) => {
      const sandbox = await startSandbox({
        ...options,
        client_id: clientId,
        jwks_uri: jwksUri ?? new URL('/jwks', options.callback).href,
        login_url: loginUrl,
        token_endpoint_auth_method: authMethod,
      })
      try {
        const { url, config } = sandbox
        if (json) terminal.out(`${JSON.stringify({ url, config })}\n`)
        else {
          terminal.out(
            `The sandbox runs at ${url} until you press Ctrl+C. Give your strategy these options:\n\n`,
          )
          terminal.out(`${JSON.stringify(config, null, 2)}\n`)
        }
        await terminal.interrupted()
      } finally {
        await sandbox.close()
      }
    })
}

function portNumber(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port
  throw new InvalidArgumentError('It must be a port number.')
}
