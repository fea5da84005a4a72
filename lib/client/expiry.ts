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
  if (cert !== undefined) warn(from, Math.min(...ends(cert)), log)
  if (ca !== undefined) warn('tls_server_ca', Math.max(...ends(ca)), log)
}

function ends(pem: string | Buffer): number[] {
  return certificates('', pem).map(({ validTo }: X509Certificate) => Date.parse(validTo))
}

function warn(option: string, end: number, log: Log | undefined): void {
  const days = Math.floor((end - Date.now()) / DAY)
  if (days >= SOON) return
  const expires = new Date(end).toISOString()
  const when = days < 0 ? `expired on ${expires}` : `expires in ${String(days)} days, on ${expires}`
  writeLog(log, 'warn', `the certificate of "${option}" ${when}: replace it`)
  publish('expiring', { option, expires, days })
}
