import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from '@jest/globals'

/** Checks a page whose tables name a test file and then titles in it, so that none of them goes out of date. */
export function checkTablesOfTests(page: string, atLeast: number): void {
  const rows = [...readFileSync(page, 'utf8').matchAll(/^\|.*\]\(([^)]*)\) *\|(.*)\|$/gm)].map(
    ([, file = '', titles = '']) => ({ file: path.join(path.dirname(page), file), titles: cells(titles) }),
  )

  test(`${page} has tables of tests`, () => {
    expect(rows.length).toBeGreaterThanOrEqual(atLeast)
    expect(rows.filter(({ titles }) => titles.length === 0)).toEqual([])
  })

  test.each(rows.flatMap(({ file, titles }) => titles.map((title) => ({ file, title }))))(
    '"$title" is a title in $file',
    ({ file, title }) => {
      const source = sourceOf(file)
      const quoted = [title, `${title} ($flow flow)`].flatMap((text) => [`'${text}',`, `"${text}",`])
      expect(quoted.some((text) => source.includes(text))).toBe(true)
    },
  )
}

function cells(row: string): string[] {
  return row
    .split('|')
    .map((cell) => cell.trim().replace(/^`(.*)`$/, '$1'))
    .filter((title) => title !== '–')
}

/** A test file with the tables beside it that it runs. */
function sourceOf(file: string): string {
  const source = readFileSync(file, 'utf8')
  const tables = [...source.matchAll(/ from '\.\/([\w-]+)\.js'$/gm)].map(([, name = '']) =>
    readFileSync(path.join(path.dirname(file), `${name}.ts`), 'utf8'),
  )
  return [source, ...tables].join('\n')
}
