import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

import { kafkaConnection } from '../roles/kafka-connection.ts'
import { loadConfig } from '../roles/load-config.ts'
import { up as startAll } from '../roles/up.ts'
import { TrackOpsError } from '../runtime/errors.ts'
import { readSettings } from '../runtime/settings.ts'
import { configFile, DEFAULT_DATA_DIRECTORY } from './config-file.ts'
import { portsOf } from './ports.ts'
import type { CliIo } from './io.ts'
import { VERSION } from './version.ts'

export const UP_USAGE = `trackops up [--data DIR] [--reset] [--seed N]

Runs the whole system on this machine: PostgreSQL, Redis, capture, consumers, services, console. Ctrl-C stops everything.
With TRACKOPS_MODE=distributed also Kafka and Kafka Connect with Debezium, or those of KAFKA_BROKERS and KAFKA_CONNECT_URL.

  --data DIR   where data is kept; default .trackops/ beside trackops.config.ts
  --reset      begin anew: what earlier runs left in the data directory is removed first
  --seed N     add N sample rows before the start

Ports: TRACKOPS_POSTGRES_PORT, TRACKOPS_REDIS_PORT, TRACKOPS_CONSOLE_PORT. A Redis of your own: REDIS_URL. For databases and services,
the variables that trackops.config.ts names. Every setting: docs/configuration.md
`

export async function up(argv: string[], io: CliIo): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      data: { type: 'string' },
      reset: { type: 'boolean', default: false },
      seed: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    io.stdout.write(UP_USAGE)
    return 0
  }
  const settings = readSettings(io.env)
  const loaded = await loadConfig(configFile(io))
  await startAll({
    mode: settings.mode,
    kafka: kafkaConnection(settings),
    kafkaConnectUrl: settings.kafkaConnectUrl,
    captureDatabaseUrl: settings.captureDatabaseUrl,
    cacheDirectory: settings.cacheDirectory,
    loaded,
    env: io.env,
    dataDirectory: values.data === undefined ? DEFAULT_DATA_DIRECTORY : resolve(io.cwd, values.data),
    isReset: values.reset,
    seedCount: countOf(values.seed),
    ports: portsOf(settings),
    host: settings.host,
    verifyRateKeysPerSecond: settings.verifyRate,
    logLevel: settings.logLevel,
    version: VERSION,
    print: (line) => io.stdout.write(`${line}\n`),
    complain: (line) => io.stderr.write(`trackops: ${line}\n`),
    signal: io.signal,
  })
  return 0
}

function countOf(text: string | undefined): number {
  if (text === undefined) return 0
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= 10_000_000) return count
  throw new TrackOpsError('USAGE', `--seed is ${JSON.stringify(text)}, expected a number of rows from 1 to 10000000.`)
}
