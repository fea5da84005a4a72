// Builds the site of the documentation in build/site: the guides as they stand in docs/, and a page for each public
// name. Fails where a public name lacks its sentence or its errors, and where a link or an anchor leads nowhere.
import assert from 'node:assert/strict'
import console from 'node:console'
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { Application, KindRouter, OptionDefaults } from 'typedoc'
import { deadLinks } from './dead-links.mjs'
import { undocumentedErrors } from './documented-errors.mjs'

const { exports, homepage, repository, version } = JSON.parse(readFileSync('package.json', 'utf8'))
const REPOSITORY = repository.url.replace(/^git\+|\.git$/g, '')
const STAGE = 'build/pages'
/** Of code in the guides, beside those that are known anyway. */
const MORE_LANGUAGES = ['sql', 'nginx', 'ini']
const LANGUAGES = [
  ...OptionDefaults.highlightLanguages,
  ...MORE_LANGUAGES,
  'ts',
  'js',
  'sh',
  'bash',
  'mjs',
  'cjs',
  'yml',
]
const SITE = 'build/site'
/** What stands at the side, in this order; each is a group of pages of docs/README.md. */
const GUIDES = [
  ...readFileSync('docs/README.md', 'utf8').matchAll(/^## (.*)\n((?:(?!^## ).*\n?)*)/gm),
].flatMap(([, group, list]) =>
  [...list.matchAll(/^- \[.*?\]\((\w[\w-]*\.md)\)/gm)].map(([, page]) => ({ page: `docs/${page}`, group })),
)
const PAGES = [
  { page: 'docs/README.md', group: 'Start' },
  ...GUIDES,
  { page: 'SECURITY.md', group: 'Judge' },
  { page: 'CONTRIBUTING.md', group: 'Judge' },
  { page: 'CHANGELOG.md', group: 'Judge' },
]

/** Where a page of the site finds what its link in the repository leads to. */
function linkOnSite(from, link) {
  const [address, anchor] = link.split('#')
  if (address === '') return link
  const [, inRepository] = new RegExp(`^${REPOSITORY}/(?:blob|tree)/main/(.*)$`).exec(address) ?? []
  const [, picture] = /^https:\/\/raw\.githubusercontent\.com\/[^/]+\/[^/]+\/main\/(.*)$/.exec(address) ?? []
  if (inRepository === undefined && picture === undefined && /^[a-z]+:/.test(address)) return link
  const target = inRepository ?? picture ?? path.join(path.dirname(from), address)
  const onSite =
    target === 'README.md' || target.endsWith('.png') || PAGES.some(({ page }) => page === target)
  const url = onSite ? path.relative(path.dirname(from), target) : `${REPOSITORY}/blob/main/${target}`
  return anchor === undefined ? url : `${url}#${anchor}`
}

function stage(page, frontMatter = '') {
  const text = readFileSync(page, 'utf8')
    // The site has a title of its own on each page.
    .replace(/^# .*\n+/, '')
    .replace(/^```(\w+)/gm, (fence, language) =>
      LANGUAGES.includes(language) || language === 'mermaid' ? fence : '```text',
    )
    // GitHub alone draws these; what they show is in the words around them.
    .replace(/^```mermaid\n.*?^```\n+/gms, '')
    .split(/(^ *```.*?^ *```$)/ms)
    .map((part, at) =>
      at % 2 === 1
        ? part
        : part.replace(/\]\(([^()\s]+)\)/g, (_whole, link) => `](${linkOnSite(page, link)})`),
    )
    .join('')
  const target = path.join(STAGE, page)
  mkdirSync(path.dirname(target), { recursive: true })
  writeFileSync(target, frontMatter + text)
  return target
}

rmSync(STAGE, { recursive: true, force: true })
rmSync(SITE, { recursive: true, force: true })
const left = readdirSync('docs').filter(
  (name) => name.endsWith('.md') && !PAGES.some(({ page }) => page === `docs/${name}`),
)
assert.deepEqual(left, [], 'docs/README.md names every page')
cpSync('docs/screenshots', `${STAGE}/docs/screenshots`, { recursive: true })
const titles = PAGES.map(({ page }) => /^# (.*)$/m.exec(readFileSync(page, 'utf8'))?.[1])
const documents = PAGES.map(({ page, group }, at) =>
  stage(page, `---\ntitle: ${JSON.stringify(titles[at])}\ncategory: ${JSON.stringify(group)}\n---\n\n`),
)

const entryPoints = Object.values(exports)
  .filter((entry) => typeof entry === 'object')
  .map(({ default: built }) => built.replace('./dist', 'lib').replace(/\.js$/, '.ts'))
assert.ok(entryPoints.every((entry) => existsSync(entry)))

const app = await Application.bootstrap({
  name: 'passport-idpartner',
  entryPoints,
  tsconfig: 'tsconfig.build.json',
  readme: stage('README.md'),
  projectDocuments: documents,
  sort: ['documents-first', 'source-order'],
  categoryOrder: ['Start', 'Build', 'Run', 'Judge'],
  defaultCategory: 'API',
  navigation: { includeCategories: true, includeGroups: false, includeFolders: false },
  navigationLinks: { GitHub: homepage.split('#')[0] },
  sourceLinkTemplate: `${REPOSITORY}/blob/main/{path}#L{line}`,
  disableGit: true,
  excludePrivate: true,
  excludeInternal: true,
  githubPages: false,
  hideGenerator: true,
  includeVersion: true,
  includeHierarchySummary: false,
  highlightLanguages: [...OptionDefaults.highlightLanguages, ...MORE_LANGUAGES],
  customCss: '.ci/docs.css',
  customFooterHtml: `passport-idpartner ${version}`,
  requiredToBeDocumented: ['Variable', 'Function', 'Class', 'Interface', 'TypeAlias', 'Method', 'Accessor'],
  validation: { notExported: false, notDocumented: true },
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
})
/** A guide has the address of its file, whatever its title becomes. */
class PageRouter extends KindRouter {
  getIdealBaseName(reflection) {
    const page = reflection.isDocument() && documents.find((_, at) => titles[at] === reflection.name)
    return page ? `guides/${path.basename(page, '.md').toLowerCase()}` : super.getIdealBaseName(reflection)
  }
}
app.renderer.defineRouter('pages', PageRouter)
app.options.setValue('router', 'pages')
const project = await app.convert()
assert.ok(project, 'the sources convert')
app.validate(project)
assert.deepEqual(undocumentedErrors(project), [], 'a public function says what it throws, by code')
// As they are imported.
for (const module of project.children)
  module.name = module.name === 'index' ? project.name : `${project.name}/${module.name}`

await app.generateDocs(project, SITE)
assert.ok(!app.logger.hasErrors() && !app.logger.hasWarnings(), 'see the warnings above')
const dead = deadLinks(SITE)
assert.deepEqual(dead, [], 'every link of the site leads somewhere')
console.log(`${SITE}: ${documents.length} guides, every link leads somewhere`)
