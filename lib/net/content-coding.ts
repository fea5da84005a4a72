import type { ZlibOptions } from 'node:zlib'
import { isError, printable } from '../errors.js'
import { RequestFailure } from './request-failure.js'

type Decode = (body: Buffer, options: ZlibOptions) => Buffer

/** Loaded when the first body comes coded, which few ever do. */
const zlib = (): typeof import('node:zlib') => process.getBuiltinModule('node:zlib')

const gunzip: Decode = (body, options) => zlib().gunzipSync(body, options)
const unbrotli: Decode = (body, options) => zlib().brotliDecompressSync(body, options)

/** Some servers leave away the zlib header that `deflate` has (RFC 9110, section 8.4.1.2). */
const inflate: Decode = (body, options) =>
  ((body[0] ?? 0) & 0x0f) === 8 ? zlib().inflateSync(body, options) : zlib().inflateRawSync(body, options)

const DECODERS = new Map<string, Decode>([
  ['gzip', gunzip],
  ['x-gzip', gunzip],
  ['deflate', inflate],
  ['br', unbrotli],
])

/**
 * Takes the coding off a body, which some servers put on although we ask for none (RFC 9110, section 8.4).
 *
 * @param maxBytes what is allowed after decoding: a few bytes that become many are an attack
 * @throws {RequestFailure}
 */
export function decoded(body: Buffer, contentEncoding: string, maxBytes: number): Buffer {
  const codings = contentEncoding.split(',').map((one) => one.trim().toLowerCase())
  const [coding, ...more] = codings.filter((one) => one !== '' && one !== 'identity')
  if (coding === undefined || body.length === 0) return body
  const decode = DECODERS.get(coding)
  // One coding upon another would be allowed. Nobody does it who does not want to keep us busy.
  if (!decode || more.length > 0) {
    const name = printable(contentEncoding) ?? 'an unusual one'
    throw new RequestFailure(`answered in a Content-Encoding that is not known here: ${name}`)
  }
  try {
    return decode(body, { maxOutputLength: maxBytes })
  } catch (err) {
    if (isError(err) && 'code' in err && err.code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge()
    throw new RequestFailure(`answered with a body that is not the ${coding} it is said to be`)
  }
}

export function tooLarge(): RequestFailure {
  return new RequestFailure('answered with more than 1 MiB')
}
