import { IDPartner } from '../client/idpartner.js'
import { IDPartnerError } from '../errors.js'
import { PassportStrategy, type ExpressRequest, type Landings } from './host.js'
import {
  resolveStrategyOptions,
  type AuthenticateOptions,
  type IDPartnerStrategyOptions,
  type LoginOptions,
  type TenantOptions,
} from './options.js'
import { deliver, failed, type Outcome } from './outcome.js'
import { outcomeOf } from './passes.js'
import { forbidCaching } from './response-headers.js'
import { isSpeculative } from './speculative.js'
import { Tenants, type OptionsOf, type Tenant } from './tenants.js'
import type { Verify, VerifyWithRequest } from './verify.js'
import { watched } from './watched.js'

/** What a strategy is made of. */
type Given<Req extends object, Option = unknown> =
  (IDPartnerStrategyOptions<Req> & Option) | OptionsOf<Req, TenantOptions<Req> & Option>

/**
 * The Passport strategy: sends a person to their bank through IDPartner, and on the way back hands their claims to
 * `verify`.
 *
 * Does not decide who may use the application, and does not keep tokens: `verify` does, or does not.
 */
export class IDPartnerStrategy<Req extends object = ExpressRequest> extends PassportStrategy {
  readonly name: string
  /** Not private by syntax: Passport calls strategies through Object.create(), where no #member can be reached. */
  protected readonly tenants: Tenant<Req> | Tenants<Req>

  /**
   * @param options or a function that finds those of the tenant that a request is for
   * @throws {IDPartnerError} `config_invalid`, with a message that names the option; with a function not here but in each
   *   request
   */
  constructor(options: Given<Req, { passReqToCallback: true }>, verify: VerifyWithRequest<Req>)
  /**
   * @param options or a function that finds those of the tenant that a request is for
   * @throws {IDPartnerError} `config_invalid`, with a message that names the option; with a function not here but in each
   *   request
   */
  constructor(options: Given<Req, { passReqToCallback?: false | undefined }>, verify: Verify)
  constructor(options: Given<Req>, verify: Verify | VerifyWithRequest<Req>) {
    super()
    if (typeof options === 'function') {
      this.tenants = new Tenants(options, verify)
      this.name = this.tenants.name
      return
    }
    const { name, settings, config } = resolveStrategyOptions(options, verify)
    this.name = name
    this.tenants = { client: new IDPartner(config), settings }
    this.tenants.client.assertSeals(settings.receipt)
  }

  /**
   * The protocol client, for {@link jwksRouter} and for calls after login.
   *
   * @throws {IDPartnerError} `config_invalid` where each tenant has its own: see {@link IDPartnerStrategy.clientOf}
   */
  get client(): IDPartner {
    if (!(this.tenants instanceof Tenants)) return this.tenants.client
    throw new IDPartnerError(
      'config_invalid',
      'the options of this strategy are a function, so each tenant has a client of its own: await strategy.clientOf(req)',
    )
  }

  /**
   * The protocol client of the tenant that a request is for.
   *
   * @throws {IDPartnerError} `config_invalid`, and what the function threw that gives the options
   */
  async clientOf(req: Req): Promise<IDPartner> {
    return (await this.tenantOf(req)).client
  }

  /**
   * What every login of a tenant asks for.
   * @internal
   */
  async askedOf(req: Req): Promise<LoginOptions> {
    return (await this.tenantOf(req)).settings.login
  }

  private async tenantOf(req: Req): Promise<Tenant<Req>> {
    return this.tenants instanceof Tenants ? this.tenants.of(req) : this.tenants
  }

  /** Called by Passport for each request; ends in exactly one of redirect, success, fail and error. */
  authenticate(req: object, options: AuthenticateOptions = {}): void {
    forbidCaching(req)
    const outcome = isSpeculative(req)
      ? Promise.resolve(failed(speculative()))
      : this.passOf(req as Req, options)
    void outcome.then((one) => {
      deliver(this, req, options as Landings, one)
    })
  }

  private passOf(req: Req, options: AuthenticateOptions): Promise<Outcome> {
    const { tenants } = this
    const pass = (tenant: Tenant<Req>): Promise<Outcome> =>
      watched(tenant.client.log, (seen) => outcomeOf(tenant, req, options, seen))
    return tenants instanceof Tenants ? tenants.of(req).then(pass, failed) : pass(tenants)
  }
}

function speculative(): IDPartnerError {
  return new IDPartnerError(
    'response_invalid',
    'a prefetch, a preview or a request that is neither GET nor POST begins no login and ends none',
    { status: 503 },
  )
}
