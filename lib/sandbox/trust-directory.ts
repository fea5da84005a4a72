import Router from 'router'
import { SignJWT } from 'jose'
import { generateSigningKey, type SigningKey } from './keys.js'
import { sendJson } from './reply.js'

/** The `iss` of the documents, the real one: it names IDPartner, and says nothing about where the keys are. */
export const TRUST_DIRECTORY_ISSUER = 'https://idpartner.com'

/** How long a document is good for; the browser carries it straight to the app. */
const DOCUMENT_SECONDS = 60

/** What the proxy knows about a bank and vouches for. */
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
  #key: SigningKey

  private constructor(url: string, key: SigningKey) {
    this.url = url
    this.#key = key
  }

  static async create(baseUrl: string): Promise<TrustDirectory> {
    return new TrustDirectory(`${baseUrl}/trust-directory`, await generateSigningKey('PS256'))
  }

  get jwksUri(): string {
    return `${this.url}/jwks`
  }

  get key(): SigningKey {
    return this.#key
  }

  /** Signs what the browser brings to the app: which bank it was, and the bank's own answer, nested as `sub`. */
  async signDocument(document: {
    audience: string
    interactionId: string
    identityProvider: IdentityProvider
    answer: string
  }): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    return new SignJWT({
      'x-fapi-interaction-id': document.interactionId,
      identity_provider: { ...document.identityProvider },
    })
      .setProtectedHeader({ alg: this.#key.alg, kid: this.#key.kid })
      .setIssuer(TRUST_DIRECTORY_ISSUER)
      .setAudience(document.audience)
      .setSubject(document.answer)
      .setIssuedAt(now)
      .setExpirationTime(now + DOCUMENT_SECONDS)
      .sign(this.#key.privateKey)
  }

  router(): Router.Router {
    const router = Router()
    router.get('/jwks', (_req, res) => {
      sendJson(res, { keys: [this.#key.publicJwk] })
    })
    return router
  }
}
