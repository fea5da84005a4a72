import { isError } from '../errors.js'

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
