import { readFileSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'

const text = (html) => html.replaceAll('&amp;', '&').replaceAll('&quot;', '"').replaceAll('&#x27;', "'")

/** What can be linked to in a page. */
function anchorsOf(html) {
  return new Set([...html.matchAll(/\s(?:id|name)="([^"]*)"/g)].map(([, id]) => text(id)))
}

/** The links of a built site that lead to no file, or to no place in it. Those to elsewhere are not followed. */
export function deadLinks(site) {
  const pages = new Map(
    readdirSync(site, { recursive: true })
      .filter((name) => name.endsWith('.html'))
      .map((name) => [name, readFileSync(path.join(site, name), 'utf8')]),
  )
  const anchors = new Map([...pages].map(([name, html]) => [name, anchorsOf(html)]))
  const isFile = (name) => statSync(path.join(site, name), { throwIfNoEntry: false })?.isFile() === true
  return [...pages].flatMap(([name, html]) => {
    const links = new Set([...html.matchAll(/\s(?:href|src)="([^"]*)"/g)].map(([, link]) => text(link)))
    return [...links]
      .filter((link) => {
        if (/^[a-z]+:/.test(link)) return false
        const [address, anchor = ''] = link.split('#')
        const target =
          address === ''
            ? name
            : path
                .join(path.dirname(name), decodeURIComponent(address))
                .replace(/(^|\/)\.?\/?$/, '$1index.html')
        if (!isFile(target)) return true
        return anchor !== '' && anchors.get(target)?.has(decodeURIComponent(anchor)) === false
      })
      .map((link) => `${name}: ${link}`)
  })
}
