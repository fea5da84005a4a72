import { badOption } from './option-errors.js'

/** What is wrong with the parameters that are JSON, by their names; nothing where nothing is. */
const PROBLEMS: Readonly<Record<string, (value: unknown) => string | undefined>> = {
  claims: claimsProblem,
  authorization_details: detailsProblem,
}

/**
 * A copy of a parameter whose value is an object, as JSON has it.
 *
 * @throws {IDPartnerError} `config_invalid`, which names the parameter and nothing in it
 */
export function jsonOf(name: string, value: object): object {
  const why = (PROBLEMS[name] ?? jsonProblem)(value)
  if (why !== undefined) throw badOption(name, why)
  return JSON.parse(JSON.stringify(value)) as object
}

/** Of "claims" (Core, section 5.5): a name that is not understood there would ask for nothing, and say nothing. */
export function claimsProblem(value: unknown): string | undefined {
  if (!isObject(value)) return 'must be an object with "id_token", "userinfo" or both'
  for (const [place, claims] of Object.entries(value)) {
    if (!['id_token', 'userinfo'].includes(place)) return 'must have "id_token" and "userinfo" alone'
    if (claims === undefined) continue
    if (!isObject(claims)) return `must have an object of claims as "${place}"`
    const isRequest = (name: string, asked: unknown): boolean =>
      asked === undefined ||
      asked === null ||
      isObject(asked) ||
      (name === 'verified_claims' && Array.isArray(asked) && asked.every(isObject))
    if (!Object.entries(claims).every(([name, asked]) => isRequest(name, asked))) {
      return `must ask in "${place}" for each claim with null or an object, such as { email: { essential: true } }`
    }
  }
  return jsonProblem(value)
}

/** Of "authorization_details" (RFC 9396, section 2). */
export function detailsProblem(value: unknown): string | undefined {
  const isDetail = (one: unknown): boolean =>
    isObject(one) && typeof one['type'] === 'string' && one['type'] !== ''
  if (!Array.isArray(value) || !value.every(isDetail)) return 'must be a list of objects, each with a "type"'
  return jsonProblem(value)
}

function jsonProblem(value: unknown): string | undefined {
  try {
    JSON.stringify(value)
    return undefined
  } catch {
    // The cause is left out: it may quote what a person is asked to allow.
    return 'must be JSON, which has no cycles and no bigint'
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
