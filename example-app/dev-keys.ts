import { chmod, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateJwks } from 'passport-idpartner'

type Jwks = Awaited<ReturnType<typeof generateJwks>>

/**
 * Reads the development keys from `jwks.json` in a folder, and makes them when there are none.
 *
 * Folder and file are for their owner alone; where others were let in, they are shut out again and `warn` is told.
 */
export async function developmentKeys(folder: string, warn: (line: string) => void): Promise<Jwks> {
  const path = join(folder, 'jwks.json')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await shutOut(folder, 0o700, warn)
  if (await exists(path)) {
    await shutOut(path, 0o600, warn)
    return await readJwks(path)
  }
  const jwks = await generateJwks()
  // Renamed into place, so that nobody finds half a file there.
  const unfinished = `${path}.${String(process.pid)}`
  await writeFile(unfinished, `${JSON.stringify(jwks, null, 2)}\n`, { mode: 0o600 })
  await rename(unfinished, path)
  return jwks
}

/** Reads a JWKS file. Does not look into the keys: the strategy does. */
export async function readJwks(path: string): Promise<Jwks> {
  const text = await readFile(path, 'utf8')
  try {
    return JSON.parse(text) as Jwks
  } catch {
    // The cause is left out: it quotes the text, which may be a key.
    throw new Error(`${path} is not JSON; the file must hold a JWKS`)
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}

async function shutOut(path: string, mode: number, warn: (line: string) => void): Promise<void> {
  if (process.platform === 'win32') return
  const found = (await stat(path)).mode & 0o777
  if ((found & 0o077) === 0) return
  await chmod(path, mode)
  warn(
    `${path} was open to other users of this machine (mode ${found.toString(8)}) and is yours alone again.`,
  )
}
