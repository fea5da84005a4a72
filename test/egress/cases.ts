import assert from 'node:assert/strict'
import dns from 'node:dns'
import process from 'node:process'
import { IDPartnerError, type Check } from 'passport-idpartner'
import { unusedOrigin } from '../support/loopback-server.js'
import type { Settled } from '../support/settle.js'
import { HOSTNAME, type Site } from './site.js'
import type { Tinyproxy } from './tinyproxy.js'

const CREDENTIALS = { username: 'app', password: 'a-password-for-tests' }
const WRONG = { username: 'app', password: 'another-password-for-tests' }

/** Those of the application alone; the proxy's own are Tinyproxy's. */
const at = ({ host }: Tinyproxy, { username = '', password = '' } = {}): string => {
  const url = new URL(`http://${host}`)
  return Object.assign(url, { username, password }).href
}

function isIn(site: Site, { via, value }: Settled): void {
  if (value instanceof Error) throw value
  assert.deepEqual({ via, value }, { via: 'success', value: { sub: site.platform.person.sub } })
  assert.deepEqual(site.platform.wire.complaints, [])
}

/** That a request ended in the proxy, how, and that nothing of it has a password. */
function isRefused({ via, value }: Settled, proxy: Tinyproxy, status: number, why: string): void {
  assert.equal(via, 'error')
  assert.ok(value instanceof IDPartnerError)
  assert.deepEqual({ code: value.code, status: value.status }, { code: 'provider_unavailable', status })
  const [, said] = value.message.split(' was not reached: ')
  assert.equal(said, `the proxy ${proxy.host} ${why}`)
  assert.ok(!JSON.stringify([value, value.cause, value.stack]).includes('password-for-tests'))
}

/** Every request that reached the platform came through the proxy, which saw where it went, and nothing else. */
function cameThrough({ platform, world }: Site, proxy: Tinyproxy): void {
  const parties = [platform.proxy.issuer, platform.directory.url, platform.bankA.issuer].map(
    (url) => new URL(url).host,
  )
  const own = platform.flow === 'proxy' ? parties : parties.slice(2)
  for (const host of own) assert.ok(proxy.asked.includes(host), `${host} was not asked for`)
  for (const target of proxy.asked) assert.equal(target.split(':')[0], HOSTNAME)
  // A record of a TLS handshake (RFC 8446, section 5.1).
  for (const [first] of world.seen) assert.equal(first, 22)
  assert.ok(!/code=|access_token|eyJ/.test(proxy.log))
}

async function withEnvironment<T>(variables: Record<string, string>, work: () => Promise<T>): Promise<T> {
  const before = { ...process.env }
  Object.assign(process.env, variables)
  try {
    return await work()
  } finally {
    process.env = before
  }
}

/** Has this process find every name at a private address, as long as something is done. */
async function withOwnNames<T>(work: () => Promise<T>): Promise<T> {
  const { lookup } = dns
  dns.lookup = ((_name: string, _options: object, found: (err: null, all: object[]) => void) => {
    found(null, [{ address: '10.0.0.1', family: 4 }])
  }) as never
  try {
    return await work()
  } finally {
    dns.lookup = lookup
  }
}

export type Case = [name: string, run: (site: Site) => Promise<void>]

/** What holds in every flow. */
export const CASES: Case[] = [
  [
    'a login goes through the proxy that is named, which sees nothing of it',
    async (site) => {
      const proxy = await site.tinyproxy()
      isIn(site, await (await site.app({ egress_proxy: at(proxy) })).logIn())
      cameThrough(site, proxy)
    },
  ],
  [
    'and through one that wants credentials',
    async (site) => {
      const proxy = await site.tinyproxy({ credentials: CREDENTIALS })
      isIn(site, await (await site.app({ egress_proxy: at(proxy, CREDENTIALS) })).logIn())
      cameThrough(site, proxy)
    },
  ],
  [
    'and through the one of HTTPS_PROXY',
    async (site) => {
      const proxy = await site.tinyproxy({ credentials: CREDENTIALS })
      const variables = { HTTPS_PROXY: at(proxy, CREDENTIALS), NO_PROXY: 'other.example, 10.0.0.0/8' }
      await withEnvironment(variables, async () => {
        isIn(site, await (await site.app({ egress_proxy: 'env' })).logIn())
      })
      cameThrough(site, proxy)
    },
  ],
  [
    'what NO_PROXY names is asked without it',
    async (site) => {
      const proxy = await site.tinyproxy()
      const variables = { HTTPS_PROXY: at(proxy), NO_PROXY: `other.example,.${HOSTNAME}` }
      const { value } = await withEnvironment(variables, async () => {
        const app = await site.app({ egress_proxy: 'env' })
        return withOwnNames(() => app.begin())
      })
      assert.ok(value instanceof IDPartnerError)
      assert.equal(value.code, 'provider_unavailable')
      assert.match(value.message, /resolves to a private address/)
      assert.deepEqual(proxy.asked, [])
    },
  ],
  [
    'without the option, HTTPS_PROXY changes nothing',
    async (site) => {
      const proxy = await site.tinyproxy()
      const { value } = await withEnvironment({ HTTPS_PROXY: at(proxy) }, async () => {
        const app = await site.app({})
        return withOwnNames(() => app.begin())
      })
      assert.ok(value instanceof IDPartnerError)
      assert.match(value.message, /resolves to a private address/)
      assert.deepEqual(proxy.asked, [])
    },
  ],
  [
    'the preflight says that requests go through it, and that a wrong password keeps them from that',
    async (site) => {
      const proxy = await site.tinyproxy({ credentials: CREDENTIALS })
      const egress = async (credentials: typeof CREDENTIALS): Promise<Check | undefined> => {
        const app = await site.app({ egress_proxy: at(proxy, credentials) })
        const { checks } = await app.strategy.client.preflight({ jwks_uri: site.platform.bankA.issuer })
        return checks.find(({ id }) => id === 'egress')
      }
      const good = await egress(CREDENTIALS)
      assert.equal(good?.status, 'ok')
      assert.match(good.message, new RegExp(`^requests go through the proxy ${proxy.host}, `))
      const bad = await egress(WRONG)
      assert.equal(bad?.status, 'fail')
      assert.match(
        bad.message,
        /\(the proxy \S+ answered HTTP 401: check the credentials in "egress_proxy"\)/,
      )
    },
  ],
  [
    'fifty logins at once get through',
    async (site) => {
      const proxy = await site.tinyproxy()
      const apps = await Promise.all(
        Array.from({ length: 50 }, () => site.app({ egress_proxy: at(proxy), timeout: 30_000 })),
      )
      for (const settled of await Promise.all(apps.map((app) => app.logIn()))) isIn(site, settled)
    },
  ],
  [
    'a proxy that gets no credentials is an error that says so',
    async (site) => {
      const proxy = await site.tinyproxy({ credentials: CREDENTIALS })
      const begun = await (await site.app({ egress_proxy: at(proxy) })).begin()
      isRefused(begun, proxy, 503, 'answered HTTP 407: check the credentials in "egress_proxy"')
    },
  ],
  [
    'and one that gets a wrong password',
    async (site) => {
      const proxy = await site.tinyproxy({ credentials: CREDENTIALS })
      const begun = await (await site.app({ egress_proxy: at(proxy, WRONG) })).begin()
      // Tinyproxy answers as a server would that is no proxy.
      isRefused(begun, proxy, 503, 'answered HTTP 401: check the credentials in "egress_proxy"')
    },
  ],
  [
    'one that does not let the port through',
    async (site) => {
      const proxy = await site.tinyproxy({ onlyPort: 443 })
      const begun = await (await site.app({ egress_proxy: at(proxy) })).begin()
      isRefused(begun, proxy, 503, 'answered HTTP 403: it has to allow CONNECT to there')
    },
  ],
  [
    'one that denies the name',
    async (site) => {
      const proxy = await site.tinyproxy({ denied: `^${HOSTNAME.replace('.', '\\.')}` })
      const begun = await (await site.app({ egress_proxy: at(proxy) })).begin()
      isRefused(begun, proxy, 503, 'answered HTTP 403: it has to allow CONNECT to there')
    },
  ],
  [
    'one that cannot connect',
    async (site) => {
      const proxy = await site.tinyproxy({}, await unusedOrigin())
      const begun = await (await site.app({ egress_proxy: at(proxy) })).begin()
      isRefused(begun, proxy, 503, 'answered HTTP 502')
    },
  ],
  [
    'one that hangs',
    async (site) => {
      const proxy = await site.tinyproxy()
      proxy.freeze()
      const begun = await (await site.app({ egress_proxy: at(proxy), timeout: 2000 })).begin()
      isRefused(begun, proxy, 504, 'opened no connection in time (see the option "timeout")')
    },
  ],
  [
    'one that is gone when the browser comes back, and the next login after it is there again',
    async (site) => {
      const proxy = await site.tinyproxy()
      const app = await site.app({ egress_proxy: at(proxy) })
      const begun = await app.begin()
      await proxy.kill()
      isRefused(await app.finish(begun), proxy, 503, 'could not be reached (ECONNREFUSED)')
      await proxy.begin()
      isIn(site, await app.logIn())
    },
  ],
]

/** What holds with a client certificate. */
export const MUTUAL: Case[] = [
  [
    'the bank sees the client certificate through the proxy',
    async (site) => {
      const proxy = await site.tinyproxy()
      isIn(site, await (await site.app({ egress_proxy: at(proxy) })).logIn())
      const shown = site.platform.wire.requests
        .filter(({ endpoint }) => /^bankA\+mtls\.(par|token|userinfo)$/.test(endpoint))
        .map(({ certificate }) => certificate)
      assert.ok(shown.length >= 3)
      assert.deepEqual([...new Set(shown)], ['test-app'])
    },
  ],
]
