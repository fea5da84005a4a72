import { SignJWT, createLocalJWKSet, jwtVerify } from 'jose'
import Router from 'router'
import { BENDS, signJwt } from '../bent-jwt.js'
import type { Faults } from '../faults.js'
import type { SigningKey, SigningKeys } from '../keys.js'
import { sendJson } from '../http/reply.js'

/** The `iss` of the documents, the real one: it names IDPartner, and says nothing about where the keys are. */
const TRUST_DIRECTORY_ISSUER = 'https://idpartner.com'

/** How long a document is good for; the browser carries it straight to the app. */
const DOCUMENT_SECONDS = 60

/** How long a person may take from the account selector to the login at the bank. */
const TOKEN_TIME = '10m'

/** What IDPartner knows about a bank and vouches for. */
export interface IdentityProvider {
  name: string
  issuer_url: string
  logo_uri: string
  country: string
  legal_name: string
  legal_entity_identifier: string
}

/** Holds the keys with which IDPartner signs, and publishes the public ones. */
export class TrustDirectory {
  readonly url: string
  readonly #faults: Faults
  readonly #keys: SigningKeys
  #key: SigningKey

  private constructor(url: string, faults: Faults, keys: SigningKeys, key: SigningKey) {
    this.url = url
    this.#faults = faults
    this.#keys = keys
    this.#key = key
  }

  static async create(baseUrl: string, faults: Faults, keys: SigningKeys): Promise<TrustDirectory> {
    return new TrustDirectory(`${baseUrl}/trust-directory`, faults, keys, await keys.generate('PS256'))
  }

  get jwksUri(): string {
    return `${this.url}/jwks`
  }

  /** Signs what the browser brings to the app: which bank it was, and the bank's own answer, nested as `sub`. */
  async signDocument(document: {
    audience: string
    interactionId: string
    identityProvider: IdentityProvider
    answer: string
    nonce: string
  }): Promise<string> {
    if (this.#faults.at('keys', document.nonce)) this.#key = await this.#keys.generate('PS256')
    const fault = this.#faults.at('document', document.nonce)
    const iat = Math.floor(Date.now() / 1000)
    return signJwt(
      {
        iss: TRUST_DIRECTORY_ISSUER,
        aud: document.audience,
        iat,
        exp: iat + DOCUMENT_SECONDS,
        'x-fapi-interaction-id': document.interactionId,
        identity_provider: document.identityProvider,
        sub: document.answer,
      },
      { key: this.#key, bend: fault && BENDS[fault] },
    )
  }

  /** The `idpartner_token` with which a bank can tell that the account selector sent the person. */
  async issueToken(audience: string): Promise<string> {
    return new SignJWT()
      .setProtectedHeader({ alg: this.#key.alg, kid: this.#key.kid })
      .setIssuer(TRUST_DIRECTORY_ISSUER)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime(TOKEN_TIME)
      .sign(this.#key.privateKey)
  }

  async isToken(token: string, audience: string): Promise<boolean> {
    const keys = createLocalJWKSet({ keys: [this.#key.publicJwk] })
    return jwtVerify(token, keys, { issuer: TRUST_DIRECTORY_ISSUER, audience }).then(
      () => true,
      () => false,
    )
  }

  router(): Router.Router {
    const router = Router()
    router.get('/jwks', (_req, res) => {
      sendJson(res, { keys: [this.#key.publicJwk] })
    })
    return router
  }
}
