import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import { ERROR_CODES } from '../lib/errors.js'

const readme = readFileSync('README.md', 'utf8')

const section = (title: string): string => {
  const [, text] = new RegExp(`^## ${title}$(.*?)(?=^## |$(?![\\s\\S]))`, 'ms').exec(readme) ?? []
  if (text === undefined) throw new Error(`the README has no section "${title}"`)
  return text
}

const firstColumn = (table: string): string[] =>
  [...table.matchAll(/^\| (`[^|]*?`) *\|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  )

describe('the README', () => {
  test('has TypeScript blocks that compile', async () => {
    const blocks = [...readme.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code = '']) => code)
    expect(blocks.length).toBeGreaterThan(5)
    const folder = path.resolve('build/readme')
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    for (const [index, code] of blocks.entries()) {
      writeFileSync(path.join(folder, `block-${String(index + 1)}.ts`), `${code}\nexport {}\n`)
    }
    const tsconfig = {
      extends: '../../tsconfig.json',
      compilerOptions: {
        types: ['node', 'express-session', 'passport'],
        paths: {
          'passport-idpartner': ['../../lib/index.ts'],
          'passport-idpartner/sandbox': ['../../lib/sandbox/index.ts'],
        },
      },
      include: ['*.ts'],
    }
    writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(tsconfig))
    const problems = await promisify(execFile)(process.execPath, [
      'node_modules/typescript/bin/tsc',
      '-p',
      folder,
    ]).then(
      () => '',
      (err: unknown) => (err as { stdout: string }).stdout,
    )
    expect(problems).toBe('')
  })

  test('has a row for each error code', () => {
    expect(firstColumn(section('When a login fails'))).toEqual([...ERROR_CODES])
  })

  test('has a row for each option', () => {
    const optionsOf = (file: string, name: string): string[] => {
      const [, body = ''] =
        new RegExp(`export interface ${name}[^{]*\\{(.*?)^\\}`, 'ms').exec(readFileSync(file, 'utf8')) ?? []
      return [...body.matchAll(/^ {2}(\w+)\??:/gm)].map(([, option = '']) => option)
    }
    const documented = firstColumn(section('Options')).filter((name) => /^\w+$/.test(name))
    const declared = [
      ...optionsOf('lib/client/config.ts', 'IDPartnerConfig'),
      ...optionsOf('lib/passport/options.ts', 'LoginOptions'),
      ...optionsOf('lib/passport/options.ts', 'IDPartnerStrategyOptions'),
    ]
    expect(documented.sort()).toEqual(declared.sort())
  })

  test('links to files and headings that exist', () => {
    const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, target = '']) => target)
    const anchors = [...readme.matchAll(/^## (.*)$/gm)].map(
      ([, heading = '']) =>
        `#${heading
          .toLowerCase()
          .replace(/[^\w -]/g, '')
          .replaceAll(' ', '-')}`,
    )
    const dead = links.filter((link) =>
      link.startsWith('#') ? !anchors.includes(link) : !link.startsWith('https://') && !existsSync(link),
    )
    expect(dead).toEqual([])
  })
})
