import * as oidc from 'openid-client'
import type { IDPartnerError } from '../errors.js'
import { Cached, type About } from '../net/cached.js'
import type { ResolvedConfig } from './config.js'
import { logNotRenewed } from './log.js'
import { nearlySpelled } from './issuer-spelling.js'
import type { Http } from '../net/http.js'
import { shallow } from '../net/json.js'
import { partyOf } from './party.js'
import { badMetadata, issuerInstead, providerFailure } from './provider-failure.js'
import { leaveTransportToHttp } from './openid-client-settings.js'
import { usedMetadata, type ProviderMetadata } from './provider-metadata.js'
import { remoteKeys, type FindKeys } from '../jwt/remote-keys.js'

/** Endpoints seldom move, so that no login waits to hear that they have not. */
const TTL = 10 * 60_000

/** Far more banks than one application meets; a bound all the same, since a `trusted_issuers` function may allow any. */
const MAX_ISSUERS = 1000

type Config = Parameters<typeof partyOf>[1] & Partial<Pick<ResolvedConfig, 'trusted_issuers' | 'log'>>

interface Issuer {
  metadata: Cached<ProviderMetadata>
  keys: FindKeys
}

/** What providers publish of themselves: discovery documents and keys, shared by all logins. */
export class Issuers {
  readonly #http: Http
  readonly #config: Config
  readonly #known = new Map<string, Issuer>()

  constructor(http: Http, config: Config) {
    this.#http = http
    this.#config = config
  }

  /**
   * What is used of the discovery document of an issuer.
   *
   * Does not decide whether the issuer may be asked: the caller has to have allowed it.
   *
   * @throws {IDPartnerError} `provider_unavailable`
   * @see https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
   */
  metadata(issuer: string): Promise<ProviderMetadata> {
    return this.#of(issuer).metadata.get()
  }

  /** The same as it is in memory, if it is: asks nobody. */
  known(issuer: string): ProviderMetadata | undefined {
    return this.#known.get(issuer)?.metadata.known
  }

  keys(issuer: string): FindKeys {
    return this.#of(issuer).keys
  }

  #of(issuer: string): Issuer {
    const known = this.#known.get(issuer)
    if (known) return known
    const party = partyOf(issuer, this.#config)
    const about = (what: string): Omit<About, 'document'> => ({
      issuer,
      notRenewed: (err, age) => {
        logNotRenewed(this.#config.log, `${what} of ${party}`, err, age)
      },
    })
    const metadata = new Cached((slot) => this.#discover(issuer, party, slot), {
      ttl: TTL,
      about: { ...about('the discovery document'), document: 'metadata' },
    })
    const jwksUri = async (): Promise<string> => {
      const { jwks_uri } = await metadata.get()
      if (jwks_uri === undefined) throw badMetadata(party, 'names no jwks_uri')
      return jwks_uri
    }
    const keys = remoteKeys(this.#http, `the keys of ${party}`, jwksUri, about('the keys'), issuer)
    const [oldest] = this.#known.keys()
    if (oldest !== undefined && this.#known.size >= MAX_ISSUERS) this.#known.delete(oldest)
    this.#known.set(issuer, { metadata, keys })
    return { metadata, keys }
  }

  async #discover(issuer: string, party: string, slot: () => Promise<void>): Promise<ProviderMetadata> {
    const what = `the discovery document of ${party}`
    let metadata: ProviderMetadata
    try {
      // The client id is not used: of the Configuration only the metadata is kept.
      const configuration = await oidc.discovery(new URL(issuer), 'unused', undefined, oidc.None(), {
        [oidc.customFetch]: async (url, { headers }) =>
          shallow(await this.#http.get(url, { what, headers, slot }), what),
        execute: [leaveTransportToHttp],
      })
      metadata = usedMetadata(configuration.serverMetadata())
    } catch (err) {
      const instead = issuerInstead(err)
      if (instead !== undefined) throw this.#otherIssuer(issuer, party, instead)
      throw providerFailure(err, { what, sent: [] }, 'provider_unavailable')
    }
    // Discovery 4.3 wants the identical string; openid-client forgives a missing slash, with which tokens would
    // then disagree.
    if (metadata.issuer !== issuer) throw this.#otherIssuer(issuer, party, metadata.issuer)
    return metadata
  }

  #otherIssuer(issuer: string, party: string, found: string): IDPartnerError {
    if (nearlySpelled(found, [issuer]) === undefined) return badMetadata(party, 'is that of another issuer')
    const { oidc_proxy_service_url, trusted_issuers } = this.#config
    const configured = (option: string, whom: string): string =>
      `"${option}" has ${issuer}: spell it as ${whom} does`
    const asked =
      issuer === oidc_proxy_service_url
        ? configured('oidc_proxy_service_url', 'IDPartner')
        : typeof trusted_issuers === 'object'
          ? configured('trusted_issuers', 'the bank')
          : `it was asked for as ${issuer}`
    return badMetadata(party, `says that its issuer is ${found}, but ${asked}`)
  }
}
