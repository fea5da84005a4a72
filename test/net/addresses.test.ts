import { describe, expect, test } from '@jest/globals'
import { isLoopback, isPrivateAddress, isPublicAddress } from '../../lib/net/addresses.js'

describe('a public address is', () => {
  test.each([
    '93.184.215.14',
    '8.8.8.8',
    '::ffff:8.8.8.8',
    '2606:2800:21f:cb07:6820:80da:af6b:8b2c',
    '2a00:1450:4001:81c::200e',
    '3ffe::1',
    // An IPv4-only bank behind NAT64 and DNS64.
    '64:ff9b::8.8.8.8',
    '64:ff9b::5db8:d70e',
    '64:ff9b:1::8.8.8.8',
    '2a00:1450:4001:81c:0:5efe:8.8.8.8',
    '::ffff:5db8:d70e',
  ])('%s', (address) => {
    expect(isPublicAddress(address)).toBe(true)
  })
})

describe('no public address is', () => {
  test.each([
    ['private', '10.0.0.1'],
    ['private', '172.16.0.1'],
    ['private', '192.168.1.1'],
    ['link-local', '169.254.169.254'],
    ['carrier-grade NAT', '100.64.0.1'],
    ['loopback', '127.0.0.1'],
    ['this network', '0.0.0.0'],
    ['multicast', '224.0.0.1'],
    ['reserved', '240.0.0.1'],
    ['broadcast', '255.255.255.255'],
    ['documentation', '192.0.2.1'],
    ['benchmarking', '198.18.0.1'],
    ['protocol assignments', '192.0.0.8'],
    ['6to4 relay', '192.88.99.1'],
    ['loopback', '::1'],
    ['unspecified', '::'],
    ['unique local', 'fd00::1'],
    ['link-local', 'fe80::1'],
    ['site-local', 'fec0::1'],
    ['multicast', 'ff02::1'],
    ['documentation', '2001:db8::1'],
    ['documentation', '3fff::1'],
    ['benchmarking', '2001:2::1'],
    ['ORCHID', '2001:20::1'],
    ['segment routing', '5f00::1'],
    ['discard-only', '100::1'],
    ['never given out', '4000::1'],
    ['IPv4-mapped private', '::ffff:10.0.0.1'],
    ['IPv4-mapped link-local', '::ffff:a9fe:a9fe'],
    ['IPv4-compatible private', '::10.0.0.1'],
    ['IPv4-compatible loopback', '::127.0.0.1'],
    ['IPv4-compatible public', '::8.8.8.8'],
    ['IPv4-translated', '::ffff:0:10.0.0.1'],
    ['NAT64 private', '64:ff9b::10.0.0.1'],
    ['NAT64 loopback', '64:ff9b::127.0.0.1'],
    ['NAT64 link-local', '64:ff9b::a9fe:a9fe'],
    ['NAT64 this network', '64:ff9b::'],
    ['local NAT64 private', '64:ff9b:1::10.0.0.1'],
    ['local NAT64 of another length', '64:ff9b:1:a00:0:100::'],
    ['beside NAT64', '64:ff9b:2::8.8.8.8'],
    ['6to4 private', '2002:a00:1::1'],
    ['6to4 public', '2002:808:808::1'],
    ['Teredo', '2001:0:4136:e378:8000:63bf:3fff:fdd2'],
    ['ISATAP private', '2a00:1450:4001:81c:0:5efe:10.0.0.1'],
    ['ISATAP private, universal', '2a00:1450:4001:81c:200:5efe:10.0.0.1'],
    ['ISATAP private, in short', '2a00::5efe:10.0.0.1'],
    ['ISATAP this network', '2a00:1450:4001:81c:0:5efe::'],
    ['link-local with a zone', 'fe80::1%lo'],
    ['loopback, IPv4-mapped', '::ffff:7f00:1'],
    ['a sink of names', '192.31.196.1'],
    ['a sink of names', '2620:4f:8000::1'],
    ['no address', 'bank.example'],
  ])('%s: %s', (_kind, address) => {
    expect(isPublicAddress(address)).toBe(false)
  })
})

test.each([
  ['https://93.184.215.14/', false],
  ['https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/', false],
  ['https://[64:ff9b::808:808]/', false],
  ['https://[64:ff9b::a00:1]/', true],
  ['https://[::a00:1]/', true],
  ['https://bank.example/', false],
  ['https://127.0.0.1/', true],
])('whether %s is spelled as a private address: %s', (url, expected) => {
  expect(isPrivateAddress(new URL(url))).toBe(expected)
})

describe('this machine', () => {
  test.each([
    'http://localhost:3000/',
    'http://LOCALHOST/',
    'http://app.localhost/',
    'http://one.app.localhost:3000/',
    'http://127.0.0.1/',
    'http://127.1.2.3/',
    'http://2130706433/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
  ])('is %s', (url) => {
    expect(isLoopback(new URL(url))).toBe(true)
  })

  test.each([
    'http://localhost.bank.example/',
    'http://applocalhost/',
    'http://app.localhost.example/',
    'http://localhost./',
    'http://0.0.0.0/',
    'http://10.0.0.1/',
    'http://[::]/',
    'http://[::127.0.0.1]/',
    'http://[64:ff9b::127.0.0.1]/',
  ])('is not %s', (url) => {
    expect(isLoopback(new URL(url))).toBe(false)
  })
})
