import { X509Certificate, createPrivateKey } from 'node:crypto'
import * as pkijs from 'pkijs'

interface Contents {
  keys: string[]
  certificates: string[]
  passphrase: string
  /** By its OID, in place of how it is really encrypted. */
  pretending?: string
  /** AES, 256 by default. */
  bits?: number
  /** Of what makes the key of that, SHA-256 by default. */
  hash?: string
  /** Whether the private key is not encrypted. */
  open?: boolean
}

const CERTIFICATE = '1.2.840.113549.1.12.10.1.3'
const KEY = '1.2.840.113549.1.12.10.1.1'
const ENCRYPTED_KEY = '1.2.840.113549.1.12.10.1.2'

const bytes = (data: Buffer): ArrayBuffer => new Uint8Array(data).buffer

/** A PKCS#12 file, encrypted with AES (PBES2). */
export async function pkcs12({
  keys,
  certificates,
  passphrase,
  pretending,
  bits = 256,
  hash = 'SHA-256',
  open,
}: Contents): Promise<Buffer> {
  const encryption = {
    password: bytes(Buffer.from(passphrase)),
    contentEncryptionAlgorithm: { name: 'AES-CBC', length: bits },
    hmacHashAlgorithm: hash,
    iterationCount: 1000,
  }
  const keyBags = keys.map(async (pem) => {
    const der = createPrivateKey(pem).export({ format: 'der', type: 'pkcs8' })
    const parsedValue = pkijs.PrivateKeyInfo.fromBER(bytes(der))
    if (open) return new pkijs.SafeBag({ bagId: KEY, bagValue: parsedValue as never })
    const bag = new pkijs.PKCS8ShroudedKeyBag({ parsedValue })
    await bag.makeInternalValues(encryption)
    return new pkijs.SafeBag({ bagId: ENCRYPTED_KEY, bagValue: bag })
  })
  const certificateBags = certificates.map((pem) => {
    const parsedValue = pkijs.Certificate.fromBER(bytes(new X509Certificate(pem).raw))
    return new pkijs.SafeBag({ bagId: CERTIFICATE, bagValue: new pkijs.CertBag({ parsedValue }) })
  })
  const safe = new pkijs.AuthenticatedSafe({
    parsedValue: {
      safeContents: [
        { privacyMode: 0, value: new pkijs.SafeContents({ safeBags: await Promise.all(keyBags) }) },
        { privacyMode: 1, value: new pkijs.SafeContents({ safeBags: certificateBags }) },
      ],
    },
  })
  await safe.makeInternalValues({ safeContents: [{}, encryption] })
  if (pretending !== undefined) {
    const data = new pkijs.EncryptedData({ schema: safe.safeContents[1]?.content as unknown })
    data.encryptedContentInfo.contentEncryptionAlgorithm.algorithmId = pretending
    safe.safeContents[1] = new pkijs.ContentInfo({
      contentType: pkijs.ContentInfo.ENCRYPTED_DATA,
      content: data.toSchema(),
    })
  }
  const pfx = new pkijs.PFX({ parsedValue: { integrityMode: 0, authenticatedSafe: safe } })
  await pfx.makeInternalValues({
    password: encryption.password,
    iterations: 1000,
    pbkdf2HashAlgorithm: 'SHA-256',
    hmacHashAlgorithm: 'SHA-256',
  })
  return Buffer.from(pfx.toSchema().toBER())
}
