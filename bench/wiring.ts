// What one would write by hand with Passport, openid-client and jose: the measure for what the package costs. It makes
// the same signatures, verifications and decryptions and checks what they say; README.md has what it leaves out.
import { createHash } from 'node:crypto'
import type { Request } from 'express'
import type * as Jose from 'jose'
import type * as OpenidClient from 'openid-client'
import passportStrategy from 'passport-strategy'
import type { Setup } from './platform.js'

type Libraries = { oidc: typeof OpenidClient; jose: typeof Jose }

interface Login {
  state: string
  nonce: string
  codeVerifier: string
  /** In the direct flow. */
  issuer: string
}

/** A strategy on openid-client alone. Private by type only: Passport calls strategies through Object.create(). */
export class Wiring extends passportStrategy.Strategy {
  readonly name = 'idpartner'
  private readonly setup: Setup
  private readonly oidc: typeof OpenidClient
  private readonly jose: typeof Jose
  private readonly directory: ReturnType<typeof Jose.createRemoteJWKSet>
  private readonly keys: Promise<{ signing: OpenidClient.PrivateKey; decryption: OpenidClient.DecryptionKey }>
  private readonly known = new Map<string, Promise<OpenidClient.Configuration>>()

  constructor(setup: Setup, { oidc, jose }: Libraries) {
    super()
    this.setup = setup
    this.oidc = oidc
    this.jose = jose
    this.directory = jose.createRemoteJWKSet(new URL(`${setup.directory}/jwks`))
    this.keys = this.importKeys()
  }

  override authenticate(req: Request): void {
    const url = new URL(req.url, this.setup.callback)
    const failed = (err: unknown): void => {
      this.error(err as Error)
    }
    if (url.searchParams.has('response')) {
      this.finish(req, url).then((user) => {
        this.success(user)
      }, failed)
    } else {
      this.begin(req, url).then((to) => {
        this.redirect(to)
      }, failed)
    }
  }

  private async begin({ session }: Request, { searchParams }: URL): Promise<string> {
    const { flow, callback, proxy, issuers } = this.setup
    const oidc = this.oidc
    const issuer = flow === 'proxy' ? proxy : (searchParams.get('iss') ?? '')
    if (flow === 'direct' && !issuers.includes(issuer)) throw new Error('this bank is not allowed')
    const login: Login = {
      state: oidc.randomState(),
      nonce: oidc.randomNonce(),
      codeVerifier: oidc.randomPKCECodeVerifier(),
      issuer,
    }
    const configuration = await this.configuration(issuer)
    const { signing } = await this.keys
    const parameters = {
      redirect_uri: callback,
      response_type: 'code',
      response_mode: 'jwt',
      scope: 'openid email profile',
      state: login.state,
      nonce: login.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(login.codeVerifier),
      code_challenge_method: 'S256',
      'x-fapi-interaction-id': crypto.randomUUID(),
    }
    Object.assign(session, { login })
    const url = await oidc.buildAuthorizationUrlWithJAR(configuration, parameters, signing)
    if (flow === 'proxy') return url.href
    return (await oidc.buildAuthorizationUrlWithPAR(configuration, url.searchParams)).href
  }

  private async finish({ session }: Request, url: URL): Promise<{ sub: string }> {
    const held = session as unknown as { login?: Login }
    const { login } = held
    if (!login) throw new Error('no login is waiting')
    delete held.login
    let { issuer } = login
    if (this.setup.flow === 'proxy') {
      const { payload } = await this.jose.jwtVerify<{ identity_provider: { issuer_url: string } }>(
        url.searchParams.get('response') ?? '',
        this.directory,
        {
          algorithms: ['PS256'],
          issuer: this.setup.directoryIssuer,
          audience: this.setup.client_id,
          requiredClaims: ['exp', 'sub'],
          maxTokenAge: 60,
          clockTolerance: 30,
        },
      )
      issuer = payload.identity_provider.issuer_url
      url.searchParams.set('response', payload.sub ?? '')
    }
    const tokens = await this.oidc.authorizationCodeGrant(await this.configuration(issuer), url, {
      expectedState: login.state,
      expectedNonce: login.nonce,
      pkceCodeVerifier: login.codeVerifier,
      idTokenExpected: true,
    })
    const claims = tokens.claims()
    const hash = createHash('sha256')
      .update(tokens.access_token)
      .digest()
      .subarray(0, 16)
      .toString('base64url')
    if (!claims || claims['at_hash'] !== hash) throw new Error('the ID token is of another access token')
    return { sub: claims.sub }
  }

  private configuration(issuer: string): Promise<OpenidClient.Configuration> {
    const known = this.known.get(issuer) ?? this.discover(issuer)
    this.known.set(issuer, known)
    return known
  }

  private async discover(issuer: string): Promise<OpenidClient.Configuration> {
    const oidc = this.oidc
    const { signing, decryption } = await this.keys
    const { alg, client_id } = this.setup
    const configuration = await oidc.discovery(
      new URL(issuer),
      client_id,
      { id_token_signed_response_alg: alg, authorization_signed_response_alg: alg },
      oidc.PrivateKeyJwt(signing),
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- the platform is on loopback
      { execute: [oidc.allowInsecureRequests, oidc.useJwtResponseMode, oidc.enableNonRepudiationChecks] },
    )
    oidc.enableDecryptingResponses(configuration, ['A256CBC-HS512'], decryption)
    return configuration
  }

  private async importKeys(): Promise<{
    signing: OpenidClient.PrivateKey
    decryption: OpenidClient.DecryptionKey
  }> {
    const [signing, decryption] = await Promise.all(
      ['sig', 'enc'].map(async (use) => {
        const jwk = this.setup.jwks.keys.find((one) => one.use === use) ?? {}
        return { kid: jwk.kid ?? '', key: (await this.jose.importJWK(jwk)) as Jose.CryptoKey }
      }),
    )
    if (!signing || !decryption) throw new Error('the wiring needs two keys')
    return { signing, decryption }
  }
}
