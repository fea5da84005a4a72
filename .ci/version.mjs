// Makes of all changesets, and of what CHANGELOG.md has under "Unreleased", the next version's section, and puts the version
// into package.json and the lock file. Commits and publishes nothing. npm run next-version
import { execFileSync } from 'node:child_process'
import console from 'node:console'
import { readFileSync, writeFileSync } from 'node:fs'

const run = (command, args) => execFileSync(command, args, { stdio: 'inherit' })
const versionNow = () => JSON.parse(readFileSync('package.json', 'utf8')).version

/** A changelog as its title and introduction, and its sections by heading. */
function parse(markdown) {
  const [introduction, ...sections] = markdown.split(/^(?=## )/m)
  return {
    introduction: introduction.trim(),
    sections: sections.map((section) => {
      const [, heading, body] = /^## (.*)\n([^]*)$/.exec(section)
      return { heading, body: body.trim() }
    }),
  }
}

const before = parse(readFileSync('CHANGELOG.md', 'utf8'))
const versionBefore = versionNow()
run('npx', ['--no-install', 'changeset', 'version'])
const version = versionNow()
if (version === versionBefore)
  throw new Error('there is no changeset, so there is nothing to release: npx changeset')

// It writes between the title and the introduction, so that the introduction is the end of what is new.
const written = parse(readFileSync('CHANGELOG.md', 'utf8')).sections[0]
const introduction = before.introduction.replace(/^# .*\n/, '').trim()
if (written?.heading !== version || !written.body.endsWith(introduction))
  throw new Error('the changelog is not written as it was; see .ci/version.mjs')
const changes = written.body.slice(0, -introduction.length).trim()

const unreleased = before.sections.find(({ heading }) => heading === '[Unreleased]')
const others = before.sections.filter((section) => section !== unreleased)
const sections = [
  {
    heading: `[${version}] - ${new Date().toISOString().slice(0, 10)}`,
    body: [unreleased?.body, changes].filter(Boolean).join('\n\n'),
  },
  ...others,
]
writeFileSync(
  'CHANGELOG.md',
  `${[before.introduction, ...sections.map(({ heading, body }) => `## ${heading}\n\n${body}`)].join('\n\n')}\n`,
)
run('npx', ['--no-install', 'prettier', '--write', 'CHANGELOG.md', 'package.json'])
run('npm', ['install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund'])
console.log(`version ${version}: read CHANGELOG.md, commit, and tag it v${version} when it is on main`)
