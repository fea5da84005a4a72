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

/** Everything a bank of the sandbox can say about a customer; people of your own may have any other claim, and lack some. */
export interface PersonaClaims {
  sub: string
  name: string
  given_name?: string | undefined
  family_name?: string | undefined
  email?: string | undefined
  birthdate?: string | undefined
  address?: PostalAddress | undefined
  age_over_18?: boolean | undefined
  age_over_21?: boolean | undefined
  age_over_25?: boolean | undefined
  payment_details?: PaymentDetails | undefined
  payment_processing?: { status: 'available'; currency: string } | undefined
  'vc.MockBankCredential'?: { type: 'MockBankCredential'; customer_since: string } | undefined
  [claim: string]: unknown
}

/** A customer of a bank, to log in as. */
export interface Persona {
  login: string
  password: string
  claims: PersonaClaims
}

/** A customer of your own; what is not said of them, no bank knows, but for a `sub` and a `name`. */
export interface OwnPersona {
  login: string
  /** The login by default. */
  password?: string | undefined
  claims?: Record<string, unknown> | undefined
}

/** A bank of your own. */
export interface OwnBank {
  name: string
  /** In its issuer's path, and what the account selector calls it; made of the name by default. */
  id?: string | undefined
  tagline?: string | undefined
  /** Its only customers, beside those of every bank; the sandbox's people by default. */
  personas?: OwnPersona[] | undefined
}

export interface BankData {
  id: string
  name: string
  legalName: string
  legalEntityIdentifier: string
  country: string
  tagline: string
  personas: readonly Persona[]
}

interface SandboxBankData extends Omit<BankData, 'personas'> {
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

const BANKS: readonly [SandboxBankData, ...SandboxBankData[]] = [
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

/**
 * The banks that were asked for, or the sandbox's, each with its customers.
 *
 * @param more what their network has banks say of them, unless they say it themselves
 */
export function banksOf(
  {
    banks,
    personas = [],
  }: {
    banks?: readonly OwnBank[] | undefined
    personas?: readonly OwnPersona[] | undefined
  },
  more: (of: PersonaClaims) => Record<string, unknown> = () => ({}),
): BankData[] {
  const all = banks ? banks.map(ownBank) : BANKS.map((bank) => ({ ...bank, customers: undefined }))
  return all.map(({ people, customers, ...bank }) => {
    const everywhere = personas.map((one) => ownPersona(bank.id, one))
    const theirs = customers?.map((one) => ownPersona(bank.id, one)) ?? personasOf(bank.id, people)
    const logins = new Set(everywhere.map(({ login }) => login))
    const all = [...everywhere, ...theirs.filter(({ login }) => !logins.has(login))]
    return {
      ...bank,
      personas: all.map((one) => ({ ...one, claims: { ...more(one.claims), ...one.claims } })),
    }
  })
}

function ownBank({ name, tagline, personas, ...bank }: OwnBank, index: number) {
  const id = bankId({ name, ...bank })
  const letters = id.replaceAll('-', '').toUpperCase().slice(0, 8).padEnd(8, '0')
  return {
    id,
    name,
    legalName: `${name} (sandbox)`,
    legalEntityIdentifier: `00${letters}0SANDBOX${String(index % 100).padStart(2, '0')}`,
    country: 'US',
    tagline: tagline ?? 'A bank of your own',
    customers: personas,
    people: (BANKS[index % BANKS.length] ?? BANKS[0]).people,
  }
}

/** How a bank's name looks in a URL. */
export function bankId({ id, name }: OwnBank): string {
  return (
    id ??
    asciiOf(name)
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-|-$/g, '')
  )
}

function personasOf(bankId: string, people: readonly Person[], now = new Date()): Persona[] {
  return LOGINS.flatMap(({ login, age }, index) => {
    const person = people[index]
    return person ? [{ login, password: login, claims: claimsOf(bankId, login, person, age, now) }] : []
  })
}

function ownPersona(bankId: string, { login, password = login, claims }: OwnPersona): Persona {
  return { login, password, claims: { sub: asUuid(digestOf(bankId, login)), name: login, ...claims } }
}

/** The same person has another `sub` at each bank. */
function digestOf(bankId: string, login: string): string {
  return createHash('sha256').update(`${bankId}:${login}`).digest('hex')
}

function claimsOf(bankId: string, login: string, person: Person, age: number, now: Date): PersonaClaims {
  const [given, family, day, street, [locality, region, postalCode]] = person
  const digest = digestOf(bankId, login)
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
  return asciiOf(name).replace(/[^a-z]/g, '')
}

function asciiOf(name: string): string {
  return name
    .toLowerCase()
    .normalize('NFD')
    .replace(/[^ -~]/g, '')
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
