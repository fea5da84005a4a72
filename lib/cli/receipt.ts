import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { fail, ok, summary, type Check } from '../client/check.js'
import { IDPartnerError, printable } from '../errors.js'
import {
  verifyReceipt,
  verifyRedactedReceipt,
  type TrustAnchors,
  type VerifyReceiptOptions,
} from '../receipt/index.js'
import { readText } from './key-file.js'
import { report } from './report.js'
import { CannotRun, type Terminal } from './terminal.js'

interface Options {
  jwks: string
  issuers?: string
  at?: string
  clientId?: string
  redacted?: true
  showClaims?: true
  json?: true
}

/** In bytes; a receipt of that length cannot be good. */
const MAX_BYTES = 16 * 1024 * 1024

/** In a time without a zone it would depend on the machine what is proven. */
const MOMENT = /^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?$/

/** What belonged to that one login; it is of no use to a reader. */
const OF_THE_LOGIN = /^(nonce|jti|sid|.*_hash)$/

/** `receipt verify`: whether a receipt is what was sealed at a login. */
export function receiptCommand(receipt: Command, terminal: Terminal, ended: (code: number) => void): void {
  receipt
    .command('verify')
    .description('say whether a receipt is what was sealed at a login; asks nobody')
    .argument('<FILE>', 'the receipt as it was made')
    .requiredOption('--jwks <FILE>', 'the public keys that the application sealed with, of all those years')
    .option(
      '--issuers <FILE>',
      'keys of IDPartner and the banks from an archive: { "ISSUER": { "keys": [ … ] } }',
    )
    .option('--at <ISO>', 'the moment as of which is judged (default: now)')
    .option('--client-id <ID>', 'whose receipt it has to be')
    .option('--redacted', 'it is a redacted one')
    .option('--show-claims', 'print what is said of the person as well')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nNothing is sent to anybody. Exit codes: 0 proven, 1 refused, 2 could not run.')
    .action(async (file: string, { json, ...options }: Options) => {
      const found = summary(await examine(file, options))
      report(found, json, terminal)
      ended(found.ok ? 0 : 1)
    })
}

async function examine(file: string, { redacted, showClaims, ...options }: Options): Promise<Check[]> {
  if (redacted && showClaims) throw new CannotRun('a redacted receipt has no claims to show')
  const given = await readOptions(options)
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  )
  if (size > MAX_BYTES) throw new CannotRun(`${file} is too large for a receipt`)
  // Editors end a file with a new line.
  const receipt = (await readText(file)).replace(/\r?\n$/, '')
  try {
    return redacted ? await ofRedacted(receipt, given) : await ofFull(receipt, given, showClaims)
  } catch (err) {
    if (!(err instanceof IDPartnerError) || err.code !== 'token_invalid') throw err
    return [fail('receipt', err.message, 'do not rely on it; docs/receipt.md says what it would have proven')]
  }
}

async function ofRedacted(receipt: string, given: VerifyReceiptOptions): Promise<Check[]> {
  const { checks, ended } = await verifyRedactedReceipt(receipt, given)
  return [
    ok('receipt', `sealed by the application for a login at ${iso(ended)}; it proves nothing of a person`),
    ...rows(checks),
  ]
}

async function ofFull(
  receipt: string,
  given: VerifyReceiptOptions,
  showClaims: boolean | undefined,
): Promise<Check[]> {
  const { issuer, checks, ended, keysKnownBy, claims, userInfo } = await verifyReceipt(receipt, given)
  const known =
    keysKnownBy === 'issuers' ? 'known from the archive' : 'those of IDPartner and the bank on its word'
  return [
    ok('receipt', `sealed by the application for a login at ${iso(ended)}, with ${shown(issuer)}`),
    ok('keys', `the keys are ${known}`),
    ...rows(checks),
    ...(showClaims ? [...said('claim', claims), ...said('userinfo', userInfo ?? {})] : []),
  ]
}

function rows(checks: object): Check[] {
  return Object.entries(checks as Record<string, { at: number; made: string[] }>).map(
    ([name, { at, made }]) =>
      ok(name, `${made.map((one) => printable(one) ?? 'an unknown check').join(', ')}, at ${iso(at)}`),
  )
}

function said(by: string, claims: object): Check[] {
  return Object.entries(claims)
    .filter(([name]) => !OF_THE_LOGIN.test(name))
    .map(([name, value]) => ok(`${by} ${shown(name)}`, shown(JSON.stringify(value))))
}

/** Harmless to print, on one line, and still the same JSON. */
function shown(value: string): string {
  return value.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

async function readOptions({ jwks, issuers, at, clientId }: Options): Promise<VerifyReceiptOptions> {
  const trustAnchors = {
    application: await readJson(jwks),
    ...(issuers !== undefined && { issuers: await readJson(issuers) }),
  } as TrustAnchors
  if (at !== undefined && !(MOMENT.test(at) && Number.isFinite(Date.parse(at)))) {
    throw new CannotRun('--at has to be as 2026-11-26 or 2026-11-26T12:00:00Z')
  }
  return {
    trustAnchors,
    ...(at !== undefined && { at: new Date(at) }),
    ...(clientId !== undefined && { client_id: clientId }),
  }
}

async function readJson(file: string): Promise<unknown> {
  const text = await readText(file)
  try {
    return JSON.parse(text)
  } catch {
    throw new CannotRun(`${file} is no JSON`)
  }
}

function iso(seconds: number): string {
  const date = new Date(seconds * 1000)
  return Number.isNaN(date.getTime()) ? 'a time that is none' : date.toISOString()
}
