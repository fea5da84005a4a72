import { IDPartnerError } from '../../lib/errors.js'

/** The error that a call throws, which has to be one of ours. */
export function thrown(call: () => unknown): IDPartnerError {
  try {
    call()
  } catch (err) {
    if (err instanceof IDPartnerError) return err
    throw err
  }
  throw new Error('the call succeeded')
}
