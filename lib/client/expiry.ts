import { X509Certificate } from 'node:crypto'
import { publish } from '../events.js'
import type { ClientTls } from '../net/http.js'
import { certificates } from './certificates.js'
import { writeLog, type Log } from './log.js'

const DAY = 24 * 60 * 60_000

/** Days before its end in which a certificate should be replaced. */
export const SOON = 30

/**
 * Says which certificates end within a month, or have ended.
 *
 * @param from the option of the client certificate
 */
export function warnOfExpiry({ cert, ca }: ClientTls, from: string, log: Log | undefined): void {
  // Of those the bank has to like, the first to end; of those that are trusted, one is enough.
  if (cert !== undefined) warn(from, lifeOf(cert), log)
  if (ca !== undefined) warn('tls_server_ca', untilThen(Math.max(...ends(ca))), log)
}

/** How long a client certificate lives that is sent with those that issued it: no longer than any of them. */
export function lifeOf(cert: string | Buffer): { days: number; expires: string } {
  return untilThen(Math.min(...ends(cert)))
}

function untilThen(end: number): { days: number; expires: string } {
  return { days: Math.floor((end - Date.now()) / DAY), expires: new Date(end).toISOString() }
}

function ends(pem: string | Buffer): number[] {
  return certificates('', pem).map(({ validTo }: X509Certificate) => Date.parse(validTo))
}

function warn(option: string, { days, expires }: ReturnType<typeof lifeOf>, log: Log | undefined): void {
  if (days >= SOON) return
  const when = days < 0 ? `expired on ${expires}` : `expires in ${String(days)} days, on ${expires}`
  writeLog(log, 'warn', `the certificate of "${option}" ${when}: replace it`)
  publish('expiring', { option, expires, days })
}
