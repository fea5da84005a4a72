import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { IDPartner } from 'passport-idpartner'
import { redactReceipt } from 'passport-idpartner/receipt'

type Keys = Awaited<ReturnType<IDPartner['getPublicJWKs']>>

/**
 * Files receipts in a folder: whole ones in `receipts/`, to be erased when the person's data is, and in `audit/` under the same
 * name what says nothing of anybody and may stay.
 */
export class Archive {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Adds the public keys that receipts are sealed with. None is ever taken out: a receipt proves nothing without its key. */
  async keepKeys({ keys }: Keys): Promise<void> {
    const path = await this.#place('keys.json')
    const kept = await readFile(path, 'utf8').then(
      (text) => (JSON.parse(text) as Keys).keys,
      (err: unknown) => {
        if ((err as NodeJS.ErrnoException).code === 'ENOENT') return []
        throw err
      },
    )
    const added = keys.filter(({ use, kid }) => use === 'sig' && kept.every((one) => one.kid !== kid))
    await writeFile(path, JSON.stringify({ keys: [...kept, ...added] }), { mode: 0o600 })
  }

  /** Resolves when both are written, so that nobody is logged in without. */
  async file(receipt: string): Promise<void> {
    const redacted = redactReceipt(receipt)
    // The name says nothing of the person either.
    const name = `${createHash('sha256').update(redacted).digest('hex')}.json`
    await writeFile(await this.#place('audit', name), redacted, { mode: 0o600 })
    await writeFile(await this.#place('receipts', name), receipt, { mode: 0o600 })
  }

  async #place(...path: string[]): Promise<string> {
    const place = join(this.#folder, ...path)
    await mkdir(join(place, '..'), { recursive: true, mode: 0o700 })
    return place
  }
}
