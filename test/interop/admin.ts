import type { Dispatcher } from 'undici'
import { fetch } from 'undici'
import type { Realm } from './realm.js'

export interface Credentials {
  username: string
  password: string
}

/** Keycloak's administrator, by its REST interface. */
export class Admin {
  readonly #url: string
  readonly #credentials: Credentials
  readonly #dispatcher: Dispatcher

  constructor(url: string, credentials: Credentials, dispatcher: Dispatcher) {
    this.#url = url
    this.#credentials = credentials
    this.#dispatcher = dispatcher
  }

  issuer(realm: string): string {
    return `${this.#url}/realms/${realm}`
  }

  async importRealm(realm: Realm): Promise<void> {
    await this.send('POST', '', realm)
  }

  /** Adds a key that signs from now on, and takes the earlier ones of its kind away. */
  async rotateKeys(realm: string, provider: { name: string; [member: string]: unknown }): Promise<void> {
    const type = 'org.keycloak.keys.KeyProvider'
    const earlier = (await this.send('GET', `/${realm}/components?type=${type}`)) as {
      id: string
      name: string
    }[]
    await this.send('POST', `/${realm}/components`, { ...provider, providerType: type })
    const alg = provider.name.split(' ')[0] ?? ''
    for (const { id, name } of earlier) {
      if (name.startsWith(alg)) await this.send('DELETE', `/${realm}/components/${id}`)
    }
  }

  /** @param path below the realms */
  async send(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.#url}/admin/realms${path}`, {
      method,
      dispatcher: this.#dispatcher,
      headers: { authorization: `Bearer ${await this.#token()}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: HTTP ${String(response.status)} ${text}`)
    return text === '' ? undefined : JSON.parse(text)
  }

  /** A new one for each request, since they are short-lived. */
  async #token(): Promise<string> {
    const response = await fetch(`${this.issuer('master')}/protocol/openid-connect/token`, {
      method: 'POST',
      dispatcher: this.#dispatcher,
      body: new URLSearchParams({ grant_type: 'password', client_id: 'admin-cli', ...this.#credentials }),
    })
    const { access_token } = (await response.json()) as { access_token: string }
    return access_token
  }
}
