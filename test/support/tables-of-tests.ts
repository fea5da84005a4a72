import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from '@jest/globals'

interface Report {
  testResults: { name: string; assertionResults: { ancestorTitles: string[]; title: string }[] }[]
}

/** Checks a page whose tables name a test file and then titles in it, so that none of them goes out of date. */
export function checkTablesOfTests(page: string, atLeast: number): void {
  const rows = [...readFileSync(page, 'utf8').matchAll(/^\|.*\]\(([^)]*)\) *\|(.*)\|$/gm)].map(
    ([, file = '', titles = '']) => ({
      file: path.resolve(path.dirname(page), file),
      titles: cells(titles),
    }),
  )
  let reported: Map<string, string[][]>

  beforeAll(async () => {
    reported = await titlesOf([...new Set(rows.map(({ file }) => file))])
    // It loads most of the tests there are.
  }, 300_000)

  test(`${page} has tables of tests`, () => {
    expect(rows.length).toBeGreaterThanOrEqual(atLeast)
    expect(rows.filter(({ titles }) => titles.length === 0)).toEqual([])
  })

  test(`every row of ${page} names a test that there is`, () => {
    const gone = rows.filter(
      ({ file, titles }) =>
        !reported
          .get(file)
          ?.some((names) => titles.every((title) => names.some((name) => pattern(title).test(name)))),
    )
    expect(gone.map(({ file, titles }) => `${path.relative('test', file)}: ${titles.join(' > ')}`)).toEqual(
      [],
    )
  })
}

/** All titles of each test in these files, outermost first, as jest reports them when it is asked to run none. */
async function titlesOf(files: string[]): Promise<Map<string, string[][]>> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      '--experimental-vm-modules',
      '--no-warnings',
      'node_modules/jest/bin/jest.js',
      ...['--ci', '--json', '--maxWorkers=1', '--testNamePattern=(?!)', '--runTestsByPath', ...files],
    ],
    { maxBuffer: 64 * 1024 * 1024 },
  )
  const { testResults } = JSON.parse(stdout) as Report
  return new Map(
    testResults.map(({ name, assertionResults }) => [
      name,
      assertionResults.map(({ ancestorTitles, title }) => [...ancestorTitles, title]),
    ]),
  )
}

function cells(row: string): string[] {
  return row
    .split('|')
    .map((cell) => cell.trim().replace(/^`(.*)`$/, '$1'))
    .filter((title) => title !== '–')
}

/** A title as a page has it, where `$flow` stands for any of the rows that a test is run for. */
function pattern(title: string): RegExp {
  const literal = title.split(/\$\w+/).map((text) => text.replace(/[^\w\s]/g, '\\$&'))
  return new RegExp(`^${literal.join('.+')}$`)
}
