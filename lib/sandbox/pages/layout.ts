import { html, type SafeHtml } from '@remix-run/html-template'

export type Html = SafeHtml

/** How pages call the app, and where they lead back to it. */
export interface AppLink {
  name: string
  url: string
}

/** The frame of every page: says on each that nothing here is real. */
export function layout({
  title,
  body,
  theme = 'sandbox',
}: {
  title: string
  body: Html
  theme?: string
}): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <title>${title} · IDPartner sandbox</title>
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <link rel="icon" href="/sandbox.svg" />
        <link rel="stylesheet" href="/sandbox.css" />
      </head>
      <body class="theme-${theme}">
        <header class="notice">
          <p><strong>Sandbox</strong> This is a test on your own machine, not a real bank.</p>
        </header>
        <main>${body}</main>
      </body>
    </html>`
}

/** The head of a card: a logo and a name. */
export function brand({ logo, name, note }: { logo: string; name: string; note: string }): Html {
  return html`<header class="brand">
    <img src="${logo}" alt="" width="44" height="44" />
    <p><strong>${name}</strong><span>${note}</span></p>
  </header>`
}
