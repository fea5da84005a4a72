#!/usr/bin/env node
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { run } from './program.js'

// Who reads may stop before the end, as `head` does.
process.stdout.on('error', () => process.exit())

process.exitCode = await run(process.argv.slice(2), {
  out: (written) => process.stdout.write(written),
  err: (written) => process.stderr.write(written),
  watched: process.stderr.isTTY,
  input: () => text(process.stdin),
  interrupted: async () => {
    await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  },
})
