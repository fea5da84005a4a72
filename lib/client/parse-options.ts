import * as v from 'valibot'
import { IDPartnerError } from '../errors.js'
import { CONFIG_OPTIONS } from './config-schema.js'
import { badOption, unknownOption } from './option-errors.js'

/**
 * Parses options with a schema; the first thing wrong becomes an error that names the option.
 *
 * @param missing what is said where there are no options
 */
export function parseOptions<T extends v.GenericSchema>(
  schema: T,
  options: unknown,
  missing = 'options are required: an object with at least client_id and callback',
): v.InferOutput<T> {
  if (typeof options !== 'object' || options === null) throw new IDPartnerError('config_invalid', missing)
  const result = v.safeParse(schema, options, { abortPipeEarly: true })
  if (result.success) return result.output
  const [issue] = result.issues
  const name = v.getDotPath(issue)?.split('.')[0] ?? 'options'
  if (issue.expected === 'never') throw unknownOption(name, namesIn(schema) ?? CONFIG_OPTIONS)
  if ((options as Record<string, unknown>)[name] === undefined) throw badOption(name, 'is required')
  throw badOption(name, issue.message)
}

/** The options that a schema knows. */
function namesIn(schema: v.GenericSchema): string[] | undefined {
  return 'entries' in schema ? Object.keys(schema.entries as object) : undefined
}
