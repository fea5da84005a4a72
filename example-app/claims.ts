/** A line of the profile page. */
export interface ClaimLine {
  name: string
  label: string
  value: string
}

/** Claims about the token and the login rather than the person. */
const OF_THE_TOKEN = new Set(
  'iss sub aud exp iat nbf jti nonce auth_time acr amr azp sid at_hash c_hash s_hash rt_hash'.split(' '),
)

const MOMENTS = new Set(['exp', 'iat', 'nbf', 'auth_time', 'updated_at'])

const LABELS: Record<string, string> = {
  name: 'Name',
  given_name: 'First name',
  family_name: 'Last name',
  email: 'Email',
  email_verified: 'Email confirmed',
  phone_number: 'Phone',
  phone_number_verified: 'Phone confirmed',
  birthdate: 'Date of birth',
  address: 'Address',
  age_over_18: '18 or older',
  age_over_21: '21 or older',
  age_over_25: '25 or older',
}

/** Parts what a bank says of a person from what it says of the login, each as lines to read. */
export function claimLines(claims: object): { person: ClaimLine[]; login: ClaimLine[] } {
  const lines = Object.entries(claims).map(([name, value]: [string, unknown]) => ({
    name,
    label: labelOf(name),
    value: readable(name, value),
  }))
  const order = Object.keys(LABELS)
  const rank = ({ name }: ClaimLine) => (order.includes(name) ? order.indexOf(name) : order.length)
  return {
    person: lines.filter(({ name }) => !OF_THE_TOKEN.has(name)).sort((a, b) => rank(a) - rank(b)),
    login: lines.filter(({ name }) => OF_THE_TOKEN.has(name)),
  }
}

function labelOf(name: string): string {
  const words = name.replaceAll('_', ' ')
  return LABELS[name] ?? words.charAt(0).toUpperCase() + words.slice(1)
}

function readable(name: string, value: unknown): string {
  if (typeof value === 'boolean') return value ? 'Yes' : 'No'
  if (typeof value === 'number' && MOMENTS.has(name)) return new Date(value * 1000).toUTCString()
  if (name === 'birthdate' && typeof value === 'string') return longDate(value)
  if (typeof value === 'string') return value
  if (name === 'address' && typeof value === 'object' && value !== null) {
    if ('formatted' in value && typeof value.formatted === 'string') return value.formatted
    return Object.values(value).join('\n')
  }
  return JSON.stringify(value, null, 2)
}

/** A birthdate may lack its year (`0000`) or its day, so only a whole one is spelled out. */
function longDate(date: string): string {
  const day = /^(?!0000)\d{4}-\d\d-\d\d$/.test(date) ? new Date(date) : undefined
  if (day === undefined || Number.isNaN(day.getTime())) return date
  return new Intl.DateTimeFormat('en', { dateStyle: 'long', timeZone: 'UTC' }).format(day)
}
