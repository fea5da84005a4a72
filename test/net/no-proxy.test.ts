import { describe, expect, test } from '@jest/globals'
import { exceptionsOf } from '../../lib/net/no-proxy.js'

describe('NO_PROXY', () => {
  test.each([
    ['bank.example', 'bank.example', 443],
    ['bank.example', 'login.bank.example', 443],
    ['.bank.example', 'login.bank.example', 443],
    ['*.bank.example', 'login.bank.example', 443],
    ['BANK.example', 'bank.EXAMPLE', 443],
    ['bank.example', 'bank.example.', 443],
    ['a.example, bank.example', 'bank.example', 443],
    ['a.example bank.example', 'bank.example', 443],
    ['bank.example:8443', 'bank.example', 8443],
    ['10.1.2.3', '10.1.2.3', 443],
    ['10.1.2.3:8443', '10.1.2.3', 8443],
    ['10.1.0.0/16', '10.1.2.3', 443],
    ['fd00::1', 'fd00::1', 443],
    ['[fd00::1]:8443', 'fd00::1', 8443],
    ['fd00::/8', 'fd00::2', 443],
    ['10.1.2.3/32', '10.1.2.3', 443],
    ['0.0.0.0/0', '10.1.2.3', 443],
    ['fd00::1/128', 'fd00::1', 443],
    ['[fd00::1]', 'fd00::1', 8443],
    ['bank.example.', 'bank.example', 443],
    ['BANK.example:8443', 'login.bank.example', 8443],
    ['*', 'bank.example', 443],
    ['a.example\t*', '10.1.2.3', 8443],
  ])('%s excepts %s at port %d', (text, host, port) => {
    expect(exceptionsOf(text)(host, port)).toBe(true)
  })

  test.each([
    ['', 'bank.example', 443],
    [', ,', 'bank.example', 443],
    ['.', 'bank.example', 443],
    ['bank.example', 'evilbank.example', 443],
    ['bank.example', 'bank.example.evil', 443],
    ['bank.example:8443', 'bank.example', 443],
    ['10.1.0.0/16', '10.2.2.3', 443],
    ['10.1.0.0/99', '10.1.2.3', 443],
    ['10.1.0.0/', '10.1.0.0', 443],
    ['[fd00::1]:8443', 'fd00::1', 443],
    ['10.1.2.3:8443', '10.1.2.3', 443],
    ['10.1.2.3/32', '10.1.2.4', 443],
    ['10.1.2.3/33', '10.1.2.3', 443],
    ['10.1.0.0/16/16', '10.1.2.3', 443],
    ['10.1.0.0/0016', '10.1.2.3', 443],
    ['10.1.0.0/16x', '10.1.2.3', 443],
    ['10.1.0.0/x16', '10.1.2.3', 443],
    ['fd00::1/128', 'fd00::2', 443],
    ['fd00::/129', 'fd00::', 443],
    ['bank.example:x', 'bank.example', 443],
    [':443', 'bank.example', 443],
    ['*.', 'bank.example', 443],
    ['**.example', 'bank.example', 443],
    ['*x', 'bank.example', 443],
    ['', 'bank.example..', 443],
    ['a.example,,', 'bank.example..', 443],
    ['ba[nk.example', 'bank.example', 443],
    ['bank].example', 'bank.example', 443],
    ['bank.example', 'bank.example..', 443],
  ])('%s does not except %s at port %d', (text, host, port) => {
    expect(exceptionsOf(text)(host, port)).toBe(false)
  })
})
