import { parseArgs } from 'node:util'

import { serverUrls } from '../roles/connections.ts'
import { loadConfig } from '../roles/load-config.ts'
import { runRoles } from '../roles/run-roles.ts'
import { readSettings } from '../runtime/settings.ts'
import { configFile } from './config-file.ts'
import type { CliIo } from './io.ts'
import { requireEmbedded } from './mode.ts'
import { VERSION } from './version.ts'

export const RUN_USAGE = `trackops run ROLE...

Runs roles in this process, against servers that run elsewhere (DATABASE_URL, REDIS_URL, ...).

  capture, order-event-consumer, cache-invalidator, cache-warmer   the change stream; without Kafka all four together
  console                                                          the page, /metrics, /health, /api/status
  and the services that trackops.config.ts declares, by their names
`

export async function run(argv: string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h', default: false } },
  })
  if (values.help) {
    io.stdout.write(RUN_USAGE)
    return 0
  }
  const settings = readSettings(io.env)
  requireEmbedded(settings)
  const loaded = await loadConfig(configFile(io))
  const ports = { postgres: settings.postgresPort, redis: settings.redisPort, console: settings.consolePort }
  await runRoles({
    loaded,
    roles: positionals,
    urls: serverUrls(loaded, io.env, ports),
    env: io.env,
    ports,
    host: settings.host,
    logLevel: settings.logLevel,
    version: VERSION,
    print: (line) => io.stdout.write(`${line}\n`),
    signal: io.signal,
  })
  return 0
}
