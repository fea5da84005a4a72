import { readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'

const rows = [
  ...readFileSync('SECURITY.md', 'utf8').matchAll(/^\| .*? \| \[.*?\]\((test\/.*?)\) +\| (.*?) +\|$/gm),
]

test('the security page has a table of attacks', () => {
  expect(rows.length).toBeGreaterThan(25)
})

test.each(rows.map(([, file = '', title = '']) => [title, file]))(
  '"%s" is a heading in %s',
  (title, file) => {
    const source = readFileSync(file, 'utf8')
    const endings = ["',", '",', ' ($flow flow)']
    expect(
      endings.some(
        (ending) => source.includes(`'${title}${ending}`) || source.includes(`"${title}${ending}`),
      ),
    ).toBe(true)
  },
)
