import type { Persona, PersonaClaims } from './personas.js'

export const ACR = 'urn:mace:incommon:iap:silver'

/** Which claims a scope stands for, as a bank of IDPartner has it. */
export const SCOPE_CLAIMS: Record<string, readonly string[]> = {
  profile: ['name', 'given_name', 'family_name', 'birthdate'],
  email: ['email'],
  address: ['address'],
  age_over_18: ['age_over_18'],
  age_over_21: ['age_over_21'],
  age_over_25: ['age_over_25'],
  payment_details: ['payment_details'],
  payment_processing: ['payment_processing'],
  'vc.MockBankCredential': ['vc.MockBankCredential'],
}

/** One line of the consent page. */
export interface ConsentItem {
  claim: string
  label: string
  value: string
}

const LABELS: Record<string, string> = {
  name: 'Full name',
  given_name: 'First name',
  family_name: 'Last name',
  birthdate: 'Date of birth',
  email: 'Email address',
  address: 'Postal address',
  age_over_18: '18 or older',
  age_over_21: '21 or older',
  age_over_25: '25 or older',
  payment_details: 'Account details',
  payment_processing: 'Payments',
  'vc.MockBankCredential': 'Bank credential',
}

/** Those that are told in a sentence; people of the app's own may have them in any form. */
const SENTENCES: Record<string, (value: Partial<Record<string, unknown>>) => string | false> = {
  address: ({ formatted }) => typeof formatted === 'string' && formatted.replaceAll('\n', ', '),
  payment_details: ({ account_type, account_number }) =>
    typeof account_number === 'string' &&
    `${account_type === 'checking' ? 'Checking' : 'Savings'} account ending in ${account_number.slice(-4)}`,
  payment_processing: () => 'Payments may be made from your account',
  'vc.MockBankCredential': ({ customer_since }) =>
    `Proof that you bank with us since ${String(customer_since)}`,
}

function describe(claim: string, value: unknown): string {
  if (typeof value === 'boolean') return value ? 'Yes' : 'No'
  if (typeof value === 'string') return claim === 'birthdate' ? longDate(value) : value
  const sentence = typeof value === 'object' && value !== null && SENTENCES[claim]?.(value)
  return sentence || JSON.stringify(value)
}

/** All claims that customers of this bank have, each of which is a scope of its own too where no scope has it. */
export function claimsByScope(personas: readonly Persona[]): Record<string, readonly string[]> {
  const known = new Set(Object.values(SCOPE_CLAIMS).flat())
  const own = personas
    .flatMap(({ claims }) => Object.keys(claims))
    .filter((name) => name !== 'sub' && !known.has(name))
  return { ...SCOPE_CLAIMS, ...Object.fromEntries(own.map((name) => [name, [name]])) }
}

/** What is asked for, in plain words and with what would be shared, for the consent page. */
export function consentItems(
  requested: { scope: string; claimNames: readonly string[] },
  persona: PersonaClaims,
): ConsentItem[] {
  const scopes = requested.scope.split(' ')
  const names = new Set([
    ...scopes.flatMap((scope) => SCOPE_CLAIMS[scope] ?? [scope]),
    ...requested.claimNames,
  ])
  const items = [...new Set([...Object.keys(LABELS), ...Object.keys(persona)])]
    .filter((claim) => names.has(claim) && claim !== 'sub' && persona[claim] !== undefined)
    .map((claim) => ({ claim, label: LABELS[claim] ?? claim, value: describe(claim, persona[claim]) }))
  if (scopes.includes('offline_access')) {
    items.push({
      claim: 'offline_access',
      label: 'Later access',
      value: 'The app may ask for this again when you are away',
    })
  }
  return items
}

/** The claim names in a `claims` request parameter, which is JSON, but in a request object. */
export function claimNames(parameter: unknown): string[] {
  const claims: unknown = typeof parameter === 'string' ? JSON.parse(parameter) : parameter
  if (typeof claims !== 'object' || claims === null) return []
  const { id_token: idToken, userinfo } = claims as Record<string, object | null | undefined>
  return [...new Set([...Object.keys(idToken ?? {}), ...Object.keys(userinfo ?? {})])]
}

function longDate(isoDate: string): string {
  const date = new Date(isoDate)
  if (Number.isNaN(date.valueOf())) return isoDate
  return new Intl.DateTimeFormat('en-US', { dateStyle: 'long', timeZone: 'UTC' }).format(date)
}
