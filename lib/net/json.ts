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
  const json = await deepJsonOf(response, what)
  if (isTooDeep(json)) throw unusableAnswer(what, response.status)
  return json
}

/** The same at any depth, for who picks what is understood and ignores the rest. */
export async function deepJsonOf(response: Response, what: string): Promise<unknown> {
  if (!response.ok) throw unusableAnswer(what, response.status)
  if (response.status === 204) return undefined
  return response.json().catch((err: unknown) => {
    throw unusableAnswer(what, response.status, err)
  })
}

/** Far deeper than anything in this protocol; what follows it down, such as a session store, has to end somewhere. */
const MAX_DEPTH = 32

/** Whether JSON from outside is nested so deeply that it would bring down who serialises it. */
export function isTooDeep(json: unknown, levels = MAX_DEPTH): boolean {
  if (typeof json !== 'object' || json === null) return false
  return levels === 0 || Object.values(json).some((member) => isTooDeep(member, levels - 1))
}

/**
 * An answer whose JSON somebody else parses, if it is not nested too deeply: see {@link shallowText}.
 *
 * @throws {IDPartnerError} `provider_unavailable`
 */
export async function shallow(response: Response, what: string): Promise<Response> {
  // Response refuses a text where there is no body.
  if (response.body === null) return response
  // Read and made anew: clone() would have each chunk copied by two streams, which costs a login more than its parsing.
  return new Response(await shallowText(response, what), response)
}

/**
 * The text of an answer, if no JSON in it is nested too deeply.
 *
 * Counts brackets outside of texts, so does not say whether it is JSON.
 *
 * @throws {IDPartnerError} `provider_unavailable`
 */
export async function shallowText(response: Response, what: string): Promise<string> {
  let depth = 0
  let quoted = false
  const text = await response.text()
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (char === '"') quoted = !quoted
    else if (quoted) at += char === '\\' ? 1 : 0
    else if (char === '{' || char === '[') depth++
    else if (char === '}' || char === ']') depth--
    if (depth > MAX_DEPTH) throw unusableAnswer(what, response.status)
  }
  return text
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
