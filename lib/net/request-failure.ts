/** Why a request came to nothing, in the words that follow the party's name in a message. */
export class RequestFailure extends Error {
  override readonly name = 'RequestFailure'
  /** The HTTP status of the application's own answer. */
  readonly status: number

  constructor(message: string, status = 502) {
    super(message)
    this.status = status
  }
}
