import { describe, expect, test } from '@jest/globals'
import {
  asking,
  forgetTries,
  notedAsked,
  notedMet,
  noteNeed,
  wasAsked,
  type Need,
} from '../../lib/guards/needs.js'
import { SECOND, travel, useClock } from '../support/clock.js'
import { thrown } from '../support/thrown.js'

useClock()

const KEY = 'idpartner-guards'

const ADULT: Need = { claims: ['age_over_21'] }
const FRESH: Need = { claims: [], max_age: 300 }
const STRONG: Need = { claims: [], acr_values: 'urn:a' }

interface Requested {
  session: Record<string, unknown>
}

/** A request of a session in which these were noted, each after a page was opened. */
function noted(...needs: Need[]): Requested {
  const req = { session: {} }
  for (const need of needs) noteNeed(req, need, true)
  return req
}

describe('a login for a guard is begun three times within a minute', () => {
  test('and then was asked for', () => {
    const req = noted(ADULT, ADULT)
    expect(wasAsked(req, ADULT)).toBe(false)
    noteNeed(req, ADULT, true)
    expect(wasAsked(req, ADULT)).toBe(true)
    expect([wasAsked(req, FRESH), wasAsked({ session: {} }, ADULT)]).toEqual([false, false])
  })

  test('of pages that are opened, and not of requests of scripts', () => {
    const req = noted(ADULT, ADULT)
    noteNeed(req, ADULT, false)
    noteNeed(req, ADULT, false)
    expect(wasAsked(req, ADULT)).toBe(false)
    noteNeed(req, ADULT, true)
    expect(wasAsked(req, ADULT)).toBe(true)
  })

  test('and may be begun again after a pause', () => {
    travel(0)
    const req = noted(ADULT, ADULT, ADULT)
    travel(59 * SECOND)
    expect(wasAsked(req, ADULT)).toBe(true)
    travel(SECOND)
    expect(wasAsked(req, ADULT)).toBe(false)
    // From the beginning.
    for (const expected of [false, false, true]) {
      noteNeed(req, ADULT, true)
      expect(wasAsked(req, ADULT)).toBe(expected)
    }
  })

  test('each need for itself', () => {
    const req = noted(ADULT, ADULT, ADULT, FRESH, STRONG)
    expect([ADULT, FRESH, STRONG].map((need) => wasAsked(req, need))).toEqual([true, false, false])
    for (const other of [
      { claims: ['age_over_18'] },
      { ...ADULT, max_age: 1 },
      { ...ADULT, acr_values: 'a' },
    ]) {
      expect(wasAsked(req, other)).toBe(false)
    }
  })

  test('a login that ended stands for three, of all that was noted', () => {
    const req = noted(ADULT, FRESH)
    travel(59 * SECOND)
    notedAsked(req)
    travel(59 * SECOND)
    expect([ADULT, FRESH].map((need) => wasAsked(req, need))).toEqual([true, true])
  })

  test('one that came to nothing stands for none', () => {
    const req = noted(ADULT, ADULT, ADULT, FRESH)
    forgetTries(req)
    noteNeed(req, FRESH, true)
    expect([ADULT, FRESH].map((need) => wasAsked(req, need))).toEqual([false, false])
    expect(asking(req, {})).toMatchObject({ max_age: 300, claims: { id_token: { age_over_21: {} } } })
  })

  test('what was met may be asked for again, and stays noted', () => {
    const req = noted(ADULT, FRESH)
    notedAsked(req)
    notedMet(req, ADULT)
    expect([ADULT, FRESH].map((need) => wasAsked(req, need))).toEqual([false, true])
    expect(asking(req, {})).toMatchObject({ max_age: 300, claims: { id_token: { age_over_21: {} } } })
  })
})

describe('the session', () => {
  test('is written only where there is something new', () => {
    const empty = { session: {} }
    for (const change of [
      notedAsked,
      forgetTries,
      (req: object) => {
        notedMet(req, ADULT)
      },
    ])
      change(empty)
    expect(empty.session).toEqual({})
    const req = noted(ADULT)
    notedMet(req, ADULT)
    const before = req.session[KEY]
    notedMet(req, ADULT)
    notedMet(req, FRESH)
    expect(req.session[KEY]).toBe(before)
  })

  test('has each need once, the ten latest', () => {
    const needs = Array.from({ length: 10 }, (_, index) => ({ claims: [`claim_${String(index)}`] }))
    const req = noted(...needs, ...needs.slice(0, 1))
    expect(req.session[KEY]).toHaveLength(10)
    noteNeed(req, ADULT, true)
    const { claims } = asking(req, {})
    expect(Object.keys((claims as { id_token: object }).id_token)).toEqual(
      [...needs.slice(2), needs[0], ADULT].flatMap((need) => need?.claims ?? []),
    )
  })

  test('has no more of a need than it is', () => {
    const [entry] = noted({ claims: ['a'], max_age: undefined, acr_values: undefined }).session[
      KEY
    ] as object[]
    expect(Object.keys(entry ?? {})).toEqual(['claims', 'tries', 'at'])
  })

  test.each<[string, unknown]>([
    ['a text', 'x'],
    ['a list of texts', ['x']],
    ['needs without claims', [{ tries: 3, at: 2e9 }]],
    ['claims that are numbers', [{ claims: [1], tries: 3, at: 2e9 }]],
    ['a max_age that is a text', [{ claims: [], max_age: '1', tries: 3, at: 2e9 }]],
    ['acr_values that are a list', [{ claims: [], acr_values: ['a'], tries: 3, at: 2e9 }]],
    ['no tries', [{ claims: [], at: 2e9 }]],
    ['no time', [{ claims: [], tries: 3 }]],
    ['a need and something else', [{ claims: ['a'], tries: 3, at: 2e9 }, 1]],
  ])('of another version counts for nothing: %s', (_name, value) => {
    const req = { session: { [KEY]: value } }
    expect(asking(req, {})).toEqual({})
    noteNeed(req, ADULT, true)
    expect(req.session[KEY]).toHaveLength(1)
  })

  test('is needed, by its name', () => {
    expect(
      thrown(() => {
        noteNeed({}, ADULT, true)
      }),
    ).toMatchObject({ code: 'config_invalid' })
    expect([asking({}, {}), wasAsked({}, ADULT)]).toEqual([{}, false])
  })
})

describe('a login asks for', () => {
  test('nothing more than all logins where nothing is noted', () => {
    expect(asking({ session: {} }, {})).toEqual({})
    expect(asking({ session: {} }, { acr_values: 'x', claims: { id_token: { email: null } } })).toEqual({})
  })

  test('all that is noted, each claim as essential', () => {
    expect(asking(noted(ADULT, FRESH, STRONG, { claims: ['email', 'age_over_21'] }), {})).toEqual({
      max_age: 300,
      acr_values: 'urn:a',
      claims: { id_token: { age_over_21: { essential: true }, email: { essential: true } } },
    })
  })

  test('the shortest time, also that of all logins', () => {
    const fresher = { ...FRESH, max_age: 60 }
    expect(asking(noted(FRESH, fresher, ADULT), { max_age: 100 }).max_age).toBe(60)
    expect(asking(noted(fresher, FRESH), {}).max_age).toBe(60)
    expect(asking(noted(FRESH), { max_age: 10 }).max_age).toBe(10)
    expect(asking(noted(ADULT), { max_age: 10 }).max_age).toBe(10)
    expect(asking(noted(ADULT), {})).not.toHaveProperty('max_age')
  })

  test('the ways of the latest guard that names any', () => {
    const other = { claims: [], acr_values: 'urn:b' }
    expect(asking(noted(STRONG, other, ADULT), {}).acr_values).toBe('urn:b')
    expect(asking(noted(other, STRONG), {}).acr_values).toBe('urn:a')
  })

  test('the claims of all logins as well, as they are asked for there', () => {
    const verified = [{ verification: {} }, { verification: null }]
    const always = {
      claims: {
        userinfo: { name: null },
        id_token: { txn: { essential: true }, age_over_21: { purpose: 'wine' }, both: verified },
      },
    }
    expect(asking(noted(ADULT, { claims: ['both'] }), always as never)).toEqual({
      claims: {
        userinfo: { name: null },
        id_token: {
          txn: { essential: true },
          age_over_21: { purpose: 'wine', essential: true },
          both: verified,
        },
      },
    })
    expect(asking(noted(FRESH), always as never)).toEqual({ max_age: 300 })
  })
})
