import { isIP } from 'node:net'
import { inRange, rangesOf } from './addresses.js'

/** Whether a host is connected to without a proxy. */
export type IsException = (host: string, port: number) => boolean

/**
 * Reads `NO_PROXY` as curl and Go do: names, which stand for what is below them too, addresses, ranges, and `*` for all;
 * each may have a port.
 */
export function exceptionsOf(text: string): IsException {
  const rules = text.split(/[\s,]/).map(ruleOf)
  return (host, port) => {
    const name = host.toLowerCase().replace(/\.$/, '')
    return rules.some((rule) => rule(name, port))
  }
}

function ruleOf(entry: string): IsException {
  if (entry === '*') return () => true
  const isBare = isIP(String(entry.split('/')[0])) !== 0
  const [, before = entry, given] = (!isBare && /(.*):(\d+)$/.exec(entry)) || []
  const isPort = (port: number): boolean => given === undefined || Number(given) === port
  const isHost = hostRule(before.replace(/^\[|\]$/g, '').toLowerCase())
  return (host, port) => isPort(port) && isHost(host)
}

function hostRule(target: string): (host: string) => boolean {
  const [address = '', bits, ...more] = target.split('/')
  if (isIP(address) !== 0) {
    const whole = isIP(address) === 4 ? 32 : 128
    const length = bits ?? String(whole)
    // What is no range is an exception for nobody.
    if (more.length > 0 || !/^\d{1,3}$/.test(length) || Number(length) > whole) return () => false
    const range = rangesOf([`${address}/${length}`])
    return (host) => inRange(range, host)
  }
  const name = target.replace(/^\*?\./, '').replace(/\.$/, '')
  return (host) => name !== '' && (host === name || host.endsWith(`.${name}`))
}
