import { errorCode } from './http/error-code.js'

/** What the sandbox needs and a login does not; optional peer dependencies, so that the package alone stays small. */
const NEEDED = ['oidc-provider', 'router', '@remix-run/html-template']

/** The same, with client certificates. */
const WITH_CERTIFICATES = ['selfsigned']

/** What a login without a browser needs beside it. */
const WITH_TESTING = ['fetch-cookie']

/** Loads what is made of optional peer dependencies; where one is missing, the error says what to install. */
export async function withPeers<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (err) {
    throw missing(err) ?? err
  }
}

function missing(err: unknown): Error | undefined {
  const code = errorCode(err)
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') return undefined
  const { message } = err as Error
  const all = [NEEDED, WITH_CERTIFICATES, WITH_TESTING].find((one) =>
    one.some((name) => message.includes(`'${name}'`)),
  )
  const peer = all?.find((name) => message.includes(`'${name}'`))
  if (all === undefined || peer === undefined) return undefined
  return new Error(`The sandbox needs the package "${peer}": npm install --save-dev ${all.join(' ')}`, {
    cause: err,
  })
}
