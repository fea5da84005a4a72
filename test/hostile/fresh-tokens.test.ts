import { describe, expect, jest, test } from '@jest/globals'
import type { TokenSet } from 'passport-idpartner'
import type { BankBends } from '../support/bank.js'
import { set, without } from '../support/bends.js'
import { travel } from '../support/clock.js'
import { json, send } from '../support/faults.js'
import { startScene, useScenes, type Scene } from '../support/scene.js'

useScenes()

/** A scene in which somebody has logged in, and a store that counts. */
async function loggedIn(bends: BankBends = {}): Promise<Scene & { tokens: TokenSet; saved: TokenSet[] }> {
  const scene = await startScene()
  await scene.visitor.finish(await scene.visitor.begin(), bends)
  const [login] = scene.logins
  if (!login) throw new Error('nobody was logged in')
  return Object.assign(scene, { tokens: login.tokens, saved: [] as TokenSet[] })
}

const over = (tokens: TokenSet): TokenSet => ({ ...tokens, expires_at: 1 })
const failureOf = (promise: Promise<unknown>): Promise<unknown> => promise.catch((err: unknown) => err)
const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds

describe('a token set that is good', () => {
  test.each<[string, () => Partial<TokenSet>]>([
    ['for a quarter of an hour', () => ({})],
    ['for a little more than half a minute', () => ({ expires_at: inSeconds(60) })],
    ['as far as anybody knows', () => ({ expires_at: undefined as never })],
    [
      'for as long as one that lives forty seconds can be',
      () => ({ expires_at: inSeconds(28), expires_in: 40 }),
    ],
  ])('%s is given back as it is', async (_what, change) => {
    const { strategy, tokens, platform, saved } = await loggedIn()
    const mine = { ...tokens, ...change() }
    expect(await strategy.client.freshTokens(mine, { save: (one) => saved.push(one) })).toBe(mine)
    expect([platform.count('bankA.token'), saved]).toEqual([1, []])
  })
})

describe('a refresh token is sent once', () => {
  test.each<[string, Partial<TokenSet>]>([
    ['has run out', { expires_at: 1 }],
    ['is about to', { expires_at: inSeconds(20) }],
  ])('when the access token %s', async (_what, change) => {
    const { strategy, tokens, platform, saved } = await loggedIn()
    const mine = { ...tokens, ...change }
    const fresh = await strategy.client.freshTokens(mine, { save: (one) => saved.push(one) })
    expect(fresh).toMatchObject({ expires_in: 900, claims: { sub: platform.person.sub } })
    expect(fresh.refresh_token).not.toBe(tokens.refresh_token)
    expect(saved).toEqual([fresh])
    expect(platform.count('bankA.token')).toBe(2)
  })

  test('by many at the same moment, and by who has read the old set before', async () => {
    const { strategy, tokens, platform, saved } = await loggedIn()
    const ask = (): Promise<TokenSet> =>
      strategy.client.freshTokens(over(tokens), { save: (one) => saved.push(one) })
    const all = await Promise.all(Array.from({ length: 20 }, ask))
    all.push(await ask())
    expect(new Set(all.map(({ refresh_token }) => refresh_token)).size).toBe(1)
    expect([platform.count('bankA.token'), saved.length]).toEqual([2, 1])
    // And the next one with what came of the first.
    const [first] = saved
    if (!first) throw new Error('nothing was saved')
    await strategy.client.freshTokens(over(first), { save: (one) => saved.push(one) })
    expect([platform.count('bankA.token'), saved.length]).toEqual([3, 2])
  })

  test('and nobody has what came of it before it is saved', async () => {
    const { strategy, tokens } = await loggedIn()
    const events: string[] = []
    let finish: () => void = () => undefined
    const saving = new Promise<void>((resolve) => {
      finish = resolve
    })
    const begun = new Promise<void>((resolve) => {
      const save = (): Promise<void> => {
        events.push('saving')
        resolve()
        return saving
      }
      for (const who of ['one', 'another']) {
        void strategy.client.freshTokens(over(tokens), { save }).then(() => events.push(who))
      }
    })
    await begun
    await new Promise(setImmediate)
    expect(events).toEqual(['saving'])
    finish()
    await strategy.client.freshTokens(over(tokens), { save: () => undefined })
    expect(events).toEqual(['saving', 'one', 'another'])
  })

  test('also when it could not be saved: nobody has it, and the next one saves it', async () => {
    const { strategy, tokens, platform, saved } = await loggedIn()
    const lost = (): never => {
      throw new Error('the database is down')
    }
    const { client } = strategy
    const failures = [
      client.freshTokens(over(tokens), { save: lost }),
      client.freshTokens(over(tokens), { save: lost }),
    ]
    expect(await Promise.all(failures.map(failureOf))).toMatchObject([
      { message: 'the database is down' },
      { message: 'the database is down' },
    ])
    const fresh = await client.freshTokens(over(tokens), { save: (one) => saved.push(one) })
    expect(saved).toEqual([fresh])
    expect(platform.count('bankA.token')).toBe(2)
  })

  test('also when nothing could be saved for an hour', async () => {
    const { strategy, tokens, platform, saved } = await loggedIn()
    const down = (): Promise<never> => Promise.reject(new Error('the database is down'))
    await failureOf(strategy.client.freshTokens(over(tokens), { save: down }))
    travel(3_600_000)
    await strategy.client.freshTokens(over(tokens), { save: (one) => saved.push(one) })
    // What was renewed first has run out in that hour, so that it was saved and then renewed itself.
    expect([platform.count('bankA.token'), saved.length]).toEqual([3, 2])
    expect(new Set([tokens, ...saved].map(({ refresh_token }) => refresh_token)).size).toBe(3)
  })

  test('also when saving never ends: it is an error, and the next one saves it', async () => {
    const { strategy, tokens, platform, saved } = await loggedIn()
    const { client } = strategy
    const failures: unknown[] = []
    const ended = jest.spyOn(globalThis, 'setTimeout')
    try {
      const begun = new Promise<void>((resolve) => {
        const save = (): Promise<never> => {
          resolve()
          return new Promise(() => undefined)
        }
        void failureOf(client.freshTokens(over(tokens), { save })).then((err) => failures.push(err))
      })
      await begun
      const [end] = ended.mock.calls.find(([, milliseconds]) => milliseconds === 15_000) ?? []
      end?.()
      await new Promise(setImmediate)
      expect(failures).toEqual([
        expect.objectContaining({ code: 'config_invalid', message: expect.stringContaining('"save"') }),
      ])
    } finally {
      ended.mockRestore()
    }
    const fresh = await client.freshTokens(over(tokens), { save: (one) => saved.push(one) })
    expect(saved).toEqual([fresh])
    expect(platform.count('bankA.token')).toBe(2)
  })

  test('whoever of those who wait gives up', async () => {
    const { strategy, tokens, platform, saved } = await loggedIn()
    const save = (one: TokenSet): unknown => saved.push(one)
    const impatient = strategy.client.freshTokens(over(tokens), { save, signal: AbortSignal.abort() })
    const patient = strategy.client.freshTokens(over(tokens), { save })
    expect(await failureOf(impatient)).toMatchObject({ code: 'provider_unavailable', status: 504 })
    expect((await patient).refresh_token).not.toBe(tokens.refresh_token)
    expect([platform.count('bankA.token'), saved.length]).toEqual([2, 1])
  })
})

test('a bank that gives the same refresh token again is asked again when it is time', async () => {
  const tokensOfBank = { refresh_token: 'the-same', expires_in: 0 }
  const { strategy, tokens, platform, saved } = await loggedIn({ refreshed: { tokens: set(tokensOfBank) } })
  const save = (one: TokenSet): unknown => saved.push(one)
  await strategy.client.freshTokens(over(tokens), { save })
  expect(saved).toMatchObject([{ refresh_token: 'the-same' }])
  const again = await strategy.client.freshTokens(over(tokens), { save }).catch((err: unknown) => err)
  // This bank has forgotten what it gave; what counts is that it was asked.
  expect([platform.count('bankA.token'), again]).toMatchObject([3, { providerError: 'invalid_grant' }])
})

describe('the person has to log in again', () => {
  test('when the bank refuses the refresh token', async () => {
    const { strategy, tokens, saved } = await loggedIn()
    const refused = over({ ...tokens, refresh_token: 'of-another-time' })
    expect(
      await failureOf(strategy.client.freshTokens(refused, { save: (one) => saved.push(one) })),
    ).toMatchObject({
      code: 'provider_error',
      status: 401,
      isFailure: true,
      providerError: 'invalid_grant',
      message: expect.stringContaining('log in again'),
    })
    expect(saved).toEqual([])
  })

  test('when there is no refresh token', async () => {
    const { strategy, tokens, platform } = await loggedIn()
    const alone = without('refresh_token')({ ...over(tokens) }) as unknown as TokenSet
    expect(await failureOf(strategy.client.freshTokens(alone, { save: () => undefined }))).toMatchObject({
      code: 'access_denied',
      status: 401,
    })
    expect(platform.count('bankA.token')).toBe(1)
  })
})

describe('nothing is saved when', () => {
  test('the bank answers with the tokens of another person', async () => {
    const refreshed = { idToken: { claims: set({ sub: 'another' }) } }
    const { strategy, tokens, saved } = await loggedIn({ refreshed })
    expect(
      await failureOf(strategy.client.freshTokens(over(tokens), { save: (one) => saved.push(one) })),
    ).toMatchObject({ code: 'token_invalid' })
    expect(saved).toEqual([])
  })

  test('the bank is down, and the next one tries again', async () => {
    const { strategy, tokens, platform, saved } = await loggedIn()
    const ask = (): Promise<unknown> =>
      failureOf(strategy.client.freshTokens(over(tokens), { save: (one) => saved.push(one) }))
    platform.fault(
      'bankA.token',
      (res) => {
        send(res, json({}, 503))
      },
      1,
    )
    expect(await ask()).toMatchObject({ code: 'provider_unavailable' })
    expect(saved).toEqual([])
    // This one has used the refresh token up as it went down; what counts is that it was asked.
    expect(await ask()).toMatchObject({ status: 401, providerError: 'invalid_grant' })
    expect(platform.count('bankA.token')).toBe(3)
  })

  test.each<[string, (tokens: TokenSet) => TokenSet, object]>([
    ['there is nothing that saves', over, {}],
    ['there are no options', over, undefined as never],
    ['what saves is not in options', over, () => undefined],
    ['there are no tokens at all', () => undefined as never, { save: () => undefined }],
    ['the tokens are of another bank', over, { save: () => undefined, issuer: 'https://other.example' }],
    [
      'nobody knows the bank',
      (tokens) => over(without('claims')({ ...tokens }) as unknown as TokenSet),
      { save: () => undefined },
    ],
    [
      'there are no tokens',
      () => ({}) as TokenSet,
      { save: () => undefined, issuer: 'https://bank.example' },
    ],
  ])('%s', async (_what, change, options) => {
    const { strategy, tokens, platform } = await loggedIn()
    expect(await failureOf(strategy.client.freshTokens(change(tokens), options as never))).toMatchObject({
      code: 'config_invalid',
    })
    expect(platform.count('bankA.token')).toBe(1)
  })
})
