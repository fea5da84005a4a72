import { describe, expect, test } from '@jest/globals'
import { bankPicker, logInButton, pickerStylesheet, type PickableBank } from 'passport-idpartner/picker'
import { thrown } from '../support/thrown.js'

const bank = (name: string, host = `${encodeURIComponent(name).toLowerCase()}.example`): PickableBank => ({
  issuer: `https://${host}`,
  name,
})
const many = (count: number): PickableBank[] =>
  Array.from({ length: count }, (_, at) =>
    bank(`${String.fromCharCode(65 + (at % 26))} Bank ${String(at)}`, `b${String(at)}.example`),
  )
const linksOf = (html: string): string[] => [...html.matchAll(/href="([^"]*)"/g)].map(([, href = '']) => href)

describe('the picker', () => {
  test('is links to the login route, in the order of the list', () => {
    const html = bankPicker([bank('Zeta'), bank('Alpha')], {
      login: '/in?x=1',
      params: { return_to: '/a&b' },
    })
    expect(linksOf(html)).toEqual([
      '/in?x=1&amp;return_to=%2Fa%26b&amp;iss=https%3A%2F%2Fzeta.example',
      '/in?x=1&amp;return_to=%2Fa%26b&amp;iss=https%3A%2F%2Falpha.example',
    ])
    expect(html).not.toMatch(/<form|<h3/)
    expect(html).toMatch(
      /<nav [^>]*aria-labelledby="bank-picker-title"><h2 id="bank-picker-title">Choose your bank/,
    )
  })

  test('of many banks has headings and a search that keeps what goes along', () => {
    const html = bankPicker(many(500), { params: { return_to: '/"' } })
    expect(linksOf(html)).toHaveLength(500)
    expect(html.match(/<h3>/g)).toHaveLength(26)
    expect(html).toContain('<label for="bank-picker-q">Search for your bank</label><input id="bank-picker-q"')
    expect(html).toContain('<input type="hidden" name="return_to" value="/&quot;">')
  })

  test.each<[string, unknown, number]>([
    ['a word', 'bank 499', 1],
    ['words in any order and case', '499 BANK', 1],
    ['accents', 'bänk 499', 1],
    ['a host', 'b77.example', 1],
    ['nothing', ' ', 500],
    ['what is no text', ['bank 1', 'x'], 500],
    ['what no bank is called', 'credit', 0],
  ])('is searched by %s', (_by, search, found) => {
    const html = bankPicker(many(500), { search })
    expect(linksOf(html)).toHaveLength(found)
    expect(html.includes('role="status"')).toBe(found === 0)
  })

  test('shows the host of banks that have one name', () => {
    const html = bankPicker([bank('Bank', 'a.example'), bank('bánk', 'b.example'), bank('Other')])
    expect(html.match(/<small>[^<]*/g)).toEqual(['<small>a.example', '<small>b.example'])
  })

  test('speaks another language', () => {
    expect(bankPicker([], { words: { choose: 'Wählen Sie <Ihre> Bank' } })).toContain(
      'Wählen Sie &lt;Ihre&gt; Bank',
    )
    expect(logInButton({ text: 'Mit der Bank anmelden' })).toBe(
      '<a class="bank-button" href="/login">Mit der Bank anmelden</a>',
    )
  })

  test('has logos of the bank, of the application, or a letter', () => {
    const html = bankPicker([
      { ...bank('A'), logo: 'https://cdn.example/a.svg' },
      { ...bank('B'), logo: '/logos/b.svg' },
      bank('C'),
    ])
    expect([...html.matchAll(/src="([^"]*)"/g)].map(([, src]) => src)).toEqual([
      'https://cdn.example/a.svg',
      '/logos/b.svg',
    ])
    expect(html).toContain('<span class="bank-letter" aria-hidden="true">C</span>')
  })
})

describe('nothing that a bank or a person writes is markup', () => {
  const hostile = `"><script>alert('x')</script><img src=x onerror=alert(1)>`
  test.each<[string, string]>([
    ['a name', bankPicker([bank(hostile, 'a.example')])],
    [
      'an issuer',
      bankPicker([{ issuer: `https://a.example/${hostile}`, name: 'A' }, bank('A', 'b.example')]),
    ],
    ['a logo', bankPicker([{ ...bank('A'), logo: `https://a.example/${hostile}` }])],
    ['a path as a logo', bankPicker([{ ...bank('A'), logo: `/${hostile}` }])],
    ['a search', bankPicker(many(20), { search: hostile })],
    ['a parameter', bankPicker(many(20), { params: { [hostile]: hostile } })],
    ['words', bankPicker(many(20), { words: { choose: hostile, search: hostile, submit: hostile } })],
    ['a button', logInButton({ text: hostile, params: { [hostile]: hostile } })],
  ])('%s', (_what, html) => {
    const values = [...html.matchAll(/"([^"]*)"/g)].map(([, value]) => value)
    expect(values.filter((value) => /[<>]/.test(value ?? ''))).toEqual([])
    expect(html.replace(/"[^"]*"/g, '""')).not.toMatch(/<script|<img src=x|<[^>]*\son\w+=|\sstyle=/)
  })

  test.each([
    'javascript:alert(1)',
    'data:image/svg+xml,<svg/>',
    'http://a.example/a.svg',
    '//evil.example/a.svg',
  ])('a logo at %s is not shown', (logo) => {
    expect(bankPicker([{ ...bank('A'), logo }])).not.toContain('<img')
  })

  test('an issuer that is no URL is left out, and one with a script only goes along', () => {
    expect(linksOf(bankPicker([{ issuer: 'nonsense', name: 'A' }]))).toEqual([])
    expect(linksOf(bankPicker([{ issuer: 'javascript:alert(1)', name: 'A' }]))).toEqual([
      '/login?iss=javascript%3Aalert%281%29',
    ])
  })

  test('a name turns nothing around and hides nothing', () => {
    expect(bankPicker([bank('Ba\u202Enk\u200B', 'a.example')])).toContain('<bdi>Bank</bdi>')
  })
})

test.each<[string, () => unknown]>([
  ['login', () => bankPicker([], { login: 'https://evil.example' })],
  ['login', () => logInButton({ login: '//evil.example' })],
  ['login', () => bankPicker([], { login: '/login#banks' })],
  ['login', () => logInButton({ login: '/login#banks' })],
  ['login', () => logInButton('/login' as never)],
  ['login', () => bankPicker([], null as never)],
  ['text', () => logInButton({ text: ' ' })],
  ['params', () => bankPicker([], { params: { a: 1 } as never })],
  ['words', () => bankPicker([], { words: { other: 'x' } as never })],
  ['serach', () => bankPicker([], { serach: 'x' } as never)],
  ['client.banks()', () => bankPicker(Promise.resolve([]) as never)],
  ['client.banks()', () => bankPicker([{ name: 'A' }] as never)],
])('a mistake is named: %s', (name, make) => {
  expect(thrown(make)).toMatchObject({ code: 'config_invalid', message: expect.stringContaining(name) })
})

test('the style loads nothing', () => {
  expect(pickerStylesheet).not.toMatch(/url\(|@import|expression/)
})
