import { decodeProtectedHeader, errors } from 'jose'
import { IDPartnerError, type ErrorCode } from '../errors.js'

/** Whose JWT this is, in messages, and which code its refusal has. */
export interface JwtKind {
  code: Extract<ErrorCode, 'response_invalid' | 'token_invalid'>
  what: string
  /** How client registration calls it: its algorithm is `…_signed_response_alg`. None for IDPartner's own. */
  registered?: 'authorization' | 'id_token' | 'userinfo'
}

export function invalidJwt({ code, what }: JwtKind, why: string, cause?: unknown): IDPartnerError {
  return new IDPartnerError(code, `${what} ${why}`, { cause })
}

export function wrongClaim(kind: JwtKind, name: string): IDPartnerError {
  return invalidJwt(kind, `has a wrong or missing "${name}"`)
}

/** Names both: most often they differ in a slash at the end, in http for https, or in localhost for 127.0.0.1. */
export function wrongIssuer(
  kind: JwtKind,
  came: unknown,
  wanted: string | undefined,
  cause?: unknown,
): IDPartnerError {
  const which = wanted === undefined ? '' : `, and ${printableUrl(wanted)} is wanted`
  return invalidJwt(kind, `has a wrong or missing "iss": ${printableUrl(came)} came${which}`, cause)
}

/** The protected header of a JWS or a JWE. */
export function parsedHeader(jwt: string, kind: JwtKind, otherwise: string): Record<string, unknown> {
  try {
    return decodeProtectedHeader(jwt)
  } catch (err) {
    throw invalidJwt(kind, otherwise, safeCause(err))
  }
}

/** jose quotes the name of a header that it does not know, which is the sender's text. */
export function safeCause(err: unknown): unknown {
  return err instanceof errors.JOSENotSupported ? new Error('a header is not supported') : err
}

/** An issuer for messages: a URL of harmless characters, and not more of it than a line has room for. */
export function printableUrl(value: unknown): string {
  if (value === undefined) return 'none'
  return typeof value === 'string' && /^https?:\/\/[\w.:/~[\]-]+$/.test(value)
    ? shortened(value)
    : 'one that is no plain URL'
}

export function shortened(text: string, most = 80): string {
  return text.length > most ? `${text.slice(0, most)}…` : text
}
