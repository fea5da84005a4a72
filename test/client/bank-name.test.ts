import { describe, expect, test } from '@jest/globals'
import { cleanName, logoOf, selfDescription } from '../../lib/client/bank-name.js'

const ISSUER = 'https://bank.example'

describe("a bank's name", () => {
  test.each<[string, unknown, string | undefined]>([
    ['stays as it is', 'Café Bank & Söhne 3', 'Café Bank & Söhne 3'],
    ['is composed', 'Cafe\u0301', 'Café'],
    ['has single spaces', ' a\n\tb \u00a0 c ', 'a b c'],
    ['is not turned around', 'Bank\u202Eknab\u2066', 'Bankknab'],
    ['hides nothing', 'Ba\u200Bn\u00ADk\uFEFF\u3164\u115F', 'Bank'],
    ['controls nothing', 'Ba\u0000n\u001B[31mk\u0085\u2028\u2029', 'Ban[31mk'],
    ['does not reach into other lines', `Ba${'\u0316'.repeat(40)}nk`, 'Ba\u0316\u0316\u0316nk'],
    ['is cut between letters', '\u{1D49C}'.repeat(100), `${'\u{1D49C}'.repeat(79)}…`],
    ['of eighty letters is whole', 'x'.repeat(80), 'x'.repeat(80)],
    ['of a million letters is cut', 'x'.repeat(1e6), `${'x'.repeat(79)}…`],
    ['of a lone surrogate is none', '\uD800', undefined],
    ['of nothing that is seen is none', '\u2800 \u200B', undefined],
    ['of nothing is none', '', undefined],
    ['that is a number is none', 7, undefined],
    ['that is an object is none', { toString: () => 'Bank' }, undefined],
  ])('%s', (_what, name, shown) => {
    expect(cleanName(name)).toBe(shown)
  })
})

describe("a bank's logo", () => {
  test.each<[string, string, string | undefined]>([
    ['https://cdn.example/a.svg', ISSUER, 'https://cdn.example/a.svg'],
    ['https://cdn.example/"><script>', ISSUER, 'https://cdn.example/%22%3E%3Cscript%3E'],
    ['http://cdn.example/a.svg', ISSUER, undefined],
    ['javascript:alert(1)', ISSUER, undefined],
    ['data:image/svg+xml,<svg/>', ISSUER, undefined],
    ['//cdn.example/a.svg', ISSUER, undefined],
    ['/a.svg', ISSUER, undefined],
    ['https://me:pw@cdn.example/a.svg', ISSUER, undefined],
    ['https://192.168.1.1/a.svg', ISSUER, undefined],
    ['https://127.0.0.1/a.svg', ISSUER, undefined],
    ['http://localhost:1/a.svg', ISSUER, undefined],
    ['http://localhost:1/a.svg', 'http://localhost:2', 'http://localhost:1/a.svg'],
    [`https://cdn.example/${'x'.repeat(2000)}`, ISSUER, undefined],
  ])('%s of %s', (logo, issuer, shown) => {
    expect(logoOf(logo, issuer)).toBe(shown)
  })
})

test('what a bank publishes of itself is read from its own members alone', () => {
  const known = { organization_name: 'Bank Ltd', logo_uri: 'https://cdn.example/a.svg' }
  expect(selfDescription(known, ISSUER)).toEqual(known)
  expect(selfDescription({ ...known, display_name: 'Bank' }, ISSUER).organization_name).toBe('Bank')
  expect(selfDescription({ ...known, display_name: '\u200B' }, ISSUER).organization_name).toBe('Bank Ltd')
  expect(selfDescription(Object.create(known) as object, ISSUER)).toEqual({})
})
