import { html } from '@remix-run/html-template'

/** What stands in ${} is escaped: claims are as a bank wrote them. */
const page = (title, body) =>
  String(
    html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width" />
          <title>${title}</title>
          <style>
            :root {
              color-scheme: light dark;
            }
            body {
              font: 1.1rem/1.5 system-ui;
              max-width: 36rem;
              margin: 3rem auto;
              padding: 0 1rem;
            }
            button {
              font: inherit;
              padding: 0.25rem 1rem;
            }
            p::first-letter {
              text-transform: uppercase;
            }
          </style>
        </head>
        <body>
          <main>
            <h1>${title}</h1>
            ${body}
          </main>
        </body>
      </html>`,
  )

export const homePage = (user) =>
  user
    ? page(
        `Hello, ${user.name}`,
        html`<p>Your bank says that your email address is ${user.email}.</p>
          <form method="post" action="/logout"><button>Log out</button></form>`,
      )
    : page('Welcome', html`<p><a href="/login">Log in with your bank</a></p>`)

/** A failure: what its message says may be shown. */
export const failedPage = (message = 'You may not come in.') =>
  page(
    'You are not logged in',
    html`<p>${message}</p>
      <p><a href="/login">Try again</a></p>`,
  )

/** An error: what it says is for the log. */
export const brokenPage = () =>
  page(
    'That did not work',
    html`<p>It is our fault or your bank’s, and not yours.</p>
      <p><a href="/login">Try again</a></p>`,
  )
