import { X509Certificate, createHash, randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import { SignJWT } from 'jose'
import type { Provider } from 'oidc-provider'
import Router from 'router'
import { DPOP_ALGS, type DpopResources } from './dpop.js'
import { readJson } from '../http/request.js'
import type { SigningKey } from '../keys.js'
import type { Persona } from './personas.js'
import { sendJson } from '../http/reply.js'
import { certificateProblem, clientCertificateOf } from '../http/tls.js'

const CREDENTIAL_TYPE = 'MockBankCredential'

export interface BankResources {
  personas: readonly Persona[]
  key: SigningKey
  mutualTlsUrl: string | undefined
  dpop: DpopResources
  refused: (what: string, why: string) => void
}

/** The bank's own endpoints, beyond OpenID Connect: payment details, payments, and a verifiable credential. */
export function bankResources(
  provider: Provider,
  { personas, key, mutualTlsUrl, dpop, refused }: BankResources,
): Router.Router {
  const router = Router()
  const { issuer } = provider

  router.get('/payment_details', async (req, res) => {
    const persona = await customerOf(req, res, 'payment_details')
    if (persona) sendJson(res, persona.claims.payment_details ?? {})
  })

  router.post('/payment_processing', async (req, res) => {
    const persona = await customerOf(req, res, 'payment_processing')
    if (!persona) return
    const payment = await readJson(req)
    if (typeof payment !== 'object' || payment === null || Array.isArray(payment)) {
      sendJson(res, { error: 'invalid_request', error_description: 'the body must be a JSON object' }, 400)
      return
    }
    sendJson(res, {
      ...payment,
      payment_id: randomUUID(),
      status: 'accepted',
      debtor: persona.claims.payment_details?.account_holder ?? persona.claims.name,
    })
  })

  router.get('/.well-known/openid-credential-issuer', (_req, res) => {
    sendJson(res, {
      credential_issuer: issuer,
      // There is no alias for this endpoint, so it is named where a certificate can be shown.
      credential_endpoint: `${mutualTlsUrl ?? issuer}/credential`,
      credential_configurations_supported: {
        [CREDENTIAL_TYPE]: {
          format: 'jwt_vc_json',
          scope: `vc.${CREDENTIAL_TYPE}`,
          credential_definition: { type: ['VerifiableCredential', CREDENTIAL_TYPE] },
          credential_signing_alg_values_supported: [key.alg],
        },
      },
    })
  })

  router.post('/credential', async (req, res) => {
    const persona = await customerOf(req, res, `vc.${CREDENTIAL_TYPE}`)
    if (!persona) return
    const credential = await signCredential(issuer, key, persona)
    // The first member is what earlier drafts of the specification have, the second what the final one has.
    sendJson(res, { format: 'jwt_vc_json', credential, credentials: [{ credential }] })
  })

  /** The customer whose token came with the request; answers the request itself when there is none (RFC 6750, RFC 9449). */
  async function customerOf(
    req: Router.Request,
    res: ServerResponse,
    scope: string,
  ): Promise<Persona | undefined> {
    const refuse = (status: number, error: string, problem: string) => {
      if (error !== 'use_dpop_nonce') refused(`a request for ${scope}`, `${error}: ${problem}`)
      const algs = scheme === 'DPoP' ? `, algs="${DPOP_ALGS.join(' ')}"` : ''
      res.setHeader('WWW-Authenticate', `${scheme} error="${error}", error_description="${problem}"${algs}`)
      sendJson(res, { error, error_description: problem }, status)
    }
    const [, sent = '', value = ''] =
      /^(Bearer|DPoP) ([\w.~+/-]+=*)$/i.exec(req.headers.authorization ?? '') ?? []
    const token = await provider.AccessToken.find(value)
    const scheme = token?.jkt === undefined ? 'Bearer' : 'DPoP'
    const problem = certificateProblem(req)
    if (problem !== undefined || !token?.isValid) {
      refuse(401, 'invalid_token', problem ?? 'there is no valid access token')
      return undefined
    }
    if (sent.toLowerCase() !== scheme.toLowerCase()) {
      refuse(401, 'invalid_token', `the token came as ${sent}, and is one for ${scheme}`)
      return undefined
    }
    const boundTo = token['x5t#S256']
    if (boundTo !== undefined && boundTo !== thumbprint(clientCertificateOf(req))) {
      refuse(401, 'invalid_token', 'the token is bound to another client certificate')
      return undefined
    }
    const refusal = token.jkt === undefined ? undefined : await proofRefusal(req, value, token.jkt)
    if (refusal) {
      if (refusal.nonce !== undefined) res.setHeader('DPoP-Nonce', refusal.nonce)
      refuse(401, refusal.error, refusal.problem)
      return undefined
    }
    if (!token.scopes.has(scope)) {
      refuse(403, 'insufficient_scope', `the token lacks the scope ${scope}`)
      return undefined
    }
    return personas.find(({ claims }) => claims.sub === token.accountId)
  }

  function proofRefusal(req: Router.Request, token: string, jkt: string) {
    const base = mutualTlsUrl !== undefined && req.socket instanceof TLSSocket ? mutualTlsUrl : issuer
    return dpop.refusal(req, { url: `${base}${new URL(req.url ?? '', issuer).pathname}`, token, jkt })
  }

  return router
}

/** @see https://www.rfc-editor.org/rfc/rfc8705#section-3.1 */
function thumbprint(certificate: X509Certificate | undefined): string | undefined {
  return certificate && createHash('sha256').update(certificate.raw).digest('base64url')
}

/** @see https://www.w3.org/TR/vc-data-model/#json-web-token */
function signCredential(issuer: string, key: SigningKey, { claims }: Persona): Promise<string> {
  return new SignJWT({
    vc: {
      '@context': ['https://www.w3.org/2018/credentials/v1'],
      type: ['VerifiableCredential', CREDENTIAL_TYPE],
      credentialSubject: {
        name: claims.name,
        customer_since: claims['vc.MockBankCredential']?.customer_since,
      },
    },
  })
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT' })
    .setIssuer(issuer)
    .setSubject(claims.sub)
    .setJti(`urn:uuid:${randomUUID()}`)
    .setIssuedAt()
    .setNotBefore('0s')
    .setExpirationTime('30d')
    .sign(key.privateKey)
}
