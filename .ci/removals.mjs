// Takes one thing out of lib/ at a time, a call that stands alone or a member of an object or of a list, and reports
// which removals no test notices: what mutation.mjs does not try, and how a check gets lost in a careless edit.
// node .ci/removals.mjs [file …]: names in lib/ without their ending; all with a mutation test by default.
import { spawn } from 'node:child_process'
import console from 'node:console'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import ts from 'typescript'
import { FILES, testsOf } from './mutation-files.mjs'

/** A test run that takes longer hangs, which is noticed as well. */
const MAX_RUN = 120_000

function removals(name) {
  const file = `lib/${name}.ts`
  const text = readFileSync(file, 'utf8')
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const found = []
  const add = (node, { withComma = false } = {}) => {
    const start = node.getStart()
    const comma = withComma ? (/^\s*,/.exec(text.slice(node.end))?.[0].length ?? 0) : 0
    found.push({ start, end: node.end + comma })
  }
  const visit = (node) => {
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isImportDeclaration(node)) return
    if (ts.isExpressionStatement(node)) add(node)
    if (ts.isObjectLiteralExpression(node)) node.properties.forEach((one) => add(one, { withComma: true }))
    if (ts.isArrayLiteralExpression(node)) node.elements.forEach((one) => add(one, { withComma: true }))
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found.map(({ start, end }) => ({
    name,
    file,
    text: text.slice(0, start) + text.slice(end),
    line: source.getLineAndCharacterOfPosition(start).line + 1,
    removed: text.slice(start, end).replaceAll(/\s+/g, ' ').slice(0, 80),
  }))
}

function passes(copy, tests) {
  return new Promise((resolve) => {
    const jest = spawn(
      process.execPath,
      [
        '--experimental-vm-modules',
        '--no-warnings=ExperimentalWarning',
        'node_modules/jest/bin/jest.js',
        '--config=.ci/stryker.jest.config.js',
        '--runInBand',
        '--bail',
        '--silent',
      ],
      { cwd: copy, env: { ...process.env, TESTS: tests.join() }, stdio: 'ignore', timeout: MAX_RUN },
    )
    jest.on('exit', (code) => {
      resolve(code === 0)
    })
  })
}

async function isNoticed(copy, { name }) {
  const { own, all } = testsOf(name)
  if (!(await passes(copy, own))) return true
  const others = all.filter((one) => !own.includes(one))
  return others.length > 0 && !(await passes(copy, others))
}

const names = process.argv.length > 2 ? process.argv.slice(2) : FILES
const queue = names.flatMap(removals)
const survivors = []
const total = queue.length

async function work() {
  const copy = mkdtempSync(path.join(os.tmpdir(), 'removals-'))
  for (const folder of [
    '.ci',
    'lib',
    'test',
    'example-app',
    'package.json',
    'jest.config.js',
    'tsconfig.json',
  ])
    cpSync(folder, path.join(copy, folder), { recursive: true })
  symlinkSync(path.resolve('node_modules'), path.join(copy, 'node_modules'))
  try {
    for (let removal = queue.shift(); removal; removal = queue.shift()) {
      const { file, line, removed, text } = removal
      const target = path.join(copy, file)
      const genuine = readFileSync(target)
      writeFileSync(target, text)
      if (!(await isNoticed(copy, removal))) {
        survivors.push(removal)
        console.log(`not noticed: ${file}:${line} ${removed}`)
      }
      writeFileSync(target, genuine)
    }
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

await Promise.all(Array.from({ length: os.availableParallelism() }, work))
console.log(`noticed ${total - survivors.length} of ${total} removals`)
