import type { IDPartnerConfig } from 'passport-idpartner'

type Alg = NonNullable<IDPartnerConfig['id_token_signed_response_alg']>

/** How an application is registered at the bank. */
export interface Registration {
  client_id: string
  auth: NonNullable<IDPartnerConfig['token_endpoint_auth_method']>
  /** Signs whatever is signed on either side; what Keycloak does by itself where there is none. */
  alg?: Alg | undefined
  /** The same for ID tokens alone. */
  idTokenAlg?: string
  /** Encrypts answers and ID tokens. */
  enc?: { alg: string; enc: string } | undefined
  /** Binds access tokens to the client certificate. */
  bound?: boolean
  /** Binds them to a key of each login. */
  dpop?: boolean
  callback: string
  jwks_uri: string
  client_secret?: string | undefined
  /** The common name in its certificate. */
  commonName?: string
}

export interface Person {
  username: string
  password: string
  email: string
}

export interface RealmOptions {
  realm: string
  /** One of Keycloak's own client profiles, which every application has to obey. */
  profile?: string | undefined
  people: Person[]
  registrations: Registration[]
}

/** What Keycloak imports. */
export type Realm = ReturnType<typeof realmOf>

/** A realm as its administrator would set it up. */
export function realmOf({ realm, profile, people, registrations }: RealmOptions) {
  return {
    realm,
    enabled: true,
    sslRequired: 'all',
    accessTokenLifespan: 300,
    // A refresh token works once.
    revokeRefreshToken: true,
    refreshTokenMaxReuse: 0,
    components: {
      'org.keycloak.keys.KeyProvider': [
        keyProvider('PS256', 100),
        keyProvider('ES256', 100),
        keyProvider('RS256', 100),
      ],
    },
    users: people.map(({ username, password, email }) => ({
      username,
      email,
      emailVerified: true,
      firstName: 'Kim',
      lastName: 'Example',
      enabled: true,
      credentials: [{ type: 'password', value: password }],
      realmRoles: ['offline_access', `default-roles-${realm}`],
    })),
    clients: registrations.map(client),
    ...(profile !== undefined && {
      clientPolicies: {
        policies: [
          {
            name: profile,
            enabled: true,
            conditions: [{ condition: 'any-client', configuration: {} }],
            profiles: [profile],
          },
        ],
      },
    }),
  }
}

/** A key of the realm; the one of the highest priority signs. */
export function keyProvider(alg: 'PS256' | 'ES256' | 'RS256', priority: number) {
  const ec = alg === 'ES256'
  return {
    name: `${alg} ${String(priority)}`,
    providerId: ec ? 'ecdsa-generated' : 'rsa-generated',
    config: {
      priority: [String(priority)],
      ...(ec ? { ecdsaEllipticCurveKey: ['P-256'] } : { algorithm: [alg], keySize: ['2048'] }),
    },
  }
}

/** The common name of who issues the certificates of applications. */
export const AUTHORITY = 'interoperability'

const AUTHENTICATORS = {
  private_key_jwt: 'client-jwt',
  tls_client_auth: 'client-x509',
  client_secret_basic: 'client-secret',
} as const

function client(registration: Registration) {
  const { client_id, auth, callback, client_secret } = registration
  return {
    clientId: client_id,
    enabled: true,
    protocol: 'openid-connect',
    publicClient: false,
    standardFlowEnabled: true,
    implicitFlowEnabled: false,
    directAccessGrantsEnabled: false,
    fullScopeAllowed: false,
    consentRequired: true,
    redirectUris: [callback],
    clientAuthenticatorType: AUTHENTICATORS[auth],
    ...(client_secret !== undefined && { secret: client_secret }),
    attributes: attributes(registration),
  }
}

function attributes({
  auth,
  alg,
  idTokenAlg,
  enc,
  bound,
  dpop,
  jwks_uri,
  commonName,
}: Registration): Record<string, string> {
  return {
    'jwks.url': jwks_uri,
    'use.jwks.url': 'true',
    'pkce.code.challenge.method': 'S256',
    'require.pushed.authorization.requests': 'true',
    'tls.client.certificate.bound.access.tokens': String(bound ?? auth === 'tls_client_auth'),
    'dpop.bound.access.tokens': String(dpop ?? false),
    ...(commonName !== undefined && {
      'x509.subjectdn': `CN=${commonName}`,
      'x509.casubjectdn': `CN=${AUTHORITY}`,
      'x509.allow.regex.pattern.comparison': 'false',
    }),
    ...(alg && {
      'access.token.signed.response.alg': alg,
      'authorization.signed.response.alg': alg,
      'id.token.signed.response.alg': idTokenAlg ?? alg,
      'user.info.response.signature.alg': alg,
      // What signs in place of a secret signs requests too.
      ...(auth !== 'client_secret_basic' && {
        'token.endpoint.auth.signing.alg': alg,
        'request.object.signature.alg': alg,
      }),
    }),
    ...(enc && {
      'authorization.encrypted.response.alg': enc.alg,
      'authorization.encrypted.response.enc': enc.enc,
      'id.token.encrypted.response.alg': enc.alg,
      'id.token.encrypted.response.enc': enc.enc,
    }),
  }
}
