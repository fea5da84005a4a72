import { IDPartnerError, isError } from '../errors.js'

/** Why a request came to nothing, in the words that follow the party's name in a message. */
export class RequestFailure extends Error {
  override readonly name: string = 'RequestFailure'
  /** The HTTP status of the application's own answer. */
  readonly status: number

  constructor(message: string, status = 502, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.status = status
  }
}

const NOT_REACHED = 'was not reached: '

/** A request that got no connection to where it should go, since what is in between opened none. */
export class NotReached extends RequestFailure {
  override readonly name = 'NotReached'

  constructor(why: string, status: number, cause?: unknown) {
    super(`${NOT_REACHED}${why}`, status, cause)
  }

  /** Why, of what may be the copy of such a failure that our errors have as their cause. */
  static reasonOf(cause: unknown): string | undefined {
    return isError(cause) && cause.name === 'NotReached' ? cause.message.slice(NOT_REACHED.length) : undefined
  }
}

/** How Node and OpenSSL name what went wrong. */
export function errorCode(err: unknown): string {
  if (!isError(err) || !('code' in err) || typeof err.code !== 'string') return 'unknown'
  // How OpenSSL ended a handshake; Node says it in the code itself where nothing was being written.
  const [, reason] = (err.code === 'EPROTO' && /:SSL routines:[^:]*:([\w ]+):/.exec(err.message)) || []
  return reason === undefined ? err.code : `ERR_SSL_${reason.toUpperCase().replaceAll(' ', '_')}`
}

/** A host has no bound of its own, and every message of ours ends within 300 characters. */
const MAX_WHAT = 150

/** The error of a request that came to nothing. The URL stays out of it: its path and query may hold anything, a token included. */
export function unavailable(what: string, why: string, cause?: unknown, status?: number): IDPartnerError {
  const who = what.length > MAX_WHAT ? `${what.slice(0, MAX_WHAT)}…` : what
  return new IDPartnerError('provider_unavailable', `${who} ${why}`, { cause, status })
}

/** How it looks when a server ends a connection: many do, where a client certificate is missing. */
const BROKEN_OFF = ['ECONNRESET', 'EPIPE', 'EPROTO']

/** Why a connection came to nothing, and which option may be behind it. */
export function connectionText(err: unknown): string {
  const code = errorCode(err)
  if (code.startsWith('ERR_SSL_') || BROKEN_OFF.includes(code)) {
    return `broke the connection off (${code}); if this bank asks for a client certificate, check tls_client_cert`
  }
  if (/CERT|SIGNATURE|ISSUER/.test(code)) {
    return `showed a certificate that is not trusted (${code}); see the option "tls_server_ca"`
  }
  return `could not be reached (${code})`
}
