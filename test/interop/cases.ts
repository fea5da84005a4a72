import assert from 'node:assert/strict'
import type { JSONWebKeySet } from 'jose'
import { generateJwks, type IDPartnerLogin } from 'passport-idpartner'
import type { Ended } from './app.js'
import { keyProvider } from './realm.js'
import { REALMS } from './set-ups.js'
import type { World } from './world.js'

/** One thing that is tried with a bank server that is not ours; rejects where it does not come about. */
export interface Case {
  title: string
  run: (world: World) => Promise<void>
}

const USUAL = 'ordinary-jwt-ps256-encrypted'

/** Plain answers, and tokens bound by DPoP. */
const PLAIN = 'fapi2-dpop-jwt-es256'

/** Signed answers, and tokens bound to a certificate. */
const SIGNED = 'fapi2-signing-mtls-ps256'

/** The whole life of a login, once for each way to be registered. */
const LIVES: Case[] = REALMS.flatMap(({ realm, kinds, profile }) =>
  Object.entries(kinds)
    .filter(([name]) => name.startsWith(realm))
    .map(([name]) => ({
      title: `${profile ?? realm}: ${name.slice(realm.length + 1)}: login, userinfo, refresh, rotation, revocation`,
      run: (world) => live(world, name),
    })),
)

async function live(world: World, name: string): Promise<void> {
  const at = world.use(name, { fetchUserInfo: true })
  const { claims, tokens, userInfo, identityProvider } = loggedIn(await world.visitor().logIn(at))
  assert.equal(claims.iss, at.issuer)
  assert.equal(identityProvider.issuer_url, at.issuer)
  assert.equal(claims.email, 'kim@bank.example')
  assert.equal(userInfo?.sub, claims.sub)

  // In another process, after they were stored.
  const { client } = world.use(name)
  const stored = JSON.parse(JSON.stringify(tokens)) as typeof tokens
  const renewed = await client.refreshToken(at.issuer, stored)
  assert.notEqual(renewed.refresh_token, tokens.refresh_token)
  assert.equal((await client.userInfo(at.issuer, renewed)).sub, claims.sub)

  // The bank ends the whole session when a token comes a second time, so that comes last.
  await refused(at.client.refreshToken(at.issuer, tokens), 'provider_error', /invalid_grant/)

  const again = loggedIn(await world.visitor().logIn(at)).tokens
  if (at.setUp.options.dpop_bound_access_tokens) {
    // This server wants a proof there too, of which RFC 9449 says nothing, and that the token is bound to its key. Refresh tokens
    // of an application that authenticates are bound to none, so it lets nobody revoke them.
    await refused(at.client.revokeToken(at.issuer, again), 'provider_error', /invalid_token \(.*\(DPoP\)/)
    const access = { ...again }
    delete access.refresh_token
    await at.client.revokeToken(at.issuer, access)
    await refused(at.client.userInfo(at.issuer, again), 'provider_error', /invalid_token/)
    return
  }
  await at.client.revokeToken(at.issuer, again)
  await refused(at.client.refreshToken(at.issuer, again), 'provider_error', /invalid_grant/)
}

const BINDING: Case[] = ['ordinary-mtls-es256', 'fapi1-jwt-ps256'].map((name) => ({
  title: `${name}: a token works with its certificate alone`,
  run: async (world) => {
    const at = world.use(name)
    const { tokens } = loggedIn(await world.visitor().logIn(at))
    const { cert, key } = await world.authority.client(name)
    const other = world.use(name, { tls_client_cert: cert, tls_client_key: key })
    await refused(other.client.userInfo(at.issuer, tokens), 'provider_error', /tls_client_cert/)
  },
}))

BINDING.push({
  title: `${PLAIN}: a token works with its key alone`,
  run: async (world) => {
    const at = world.use(PLAIN)
    const visitor = world.visitor()
    const { tokens } = loggedIn(await visitor.logIn(at))
    const others = loggedIn(await world.visitor().logIn(at)).tokens
    const { dpop_key } = others
    const stolen = { ...tokens, ...(dpop_key !== undefined && { dpop_key }) }
    await refused(at.client.userInfo(at.issuer, stolen), 'provider_error', /invalid_token|invalid_dpop_proof/)
    await at.client.userInfo(at.issuer, tokens)
  },
})

const CANCELS: Case[] = [USUAL, PLAIN, SIGNED].flatMap((name) => [
  {
    title: `${name}: cancel: who says no is not logged in, and is not asked for anything else`,
    run: async (world) => {
      const at = world.use(name)
      const { failure } = await world.visitor().logIn(at, { consent: 'No', query: { prompt: 'consent' } })
      assert.equal(failure?.code, 'access_denied')
    },
  },
  {
    title: `${name}: prompt=none: nobody is logged in who would have to be asked`,
    run: async (world) => {
      const { failure } = await world.visitor().logIn(world.use(name), { query: { prompt: 'none' } })
      assert.equal(failure?.code, 'provider_error')
      assert.equal(failure.providerError, 'login_required')
      assert.match(failure.message, /"prompt"/)
    },
  },
])

const ROTATIONS: Case[] = (
  [
    [USUAL, 'PS256'],
    [PLAIN, 'ES256'],
    [SIGNED, 'PS256'],
  ] as const
).map(([name, alg]) => ({
  title: `${name}: the bank's keys rotated while a login is open`,
  run: async (world) => {
    const at = world.use(name)
    // So that the earlier keys are the ones remembered.
    loggedIn(await world.visitor().logIn(at))
    const meanwhile = (): Promise<void> => world.bank.admin.rotateKeys(at.setUp.realm, keyProvider(alg, 200))
    loggedIn(await world.visitor().logIn(at, { meanwhile }))
  },
}))

const SESSIONS: Case[] = [
  {
    title: 'single sign-on: no password for the second application, but with prompt=login',
    run: async (world) => {
      const visitor = world.visitor()
      const first = loggedIn(await visitor.logIn(world.use(USUAL)))
      const second = loggedIn(await visitor.logIn(world.use('ordinary-mtls-ps256')))
      assert.equal(second.claims.email, first.claims.email)
      assert.equal(visitor.asked.filter((one) => one === 'password').length, 1)
      loggedIn(await visitor.logIn(world.use(USUAL), { query: { prompt: 'login' } }))
      assert.equal(visitor.asked.filter((one) => one === 'password').length, 2)
    },
  },
  {
    title: "logout: with the bank's session the refresh token ends, and the password is asked for again",
    run: async (world) => {
      const at = world.use(USUAL)
      const visitor = world.visitor()
      const { tokens } = loggedIn(await visitor.logIn(at))
      const url = await at.client.endSessionUrl({ issuer: at.issuer, tokens })
      await visitor.browser.open(String(url))
      await refused(at.client.refreshToken(at.issuer, tokens), 'provider_error', /invalid_grant/)
      loggedIn(await visitor.logIn(at))
      assert.equal(visitor.asked.filter((one) => one === 'password').length, 2)
    },
  },
  {
    title: 'our keys rotated while a login is open, as the application starts again',
    run: async (world) => {
      const at = world.use('rotating')
      const visitor = world.visitor()
      const callback = await visitor.leave(at)
      const { keys: earlier } = at.setUp.options.jwks as JSONWebKeySet
      const { keys: later } = await generateJwks()
      const renewed = world.use('rotating', { jwks: { keys: [...later, ...earlier] } })
      world.publish(renewed)
      const { tokens } = loggedIn(await visitor.comeBack(callback))
      await renewed.client.refreshToken(at.issuer, tokens)
      loggedIn(await world.visitor().logIn(renewed))
    },
  },
  {
    title: 'the bank starts again: no login while it is down, and tokens of before go on',
    run: async (world) => {
      const at = world.use(USUAL)
      const { tokens } = loggedIn(await world.visitor().logIn(at))
      const proven = world.use(PLAIN)
      const bound = loggedIn(await world.visitor().logIn(proven)).tokens
      const visitor = world.visitor()
      const callback = await visitor.leave(at)
      await world.bank.stop()
      try {
        const { error } = await visitor.comeBack(callback)
        assert.equal(error?.code, 'provider_unavailable')
      } finally {
        await world.bank.begin()
      }
      await at.client.refreshToken(at.issuer, tokens)
      await proven.client.refreshToken(proven.issuer, bound)
      loggedIn(await world.visitor().logIn(at))
      loggedIn(await world.visitor().logIn(proven))
    },
  },
]

export const CASES = [...LIVES, ...BINDING, ...CANCELS, ...ROTATIONS, ...SESSIONS]

export function loggedIn(ended: Ended): IDPartnerLogin {
  if (ended.login) return ended.login
  throw new Error(`no login, but ${describe(ended)}`)
}

export function describe({ failure, error }: Ended): string {
  const { code = '', message = 'a login' } = failure ?? error ?? {}
  const { cause } = error ?? {}
  return [`${code}: ${message}`, ...(cause instanceof Error ? [cause.message] : [])].join(' / ')
}

async function refused(call: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  await assert.rejects(call, { code, message })
}
