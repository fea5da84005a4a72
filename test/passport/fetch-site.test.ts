import { describe, expect, test } from '@jest/globals'
import { fetchSite, intrusionOf } from '../../lib/passport/fetch-site.js'

describe('a request', () => {
  test.each<[string, object, string | undefined, 0 | 1 | 2]>([
    ['of a host without headers', {}, undefined, 0],
    ['of a browser that does not say', { headers: {} }, undefined, 0],
    ['that says it twice', { headers: { 'sec-fetch-site': ['cross-site', 'none'] } }, undefined, 0],
    ['that a person typed', { headers: { 'sec-fetch-site': 'none' } }, 'none', 0],
    ['of this site', { headers: { 'sec-fetch-site': 'same-origin' } }, 'same-origin', 0],
    ['of a neighbour', { headers: { 'sec-fetch-site': 'same-site' } }, 'same-site', 0],
    [
      'of a link elsewhere',
      { headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-user': '?1' } },
      'cross-site',
      1,
    ],
    ['of a page elsewhere', { headers: { 'sec-fetch-site': 'cross-site' } }, 'cross-site', 2],
    [
      'of a page elsewhere that nobody has touched',
      { headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-user': '?0' } },
      'cross-site',
      2,
    ],
  ])('%s', (_name, req, site, intrusion) => {
    expect(fetchSite(req)).toBe(site)
    expect(intrusionOf(req)).toBe(intrusion)
  })
})
