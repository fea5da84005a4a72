import type { JSONWebKeySet } from 'jose'
import { within } from '../net/deadline.js'
import { callbackCheck, callbackChecks, publishedCheck } from './application-checks.js'
import type { PreflightOptions } from './asked-for.js'
import { adviceFor, fail, ok, said, skip, summary, warn, type Check, type Checks } from './check.js'
import type { ResolvedConfig } from './config.js'
import { SOON, lifeOf } from './expiry.js'
import { Issuers } from './issuers.js'
import { keyChecks } from './key-checks.js'
import { bankChecks, directoryCheck, proxyCheck, type Begin } from './provider-checks.js'
import { WatchedHttp, clockCheck, egressCheck } from './way-out.js'

interface Subject {
  config: ResolvedConfig
  /** What the application publishes, or should. */
  publicKeys: JSONWebKeySet
  begin: Begin
}

/** Looks at everything that can be known before the first login; see `IDPartner.preflight`. */
export async function preflight(subject: Subject, options: PreflightOptions): Promise<Checks> {
  const { config } = subject
  const local = [
    nodeCheck(),
    ...keyChecks(config.keys, config.dpop && 'key' in config.dpop ? config.dpop.key : undefined),
    certificateCheck(config),
  ]
  if (options.offline) {
    return summary([
      ...local,
      callbackCheck(config),
      skip('network', 'offline: nobody was asked for anything'),
    ])
  }
  const http = new WatchedHttp(config)
  const asking = { http, issuers: new Issuers(http, config), config, begin: subject.begin }
  const listed = typeof config.trusted_issuers === 'object' ? config.trusted_issuers : []
  const proxy = config.flow === 'proxy'
  // A document may be asked for twice, and after it the keys or a request.
  const limit = 6 * config.timeout
  const bounded = (id: string, work: () => Promise<Check[]>): Promise<Check[]> =>
    within(limit, work).catch((err: unknown) => [fail(id, said(err), adviceFor(err))])
  const asked = await Promise.all([
    bounded('callback', () => callbackChecks(http, config)),
    bounded('published_keys', () => publishedCheck(http, config, subject.publicKeys, options)),
    ...(proxy
      ? [
          bounded('trust_directory', () => directoryCheck(asking)),
          bounded('proxy', () => proxyCheck(asking, options)),
        ]
      : []),
    ...listed.map((issuer) => bounded(`bank ${issuer}`, () => bankChecks(asking, issuer, options))),
  ])
  // Whether the application runs is a question of its own.
  http.unreached.delete(new URL(config.callback).host)
  const banks =
    listed.length > 0
      ? []
      : [skip('bank', 'which banks are met is not known beforehand: "trusted_issuers" lists none')]
  return summary([
    ...local,
    ...asked.flat(),
    ...banks,
    clockCheck(http.ahead, config),
    egressCheck(config, http.unreached),
  ])
}

/** What there is to say where keys or certificates are awaited from a function that gives none. */
export function withoutKeys(err: unknown): Checks {
  return summary([
    nodeCheck(),
    fail('own_keys', said(err), 'see what the function does: the options that come from it are read first'),
  ])
}

function nodeCheck(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  return major > 20 || (major === 20 && minor >= 19)
    ? ok('node', `Node ${process.versions.node}`)
    : fail('node', `Node ${process.versions.node} is too old`, 'use Node 20.19 or later')
}

function certificateCheck({ tls }: ResolvedConfig): Check {
  const id = 'certificate'
  if (tls.cert === undefined) return skip(id, 'no client certificate is configured')
  // That the key is its own, the constructor has seen.
  const { days, expires } = lifeOf(tls.cert)
  const fix = 'ask IDPartner for a new one, and set tls_client_cert and tls_client_key'
  if (days < 0) return fail(id, `the client certificate expired on ${expires}`, fix)
  const left = `the client certificate and its key match; it has ${String(days)} days left`
  return days < SOON ? warn(id, left, fix) : ok(id, left)
}
