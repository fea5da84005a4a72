import { existsSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { ENCRYPTED } from '../lib/sandbox/algorithms.js'
import { ERROR_CODES } from '../lib/errors.js'
import { cli } from './support/cli.js'

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  repository: { url: string }
  homepage: string
  bugs: string
}
/** The one place that says where the repository is. */
const HOME = manifest.repository.url.replace(/^git\+|\.git$/g, '')
const REPOSITORY = `${HOME}/blob/main/`
const PICTURES = `${HOME.replace('//github.com/', '//raw.githubusercontent.com/')}/main/`

const guides = readdirSync('docs').filter((name) => name.endsWith('.md'))
const pages = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', ...guides.map((name) => `docs/${name}`)]

/** All code that can be behind a message, as its strings say it. */
const sources = readdirSync('lib', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.startsWith('sandbox'))
  .map((name) => readFileSync(`lib/${name}`, 'utf8').replaceAll('\\', ''))
  .join('\n')

const firstColumn = (table: string): string[] =>
  [...table.matchAll(/^\| (`[^|]*?`) *\|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  )

test('there is a row for each error code', () => {
  expect(firstColumn(readFileSync('docs/errors.md', 'utf8'))).toEqual([...ERROR_CODES])
})

describe('failures by symptom', () => {
  const [messages = ''] = readFileSync('docs/symptoms.md', 'utf8').split('## What has no message')
  const rows = [...messages.matchAll(/^\| `(\w+)` *\| (.*?) \|/gm)].map(([, code = '', says = '']) => ({
    code,
    says,
  }))

  test('there is a row for each error code at least', () => {
    expect([...new Set(rows.map(({ code }) => code))]).toEqual([...ERROR_CODES])
  })

  test.each(rows)('$code: $says', ({ says }) => {
    const parts = [...says.matchAll(/`([^`]+)`/g)].map(([, part = '']) => part)
    expect(parts.length).toBeGreaterThan(0)
    expect(parts.filter((part) => !sources.includes(part))).toEqual([])
  })
})

test('what the pages type at the command line is there', async () => {
  const texts = pages.map((page) => readFileSync(page, 'utf8'))
  const typed = texts.flatMap((text) =>
    [...text.matchAll(/npx passport-idpartner ((?:(?!-)[a-z]+ ?)*)([^`\n]*)/g)].map(
      ([, words = '', rest = '']) => ({ words: words.trim().split(' ').slice(0, 2), rest }),
    ),
  )
  expect(typed.length).toBeGreaterThan(10)
  const unknown = []
  for (const { words, rest } of typed) {
    const known = words.filter((word) => /^[a-z]+$/.test(word))
    const { code, out: help } = await cli([...known, '--help'])
    const options = [...rest.matchAll(/(?<= |^)--[a-z-]+/g)].map(([option]) => option)
    const found = code === 0 && help.includes(`Usage: ${['passport-idpartner', ...known].join(' ')} `)
    if (!found || options.some((option) => !help.includes(option))) unknown.push([...known, rest].join(' '))
  }
  expect(unknown).toEqual([])
})

test('there is a word about each file of the login in the picture of the house', () => {
  const house = readFileSync('docs/architecture.md', 'utf8')
  const files = ['passport', 'client', 'jwt', 'net'].flatMap((room) =>
    readdirSync(`lib/${room}`).map((name) => `lib/${room}/${name}`),
  )
  expect(files.filter((file) => !house.includes(`](../${file})`))).toEqual([])
})

test('each room of the house is in its picture and its table', () => {
  const [, picture = '', table = ''] = readFileSync('docs/architecture.md', 'utf8').split('```')
  for (const { name } of readdirSync('lib', { withFileTypes: true }).filter((one) => one.isDirectory())) {
    expect(picture).toContain(`<b>${name}/</b>`)
    expect(table).toContain(`| [\`${name}/\`](../lib/${name}) `)
  }
})

test('there is a row for each option', () => {
  const optionsOf = (file: string, name: string): string[] => {
    const [, body = ''] =
      new RegExp(`export interface ${name}[^{]*\\{(.*?)^\\}`, 'ms').exec(readFileSync(file, 'utf8')) ?? []
    return [...body.matchAll(/^ {2}(\w+)\??:/gm)].map(([, option = '']) => option)
  }
  const [, options = ''] = readFileSync('docs/options.md', 'utf8').split('## All options')
  const documented = firstColumn(options).filter((name) => /^\w+$/.test(name))
  const declared = [
    ...optionsOf('lib/client/config.ts', 'IDPartnerConfig'),
    ...optionsOf('lib/client/network.ts', 'NetworkOptions'),
    ...ENCRYPTED.flatMap((kind) => ['alg', 'enc'].map((half) => `${kind}_encrypted_response_${half}`)),
    ...optionsOf('lib/passport/options.ts', 'LoginOptions'),
    ...optionsOf('lib/passport/options.ts', 'IDPartnerStrategyOptions'),
  ]
  expect(documented.sort()).toEqual(declared.sort())
})

describe('links lead to files and headings that exist', () => {
  /** The file and heading that a link leads to; none for one that leads out of the repository. */
  const targetOf = (page: string, link: string): { file: string; anchor: string } | undefined => {
    const [address = '', anchor = ''] = link.split('#')
    for (const prefix of [REPOSITORY, PICTURES])
      if (address.startsWith(prefix)) return { file: address.slice(prefix.length), anchor }
    if (/^[a-z]+:/.test(address)) return undefined
    return { file: address === '' ? page : path.join(path.dirname(page), address), anchor }
  }

  const anchorsOf = (file: string): string[] =>
    [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    )

  test.each(pages)('%s', (page) => {
    const text = readFileSync(page, 'utf8').replace(/^```.*?^```$/gms, '')
    const links = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => link)
    const dead = links.filter((link) => {
      const target = targetOf(page, link)
      if (!target) return false
      if (!existsSync(target.file)) return true
      return target.anchor !== '' && !anchorsOf(target.file).includes(target.anchor)
    })
    expect(dead).toEqual([])
  })

  test('and those to the repository to where package.json has it', () => {
    expect(manifest).toMatchObject({ homepage: `${HOME}#readme`, bugs: `${HOME}/issues` })
    const others = pages.flatMap((page) =>
      [
        ...readFileSync(page, 'utf8').matchAll(
          /https:\/\/(?:\w+\.)?git[^\s)"]*\/passport-idpartner\b[^\s)"]*/g,
        ),
      ]
        .map(([link]) => link)
        .filter((link) => ![HOME, PICTURES].some((prefix) => link.startsWith(prefix))),
    )
    expect(others).toEqual([])
  })

  test('from the table of contents to every guide', () => {
    const contents = readFileSync('docs/README.md', 'utf8')
    expect(guides.filter((name) => name !== 'README.md' && !contents.includes(`](${name})`))).toEqual([])
  })

  test('and the README has none that a package registry could not follow', () => {
    const links = [...readFileSync('README.md', 'utf8').matchAll(/\]\(([^)]+)\)/g)].map(
      ([, link = '']) => link,
    )
    expect(links.filter((link) => !/^(https:\/\/|#)/.test(link))).toEqual([])
  })
})
