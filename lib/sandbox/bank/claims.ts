import type { PersonaClaims } from './personas.js'

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

type Describe = (claims: PersonaClaims) => string

const DESCRIPTIONS: Record<string, readonly [label: string, describe: Describe]> = {
  name: ['Full name', (claims) => claims.name],
  given_name: ['First name', (claims) => claims.given_name],
  family_name: ['Last name', (claims) => claims.family_name],
  birthdate: ['Date of birth', (claims) => longDate(claims.birthdate)],
  email: ['Email address', (claims) => claims.email],
  address: ['Postal address', (claims) => claims.address.formatted.replaceAll('\n', ', ')],
  age_over_18: ['18 or older', (claims) => yesOrNo(claims.age_over_18)],
  age_over_21: ['21 or older', (claims) => yesOrNo(claims.age_over_21)],
  age_over_25: ['25 or older', (claims) => yesOrNo(claims.age_over_25)],
  payment_details: [
    'Account details',
    ({ payment_details: account }) =>
      `${account.account_type === 'checking' ? 'Checking' : 'Savings'} account ending in ${account.account_number.slice(-4)}`,
  ],
  payment_processing: ['Payments', () => 'Payments may be made from your account'],
  'vc.MockBankCredential': [
    'Bank credential',
    (claims) => `Proof that you bank with us since ${claims['vc.MockBankCredential'].customer_since}`,
  ],
}

/** What is asked for, in plain words and with what would be shared, for the consent page. */
export function consentItems(
  requested: { scope: string; claimNames: readonly string[] },
  persona: PersonaClaims,
): ConsentItem[] {
  const scopes = requested.scope.split(' ')
  const names = new Set([...scopes.flatMap((scope) => SCOPE_CLAIMS[scope] ?? []), ...requested.claimNames])
  const items = Object.entries(DESCRIPTIONS)
    .filter(([claim]) => names.has(claim))
    .map(([claim, [label, describe]]) => ({ claim, label, value: describe(persona) }))
  if (scopes.includes('offline_access')) {
    items.push({
      claim: 'offline_access',
      label: 'Later access',
      value: 'The app may ask for this again when you are away',
    })
  }
  return items
}

/** The claim names in a `claims` request parameter. */
export function claimNames(parameter: unknown): string[] {
  if (typeof parameter !== 'string') return []
  const { id_token: idToken, userinfo } = JSON.parse(parameter) as Record<string, object | undefined>
  return [...new Set([...Object.keys(idToken ?? {}), ...Object.keys(userinfo ?? {})])]
}

function yesOrNo(value: boolean): string {
  return value ? 'Yes' : 'No'
}

function longDate(isoDate: string): string {
  return new Intl.DateTimeFormat('en-US', { dateStyle: 'long', timeZone: 'UTC' }).format(new Date(isoDate))
}
