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

/** The whole life of a login, once for each way to be registered. */
const LIVES: Case[] = REALMS.flatMap(({ realm, kinds, profile }) =>
  Object.entries(kinds)
    .filter(([name]) => name.startsWith(realm))
    .map(([name, { dpop }]) => ({
      title: `${profile ?? realm}: ${name.slice(realm.length + 1)}: login, userinfo, refresh, rotation${dpop ? '' : ', revocation'}`,
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

  const renewed = await at.client.refreshToken(at.issuer, tokens)
  assert.notEqual(renewed.refresh_token, tokens.refresh_token)
  assert.equal((await at.client.userInfo(at.issuer, renewed)).sub, claims.sub)

  // The bank ends the whole session when a token comes a second time, so that comes last.
  await refused(at.client.refreshToken(at.issuer, tokens), 'provider_error', /invalid_grant/)

  // This server wants a proof there too, of which RFC 9449 says nothing, and the client sends none.
  if (at.setUp.options.dpop_bound_access_tokens) return
  const again = loggedIn(await world.visitor().logIn(at)).tokens
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

const SESSIONS: Case[] = [
  {
    title: 'cancel: who says no is not logged in, and is not asked for anything else',
    run: async (world) => {
      const at = world.use(USUAL)
      const { failure } = await world.visitor().logIn(at, { consent: 'No', query: { prompt: 'consent' } })
      assert.equal(failure?.code, 'access_denied')
    },
  },
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
    title: 'prompt=none: nobody is logged in who would have to be asked',
    run: async (world) => {
      const { failure } = await world.visitor().logIn(world.use(USUAL), { query: { prompt: 'none' } })
      assert.equal(failure?.code, 'provider_error')
      assert.equal(failure.providerError, 'login_required')
    },
  },
  {
    title: "logout: with the bank's session the refresh token ends, and the password is asked for again",
    run: async (world) => {
      const at = world.use(USUAL)
      const visitor = world.visitor()
      const { tokens } = loggedIn(await visitor.logIn(at))
      const url = new URL(`${at.issuer}/protocol/openid-connect/logout`)
      url.searchParams.set('id_token_hint', tokens.id_token ?? '')
      await visitor.browser.open(url.href)
      await refused(at.client.refreshToken(at.issuer, tokens), 'provider_error', /invalid_grant/)
      loggedIn(await visitor.logIn(at))
      assert.equal(visitor.asked.filter((one) => one === 'password').length, 2)
    },
  },
  {
    title: "the bank's keys rotated while a login is open",
    run: async (world) => {
      const at = world.use(USUAL)
      // So that the earlier keys are the ones remembered.
      loggedIn(await world.visitor().logIn(at))
      const meanwhile = (): Promise<void> =>
        world.bank.admin.rotateKeys(at.setUp.realm, keyProvider('PS256', 200))
      loggedIn(await world.visitor().logIn(at, { meanwhile }))
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
      loggedIn(await world.visitor().logIn(at))
    },
  },
]

export const CASES = [...LIVES, ...BINDING, ...SESSIONS]

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
