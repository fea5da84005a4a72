import { html } from '@remix-run/html-template'
import { layout, type AppLink, type Html } from './layout.js'

/** For the developer of the app: what is wrong, in plain words. */
export function errorPage({
  title,
  problems,
  advice,
  theme,
  app,
  home = '/',
}: {
  title: string
  problems: readonly string[]
  advice: string
  theme?: string
  app: AppLink
  /** The sandbox's first page. */
  home?: string
}): Html {
  return layout({
    title,
    ...(theme !== undefined && { theme }),
    body: html`<article class="card">
      <h1>${title}</h1>
      <div class="alert" role="alert">
        <ul>
          ${problems.map((problem) => html`<li>${problem}</li>`)}
        </ul>
      </div>
      <p>${advice}</p>
      <p class="actions"><a class="primary" href="${app.url}">Back to ${app.name}</a></p>
      <p><a href="${home}">What runs in this sandbox</a></p>
    </article>`,
  })
}
