import {
  compactDecrypt,
  compactVerify,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  importJWK,
  type JWK,
  type JWTPayload,
} from 'jose'
import { printable } from '../errors.js'
import { MAX_ANSWER_LENGTH } from '../jwt/jarm.js'
import { areJwks } from '../jwt/outside-keys.js'
import { shown, type Known, type Layer } from './layer.js'

/** Claims that say when, for whom and from whom; they are told, as they say nothing of a person. */
const TOLD = new Set(['iss', 'aud', 'exp', 'iat', 'nbf'])
/** What belongs to one login alone, or opens something: never told, whatever is asked for, and however deep it lies. */
const SECRET = /^(code|state|nonce|sub|jti|sid|.*(_hash|token|secret|password|verifier|hint).*)$/i
/** Something signed or sealed may hold all of these. */
const JWT = /^[\w-]+\.[\w-]+\.[\w-]*/
/** A JWT and what is inside of it, compared with what is known, as far as it can be opened. */
export async function jwtLayers(text: string, name: string, known: Known, opened = false): Promise<Layer[]> {
  const layer: Layer = { name, facts: {}, problems: [] }
  const { facts, problems } = layer
  const wrong = (problem: string): Layer[] => {
    problems.push(problem)
    return [layer]
  }
  if (text.length > MAX_ANSWER_LENGTH) return wrong('it is longer than 64 KiB, which no answer is')
  const parts = text.split('.').length
  if (parts !== 3 && parts !== 5) {
    return wrong(`it is no JWT, which has 3 parts or 5: it has ${String(parts)}, and may have been cut off`)
  }
  let header: ReturnType<typeof decodeProtectedHeader>
  try {
    header = decodeProtectedHeader(text)
  } catch {
    return wrong('its header cannot be read: it is no JWT, or was changed on the way')
  }
  const alg = printable(header.alg) ?? 'no known algorithm'
  facts['kid'] = printable(header.kid) ?? 'none'
  if (parts === 5) {
    layer.name = `${name}: encrypted (JWE)`
    facts['encrypted with'] = `${alg}, ${printable(header.enc) ?? 'nothing known'}`
    const inside = await decrypt(text, known)
    if (typeof inside === 'string')
      return [layer, ...(await jwtLayers(inside, `${name}, opened`, known, true))]
    if (inside.wrong) problems.push(inside.says)
    else facts['inside'] = inside.says
    return [layer]
  }
  facts['signed with'] = alg
  let claims: JWTPayload
  try {
    claims = decodeJwt(text)
  } catch {
    return wrong('its content cannot be read: it is no JWT, or was changed on the way')
  }
  const document = typeof claims['identity_provider'] === 'object'
  layer.name = `${name}: ${document ? "IDPartner's document" : "a bank's answer"}, signed (JWS)`
  const wanted = document ? 'PS256' : (known.options.authorization_signed_response_alg ?? 'PS256')
  if (alg !== wanted) problems.push(`it is signed with ${alg}, and ${wanted} is wanted`)
  facts['signature'] = await verify(text, wanted, known, problems)
  checkClaims(claims, known, facts, problems)
  if (!document) checkAnswer(claims, problems)
  if (!document && !opened && ownKeys(known).some(({ use }) => use === 'enc')) {
    problems.push('it is not encrypted, and with an encryption key among yours it has to be')
  }
  const inner = document && typeof claims.sub === 'string' ? claims.sub : undefined
  return inner === undefined
    ? [layer]
    : [layer, ...(await jwtLayers(inner, "the bank's answer inside", known))]
}

function checkAnswer({ code, error, state }: JWTPayload, problems: string[]): void {
  if (typeof state !== 'string') problems.push('it has no "state", so that it belongs to no login')
  if (typeof error === 'string') {
    problems.push(`the bank did not log the person in: ${printable(error) ?? 'no known reason'}`)
  } else if (typeof code !== 'string') problems.push('it has neither a "code" nor an "error"')
}

function ownKeys({ options: { jwks } }: Known): JWK[] {
  return typeof jwks === 'object' && 'keys' in jwks && areJwks(jwks) ? jwks.keys : []
}

async function decrypt(jwe: string, known: Known): Promise<string | { says: string; wrong: boolean }> {
  const own = ownKeys(known).filter(({ use }) => use !== 'sig')
  if (own.length === 0) return { says: 'not opened: give your keys with --config', wrong: false }
  for (const jwk of own) {
    try {
      const { plaintext } = await compactDecrypt(jwe, await importJWK({ ...jwk }, jwk.alg ?? 'RSA-OAEP'))
      return new TextDecoder().decode(plaintext)
    } catch {
      // Another may fit.
    }
  }
  return {
    says: 'none of your keys opens it: it was encrypted to a key that you do not have (any more), or is cut off',
    wrong: true,
  }
}

async function verify(jws: string, alg: string, { keys }: Known, problems: string[]): Promise<string> {
  if (!keys) return 'not checked: give the public keys with --jwks'
  let reason =
    'none of the given keys is the one it names: the keys are of somebody else, or were changed since'
  for (const { file, jwks } of keys) {
    for (const jwk of jwks.keys) {
      // A key without a name may be any (RFC 7515, section 4.1.4).
      const { kid } = decodeProtectedHeader(jws)
      if (kid !== undefined && jwk.kid !== undefined && kid !== jwk.kid) continue
      try {
        await compactVerify(jws, await importJWK(jwk, alg), { algorithms: [alg] })
        return `good, with a key of ${file}`
      } catch (err) {
        if (err instanceof errors.JWSSignatureVerificationFailed) {
          reason = 'it does not fit the key it names: it is forged, was changed on the way, or is cut off'
        }
      }
    }
  }
  problems.push(`its signature: ${reason}`)
  return 'not good'
}

function checkClaims(
  claims: JWTPayload,
  { options, showClaims }: Known,
  facts: Record<string, string>,
  problems: string[],
): void {
  const now = Date.now() / 1000
  const tolerance = options.clock_tolerance ?? 30
  const { iss, aud, exp, iat, nbf } = claims
  const audiences = [aud].flat().filter((one) => typeof one === 'string')
  facts['issuer'] = typeof iss === 'string' ? shown(iss) : 'nobody'
  facts['for'] = shown(audiences.join(', ') || 'nobody')
  if (audiences.length > 1) problems.push('it is for several applications ("aud"), and has to be for one')
  else if (options.client_id !== undefined && audiences[0] !== options.client_id) {
    problems.push('it is for another application than the option "client_id" says')
  }
  if (typeof exp !== 'number') problems.push('it does not say when it expires ("exp")')
  else {
    facts['expires'] = instant(exp)
    if (exp + tolerance < now) problems.push(`it expired ${duration(now - exp)} ago`)
  }
  if (typeof iat === 'number') facts['issued'] = instant(iat)
  const begins = Math.max(...[iat, nbf].filter((time) => typeof time === 'number'))
  if (begins - tolerance > now) {
    problems.push(`it begins ${duration(begins - now)} in the future: one of the two clocks is wrong`)
  }
  const others = Object.keys(claims).filter((name) => !TOLD.has(name))
  facts['claims'] = others.map((name) => printable(name) ?? 'an unprintable name').join(', ') || 'none'
  if (!showClaims) return
  for (const name of others.filter((one) => !SECRET.test(one))) {
    facts[`claim ${printable(name) ?? 'without a printable name'}`] = shown(
      JSON.stringify(claims[name], (key, value: unknown) =>
        SECRET.test(key) || (typeof value === 'string' && JWT.test(value)) ? '(hidden)' : value,
      ),
    )
  }
}

function instant(seconds: number): string {
  const date = new Date(seconds * 1000)
  return Number.isNaN(date.valueOf()) ? 'at no possible time' : date.toISOString()
}

function duration(seconds: number): string {
  if (seconds < 120) return `${String(Math.round(seconds))} s`
  if (seconds < 7200) return `${String(Math.round(seconds / 60))} minutes`
  return seconds < 172_800
    ? `${String(Math.round(seconds / 3600))} hours`
    : `${String(Math.round(seconds / 86_400))} days`
}
