import { parseArgs } from 'node:util'

import { serverUrls } from '../roles/connections.ts'
import { kafkaConnectionOf } from '../roles/kafka-connection.ts'
import { loadConfig } from '../roles/load-config.ts'
import { runRoles } from '../roles/run-roles.ts'
import { readSettings } from '../runtime/settings.ts'
import { configFile } from './config-file.ts'
import { portsOf } from './ports.ts'
import type { CliIo } from './io.ts'
import { VERSION } from './version.ts'

export const RUN_USAGE = `trackops run ROLE...

Runs roles in this process, against servers that run elsewhere (DATABASE_URL, REDIS_URL, ...).

  capture, order-event-consumer, cache-invalidator, cache-warmer   the change stream. Without Kafka all four together; with it
                                                                   (KAFKA_BROKERS) any of the last three, in as many processes as
                                                                   there are partitions: Debezium is the capture
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
  const loaded = await loadConfig(configFile(io))
  const ports = portsOf(settings)
  await runRoles({
    mode: settings.mode,
    kafka: kafkaConnectionOf(settings),
    loaded,
    roles: positionals,
    urls: serverUrls(loaded, io.env, ports),
    env: io.env,
    ports,
    host: settings.host,
    verifyRateKeysPerSecond: settings.verifyRate,
    logLevel: settings.logLevel,
    version: VERSION,
    print: (line) => io.stdout.write(`${line}\n`),
    signal: io.signal,
  })
  return 0
}
