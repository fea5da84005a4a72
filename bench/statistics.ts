/** Sorts a copy and picks the value below which that part of the others lies. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.round(part * (sorted.length - 1))] ?? NaN
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** A number with three digits that count. */
export function brief(value: number): string {
  if (!Number.isFinite(value)) return '–'
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

export function withRange(values: readonly number[]): string {
  return `${brief(median(values))} (${brief(Math.min(...values))}–${brief(Math.max(...values))})`
}
