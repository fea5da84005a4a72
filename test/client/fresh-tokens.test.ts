import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { Refreshes, isFresh } from '../../lib/client/fresh-tokens.js'
import type { TokenSet } from '../../lib/client/tokens.js'
import { IDPartnerError } from '../../lib/errors.js'
import { refusal } from '../support/settle.js'

const NOW = 1_700_000_000

beforeEach(() => {
  jest.useFakeTimers({
    now: NOW * 1000,
    doNotFake: ['setTimeout', 'clearTimeout', 'nextTick', 'queueMicrotask'],
  })
})
afterEach(() => {
  jest.useRealTimers()
})

const BANK = 'https://bank.example'

const set = (name: string, members: Partial<TokenSet> = {}): TokenSet => ({
  access_token: `access of ${name}`,
  refresh_token: `refresh of ${name}`,
  token_type: 'bearer',
  ...members,
})
/** One that has run out. */
const over = (name: string, members: Partial<TokenSet> = {}): TokenSet =>
  set(name, { expires_at: NOW, ...members })

describe('an access token can be used', () => {
  test.each<[boolean, string, Partial<TokenSet>]>([
    [true, 'where nobody knows its end', {}],
    [true, 'where nobody knows its end but its length', { expires_in: 1 }],
    [true, 'for 31 seconds', { expires_at: NOW + 31 }],
    [false, 'for 30', { expires_at: NOW + 30 }],
    [false, 'no more', { expires_at: NOW }],
    [true, 'for more than 30 of an hour', { expires_at: NOW + 31, expires_in: 3600 }],
    [false, 'for 30 of an hour', { expires_at: NOW + 30, expires_in: 3600 }],
    [true, 'for more than half of its 40 seconds', { expires_at: NOW + 21, expires_in: 40 }],
    [false, 'for half of them', { expires_at: NOW + 20, expires_in: 40 }],
  ])('%s: %s', (expected, _how, members) => {
    expect(isFresh(set('one', members))).toBe(expected)
  })
})

/** A bank that counts, and a store. */
function asking(
  renew: (from: TokenSet, count: number) => TokenSet | Promise<TokenSet> = (_from, count) =>
    set(`renewed ${String(count)}`),
) {
  const refreshes = new Refreshes()
  const asked: TokenSet[] = []
  const saved: TokenSet[] = []
  const ask = (tokens: TokenSet, issuer = BANK): Promise<TokenSet> =>
    refreshes.fresh(
      issuer,
      tokens,
      async (from) => {
        asked.push(from)
        return renew(from, asked.length)
      },
      { save: (one) => saved.push(one), signal: undefined },
    )
  return { ask, asked, saved, refreshes }
}

describe('a token set is renewed', () => {
  test('not where it is good, and comes back as itself', async () => {
    const { ask, asked } = asking()
    const mine = set('one')
    expect(await ask(mine)).toBe(mine)
    expect(asked).toEqual([])
  })

  test('once for a minute', async () => {
    const { ask, asked, saved } = asking()
    const mine = over('one')
    const first = await ask(mine)
    expect(first).toEqual(set('renewed 1'))
    jest.setSystemTime((NOW + 60) * 1000 - 1)
    expect(await ask({ ...mine })).toEqual(first)
    expect([asked, saved]).toEqual([[mine], [first]])
    jest.setSystemTime((NOW + 60) * 1000)
    expect(await ask(mine)).toEqual(set('renewed 2'))
    expect(asked).toEqual([mine, mine])
  })

  test('into an object of each who asks, so that none can change that of another', async () => {
    const { ask, saved } = asking()
    const first = await ask(over('one'))
    first.access_token = 'changed'
    for (const one of saved) one.access_token = 'changed'
    expect(await ask(over('one'))).toEqual(set('renewed 1'))
  })

  test.each<[string, [TokenSet, string?]]>([
    ['at another bank', [over('one'), 'https://other.example']],
    ['with another refresh token', [over('one', { refresh_token: 'another' })]],
    ['with another access token', [over('one', { access_token: 'another' })]],
  ])('apart from another: %s', async (_name, [tokens, issuer]) => {
    const { ask, asked } = asking()
    await ask(over('one'))
    await ask(tokens, issuer)
    expect(asked).toHaveLength(2)
  })

  test('and used, however short it lives', async () => {
    const { ask, asked } = asking(() => over('short'))
    expect(await ask(over('one'))).toEqual(over('short'))
    expect(asked).toHaveLength(1)
    // Whoever has the one before it renews what came of it.
    expect(await ask(over('one'))).toEqual(over('short'))
    expect(asked).toEqual([over('one'), over('short')])
  })

  test('from one to the latest, twenty at most', async () => {
    const { ask, asked } = asking((_from, count) => over(`renewed ${String(count)}`))
    let latest = over('first')
    for (let made = 0; made < 22; made++) latest = await ask(latest)
    expect(asked).toHaveLength(22)
    expect(await ask(over('first'))).toEqual(over('renewed 20'))
    expect(asked).toHaveLength(22)
  })

  test('with a thousand remembered, and the oldest forgotten for one more', async () => {
    const { ask, asked } = asking()
    const many = Array.from({ length: 1000 }, (_, index) => over(String(index)))
    for (const one of many) await ask(one)
    await ask(over('0'))
    expect(asked).toHaveLength(1000)
    await ask(over('one more'))
    await ask(over('1'))
    expect(asked).toHaveLength(1001)
    await ask(over('0'))
    expect(asked).toHaveLength(1002)
  })

  test('again where that came to nothing, with what went wrong', async () => {
    const failure = new Error('down')
    const { ask, asked, saved } = asking((_from, count) =>
      count === 1 ? Promise.reject(failure) : set('renewed'),
    )
    await expect(ask(over('one'))).rejects.toBe(failure)
    expect(await ask(over('one'))).toEqual(set('renewed'))
    expect([asked.length, saved.length]).toEqual([2, 1])
  })

  test('and saved by whoever asks next, where that came to nothing', async () => {
    const { ask, asked, saved, refreshes } = asking()
    const lost = new Error('the database is down')
    const renew = (from: TokenSet): Promise<TokenSet> => {
      asked.push(from)
      return Promise.resolve(set('renewed'))
    }
    const save = (): never => {
      throw lost
    }
    await expect(refreshes.fresh(BANK, over('one'), renew, { save })).rejects.toBe(lost)
    expect(await ask(over('one'))).toEqual(set('renewed'))
    await ask(over('one'))
    expect([asked.length, saved]).toEqual([1, [set('renewed')]])
  })

  test('but not for ever: who saves has 15 s, and the next one saves it', async () => {
    jest.useFakeTimers({ now: NOW * 1000 })
    const { ask, saved, refreshes } = asking()
    const renew = (): Promise<TokenSet> => Promise.resolve(set('renewed'))
    const hanging = (): Promise<void> => new Promise(() => undefined)
    let ended = false
    const refused = refusal(refreshes.fresh(BANK, over('one'), renew, { save: hanging })).finally(() => {
      ended = true
    })
    await jest.advanceTimersByTimeAsync(14_999)
    expect(ended).toBe(false)
    await jest.advanceTimersByTimeAsync(1)
    expect(await refused).toMatchObject({
      code: 'config_invalid',
      message: 'the function "save" of fresh tokens did not end within 15 s',
    })
    expect(await ask(over('one'))).toEqual(set('renewed'))
    expect(saved).toEqual([set('renewed')])
  })
})

describe('the person has to log in again', () => {
  test('where there is no refresh token', async () => {
    const { ask, asked } = asking()
    const alone: TokenSet = { access_token: 'a', token_type: 'bearer', expires_at: NOW }
    expect(await refusal(ask(alone))).toMatchObject({ code: 'access_denied', status: 401 })
    expect(asked).toEqual([])
  })

  test('where the bank says that it is good for nothing', async () => {
    const cause = new IDPartnerError('provider_error', 'refused', {
      providerError: 'invalid_grant',
      status: 502,
      interactionId: 'one',
    })
    const { ask } = asking(() => Promise.reject(cause))
    expect(await refusal(ask(over('one')))).toMatchObject({
      code: 'provider_error',
      status: 401,
      providerError: 'invalid_grant',
      interactionId: 'one',
      message: 'the bank does not take this refresh token any more: the person has to log in again',
      cause: { code: 'provider_error', message: 'refused' },
    })
  })

  test.each<[string, Error]>([
    ['another refusal', new IDPartnerError('provider_error', 'no', { providerError: 'invalid_client' })],
    ['what is none of ours', Object.assign(new Error('no'), { providerError: 'invalid_grant' })],
  ])('and not for %s', async (_name, err) => {
    await expect(asking(() => Promise.reject(err)).ask(over('one'))).rejects.toBe(err)
  })
})
