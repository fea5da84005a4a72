import { describe, expect, jest, test } from '@jest/globals'
import { assertRead, claimsOf, claimsOfUser, isSame, personOf, userOf } from '../../lib/guards/person.js'
import { refusal } from '../support/settle.js'
import { thrown } from '../support/thrown.js'

const ME = { iss: 'https://bank.example', sub: 'me' }

test.each([undefined, null, '', 0, false])('nobody is logged in as %j', (user) => {
  expect(userOf({ user })).toBeUndefined()
  expect(userOf({})).toBeUndefined()
})

test.each([{}, [], 'me', 7, true])('somebody is logged in as %j', (user) => {
  expect(userOf({ user })).toBe(user)
})

describe('that nobody is logged in', () => {
  test.each([
    {},
    { session: undefined },
    { session: {} },
    { session: { passport: null } },
    { session: { passport: {} } },
  ])('is believed where the session holds nobody: %j', (req) => {
    expect(() => {
      assertRead(req)
    }).not.toThrow()
  })

  test.each([{ id: 1 }, 'me', 0, null])('is a mistake where it holds %j', (user) => {
    const req = { session: { passport: { user } } }
    expect(
      thrown(() => {
        assertRead(req)
      }),
    ).toMatchObject({ code: 'config_invalid', message: expect.stringContaining('passport.session()') })
  })
})

describe('the claims of a user', () => {
  test('are in "claims", or the user itself', () => {
    const user = { id: 1, claims: ME }
    expect(userOf({ user })).toBe(user)
    expect(claimsOfUser(user)).toBe(ME)
    for (const other of [
      { ...ME, claims: undefined },
      { ...ME, claims: null },
      { ...ME, claims: [1] },
      { claims: 'x' },
    ]) {
      expect(claimsOfUser(other)).toBe(other)
    }
  })

  test('are what the application gives, now or later', async () => {
    expect(await claimsOf({}, () => ME)).toBe(ME)
    expect(await claimsOf({}, () => Promise.resolve(ME))).toBe(ME)
    expect(await personOf({}, () => ({ ...ME, name: 'x' }))).toEqual(ME)
  })

  test.each([undefined, null, 'me', 1, [[ME]]])('are never %j', async (claims) => {
    expect(await refusal(claimsOf({}, () => claims))).toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(/^the user has no claims/),
    })
  })

  test('are waited for no longer than 5 s', async () => {
    jest.useFakeTimers()
    try {
      const call = refusal(claimsOf({}, () => new Promise(() => undefined)))
      await jest.advanceTimersByTimeAsync(5000)
      expect(await call).toMatchObject({
        code: 'config_invalid',
        message: 'option "claims" is a function that gave nothing within 5 s',
      })
    } finally {
      jest.useRealTimers()
    }
  })

  test("are not there where the application's function fails, with its own error", async () => {
    const err = new Error('the database is down')
    const failing = (): never => {
      throw err
    }
    await expect(claimsOf({}, failing)).rejects.toBe(err)
    await expect(claimsOf({}, () => Promise.reject(err))).rejects.toBe(err)
  })

  test.each([{}, { iss: ME.iss }, { sub: ME.sub }, { ...ME, sub: 1 }, { ...ME, iss: [ME.iss] }])(
    'name nobody without both names: %j',
    async (claims) => {
      expect(await refusal(personOf({}, () => claims))).toMatchObject({
        code: 'config_invalid',
        message: expect.stringMatching(/have no "iss" and "sub"/),
      })
    },
  )
})

test('two are the same where both of their names are', () => {
  expect(isSame(ME, { ...ME })).toBe(true)
  expect(isSame(ME, { ...ME, sub: 'you' })).toBe(false)
  expect(isSame(ME, { ...ME, iss: 'https://other.example' })).toBe(false)
})
