import { readFileSync } from 'node:fs'

const { exports, bin } = JSON.parse(readFileSync('package.json', 'utf8'))

/** What applications and shells load, as package.json names it: `index`, `guards/index`, … */
export const entryPoints = [
  ...Object.values(exports).flatMap((one) => one.default ?? []),
  ...Object.values(bin),
].map((file) => file.replace(/^(\.\/)?dist\/(.*)\.js$/, '$2'))
