import { html } from '@remix-run/html-template'
import { layout, type AppLink, type Html } from './layout.js'

/** The whole script of the sandbox; without it, the person presses the button. */
export const CONTINUE_SCRIPT = 'document.forms[0].submit()'

/**
 * A form that carries an answer to the app by POST.
 *
 * @see https://openid.net/specs/oauth-v2-form-post-response-mode-1_0.html
 */
export function continuePage({
  action,
  fields,
  app,
}: {
  action: string
  fields: Record<string, string>
  app: AppLink
}): Html {
  return layout({
    title: `Back to ${app.name}`,
    body: html`<article class="card">
      <h1>Back to ${app.name}</h1>
      <p class="lead">You are done at the bank.</p>
      <form method="post" action="${action}">
        ${Object.entries(fields).map(
          ([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`,
        )}
        <div class="actions"><button class="primary" type="submit">Continue</button></div>
      </form>
      <script src="/continue.js"></script>
    </article>`,
  })
}
