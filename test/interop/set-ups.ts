import { randomBytes } from 'node:crypto'
import { generateJwks, type IDPartnerConfig, type IDPartnerStrategyOptions } from 'passport-idpartner'
import type { Admin } from './admin.js'
import type { App } from './app.js'
import type { Authority } from './authority.js'
import { realmOf, type Person, type Registration } from './realm.js'

/** An application's registration at a realm, and the options that go with it. */
export interface SetUp {
  /** Its client id, and the name of its routes. */
  name: string
  realm: string
  registration: Registration
  options: IDPartnerStrategyOptions
}

export interface Kind {
  auth: Registration['auth']
  alg: NonNullable<Registration['alg']>
  encrypted: boolean
  profile?: IDPartnerConfig['profile']
  /** Binds tokens to a key of each login. */
  dpop?: boolean
  /** Shows a client certificate, whichever way it authenticates. */
  bound?: boolean
  /** At the bank: what is registered otherwise than it should be. */
  registered?: Partial<Registration>
}

type EncryptionAlg = NonNullable<NonNullable<Parameters<typeof generateJwks>[0]>['enc']>

const ENCRYPTION: Record<string, { alg: EncryptionAlg; enc: 'A256CBC-HS512' | 'A256GCM' }> = {
  PS256: { alg: 'RSA-OAEP', enc: 'A256CBC-HS512' },
  ES256: { alg: 'ECDH-ES+A256KW', enc: 'A256GCM' },
}

const MATRIX: Kind[] = (['private_key_jwt', 'tls_client_auth'] as const).flatMap((auth) =>
  (['PS256', 'ES256'] as const).flatMap((alg) => [
    { auth, alg, encrypted: false },
    { auth, alg, encrypted: true },
  ]),
)

/** Client ids, each of one realm. */
function named(realm: string, kinds: Kind[]): Record<string, Kind> {
  return Object.fromEntries(
    kinds.map((kind) => {
      const auth = { private_key_jwt: 'jwt', tls_client_auth: 'mtls', client_secret_basic: 'secret' }[
        kind.auth
      ]
      return [`${realm}-${auth}-${kind.alg}${kind.encrypted ? '-encrypted' : ''}`.toLowerCase(), kind]
    }),
  )
}

const secret: Kind = { auth: 'client_secret_basic', alg: 'PS256', encrypted: false }
const usual: Kind = { auth: 'private_key_jwt', alg: 'PS256', encrypted: true }

/** Each realm with its clients. */
export const REALMS: { realm: string; profile?: string; kinds: Record<string, Kind> }[] = [
  {
    realm: 'ordinary',
    kinds: {
      ...named('ordinary', [secret, ...MATRIX]),
      rotating: usual,
      'server-defaults': { ...secret, registered: { alg: undefined } },
      'server-default-id-tokens': { ...secret, registered: { idTokenAlg: 'RS256' } },
      'encryption-not-registered': { ...usual, registered: { enc: undefined } },
    },
  },
  {
    realm: 'fapi1',
    profile: 'fapi-1-advanced',
    kinds: named(
      'fapi1',
      MATRIX.map((kind) => ({ ...kind, bound: true })),
    ),
  },
  {
    realm: 'fapi2',
    profile: 'fapi-2-security-profile',
    kinds: named(
      'fapi2',
      MATRIX.map((kind) => ({ ...kind, bound: true, profile: 'fapi2-security' })),
    ),
  },
  {
    realm: 'fapi2-signing',
    profile: 'fapi-2-message-signing',
    kinds: named(
      'fapi2-signing',
      MATRIX.map((kind) => ({ ...kind, bound: true, profile: 'fapi2-message-signing' })),
    ),
  },
  {
    realm: 'fapi2-dpop',
    profile: 'fapi-2-dpop-security-profile',
    kinds: named(
      'fapi2-dpop',
      MATRIX.map((kind) => ({ ...kind, dpop: true, bound: false, profile: 'fapi2-security' })),
    ),
  },
  {
    realm: 'fapi2-dpop-signing',
    profile: 'fapi-2-dpop-message-signing',
    kinds: named(
      'fapi2-dpop-signing',
      MATRIX.map((kind) => ({ ...kind, dpop: true, bound: false, profile: 'fapi2-message-signing' })),
    ),
  },
]

/** Makes the keys, certificate and secret of an application, and both sides of its registration. */
async function setUp(
  app: App,
  authority: Authority,
  { name, realm, issuer, kind }: { name: string; realm: string; issuer: string; kind: Kind },
): Promise<SetUp> {
  const { auth, alg, encrypted, profile, dpop = false, registered } = kind
  const encryption = encrypted ? ENCRYPTION[alg] : undefined
  const { keys } = await generateJwks({ alg, ...(encryption && { enc: encryption.alg }) })
  const jwks = { keys: encrypted ? keys : keys.filter(({ use }) => use === 'sig') }
  const bound = kind.bound ?? auth === 'tls_client_auth'
  const certificate = bound || auth === 'tls_client_auth' ? await authority.client(name) : undefined
  const client_secret = auth === 'client_secret_basic' ? randomBytes(16).toString('hex') : undefined
  const registration: Registration = {
    ...{ client_id: name, auth, alg, enc: encryption, bound, dpop, client_secret, commonName: name },
    ...{ callback: app.callback(name), jwks_uri: app.jwksUri(name) },
    ...registered,
  }
  const options: IDPartnerConfig = {
    client_id: name,
    callback: app.callback(name),
    flow: 'direct',
    trusted_issuers: [issuer],
    profile,
    dpop_bound_access_tokens: dpop,
    token_endpoint_auth_method: auth,
    tls_server_ca: authority.certificate,
    // A machine that is busy is no fault.
    timeout: 30_000,
    authorization_signed_response_alg: alg,
    id_token_signed_response_alg: alg,
    userinfo_signed_response_alg: alg,
    ...(auth === 'client_secret_basic' ? { client_secret } : { jwks }),
    ...(certificate && { tls_client_cert: certificate.cert, tls_client_key: certificate.key }),
    ...(encryption && {
      authorization_encrypted_response_alg: encryption.alg,
      authorization_encrypted_response_enc: encryption.enc,
      id_token_encrypted_response_alg: encryption.alg,
      id_token_encrypted_response_enc: encryption.enc,
    }),
  }
  return { name, realm, registration, options }
}

/** Sets up each realm at the bank, and says what the application has to do for it. */
export async function register({
  app,
  authority,
  admin,
  person,
}: {
  app: App
  authority: Authority
  admin: Admin
  person: Person
}): Promise<SetUp[]> {
  const setUps: SetUp[] = []
  for (const { realm, profile, kinds } of REALMS) {
    const issuer = admin.issuer(realm)
    const here = await Promise.all(
      Object.entries(kinds).map(([name, kind]) => setUp(app, authority, { name, realm, issuer, kind })),
    )
    const registrations = here.map(({ registration }) => registration)
    await admin.importRealm(realmOf({ realm, profile, people: [person], registrations }))
    for (const { name, options } of here) app.publish(name, app.use(name, options))
    setUps.push(...here)
  }
  return setUps
}
