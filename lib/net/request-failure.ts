import { isError } from '../errors.js'

/** Why a request came to nothing, in the words that follow the party's name in a message. */
export class RequestFailure extends Error {
  override readonly name = 'RequestFailure'
  /** The HTTP status of the application's own answer. */
  readonly status: number

  constructor(message: string, status = 502, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.status = status
  }
}

/** How Node and OpenSSL name what went wrong. */
export function errorCode(err: unknown): string {
  if (!isError(err) || !('code' in err) || typeof err.code !== 'string') return 'unknown'
  // How OpenSSL ended a handshake; Node says it in the code itself where nothing was being written.
  const [, reason] = (err.code === 'EPROTO' && /:SSL routines:[^:]*:([\w ]+):/.exec(err.message)) || []
  return reason === undefined ? err.code : `ERR_SSL_${reason.toUpperCase().replaceAll(' ', '_')}`
}
