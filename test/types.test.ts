import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from '@jest/globals'

test('the types accept what is right, and refuse what types.ts says they refuse', async () => {
  const folder = path.resolve('build/types')
  mkdirSync(folder, { recursive: true })
  const tsconfig = {
    extends: '../../tsconfig.json',
    compilerOptions: {
      paths: { 'passport-idpartner': ['../../lib/index.ts'] },
    },
    include: ['../../test/types.ts'],
  }
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(tsconfig))
  const tsc = 'node_modules/typescript/bin/tsc'
  const problems = await promisify(execFile)(process.execPath, [tsc, '--noEmit', '-p', folder]).then(
    () => '',
    (err: unknown) => (err as { stdout: string }).stdout,
  )
  expect(problems).toBe('')
}, 60_000)
