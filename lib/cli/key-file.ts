import { chown, link, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { calculateJwkThumbprint, type JSONWebKeySet, type JWK } from 'jose'
import { IDPartnerError } from '../errors.js'
import { checkJwks, type CheckedKey } from '../jwt/keys.js'
import { CannotRun } from './terminal.js'

/**
 * A JWK with what its file, or else its own members, say of it. Its name and status are written where they were missing:
 * they are those it had.
 */
export type FileKey = CheckedKey & { kid: string }

/**
 * Reads the application's private keys.
 *
 * @throws {CannotRun} where there is no such file; {@link IDPartnerError} `config_invalid` where it holds no good keys
 */
export async function readKeyFile(file: string): Promise<FileKey[]> {
  const checked = checkJwks(await readJwks(file))
  return Promise.all(
    checked.map(async (one) => ({ ...one, kid: one.jwk.kid ?? (await calculateJwkThumbprint(one.jwk)) })),
  )
}

async function readJwks(file: string): Promise<JSONWebKeySet> {
  const text = await readText(file)
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    // The cause is left out: it quotes the text, which may be a key.
    throw new IDPartnerError(
      'config_invalid',
      'the file is not JSON; it has to hold a JWKS: { "keys": [ … ] }',
    )
  }
  const { keys } = (parsed ?? {}) as { keys?: unknown }
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'object' && key !== null)) {
    throw new IDPartnerError('config_invalid', 'the file holds no JWKS: { "keys": [ … ] }')
  }
  return { keys: keys as JWK[] }
}

/** @throws {CannotRun} */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (err) {
    throw new CannotRun(`${file} cannot be read (${codeOf(err)})`)
  }
}

/** Whether others than the owner may read or write it; never on Windows, whose modes say nothing. */
export async function isOpenToOthers(file: string): Promise<boolean> {
  return process.platform !== 'win32' && ((await stat(file)).mode & 0o077) !== 0
}

/** Makes a file that was not there before. @throws {CannotRun} */
export async function createKeyFile(file: string, keys: readonly FileKey[]): Promise<void> {
  await written(file, keys, async (finished) => {
    try {
      // Unlike a rename, it never takes the place of what is there.
      await link(finished, file)
    } catch (err) {
      if (codeOf(err) !== 'EEXIST') throw err
      throw new CannotRun(`${file} exists, and is never overwritten: "keys next" adds keys to it`)
    } finally {
      await rm(finished, { force: true })
    }
  })
}

/** Replaces a file, so that who reads it finds the old one or the new one, whole. @throws {CannotRun} */
export async function replaceKeyFile(file: string, keys: readonly FileKey[]): Promise<void> {
  // The name may lead to the file, as names in a mounted volume do.
  const target = await realpath(file)
  await written(target, keys, async (finished) => {
    const { uid, gid } = await stat(target)
    // Written by another user, such as root, it would be shut to the one it was for.
    if (uid !== process.getuid?.() && process.getuid) await chown(finished, uid, gid)
    await rename(finished, target)
  })
}

async function written(
  file: string,
  keys: readonly FileKey[],
  put: (finished: string) => Promise<void>,
): Promise<void> {
  const folder = path.dirname(file)
  const unfinished = path.join(folder, `.${path.basename(file)}.${randomUUID()}`)
  try {
    const handle = await open(unfinished, 'wx', 0o600)
    try {
      await handle.writeFile(`${JSON.stringify({ keys: keys.map(jwkOf) }, null, 2)}\n`)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await put(unfinished)
    await syncFolder(folder)
  } catch (err) {
    await rm(unfinished, { force: true }).catch(() => undefined)
    if (err instanceof CannotRun) throw err
    throw new CannotRun(`${file} cannot be written (${codeOf(err)})`)
  }
}

function jwkOf({ jwk, kid, status }: FileKey): JWK {
  return { ...jwk, kid, status } as JWK
}

/** A name that is not on the disk yet would be lost with the power. Not every system can open a folder. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => undefined)
  await handle?.sync().catch(() => undefined)
  await handle?.close()
}

function codeOf(err: unknown): string {
  const { code } = err as NodeJS.ErrnoException
  return code ?? 'unknown error'
}
