import { readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { cli } from '../support/cli.js'

test('--version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  expect(await cli(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' })
})

test.each([[], ['keys'], ['keys', 'new'], ['keys', 'retire'], ['receipt'], ['receipt', 'verify']])(
  '--help says what there is: %s %s',
  async (...command) => {
    const { code, out, err } = await cli([...command.filter(Boolean), '--help'])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(new RegExp(`^Usage: passport-idpartner ${command.filter(Boolean).join(' ')}`))
  },
)

test.each<[string, string[], RegExp]>([
  ['no command', [], /Usage/],
  ['a group without a command', ['keys'], /Usage/],
  ['an unknown command', ['kyes'], /unknown command 'kyes'\n\(Did you mean keys\?\)/],
  ['an unknown command of a group', ['keys', 'nwe'], /unknown command 'nwe'\n\(Did you mean new\?\)/],
  ['an unknown option', ['keys', 'list', '--jsn', 'x'], /unknown option '--jsn'\n\(Did you mean --json\?\)/],
])('%s could not be run', async (_name, args, message) => {
  expect(await cli(args)).toMatchObject({ code: 2, out: '', err: expect.stringMatching(message) })
})
