import { isDeepStrictEqual } from 'node:util'
import { Http, joinUrl } from '../net/http.js'
import { remoteKeys, type FindKeys } from '../jwt/remote-keys.js'
import type { ResolvedConfig } from './config.js'
import { Issuers } from './issuers.js'
import { logNotRenewed } from './log.js'
import { TRUST_DIRECTORY } from './party.js'

/**
 * What IDPartner and the banks publish: discovery documents and keys. It is the same for everybody, and fetched without the
 * application's certificate.
 */
export class Published {
  readonly issuers: Issuers
  readonly trustDirectoryKeys: FindKeys
  readonly #http: Http

  constructor(config: ResolvedConfig) {
    const { tls, trust_directory_service_url, trust_directory_issuer, log } = config
    this.#http = new Http({ ...config, tls: tls.ca === undefined ? {} : { ca: tls.ca } })
    this.issuers = new Issuers(this.#http, config)
    const what = `the keys of ${TRUST_DIRECTORY}`
    this.trustDirectoryKeys = remoteKeys(this.#http, what, joinUrl(trust_directory_service_url, 'jwks'), {
      issuer: trust_directory_issuer,
      notRenewed: (err, age) => {
        logNotRenewed(log, what, err, age)
      },
    })
  }

  /** The connections of a client; its own where it has a certificate to show. */
  httpOf(config: ResolvedConfig): Http {
    return config.tls.cert === undefined ? this.#http : new Http(config)
  }
}

/** Options that have no say in what is fetched, nor in how. One that is new and not in this list has. */
const WITHOUT_A_SAY: ReadonlySet<string> = new Set<keyof ResolvedConfig>([
  'client_id',
  'callback',
  'flow',
  'profile',
  'response_mode',
  'authorization_response_iss',
  'pushed_request_client_id',
  'account_selector_service_url',
  'trusted_issuers',
  'token_endpoint_auth_method',
  'client_secret',
  'authorization_signed_response_alg',
  'id_token_signed_response_alg',
  'userinfo_signed_response_alg',
  'request_object_signing_alg',
  'token_endpoint_auth_signing_alg',
  'dpop',
  'encryption',
  'clock_tolerance',
  'keys',
])

/** Enough for tenants that have their own authorities or logs; the others have one together. */
const MAX_KINDS = 100

/** Shares what is published between clients that fetch the same from the same places in the same way. */
export class Publications {
  #known: { fetching: object; published: Published }[] = []

  of(config: ResolvedConfig): Published {
    const fetching = fetchingOf(config)
    const known = this.#known.find((one) => isDeepStrictEqual(one.fetching, fetching))
    if (known) return known.published
    // Nobody's list is blamed for what all of them meet.
    const published = new Published({ ...config, trusted_issuers: undefined })
    this.#known = [...this.#known, { fetching, published }].slice(-MAX_KINDS)
    return published
  }
}

function fetchingOf({ tls, ...config }: ResolvedConfig): object {
  const having = Object.entries(config).filter(([name]) => !WITHOUT_A_SAY.has(name))
  return { ...Object.fromEntries(having), ca: tls.ca?.toString() }
}
