import type { JSONWebKeySet } from 'jose'
import type { IDPartnerStrategyOptions } from '../passport/options.js'

/** One thing inside of another, the outermost first. */
export interface Layer {
  name: string
  facts: Record<string, string>
  problems: string[]
}

/** What the one who asks knows. */
export interface Known {
  options: Partial<IDPartnerStrategyOptions>
  /** Public keys of those who may have signed, by the file that they are in. */
  keys: { file: string; jwks: JSONWebKeySet }[] | undefined
  showClaims: boolean
}

/** Harmless to print, and on one line. */
export function shown(value: string): string {
  return value.slice(0, 300).replace(/[^\x20-\x7e]/g, '?')
}
