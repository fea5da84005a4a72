import { describe, expect, test } from '@jest/globals'
import { AllowedIssuers } from '../../lib/client/allowed-issuers.js'
import type { ResolvedConfig, TrustedIssuers } from '../../lib/client/config.js'
import { PrivateNetworks } from '../../lib/net/private-networks.js'
import { refusal } from '../support/settle.js'

const BANK = 'https://bank.example'
const LOCAL_BANK = 'http://localhost:3003/bank'
const ANYTHING = (): boolean => true

const allowed = (
  trusted_issuers?: unknown,
  trust_directory_service_url = 'https://trust.example',
  networks: string[] = [],
): AllowedIssuers =>
  new AllowedIssuers({
    trusted_issuers: trusted_issuers as TrustedIssuers | undefined,
    trust_directory_service_url,
    networks: new PrivateNetworks(networks),
  } as ResolvedConfig)

const expectRefused = async (issuers: AllowedIssuers, issuer: unknown): Promise<void> => {
  expect(await refusal(issuers.check(issuer as string))).toMatchObject({
    code: 'provider_refused',
    status: 403,
    message: expect.stringMatching(/^this bank is not allowed here: /),
  })
}

describe('with a list, an issuer is allowed', () => {
  test('when it is in it, spelled exactly so', async () => {
    const issuers = allowed([BANK, 'https://other.example/', LOCAL_BANK])
    await expect(issuers.check(BANK)).resolves.toBeUndefined()
    await expect(issuers.check('https://other.example/')).resolves.toBeUndefined()
    await expect(issuers.check(LOCAL_BANK)).resolves.toBeUndefined()
  })

  test.each([
    'https://other.example',
    `${BANK}/`,
    `${BANK}/path`,
    `${BANK}.evil.example`,
    'https://BANK.example',
    'https://bank.example:443',
    'https://bank',
    ' https://bank.example',
  ])('and no other: %s', async (issuer) => {
    await expectRefused(allowed([BANK]), issuer)
  })
})

describe('an issuer that is nearly in the list is refused with both spellings:', () => {
  test.each([
    ['a slash at its end', BANK, `${BANK}/`],
    ['no slash at its end', `${BANK}/`, BANK],
    ['http', BANK, 'http://bank.example'],
    ['another case of the host', 'https://Bank.example', BANK],
    ['another case of the path', `${BANK}/OIDC`, `${BANK}/oidc`],
    ['the default port', BANK, `${BANK}:443`],
    ['an address for localhost', LOCAL_BANK, 'http://127.0.0.1:3003/bank'],
    ['an IPv6 address for localhost', LOCAL_BANK, 'http://[::1]:3003/bank'],
    ['the address of its document', BANK, `${BANK}/.well-known/openid-configuration`],
    ['its document in the list', `${BANK}/.well-known/openid-configuration`, BANK],
  ])('%s', async (_name, configured, issuer) => {
    const err = await refusal(allowed(['https://other.example', configured]).check(issuer))
    expect(err).toMatchObject({
      code: 'provider_refused',
      status: 403,
      message: `this bank is not allowed here: it is ${issuer}, but "trusted_issuers" has ${configured}: spell it as the bank does`,
    })
  })

  test.each([
    ['another bank', 'https://evil.example'],
    ['another port', `${BANK}:8443`],
    ['another path', `${BANK}/other`],
    ['credentials', 'https://user:pass@bank.example'],
    ['a query', `${BANK}?x=1`],
    ['a line break', `${BANK}\n/`],
    ['a tab', 'https://ba\tnk.example'],
    ['markup', `${BANK}/<b>`],
    ['backslashes', 'https:\\\\bank.example'],
    ['no end', `${BANK}${'/'.repeat(300)}`],
    ['a space', ` ${BANK}`],
  ])('but repeated never when it has %s', async (_name, issuer) => {
    const { message } = await refusal(allowed([BANK]).check(issuer))
    expect(message).toBe('this bank is not allowed here: "trusted_issuers" does not name it')
  })

  test('named where IDPartner vouched for it', async () => {
    for (const trusted of [['https://other.example'], () => false]) {
      const issuers = allowed(trusted)
      issuers.vouch(BANK)
      expect((await refusal(issuers.check(BANK))).message).toBe(
        `this bank is not allowed here: "trusted_issuers" does not name ${BANK}`,
      )
    }
  })

  test('not where a function decides', async () => {
    expect((await refusal(allowed(() => false).check(`${BANK}/`))).message).not.toContain(BANK)
  })
})

describe('with a function, an issuer is allowed', () => {
  test.each<[string, TrustedIssuers]>([
    ['true', (issuer) => issuer === BANK],
    ['a promise of true', (issuer) => Promise.resolve(issuer === BANK)],
  ])('when it answers %s', async (_name, trusted) => {
    await expect(allowed(trusted).check(BANK)).resolves.toBeUndefined()
    await expectRefused(allowed(trusted), 'https://other.example')
  })

  test.each<[string, () => unknown]>([
    ['false', () => false],
    ['a promise of false', () => Promise.resolve(false)],
    ['undefined', () => undefined],
    ['null', () => null],
    ['a text', () => 'true'],
    ['a number', () => 1],
    ['an object', () => ({ trusted: true })],
    ['a list', () => [true]],
    ['promises in a list', () => [Promise.resolve(false)]],
    ['a promise of a text', () => Promise.resolve('yes')],
    ['a Boolean object', () => new Boolean(true)],
    ['a function', () => () => true],
  ])('but not when it answers %s', async (_name, trusted) => {
    await expectRefused(allowed(trusted), BANK)
  })

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new RangeError('database down')
      },
    ],
    ['rejects', () => Promise.reject(new RangeError('database down'))],
  ])('and it is an error of the application when it %s', async (_name, trusted) => {
    expect(await refusal(allowed(trusted).check(BANK))).toMatchObject({
      code: 'config_invalid',
      status: 500,
      message: 'the function "trusted_issuers" threw',
      cause: { name: 'RangeError', message: 'database down' },
    })
  })

  test('and it is given the issuer as it came', async () => {
    const asked: string[] = []
    await allowed((issuer: string) => asked.push(issuer) > 0).check(`${BANK}/path/`)
    expect(asked).toEqual([`${BANK}/path/`])
  })
})

describe('whatever the application trusts, an issuer is refused when it is', () => {
  test.each([
    ['no URL', 'bank'],
    ['empty', ''],
    ['missing', undefined],
    ['a list', [BANK]],
    ['over http', 'http://bank.example'],
    ['with credentials', 'https://user:password@bank.example'],
    ['a file', 'file:///etc/passwd'],
    ['a private address', 'https://10.0.0.1'],
    ['the address of cloud metadata', 'https://169.254.169.254'],
    ['a private IPv6 address', 'https://[fd00::1]'],
    ['a private address in IPv6', 'https://[::ffff:192.168.0.1]'],
    ['no address in particular', 'https://0.0.0.0'],
  ])('%s', async (_name, issuer) => {
    await expectRefused(allowed(ANYTHING), issuer)
    const vouching = allowed()
    vouching.vouch(issuer as string)
    await expectRefused(vouching, issuer)
  })

  test('and the function is not even asked', async () => {
    const asked: string[] = []
    await expectRefused(
      allowed((issuer: string) => asked.push(issuer) > 0),
      'https://10.0.0.1',
    )
    expect(asked).toEqual([])
  })
})

describe('without trusted issuers, an issuer is allowed', () => {
  test('when IDPartner vouched for it', async () => {
    const issuers = allowed()
    await expectRefused(issuers, BANK)
    issuers.vouch(BANK)
    await expect(issuers.check(BANK)).resolves.toBeUndefined()
    await expectRefused(issuers, `${BANK}/`)
  })

  test('on this machine only when IDPartner is a sandbox on this machine', async () => {
    const platform = allowed()
    platform.vouch(LOCAL_BANK)
    await expectRefused(platform, LOCAL_BANK)
    const sandbox = allowed(undefined, 'http://localhost:3003/trust-directory')
    sandbox.vouch(LOCAL_BANK)
    await expect(sandbox.check(LOCAL_BANK)).resolves.toBeUndefined()
  })

  test('among the last thousand', async () => {
    const issuers = allowed()
    issuers.vouch('https://first.example')
    issuers.vouch('https://second.example')
    for (let more = 0; more < 998; more++) issuers.vouch(`https://bank${String(more)}.example`)
    await expect(issuers.check('https://first.example')).resolves.toBeUndefined()
    issuers.vouch('https://one-too-many.example')
    await expectRefused(issuers, 'https://first.example')
    await expect(issuers.check('https://second.example')).resolves.toBeUndefined()
  })
})

test('trusted issuers narrow what IDPartner vouches for', async () => {
  const issuers = allowed([BANK])
  issuers.vouch('https://other.example')
  await expectRefused(issuers, 'https://other.example')
  await expect(issuers.check(BANK)).resolves.toBeUndefined()
})

describe('an issuer at a private address that is open is', () => {
  const PRIVATE = 'https://10.1.2.3'
  const open = (trusted?: unknown): AllowedIssuers => allowed(trusted, undefined, ['10.1.0.0/16'])

  test('allowed where the list names it', async () => {
    await expect(open([PRIVATE]).check(PRIVATE)).resolves.toBeUndefined()
  })

  test('refused where a mere function trusts it, since a browser names it', async () => {
    await expectRefused(open(ANYTHING), PRIVATE)
  })

  test('refused where IDPartner vouched for it, since that is not of this network', async () => {
    const issuers = open()
    issuers.vouch(PRIVATE)
    await expectRefused(issuers, PRIVATE)
  })

  test('refused where it is another one', async () => {
    await expectRefused(open(['https://10.2.2.3']), 'https://10.2.2.3')
  })
})
