import { parseArgs } from 'node:util'

import { createCacheProtocol } from '../cache/protocol.ts'
import { loadConfig } from '../roles/load-config.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { createLogger } from '../runtime/logger.ts'
import { configFile } from './config-file.ts'
import type { CliIo } from './io.ts'
import { withConnections } from './with-connections.ts'

export const FORGET_USAGE = `trackops forget [VIEW]

Deletes a view's keys from Redis, or those of all views. They are filled again when they are read, and warmed by the next
change. Fills that are under way are not stored. It is always safe: forgetting is no more than an eviction.
`

export async function forget(argv: string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h', default: false } },
  })
  if (values.help) {
    io.stdout.write(FORGET_USAGE)
    return 0
  }
  const [name, ...rest] = positionals
  if (rest.length > 0) throw new TrackOpsError('USAGE', `forget: one view, or none for all; not ${positionals.length}.`)
  const { config } = await loadConfig(configFile(io))
  const names = config.views.map((view) => view.name)
  if (name !== undefined && !names.includes(name))
    throw new TrackOpsError('USAGE', `forget: there is no view ${name}; there are ${names.join(', ')}.`)
  return await withConnections(io, async ({ redis, views }) => {
    const protocol = createCacheProtocol({ redis, log: createLogger('error') }, { views })
    try {
      const { removedKeys } = await protocol.forget(name === undefined ? names : [name], { signal: io.signal })
      io.stdout.write(`${name ?? 'all views'}: ${removedKeys} ${removedKeys === 1 ? 'key' : 'keys'} forgotten\n`)
      return 0
    } finally {
      protocol.close()
    }
  })
}
