import { describe, expect, test } from '@jest/globals'
import { readPlainAnswer, readPlainError } from '../../lib/client/plain-answer.js'
import { IDPartnerError } from '../../lib/errors.js'
import { refusal } from '../support/settle.js'

type Trust = Parameters<typeof readPlainAnswer>[1]

const BANK = 'https://bank.example'
const OTHER = 'https://other.example'
const HINT = ' (see the option "authorization_response_iss")'

/** Where the one bank there is need not name itself. */
const nameless = (trusted: string = BANK): Trust => ({
  authorization_response_iss: 'optional',
  trusted_issuers: [trusted],
})
const strangers: Trust = { authorization_response_iss: 'optional', trusted_issuers: undefined }
const named: Trust = { authorization_response_iss: 'required', trusted_issuers: [BANK] }

const plain = (iss?: string): Parameters<typeof readPlainAnswer>[0] => ({ code: 'code', state: 'state', iss })

describe('a plain answer is of the bank', () => {
  test.each<[string, string | undefined, Trust, string | undefined]>([
    ['that it names', BANK, named, undefined],
    ['that it names, and that is wanted', BANK, named, BANK],
    ['that it names, where it need not', OTHER, nameless(), OTHER],
    ['that alone is trusted, where it need not name it', undefined, nameless(), undefined],
    ['that alone is trusted, and that is wanted', undefined, nameless(), BANK],
  ])('%s', async (_name, iss, trust, expected) => {
    const asked: string[] = []
    const check = (issuer: string): Promise<void> => {
      asked.push(issuer)
      return Promise.resolve()
    }
    const issuer = iss ?? BANK
    expect(await readPlainAnswer(plain(iss), trust, expected, check)).toEqual({
      issuer,
      state: 'state',
      outcome: { code: 'code' },
    })
    expect(asked).toEqual([issuer])
  })
})

describe('a plain answer is refused, and no bank looked up, when', () => {
  test.each<[string, string | undefined, Trust, string | undefined, string]>([
    ['it names none', undefined, named, undefined, `none came${HINT}`],
    ['it names none of the one wanted', undefined, named, BANK, `none came, and ${BANK} is wanted${HINT}`],
    ['it names none, and nobody is trusted by name', undefined, strangers, BANK, `none came, and`],
    [
      'it names none, and one is trusted otherwise',
      undefined,
      { ...strangers, trusted_issuers: () => true },
      BANK,
      'none',
    ],
    ['it names another than is wanted', OTHER, named, BANK, `${OTHER} came, and ${BANK} is wanted`],
    ['the one trusted is another than is wanted', undefined, nameless(OTHER), BANK, 'none came, and'],
    ['its name is empty', '', named, BANK, `one that is no plain URL came, and ${BANK} is wanted`],
  ])('%s', async (_name, iss, trust, expected, came) => {
    const check = (): Promise<void> => Promise.reject(new Error('was asked'))
    const err = await refusal(readPlainAnswer(plain(iss), trust, expected, check))
    expect(err.code).toBe('response_invalid')
    expect(err.message).toContain(`the bank's answer has a wrong or missing "iss": ${came}`)
    expect(err.message.endsWith(HINT)).toBe(iss === undefined)
  })

  test('its bank is not allowed: it is a wrong answer, and no bank was chosen', async () => {
    const cause = new IDPartnerError('provider_refused', 'not trusted')
    const err = await refusal(readPlainAnswer(plain(OTHER), named, undefined, () => Promise.reject(cause)))
    expect(err).toMatchObject({
      code: 'response_invalid',
      message: `the bank's answer has a wrong or missing "iss": ${OTHER} came`,
      cause: { code: 'provider_refused' },
    })
  })

  test.each<[string, Error]>([
    ['a bank cannot be asked', new IDPartnerError('provider_unavailable', 'down')],
    ['the application fails', Object.assign(new Error('down'), { code: 'provider_refused' })],
  ])('and is no wrong answer where %s', async (_name, err) => {
    await expect(readPlainAnswer(plain(BANK), named, undefined, () => Promise.reject(err))).rejects.toBe(err)
  })
})

describe('a plain error', () => {
  const error = (members: object = {}): Parameters<typeof readPlainError>[0] => ({
    error: 'access_denied',
    state: 'state',
    ...members,
  })

  test.each<[string, object, Trust, string]>([
    ['names its bank', { iss: OTHER }, named, OTHER],
    ['names it where it need not', { iss: OTHER }, nameless(), OTHER],
    ['need not name the only one', {}, nameless(), BANK],
  ])('is an answer where it %s', (_name, members, trust, issuer) => {
    expect(readPlainError(error(members), trust)).toEqual({
      issuer,
      state: 'state',
      outcome: { error: 'access_denied' },
    })
  })

  test.each<[string, object, Trust]>([
    ['no bank', {}, named],
    ['no login', { iss: BANK, state: undefined }, named],
    ['a login without a name', { iss: BANK, state: '' }, named],
    ['neither', { state: undefined }, nameless()],
    ['none that is trusted', {}, strangers],
  ])('ends no login where it names %s', (_name, members, trust) => {
    expect(readPlainError(error(members), trust)).toBeUndefined()
  })
})
