import { readFileSync, readdirSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'

interface Step {
  uses?: string
  run?: string
  env?: Record<string, string>
  with?: Record<string, unknown>
}

interface Job {
  permissions?: Record<string, string>
  'timeout-minutes'?: number
  environment?: string
  needs?: string
  strategy?: { matrix?: Record<string, string[]> }
  steps: Step[]
}

interface Workflow {
  on: Record<string, unknown>
  permissions?: Record<string, string>
  jobs: Record<string, Job>
}

const FOLDER = '.github/workflows'
/** The rights that a job has; everything else has none. */
const RIGHTS: Record<string, Record<string, string>> = {
  'ci.yml everything': { contents: 'read' },
  'codeql.yml analyze': { contents: 'read', 'security-events': 'write' },
  'release.yml pack': { contents: 'read' },
  'release.yml publish': { 'id-token': 'write' },
  'release.yml notes': { contents: 'write' },
}

const workflows = readdirSync(FOLDER).map((name) => {
  const text = readFileSync(`${FOLDER}/${name}`, 'utf8')
  return { name, text, workflow: parse(text) as Workflow }
})
const jobs = workflows.flatMap(({ name, workflow }) =>
  Object.entries(workflow.jobs).map(([id, job]) => ({ title: `${name} ${id}`, job })),
)
const jobOf = (title: string): Job => {
  const found = jobs.find((one) => one.title === title)
  if (!found) throw new Error(`there is no job ${title}`)
  return found.job
}

describe.each(workflows)('$name', ({ text, workflow }) => {
  test('pins each action by its commit, with the version beside it', () => {
    const used = text.split('\n').filter((line) => /\buses:/.test(line))
    expect(used).not.toHaveLength(0)
    for (const line of used)
      expect(line).toMatch(/^\s*(- )?uses: (actions|github)\/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  })

  test('has no right that a job does not ask for itself', () => {
    expect(workflow.permissions).toEqual({})
  })

  test('is not started with rights by what a stranger sends', () => {
    for (const trigger of ['pull_request_target', 'workflow_run', 'issue_comment', 'issues'])
      expect(workflow.on).not.toHaveProperty([trigger])
  })

  test('puts nothing into a script that is not a script', () => {
    for (const { steps } of Object.values(workflow.jobs))
      for (const { run } of steps) expect(run ?? '').not.toContain('${{')
  })

  test('has no secret', () => {
    expect(text).not.toMatch(/\bsecrets\b/)
  })
})

describe('a job', () => {
  test('is one of these', () => {
    expect(jobs.map(({ title }) => title).sort()).toEqual(Object.keys(RIGHTS).sort())
  })

  test.each(jobs)('$title has the rights it needs, and a time limit', ({ title, job }) => {
    expect(job.permissions).toEqual(RIGHTS[title])
    expect(job['timeout-minutes']).toBeLessThanOrEqual(60)
  })

  test.each(jobs)('$title leaves no token in the checkout, and takes nothing from a cache', ({ job }) => {
    for (const { uses = '', with: given } of job.steps) {
      if (uses.startsWith('actions/checkout@')) expect(given).toMatchObject({ 'persist-credentials': false })
      if (uses.startsWith('actions/setup-node@'))
        expect(given).toMatchObject({ 'package-manager-cache': false })
    }
  })
})

test('what has to hold before a change lands is one script, with each Node that is supported', () => {
  const { steps, strategy } = jobOf('ci.yml everything')
  expect(steps.at(-1)).toEqual({ run: '.ci/run' })
  const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } }
  expect(strategy?.matrix?.node).toEqual([engines.node.replace('>=', ''), '22', '24'])
})

describe('what may publish', () => {
  test('runs nothing of this repository, nor of a dependency', () => {
    const { steps, environment, needs } = jobOf('release.yml publish')
    expect(steps.flatMap(({ run }) => run ?? [])).toEqual([
      'npm publish ./package.tgz --provenance --access public --ignore-scripts',
    ])
    expect(steps.map(({ uses }) => uses?.replace(/@.*/, ''))).not.toContain('actions/checkout')
    expect({ environment, needs }).toEqual({ environment: 'npm', needs: 'pack' })
  })

  test('waits for a checked tarball of the tagged version', () => {
    const runs = jobOf('release.yml pack').steps.flatMap(({ run }) => run ?? [])
    expect(runs).toEqual([
      'npm ci --no-audit --no-fund',
      'npm audit',
      'npm run build',
      'node .ci/release.mjs "$GITHUB_REF_NAME"',
    ])
  })
})

test.each(['bug', 'feature', 'question'])('the form for a %s asks for no secret', (name) => {
  const form = readFileSync(`.github/ISSUE_TEMPLATE/${name}.yml`, 'utf8')
  expect(parse(form)).toMatchObject({ name: expect.any(String), body: expect.any(Array) })
  if (name !== 'feature') {
    expect(form).toContain('npx passport-idpartner doctor')
    expect(form).toMatch(/never paste tokens, codes, cookies, private keys, client secrets/i)
  }
})
