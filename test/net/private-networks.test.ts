import { describe, expect, test } from '@jest/globals'
import { PrivateNetworks, networkProblem } from '../../lib/net/private-networks.js'

describe('a list of private networks may hold', () => {
  test.each([
    ['nothing', []],
    ['a name', ['bank.internal']],
    ['a name of one word, as docker compose has it', ['bank']],
    ['a name in capitals and with a number', ['Bank_1.Internal']],
    ['ranges of RFC 1918', ['10.1.0.0/16', '172.20.0.0/16', '192.168.0.0/16', '192.168.7.0/24']],
    ['a range of RFC 6598', ['100.64.0.0/16']],
    ['a range of RFC 4193', ['fd12:3456:789a::/48', 'FD12:3456:789a:1::/64']],
    ['names that are only like that of this machine', ['localhost.internal', 'mylocalhost', 'localhosts']],
    ['single addresses', ['10.1.2.3', 'fd12:3456:789a::1', '10.1.2.4/32']],
  ])('%s', (_name, list) => {
    expect(networkProblem(list)).toBeUndefined()
  })

  test.each([
    ['the whole internet', '0.0.0.0/0', /private networks alone/],
    ['the whole internet in IPv6', '::/0', /private networks alone/],
    ['half of it', '128.0.0.0/1', /private networks alone/],
    ['all of 10', '10.0.0.0/8', /wider than \/16/],
    ['all of 172.16', '172.16.0.0/12', /wider than \/16/],
    ['a little more than /16', '10.0.0.0/15', /wider than \/16/],
    ['everything beyond 10', '10.0.0.0/0', /wider than \/16/],
    ['all of RFC 4193', 'fc00::/7', /wider than \/48/],
    ['a little more than /48', 'fd12:3456:789a::/47', /wider than \/48/],
    ['loopback', '127.0.0.1', /private networks alone/],
    ['the range of loopback', '127.0.0.0/16', /private networks alone/],
    ['loopback in IPv6', '::1', /private networks alone/],
    ['loopback, mapped', '::ffff:127.0.0.1', /private networks alone/],
    ['any address of this machine', '0.0.0.0', /private networks alone/],
    ['link-local addresses', '169.254.0.0/16', /private networks alone/],
    ['the metadata service', '169.254.169.254/32', /private networks alone/],
    ['the metadata service in IPv6', 'fd00:ec2::254', /private networks alone/],
    ['another metadata service in IPv6', 'fd20:ce::254', /private networks alone/],
    ['another metadata service', '100.100.100.200', /private networks alone/],
    ['link-local addresses in IPv6', 'fe80::/64', /private networks alone/],
    ['multicast', '224.0.0.0/16', /private networks alone/],
    ['a tunnel to loopback', 'fd00::5efe:7f00:1', /private networks alone/],
    ['what is translated to a private address', '64:ff9b::a01:203/128', /private networks alone/],
    ['a public address', '93.184.215.14', /private networks alone/],
    ['everything that has a name', '*', /names of hosts.*and ranges/],
    ['everything below a name', '*.internal', /names of hosts/],
    ['everything below a name, in another spelling', '.internal', /names of hosts/],
    ['this machine', 'localhost', /names of hosts/],
    ['a name of this machine', 'app.LOCALHOST', /names of hosts/],
    ['an address in another spelling', '0x7f000001', /names of hosts/],
    ['an address as a number', '2130706433', /names of hosts/],
    ['a short address', '127.1', /names of hosts/],
    ['an address with a leading zero', '010.1.2.3', /names of hosts/],
    ['an address with a scope', 'fd00::1%eth0', /names of hosts/],
    ['a URL', 'https://bank.internal', /names of hosts/],
    ['a port', 'bank.internal:8443', /names of hosts/],
    ['a path', 'bank.internal/oidc', /names of hosts/],
    ['a range that is none', '10.1.0.0/33', /names of hosts/],
    ['a range of IPv6 that is none', 'fd12:3456:789a::/129', /names of hosts/],
    ['a length of four digits', '10.1.0.0/0016', /names of hosts/],
    ['a length with something behind it', '10.1.0.0/16x', /names of hosts/],
    ['a name that begins with a dash', '-bank.internal', /names of hosts/],
    ['a name with nothing between dots', 'bank..internal', /names of hosts/],
    ['a range without a length', '10.1.0.0/', /names of hosts/],
    ['a mask', '10.1.0.0/255.255.0.0', /names of hosts/],
    ['a negative length', '10.1.0.0/-1', /names of hosts/],
    ['two lengths', '10.1.0.0/16/16', /names of hosts/],
    ['several in one', '10.1.0.0/16,10.2.0.0/16', /names of hosts/],
    ['nothing', '', /names of hosts/],
    ['a blank', ' ', /names of hosts/],
    ['a name with a dot too many', 'bank.internal.', /names of hosts/],
    ['a name with a line break', 'bank.internal\n', /names of hosts/],
    ['a name of letters that are none of ASCII', 'bänk.internal', /names of hosts/],
  ])('not %s: %s', (_name, entry, problem) => {
    expect(networkProblem(['bank.internal', entry])).toMatch(problem)
  })

  test('twenty entries at most, so that nobody lists everything bit by bit', () => {
    const list = Array.from({ length: 20 }, (_, index) => `10.${String(index)}.0.0/16`)
    expect(networkProblem(list)).toBeUndefined()
    expect(networkProblem([...list, 'bank.internal'])).toBe('must hold at most 20 entries')
  })
})

describe('an address', () => {
  const networks = new PrivateNetworks(['10.1.0.0/16', 'fd12:3456:789a::/48', '192.168.7.9', 'Bank.Internal'])

  test.each([
    ['in a range', '10.1.2.3', 'other.example'],
    ['in a range, mapped', '::ffff:10.1.2.3', 'other.example'],
    ['in a range of IPv6', 'fd12:3456:789a::5', 'other.example'],
    ['that is listed alone', '192.168.7.9', '192.168.7.9'],
    ['elsewhere, for a name that is listed', '10.9.9.9', 'bank.internal'],
    ['elsewhere in IPv6, for a name that is listed', 'fd00::1', 'BANK.internal'],
  ])('%s is open: %s', (_name, address, host) => {
    expect(networks.opens(address, host)).toBe(true)
  })

  test.each([
    ['beside a range', '10.2.0.1', 'other.example'],
    ['beside a range of IPv6', 'fd12:3456:789b::5', 'other.example'],
    ['beside one that is listed alone', '192.168.7.8', 'other.example'],
    ['for a name below one that is listed', '10.9.9.9', 'x.bank.internal'],
    ['for the end of a name that is listed', '10.9.9.9', 'internal'],
    ['for a name that ends like it', '10.9.9.9', 'evilbank.internal'],
    ['for a name that only begins like it', '10.9.9.9', 'bank.internal.evil.example'],
    ['loopback, for a name that is listed', '127.0.0.1', 'bank.internal'],
    ['loopback in IPv6, for a name that is listed', '::1', 'bank.internal'],
    ['loopback, mapped, for a name that is listed', '::ffff:127.0.0.1', 'bank.internal'],
    ['any of this machine, for a name that is listed', '0.0.0.0', 'bank.internal'],
    ['of the metadata service, for a name that is listed', '169.254.169.254', 'bank.internal'],
    ['of the metadata service in IPv6, for a name that is listed', 'fd00:ec2::254', 'bank.internal'],
    ['of another metadata service, for a name that is listed', '100.100.100.200', 'bank.internal'],
    ['link-local in IPv6, for a name that is listed', 'fe80::1', 'bank.internal'],
    ['at the far end of a tunnel, for a name that is listed', 'fd00::5efe:7f00:1', 'bank.internal'],
    ['behind a translator, for a name that is listed', '64:ff9b::7f00:1', 'bank.internal'],
    ['elsewhere, for an address that is listed', '10.9.9.9', '192.168.7.9'],
    ['that is none', 'bank.internal', 'bank.internal'],
  ])('%s is not: %s', (_name, address, host) => {
    expect(networks.opens(address, host)).toBe(false)
  })

  test('is not, where no network is listed', () => {
    expect(new PrivateNetworks().opens('10.1.2.3', 'bank.internal')).toBe(false)
  })

  test('of a metadata service is not, within a range that is open', () => {
    const carriers = new PrivateNetworks(['100.100.0.0/16'])
    expect(carriers.opens('100.100.100.201', 'bank.example')).toBe(true)
    expect(carriers.opens('100.100.100.200', 'bank.example')).toBe(false)
  })
})
