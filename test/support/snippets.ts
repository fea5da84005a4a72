import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/** A fenced block of a page. */
export interface Snippet {
  page: string
  language: string
  /** The file it belongs to, which is the second word of its fence: ```` ```ts app.ts ````. */
  file: string
  code: string
}

/** The blocks of a page that are programs or commands, in order. */
export function snippetsOf(page: string): Snippet[] {
  return [...readFileSync(page, 'utf8').matchAll(/^ *```(ts|js|sh)\b *(\S*)\n(.*?)^ *```$/gms)].map(
    ([, language = '', file = '', code = '']) => ({ page, language, file, code }),
  )
}

/** A folder inside this repository, where programs find this package and what it is developed with. */
export class SnippetFolder {
  readonly path: string

  constructor(name: string) {
    this.path = path.resolve('build/snippets', name)
    rmSync(this.path, { recursive: true, force: true })
    mkdirSync(this.path, { recursive: true })
    const lib = path.relative(this.path, 'lib')
    this.write(
      'tsconfig.json',
      JSON.stringify({
        extends: path.relative(this.path, 'tsconfig.json'),
        compilerOptions: {
          allowJs: true,
          types: ['node', 'express-session', 'passport'],
          paths: {
            'passport-idpartner': [`${lib}/index.ts`],
            'passport-idpartner/guards': [`${lib}/guards/index.ts`],
            'passport-idpartner/logout': [`${lib}/logout/index.ts`],
            'passport-idpartner/picker': [`${lib}/picker/index.ts`],
            'passport-idpartner/receipt': [`${lib}/receipt/index.ts`],
            'passport-idpartner/redis': [`${lib}/redis/index.ts`],
            'passport-idpartner/sandbox': [`${lib}/sandbox/index.ts`],
            'passport-idpartner/testing': [`${lib}/testing/index.ts`],
          },
        },
        include: ['*.ts'],
      }),
    )
    this.write('package.json', '{"type":"module"}')
  }

  /** Two blocks of one name would overwrite each other. */
  write(file: string, text: string): string {
    const target = path.join(this.path, file)
    if (existsSync(target)) throw new Error(`there is a ${file} already`)
    writeFileSync(target, text)
    return target
  }
}
