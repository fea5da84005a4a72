// Holds the built package's names and types to the reports in api/, one for each entry point. What an application can
// notice is a line there, so that a change of it is seen and decided on. node .ci/api.mjs [--write]
import { mkdirSync, readFileSync, readdirSync } from 'node:fs'
import console from 'node:console'
import path from 'node:path'
import process from 'node:process'
import { CompilerState, Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor'

const write = process.argv.includes('--write')
const root = process.cwd()
const silent = { logLevel: ExtractorLogLevel.None }
const { exports } = JSON.parse(readFileSync('package.json', 'utf8'))
const entries = Object.entries(exports).flatMap(([name, { types }]) =>
  types ? [{ types, report: name === '.' ? 'index' : path.basename(name) }] : [],
)

mkdirSync('build/api', { recursive: true })
const configs = entries.map(({ types, report }) =>
  ExtractorConfig.prepare({
    configObjectFullPath: path.join(root, 'api-extractor.json'),
    packageJsonFullPath: path.join(root, 'package.json'),
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: path.join(root, types),
      compiler: {
        overrideTsconfig: {
          compilerOptions: { module: 'nodenext', target: 'es2023', strict: true, types: ['node'] },
          files: entries.map((entry) => entry.types),
        },
      },
      apiReport: {
        enabled: true,
        // What a public type is made of is a part of it, also where it has no name of its own.
        includeForgottenExports: true,
        reportFileName: report,
        reportFolder: '<projectFolder>/api',
        reportTempFolder: '<projectFolder>/build/api',
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      newlineKind: 'lf',
      messages: {
        compilerMessageReporting: { default: { logLevel: 'error' } },
        extractorMessageReporting: { default: silent },
        tsdocMessageReporting: { default: silent },
      },
    },
  }),
)
// One reading of all types, since that is what takes the time.
const compilerState = CompilerState.create(configs[0], {
  additionalEntryPoints: entries.map(({ types }) => path.join(root, types)),
})
const changed = entries.filter(({ types }, index) => {
  const result = Extractor.invoke(configs[index], {
    compilerState,
    localBuild: write,
    messageCallback: (message) => {
      message.handled = message.logLevel !== ExtractorLogLevel.Error
    },
  })
  if (result.errorCount > 0) throw new Error(`the types of ${types} cannot be read`)
  return result.apiReportChanged
})

const expected = entries.map(({ report }) => `${report}.api.md`).sort()
const stray = readdirSync('api').filter((name) => !expected.includes(name))
if (stray.length > 0) throw new Error(`api/ has reports of no entry point: ${stray.join(', ')}`)
if (changed.length > 0 && !write) {
  const names = changed.map(({ report }) => report).join(', ')
  console.error(
    `public names or types changed: ${names}. If that is meant: npm run build && node .ci/api.mjs --write`,
  )
  process.exit(1)
}
console.log(`api: ${entries.length} entry points as in api/`)
