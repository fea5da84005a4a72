import { html } from '@remix-run/html-template'
import { layout, type AppLink, type Html } from './layout.js'

/** A bank as the account selector lists it. */
export interface SelectableBank {
  id: string
  name: string
  tagline: string
  logo: string
}

/** The banks whose name holds every word of the search. */
function matchingBanks<Bank extends SelectableBank>(banks: readonly Bank[], search: string): Bank[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  return banks.filter(({ name, tagline }) => {
    const text = `${name} ${tagline}`.toLowerCase()
    return words.every((word) => text.includes(word))
  })
}

/**
 * The page on which a person picks a bank: a form that searches and a form that picks, neither of which needs a
 * script.
 */
export function accountSelectorPage({
  app,
  banks,
  search,
  action,
  query,
}: {
  app: AppLink
  banks: readonly SelectableBank[]
  search: string
  /** Where both forms go. */
  action: string
  /** What the page's own URL holds beside the search, to be carried along. */
  query: readonly [name: string, value: string][]
}): Html {
  const found = matchingBanks(banks, search)
  const carried = new URLSearchParams([...query]).toString()
  return layout({
    title: 'Choose your bank',
    body: html`<article class="card">
      <h1>Choose your bank</h1>
      <p class="lead"><strong>${app.name}</strong> asks you to log in with a bank you trust.</p>
      <form method="get" action="${action}" role="search" class="search">
        <label for="q">Search for your bank</label>
        <div>
          <input id="q" name="q" type="search" value="${search}" autocomplete="off" spellcheck="false" />
          ${query.map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)}
          <button type="submit">Search</button>
        </div>
      </form>
      <p class="count" role="status">${countText(found.length, search)}</p>
      <form method="post" action="${carried === '' ? action : `${action}?${carried}`}">
        <ul class="banks">
          ${found.map(
            ({ id, name, tagline, logo }) =>
              html`<li>
                <button type="submit" name="bank" value="${id}">
                  <img src="${logo}" alt="" width="40" height="40" />
                  <span><strong>${name}</strong><small>${tagline}</small></span>
                </button>
              </li>`,
          )}
        </ul>
        <div class="actions">
          <button class="quiet" type="submit" name="cancel" value="yes">Cancel</button>
        </div>
      </form>
    </article>`,
  })
}

function countText(count: number, search: string): string {
  if (count === 0) return `No bank matches “${search}”.`
  const banks = count === 1 ? '1 bank' : `${String(count)} banks`
  return search === '' ? banks : `${banks} for “${search}”`
}
