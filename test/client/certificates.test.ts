import { X509Certificate, createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { checkCertificate, resolveTls, type TlsOptions } from '../../lib/client/certificates.js'
import { clientCertificate, tlsCertificates, type Pem } from '../support/certificates.js'
import { pkcs12 } from '../support/pkcs12.js'
import { thrown } from '../support/thrown.js'

const PASSPHRASE = 'quite a geheimnis'

let own: Pem
let other: Pem
let authority: Pem

beforeAll(async () => {
  ;({ client: own, server: authority } = await tlsCertificates())
  other = await clientCertificate('another')
})

const refusal = (options: TlsOptions): unknown =>
  thrown(() => {
    checkCertificate(resolveTls(options), 0)
  })

const CIPHER = { cipher: 'aes-256-cbc', passphrase: PASSPHRASE }

const encrypted = (format: 'pem' | 'der'): string | Buffer => {
  const key = createPrivateKey(own.key)
  return format === 'pem'
    ? key.export({ type: 'pkcs8', format, ...CIPHER })
    : key.export({ type: 'pkcs8', format, ...CIPHER })
}

/** As `openssl rsa -aes256` wrote it for years. */
const olderPem = (): string | Buffer =>
  createPrivateKey(own.key).export({
    type: 'sec1',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: PASSPHRASE,
  })

describe('a private key that is encrypted', () => {
  test.each([
    ['PEM', () => encrypted('pem')],
    ['PEM in a Buffer', () => Buffer.from(encrypted('pem'))],
    ['PEM of the older kind', olderPem],
    ['DER', () => encrypted('der')],
    ['not at all', () => own.key],
  ])('is opened by its passphrase: %s', (_, key) => {
    const tls = resolveTls({
      tls_client_cert: own.cert,
      tls_client_key: key(),
      tls_client_passphrase: PASSPHRASE,
    })
    expect(createPrivateKey(tls.key ?? '').equals(createPrivateKey(own.key))).toBe(true)
    expect(() => {
      checkCertificate(tls, 0)
    }).not.toThrow()
  })

  test.each<[string, () => string | Buffer, string | undefined, RegExp]>([
    [
      'no passphrase',
      () => encrypted('pem'),
      undefined,
      /"tls_client_key" is encrypted: set tls_client_passphrase/,
    ],
    ['no passphrase, of the older kind', olderPem, undefined, /is encrypted: set tls_client_passphrase/],
    [
      'another passphrase',
      () => encrypted('pem'),
      'another secret',
      /"tls_client_key" cannot be opened with this tls_client_passphrase/,
    ],
    ['an empty passphrase', () => encrypted('pem'), '', /cannot be opened with this/],
    ['another passphrase of the older kind', olderPem, 'another secret', /cannot be opened with this/],
    [
      'DER and no passphrase',
      () => encrypted('der'),
      undefined,
      /"tls_client_key" must be a private key in PEM or DER/,
    ],
    [
      'DER and another passphrase',
      () => encrypted('der'),
      'another secret',
      /must be a private key in PEM or DER/,
    ],
    [
      'no key at all',
      () => `-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n`,
      PASSPHRASE,
      /cannot be opened with this/,
    ],
  ])('is refused with %s', (_, key, tls_client_passphrase, message) => {
    const err = refusal({ tls_client_cert: own.cert, tls_client_key: key(), tls_client_passphrase })
    expect(err).toMatchObject({ code: 'config_invalid', message: expect.stringMatching(message) })
    expect((err as Error).message).not.toMatch(/secret|geheimnis/)
  })

  test('whose certificate is another is refused', () => {
    const options = { tls_client_cert: other.cert, tls_client_key: encrypted('pem') }
    expect(refusal({ ...options, tls_client_passphrase: PASSPHRASE })).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('is not the key of tls_client_cert'),
    })
  })

  test('is the only thing that a passphrase is for', () => {
    expect(refusal({ tls_client_passphrase: PASSPHRASE })).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('"tls_client_passphrase" opens nothing'),
    })
  })
})

describe('a PKCS#12 file', () => {
  const packed = (more: Partial<Parameters<typeof pkcs12>[0]> = {}): Promise<Buffer> =>
    pkcs12({ keys: [own.key], certificates: [own.cert], passphrase: PASSPHRASE, ...more })

  test('is key and certificate', async () => {
    const tls = resolveTls({ tls_client_pfx: await packed(), tls_client_passphrase: PASSPHRASE })
    expect(tls.cert).toBe(String(new X509Certificate(own.cert)))
    expect(createPrivateKey(tls.key ?? '').equals(createPrivateKey(own.key))).toBe(true)
    expect(() => {
      checkCertificate(tls, 0)
    }).not.toThrow()
  })

  test.each([
    { bits: 128, hash: 'SHA-1' },
    { bits: 192, hash: 'SHA-256' },
    { bits: 256, hash: 'SHA-384' },
    { bits: 256, hash: 'SHA-512' },
    { open: true },
  ])('may be encrypted otherwise: %j', async (more) => {
    const tls = resolveTls({ tls_client_pfx: await packed(more), tls_client_passphrase: PASSPHRASE })
    expect(tls.cert).toBe(String(new X509Certificate(own.cert)))
    expect(createPrivateKey(tls.key ?? '').equals(createPrivateKey(own.key))).toBe(true)
  })

  test('may have no passphrase', async () => {
    expect(resolveTls({ tls_client_pfx: await packed({ passphrase: '' }) })).toHaveProperty('cert')
  })

  test('has no say in which servers are trusted, whatever authorities are in it', async () => {
    const pfx = {
      tls_client_pfx: await packed({ certificates: [authority.cert, own.cert] }),
      tls_client_passphrase: PASSPHRASE,
    }
    expect(Object.keys(resolveTls(pfx)).sort()).toEqual(['cert', 'key'])
    expect(resolveTls({ ...pfx, tls_server_ca: other.cert }).ca).toBe(other.cert)
  })

  test('shows the certificate of its key, wherever that stands, and then what issued it, in that order', async () => {
    const root = await clientCertificate('root')
    const middle = await clientCertificate('in between', 365, root)
    const leaf = await clientCertificate('leaf', 365, middle)
    const certificates = [root.cert, other.cert, leaf.cert, middle.cert]
    const tls = resolveTls({
      tls_client_pfx: await packed({ keys: [leaf.key], certificates }),
      tls_client_passphrase: PASSPHRASE,
    })
    // One that has issued none of them, nobody gets to see.
    expect(tls.cert).toBe([leaf, middle, root].map(({ cert }) => String(new X509Certificate(cert))).join(''))
  })

  test.each<[string, () => Buffer | Promise<Buffer>, string | undefined, RegExp]>([
    [
      'no passphrase',
      () => packed(),
      undefined,
      /"tls_client_pfx" cannot be opened with this tls_client_passphrase/,
    ],
    [
      'another passphrase',
      () => packed(),
      'another secret',
      /cannot be opened with this tls_client_passphrase/,
    ],
    [
      'a changed byte',
      async () => changed(await packed()),
      PASSPHRASE,
      /cannot be opened with this|must be a PKCS#12 file/,
    ],
    ['its end cut off', async () => (await packed()).subarray(0, -20), PASSPHRASE, /must be a PKCS#12 file/],
    ['nothing in it', () => Buffer.alloc(0), PASSPHRASE, /must be a PKCS#12 file/],
    ['PEM in it', () => Buffer.from(own.cert + own.key), PASSPHRASE, /must be a PKCS#12 file/],
    ['noise in it', () => randomBytes(1000), PASSPHRASE, /must be a PKCS#12 file/],
    [
      'no key',
      () => packed({ keys: [] }),
      PASSPHRASE,
      /must be a PKCS#12 file .* with a private key and its certificate/,
    ],
    [
      'two keys',
      () => packed({ keys: [own.key, other.key] }),
      PASSPHRASE,
      /must hold one private key, not several/,
    ],
    [
      'no certificate',
      () => packed({ certificates: [] }),
      PASSPHRASE,
      /must be a PKCS#12 file .* with a private key and its certificate/,
    ],
    [
      'the certificate of another key',
      () => packed({ certificates: [other.cert] }),
      PASSPHRASE,
      /must hold the certificate of its private key|must be a PKCS#12 file/,
    ],
    [
      'RC2',
      () => packed({ pretending: '1.2.840.113549.1.12.1.6' }),
      PASSPHRASE,
      /outdated way.*openssl pkcs12 -legacy/,
    ],
  ])('is refused with %s', async (_, file, tls_client_passphrase, message) => {
    const err = refusal({ tls_client_pfx: await file(), tls_client_passphrase })
    expect(err).toMatchObject({ code: 'config_invalid', message: expect.stringMatching(message) })
    expect((err as Error).message).not.toMatch(/secret|geheimnis/)
  })

  test.each(['tls_client_cert', 'tls_client_key'] as const)('takes the place of %s', async (name) => {
    const err = refusal({
      tls_client_pfx: await packed(),
      tls_client_passphrase: PASSPHRASE,
      [name]: own.cert,
    })
    expect(err).toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining(`"tls_client_pfx" takes the place of ${name}`),
    })
  })

  test('whose key is too short for TLS is refused', async () => {
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 1024,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    })
    expect(
      refusal({ tls_client_pfx: await packed({ keys: [privateKey] }), tls_client_passphrase: PASSPHRASE }),
    ).toMatchObject({ code: 'config_invalid' })
  })
})

function changed(file: Buffer): Buffer {
  const at = Math.floor(file.length / 2)
  const copy = Buffer.from(file)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}
