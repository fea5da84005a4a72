import { types } from 'node:util'
import { IDPartner } from '../client/idpartner.js'
import { badOption } from '../client/option-errors.js'
import { Publications } from '../client/published.js'
import { IDPartnerError } from '../errors.js'
import { isTimeout, within } from '../net/deadline.js'
import type { ExpressRequest } from './host.js'
import { resolveStrategyOptions, type Settings, type TenantOptions } from './options.js'
import { Memory } from './session-logins.js'
import type { Verify, VerifyWithRequest } from './verify.js'

/** Finds the options of the tenant that a request is for; what it throws goes to Passport as it is. */
export type OptionsOf<Req extends object = ExpressRequest, Options = TenantOptions<Req>> = (
  req: Req,
) => Options | Promise<Options>

/** What a strategy does a login with. */
export interface Tenant<Req extends object> {
  client: IDPartner
  settings: Readonly<Settings<Req>>
}

interface Known<Req extends object> extends Tenant<Req> {
  /** A copy of what the client was made of. */
  options: unknown
}

/** Clients that are kept, those used last; the others are made anew when they are needed. */
const MAX_TENANTS = 1000

/** Milliseconds that the application has to find the options. */
const MAX_WAIT = 5000

/** Options of Passport and of the session, which are there before any tenant is known. */
const NOT_A_TENANTS = ['name', 'sessionKey']

/**
 * The tenants of an application, each with a client of its own, which lives as long as its options stay the same.
 *
 * They share what banks publish, and which answers were used.
 */
export class Tenants<Req extends object> {
  readonly name = 'idpartner'
  readonly #optionsOf: OptionsOf<Req>
  readonly #verify: Verify | VerifyWithRequest<Req>
  readonly #publications = new Publications()
  readonly #memory = new Memory()
  /** The one used last stands last. */
  readonly #known = new Map<string, Known<Req>>()

  constructor(optionsOf: OptionsOf<Req>, verify: Verify | VerifyWithRequest<Req>) {
    if (typeof verify !== 'function') {
      throw new IDPartnerError('config_invalid', 'the second argument must be the verify function')
    }
    this.#optionsOf = optionsOf
    this.#verify = verify
  }

  /** @throws {IDPartnerError} `config_invalid` for options that are none; and what the application's function throws */
  async of(req: Req): Promise<Tenant<Req>> {
    const options = await this.#ask(req)
    const { tenant } = options
    const known = this.#known.get(tenant)
    const one = known && isSame(known.options, options) ? known : this.#make(options, known)
    this.#known.delete(tenant)
    const [oldest] = this.#known.keys()
    if (oldest !== undefined && this.#known.size >= MAX_TENANTS) this.#known.delete(oldest)
    this.#known.set(tenant, one)
    return one
  }

  async #ask(req: Req): Promise<TenantOptions<Req>> {
    const options: unknown = await within(MAX_WAIT, async () => this.#optionsOf(req)).catch(
      (err: unknown) => {
        if (!isTimeout(err)) throw err
        throw new IDPartnerError(
          'config_invalid',
          'the function that gives the options of a tenant did not answer within 5 s',
        )
      },
    )
    if (typeof options !== 'object' || options === null) {
      throw new IDPartnerError(
        'config_invalid',
        'the function that gives the options of a tenant returned none; for a request of nobody let it throw an error with a status, such as 404',
      )
    }
    for (const name of NOT_A_TENANTS) {
      if ((options as Record<string, unknown>)[name] === undefined) continue
      throw badOption(
        name,
        'belongs to all tenants; give the strategy another name with passport.use(name, strategy)',
      )
    }
    const { tenant } = options as Partial<TenantOptions<Req>>
    if (typeof tenant !== 'string' || tenant === '') {
      throw badOption('tenant', 'is required of each tenant: a text that always names it')
    }
    return asData(options) as TenantOptions<Req>
  }

  #make(options: TenantOptions<Req>, earlier: Known<Req> | undefined): Known<Req> {
    const copy = copyOf(options)
    const { settings, config } = resolveStrategyOptions(options, this.#verify, this.#memory)
    const client = new IDPartner(config, { publications: this.#publications, earlier: earlier?.client })
    client.assertSeals(settings.receipt)
    const { routes } = earlier?.settings ?? settings
    return { client, settings: { ...settings, routes }, options: copy }
  }
}

/** Of a row that a database has made an object of, whose class says nothing, what it holds. */
function asData(options: object): object {
  if (isPlain(options)) return options
  const data: Record<string, unknown> = {}
  for (const name in options) data[name] = (options as Record<string, unknown>)[name]
  return data
}

/** Deeper than any option; what goes on below is taken for another. */
const MAX_DEPTH = 10

/** What an application changes in an object that it has given us is then seen. */
function copyOf(value: unknown, depth = 0): unknown {
  if (Buffer.isBuffer(value)) return Buffer.from(value)
  if (value instanceof URL) return new URL(value)
  if (!isPlain(value) || depth > MAX_DEPTH) return value
  if (Array.isArray(value)) return value.map((one) => copyOf(one, depth + 1))
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, copyOf(one, depth + 1)]))
}

/** Whether two values are the same data; functions and whatever has a class of its own have to be the very same. */
function isSame(one: unknown, other: unknown, depth = 0): boolean {
  if (Object.is(one, other)) return true
  if (Buffer.isBuffer(one)) return Buffer.isBuffer(other) && one.equals(other)
  if (types.isKeyObject(one)) return types.isKeyObject(other) && one.equals(other)
  if (one instanceof URL) return other instanceof URL && one.href === other.href
  if (!isPlain(one) || !isPlain(other) || depth > MAX_DEPTH) return false
  if (Array.isArray(one) !== Array.isArray(other)) return false
  const names = Object.keys(one)
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isSame(one[name], other[name], depth + 1))
  )
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  // Of whatever realm: its prototype is the last.
  return Array.isArray(value) || prototype === null || Object.getPrototypeOf(prototype) === null
}
