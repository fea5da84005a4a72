import { html } from '@remix-run/html-template'
import { layout, type AppLink, type Html } from './layout.js'
import type { Persona } from '../bank/personas.js'

/** What the first page lists. */
export interface SandboxOverview {
  app: AppLink
  clientId: string
  callback: string
  jwksUri: string | undefined
  flow: 'proxy' | 'direct'
  /** The network whose banks these are. */
  network: string | undefined
  endpoints: Record<string, string>
  /** What can go wrong with the next login, and what will. */
  faults: readonly string[]
  waiting: string | undefined
  banks: readonly { name: string; logo: string; issuer: string; personas: readonly Persona[] }[]
}

/** The first page: what runs here, and who one can log in as. */
export function indexPage({
  app,
  clientId,
  callback,
  jwksUri,
  flow,
  network,
  endpoints,
  faults,
  waiting,
  banks,
}: SandboxOverview): Html {
  return layout({
    title: 'What runs here',
    body: html`<article class="card wide">
      <h1>A whole IDPartner on your machine</h1>
      <p class="lead">
        This is a sandbox for one app under development. It plays IDPartner and a few banks, keeps everything
        in memory and forgets it when it ends. Nothing here is real, and everybody knows the passwords.
      </p>
      <p>Start at your app, <a href="${app.url}">${app.name}</a>: its login button leads here.</p>

      <h2>Your app</h2>
      <dl class="facts">
        ${fact('Client id', clientId)} ${fact('Callback', callback)}
        ${fact('Public keys', jwksUri ?? 'none: answers are signed, but not encrypted')}
        ${fact('Flow', flow === 'proxy' ? 'proxy: IDPartner vouches for the bank' : 'direct: app and bank talk to each other')}
        ${network === undefined ? '' : fact('Network', `${network}: banks that refuse whatever it does not have`)}
      </dl>

      <h2>The next login</h2>
      <p role="status">
        ${waiting === undefined ? 'The next login goes well.' : html`The next login goes wrong: <code>${waiting}</code>.`}
      </p>
      <form method="post" action="/next" class="next">
        <label for="fault">What goes wrong with it, and with no other</label>
        <select id="fault" name="fault">
          <option value="" ${waiting === undefined ? html`selected` : ''}>nothing</option>
          ${faults.map((fault) => html`<option value="${fault}" ${fault === waiting ? html`selected` : ''}>${fault}</option>`)}
        </select>
        <div class="actions"><button class="primary" type="submit">Set</button></div>
      </form>

      <h2>IDPartner</h2>
      <dl class="facts">${Object.entries(endpoints).map(([label, url]) => fact(label, url))}</dl>

      ${banks.map(
        ({ name, logo, issuer, personas }) =>
          html`<h2 class="bank-title"><img src="${logo}" alt="" width="32" height="32" />${name}</h2>
            <dl class="facts">${fact('Issuer', issuer)}</dl>
            <p>
              <a href="${issuer}/.well-known/openid-configuration">Discovery document of ${name}</a>
            </p>
            <div class="scroll" tabindex="0" role="region" aria-label="People with an account at ${name}">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Login and password</th>
                    <th scope="col">Name</th>
                    <th scope="col">Born</th>
                    <th scope="col">Email</th>
                  </tr>
                </thead>
                <tbody>
                  ${personas.map(
                    ({ login, claims }) =>
                      html`<tr>
                        <td><code>${login}</code></td>
                        <td>${claims.name}</td>
                        <td>${claims.birthdate ?? ''}${claims.age_over_18 === false ? ' (under 18)' : ''}</td>
                        <td>${claims.email ?? ''}</td>
                      </tr>`,
                  )}
                </tbody>
              </table>
            </div>`,
      )}
    </article>`,
  })
}

function fact(label: string, value: string): Html {
  return html`<div>
    <dt>${label}</dt>
    <dd><code>${value}</code></dd>
  </div>`
}
