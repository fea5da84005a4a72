import { appended, asText, fromNow, type JwtBend, listed, set, without } from '../support/bends.js'
import { base64url, withBrokenSignature } from '../support/jws.js'
import {
  ecKey,
  ed25519Key,
  extraKey,
  publicJwk,
  publicKeyAsSecret,
  renamed,
  rsaKey,
} from '../support/key-pairs.js'

/** Whose JWT is bent: the name of its signing key. */
export type Signer = 'bankA' | 'directory'

export interface JwtRow {
  name: string
  bend: (signer: Signer) => JwtBend
  message?: RegExp
}

/** What no signed JWT may be, whoever signed it and whatever it is for; each name completes "is refused when". */
export const jwtRows: JwtRow[] = [
  { name: 'its "iss" is missing', bend: () => ({ claims: without('iss') }), message: /"iss"/ },
  { name: 'its "iss" is another', bend: () => ({ claims: appended('iss') }) },
  {
    name: 'its "iss" is a list with the right one',
    bend: () => ({ claims: listed('iss') }),
  },
  { name: 'its "aud" is missing', bend: () => ({ claims: without('aud') }), message: /"aud"/ },
  { name: 'its "aud" is another client', bend: () => ({ claims: appended('aud') }), message: /"aud"/ },
  {
    name: 'its "aud" names a second client as well',
    bend: () => ({ claims: (c) => ({ ...c, aud: [c['aud'], `${String(c['aud'])}1`] }) }),
    message: /others/,
  },
  { name: 'its "aud" names nobody', bend: () => ({ claims: set({ aud: [] }) }), message: /"aud"/ },
  {
    name: 'its "aud" names us twice',
    bend: () => ({ claims: (c) => ({ ...c, aud: [c['aud'], c['aud']] }) }),
  },
  { name: 'its "aud" is an object', bend: () => ({ claims: (c) => ({ ...c, aud: { 0: c['aud'] } }) }) },
  { name: 'its "exp" is missing', bend: () => ({ claims: without('exp') }), message: /"exp"/ },
  {
    name: 'it expired six minutes ago',
    bend: () => ({ claims: fromNow({ exp: -360 }) }),
    message: /out of date/,
  },
  {
    name: 'it expired a second longer ago than clocks may differ',
    bend: () => ({ claims: fromNow({ exp: -31 }) }),
    message: /out of date/,
  },
  {
    name: 'its "exp" is a text',
    bend: () => ({ claims: asText('exp') }),
    message: /"exp"/,
  },
  {
    name: 'its "exp" is no number there is',
    bend: () => ({ claims: (c) => JSON.stringify(set({ exp: 0 })(c)).replace('"exp":0', '"exp":1e999') }),
    message: /"exp"/,
  },
  { name: 'its "exp" is null', bend: () => ({ claims: set({ exp: null }) }) },
  {
    name: 'it is not valid before ten minutes from now',
    bend: () => ({ claims: fromNow({ nbf: 600 }) }),
    message: /clock/,
  },
  { name: 'its "nbf" is a text', bend: () => ({ claims: set({ nbf: '0' }) }) },
  {
    name: 'its signature is broken',
    bend: () => ({ signed: withBrokenSignature }),
    message: /does not verify/,
  },
  {
    name: 'its signature is cut off',
    bend: () => ({ signed: (jws) => jws.slice(0, jws.lastIndexOf('.') + 1) }),
  },
  {
    name: 'its payload was changed after signing',
    bend: () => ({
      signed: (jws) => {
        const [header, payload, signature] = jws.split('.') as [string, string, string]
        const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
        return [header, base64url(JSON.stringify({ ...claims, extra: 1 })), signature].join('.')
      },
    }),
    message: /does not verify/,
  },
  {
    name: 'it is not signed',
    bend: () => ({ header: () => ({ alg: 'none' }) }),
    message: /signed with none, but PS256 is wanted/,
  },
  {
    name: 'it is not signed and names a key',
    bend: () => ({ header: set({ alg: 'none' }) }),
    message: /none/,
  },
  { name: 'its "alg" is None', bend: () => ({ header: set({ alg: 'None' }) }), message: /None/ },
  { name: 'its "alg" is missing', bend: () => ({ header: without('alg') }) },
  {
    name: 'a stranger signed it',
    bend: () => ({ key: () => rsaKey('stranger') }),
    message: /does not publish/,
  },
  {
    name: 'a stranger signed it and names the right key',
    bend: (signer) => ({ key: () => renamed(rsaKey('stranger'), signer) }),
    message: /does not verify/,
  },
  {
    name: 'it names no key, and a stranger signed it',
    bend: () => ({ header: without('kid'), key: () => rsaKey('stranger') }),
    message: /does not verify/,
  },
  { name: 'its "kid" is a number', bend: () => ({ header: set({ kid: 1 }) }) },
  { name: 'its "kid" is a path', bend: () => ({ header: set({ kid: '../../dev/null' }) }) },
  {
    name: 'it is signed with RS256 by the right key',
    bend: () => ({ header: set({ alg: 'RS256' }) }),
    message: /RS256, but PS256/,
  },
  {
    name: 'it is signed with RS256 by a published key without "alg"',
    bend: (signer) => ({ header: set({ alg: 'RS256' }), key: () => extraKey(signer) }),
    message: /RS256, but PS256/,
  },
  { name: 'it is signed with PS512', bend: () => ({ header: set({ alg: 'PS512' }) }), message: /PS512/ },
  {
    name: 'it is signed with ES256 by a published key, where PS256 is configured',
    bend: (signer) => ({ header: set({ alg: 'ES256', kid: `${signer}-P-256` }), key: () => ecKey(signer) }),
    message: /ES256, but PS256/,
  },
  {
    name: 'it is signed with EdDSA by a published key',
    bend: () => ({ header: set({ alg: 'EdDSA' }), key: () => ed25519Key('decoy') }),
    message: /EdDSA, but PS256/,
  },
  {
    name: 'it is signed with HS256, the public key being the secret',
    bend: (signer) => ({ header: set({ alg: 'HS256' }), key: () => publicKeyAsSecret(rsaKey(signer)) }),
    message: /HS256, but PS256/,
  },
  {
    name: 'a stranger signed it and brings the key along in "jwk"',
    bend: (signer) => ({
      header: (h) => ({ ...h, jwk: strangersJwk }),
      key: () => renamed(rsaKey('stranger'), signer),
    }),
  },
  {
    name: 'it has a critical header that nobody understands',
    bend: () => ({ header: set({ crit: ['https://example.com/x'], 'https://example.com/x': true }) }),
  },
  {
    name: 'its payload is not encoded, as a critical header says',
    bend: () => ({ header: set({ crit: ['b64'], b64: false }) }),
  },
  { name: 'its "crit" is empty', bend: () => ({ header: set({ crit: [] }) }) },
  { name: 'its payload is no JSON', bend: () => ({ claims: () => '{"iss":' }) },
  { name: 'its payload is a list', bend: () => ({ claims: (c) => JSON.stringify([c]) }) },
  { name: 'its payload is null', bend: () => ({ claims: () => 'null' }) },
  {
    name: 'its payload is nested in 5000 levels',
    bend: () => ({
      claims: (c) => JSON.stringify(c).replace('{', `{"deep":${'['.repeat(5000)}${']'.repeat(5000)},`),
    }),
    message: /nested too deeply/,
  },
  { name: 'its payload is empty', bend: () => ({ claims: () => '' }) },
  {
    name: 'its header is no JSON',
    bend: () => ({ signed: (jws) => `${base64url('{')}${jws.slice(jws.indexOf('.'))}` }),
  },
  { name: 'a part is missing', bend: () => ({ signed: (jws) => jws.slice(0, jws.lastIndexOf('.')) }) },
  { name: 'a part is too many', bend: () => ({ signed: (jws) => `${jws}.e30` }) },
]

/** The same where ES256 is configured; each name completes "is refused, where ES256 is configured, when". */
export const es256Rows: JwtRow[] = [
  {
    name: 'its signature is broken',
    bend: (signer) => ({ ...es256(signer), signed: withBrokenSignature }),
    message: /does not verify/,
  },
  {
    name: 'it is not signed',
    bend: () => ({ header: () => ({ alg: 'none' }) }),
    message: /signed with none, but ES256/,
  },
  {
    name: 'it is signed with RS256 by a published key without "alg"',
    bend: (signer) => ({ header: set({ alg: 'RS256' }), key: () => extraKey(signer) }),
    message: /RS256, but ES256/,
  },
  { name: 'it is signed with PS256 by a published key', bend: () => ({}), message: /PS256, but ES256/ },
  {
    name: 'it is signed with ES256K by a published key',
    bend: () => ({ header: set({ alg: 'ES256K' }), key: () => ecKey('decoy', 'secp256k1') }),
    message: /ES256K, but ES256/,
  },
  {
    name: 'a published key of another curve signed it',
    bend: () => ({ header: set({ alg: 'ES256' }), key: () => ecKey('decoy', 'secp256k1') }),
    message: /does not publish/,
  },
  {
    name: 'a stranger signed it and names the right key',
    bend: (signer) => ({ ...es256(signer), key: () => renamed(ecKey('stranger'), `${signer}-P-256`) }),
    message: /does not verify/,
  },
]

/** Signed with the P-256 key that every party publishes, as it is genuine where ES256 is configured. */
export function es256(signer: Signer): JwtBend {
  return { header: set({ alg: 'ES256' }), key: () => ecKey(signer) }
}

const strangersJwk = publicJwk(await rsaKey('stranger'))
