import { appended, set, without, type Change } from '../support/bends.js'

export interface MetadataRow {
  name: string
  change: Change
}

/** Documents of somebody else; each name completes "is refused when". */
export const otherIssuer: MetadataRow[] = [
  {
    name: "its issuer has INVALID behind the right one's",
    change: (d) => ({ ...d, issuer: `${String(d['issuer'])}INVALID` }),
  },
  { name: 'its issuer has one character more', change: appended('issuer') },
  { name: 'its issuer has a slash more', change: (d) => ({ ...d, issuer: `${String(d['issuer'])}/` }) },
  { name: 'its issuer is missing', change: without('issuer') },
  { name: 'its issuer is a list with the right one', change: (d) => ({ ...d, issuer: [d['issuer']] }) },
]

/** With what nobody can be sent to a bank, or brought back; each name completes "is refused when". */
export const unfit: MetadataRow[] = [
  {
    name: 'it names no "pushed_authorization_request_endpoint"',
    change: without('pushed_authorization_request_endpoint'),
  },
  { name: 'it names no "authorization_endpoint"', change: without('authorization_endpoint') },
  {
    name: 'its "authorization_endpoint" is http',
    change: set({ authorization_endpoint: 'http://bank.example/auth' }),
  },
  {
    name: 'its "authorization_endpoint" is script',
    change: set({ authorization_endpoint: 'javascript:alert(1)//' }),
  },
  {
    name: 'its "authorization_endpoint" is data',
    change: set({ authorization_endpoint: 'data:text/html,x' }),
  },
  {
    name: 'its "authorization_endpoint" holds credentials',
    change: set({ authorization_endpoint: 'https://user:password@bank.example/auth' }),
  },
]
