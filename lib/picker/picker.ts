import * as v from 'valibot'
import { cleanName, logoOf } from '../client/bank-name.js'
import { parseOptions } from '../client/parse-options.js'
import { IDPartnerError } from '../errors.js'
import { localPath, loginPath } from '../guards/local-path.js'

/** A bank of `client.banks()`. Its `logo` may be a path of this site too, for one that the application has itself. */
export interface PickableBank {
  issuer: string
  name: string
  logo?: string | undefined
}

/** Options of {@link logInButton}. */
export interface ButtonOptions {
  /** The path of the login route, or of the page with the picker; `'/login'` by default. */
  login?: string | undefined
  /** What else goes along in its query, such as `{ return_to: '/orders' }`. */
  params?: Readonly<Record<string, string>> | undefined
  /** `'Log in with your bank'` by default. */
  text?: string | undefined
}

/** Options of {@link bankPicker}. */
export interface PickerOptions extends Omit<ButtonOptions, 'text'> {
  /** What the person has typed: `q` of the page's query. Anything but text counts as nothing. */
  search?: unknown
  /** Words in another language than English. */
  words?: Partial<typeof WORDS> | undefined
}

const WORDS = {
  choose: 'Choose your bank',
  search: 'Search for your bank',
  submit: 'Search',
  none: 'No bank of this name. Try fewer letters.',
}

/** Banks that are seen at once; from then on there are a search and headings. */
const FEW = 12

const MAX_SEARCH = 100

const texts = v.record(v.string(), v.string('must be texts by name'))
const target = { login: v.optional(loginPath, '/login'), params: v.optional(texts, {}) }
const buttonOptions = v.strictObject({
  ...target,
  text: v.optional(
    v.pipe(v.string('must be a text'), v.regex(/\S/, 'must not be empty')),
    'Log in with your bank',
  ),
})
const text = v.string('must be texts')
const pickerOptions = v.strictObject({
  ...target,
  search: v.optional(v.unknown()),
  words: v.optional(
    v.strictObject({
      choose: v.optional(text),
      search: v.optional(text),
      submit: v.optional(text),
      none: v.optional(text),
    }),
    {},
  ),
})
const banksShape = v.array(
  v.looseObject({ issuer: v.string(), name: v.string(), logo: v.optional(v.string()) }),
)

interface Shown {
  name: string
  host: string
  href: string
  logo: string | undefined
}

/**
 * A link that looks like a button, as HTML. No form: browsers apply a page's `form-action` to where a form is redirected.
 *
 * @throws {IDPartnerError} `config_invalid`, with a message that names the option
 */
export function logInButton(options: ButtonOptions = {}): string {
  const { login, params, text } = parseOptions(
    buttonOptions,
    options,
    "the options must be an object, such as { login: '/banks' }",
  )
  return `<a class="bank-button" href="${escape(withParams(login, params))}">${escape(text)}</a>`
}

/**
 * A list of banks to choose from, as HTML: links to the login route with the bank as `iss`, and from a dozen on a search and
 * headings. Needs no script, and no style but {@link pickerStylesheet}.
 *
 * Does not decide which bank is allowed: the login route does, by `trusted_issuers`.
 *
 * @throws {IDPartnerError} `config_invalid`, with a message that names the option
 */
export function bankPicker(banks: readonly PickableBank[], options: PickerOptions = {}): string {
  const { login, params, search, words } = parseOptions(
    pickerOptions,
    options,
    "the options must be an object, such as { login: '/login' }",
  )
  if (!v.is(banksShape, banks)) {
    throw new IDPartnerError('config_invalid', 'the first argument must be the banks: await client.banks()')
  }
  const say = { ...WORDS, ...defined(words) }
  const all = banks.flatMap((bank) => shown(bank, login, params))
  const typed = typeof search === 'string' ? search.slice(0, MAX_SEARCH) : ''
  const found = matching(all, typed)
  const list = all.length > FEW ? grouped(found) : listOf(found, all)
  return [
    '<nav class="bank-picker" aria-labelledby="bank-picker-title">',
    `<h2 id="bank-picker-title">${escape(say.choose)}</h2>`,
    all.length > FEW ? searchForm(say, typed, params) : '',
    found.length === 0 ? `<p role="status">${escape(say.none)}</p>` : list,
    '</nav>',
  ].join('')
}

function shown(bank: PickableBank, login: string, params: Record<string, string>): Shown[] {
  const { issuer, logo } = bank
  if (!URL.canParse(issuer)) return []
  const { host, pathname } = new URL(issuer)
  return [
    {
      name: cleanName(bank.name) ?? host,
      host: pathname === '/' ? host : `${host}${pathname}`,
      href: withParams(login, { ...params, iss: issuer }),
      logo: logo === undefined ? undefined : (localPath(logo) ?? logoOf(logo, issuer)),
    },
  ]
}

/** Those in whose name every word is found, whatever its case and accents. */
function matching(banks: readonly Shown[], typed: string): Shown[] {
  const words = likeness(typed).split(/\s+/).filter(Boolean)
  return banks.filter(({ name, host }) => {
    const text = likeness(`${name} ${host}`)
    return words.every((word) => text.includes(word))
  })
}

function likeness(text: string): string {
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()
}

function grouped(found: readonly Shown[]): string {
  const collator = new Intl.Collator(undefined, { sensitivity: 'base' })
  const groups = new Map<string, Shown[]>()
  for (const bank of [...found].sort((one, other) => collator.compare(one.name, other.name))) {
    const letter = /^\p{L}/u.exec(likeness(bank.name))?.[0].toUpperCase() ?? '#'
    groups.set(letter, [...(groups.get(letter) ?? []), bank])
  }
  return Array.from(groups, ([letter, banks]) => `<h3>${escape(letter)}</h3>${listOf(banks, found)}`).join('')
}

function listOf(banks: readonly Shown[], all: readonly Shown[]): string {
  const names = new Map<string, number>()
  for (const { name } of all) names.set(likeness(name), (names.get(likeness(name)) ?? 0) + 1)
  const entries = banks.map((bank) => entry(bank, (names.get(likeness(bank.name)) ?? 0) > 1))
  return `<ul>${entries.join('')}</ul>`
}

/** Of banks with one name people see the hosts as well. */
function entry({ name, host, href, logo }: Shown, isAmbiguous: boolean): string {
  const image =
    logo === undefined
      ? `<span class="bank-letter" aria-hidden="true">${escape(Array.from(name)[0] ?? '')}</span>`
      : `<img src="${escape(logo)}" alt="" width="32" height="32" loading="lazy" referrerpolicy="no-referrer">`
  const small = isAmbiguous ? `<small>${escape(host)}</small>` : ''
  return `<li><a href="${escape(href)}">${image}<span><bdi>${escape(name)}</bdi>${small}</span></a></li>`
}

function searchForm(say: typeof WORDS, typed: string, params: Record<string, string>): string {
  const carried = Object.entries(params)
    .filter(([name]) => name !== 'q')
    .map(([name, value]) => `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`)
  return [
    '<form method="get" role="search">',
    `<label for="bank-picker-q">${escape(say.search)}</label>`,
    `<input id="bank-picker-q" name="q" type="search" value="${escape(typed)}" autocomplete="off">`,
    ...carried,
    `<button type="submit">${escape(say.submit)}</button></form>`,
  ].join('')
}

function withParams(login: string, params: Record<string, string>): string {
  const query = new URLSearchParams(params).toString()
  return query === '' ? login : `${login}${login.includes('?') ? '&' : '?'}${query}`
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (one) => ENTITIES[one] ?? '')
}

function defined<T extends object>(words: T): { [Name in keyof T]: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(words).filter(([, word]) => word !== undefined)) as never
}
