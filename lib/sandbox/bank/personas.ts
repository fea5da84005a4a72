import { createHash } from 'node:crypto'

export interface PostalAddress {
  formatted: string
  street_address: string
  locality: string
  region: string
  postal_code: string
  country: string
}

export interface PaymentDetails {
  account_holder: string
  account_number: string
  routing_number: string
  account_type: 'checking' | 'savings'
  currency: string
}

/** Everything a bank of the sandbox can say about a customer. */
export interface PersonaClaims {
  sub: string
  name: string
  given_name: string
  family_name: string
  email: string
  birthdate: string
  address: PostalAddress
  age_over_18: boolean
  age_over_21: boolean
  age_over_25: boolean
  payment_details: PaymentDetails
  payment_processing: { status: 'available'; currency: string }
  'vc.MockBankCredential': { type: 'MockBankCredential'; customer_since: string }
}

/** A customer of a bank, to log in as. */
export interface Persona {
  login: string
  password: string
  claims: PersonaClaims
}

export interface BankData {
  id: string
  name: string
  legalName: string
  legalEntityIdentifier: string
  country: string
  tagline: string
  people: readonly [Person, Person, Person, Person]
}

/** Given name, family name, month and day of birth, and where the person lives. */
type Person = readonly [given: string, family: string, day: string, street: string, place: Place]

type Place = readonly [locality: string, region: string, postalCode: string]

/** The same logins work at every bank, and mean the same ages: an adult, under 21, under 18, under 25. */
const LOGINS = [
  { login: 'mikomo_10', age: 38 },
  { login: 'mikomo_20', age: 20 },
  { login: 'mikomo_30', age: 17 },
  { login: 'mikomo_40', age: 24 },
] as const

export const BANKS: readonly BankData[] = [
  {
    id: 'mikomo',
    name: 'Mikomo Bank',
    legalName: 'Mikomo Bank, N.A. (sandbox)',
    legalEntityIdentifier: '00MIKOMO0SANDBOX0001',
    country: 'US',
    tagline: 'Everyday banking since 1921',
    people: [
      ['Philip', 'Lindqvist', '04-09', '18 Alder Court', ['Portland', 'OR', '97209']],
      ['Amara', 'Okonkwo', '01-17', '402 Harvest Lane', ['Columbus', 'OH', '43215']],
      ['Noah', 'Brandt', '01-28', '77 Quarry Road', ['Boise', 'ID', '83702']],
      ['Mei', 'Tanaka', '01-05', '9 Lantern Street', ['San Jose', 'CA', '95112']],
    ],
  },
  {
    id: 'harbour',
    name: 'Harbour Savings',
    legalName: 'Harbour Savings Bank (sandbox)',
    legalEntityIdentifier: '00HARBOUR0SANDBOX002',
    country: 'US',
    tagline: 'A safe place for what you save',
    people: [
      ['Rosa', 'Delgado', '11-02', '5 Pier Avenue', ['Baltimore', 'MD', '21230']],
      ['Tomas', 'Novak', '01-11', '231 Beacon Hill', ['Duluth', 'MN', '55802']],
      ['Ines', 'Ferreira', '01-23', '64 Saltmarsh Way', ['New Bedford', 'MA', '02740']],
      ['Owen', 'Gallagher', '01-30', '12 Lighthouse Row', ['Mystic', 'CT', '06355']],
    ],
  },
  {
    id: 'northlight',
    name: 'Northlight Credit Union',
    legalName: 'Northlight Federal Credit Union (sandbox)',
    legalEntityIdentifier: '00NORTHLT0SANDBOX003',
    country: 'US',
    tagline: 'Owned by its members',
    people: [
      ['Priya', 'Raman', '07-21', '310 Aurora Drive', ['Anchorage', 'AK', '99501']],
      ['Lukas', 'Zieliński', '01-14', '48 Spruce Terrace', ['Fargo', 'ND', '58102']],
      ['Grace', "O'Leary", '01-09', '1 Meadowlark Circle', ['Bozeman', 'MT', '59715']],
      ['Samuel', 'Haile', '01-26', '905 Cottonwood Street', ['Cheyenne', 'WY', '82001']],
    ],
  },
  {
    id: 'cedar',
    name: 'Cedar & Finch',
    legalName: 'Cedar & Finch Private Bank (sandbox)',
    legalEntityIdentifier: '00CEDARFI0SANDBOX004',
    country: 'US',
    tagline: 'Private banking',
    people: [
      ['Eleanor', 'Whitcombe', '09-13', '2 Orchard Square', ['Charleston', 'SC', '29401']],
      ['Dante', 'Moretti', '01-19', '56 Magnolia Street', ['Savannah', 'GA', '31401']],
      ['Yara', 'Haddad', '01-07', '88 Juniper Close', ['Asheville', 'NC', '28801']],
      ['Jonas', 'Lind', '01-22', '140 Finch Avenue', ['Richmond', 'VA', '23220']],
    ],
  },
]

export function personasOf(bank: BankData, now = new Date()): Persona[] {
  return LOGINS.flatMap(({ login, age }, index) => {
    const person = bank.people[index]
    return person ? [{ login, password: login, claims: claimsOf(bank, login, person, age, now) }] : []
  })
}

function claimsOf(bank: BankData, login: string, person: Person, age: number, now: Date): PersonaClaims {
  const [given, family, day, street, [locality, region, postalCode]] = person
  const digest = createHash('sha256').update(`${bank.id}:${login}`).digest('hex')
  const birthdate = `${String(now.getUTCFullYear() - age)}-${day}`
  const years = fullYears(birthdate, now)
  return {
    sub: asUuid(digest),
    name: `${given} ${family}`,
    given_name: given,
    family_name: family,
    email: `${emailName(given)}.${emailName(family)}@example.com`,
    birthdate,
    address: {
      formatted: `${street}\n${locality}, ${region} ${postalCode}\nUnited States`,
      street_address: street,
      locality,
      region,
      postal_code: postalCode,
      country: 'US',
    },
    age_over_18: years >= 18,
    age_over_21: years >= 21,
    age_over_25: years >= 25,
    payment_details: {
      account_holder: `${given} ${family}`,
      account_number: digits(digest.slice(0, 20), 10),
      // A routing number that is no bank's: numbers that begin with 9 are not assigned.
      routing_number: `9${digits(digest.slice(20, 40), 8)}`,
      account_type: 'checking',
      currency: 'USD',
    },
    payment_processing: { status: 'available', currency: 'USD' },
    'vc.MockBankCredential': {
      type: 'MockBankCredential',
      customer_since: String(now.getUTCFullYear() - Math.max(1, Math.floor(age / 4))),
    },
  }
}

function fullYears(birthdate: string, now: Date): number {
  const years = now.getUTCFullYear() - Number(birthdate.slice(0, 4))
  return now.toISOString().slice(5, 10) < birthdate.slice(5) ? years - 1 : years
}

function emailName(name: string): string {
  return name
    .toLowerCase()
    .normalize('NFD')
    .replace(/[^a-z]/g, '')
}

/** In the form of a UUID, and the same on every start. */
function asUuid(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  )
}

function digits(hex: string, length: number): string {
  return BigInt(`0x${hex}`).toString().slice(-length).padStart(length, '0')
}
