/** A page as a browser without script has it. */
export interface Page {
  url: string
  status: number
  headers: Headers
  html: string
}

interface Cookie {
  value: string
  path: string
}

/** A browser without script: it keeps cookies, follows redirects, and fills in forms. */
export class Browser {
  readonly #cookies = new Map<string, Cookie>()
  /** Addresses that begin with this are not fetched: the app's callback, say. */
  stopAt: string
  readonly #keepsCookies: boolean
  readonly #fetch: typeof fetch
  /** Every address it was sent to. */
  readonly visited: string[] = []

  /** Fetches whatever it is sent to, unless told where to stop. */
  constructor(stopAt = 'nowhere:', { cookies = true, fetch = globalThis.fetch } = {}) {
    this.stopAt = stopAt
    this.#keepsCookies = cookies
    this.#fetch = fetch
  }

  /** The same browser, on its way somewhere from which no response will arrive. */
  clone(): Browser {
    const clone = new Browser(this.stopAt, { fetch: this.#fetch })
    for (const [key, cookie] of this.#cookies) clone.#cookies.set(key, cookie)
    return clone
  }

  async open(url: string, init: { method?: string; body?: URLSearchParams } = {}): Promise<Page> {
    let next = { url, ...init }
    for (let hops = 0; hops < 20; hops++) {
      this.visited.push(next.url)
      if (next.url.startsWith(this.stopAt))
        return { url: next.url, status: 0, headers: new Headers(), html: '' }
      const { url: from, ...request } = next
      const response = await this.#fetch(from, {
        ...request,
        redirect: 'manual',
        headers: { ...this.#cookieHeader(new URL(from).pathname), accept: 'text/html' },
      })
      if (this.#keepsCookies) this.#remember(response)
      const location = response.headers.get('location')
      const html = await response.text()
      if (location === null) return { url: from, status: response.status, headers: response.headers, html }
      next = { url: new URL(location, from).href }
      // Keep the bytes of an absolute location as they are.
      if (URL.canParse(location)) next.url = location
    }
    throw new Error('too many redirects')
  }

  /** Sends the form with the button of that text, after filling in fields. */
  async press(page: Page, button: string, fields: Record<string, string> = {}): Promise<Page> {
    const form = formsOf(page.html).find((one) => one.buttons.some(({ text }) => text.includes(button)))
    const pressed = form?.buttons.find(({ text }) => text.includes(button))
    if (!form || !pressed) throw new Error(`no button "${button}" on ${page.url}: ${textOf(page.html)}`)
    const body = new URLSearchParams({ ...form.fields, ...fields, ...pressed.fields })
    const action = new URL(pressed.action ?? form.action, page.url)
    if (form.method === 'post') return this.open(action.href, { method: 'POST', body })
    action.search = body.toString()
    return this.open(action.href)
  }

  clearCookies(): void {
    this.#cookies.clear()
  }

  #remember(response: Response): void {
    for (const line of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split('; ')
      const [name = '', ...value] = pair.split('=')
      const path = attributes.find((one) => one.toLowerCase().startsWith('path='))?.slice(5) ?? '/'
      const expired = attributes.some(
        (one) => /^expires=/i.test(one) && Date.parse(one.slice(8)) < Date.now(),
      )
      const key = `${name};${path}`
      if (expired) this.#cookies.delete(key)
      else this.#cookies.set(key, { value: value.join('='), path })
    }
  }

  #cookieHeader(pathname: string): { cookie?: string } {
    const cookie = [...this.#cookies]
      .filter(
        ([, { path }]) => pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`),
      )
      .map(([key, { value }]) => `${key.split(';')[0] ?? ''}=${value}`)
      .join('; ')
    return cookie === '' ? {} : { cookie }
  }
}

interface Form {
  method: string
  action: string
  fields: Record<string, string>
  buttons: { text: string; fields: Record<string, string>; action: string | undefined }[]
}

function formsOf(html: string): Form[] {
  return [...html.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gs)].map(([, attributes = '', content = '']) => ({
    method: (attribute(attributes, 'method') ?? 'get').toLowerCase(),
    action: attribute(attributes, 'action') ?? '',
    fields: Object.fromEntries(
      [...content.matchAll(/<input\b([^>]*)>/gs)].flatMap(([, input = '']) => {
        const name = attribute(input, 'name')
        return name === undefined ? [] : [[name, attribute(input, 'value') ?? '']]
      }),
    ),
    buttons: [...content.matchAll(/<button\b([^>]*)>(.*?)<\/button>/gs)].map(
      ([, button = '', label = '']) => {
        const name = attribute(button, 'name')
        return {
          text: textOf(label),
          fields: name === undefined ? {} : { [name]: attribute(button, 'value') ?? '' },
          action: attribute(button, 'formaction'),
        }
      },
    ),
  }))
}

function attribute(attributes: string, name: string): string | undefined {
  const found = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1]
  return found === undefined ? undefined : unescape(found)
}

/** What a person reads on a page. */
export function textOf(html: string): string {
  return unescape(html.replace(/<head>.*<\/head>/s, '').replace(/<[^>]*>/g, ' '))
    .replace(/\s+/g, ' ')
    .trim()
}

function unescape(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
}
