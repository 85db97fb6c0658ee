/** npm run bench -- NAME [--option N]...: one benchmark, its figures as lines, then as one JSON document. */
import { cpus, totalmem } from 'node:os'

import { all } from './all.ts'
import { drain } from './drain.ts'
import { latency } from './latency.ts'
import { memory } from './memory.ts'
import { reads } from './reads.ts'
import { readme } from './readme.ts'
import { rivals } from './rivals.ts'
import type { Bench } from './measure.ts'

const BENCHES: Readonly<Record<string, Bench>> = { drain, latency, reads, memory, rivals, all, readme }

const [name = 'drain', ...rest] = process.argv.slice(2)
const bench = BENCHES[name]
if (!bench) {
  console.error(`bench: there is no ${name}; there are ${Object.keys(BENCHES).join(', ')}`)
  process.exit(2)
}
const valueOf = (option: string): string | undefined => {
  const at = rest.indexOf(`--${option}`)
  return at === -1 ? undefined : rest[at + 1]
}
// Servers are ended when this process exits, however it does.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
// One listener for each server, and rivals have more than ten.
process.setMaxListeners(50)
const cleanups: (() => void | Promise<void>)[] = []
try {
  console.log(
    `${name}: Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
  )
  const figures = await bench({
    options: {
      number: (option, fallback) => Number(valueOf(option) ?? fallback),
      text: (option, fallback) => valueOf(option) ?? fallback,
      has: (option) => rest.includes(`--${option}`),
    },
    scope: { after: (cleanup) => void cleanups.push(cleanup) },
    print: (line) => console.log(line),
  })
  console.log(JSON.stringify(figures))
} finally {
  for (const cleanup of cleanups.toReversed()) await cleanup()
}
process.exit()
