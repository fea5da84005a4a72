import { IDPartnerError } from '../errors.js'

/**
 * The JSON that an answer holds; nothing for one without a body (204).
 *
 * Does not look at what the JSON says.
 *
 * @param what whose answer this is, for the message: `the keys of the bank login.bank.example`
 * @throws {IDPartnerError} `provider_unavailable`
 */
export async function jsonOf(response: Response, what: string): Promise<unknown> {
  if (!response.ok) throw unusableAnswer(what, response.status)
  if (response.status === 204) return undefined
  return response.json().catch((err: unknown) => {
    throw unusableAnswer(what, response.status, err)
  })
}

/** An HTTP answer that says nothing we could use. */
export function unusableAnswer(what: string, status: number | undefined, cause?: unknown): IDPartnerError {
  const how =
    status === undefined || status < 300
      ? 'with something else than the JSON it should'
      : `with HTTP ${String(status)}`
  return new IDPartnerError('provider_unavailable', `${what} answered ${how}`, {
    cause,
    // 429 and 503 are both temporary, so both tell the visitor to come back.
    status: status === 503 || status === 429 ? 503 : 502,
  })
}
