import * as v from 'valibot'
import { interactionIdFrom } from '../client/interaction-id.js'
import { nonceFrom, proofsOf, shortHash, stateFrom, type PendingLogin } from './logins.js'

/** Enough for every tab a person opens. */
const MAX_PENDING = 10

/** A session may be a cookie, of which browsers take 4 kB in all, a third of it for the encoding. */
const MAX_BYTES = 1500

const optional = v.optional(v.string())

/** A pending login in short; what follows from its verifier is left out. */
const entry = v.object({
  /** Code verifier. */
  v: v.pipe(v.string(), v.minLength(1)),
  /** Begun, and how many seconds after that it ends. */
  b: v.number(),
  t: v.number(),
  /** Of which strategy. */
  o: v.string(),
  /** State, nonce and interaction id, where they are not those of {@link proofsOf}. */
  k: optional,
  n: v.optional(v.pipe(v.string(), v.minLength(1))),
  d: optional,
  i: optional,
  m: v.optional(v.number()),
  a: optional,
  f: optional,
  /** The key that binds its tokens. */
  j: optional,
  r: v.optional(v.literal(1)),
  /** How little the person is known to have wanted it: {@link intrusionOf}. */
  e: v.optional(v.picklist([1, 2])),
  s: v.optional(v.unknown()),
})
export type Entry = v.InferOutput<typeof entry>

/** The place of pending logins in a session. */
export const slot = v.object({
  p: v.array(entry),
  /** Used states: eleven letters of a hash, and who used them. */
  u: v.optional(v.array(v.string()), []),
  /** Those of expired logins, so that they are known for what they are. */
  x: v.optional(v.array(v.string()), []),
  /** There when all of this comes from the session before this one, whose pending logins are gone. */
  c: v.optional(v.literal(1)),
})
export type Slot = v.InferOutput<typeof slot>

export const EMPTY: Slot = { p: [], u: [], x: [] }

/**
 * Without what has expired, and within the bounds, for which the oldest go, those first that another site began.
 *
 * The newest login always stays, and one that another site began puts none out that this site began: any page could
 * end the logins that wait otherwise, by opening the login route a few times.
 */
export function bounded({ p, u, x }: Slot): Slot {
  const expired = p.filter((one) => !isLive(one)).map((one) => hashOf(stateOf(one)))
  const kept = {
    p: p.filter(isLive),
    u: u.slice(-MAX_PENDING),
    x: [...x, ...expired].slice(-MAX_PENDING),
  }
  const isTooMuch = (): boolean =>
    kept.p.length > MAX_PENDING || Buffer.byteLength(JSON.stringify(compact(kept))) > MAX_BYTES
  for (let out = firstOut(kept.p); out && isTooMuch(); out = firstOut(kept.p)) {
    kept.p = kept.p.filter((one) => one !== out)
  }
  return kept
}

function firstOut(pending: Entry[]): Entry | undefined {
  const least = pending.at(-1)?.e ?? 0
  const [first] = pending
    .slice(0, -1)
    .filter(({ e = 0 }) => e >= least)
    .sort((one, another) => (another.e ?? 0) - (one.e ?? 0))
  return first
}

export function compact({ p, u, x }: Slot): Partial<Slot> {
  return { p, ...(u.length > 0 && { u }), ...(x.length > 0 && { x }) }
}

export function shorten(state: string, login: PendingLogin, ttlSeconds: number): Entry {
  const { codeVerifier, nonce, interactionId, begun } = login
  const derived = proofsOf(codeVerifier)
  const ends = Math.ceil(Date.now() / 1000 + ttlSeconds)
  return {
    v: codeVerifier,
    b: begun,
    t: ends - begun,
    o: login.strategy,
    ...(state !== derived.state && { k: state }),
    ...(nonce !== derived.nonce && { n: nonce }),
    ...(interactionId !== derived.interactionId && { d: interactionId }),
    ...(login.issuer !== undefined && { i: login.issuer }),
    ...(login.max_age !== undefined && { m: login.max_age }),
    ...(login.acr_values !== undefined && { a: login.acr_values }),
    ...(login.floor !== undefined && { f: login.floor }),
    ...(login.dpopKey !== undefined && { j: login.dpopKey }),
    ...(login.sameRoute === true && { r: 1 }),
    ...(login.state !== undefined && { s: login.state }),
  }
}

export function lengthen({ v, b, o, n, d, i, m, a, f, j, r, s }: Entry): PendingLogin {
  return {
    codeVerifier: v,
    nonce: n ?? nonceFrom(v),
    interactionId: d ?? interactionIdFrom(v),
    strategy: o,
    begun: b,
    ...(i !== undefined && { issuer: i }),
    ...(m !== undefined && { max_age: m }),
    ...(a !== undefined && { acr_values: a }),
    ...(f !== undefined && { floor: f }),
    ...(j !== undefined && { dpopKey: j }),
    ...(r !== undefined && { sameRoute: true }),
    ...(s !== undefined && { state: s }),
  }
}

export function stateOf({ k, v }: Entry): string {
  return k ?? stateFrom(v)
}

export function endOf({ b, t }: Entry): number {
  return b + t
}

export function isLive(one: Entry): boolean {
  return endOf(one) * 1000 > Date.now()
}

export function hashOf(state: string): string {
  return shortHash([state])
}

export function isOf(state: string): (mark: string) => boolean {
  const hash = hashOf(state)
  return (mark) => mark.startsWith(hash)
}
