import { html } from '@remix-run/html-template'
import { layout, type AppLink, type Html } from './layout.js'

interface LogoutContext {
  bank: { id: string; name: string }
  app: AppLink
}

/** Asks whether to log out of the bank; the form is oidc-provider's. */
export function logoutPage({ bank, app, form }: LogoutContext & { form: string }): Html {
  const buttons = html`<div class="actions">
    <button class="primary" type="submit" name="logout" value="yes">Log out</button>
    <button class="quiet" type="submit">Stay logged in</button>
  </div>`
  return layout({
    title: `Log out · ${bank.name}`,
    theme: bank.id,
    body: html`<article class="card">
      <h1>Log out of ${bank.name}?</h1>
      <p class="lead">You have left <strong>${app.name}</strong>.</p>
      ${html.raw`${form.replace('</form>', `${String(buttons)}</form>`)}`}
    </article>`,
  })
}

/** Where nobody leads back to the app. */
export function logoutAnswerPage({ bank, app, isLoggedIn }: LogoutContext & { isLoggedIn: boolean }): Html {
  return layout({
    title: `${isLoggedIn ? 'Still logged in' : 'Logged out'} · ${bank.name}`,
    theme: bank.id,
    body: html`<article class="card">
      <h1>You are ${isLoggedIn ? 'still logged in to' : 'logged out of'} ${bank.name}</h1>
      <p class="actions"><a class="primary" href="${app.url}">Back to ${app.name}</a></p>
    </article>`,
  })
}
