// Draws logins-at-once.svg from the figures of the last run in build/bench.json. npx tsx bench/chart.ts
import { readFileSync, writeFileSync } from 'node:fs'
import { init } from 'echarts'

interface Row {
  what: string
  ours: string
  theirs: string
}

const rows = JSON.parse(readFileSync('build/bench.json', 'utf8')) as Row[]
const AT_ONCE = ['1', '16', '128']

/** The medians of a row, which stand first in its cells. */
function medians(what: string, column: 'ours' | 'theirs'): number[] {
  return AT_ONCE.map((atOnce) => {
    const row = rows.find((one) => one.what === `${atOnce} at once: ${what}`)
    return parseFloat(row?.[column] ?? '')
  })
}

const LINES = [
  {
    name: 'the package, p50',
    what: 'ms of a login, p50',
    column: 'ours',
    color: '#1a5fb4',
    type: 'solid',
  },
  {
    name: 'the package, p99',
    what: 'ms of a login, p99',
    column: 'ours',
    color: '#1a5fb4',
    type: 'dashed',
  },
  {
    name: 'wiring by hand, p50',
    what: 'ms of a login, p50',
    column: 'theirs',
    color: '#c64600',
    type: 'solid',
  },
  {
    name: 'wiring by hand, p99',
    what: 'ms of a login, p99',
    column: 'theirs',
    color: '#c64600',
    type: 'dashed',
  },
] as const

const chart = init(null, null, { renderer: 'svg', ssr: true, width: 720, height: 420 })
chart.setOption({
  animation: false,
  backgroundColor: '#ffffff',
  title: { text: 'Time of a login against logins at once', left: 'center' },
  legend: { bottom: 0, itemGap: 24 },
  xAxis: { type: 'category', name: 'logins at once', nameLocation: 'middle', nameGap: 28, data: AT_ONCE },
  yAxis: { type: 'log', name: 'ms', min: 1 },
  series: LINES.map(({ name, what, column, color, type }) => ({
    name,
    type: 'line',
    data: medians(what, column),
    color,
    lineStyle: { type },
    label: { show: type === 'solid' && column === 'ours', position: 'bottom' },
  })),
})
writeFileSync('bench/logins-at-once.svg', `${chart.renderToSVGString()}\n`)
chart.dispose()
