import { types } from 'node:util'

/**
 * Every code an {@link IDPartnerError} can carry, with its HTTP status where an error has none of its own. Below 500 it
 * is a failure of this login (`fail`), from 500 on something is broken behind us (`error`). docs/errors.md
 * has a row for each, with what to do about it.
 */
const STATUS = {
  access_denied: 401,
  login_missing: 401,
  response_invalid: 401,
  provider_refused: 403,
  provider_error: 502,
  provider_unavailable: 502,
  token_invalid: 502,
  config_invalid: 500,
} as const

/** What went wrong: a closed list, so that a `switch` can be complete. docs/errors.md says what to do about each. */
export type ErrorCode = keyof typeof STATUS

export const ERROR_CODES = Object.keys(STATUS) as ErrorCode[]

/** Why no pending login belongs to an answer: the `reason` of `login_missing`. */
export type MissingReason = 'no_session' | 'no_login' | 'expired' | 'already_used'

/** What a failure may carry beside its code and message. */
export interface ErrorDetails {
  /** The error underneath; only its name, message and code are kept, never what it had in hand. */
  cause?: unknown
  /** HTTP status for the application's own answer; each code has a default. Below 500 is `fail`, from 500 on `error`. */
  status?: number | undefined
  reason?: MissingReason | undefined
  /** The OAuth error name the bank gave, such as `login_required`. */
  providerError?: string | undefined
  /** The `x-fapi-interaction-id` of the login. */
  interactionId?: string | undefined
}

/**
 * The one class of every failure of this package.
 *
 * Its message is our own text and safe to show; it never holds what the browser or the bank wrote, nor a code,
 * token, key or claim. `status` and `statusCode` are the same number under the names Express and Nest look for, and
 * `expose` and `headers` are what the error handlers of Express, Koa, Fastify and Nest ask an error for besides.
 */
export class IDPartnerError extends Error {
  override readonly name = 'IDPartnerError'
  /** What went wrong, for a program; the message is for a person. */
  readonly code: ErrorCode
  /** The HTTP status for the application's own answer, which is never that of a bank. */
  readonly status: number
  /** The same number, under the name that Nest and Fastify look for. */
  readonly statusCode: number
  /** Only with `login_missing`. */
  declare readonly reason?: MissingReason
  /** Only with `access_denied` and `provider_error`. */
  declare readonly providerError?: string
  /** The `x-fapi-interaction-id` of the login, for support calls with the bank, once it is known. */
  declare readonly interactionId?: string

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    const { cause, status, reason, providerError, interactionId } = details
    super(bounded(message), cause === undefined ? undefined : { cause: withoutPayload(cause) })
    this.code = code
    this.status = status ?? STATUS[code]
    this.statusCode = this.status
    if (reason !== undefined) this.reason = reason
    if (providerError !== undefined) this.providerError = providerError
    if (interactionId !== undefined) this.interactionId = interactionId
  }

  /** The same failure as that of one login; logins that wait for the same thing share the error they fail with. */
  withInteractionId(interactionId: string | undefined): IDPartnerError {
    if (interactionId === undefined) return this
    const { code, message, cause, status, reason, providerError } = this
    const copy = new IDPartnerError(code, message, { cause, status, reason, providerError, interactionId })
    if (this.stack !== undefined) copy.stack = this.stack
    return copy
  }

  /** Whether a host may show the message to the person: not where it is about the application's own settings. */
  get expose(): boolean {
    return this.code !== 'config_invalid'
  }

  /** Headers of the answer: it is of one moment and one login, and what is only too busy may be tried again. */
  get headers(): Record<string, string> {
    return { 'Cache-Control': 'no-store', ...(this.status === 503 && { 'Retry-After': '5' }) }
  }

  /** Whether the person, their browser or their bank's decision is the reason, and nothing is broken behind us. */
  get isFailure(): boolean {
    return this.status < 500
  }
}

/**
 * What a server said when it refused something: the `cause` of our error, for a log and never for a page.
 *
 * The server's words are cut to 300 printable ASCII characters (RFC 6749, section 5.2), so that they cannot forge lines.
 */
export class ErrorResponse extends Error {
  override readonly name = 'ErrorResponse'
  /** The HTTP status, where there is one; the application's own answer never has it. */
  declare readonly status?: number
  declare readonly error_description?: string
  /** The `x-fapi-interaction-id` that the server answered with, by which it finds this in its own log. */
  declare readonly interactionId?: string

  /**
   * @param status none where the words came through the browser, in an answer that the server signed
   * @param sent secrets that the server was told; where it repeats one, that is taken out
   */
  constructor(
    status: number | undefined,
    error: string | undefined,
    description?: unknown,
    sent: readonly string[] = [],
    interactionId?: string,
  ) {
    const words = typeof description === 'string' ? plain(redacted(description, sent)) : undefined
    const said = [error, words].filter(Boolean).join(': ') || (status === undefined ? 'no words' : '')
    super([status === undefined ? '' : `HTTP ${String(status)}`, said].filter(Boolean).join(' '))
    if (status !== undefined) this.status = status
    if (words !== undefined) this.error_description = words
    if (interactionId !== undefined) this.interactionId = interactionId
  }
}

/** In characters; enough for what happened and what to do, and no room to flood a log. */
const MAX_TEXT = 300

function bounded(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT - 1)}…` : text
}

/** The characters that RFC 6749, section 5.2 allows in an `error_description`. */
function plain(text: string): string {
  return text.slice(0, MAX_TEXT).replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '?')
}

function redacted(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text)
}

/** Whether a value is an error, also one of another realm, as Node's own errors are inside jest. */
export function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value)
}

/** The first error of our own in a chain of causes: libraries wrap what our fetch threw. */
export function ownError(err: unknown): IDPartnerError | undefined {
  for (let at = err, depth = 0; isError(at) && depth < 8; at = at.cause, depth++) {
    if (at instanceof IDPartnerError) return at
  }
  return undefined
}

/**
 * A name that came over the wire, such as an OAuth error or an algorithm, if it is harmless to print.
 *
 * RFC 6749, appendix A.7 allows far more characters than any registered name uses; we allow no space and no
 * control character, so that a log line cannot be forged with it.
 */
export function printable(name: unknown): string | undefined {
  return typeof name === 'string' && /^[\w.:+-]{1,64}$/.test(name) ? name : undefined
}

/** What kind of thing failed, in brackets: by a name or a code that is harmless to print; nothing where there is none. */
export function failureKind(err: unknown): string {
  const { name, code } = (err ?? {}) as { name?: unknown; code?: unknown }
  const kind = printable(code) ?? (name === 'Error' ? undefined : printable(name))
  return kind === undefined ? '' : ` (${kind})`
}

/** An error of a library without its text, for a call in which that may quote a secret, such as a token as a header. */
export function withoutText(err: unknown): Error | undefined {
  return isError(err) ? copyOf(err, 'its text is left out, since it may quote a secret') : undefined
}

/**
 * Libraries attach tokens, claims and whole responses to their errors, and `console.error` prints all of it. A
 * SyntaxError of JSON.parse even quotes the text it choked on.
 */
function withoutPayload(cause: unknown, depth = 0): unknown {
  if (cause instanceof IDPartnerError || cause instanceof ErrorResponse) return cause
  if (!isError(cause)) return undefined
  const deeper = depth < 5 ? withoutPayload(cause.cause, depth + 1) : undefined
  const text = cause.name === 'SyntaxError' ? 'the text could not be parsed' : oneLine(cause.message)
  return copyOf(cause, text, deeper)
}

function copyOf(err: Error, text: string, cause?: unknown): Error {
  const copy = new Error(text, cause === undefined ? undefined : { cause })
  copy.name = oneLine(err.name)
  const code = 'code' in err ? err.code : undefined
  if (typeof code === 'string') Object.assign(copy, { code: oneLine(code) })
  copy.stack = `${copy.name}: ${text}${stackLines(err)}`
  return copy
}

/** Control and format characters forge lines of a log, or hide some. */
function oneLine(text: string): string {
  return bounded(text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' '))
}

/** The lines below the message; a message can hold what looks like one of them. */
function stackLines(err: Error): string {
  const head = `${err.name}: ${err.message}`
  return err.stack?.startsWith(head) ? err.stack.slice(head.length) : ''
}
