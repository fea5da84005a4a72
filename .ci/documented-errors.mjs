import { readFileSync } from 'node:fs'
import { ReflectionKind } from 'typedoc'

/** What throws nothing, or is written by the application. A new name here is a decision. */
const THROWS_NOTHING = new Set([
  'index.IDPartner.generateProofs',
  'index.IDPartner.preflight',
  'index.IDPartnerError.constructor',
  'index.IDPartnerError.withInteractionId',
  'index.IDPartnerStrategy.authenticate',
  'index.LoginStore.peek',
  'index.LoginStore.save',
  'index.LoginStore.take',
  'guards.PassportLike.authenticate',
  'logout.concerns',
  'receipt.matchReceipt',
  'sandbox.Sandbox.close',
])

/** What is for tests alone, and throws errors that have no code. */
const WITHOUT_CODES = /^(sandbox|testing)\./

const [, table = ''] = /const STATUS = \{(.*?)^\}/ms.exec(readFileSync('lib/errors.ts', 'utf8')) ?? []
const CODES = [...table.matchAll(/^ {2}(\w+):/gm)].map(([, code]) => `\`${code}\``)

/** Whether a `@throws` has a code of the closed list, or says whose errors these are. */
function isExact({ content }) {
  return content.some(
    ({ kind, text }) => kind === 'inline-tag' || CODES.includes(text) || /\bwhat\b/.test(text),
  )
}

/** Public functions, methods and constructors without a word on what they throw, or without its code. */
export function undocumentedErrors(project) {
  const found = []
  const names = new Set()
  for (const signature of Object.values(project.reflections)) {
    if (!signature.kindOf(ReflectionKind.CallSignature | ReflectionKind.ConstructorSignature)) continue
    const owner = signature.parent
    if (!owner?.kindOf(ReflectionKind.Function | ReflectionKind.Method | ReflectionKind.Constructor)) continue
    if (owner.flags.isInherited || signature.flags.isInherited) continue
    const name = owner.getFullName()
    names.add(name)
    const throws = signature.comment?.blockTags.filter(({ tag }) => tag === '@throws') ?? []
    if (THROWS_NOTHING.has(name) ? throws.length > 0 : throws.length === 0) found.push(`${name}: no @throws`)
    if (!WITHOUT_CODES.test(name) && !throws.every(isExact)) found.push(`${name}: no code`)
  }
  for (const name of THROWS_NOTHING) if (!names.has(name)) found.push(`${name}: no such function`)
  return found
}
