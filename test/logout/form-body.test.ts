import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from '@jest/globals'
import { formBody } from '../../lib/logout/form-body.js'
import { refusal } from '../support/settle.js'

const FORM = 'application/x-www-form-urlencoded'
const LIMIT = 64 * 1024

interface Posted {
  type?: string | undefined
  length?: number
  parsed?: unknown
}

/** A request, and the stream that it is. */
function posted({ type = FORM, length, parsed }: Posted = {}): [PassThrough, Parameters<typeof formBody>[0]] {
  const stream = new PassThrough()
  const headers = {
    ...(type !== '' && { 'content-type': type }),
    ...(length !== undefined && { 'content-length': String(length) }),
  }
  return [stream, Object.assign(stream, { headers, body: parsed }) as never]
}

const refused = (why: string): object => ({
  code: 'response_invalid',
  message: `what was posted for a logout ${why}`,
})

/** What is read of a body in these pieces. */
async function read(pieces: (string | Buffer)[], how: Posted = {}): Promise<string> {
  const [stream, req] = posted(how)
  const form = formBody(req)
  for (const piece of pieces) stream.write(piece)
  stream.end()
  return (await form).toString()
}

describe('a form is read', () => {
  test.each([FORM, `${FORM};charset=utf-8`, `${FORM} ; x=y`, FORM.toUpperCase()])(
    'of the type %s',
    async (type) => {
      expect(await read(['a=b'], { type })).toBe('a=b')
    },
  )

  test('in pieces, within a character as well', async () => {
    const bytes = Buffer.from('a=ä&b=c')
    expect(await read([bytes.subarray(0, 3), bytes.subarray(3)])).toBe('a=%C3%A4&b=c')
    expect(await read([])).toBe('')
  })

  test('of 64 KiB', async () => {
    const most = `a=${'x'.repeat(LIMIT - 2)}`
    expect(await read([most], { length: LIMIT })).toBe(most)
    expect(await read([most.slice(0, 9), most.slice(9)])).toBe(most)
  })

  test.each<[string, unknown]>([
    ['an object', { a: 'b' }],
    ['a text', 'a=b'],
    ['parameters', new URLSearchParams('a=b')],
  ])('where somebody has made it %s', async (_name, parsed) => {
    const [, req] = posted({ parsed })
    expect((await formBody(req)).toString()).toBe('a=b')
  })

  test('where a parser of other types has left an empty object', async () => {
    expect(await read(['a=b'], { parsed: {} })).toBe('a=b')
  })
})

describe('what is posted is refused where it', () => {
  test.each(['', 'application/json', `x${FORM}`, `${FORM}x`, `text/plain;${FORM}`])(
    'is no form: %j',
    async (type) => {
      const [, req] = posted({ type, parsed: { a: 'b' } })
      expect(await refusal(formBody(req))).toMatchObject(refused('is no form'))
    },
  )

  test('says that it is longer', async () => {
    const [, req] = posted({ length: LIMIT + 1, parsed: { a: 'b' } })
    expect(await refusal(formBody(req))).toMatchObject(refused('is too long'))
  })

  test('is longer, and reads no more of it', async () => {
    const [stream, req] = posted()
    const form = refusal(formBody(req))
    for (const size of [LIMIT, 1, LIMIT]) stream.write(Buffer.alloc(size, 'x'))
    expect(await form).toMatchObject(refused('is too long'))
    expect(stream.isPaused()).toBe(true)
    stream.destroy()
  })

  test('was read before', async () => {
    const [stream, req] = posted()
    stream.end('a=b')
    stream.resume()
    await once(stream, 'end')
    expect(await refusal(formBody(req))).toMatchObject(refused('was read before, and nobody kept it'))
  })

  test('ends early', async () => {
    const [stream, req] = posted()
    const form = refusal(formBody(req))
    stream.write('a=')
    stream.destroy()
    expect(await form).toMatchObject(refused('ended early'))
  })

  test('fails, for which there is a cause', async () => {
    const [stream, req] = posted()
    const form = refusal(formBody(req))
    stream.destroy(new Error('reset'))
    expect(await form).toMatchObject({ ...refused('ended early'), cause: { message: 'reset' } })
  })
})
