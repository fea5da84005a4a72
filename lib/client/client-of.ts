import { IDPartnerError } from '../errors.js'
import type { IDPartner } from './idpartner.js'

/** Finds the client of the tenant that a request is for, such as `(req) => strategy.clientOf(req)`. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the request as the host has it
export type ClientOf = (req: any) => IDPartner | Promise<IDPartner>

/** @throws {IDPartnerError} `config_invalid` for what is neither a client nor a function; the function, for what is no client */
export function asClientOf(
  client: IDPartner | ClientOf,
  router: string,
  example: string,
): (req: object) => Promise<IDPartner> {
  if (typeof client === 'function') {
    return async (req) => {
      const found: unknown = await client(req)
      if (isClient(found)) return found
      throw new IDPartnerError('config_invalid', `the function that was passed to ${router} found no client`)
    }
  }
  if (isClient(client)) return () => Promise.resolve(client)
  throw new IDPartnerError(
    'config_invalid',
    `${router} needs the client, which a strategy has in it: ${example}; or a function where each tenant has its own: (req) => strategy.clientOf(req)`,
  )
}

function isClient(value: unknown): value is IDPartner {
  return typeof (value as Partial<IDPartner> | undefined | null)?.getPublicJWKs === 'function'
}
