import type { JSONWebKeySet } from 'jose'
import type { ClientMetadata } from 'oidc-provider'
import * as v from 'valibot'
import { errorCode } from '../http/error-code.js'
import { ENCRYPTED, recipientOf, type Encrypted, type Recipient } from '../algorithms.js'
import type { ResolvedOptions } from '../options.js'
import { registration } from './registration.js'

const FETCH_MS = 3000

const MAX_JWKS_BYTES = 1024 * 1024

const jwksSchema = v.looseObject({ keys: v.array(v.looseObject({ kty: v.string() })) })

/** The app's keys are not to be had; the message is for its developer. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable'
}

/** The app under development, as IDPartner and the banks know it. */
export class RelyingParty {
  readonly clientId: string
  readonly callback: string
  /** How the app is called on pages: by its host, which a person sees in the address bar, unless it has a name. */
  readonly name: string
  /** Where pages lead back to the app. */
  readonly url: string
  readonly #options: ResolvedOptions
  readonly #clientSecret: string | undefined
  #fetching = new AbortController()
  #pending: Promise<JSONWebKeySet> | undefined

  constructor(options: ResolvedOptions, clientSecret: string | undefined) {
    this.clientId = options.client_id
    this.callback = options.callback
    this.name = options.client_name ?? new URL(options.callback).host
    this.url = options.client_uri ?? new URL('/', options.callback).href
    this.#options = options
    this.#clientSecret = clientSecret
  }

  /**
   * The keys the app publishes, or `undefined` when it publishes none.
   *
   * Asked for anew each time, so that a key rotated a moment ago is known; only requests under way are shared.
   *
   * @throws {KeysUnavailable}
   */
  async publicKeys(): Promise<JSONWebKeySet | undefined> {
    const { jwks_uri: url } = this.#options
    if (url === undefined) return undefined
    this.#pending ??= this.#fetchKeys(url).finally(() => {
      this.#pending = undefined
    })
    return this.#pending
  }

  /** @throws {KeysUnavailable} */
  async recipient(kind: Encrypted): Promise<Recipient | undefined> {
    return recipientOf(this.#options, kind, await this.publicKeys())
  }

  /** @throws {KeysUnavailable} */
  async registration(): Promise<ClientMetadata> {
    const keys = await this.publicKeys()
    const { network, jwks_uri = '' } = this.#options
    const unmet = ENCRYPTED.find((kind) => {
      const alg = this.#options[`${kind}_encrypted_response_alg`]
      return network && alg && !recipientOf(this.#options, kind, keys)
    })
    if (unmet) {
      const option = `${unmet}_encrypted_response_alg` as const
      const alg = String(this.#options[option])
      throw new KeysUnavailable(
        `The app's public keys at ${jwks_uri} include none for ${alg}, which ${String(network)} encrypts with; where yours is for another, the sandbox's option ${option} says so`,
      )
    }
    return registration(this.#options, this.#clientSecret, keys)
  }

  /** The callback with answer parameters behind it; its own bytes stay as they are. */
  callbackWith(params: Record<string, string> | [string, string][]): string {
    return withQuery(this.callback, params)
  }

  /** What the platform answers when nobody picked a bank: there is none that could sign it. */
  cancelled(state?: string): string {
    return this.callbackWith({
      error: 'access_denied',
      error_description: 'The person cancelled at the account selector',
      ...(state !== undefined && { state }),
    })
  }

  close(): void {
    this.#fetching.abort()
  }

  async #fetchKeys(url: string): Promise<JSONWebKeySet> {
    const problem = (what: string) => new KeysUnavailable(`The app's public keys at ${url} ${what}`)
    let text: string
    this.#fetching = new AbortController()
    const { signal } = this.#fetching
    const timer = setTimeout(() => {
      this.close()
    }, FETCH_MS)
    try {
      const response = await fetch(url, {
        headers: { accept: 'application/json' },
        redirect: 'manual',
        signal,
      })
      text = await response.text()
      if (response.status !== 200) {
        throw problem(`were answered with HTTP status ${String(response.status)}`)
      }
    } catch (err) {
      if (err instanceof KeysUnavailable) throw err
      const code = errorCode((err as Error).cause) ?? 'no answer'
      throw problem(`could not be fetched (${code}). Is the app running, with jwksRouter mounted there?`)
    } finally {
      clearTimeout(timer)
    }
    if (text.length > MAX_JWKS_BYTES) throw problem('are larger than 1 MiB')
    const jwks = parsedJson(text)
    if (!v.is(jwksSchema, jwks)) throw problem('are not a JWKS: an object with a list of keys')
    if (jwks.keys.some((key) => 'd' in key || 'k' in key)) {
      throw problem('include a private key: publish the public part alone, as jwksRouter does')
    }
    return { keys: jwks.keys }
  }
}

/** Adds parameters to a URL without touching the bytes that are there. */
export function withQuery(url: string, params: Record<string, string> | [string, string][]): string {
  const query = new URLSearchParams(params).toString()
  if (!url.includes('?')) return `${url}?${query}`
  return /[?&]$/.test(url) ? `${url}${query}` : `${url}&${query}`
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
