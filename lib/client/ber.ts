/** One value of ASN.1. */
export interface Ber {
  tag: number
  content: Buffer
}

const CONSTRUCTED = 0x20
const OPEN = 0x80

/**
 * The values that stand in a row in BER, of which DER is a part (X.690): several programs write PKCS#12 with lengths left
 * open.
 *
 * @throws {RangeError} where it is none
 */
export function readBer(bytes: Buffer): Ber[] {
  const values: Ber[] = []
  for (let at = 0; at < bytes.length;) {
    const { value, end } = readOne(bytes, at)
    values.push(value)
    at = end
  }
  return values
}

/** What is inside of the first value there, and of the first in it, and so on. */
export function inside(bytes: Buffer, depth = 1): Buffer {
  let content = bytes
  for (let left = depth; left > 0; left--) content = required(readBer(content)[0]).content
  return content
}

/** The bytes of an OCTET STRING, which may be written in pieces. */
export function octets({ tag, content }: Ber): Buffer {
  return tag & CONSTRUCTED ? Buffer.concat(readBer(content).map(octets)) : content
}

/** @throws {RangeError} */
export function required(value: Ber | undefined): Ber {
  if (!value) throw new RangeError()
  return value
}

function readOne(bytes: Buffer, at: number): { value: Ber; end: number } {
  const tag = bytes.readUInt8(at)
  const first = bytes.readUInt8(at + 1)
  if (first === OPEN) return readOpen(bytes, tag, at + 2)
  // Four bytes of length are far more than a file has.
  const extra = first < OPEN ? 0 : first - OPEN
  if (extra > 4) throw new RangeError()
  const length = extra === 0 ? first : bytes.readUIntBE(at + 2, extra)
  const from = at + 2 + extra
  const end = from + length
  if (end > bytes.length) throw new RangeError()
  return { value: { tag, content: bytes.subarray(from, end) }, end }
}

/** Up to two bytes of zero. */
function readOpen(bytes: Buffer, tag: number, from: number): { value: Ber; end: number } {
  let at = from
  while (bytes.readUInt16BE(at) !== 0) at = readOne(bytes, at).end
  return { value: { tag, content: bytes.subarray(from, at) }, end: at + 2 }
}
