import { html } from '@remix-run/html-template'
import type { ConsentItem } from '../bank/claims.js'
import { brand, layout, type AppLink, type Html } from './layout.js'
import type { Persona } from '../bank/personas.js'

/** What the pages of a bank say about the bank and the app. */
export interface BankPageContext {
  bank: { id: string; name: string; tagline: string; logo: string }
  app: AppLink
}

export function loginPage({
  bank,
  app,
  action,
  personas,
  login,
  password,
  error,
}: BankPageContext & {
  action: string
  personas: readonly Persona[]
  login: string
  password: string
  error?: string | undefined
}): Html {
  return layout({
    title: error === undefined ? `Log in to ${bank.name}` : `Login failed · ${bank.name}`,
    theme: bank.id,
    body: html`<article class="card">
        ${brand({ logo: bank.logo, name: bank.name, note: bank.tagline })}
        <h1>Log in to ${bank.name}</h1>
        <p class="lead"><strong>${app.name}</strong> asks you to confirm who you are.</p>
        ${error === undefined ? '' : html`<p class="alert" role="alert" id="error">${error}</p>`}
        <form method="post" action="${action}">
          <label for="login">Login</label>
          <input
            id="login"
            name="login"
            value="${login}"
            autocomplete="username"
            autocapitalize="none"
            spellcheck="false"
            required
            ${error === undefined ? '' : html`aria-invalid="true" aria-describedby="error"`}
            ${login === '' ? html`autofocus` : ''}
          />
          <label for="password">Password</label>
          <input
            id="password"
            name="password"
            type="password"
            value="${password}"
            autocomplete="current-password"
            required
            ${error === undefined ? '' : html`aria-invalid="true" aria-describedby="error"`}
            ${login !== '' && password === '' ? html`autofocus` : ''}
          />
          <div class="actions">
            <button class="primary" type="submit">Log in</button>
            <button class="quiet" type="submit" formaction="${action}/cancel" formnovalidate>Cancel</button>
          </div>
        </form>
      </article>
      <aside class="hint" aria-labelledby="personas">
        <h2 id="personas">Who you can be here</h2>
        <p>
          ${personas.every((one) => one.password === one.login) ? 'The password is the same as the login. ' : ''}Choose
          one to fill in the form.
        </p>
        <ul>
          ${personas.map(
            ({ login: name, claims }) =>
              html`<li>
                <a href="${action}?login=${name}"><code>${name}</code></a>
                <span>${[claims.name, ageGroup(claims)].filter(Boolean).join(', ')}</span>
              </li>`,
          )}
        </ul>
      </aside>`,
  })
}

export function consentPage({
  bank,
  app,
  action,
  items,
  personName,
}: BankPageContext & { action: string; items: readonly ConsentItem[]; personName: string }): Html {
  return layout({
    title: `Share with ${app.name}? · ${bank.name}`,
    theme: bank.id,
    body: html`<article class="card">
      ${brand({ logo: bank.logo, name: bank.name, note: `Logged in as ${personName}` })}
      <h1>Share this with ${app.name}?</h1>
      ${
        items.length > 0
          ? html`<p class="lead">The app will see nothing else, and never your login or password.</p>
              <dl class="claims">
                ${items.map(
                  ({ label, value }) =>
                    html`<div>
                      <dt>${label}</dt>
                      <dd>${value}</dd>
                    </div>`,
                )}
              </dl>`
          : html`<p class="lead">
              The app asks only for a sign that you are a customer, and for nothing about you.
            </p>`
      }
      <form method="post" action="${action}">
        <div class="actions">
          <button class="primary" type="submit">Share and continue</button>
          <button class="quiet" type="submit" formaction="${action}/cancel">Cancel</button>
        </div>
      </form>
    </article>`,
  })
}

function ageGroup(claims: Persona['claims']): string | undefined {
  if (claims.age_over_18 === undefined) return undefined
  if (!claims.age_over_18) return 'under 18'
  if (!claims.age_over_21) return '18 to 20'
  return claims.age_over_25 ? '25 or older' : '21 to 24'
}
